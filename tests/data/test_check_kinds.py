"""What a check says about trades, funding rates and the rest, and about two timeframes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checking.agreement import disagreements
from data.checking.check import check_all, check_series
from data.checking.coverage import MonthShare, coverage
from data.files.importer import Labels, import_file
from data.gaps import OUTAGE, Entry, record
from data.kind_quality import HOUR_MS, missing_rows
from data.kinds import AGG_TRADES, FUNDING
from data.manifest import Series, Source
from data.quality import Gap
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023

NOW = 1_800_000_000_000
TRADES = Series("um", "BTCUSDT", "", "aggTrades")
RATES = Series("um", "BTCUSDT", "", "funding")


def add(store: Path, series: Series, columns: Mapping[str, object]) -> None:
    with writing(store, series) as writer:
        writer.add(pa.table(dict(columns)), Source("test", "0" * 64))


def trades(ids: list[int], times: list[int], price: float = 10.0) -> dict[str, object]:
    return {
        "agg_id": ids,
        "price": [price] * len(ids),
        "qty": [1.0] * len(ids),
        "first_id": ids,
        "last_id": ids,
        "time": [JAN_2023 + t for t in times],
        "buyer_maker": [True] * len(ids),
    }


def test_missing_ids_of_trades_are_counted_inside_days_and_between_them(tmp_path: Path) -> None:
    add(tmp_path, TRADES, trades([5, 6, 9], [0, 1, 2]))
    add(tmp_path, TRADES, trades([11, 12], [DAY_MS, DAY_MS + 5]))
    found = check_series(tmp_path, TRADES)
    assert found.gaps == (Gap(7, 8, 2), Gap(10, 10, 1))
    assert (found.errors, found.missing, found.unexplained) == ((), 3, 3)
    record(TRADES.folder(tmp_path), TRADES, [Entry(7, 8, 2, OUTAGE, asked_ms=1)])
    assert check_series(tmp_path, TRADES).unexplained == 1


def test_trades_that_cannot_be_and_disorder_are_told(tmp_path: Path) -> None:
    add(tmp_path, TRADES, trades([1, 2], [0, 1]) | {"price": [10.0, -1.0]})
    assert check_series(tmp_path, TRADES).errors == (
        "2023-01-01.parquet row 2: price -1.0 is below zero",
    )
    add(tmp_path, TRADES, trades([1, 2, 3], [0, 5, 3]) | {"qty": [0.0, 1.0, 1.0]})
    found = check_series(tmp_path, TRADES)
    assert (found.errors, found.gaps) == ((), ())
    assert found.notes == (
        "1 trades of price or quantity 0, first at 2023-01-01 00:00 UTC; candles leave them out",
        "1 trades have a smaller id than an earlier one, first 2 at 2023-01-01 00:00:00.005 UTC",
    )


def payments(hours: list[int]) -> np.ndarray:
    return np.cumsum([0, *hours]) * HOUR_MS + JAN_2023


@pytest.mark.parametrize(
    ("hours", "missing"),
    [
        ([8] * 9, []),
        ([8, 8, 4, 4, 4, 1, 1, 1, 4, 4, 8, 8], []),
        ([8, 8, 16, 8, 8], [(24, 24, 1)]),
        ([8, 16, 16, 8], [(16, 16, 1), (32, 32, 1)]),
        ([4, 4, 12, 4, 4], [(12, 16, 2)]),
        ([1, 1, 5, 1], [(3, 6, 4)]),
        ([8, 80, 8], [(16, 80, 9)]),
        ([4, 4, 6, 4], [(12, 12, 1)]),
    ],
)
def test_an_interval_may_change_but_a_step_longer_than_those_beside_it_is_a_hole(
    hours: list[int], missing: list[tuple[int, int, int]]
) -> None:
    found = missing_rows({"time": payments(hours) + np.arange(len(hours) + 1) % 7}, FUNDING)
    at = [
        ((g.first_missing - JAN_2023) // HOUR_MS, (g.last_missing - JAN_2023) // HOUR_MS, g.count)
        for g in found
    ]
    assert at == missing


def test_large_rates_and_changed_intervals_are_noted(tmp_path: Path) -> None:
    times = payments([8, 8, 4, 4])
    add(tmp_path, RATES, {"time": times, "rate": [0.0001, -0.031, 0.0001, 0.035, 0.0]})
    found = check_series(tmp_path, RATES)
    assert (found.errors, found.gaps) == ((), ())
    assert found.notes == (
        "2 funding rates beyond ±3%, first -3.1000% at 2023-01-01 08:00 UTC",
        "funding interval 8 h → 4 h from 2023-01-01 16:00 UTC on",
    )


def test_holes_of_metrics_and_depths_are_found_from_their_usual_step(tmp_path: Path) -> None:
    metrics = Series("um", "BTCUSDT", "", "metrics")
    times = JAN_2023 + np.delete(np.arange(100), [50, 51]) * 300_000
    add(tmp_path, metrics, {"time": times, "open_interest": np.ones(98)})
    assert check_series(tmp_path, metrics).gaps == (
        Gap(JAN_2023 + 50 * 300_000, JAN_2023 + 51 * 300_000, 2),
    )
    depths = Series("um", "BTCUSDT", "", "bookDepth")
    times = np.repeat(JAN_2023 + np.delete(np.arange(100), np.arange(20, 30)) * 30_000, 2)
    sides = np.tile([-1.0, 1.0], 90)
    columns = {"time": times, "percentage": sides, "depth": sides + 2, "notional": sides + 2}
    add(tmp_path, depths, columns)
    assert [gap.count for gap in check_series(tmp_path, depths).gaps] == [10]


def test_a_mark_price_has_no_volume_and_is_not_called_silent(tmp_path: Path) -> None:
    mark = Series("um", "BTCUSDT", "1h", "mark")
    price = np.full(50, 10.0)
    times = JAN_2023 + np.delete(np.arange(51), 20) * HOUR_MS
    columns = {"open_time": times, "open": price, "high": price, "low": price, "close": price}
    add(tmp_path, mark, columns)
    found = check_series(tmp_path, mark)
    assert (found.errors, found.missing, found.notes) == ((), 1, ())


@pytest.mark.parametrize("name", ["XTZUSDT-um-funding", "LAYERUSDT-um-funding-4h-to-1h"])
def test_real_funding_whose_interval_changes_has_no_hole(shared_data: Path, name: str) -> None:
    table = pq.read_table(shared_data / "funding" / f"{name}.parquet")
    assert missing_rows({"time": table["funding_time"].to_numpy()}, FUNDING) == []


def test_a_real_day_of_trades_misses_no_id() -> None:
    ids = np.array([3, 1, 2])
    assert missing_rows({"agg_id": ids}, AGG_TRADES) == []


def pair(tmp_path: Path, change: dict[str, tuple[int, float]]) -> list[Series]:
    fine = synthetic_market(3, 1440, JAN_2023, "1m", symbol="BTCUSDT")
    save(tmp_path, fine, "test")
    hours = {name: values.reshape(24, 60) for name, values in fine.arrays.items()}
    arrays = {
        "open_time": hours["open_time"][:, 0].copy(),
        "open": hours["open"][:, 0].copy(),
        "high": hours["high"].max(axis=1),
        "low": hours["low"].min(axis=1),
        "close": hours["close"][:, -1].copy(),
        "volume": hours["volume"].sum(axis=1),
    }
    for name, (row, value) in change.items():
        arrays[name][row] = value
    save(tmp_path, Candles("BTCUSDT", "um", "1h", arrays), "test")
    return [Series("um", "BTCUSDT", "1m"), Series("um", "BTCUSDT", "1h")]


def test_two_timeframes_that_agree_are_not_mentioned(tmp_path: Path) -> None:
    found = pair(tmp_path, {})
    assert disagreements(tmp_path, found) == {found[1]: []}


def test_two_timeframes_that_differ_are_a_note_with_count_and_first_example(tmp_path: Path) -> None:
    found = pair(tmp_path, {"volume": (7, 0.5)})
    results = check_all(tmp_path, found, lambda: None)
    (note,) = results[1].notes
    assert note.startswith("1 of 24 1h candles differs from 1m summed up, first 2023-01-01 07:00")
    assert "volume 0.5, of 1m" in note
    assert (results[0].notes, results[1].errors) == ((), ())


def silent(opens: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Make an hour that begins with a silent minute, and the hour as the exchange has it."""
    price = np.full(60, 10.0)
    fine = {n: price.copy() for n in ("open", "high", "low", "close")}
    for values in fine.values():
        values[0] = 12.0
    volume = np.ones(60)
    volume[0] = 0
    times = JAN_2023 + np.arange(60) * 60_000
    hour = {n: np.array([10.0]) for n in ("open", "high", "low", "close")}
    hour["open"][0] = opens
    hour["high"][0] = max(opens, 10.0)
    return (
        fine | {"open_time": times, "volume": volume},
        hour | {"open_time": np.array([JAN_2023]), "volume": np.array([59.0])},
    )


