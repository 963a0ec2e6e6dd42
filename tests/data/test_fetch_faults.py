"""Whatever happens on the way, nothing is half stored, and a quiet fetch completes the store."""

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from data.fetching.fetch import fetch
from data.manifest import Series, read_manifest
from data.store import load
from data.writer import writing
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, same_candles
from tests.data.fetches import asking, run
from tests.data.test_archive import BTC, MONTHS, NOW, Watching, days

ROOT = Path(__file__).resolve().parents[2]
PERIODS = [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 12, 29)]
TRUE_ROWS = 89 * 24 + 12
# Of about 60 questions for files; loading is at most eight files ahead of the store.
KILL_AT = (1, 15, 30, 45, 60)


@pytest.fixture
def server(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve three months: two by month, one by day, two days of it and the tail by REST alone."""
    archive_server.now_ms = NOW
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.publish(hourly, PERIODS)
    return archive_server


def is_true_as_far_as_it_goes(store: Path, truth: Candles) -> bool:
    """Say whether every stored candle is that of the truth, to the bit."""
    if not read_manifest(BTC.folder(store)).files:
        return True
    got = load(store, "um", "BTCUSDT", "1h")
    at = (got.open_time - JAN_2023) // 3_600_000
    true = Candles("BTCUSDT", "um", "1h", {n: v[at] for n, v in truth.arrays.items()})
    return same_candles(got, true)


@pytest.mark.parametrize("seed", range(8))
def test_random_faults_never_store_anything_wrong_and_a_quiet_fetch_completes(
    tmp_path: Path, server: ArchiveServer, hourly: Candles, seed: int
) -> None:
    """The seed in the test's name draws the faults."""
    server.dice = random.Random(seed)
    server.fault_share = (0.1, 0.3, 0.6)[seed % 3]
    for _ in range(3):
        try:
            run(server, tmp_path)
        except WickError as error:
            assert error.hint
        assert is_true_as_far_as_it_goes(tmp_path, hourly)
    server.dice = None
    run(server, tmp_path)
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly.slice(0, TRUE_ROWS))
    assert not list(tmp_path.rglob("*.new"))


def start_fetch(server: ArchiveServer, store: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "wick.py"), "data", "fetch", "BTCUSDT"]
    command += ["--from", "2023-01-01", "--timeframe", "1h", "--store", str(store), *arguments]
    urls = dict.fromkeys(("WICK_ARCHIVE_URL", "WICK_REST_URL", "WICK_SPOT_REST_URL"), server.url)
    return subprocess.Popen(
        command,
        env=os.environ | urls,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=store.parent,
    )


@pytest.mark.parametrize("question", KILL_AT)
def test_killed_at_any_moment_the_next_fetch_loads_only_what_is_missing(
    tmp_path: Path, server: ArchiveServer, hourly: Candles, question: int
) -> None:
    store = tmp_path / "store"
    reached = threading.Event()

    def count(path: str) -> None:
        if sum(n for asked, n in server.asked.items() if asked.startswith("data/")) >= question:
            reached.set()

    server.before = count
    process = start_fetch(server, store)
    assert reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    server.before = lambda path: None
    assert is_true_as_far_as_it_goes(store, hourly)
    stored = {s.name for f in read_manifest(BTC.folder(store)).files for s in f.sources}
    assert len(stored) >= (question - 20) // 2
    server.asked.clear()
    done = run(server, store)
    zips = {path.rpartition("/")[2] for path in server.asked if path.endswith(".zip")}
    zips = {name for name in zips if any(path.endswith(name) for path in server.files)}
    # A file stored after the last look into the manifest may be asked for again, no other.
    assert not zips & stored
    assert done.known + done.files == len(PERIODS)
    assert same_candles(load(store, "um", "BTCUSDT", "1h"), hourly.slice(0, TRUE_ROWS))


@pytest.mark.parametrize("seed", range(3))
def test_kills_among_random_faults_never_store_anything_wrong(
    tmp_path: Path, server: ArchiveServer, hourly: Candles, seed: int
) -> None:
    """The seed in the test's name draws the faults and the moments of the kills."""
    store, dice = tmp_path / "store", random.Random(seed)
    server.dice, server.fault_share = random.Random(seed), 0.1
    for _ in range(2):
        begun = threading.Event()
        server.before = lambda path, begun=begun: begun.set()  # type: ignore[misc]
        process = start_fetch(server, store)
        assert begun.wait(60)
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.0, 3.0))
        process.kill()
        process.communicate(timeout=30)
        assert is_true_as_far_as_it_goes(store, hourly)
    server.dice = None
    run(server, store)
    assert same_candles(load(store, "um", "BTCUSDT", "1h"), hourly.slice(0, TRUE_ROWS))


def test_killed_while_rest_answers_the_archive_part_is_there(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    store = tmp_path / "store"
    asked, free = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("v1/klines"):
            asked.set()
            free.wait(30)

    server.before = hang
    process = start_fetch(server, store)
    assert asked.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    free.set()
    assert len(load(store, "um", "BTCUSDT", "1h")) == 86 * 24
    done = run(server, store)
    assert (done.files, done.known) == (0, len(PERIODS))
    assert same_candles(load(store, "um", "BTCUSDT", "1h"), hourly.slice(0, TRUE_ROWS))


def test_the_second_fetch_of_one_series_is_told_who_holds_it_and_another_series_goes_on(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    store = tmp_path / "store"
    held, free = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("1h-2023-02.zip"):
            held.set()
            free.wait(60)

    server.before = hang
    first = start_fetch(server, store)
    assert held.wait(60)
    with pytest.raises(RunRefused, match=f"process {first.pid} is writing BTCUSDT um 1h"):
        run(server, store)
    ether = Candles("ETHUSDT", "um", "1h", hourly.arrays)
    server.klines["um", "ETHUSDT", "1h"] = ether
    server.publish(ether, [*days("2023-03", 1, 30)])
    series = Series("um", "ETHUSDT", "1h")
    assert run(server, store, series, JAN_2023 + 59 * DAY_MS).files == 30
    free.set()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "BTCUSDT um 1h: 29 files fetched" in said
    assert same_candles(load(store, "um", "BTCUSDT", "1h"), hourly.slice(0, TRUE_ROWS))


def test_a_held_series_is_refused_before_anything_is_asked(
    tmp_path: Path, server: ArchiveServer
) -> None:
    with (
        writing(tmp_path, BTC),
        asking(server) as its,
        pytest.raises(RunRefused, match="is writing BTCUSDT um 1h") as refused,
    ):
        fetch(tmp_path, its.archive, its.rest, BTC, JAN_2023, NOW, NOW, Watching())
    assert refused.value.hint == "wait until it has ended, then run the same command again"
    assert not server.asked
