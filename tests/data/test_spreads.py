"""Stored quotes give a backtest the half spreads it could have known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from backtest.inputs import Asked, gather, run
from data.manifest import Series, Source
from data.spreads import spread_of_store
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023

SERIES = Series("um", "SYNTHUSDT", "", "quotes")
MINUTE = 60_000
COSTS = ("costs.spread=1", "costs.slippage=0")


def keep(store: Path, start_ms: int, halves: list[float]) -> None:
    """Store minutes of quotes around 100."""
    half = np.array(halves)
    times = start_ms + MINUTE * np.arange(len(half))
    rows = {"time": times, "bid": 100 * (1 - half), "ask": 100 * (1 + half), "half": half}
    with writing(store, SERIES) as writer:
        writer.add(pa.table({k: pa.array(v) for k, v in rows.items()}), Source("quotes", "0" * 64))


def candles(first_ms: int, count: int) -> Candles:
    return synthetic_market(1, count, first_ms)


def test_each_half_spread_is_known_from_the_end_of_its_minute(tmp_path: Path) -> None:
    keep(tmp_path, JAN_2023, [0.001, 0.002, 0.003])
    found = spread_of_store(tmp_path, candles(JAN_2023, 3))
    assert found.time.tolist() == [JAN_2023 + MINUTE * at for at in (1, 2, 3)]
    assert found.half.tolist() == [0.001, 0.002, 0.003]


def test_the_quotes_of_the_month_before_are_known_at_the_first_open(tmp_path: Path) -> None:
    keep(tmp_path, JAN_2023 - DAY_MS, [0.004] * 1440)
    keep(tmp_path, JAN_2023, [0.001])
    found = spread_of_store(tmp_path, candles(JAN_2023, 3))
    at = int(np.searchsorted(found.time, JAN_2023, "right")) - 1
    assert (found.time[at], found.half[at]) == (JAN_2023, 0.004)


@pytest.mark.parametrize("start", [None, JAN_2023 + 10 * DAY_MS, JAN_2023 - 90 * DAY_MS])
def test_without_quotes_of_that_time_a_hint_says_how_to_get_them(
    tmp_path: Path, start: int | None
) -> None:
    if start is not None:
        keep(tmp_path, start, [0.001])
    with pytest.raises(WickError) as refusal:
        spread_of_store(tmp_path, candles(JAN_2023, 3))
    assert "no quotes of SYNTHUSDT are stored" in refusal.value.message
    assert "wick data fetch SYNTHUSDT --kind bookTicker" in refusal.value.hint


def test_a_run_pays_the_stored_half_spreads(tmp_path: Path) -> None:
    save(tmp_path, candles(JAN_2023, 20_000), "seeded")
    pay: Callable[..., int] = lambda *changes: int(  # noqa: E731
        run(gather(Asked("breakout_donchian", changes=changes), tmp_path, tmp_path))
        .trades["pnl"]
        .sum()
    )
    with pytest.raises(WickError, match="needs half spreads"):
        pay(*COSTS)
    keep(tmp_path, JAN_2023 - DAY_MS, [0.0] * 21_440)
    assert pay(*COSTS) == pay("costs.slippage=0")
    keep(tmp_path, JAN_2023 - DAY_MS, [0.0002] * 21_440)
    assert pay(*COSTS) < pay("costs.slippage=0")
    notes = gather(Asked("breakout_donchian", changes=COSTS), tmp_path, tmp_path).notes
    assert not [note for note in notes if "no spread is known" in note]


def test_a_run_says_where_the_last_half_spread_is_more_than_a_day_old(tmp_path: Path) -> None:
    save(tmp_path, candles(JAN_2023, 20_000), "seeded")
    keep(tmp_path, JAN_2023 - DAY_MS, [0.0002] * 1440)
    # Known from the month's beginning on, the last time at the open a day later, the 1,441st.
    notes = gather(Asked("breakout_donchian", changes=COSTS), tmp_path, tmp_path).notes
    assert any("no spread is known at 18,559 of 20,000 opens" in note for note in notes)
