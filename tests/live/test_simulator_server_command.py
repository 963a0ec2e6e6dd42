"""wick exchange serve, as a process and as somebody who calls it wrongly."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import wick
from data.writer import save
from tests.backtest.test_real_funding import add_funding
from tests.live.simulated import HISTORY, KEY, MINUTE, SECRET, START, market

ROOT = Path(__file__).resolve().parents[2]
SPAN = ("--from", "2025-05-01", "--to", "2025-05-02")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with a store, and keys in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("WICK_STORE", "WICK_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WICK_API_KEY", KEY)
    monkeypatch.setenv("WICK_API_SECRET", SECRET)
    save(tmp_path / "var" / "store", market("BTCUSDT", 60), "synthetic")
    return tmp_path


@pytest.fixture
def refused(stored: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a command that must refuse, as its exit code and what it said."""

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            wick.main(("exchange", "serve", *arguments))
        assert isinstance(stopped.value.code, int)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return stopped.value.code, said.err

    return run


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "wick.py"), "exchange", "serve", *arguments],
        cwd=folder,
        env=os.environ | {"WICK_API_KEY": KEY, "WICK_API_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def test_stored_candles_are_served_until_interrupted(stored: Path) -> None:
    with serving(stored, *SPAN, "--speed", "lockstep") as (process, line):
        addresses = json.loads(line)
        assert set(addresses) == {"rest", "stream", "clock"}
        assert addresses["rest"].startswith("http://127.0.0.1:")
        assert get(addresses["rest"] + "/fapi/v1/time") == {"serverTime": START}
        rows = get(addresses["rest"] + "/fapi/v1/klines?symbol=BTCUSDT&interval=1m")
        assert isinstance(rows, list)
        assert [rows[0][0], rows[-1][0]] == [START - HISTORY * MINUTE, START]
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert out == ""
        assert "Traceback" not in said
        assert SECRET not in line + said


def test_stored_funding_is_what_positions_pay(stored: Path) -> None:
    minutes = [START - 7 * MINUTE, START + 20 * MINUTE, START + 40 * MINUTE]
    rows = [(time + 3, 0.0001 * at) for at, time in enumerate(minutes)]  # as the exchange stamps
    add_funding(stored / "var" / "store", "BTCUSDT", rows)
    with serving(stored, *SPAN, "--speed", "lockstep") as (_, line):
        rest = json.loads(line)["rest"]
        index = get(rest + "/fapi/v1/premiumIndex?symbol=BTCUSDT")
        assert isinstance(index, dict)
        assert (index["lastFundingRate"], index["nextFundingTime"]) == ("0.0001", minutes[1])
        settled = get(rest + "/fapi/v1/fundingRate?symbol=BTCUSDT")
        assert isinstance(settled, list)
        assert [row["fundingTime"] for row in settled] == minutes[:1]


def test_the_exchange_stays_when_the_replay_is_over(stored: Path) -> None:
    with serving(stored, *SPAN, "--speed", "1000000") as (process, line):
        assert process.stderr is not None
        assert "the replay is over" in process.stderr.readline()
        rest = json.loads(line)["rest"]
        assert get(rest + "/fapi/v1/time") == {"serverTime": START + 60 * MINUTE}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "fast"), "--speed fast"),
        (("--speed", "0"), "--speed 0"),
        (("--speed", "nan"), "--speed nan"),
        (("--balance", "-1"), "--balance is -1"),
        (("--fee-bps", "1000"), "--fee-bps is 1000"),
        (("--symbols", "NOPEUSDT"), "NOPEUSDT"),
        (("--symbols", "BTCUSDT,BTCUSDT"), "twice"),
        (("--from", "2025-05-02", "--to", "2025-05-01"), "is not before"),
        (("--from", "tomorrow"), "--from tomorrow"),
        (("--from", "2026-01-01"), "2026-01-01"),
        (("--faults", "nowhere.toml"), "nowhere.toml"),
        (("--timeframe", "7x"), "7x"),
    ],
)
def test_wrong_use_is_one_sentence_and_a_hint(
    refused: Command, arguments: tuple[str, ...], words: str
) -> None:
    code, said = refused(*arguments)
    assert code == 2
    assert words in said
    assert "hint: " in said


def test_without_keys_it_says_how_to_make_a_pair(
    refused: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WICK_API_SECRET")
    code, said = refused("--symbols", "BTCUSDT")
    assert code == 2
    assert "WICK_API_KEY" in said
    assert "openssl rand -hex 32" in said


def test_a_port_in_use_is_said(refused: Command, stored: Path) -> None:
    with serving(stored, *SPAN) as (_, line):
        port = json.loads(line)["rest"].rpartition(":")[2]
        code, said = refused("--port", port)
        assert code == 2
        assert f"port {port}" in said
