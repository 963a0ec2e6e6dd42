"""From stored funding rates and mark prices to the instants that a backtest books."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.funding import funding_notes, funding_of_store
from data.manifest import Series, Source
from data.synthetic import synthetic_market
from data.writer import writing
from strategy.candles import Candles
from strategy.funding import Funding
from tests.data.conftest import JAN_2023

HOUR = 3_600_000
SOURCE = Source("a file", "0" * 64)
EIGHT = [JAN_2023 + k * 8 * HOUR for k in range(9)]


FETCH = "wick data fetch BTCUSDT --kind funding --from 2023-01-01"


def hours(count: int, start: int = JAN_2023) -> Candles:
    return synthetic_market(1, 60 * count, start, "1h", symbol="BTCUSDT")


def store_rates(folder: Path, times: list[int], marks: list[float | None] | None = None) -> None:
    columns = {"time": pa.array(times), "rate": pa.array([k * 1e-5 for k in range(len(times))])}
    if marks is not None:
        columns["mark_price"] = pa.array(marks, pa.float64())
    with writing(folder, Series("um", "BTCUSDT", "", "funding")) as writer:
        writer.add(pa.table(columns), SOURCE)


def store_marks(folder: Path, timeframe: str, opens: dict[int, float]) -> None:
    table = {"open_time": pa.array(list(opens))}
    table |= {name: pa.array(list(opens.values())) for name in ("open", "high", "low", "close")}
    with writing(folder, Series("um", "BTCUSDT", timeframe, "mark")) as writer:
        writer.add(pa.table(table), SOURCE)


def test_instants_within_the_candles_are_read_and_put_on_the_minute(tmp_path: Path) -> None:
    jitter = [0, 3, -2, 7, 0, 10, 0, 0, 1]
    store_rates(tmp_path, [time + off for time, off in zip(EIGHT, jitter, strict=True)])
    found = funding_of_store(tmp_path, hours(48, EIGHT[2]))
    # From the first open on, up to the last close without it.
    assert found.time.tolist() == EIGHT[2:8]
    assert found.rate.tolist() == [k * 1e-5 for k in range(2, 8)]
    assert np.isnan(found.price).all()
    assert [array.dtype.str for array in found] == ["<i8", "<f8", "<f8"]


def test_an_instant_of_two_sources_is_one(tmp_path: Path) -> None:
    store_rates(tmp_path, [EIGHT[0], EIGHT[0] + 4, EIGHT[1]])
    assert funding_of_store(tmp_path, hours(48)).time.tolist() == EIGHT[:2]


def test_the_price_is_the_instants_own_else_the_shortest_mark_candle_that_opens_then(
    tmp_path: Path,
) -> None:
    store_rates(tmp_path, EIGHT[:6], [None, 101.0, None, 0.0, None, None])
    first = {EIGHT[0]: 1.0, EIGHT[1]: 2.0, EIGHT[2] + 60_000: 3.0}
    store_marks(tmp_path, "1m", first)
    store_marks(tmp_path, "1h", {time: 10.0 + k for k, time in enumerate(EIGHT[:4])})
    store_marks(tmp_path, "8h", {EIGHT[4]: 20.0})
    found = funding_of_store(tmp_path, hours(48)).price
    assert found.tolist()[:5] == [1.0, 101.0, 12.0, 13.0, 20.0]
    assert np.isnan(found[5])


@pytest.mark.parametrize("start", [JAN_2023 - 999 * HOUR, EIGHT[-1] + HOUR, EIGHT[3] + HOUR])
def test_candles_without_an_instant_get_none(tmp_path: Path, start: int) -> None:
    store_rates(tmp_path, EIGHT)
    store_marks(tmp_path, "1h", {EIGHT[0]: 1.0})
    assert len(funding_of_store(tmp_path, hours(3, start)).time) == 0


def test_without_anything_stored_there_is_none_and_it_is_said(tmp_path: Path) -> None:
    candles = hours(48)
    found = funding_of_store(tmp_path, candles)
    assert len(found.time) == 0
    said = f"no funding is stored for BTCUSDT, none is booked: {FETCH}"
    assert funding_notes(candles, found) == [said]


def notes(times: list[int], candles: Candles) -> list[str]:
    nothing = np.zeros(len(times))
    return funding_notes(candles, Funding(np.array(times, np.int64), nothing, nothing))


def test_a_part_of_the_span_without_funding_is_said() -> None:
    whole = hours(72)
    assert notes(EIGHT, whole) == []
    assert notes(EIGHT[1:], whole) == []
    stored = "2023-01-01 16:00 to 2023-01-03 16:00 UTC"
    said = f"BTCUSDT: funding is stored for {stored}, none is booked outside: {FETCH}"
    assert notes(EIGHT[2:], whole) == [said]
    assert len(notes(EIGHT[:-1], whole)) == 1
    said = f"BTCUSDT: the stored funding has 2 gaps of more than 8 hours: {FETCH}"
    assert notes([*EIGHT[:3], *EIGHT[4:6], *EIGHT[7:]], whole) == [said]
    hourly = [EIGHT[0], *range(EIGHT[1], EIGHT[-1] + 1, HOUR)]  # the interval became shorter
    assert notes(hourly, whole) == []


def test_candles_too_few_to_meet_an_instant_need_none() -> None:
    assert notes([], hours(7, EIGHT[0] + HOUR)) == []
    assert len(notes([], hours(8, EIGHT[0] + HOUR))) == 1
    assert len(notes([], hours(1, EIGHT[1]))) == 1