@pytest.mark.parametrize(("opens", "notes"), [(10.0, 0), (12.0, 0)])
def test_the_carried_open_of_a_silent_first_candle_is_no_difference(
    tmp_path: Path, opens: float, notes: int
) -> None:
    fine, hour = silent(opens)
    found = [Series("um", "BTCUSDT", "1m"), Series("um", "BTCUSDT", "1h")]
    for its, arrays in zip(found, (fine, hour), strict=True):
        save(tmp_path, Candles("BTCUSDT", "um", its.timeframe, arrays), "test")
    assert len(disagreements(tmp_path, found)[found[1]]) == notes


def test_real_timeframes_of_two_sources_disagree_where_they_are_known_to(
    tmp_path: Path, shared_data: Path
) -> None:
    """On 2024-10-28 the exchange's archives are silent for an hour that its REST has trades in."""
    klines = shared_data / "klines"
    labels = Labels(start_ms=1_729_900_800_000, end_ms=1_730_419_200_000)
    for name in ("15m-202201-202501", "1h-2019-202605"):
        import_file(tmp_path, klines / f"ETHUSDT-um-{name}-ohlcv.parquet", labels, NOW)
    found = [Series("um", "ETHUSDT", "15m"), Series("um", "ETHUSDT", "1h")]
    ((note,),) = disagreements(tmp_path, found).values()
    assert note.startswith("2 of 144 1h candles differ from 15m summed up, first 2024-10-28 20:00")


