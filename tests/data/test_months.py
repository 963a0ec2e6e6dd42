"""Candles of calendar months in the store: imported, fetched, checked and shown."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wick
from data.checking.check import check_series
from data.fetching.download import Archive
from data.fetching.fetch import fetch
from data.files.importer import Labels, import_file
from data.manifest import Series
from data.quality import Gap, holes
from data.store import load, series
from data.writer import save
from strategy.candles import FIELDS, OPTIONAL_FIELDS, Candles
from strategy.errors import WickError
from strategy.timeframes import month_opens
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, binance_csv, same_candles, zipped
from tests.data.test_archive import Watching

MONTHS = Series("um", "BTCUSDT", "1M")
FEBRUARY, MARCH = JAN_2023 + 31 * DAY_MS, JAN_2023 + 59 * DAY_MS
LATER = JAN_2023 + 500 * DAY_MS


@pytest.fixture(scope="module")
def monthly(hourly: Candles) -> Candles:
    """Give January to March 2023 as candles of a month."""
    months = hourly.resample("1M")
    fields = {name: getattr(months, name).values for name in (*FIELDS, *OPTIONAL_FIELDS)}
    return Candles.from_arrays(
        symbol="BTCUSDT", market="um", timeframe="1M", open_time=months.open_time, **fields
    )


@pytest.mark.parametrize("name", ["BTCUSDT-1mo-2023.zip", "BTCUSDT-1M-2023.zip"])
def test_months_are_stored_beside_minutes_and_come_back(
    tmp_path: Path, monthly: Candles, hourly: Candles, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(zipped(name, binance_csv(monthly, header=True)))
    store = tmp_path / "store"
    done = import_file(store, path, Labels(market="um"), LATER)
    assert (done.series, done.merge.added, done.notes) == (MONTHS, 3, ())
    save(store, Candles("BTCUSDT", "um", "1h", hourly.slice(0, 5).arrays), "a test")
    assert same_candles(load(store, "um", "BTCUSDT", "1M"), monthly)
    assert [str(one.series) for one in series(store)] == ["BTCUSDT um 1h", "BTCUSDT um 1M"]
    # On a disk that takes M and m for one letter, 1M would be the folder of 1m.
    assert {path.name for path in (store / "um" / "BTCUSDT").iterdir()} == {"1h", "1mo"}


def test_a_month_that_has_not_ended_is_not_stored(tmp_path: Path, monthly: Candles) -> None:
    path = tmp_path / "BTCUSDT-1mo-2023.csv"
    path.write_bytes(binance_csv(monthly, header=True))
    done = import_file(tmp_path / "store", path, Labels(), MARCH + 31 * DAY_MS - 1)
    assert (done.rows, done.notes) == (2, ("1 candle that has not closed yet dropped",))


def test_other_candles_are_no_months(tmp_path: Path, hourly: Candles) -> None:
    path = tmp_path / "BTCUSDT-1M-2023.csv"
    path.write_bytes(binance_csv(hourly, header=True))
    with pytest.raises(WickError, match=f"open_time {JAN_2023 + 3_600_000} is not the beginning"):
        import_file(tmp_path / "store", path, Labels(), LATER)


def test_months_that_are_called_days_are_refused(tmp_path: Path, monthly: Candles) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_bytes(binance_csv(monthly, header=True))
    with pytest.raises(
        WickError, match="said to hold 1d candles, but no two are closer than 2419200 s"
    ):
        import_file(tmp_path / "store", path, Labels(timeframe="1d"), LATER)


def test_a_missing_month_is_one_gap_of_one_candle(tmp_path: Path, monthly: Candles) -> None:
    arrays = {name: values[[0, 2]] for name, values in monthly.arrays.items()}
    save(tmp_path, Candles("BTCUSDT", "um", "1M", arrays), "a test")
    found = check_series(tmp_path, MONTHS)
    assert (found.rows, found.errors, found.missing) == (2, (), 1)
    assert found.gaps == (Gap(FEBRUARY, FEBRUARY, 1),)


@given(st.sets(st.integers(1, 399)))
def test_holes_are_exactly_the_missing_months(missing: set[int]) -> None:
    kept = np.array([i for i in range(401) if i not in missing])
    found = holes(month_opens(kept), "1M")
    listed = [
        month
        for gap in found
        for month in month_opens(np.arange(401)).tolist()
        if gap.first_missing <= month <= gap.last_missing
    ]
    assert listed == month_opens(np.array(sorted(missing), np.int64)).tolist()
    assert sum(gap.count for gap in found) == len(missing)


def test_months_are_fetched_from_the_folder_of_the_archive(
    tmp_path: Path, archive_server: ArchiveServer, monthly: Candles
) -> None:
    archive_server.publish(monthly, ["2023-01", "2023-02"])
    archive = Archive(archive_server.url, retry_wait_s=0.01, timeout_s=5.0)
    now = MARCH + 30 * DAY_MS
    done = fetch(tmp_path, archive, None, MONTHS, JAN_2023, now, now, Watching())
    assert (done.files, done.missing_days) == (2, [])
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1M"), monthly.slice(0, 2))
    assert all("/1mo/BTCUSDT-1mo-2023-0" in path for path in archive_server.asked)


def test_check_and_show_name_months(
    tmp_path: Path,
    monthly: Candles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WICK_STORE", str(tmp_path))
    save(tmp_path, monthly, "a test")
    for command in (["check"], ["show"], ["show", "BTCUSDT", "--timeframe", "1M"]):
        with pytest.raises(SystemExit) as stopped:
            wick.main(["data", *command])
        assert stopped.value.code == 0
        said = capsys.readouterr().out
        assert "BTCUSDT um 1M" in said
        assert "2023-03-01" in said
