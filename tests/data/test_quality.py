"""What is wrong with candles is found, and what is merely quiet is not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checking.check import check_series
from data.files.importer import Labels, import_file
from data.manifest import Series
from data.quality import Gap, first_fault, holes, silent_stretches
from data.writer import save
from strategy.candles import Candles

NOW = 1_800_000_000_000


def columns(count: int = 5) -> dict[str, np.ndarray]:
    one = np.full(count, 10.0)
    times = np.arange(count, dtype=np.int64) * 60_000
    return {"open_time": times, "open": one, "high": one + 1, "low": one - 1, "close": one} | {
        "volume": one.copy()
    }


@given(st.sets(st.integers(1, 60)))
def test_holes_are_exactly_the_missing_candles(missing: set[int]) -> None:
    kept = np.array([i for i in range(62) if i not in missing], np.int64) * 60_000
    found = holes(kept, "1m")
    assert sum(gap.count for gap in found) == len(missing)
    listed = [t for g in found for t in range(g.first_missing, g.last_missing + 1, 60_000)]
    assert listed == [i * 60_000 for i in sorted(missing)]


def test_a_gap_names_its_first_and_last_missing_candle() -> None:
    times = np.array([0, 60_000, 240_000], np.int64)
    assert holes(times, "1m") == [Gap(120_000, 180_000, 2)]
    assert holes(times[:1], "1m") == []
    assert holes(times[:0], "1m") == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("open_time", 180_001, "not on the grid of 60000 ms"),
        ("open_time", 1_672_531_200_000_000, "is in microseconds"),
        ("close", np.nan, "a value is no finite number"),
        ("volume", np.inf, "a value is no finite number"),
        ("low", 0.0, "a price is not above zero"),
        ("volume", -1.0, "volume -1 is below zero"),
        ("high", 5.0, "high 5.0 is below low 9.0"),
        ("close", 11.5, "open 10.0 or close 11.5 lies outside low 9.0 and high 11.0"),
    ],
)
def test_an_impossible_candle_is_named_by_row_and_reason(name: str, value: float, why: str) -> None:
    table = columns()
    assert first_fault(table, "1m") is None
    table[name] = table[name].copy()
    table[name][3] = value
    fault = first_fault(table, "1m")
    assert fault is not None
    assert fault.row == 3
    assert why in fault.why


def test_no_candles_have_no_fault() -> None:
    assert first_fault(columns(0), "1m") is None


def test_weeks_are_counted_from_monday() -> None:
    table = columns(1)
    table["open_time"] = np.array([4 * 86_400_000], np.int64)
    assert first_fault(table, "1w") is None


def test_ten_silent_candles_in_a_busy_market_are_a_stretch() -> None:
    volume = np.ones(1000)
    volume[100:110] = 0
    volume[200:209] = 0
    volume[990:] = 0
    assert silent_stretches(volume) == [(100, 10), (990, 10)]
    assert silent_stretches(np.where(np.arange(1000) % 2, 1.0, 0.0)) == []


def test_a_stored_candle_that_was_tampered_with_is_named_by_file_and_row(
    tmp_path: Path, hourly: Candles
) -> None:
    """A candle that cannot be, in a file whose manifest agrees: only looking at it helps."""
    broken = Candles("BTCUSDT", "um", "1h", {n: v.copy() for n, v in hourly.arrays.items()})
    broken.arrays["high"][31 * 24 + 3] = 1.0
    save(tmp_path, broken, "test")
    errors = check_series(tmp_path, Series("um", "BTCUSDT", "1h")).errors
    assert len(errors) == 1
    assert errors[0].startswith("2023-02.parquet row 4: high 1.0 is below low")


def test_a_file_that_the_manifest_does_not_name_is_an_error(
    tmp_path: Path, hourly: Candles
) -> None:
    save(tmp_path, hourly, "test")
    folder = tmp_path / "um" / "BTCUSDT" / "1h"
    (folder / "2024-01.parquet").write_bytes((folder / "2023-01.parquet").read_bytes())
    errors = check_series(tmp_path, Series("um", "BTCUSDT", "1h")).errors
    assert errors == ("2024-01.parquet is not in the manifest",)


def test_the_outage_of_march_2023_is_found_and_a_quiet_market_is_not_blamed(
    tmp_path: Path, shared_data: Path
) -> None:
    labels = Labels(start_ms=1_679_529_600_000, end_ms=1_679_788_800_000)
    klines = shared_data / "klines"
    import_file(tmp_path, klines / "BTCUSDT-spot-1m-20220101-20231231.parquet", labels, NOW)
    btc = check_series(tmp_path, Series("spot", "BTCUSDT", "1m"))
    assert btc.errors == ()
    assert btc.gaps == (Gap(1_679_661_600_000, 1_679_666_340_000, 80),)
    assert btc.notes == ("no trade in 72 candles from 2023-03-24 11:28 UTC on",)
    for name in ("FILUSDT-um-1m-202410-flat-hours", "ALGOUSDT-um-1m-202409-illiquid"):
        import_file(tmp_path, klines / f"{name}.parquet", Labels(), NOW)
    fil = check_series(tmp_path, Series("um", "FILUSDT", "1m"))
    assert [note[:26] for note in fil.notes] == [
        "no trade in 14 candles fro",
        "no trade in 74 candles fro",
    ]
    assert check_series(tmp_path, Series("um", "ALGOUSDT", "1m")).notes == ()
