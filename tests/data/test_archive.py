"""A fetch from a server that lays the archive out, with its faults, stores all or says what not."""

import threading
import time
from pathlib import Path

import pytest

from data.fetching.download import Archive, archive_reachable, downloads
from data.fetching.fetch import fetch
from data.fetching.fetched import Fetched
from data.manifest import Series, read_manifest
from data.quality import holes
from data.store import load
from data.writer import Merge, writing
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, same_candles, zipped

BTC = Series("um", "BTCUSDT", "1h")
MONTHS = ["2023-01", "2023-02"]
# The seeded market ends with March; the present is its last day at noon.
NOW = JAN_2023 + 89 * DAY_MS + DAY_MS // 2


def days(month: str, first: int, last: int) -> list[str]:
    return [f"{month}-{day:02d}" for day in range(first, last + 1)]


class Watching:
    def __init__(self) -> None:
        self.foreseen, self.expected, self.finished, self.received = 0, 0, 0, 0

    def foresee(self, files: int) -> None:
        self.foreseen = files

    def expect(self, files: int) -> None:
        self.expected += files

    def receive(self, size_bytes: int) -> None:
        self.received += size_bytes

    def finish(self) -> None:
        self.finished += 1


def run(
    server: ArchiveServer,
    store: Path,
    start: int = JAN_2023,
    now: int = NOW,
    series: Series = BTC,
    watcher: Watching | None = None,
) -> Fetched:
    archive = Archive(server.url, retry_wait_s=0.01, timeout_s=5.0)
    return fetch(store, archive, None, series, start, now, now, watcher or Watching())


@pytest.mark.parametrize("header", [False, True])
def test_months_then_days_up_to_yesterday_are_stored(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles, header: bool
) -> None:
    archive_server.publish(hourly, [*MONTHS, *days("2023-03", 1, 31)], header=header)
    watcher = Watching()
    done = run(archive_server, tmp_path, watcher=watcher)
    assert (done.files, done.known, done.notes, done.missing_days) == (32, 0, [], [])
    # The 90th day has not ended: its file is not even asked for.
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly.slice(0, 89 * 24))
    assert not any("2023-03-31" in path for path in archive_server.asked)
    assert watcher.expected == watcher.finished == 32
    sent = sum(len(archive_server.files[path]) for path in archive_server.asked)
    assert watcher.received == sent


def test_a_second_fetch_loads_only_what_is_new(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, [*MONTHS, *days("2023-03", 1, 29)])
    run(archive_server, tmp_path)
    archive_server.publish(hourly, days("2023-03", 30, 30))
    archive_server.asked.clear()
    done = run(archive_server, tmp_path)
    assert (done.files, done.known) == (1, 31)
    zips = [path for path in archive_server.asked if path.endswith(".zip")]
    assert [path[-14:] for path in zips] == ["2023-03-30.zip"]


def test_a_month_that_came_out_late_replaces_nothing(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, ["2023-01", *days("2023-02", 1, 28)])
    run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    archive_server.publish(hourly, ["2023-02"])
    done = run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    assert done.merge == Merge(identical=28 * 24)
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly.slice(0, 59 * 24))


def test_a_file_replaced_in_the_archive_is_fetched_again_and_said(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, MONTHS)
    run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    arrays = {n: v.copy() for n, v in hourly.arrays.items()}
    arrays["volume"][5] += 1.0
    mended = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1h", **arrays)
    archive_server.publish(mended, ["2023-01"])
    done = run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    assert done.merge.replaced == 1
    assert done.notes == ["BTCUSDT-1h-2023-01.zip was replaced in the archive; fetched again"]
    assert load(tmp_path, "um", "BTCUSDT", "1h").arrays["volume"][5] == arrays["volume"][5]


def test_days_missing_in_the_archive_are_named(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 12, 28)])
    done = run(archive_server, tmp_path)
    assert done.missing_days == ["2023-03-10", "2023-03-11", "2023-03-29", "2023-03-30"]
    (gap,) = holes(load(tmp_path, "um", "BTCUSDT", "1h").open_time, "1h")
    assert gap.count == 48


