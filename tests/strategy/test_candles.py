"""Candles: impossible ones are refused by row and time, equal ones have equal fingerprints."""

from typing import Any

import numpy as np
import pytest

from strategy.candles import Candles
from strategy.errors import WickError
from tests.strategy.market import FIELDS, MINUTE, MONDAY, market


def build(**changes: Any) -> Candles:
    fields = {"open_time": MONDAY + MINUTE * np.arange(3)}
    fields |= {
        "open": np.array([10.0, 11.0, 12.0]),
        "high": np.array([12.0, 12.0, 13.0]),
        "low": np.array([9.0, 10.0, 11.0]),
        "close": np.array([11.0, 11.0, 11.0]),
        "volume": np.array([0.0, 1.0, 2.0]),
    }
    return Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1m", **(fields | changes))


def test_good_candles_are_taken_as_they_are() -> None:
    candles = build(taker_buy=np.ones(3))
    assert len(candles) == 3
    assert candles.open_time[0] == MONDAY
    assert candles.taker_buy.values.tolist() == [1.0, 1.0, 1.0]
    closes = np.arange(10.0, 13.0)
    shared = build(open=closes, close=closes, high=closes, low=closes)
    assert np.shares_memory(shared.close.values, closes)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("open_time", MONDAY, "its time is not after the one before"),
        ("open_time", MONDAY - MINUTE, "its time is not after the one before"),
        ("open_time", MONDAY + MINUTE + 1, "its time is off the grid of the timeframe"),
        ("open", np.nan, "a price or the volume is NaN or infinite"),
        ("high", np.inf, "a price or the volume is NaN or infinite"),
        ("volume", np.nan, "a price or the volume is NaN or infinite"),
        ("low", 0.0, "a price is not positive or the volume is negative"),
        ("low", -1.0, "a price is not positive or the volume is negative"),
        ("volume", -1.0, "a price is not positive or the volume is negative"),
        ("high", 10.5, "open or close lies outside low and high"),
        ("low", 11.5, "open or close lies outside low and high"),
        ("open", 12.5, "open or close lies outside low and high"),
        ("close", 9.5, "open or close lies outside low and high"),
    ],
)
def test_an_impossible_candle_is_named_by_row_and_time(field: str, value: float, said: str) -> None:
    values = build().arrays[field].copy()
    values[1] = value
    with pytest.raises(WickError, match=rf"BTCUSDT 1m candle 1 \(2023-01-0.* UTC\): {said}") as e:
        build(**{field: values})
    assert e.value.hint == "wick data check BTCUSDT --timeframe 1m"


def test_fields_of_different_lengths_are_refused() -> None:
    with pytest.raises(WickError, match=r"low has shape \(2,\), open_time has \(3,\)"):
        build(low=np.ones(2))


def test_the_fingerprint_sees_every_value_and_name() -> None:
    candles = market(1, 50)
    assert candles.fingerprint == market(1, 50).fingerprint
    prints = {
        candles.fingerprint,
        candles.slice(0, 49).fingerprint,
        candles.slice(1, 50).fingerprint,
    }
    for name in ("open_time", *FIELDS):
        arrays = {key: array.copy() for key, array in candles.arrays.items()}
        arrays[name][7] += 1
        prints.add(Candles("BTCUSDT", "um", "1m", arrays).fingerprint)
    arrays = candles.arrays
    prints.add(Candles("ETHUSDT", "um", "1m", arrays).fingerprint)
    prints.add(Candles("BTCUSDT", "spot", "1m", arrays).fingerprint)
    assert len(prints) == 3 + 6 + 2


def test_a_slice_shares_memory_and_keeps_names() -> None:
    candles = market(1, 50)
    part = candles.slice(10, 20)
    assert (part.symbol, part.market, part.timeframe, len(part)) == ("BTCUSDT", "um", "1m", 10)
    assert np.shares_memory(part.close.values, candles.close.values)
