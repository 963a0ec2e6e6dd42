"""wick data fetch, as a user types it."""

import json
import os
import pty
import re
import sys
import time
from pathlib import Path

import pytest

from data.store import load
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, run
from tests.data.exchange_server import symbol
from tests.data.fetches import funding_rows
from tests.data.test_archive import MONTHS, NOW, days

ROOT = Path(__file__).resolve().parents[2]
FETCH = ["data", "fetch", "BTCUSDT", "--from", "2023-01-01", "--timeframe", "1h"]
URLS = ("WICK_ARCHIVE_URL", "WICK_REST_URL", "WICK_SPOT_REST_URL")


@pytest.fixture
def server(
    archive_server: ArchiveServer,
    hourly: Candles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ArchiveServer:
    """Serve three months but for two days in the middle; work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in URLS:
        monkeypatch.setenv(name, archive_server.url)
    monkeypatch.delenv("WICK_STORE", raising=False)
    archive_server.now_ms = NOW
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.publish(hourly, [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 12, 30)])
    archive_server.fundings["BTCUSDT"] = funding_rows(400)
    archive_server.infos["um"] = [symbol("BTCUSDT")]
    return archive_server


def test_what_was_done_is_said_in_a_few_lines(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FETCH) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        "BTCUSDT um 1h: 30 files fetched, 0 stored before; 60 rows from REST;"
        " 2,148 candles added, 0 replaced"
    )
    assert re.fullmatch(
        r"note: this computer's clock is \d+ days ahead of the exchange's, 2023-03-31 12:00 UTC:"
        r" the exchange's is followed",
        said[1],
    )
    filled, funding = said[2:]
    assert filled == (
        "filled from REST: 48 rows, 2023-03-10 00:00 to 2023-03-11 23:00 UTC (archive loss)"
    )
    assert funding == (
        "BTCUSDT um funding: 0 files fetched, 0 stored before; 269 rows from REST;"
        " 269 funding rates added, 0 replaced"
    )
    assert run(*FETCH) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        "BTCUSDT um 1h: 0 files fetched, 30 stored before; 0 candles added, 0 replaced"
    )


def test_json_has_the_facts_with_sources_and_what_was_filled(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FETCH, "--json") == 0
    candles, funding = json.loads(capsys.readouterr().out)
    assert candles["series"]["timeframe"] == "1h"
    assert (candles["files"], candles["rest_rows"]) == (30, 60)
    assert candles["merge"] == {"added": 2148, "identical": 0, "replaced": 0}
    names = [source["name"] for source in candles["sources"]]
    assert names.count("REST 2023-03-31") == 2
    assert "BTCUSDT-1h-2023-01.zip" in names
    (filled,) = candles["filled"]
    assert (filled["cause"], filled["count"], filled["filled"]) == ("archive loss", 48, 48)
    assert funding["series"]["kind"] == "funding"


def test_without_rest_the_exit_code_is_0_and_the_days_are_named(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["v1/time"] = [451]
    assert run(*FETCH, "--to", "2023-03-20") == 0
    said = capsys.readouterr().out
    assert f"note: REST at {server.url} is closed to this address (status 451)" in said
    assert "not in the archive (yet): 2 days: 2023-03-10, 2023-03-11" in said
    assert len(load(Path("var/store"), "um", "BTCUSDT", "1h")) == 76 * 24


def test_a_refused_file_that_nothing_fills_ends_with_1(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "BTCUSDT-1h-2023-03-05.zip"
    server.put(f"data/futures/um/daily/klines/BTCUSDT/1h/{name}", b"nonsense")
    server.faults["v1/time"] = [451]
    assert run(*FETCH, "--to", "2023-03-20") == 1
    said = capsys.readouterr()
    assert f"refused: {name} is not a whole zip file" in said.out
    assert "wick: nothing usable could be had of BTCUSDT um 1h 2023-03-05" in said.err
    assert "hint: " in said.err
    assert run(*FETCH) == 0
    assert len(load(Path("var/store"), "um", "BTCUSDT", "1h")) == 89 * 24 + 12


def test_today_alone_needs_rest(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.dates.now_ms", lambda: NOW)
    today = ["data", "fetch", "BTCUSDT", "--from", "2023-03-31", "--timeframe", "1h"]
    server.faults["v1/time"] = [451]
    assert run(*today) == 1
    assert "is closed to this address" in capsys.readouterr().err
    assert run(*today) == 0
    assert "12 rows from REST; 12 candles added" in capsys.readouterr().out


def test_several_symbols_may_be_named_and_one_twice(
    server: ArchiveServer, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    server.klines["um", "ETHUSDT", "1h"] = hourly
    server.publish(Candles("ETHUSDT", "um", "1h", hourly.arrays), MONTHS)
    assert run(*FETCH, "ethusdt", "BTCUSDT") == 0
    said = capsys.readouterr().out
    assert said.count("BTCUSDT um 1h: ") == 1
    assert "ETHUSDT um 1h: " in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--kind", "klnes"], "unknown kind 'klnes'"),
        (["--kind", "funding", "--timeframe", "1h"], "funding rates have no timeframe, given '1h'"),
        (["--kind", "mark", "--market", "spot"], "the market spot has no mark price candles"),
    ],
)
def test_wrong_use_is_one_sentence(
    server: ArchiveServer,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert run("data", "fetch", "BTCUSDT", "--from", "2023-01-01", *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "hint: " in said
    assert not server.asked


def test_every_address_is_a_setting_and_checked(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in URLS:
        with monkeypatch.context() as patch:
            patch.setenv(name, "vision")
            assert run(*FETCH) == 2
        said = capsys.readouterr().err
        assert f"{name.removeprefix('WICK_').lower()} is 'vision', expected an address" in said


def test_a_terminal_sees_speed_and_time_left_of_files_and_rest(server: ArchiveServer) -> None:
    server.before = lambda path: time.sleep(0.05)
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(COLUMNS="120", TERM="xterm")
        os.execv(sys.executable, [sys.executable, str(ROOT / "wick.py"), *FETCH])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            break
        shown += piece
        if not piece:
            break
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    # Two months, 30 days of March and a page for today are foreseen; the hole costs one more.
    assert "/33" in text
    assert "34/34" in text
    assert re.search(r"\d\.\d MB/s \d:\d\d:\d\d", text)
    assert text.rstrip().endswith("269 funding rates added, 0 replaced")


def test_a_range_that_ends_early_asks_rest_for_nothing(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FETCH, "--to", "2023-03-01", "--json") == 0
    candles, _ = json.loads(capsys.readouterr().out)
    assert candles["rest_rows"] == 0
    assert not server.asked["fapi/v1/klines"]
    last = load(Path("var/store"), "um", "BTCUSDT", "1h").open_time[-1]
    assert last == JAN_2023 + 59 * DAY_MS - 3_600_000


def test_a_mistyped_symbol_among_several_costs_the_others_nothing(
    server: ArchiveServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("data", "fetch", "BTCUSTD", *FETCH[2:], "--json") == 2
    said = capsys.readouterr()
    assert [one["series"]["kind"] for one in json.loads(said.out)] == ["klines", "funding"]
    assert "1 of 2 symbols could not be fetched" in said.err
    assert "BTCUSTD" in said.err
    assert "hint: " in said.err
    assert len(load(tmp_path / "var/store", "um", "BTCUSDT", "1h")) == 2148
    assert not (tmp_path / "var/store/um/BTCUSTD").exists()
