"""wick data check and repair, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from data.files.importer import Labels, import_file
from data.gaps import OUTAGE, read_ledger
from data.manifest import MANIFEST, Series
from data.settings import load_settings
from data.store import load
from data.writer import save
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, MONTHS, ArchiveServer, run, same_candles
from tests.data.mending import flip, from_archive, without

ROOT = Path(__file__).resolve().parents[2]
HOURLY = Series("um", "BTCUSDT", "1h")


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive_server: ArchiveServer, hourly: Candles
) -> Path:
    """Work in an empty folder, with a loopback archive and REST."""
    monkeypatch.chdir(tmp_path)
    for name in ("WICK_STORE", "WICK_RUNS", "WICK_SESSIONS", "WICK_REDIS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WICK_ARCHIVE_URL", "WICK_REST_URL", "WICK_SPOT_REST_URL"):
        monkeypatch.setenv(name, archive_server.url)
    archive_server.publish(hourly, MONTHS)
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.now_ms = JAN_2023 + 200 * DAY_MS
    return tmp_path


def test_check_names_the_damage_and_the_command_that_mends_it(
    hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = from_archive(load_settings().store, without(hourly, *range(100, 150)))
    flip(folder / "2023-02.parquet")
    assert run("data", "check") == 1
    said = capsys.readouterr().out
    assert "is damaged on the disk" in said
    mend = "wick data repair BTCUSDT --market um --timeframe 1h"
    assert f"next: {mend}\n" in said
    assert run(*mend.split()[1:]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == [
        "series", "missing", "filled", "left", "cause", "of", "what", "is", "left"
    ]  # fmt: skip
    assert "mended: BTCUSDT um 1h: 2023-02.parquet: " in said
    assert run("data", "check", "--strict") == 0
    assert load(load_settings().store, "um", "BTCUSDT", "1h").fingerprint == hourly.fingerprint


def test_an_outage_is_explained_and_passes_the_strict_check(
    archive_server: ArchiveServer, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = without(hourly, *range(100, 150))
    archive_server.klines["um", "BTCUSDT", "1h"] = broken
    save(load_settings().store, broken, "test")
    assert run("data", "check", "--strict") == 1
    assert "50 candles missing, 2023-01-05 04:00 to 2023-01-07 05:00 UTC, cause unknown" in (
        capsys.readouterr().out
    )
    assert run("data", "repair") == 0
    assert "exchange outage 50" in capsys.readouterr().out
    assert run("data", "check", "--strict") == 0
    said = capsys.readouterr().out
    assert "2023-01-05 04:00 to 2023-01-07 05:00 UTC, exchange outage" in said
    assert "2023  93.2" in said


def test_json_carries_the_same_facts(hourly: Candles, capsys: pytest.CaptureFixture[str]) -> None:
    save(load_settings().store, without(hourly, 5), "test")
    assert run("data", "check", "--json") == 0
    (checked,) = json.loads(capsys.readouterr().out)
    assert checked["holes"][0]["cause"] == "unknown"
    assert checked["coverage"][0] == {"month": "2023-01", "present": 743, "expected": 744}
    assert run("data", "repair", "--json") == 0
    (repaired,) = json.loads(capsys.readouterr().out)
    assert (repaired["missing"], repaired["filled"], repaired["left"]) == (1, 1, 0)


def test_out_of_reach_is_said_once_and_exits_with_1(
    archive_server: ArchiveServer,
    hourly: Candles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(load_settings().store, without(hourly, 5), "test")
    archive_server.refusals["time"] = (403, b"<html>no</html>")
    assert run("data", "repair") == 1
    said = capsys.readouterr().out
    assert said.count("failed: ") == 1
    assert "run the same command again later" in said


def test_a_lost_manifest_is_found_and_mended_without_naming_the_series(
    hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    store = load_settings().store
    (from_archive(store, hourly) / MANIFEST).unlink()
    assert run("data", "check", "BTCUSDT") == 1
    assert "manifest.json is missing, 3 files lie there" in capsys.readouterr().out
    assert run("data", "repair") == 0
    assert "made anew from 3 files" in capsys.readouterr().out
    assert run("data", "check", "--strict") == 0


@pytest.mark.parametrize("arguments", [["check", "XUSDT"], ["repair", "--kind", "candles"]])
def test_wrong_use_exits_with_2(
    arguments: list[str], hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    save(load_settings().store, hourly, "test")
    assert run("data", *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_repair_killed_in_the_middle_goes_on(
    archive_server: ArchiveServer, hourly: Candles
) -> None:
    """It is killed while it waits for the second of two files; the first is stored by then."""
    store = load_settings().store
    folder = from_archive(store, hourly)
    for month in ("2023-01", "2023-03"):
        flip(folder / f"{month}.parquet")
    stuck, free = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("2023-03.zip"):
            stuck.set()
            free.wait(30)

    archive_server.before = hang
    command = [sys.executable, str(ROOT / "wick.py"), "data", "repair", "BTCUSDT"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert stuck.wait(60)
    before = (folder / "2023-03.parquet").read_bytes()
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    free.set()
    archive_server.before = lambda path: None
    assert (folder / "2023-03.parquet").read_bytes() == before
    asked = archive_server.asked[next(p for p in archive_server.files if "2023-01.zip" in p)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert "2023-03.parquet" in done.stdout
    assert "2023-01.parquet" not in done.stdout
    assert asked == 1
    assert same_candles(load(store, "um", "BTCUSDT", "1h"), hourly)


def test_a_real_outage_is_told_from_real_losses(
    archive_server: ArchiveServer, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exchange's spot market stood still on 2023-03-24 for 80 minutes."""
    store, its = load_settings().store, Series("spot", "BTCUSDT", "1m")
    path = shared_data / "klines" / "BTCUSDT-spot-1m-20220101-20231231.parquet"
    labels = Labels(start_ms=1_677_628_800_000, end_ms=1_680_307_200_000)
    import_file(store / "truth", path, labels, 1_800_000_000_000)
    truth = load(store / "truth", "spot", "BTCUSDT", "1m")
    archive_server.klines["spot", "BTCUSDT", "1m"] = truth
    kept = np.delete(np.arange(len(truth.open_time)), [*range(1000, 1010), 33_000, 34_000])
    save(
        store,
        Candles("BTCUSDT", "spot", "1m", {n: v[kept] for n, v in truth.arrays.items()}),
        "mine",
    )
    assert run("data", "repair", "BTCUSDT", "--market", "spot") == 0
    assert "92      12    80  exchange outage 80" in capsys.readouterr().out
    assert [(e.count, e.filled, e.cause) for e in read_ledger(its.folder(store)).entries] == [
        (10, 10, "our loss"),
        (1, 1, "our loss"),
        (80, 0, OUTAGE),
        (1, 1, "our loss"),
    ]
    assert same_candles(load(store, "spot", "BTCUSDT", "1m"), truth)
    assert run("data", "check", "--strict") == 0
