"""Damaged, torn and lost files and holes are mended from a loopback archive and REST."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.archive import Zip
from data.check import check_series
from data.download import Archive
from data.gaps import ARCHIVE_LOSS, LEDGER, OUR_LOSS, OUTAGE, Entry, read_ledger, record
from data.manifest import MANIFEST, Series, Source, read_manifest
from data.repair import repair_series
from data.repaired import Repaired
from data.rest import Rest
from data.store import load
from data.supply import Supply
from data.table import table_of
from data.writer import save, writing
from strategy.candles import Candles
from strategy.errors import RunRefused
from tests.data.conftest import DAY_MS, JAN_2023, same_candles
from tests.data.served import ArchiveServer

HOURLY = Series("um", "BTCUSDT", "1h")
HOUR_MS = 3_600_000
NOW = JAN_2023 + 200 * DAY_MS
MONTHS = ["2023-01", "2023-02", "2023-03"]
DAYS = [str(np.datetime64("2023-01-01") + i) for i in range(90)]


class Silent:
    """Nobody watches."""

    def expect(self, files: int) -> None:
        """Say nothing."""

    def receive(self, size_bytes: int) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


@pytest.fixture
def server(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve all candles, by month, by day and from REST."""
    archive_server.publish(hourly, [*MONTHS, *DAYS])
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.now_ms = NOW
    return archive_server


@pytest.fixture
def rest(server: ArchiveServer) -> Iterator[Rest]:
    """Give a client that does not wait long."""
    with Rest(server.url, server.url, retry_wait_s=0.01, attempts=2) as client:
        yield client


def mend(store: Path, server: ArchiveServer, rest: Rest, again: bool = False) -> Repaired:
    archive = Archive(server.url, retry_wait_s=0.01, attempts=2)
    return repair_series(store, Supply(archive, rest, HOURLY, NOW, Silent()), again)


def without(candles: Candles, *rows: int) -> Candles:
    kept = np.delete(np.arange(len(candles.open_time)), rows)
    return Candles("BTCUSDT", "um", "1h", {n: v[kept] for n, v in candles.arrays.items()})


def from_archive(store: Path, candles: Candles) -> Path:
    """Store candles as a fetch does: month by month, each with the name of its file."""
    for month in MONTHS:
        low, high = np.searchsorted(
            candles.open_time,
            [
                np.datetime64(m).astype("datetime64[ms]").astype(np.int64)
                for m in (np.datetime64(month), np.datetime64(month) + 1)
            ],
        )
        with writing(store, HOURLY) as writer:
            table = table_of(candles.slice(int(low), int(high)))
            writer.add(table, Source(Zip(HOURLY, month).name, "0" * 64))
    return HOURLY.folder(store)


def stored(store: Path) -> Candles:
    return load(store, "um", "BTCUSDT", "1h")


def sound(store: Path, hourly: Candles) -> bool:
    return not check_series(store, HOURLY).errors and same_candles(stored(store), hourly)


def test_a_hole_that_the_archive_fills_was_our_loss(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 100, 101, 102))
    done = mend(tmp_path, server, rest)
    assert (done.missing, done.filled, done.left, done.done) == (3, 3, 0, True)
    assert sound(tmp_path, hourly)
    (entry,) = read_ledger(folder).entries
    assert (entry.count, entry.filled, entry.cause) == (3, 3, OUR_LOSS)
    assert entry.source == "BTCUSDT-1h-2023-01-05.zip"
    assert server.queries == []


def test_a_hole_of_many_days_is_asked_for_by_month_and_by_day_where_there_is_none(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    from_archive(tmp_path, without(hourly, *range(50, 300), *range(800, 1000)))
    for ending in ("", ".CHECKSUM"):
        del server.files[f"{Zip(HOURLY, '2023-02').path}{ending}"]
    assert mend(tmp_path, server, rest).filled == 450
    assert sound(tmp_path, hourly)
    assert server.asked[Zip(HOURLY, "2023-01").path] == 1
    assert server.asked[Zip(HOURLY, "2023-01-05").path] == 0
    assert server.asked[Zip(HOURLY, "2023-02-05").path] == 1


def test_what_only_rest_has_is_an_archive_loss_and_what_nobody_has_an_outage(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, *range(100, 110)))
    server.publish(without(hourly, *range(100, 108)), [*MONTHS, *DAYS])
    server.klines["um", "BTCUSDT", "1h"] = without(hourly, *range(100, 104))
    done = mend(tmp_path, server, rest)
    assert (done.missing, done.filled, done.left) == (10, 6, 4)
    assert (done.causes, done.done) == ({OUTAGE: 4}, True)
    entries = read_ledger(folder).entries
    assert [(e.count, e.filled, e.cause) for e in entries] == [
        (4, 0, OUTAGE),
        (4, 4, ARCHIVE_LOSS),
        (2, 2, OUR_LOSS),
    ]
    assert check_series(tmp_path, HOURLY).unexplained == 0
    asked = server.asked.total()
    again = mend(tmp_path, server, rest)
    assert (again.missing, again.filled, again.left) == (4, 0, 4)
    assert server.asked.total() == asked
    server.klines["um", "BTCUSDT", "1h"] = hourly
    assert mend(tmp_path, server, rest, again=True).filled == 4
    assert sound(tmp_path, hourly)


