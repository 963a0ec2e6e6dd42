"""Holes are filled from a loopback archive and REST, and their causes written down."""

from pathlib import Path

import pytest

from data.checking.check import check_series
from data.fetching.archive import Zip
from data.gaps import ARCHIVE_LOSS, OUR_LOSS, OUTAGE, Entry, read_ledger, record
from data.manifest import Source
from data.rest.rows import Rest
from data.table import table_of
from data.writer import save, writing
from strategy.candles import Candles
from strategy.errors import RunRefused
from tests.data.conftest import DAYS, MONTHS, NOW
from tests.data.mending import HOURLY, from_archive, mend, sound, without
from tests.data.served import ArchiveServer


def test_a_hole_that_the_archive_fills_was_our_loss(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 100, 101, 102))
    done = mend(tmp_path, truth, rest)
    assert (done.missing, done.filled, done.left, done.done) == (3, 3, 0, True)
    assert sound(tmp_path, hourly)
    (entry,) = read_ledger(folder).entries
    assert (entry.count, entry.filled, entry.cause) == (3, 3, OUR_LOSS)
    assert entry.source == "BTCUSDT-1h-2023-01-05.zip"
    assert truth.queries == []


def test_a_hole_of_many_days_is_asked_for_by_month_and_by_day_where_there_is_none(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    from_archive(tmp_path, without(hourly, *range(50, 300), *range(800, 1000)))
    for ending in ("", ".CHECKSUM"):
        del truth.files[f"{Zip(HOURLY, '2023-02').path}{ending}"]
    assert mend(tmp_path, truth, rest).filled == 450
    assert sound(tmp_path, hourly)
    assert truth.asked[Zip(HOURLY, "2023-01").path] == 1
    assert truth.asked[Zip(HOURLY, "2023-01-05").path] == 0
    assert truth.asked[Zip(HOURLY, "2023-02-05").path] == 1


def test_what_only_rest_has_is_an_archive_loss_and_what_nobody_has_an_outage(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, *range(100, 110)))
    truth.publish(without(hourly, *range(100, 108)), [*MONTHS, *DAYS])
    truth.klines["um", "BTCUSDT", "1h"] = without(hourly, *range(100, 104))
    done = mend(tmp_path, truth, rest)
    assert (done.missing, done.filled, done.left) == (10, 6, 4)
    assert (done.causes, done.done) == ({OUTAGE: 4}, True)
    entries = read_ledger(folder).entries
    assert [(e.count, e.filled, e.cause) for e in entries] == [
        (4, 0, OUTAGE),
        (4, 4, ARCHIVE_LOSS),
        (2, 2, OUR_LOSS),
    ]
    assert check_series(tmp_path, HOURLY).unexplained == 0
    asked = truth.asked.total()
    again = mend(tmp_path, truth, rest)
    assert (again.missing, again.filled, again.left) == (4, 0, 4)
    assert truth.asked.total() == asked
    truth.klines["um", "BTCUSDT", "1h"] = hourly
    assert mend(tmp_path, truth, rest, again=True).filled == 4
    assert sound(tmp_path, hourly)


def test_a_series_from_local_files_is_asked_for_at_rest_alone(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    save(tmp_path, without(hourly, 7, 300), "mine.csv")
    assert mend(tmp_path, truth, rest).filled == 2
    assert sound(tmp_path, hourly)
    assert not any(path.startswith("data/") for path in truth.asked)


def test_holes_that_could_not_be_asked_for_stay_open(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 5, 100))
    truth.publish(without(hourly, 5), ["2023-01-01"])
    truth.refusals["klines"] = (403, b"<html>forbidden</html>")
    done = mend(tmp_path, truth, rest)
    assert (done.filled, done.left, len(done.failed)) == (1, 1, 1)
    assert [e.filled for e in read_ledger(folder).entries] == [1]
    truth.refusals.clear()
    assert mend(tmp_path, truth, rest).filled == 1
    assert sound(tmp_path, hourly)


def test_a_second_repair_at_the_same_time_is_told(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    from_archive(tmp_path, hourly)
    with writing(tmp_path, HOURLY), pytest.raises(RunRefused, match="is writing BTCUSDT um 1h"):
        mend(tmp_path, truth, rest)


def test_entries_of_a_fetch_are_respected(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 50))
    time = int(hourly.open_time[50])
    record(folder, HOURLY, [Entry(time, time, 1, OUTAGE, asked_ms=NOW)])
    assert mend(tmp_path, truth, rest).left == 1
    assert truth.asked.total() == 0


def test_candles_made_of_trades_are_not_mixed_with_the_exchange_s(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    with writing(tmp_path, HOURLY) as writer:
        table = table_of(without(hourly, 50))
        writer.add(table, Source("aggTrades/2023-01-01.parquet", "0" * 64))
    assert mend(tmp_path, truth, rest).left == 1
    path = HOURLY.folder(tmp_path) / "2023-02.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    done = mend(tmp_path, truth, rest)
    assert done.failed == [
        "2023-02.parquet was made of trades, make it again: wick data tumble BTCUSDT --timeframe 1h"
    ]
    assert truth.asked.total() == 0