def test_months_before_the_listing_cost_one_question_each(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, ["2023-02", *days("2023-03", 1, 30)])
    done = run(archive_server, tmp_path, start=JAN_2023 - 1000 * DAY_MS)
    assert done.missing_days == []
    assert sum(archive_server.asked.values()) < 34 + 2 * 31 + 2


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "corrupt"])
def test_a_passing_fault_is_tried_again(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles, fault: int | str
) -> None:
    archive_server.publish(hourly, MONTHS)
    archive_server.faults = {"2023-01.zip": [fault], "2023-02.zip.CHECKSUM": [503, 503]}
    run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly.slice(0, 59 * 24))


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({"2023-02.zip": ["corrupt"] * 2}, r"BTCUSDT-1h-2023-02\.zip twice missed its checksum"),
        ({"2023-02.zip": [503] * 9}, r"BTCUSDT-1h-2023-02\.zip answered 503"),
        ({"2023-02.zip": [403] * 9}, r"BTCUSDT-1h-2023-02\.zip answered 403"),
        ({"2023-02.zip.CHECKSUM": ["html"] * 9}, r"CHECKSUM is no checksum but starts with '<html"),
    ],
)
def test_a_lasting_fault_ends_the_fetch_in_a_sentence_and_the_next_one_goes_on(
    tmp_path: Path,
    archive_server: ArchiveServer,
    hourly: Candles,
    faults: dict[str, list[int | str]],
    sentence: str,
) -> None:
    archive_server.publish(hourly, MONTHS)
    archive_server.faults = faults
    with pytest.raises(RunRefused, match=sentence) as refused:
        run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    assert refused.value.hint
    stored = read_manifest(BTC.folder(tmp_path)).files
    assert all(one.period == "2023-01" and one.rows == 31 * 24 for one in stored)
    archive_server.faults = {}
    run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS)
    assert len(load(tmp_path, "um", "BTCUSDT", "1h")) == 59 * 24


def test_a_zip_with_impossible_candles_stores_nothing(
    tmp_path: Path, archive_server: ArchiveServer
) -> None:
    name = "BTCUSDT-1h-2023-01.zip"
    text = f"{JAN_2023},10,9,12,11,5,0,50,3,2,20,0".encode()
    archive_server.put(f"data/futures/um/monthly/klines/BTCUSDT/1h/{name}", zipped(name, text))
    with pytest.raises(WickError, match=r"2023-01\.zip, line 1: high 9.0 is below low 12.0"):
        run(archive_server, tmp_path / "store", now=JAN_2023 + 31 * DAY_MS)
    assert not (tmp_path / "store").exists()


def test_an_unknown_symbol_gets_a_guess_and_leaves_nothing(
    tmp_path: Path, archive_server: ArchiveServer
) -> None:
    series = Series("um", "BTCSUDT", "1h")
    with pytest.raises(WickError, match="has no BTCSUDT um 1h candles from 2023-01-01") as refused:
        run(archive_server, tmp_path / "store", series=series)
    assert "did you mean BTCUSDT?" in refused.value.hint
    assert "--market spot" in refused.value.hint
    assert not (tmp_path / "store").exists()


def test_a_range_without_a_whole_day_is_refused(
    tmp_path: Path, archive_server: ArchiveServer
) -> None:
    with pytest.raises(WickError, match="holds no whole day"):
        run(archive_server, tmp_path, start=NOW)


def test_spot_lies_in_its_own_folder_and_has_microseconds(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    spot = Candles("BTCUSDT", "spot", "1h", hourly.arrays)
    archive_server.publish(spot, MONTHS, microseconds=True)
    series = Series("spot", "BTCUSDT", "1h")
    run(archive_server, tmp_path, now=JAN_2023 + 59 * DAY_MS, series=series)
    assert same_candles(load(tmp_path, "spot", "BTCUSDT", "1h"), hourly.slice(0, 59 * 24))


def test_two_fetches_of_one_series_do_not_mix(
    tmp_path: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.publish(hourly, MONTHS)
    with writing(tmp_path, BTC), pytest.raises(RunRefused, match="is writing BTCUSDT um 1h"):
        run(archive_server, tmp_path)


def test_at_most_four_questions_are_asked_at_once(archive_server: ArchiveServer) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def slow(path: str) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    archive_server.before = slow
    paths = [f"{i}.zip" for i in range(20)]
    list(downloads(Archive(archive_server.url), paths, {}, lambda size: None))
    assert 1 < most <= 4


def test_files_wait_for_whoever_stores_them(archive_server: ArchiveServer) -> None:
    for i in range(40):
        archive_server.put(f"{i}.zip", b"x")
    paths = [f"{i}.zip" for i in range(40)]
    results = downloads(Archive(archive_server.url), paths, {}, lambda size: None)
    next(results)
    time.sleep(0.5)
    loaded = sum(path.endswith(".zip") for path in archive_server.asked)
    # One was taken, four are ready, four are in hand.
    assert loaded <= 9
    assert len(list(results)) == 39


def test_a_fetch_that_is_given_up_stops_asking(archive_server: ArchiveServer) -> None:
    archive_server.before = lambda path: time.sleep(0.01)
    paths = [f"{i}.zip" for i in range(1000)]
    results = downloads(Archive(archive_server.url), paths, {}, lambda size: None)
    next(results)
    del results
    for thread in threading.enumerate():
        if thread.name.startswith("download"):
            thread.join(10.0)
            assert not thread.is_alive()
    assert sum(archive_server.asked.values()) < 1000


def test_reachable_means_an_answer_within_the_time(archive_server: ArchiveServer) -> None:
    assert archive_reachable(archive_server.url)
    assert not archive_reachable("http://127.0.0.1:9", timeout_s=1.0)
    assert not archive_reachable("http://no-such-host.invalid", timeout_s=1.0)
