"""The seeded market is the same everywhere, and looks like one."""

import numpy as np
import pytest

from data.synthetic import synthetic_market
from tests.data.conftest import JAN_2023, same_candles


def test_a_seed_gives_these_bytes_on_every_machine() -> None:
    want = "51f95fcc1c6b2598a8b19fb6943c8c32cc7fc906886d8f6d7379a1ecd472cf75"
    assert synthetic_market(1, 5000, JAN_2023).fingerprint == want


def test_seeds_differ_and_a_longer_market_begins_the_same() -> None:
    short, long = (synthetic_market(1, n, JAN_2023) for n in (3000, 5000))
    assert same_candles(short, long.slice(0, 3000))
    assert not same_candles(short, synthetic_market(2, 3000, JAN_2023))


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_prices_agree_and_lie_on_ticks(timeframe: str) -> None:
    candles = synthetic_market(3, 30_000, JAN_2023, timeframe)
    a = candles.arrays
    assert len(candles) == 30_000 * 60_000 // candles.timeframe_ms
    assert np.all(a["low"] <= np.minimum(a["open"], a["close"]))
    assert np.all(a["high"] >= np.maximum(a["open"], a["close"]))
    assert np.array_equal(a["open"][1:], a["close"][:-1])
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(a[name], np.round(a[name] * 10) / 10)
    assert np.all(a["taker_buy"] <= a["volume"])
    assert np.all(a["trades"] > 0)


def test_calm_and_storm_come_in_clusters() -> None:
    close = synthetic_market(4, 100_000, JAN_2023).arrays["close"]
    size = np.abs(np.diff(close) / close[:-1])
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1


def test_no_minutes_give_no_candles() -> None:
    assert len(synthetic_market(1, 0, JAN_2023)) == 0
