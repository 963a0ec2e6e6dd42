"""wick data, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from data.manifest import Series
from data.settings import load_settings
from data.store import load
from data.table import REQUIRED
from data.writer import save, writing
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, binance_csv, run, zipped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the default store."""
    monkeypatch.chdir(tmp_path)
    for name in ("WICK_STORE", "WICK_RUNS", "WICK_SESSIONS", "WICK_REDIS", "WICK_ARCHIVE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def prices_of(candles: Candles) -> Candles:
    """Leave prices and volume only, whose fingerprint is shown."""
    arrays = {name: candles.arrays[name] for name in REQUIRED}
    return Candles(candles.symbol, candles.market, candles.timeframe, arrays)


def one_zip(folder: Path, hourly: Candles) -> Path:
    name = "BTCUSDT-1h-2023.zip"
    path = folder / name
    path.write_bytes(zipped(name, binance_csv(hourly, header=True)))
    return path


def test_import_check_show_from_an_empty_folder(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_zip(folder, hourly)
    assert run("data", "import", str(path)) == 0
    said = capsys.readouterr().out
    assert "BTCUSDT um 1h: BTCUSDT-1h-2023.zip, understood as Binance klines with header" in said
    assert "2,160 candles, 2,160 new" in said
    assert run("data", "check") == 0
    assert "BTCUSDT um 1h  2023-01-01  2023-03-31  2,160" in capsys.readouterr().out
    assert run("data", "show") == 0
    assert "in var/store" in capsys.readouterr().out
    assert run("data", "show", "BTCUSDT") == 0
    said = capsys.readouterr().out
    assert f"fingerprint {prices_of(hourly).fingerprint}" in said
    assert "2,160 candles in 3 files" in said


def test_json_carries_the_same_facts(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_zip(folder, hourly)
    series = {"market": "um", "symbol": "BTCUSDT", "timeframe": "1h", "kind": "klines"}
    for arguments in (["import", str(path)], ["check"], ["show"], ["show", "BTCUSDT"]):
        assert run("data", *arguments, "--json") == 0
        (record,) = json.loads(capsys.readouterr().out)
        assert record["series"] == series
        assert record["rows"] == 2160
    assert record["fingerprint"] == prices_of(hourly).fingerprint
    assert record["head"][0]["open_time"] == JAN_2023


def test_gaps_are_told_and_fail_only_when_strict(
    hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    for low, high in ((0, 100), (150, 200)):
        save(load_settings().store, hourly.slice(low, high), "test")
    assert run("data", "check", "BTCUSDT") == 0
    assert "gap: BTCUSDT um 1h: 50 candles missing" in capsys.readouterr().out
    assert run("data", "check", "BTCUSDT", "--strict") == 1


def test_a_damaged_file_fails_the_check(
    hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    save(load_settings().store, hourly, "test")
    path = Path("var/store/um/BTCUSDT/1h/2023-02.parquet")
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    assert run("data", "check") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "2023-02.parquet is not the file that was stored" in said


def test_one_refused_file_is_an_error_of_its_own_many_are_listed(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    one_zip(folder, hourly)
    (folder / "BTCUSDT-1h-bad.zip").write_bytes(b"<html>")
    assert run("data", "import", "BTCUSDT-1h-bad.zip") == 2
    said = capsys.readouterr()
    assert said.err.startswith("wick: BTCUSDT-1h-bad.zip is a web page, not data")
    assert run("data", "import", ".") == 1
    said = capsys.readouterr()
    assert "2,160 new" in said.out
    assert "refused: BTCUSDT-1h-bad.zip is a web page" in said.out
    assert "1 of 2 files were refused; nothing of them was stored" in said.err


def test_files_refused_by_another_writer_end_with_what_helps(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(2):
        text = binance_csv(hourly.slice(24 * i, 24 * i + 24), header=True)
        (folder / f"BTCUSDT-1h-2023-01-0{i + 1}.csv").write_bytes(text)
    with writing(load_settings().store, Series("um", "BTCUSDT", "1h")):
        assert run("data", "import", *map(str, sorted(folder.glob("*.csv")))) == 1
    said = capsys.readouterr()
    assert f"refused: 2 files, the first: process {os.getpid()} is writing" in said.out
    hint = "hint: wait until it has ended, then run the same command again"
    assert said.err.splitlines()[-1] == hint


def test_one_row_is_named_in_the_singular(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "BTCUSDT-1h.csv"
    path.write_bytes(binance_csv(hourly.slice(0, 1), header=True))
    assert run("data", "import", str(path)) == 0
    assert ", 1 candle, 1 new" in capsys.readouterr().out


def test_refusals_and_notes_of_many_files_are_a_line_for_each_reason(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    files = folder / "in"
    files.mkdir()
    for i in range(40):
        day = str(np.datetime64("2023-01-01") + i)
        text = binance_csv(hourly.slice(24 * i, 24 * i + 24), header=True).decode()
        *head, last = text.splitlines()
        (files / f"BTCUSDT-1h-{day}.csv").write_text("\n".join([*head, last, last]))
        # Each with its own symbol, line and value.
        broken = "\n".join([*head[: i % 20 + 2], last.replace(last.split(",")[5], f"x{i}")])
        (files / f"A{i}USDT-1h-{day}.csv").write_text(broken)
        (files / f"C{i}USDT-1h-{day}.csv").write_text("<html>")
    (files / "prices-1h.csv").write_bytes(binance_csv(hourly))
    assert run("data", "import", "in") == 1
    said = capsys.readouterr()
    lines = [line.split(";")[0] for line in said.out.splitlines() if line.startswith("refused: ")]
    assert [line.removeprefix("refused: 40 files, the first: ") for line in lines] == [
        "A0USDT-1h-2023-01-01.csv, line 3: volume is 'x0', expected a number",
        "C0USDT-1h-2023-01-01.csv is a web page, not data: the server answered with an error",
        "refused: cannot tell the symbol of prices-1h.csv from its name or content",
    ]
    notes = [line for line in said.out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert notes[0].startswith("note: 40 files, the first: BTCUSDT-1h-2023-01-01.csv: 1 repeated")
    assert run("data", "import", "in", "--json") == 1
    assert sum("message" in one for one in json.loads(capsys.readouterr().out)) == 81


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fetch", "BTCUSDT", "--from", "2023-13-01"], "--from 2023-13-01 is not a date (month"),
        (["fetch", "BTCUSDT", "--from", "soon"], "--from soon is not a date"),
        (["fetch", "BTCUSDT"], "Missing option '--from'"),
        (["fetch", "X", "--from", "2023-01-01", "--market", "spt"], "unknown market 'spt'"),
        (["fetch", "X", "--from", "2023-01-01", "--timeframe", "1x"], "unknown timeframe '1x'"),
        (["fetch", "X", "--from", "2999-01-01"], "holds no whole day"),
        (["fetch", "X", "--from", "2023-01-01", "--timeframe", "7m"], "unknown timeframe '7m'"),
        (["fetch", "ETH/../X", "--from", "2023-01-01"], "'ETH/../X' is no symbol"),
        (["import", "nowhere"], "nowhere does not exist"),
        (["show", "BTCUSDT"], "the store var/store holds no candles yet"),
        (["check"], "the store var/store holds no candles yet"),
        (["chek"], "No such command 'chek'. Did you mean 'check'?"),
    ],
)
def test_wrong_use_is_one_sentence_and_a_hint(
    arguments: list[str],
    sentence: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("data", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert sentence in lines[0]
    assert lines[1].startswith("hint: ")
    assert list(folder.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_a_sentence(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("a file where a folder is wanted")
    path = one_zip(folder, hourly)
    assert run("data", "import", str(path), "--store", "file/store") == 1
    said = capsys.readouterr().err
    assert "file/store" in said
    assert "WICK_STORE" in said
    assert "Traceback" not in said


def test_fetch_goes_on_after_ctrl_c(
    folder: Path, archive_server: ArchiveServer, hourly: Candles
) -> None:
    """The server stops answering after some files; the user gives up, and tries again later."""
    archive_server.publish(hourly, ["2023-01", "2023-02", "2023-03"])
    stuck, free = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("2023-03.zip"):
            stuck.set()
            free.wait(30)

    archive_server.before = hang
    range_ = ["--from", "2023-01-01", "--to", "2023-04-01", "--timeframe", "1h"]
    command = [sys.executable, str(ROOT / "wick.py"), "data", "fetch", "BTCUSDT", *range_]
    archive_server.now_ms = JAN_2023 + 400 * DAY_MS
    url = archive_server.url
    environment = os.environ | {"WICK_ARCHIVE_URL": url, "WICK_REST_URL": url}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert stuck.wait(30)
    # The other months are stored before the signal comes.
    for _ in range(500):
        manifest = folder / "var/store/um/BTCUSDT/1h/manifest.json"
        if manifest.exists() and all(m in manifest.read_text() for m in ("2023-01", "2023-02")):
            break
        threading.Event().wait(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "wick: stopped; nothing was left half-written\n"
    archive_server.before = lambda path: None
    free.set()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "1 file fetched, 2 stored before" in done.stdout
    assert load(folder / "var/store", "um", "BTCUSDT", "1h").fingerprint == hourly.fingerprint
