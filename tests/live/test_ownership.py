"""Two sessions never trade one symbol of one account."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live import ownership
from live.ownership import sole_trader
from live.running import WICK
from live.session import Addresses, Session
from strategy.errors import WickError
from tests.live.sessions import make_session, write_session

KEY = "k3y" * 20
EXCHANGE = Addresses("https://exchange.example", "")
ROOT = Path(__file__).resolve().parents[2]

HOLDS = """
import sys, time
from pathlib import Path
from live.ownership import sole_trader
from live.session import read_session
with sole_trader(read_session(Path(sys.argv[1])), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""
Start = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the state folder of these tests; nobody here looks for an instant only."""
    monkeypatch.setattr(ownership, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "candlewick"


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a way to start a process that trades a session's symbols."""
    started: list[subprocess.Popen[str]] = []

    def holding(folder: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLDS, str(folder), KEY]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield holding
    for process in started:
        process.kill()
        process.communicate()


def demo(name: str = "mine", *symbols: str, addresses: Addresses = EXCHANGE) -> Session:
    return make_session(symbols or ("BTCUSDT",), id=name, on="testnet", addresses=addresses)


def is_free(session: Session, key: str = KEY) -> bool:
    try:
        with sole_trader(session, key):
            return True
    except WickError:
        return False


def test_a_trader_is_refused_while_another_process_trades_its_symbol(
    tmp_path: Path, start: Start
) -> None:
    process = start(write_session(tmp_path / "first", demo("first", "BTCUSDT", "ETHUSDT")))
    folder = write_session(tmp_path / "second", demo("second", "XRPUSDT", "ETHUSDT"))
    env = os.environ | {"WICK_API_KEY": KEY, "WICK_API_SECRET": "secret"}
    trader = [*WICK, "role", "trader", "--session", str(folder)]
    done = subprocess.run(trader, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "wick: the session first trades ETHUSDT with this API key already\n" in done.stderr
    assert "hint: end it first (wick session status first shows it)" in done.stderr
    assert not (folder / "journal").exists()
    assert is_free(demo("third", "XRPUSDT"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_free(demo("second", "XRPUSDT", "ETHUSDT"))


def test_only_the_same_exchange_key_and_symbol_are_refused() -> None:
    elsewhere = Addresses("https://other.example", "")
    with sole_trader(demo("first"), KEY):
        assert not is_free(demo("second", "ETHUSDT", "BTCUSDT"))
        assert not is_free(demo(addresses=Addresses("https://EXCHANGE.example/", "")))
        assert is_free(demo("second", "ETHUSDT"))
        assert is_free(demo("second", addresses=elsewhere))
        assert is_free(demo("second"), "another")
    assert is_free(demo("second"))


def test_who_only_looks_for_an_instant_is_waited_for(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(write_session(tmp_path / "first", demo("first")))
    monkeypatch.setattr(ownership, "_PATIENCE_S", 60.0)

    def let_go(_: float) -> None:
        process.kill()
        process.wait()

    monkeypatch.setattr(time, "sleep", let_go)
    assert is_free(demo("second"))


def test_neither_names_nor_files_show_the_key(state: Path) -> None:
    with sole_trader(demo("mine", "BTCUSDT", "ETHUSDT"), KEY):
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        files = list(state.iterdir())
        assert len(files) == 2
        for file in files:
            assert KEY not in file.name
            assert file.read_bytes() == b"mine"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_session_with_an_account_of_its_own_holds_nothing(state: Path) -> None:
    for on in ("paper", "parity"):
        with sole_trader(make_session(on=on), KEY):
            assert not state.exists()


def test_a_session_that_did_not_write_its_name_is_another(state: Path) -> None:
    with sole_trader(demo(), KEY):
        (file,) = state.iterdir()
        file.write_bytes(b"")
        with pytest.raises(WickError, match=r"^another session trades BTCUSDT"):
            sole_trader(demo(), KEY).__enter__()


def test_without_a_folder_for_it_nobody_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/proc")
    with pytest.raises(WickError) as caught:
        sole_trader(demo(), KEY).__enter__()
    assert caught.value.message.startswith("/proc/.local/state/candlewick, which keeps")
    assert "XDG_STATE_HOME" in caught.value.hint


def test_an_error_of_the_one_who_holds_it_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="its own"), sole_trader(demo(), KEY):
        raise OSError(5, "its own")
    assert is_free(demo())