def test_real_spot_candles_of_three_timeframes_agree(tmp_path: Path, shared_data: Path) -> None:
    labels = Labels(start_ms=1_679_529_600_000, end_ms=1_679_788_800_000)
    found = [Series("spot", "BTCUSDT", t) for t in ("1m", "15m", "1h")]
    for its in found:
        name = f"BTCUSDT-spot-{its.timeframe}-20220101-20231231.parquet"
        import_file(tmp_path, shared_data / "klines" / name, labels, NOW)
    assert not any(disagreements(tmp_path, found).values())


@given(st.sets(st.integers(0, 100), min_size=1))
def test_coverage_counts_each_month_against_its_grid(days: set[int]) -> None:
    times = np.array(sorted(days), np.int64) * DAY_MS + JAN_2023
    shares = coverage(times, "1d")
    assert sum(share.present for share in shares) == len(days)
    assert sum(share.expected for share in shares) == max(days) - min(days) + 1
    assert all(share.present <= share.expected for share in shares)


def test_coverage_names_months_also_those_without_a_candle() -> None:
    times = np.array([0, 1, 60], np.int64) * DAY_MS + JAN_2023
    assert coverage(times, "1d") == [
        MonthShare("2023-01", 2, 31),
        MonthShare("2023-02", 0, 28),
        MonthShare("2023-03", 1, 2),
    ]
    assert coverage(times[:0], "1d") == []
    months = np.array([JAN_2023, JAN_2023 + 59 * DAY_MS], np.int64)
    assert [share.present for share in coverage(months, "1M")] == [1, 0, 1]
    assert not coverage(months, "1M")[1].whole