def test_a_series_from_local_files_is_asked_for_at_rest_alone(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    save(tmp_path, without(hourly, 7, 300), "mine.csv")
    assert mend(tmp_path, server, rest).filled == 2
    assert sound(tmp_path, hourly)
    assert not any(path.startswith("data/") for path in server.asked)


def flip(path: Path, at: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(at * len(raw))] ^= 4
    path.write_bytes(raw)


@pytest.mark.parametrize("how", ["flip", "footer", "torn", "empty", "missing", "other month"])
def test_a_damaged_file_is_whole_again_bit_for_bit(
    how: str, tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    path = folder / "2023-02.parquet"
    before = path.read_bytes()
    if how in ("flip", "footer"):
        flip(path, 0.5 if how == "flip" else 0.99)
    elif how in ("torn", "empty"):
        path.write_bytes(before[: len(before) // 2 * (how == "torn")])
    elif how == "missing":
        path.unlink()
    else:
        shutil.copyfile(folder / "2023-01.parquet", path)
    done = mend(tmp_path, server, rest)
    assert done.done
    assert done.mended[0].startswith("2023-02.parquet: ")
    assert path.read_bytes() == before
    assert sound(tmp_path, hourly)
    assert sorted(p.name for p in folder.glob("*.parquet*")) == [f"{m}.parquet" for m in MONTHS]
    assert mend(tmp_path, server, rest).mended == []


def test_rows_whose_checksums_hold_are_kept_and_only_the_others_are_fetched(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    """Of a series from REST: the question asked there is for the damaged row alone."""
    with writing(tmp_path, HOURLY) as writer:
        writer.add(table_of(hourly), Source("REST 2023-07-01", "0" * 64))
    path = HOURLY.folder(tmp_path) / "2023-02.parquet"
    table = pq.read_table(path)
    close = table["close"].to_numpy().copy()
    close[100] = np.nextafter(close[100], 1e9)
    pq.write_table(table.set_column(4, "close", pa.array(close)), path)
    done = mend(tmp_path, server, rest)
    assert (done.missing, done.filled, done.left) == (1, 1, 0)
    assert done.mended == ["2023-02.parquet: 671 rows kept, 1 fetched again (REST 2023-07-20)"]
    assert sound(tmp_path, hourly)
    times = [int(q["startTime"]) for path, q in server.queries if "klines" in path]
    assert times == [int(hourly.open_time[31 * 24 + 100])]
    (entry,) = read_ledger(path.parent).entries
    assert (entry.cause, entry.count, entry.filled) == (OUR_LOSS, 1, 1)


def test_of_a_local_file_the_name_is_said_and_the_damaged_file_is_kept(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    save(tmp_path, hourly, "mine.csv")
    folder = HOURLY.folder(tmp_path)
    path = folder / "2023-02.parquet"
    path.write_bytes(path.read_bytes()[:5000])
    torn = path.read_bytes()
    done = mend(tmp_path, server, rest)
    assert done.import_again == ["mine.csv"]
    assert not done.done
    assert (folder / "2023-02.parquet.damaged").read_bytes() == torn
    assert (done.left, done.causes) == (28 * 24, {OUR_LOSS: 28 * 24})
    assert server.asked.total() == 0
    assert check_series(tmp_path, HOURLY).errors == ()
    assert mend(tmp_path, server, rest).filled == 0
    save(tmp_path, hourly, "mine.csv")
    assert mend(tmp_path, server, rest).left == 0
    assert read_ledger(folder).entries[0].filled == 28 * 24
    assert sound(tmp_path, hourly)


def test_out_of_reach_nothing_is_touched_and_it_is_one_sentence(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 5))
    path = folder / "2023-02.parquet"
    flip(path)
    damaged = path.read_bytes()
    server.close()
    done = mend(tmp_path, server, rest)
    assert not done.done
    assert done.filled == 0
    assert path.read_bytes() == damaged
    assert "did not answer" in " ".join(done.failed)
    assert not (folder / LEDGER).exists()


def test_holes_that_could_not_be_asked_for_stay_open(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 5, 100))
    server.publish(without(hourly, 5), ["2023-01-01"])
    server.refusals["klines"] = (403, b"<html>forbidden</html>")
    done = mend(tmp_path, server, rest)
    assert (done.filled, done.left, len(done.failed)) == (1, 1, 1)
    assert [e.filled for e in read_ledger(folder).entries] == [1]
    server.refusals.clear()
    assert mend(tmp_path, server, rest).filled == 1
    assert sound(tmp_path, hourly)


@pytest.mark.parametrize("how", ["missing", "empty", "damaged", "pending"])
def test_a_manifest_is_made_anew_from_the_files(
    how: str, tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    manifest = folder / MANIFEST
    if how in ("missing", "pending"):
        manifest.unlink()
    else:
        manifest.write_text("" if how == "empty" else manifest.read_text()[:300])
    if how == "pending":
        (folder / "2023-03.parquet").rename(folder / "2023-03.parquet.new")
    done = mend(tmp_path, server, rest)
    assert done.done
    assert "made anew from 3 files" in done.mended[0]
    assert sound(tmp_path, hourly)
    assert [f.sources for f in read_manifest(folder).files] == [(), (), ()]
    assert server.asked.total() == 0


def test_a_lost_manifest_and_a_torn_file_are_mended_together(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    (folder / "2023-01.parquet").write_bytes(b"PAR1")
    assert mend(tmp_path, server, rest).done
    assert sound(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    flip(folder / "2023-02.parquet")
    assert mend(tmp_path, server, rest).done
    assert sound(tmp_path, hourly)


def test_strange_files_are_taken_in_or_set_aside(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    shutil.copyfile(folder / "2023-01.parquet", folder / "2024-01.parquet")
    (folder / "2023-02.parquet.new").write_bytes(b"left over")
    done = mend(tmp_path, server, rest)
    (folder / "notes.parquet").write_bytes(b"mine")
    kept = "0 rows of it kept, the damaged file as 2024-01.parquet.damaged"
    assert done.mended == [f"2024-01.parquet: not in the manifest, {kept}"]
    assert mend(tmp_path, server, rest).mended == [
        "notes.parquet is no month or day: kept as notes.parquet.damaged"
    ]
    assert not (folder / "2023-02.parquet.new").exists()
    with writing(tmp_path, HOURLY) as writer:
        writer.drop("2023-03")
    assert mend(tmp_path, server, rest).mended == [
        "2023-03.parquet was not in the manifest: taken in"
    ]
    assert sound(tmp_path, hourly)


def test_a_damaged_ledger_is_begun_anew(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / LEDGER).write_text("{")
    done = mend(tmp_path, server, rest)
    assert done.mended == [
        "gaps.json was damaged: begun anew, the old one is kept as gaps.json.damaged"
    ]


def test_a_second_repair_at_the_same_time_is_told(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    from_archive(tmp_path, hourly)
    with writing(tmp_path, HOURLY), pytest.raises(RunRefused, match="is writing BTCUSDT um 1h"):
        mend(tmp_path, server, rest)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_breaks_the_truth_comes_back_or_stays_a_hole(
    seed: int, tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    """Damage by chance, an archive and REST with faults by chance; repeated until all is done."""
    dice = random.Random(seed)
    lost = sorted(dice.sample(range(1, 2159), 30))
    folder = from_archive(tmp_path, without(hourly, *lost))
    for month in dice.sample(MONTHS, 2):
        path = folder / f"{month}.parquet"
        choice = dice.randrange(3)
        if choice == 0:
            path.unlink()
        elif choice == 1:
            path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])
        else:
            flip(path, dice.random())
    server.dice = random.Random(seed)
    for _ in range(40):
        if mend(tmp_path, server, rest).done:
            break
    server.dice = None
    done = mend(tmp_path, server, rest)
    found = check_series(tmp_path, HOURLY)
    assert found.errors == ()
    candles = stored(tmp_path)
    at = np.searchsorted(hourly.open_time, candles.open_time)
    assert all(np.array_equal(candles.arrays[n], v[at]) for n, v in hourly.arrays.items())
    assert done.left == len(hourly.open_time) - len(candles.open_time)


def test_entries_of_a_fetch_are_respected(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 50))
    time = int(hourly.open_time[50])
    record(folder, HOURLY, [Entry(time, time, 1, OUTAGE, asked_ms=NOW)])
    assert mend(tmp_path, server, rest).left == 1
    assert server.asked.total() == 0


def test_candles_made_of_trades_are_not_mixed_with_the_exchange_s(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    with writing(tmp_path, HOURLY) as writer:
        table = table_of(without(hourly, 50))
        writer.add(table, Source("aggTrades/2023-01-01.parquet", "0" * 64))
    assert mend(tmp_path, server, rest).left == 1
    path = HOURLY.folder(tmp_path) / "2023-02.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    done = mend(tmp_path, server, rest)
    assert done.failed == [
        "2023-02.parquet was made of trades, make it again: wick data tumble BTCUSDT --timeframe 1h"
    ]
    assert server.asked.total() == 0


def test_a_file_without_a_manifest_keeps_its_good_rows_when_nobody_has_the_others(
    tmp_path: Path, server: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    path = folder / "2023-03.parquet"
    table = pq.read_table(path)
    close = table["close"].to_numpy().copy()
    close[[5, 700]] += 1
    pq.write_table(table.set_column(4, "close", pa.array(close)), path)
    server.files.clear()
    server.klines["um", "BTCUSDT", "1h"] = hourly.slice(0, 1000)
    done = mend(tmp_path, server, rest)
    assert (done.left, done.causes) == (2, {OUR_LOSS: 2})
    assert done.mended[1].startswith("2023-03.parquet: 742 of 744 rows kept")
    lost = [59 * 24 + 5, 59 * 24 + 700]
    assert same_candles(stored(tmp_path), without(hourly, *lost))
    assert (folder / "2023-03.parquet.damaged").exists()
