"""A session is looked at from outside, and asked for something."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

import wick
from live import control, roles
from live.bus import Entry
from live.connect import connect
from live.folders import Hold, tell_troubles
from live.journal import Journal
from live.journal_records import Asked, Began, Decided, Filled, Halted
from live.records import CONTROL, Beat, Health
from live.redis_server import start_embedded
from live.session import FILE, Addresses, Session
from live.show import print_status
from live.signs import Sign
from live.watch import Watch, line
from strategy.errors import WickError
from tests.live.sessions import MINUTE, START, make_session, write_session

NOON = START + 720 * MINUTE


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of sessions in an empty working folder."""
    for name in ("WICK_SESSIONS", "WICK_REDIS", "WICK_RUNS", "WICK_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var" / "sessions"


def wick_says(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        wick.main(arguments)
    said = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, said.out, said.err


def decided(time: int, equity: float) -> Decided:
    return Decided(
        n=0,
        time=time,
        wallet=round(equity * 1e8),
        equity=equity,
        day=START // 86_400_000,
        day_open=10_000.0,
        blocked=False,
        marks=(94_000.0,),
    )


def filled(trade_id: int, steps: int, held: int, pnl: float = 0.0) -> Filled:
    return Filled(
        n=0,
        symbol="BTCUSDT",
        trade_id=trade_id,
        id=f"cw0a1b2c-0-{trade_id}-e1",
        leg="e" if held else "x",
        steps=steps,
        price=94_000.0,
        fee=100_000_000,
        pnl=round(pnl * 1e8),
        time=NOON,
        held=held,
        entry=94_000.0 if held else 0.0,
        reason="" if held else "signal",
        stop=93_200.5 if held else 0.0,
        take=0.0,
        decided_at=NOON,
        reversal=False,
    )


@pytest.fixture
def traded(sessions: Path) -> tuple[Session, Path]:
    """Give a session that closed one trade and holds another position."""
    session = make_session(id="mine")
    folder = write_session(sessions / "mine", session)
    journal = Journal(folder)
    journal.append(Began(n=0, time=START, wallet=10_000 * 10**8, last_trade={"BTCUSDT": -1}))
    journal.append(filled(1, 12, 12))
    journal.append(filled(2, -12, 0, pnl=30.0))
    journal.append(filled(3, -5, -5))
    journal.append(decided(NOON, 10_027.0))
    journal.close()
    return session, folder


def test_a_session_stands_as_its_journal_says(traded: tuple[Session, Path]) -> None:
    session, folder = traded
    watch = Watch(session, folder)
    assert line(watch.look()) == (
        "2025-05-10 12:00 UTC  equity 10,027.00  BTCUSDT -0.005 at 94,000 stop 93,200.5  1 trade"
        "  running"
    )
    assert watch.look().net == 27.0
    journal = Journal(folder)
    journal.append(Asked(n=0, command="pause", by="me", time=NOON, entry="1-0"))
    assert watch.look().state == "paused"
    journal.append(Halted(n=0, reason="a fill that is not ours", time=NOON))
    assert line(watch.look()).endswith("halted: a fill that is not ours")
    journal.append(Asked(n=0, command="resume", by="me", time=NOON, entry="2-0"))
    journal.close()
    standing = watch.look()
    assert (standing.state, standing.asked) == ("running", "2-0")


def test_what_was_asked_too_late_changes_nothing_and_is_told(traded: tuple[Session, Path]) -> None:
    session, folder = traded
    watch = Watch(session, folder)
    journal = Journal(folder)
    journal.append(Asked(n=0, command="flatten", by="me", time=NOON, entry="1-0", late=True))
    standing = watch.look()
    assert (standing.state, standing.asked) == ("running", "1-0")
    assert line(standing).endswith("  flatten by me came too late, nothing was done")
    journal.append(Asked(n=0, command="pause", by="me", time=NOON, entry="2-0"))
    assert watch.look().state == "paused"
    assert "too late" not in line(watch.look())
    journal.close()


def test_the_status_of_a_session_that_is_over_is_its_journal(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = wick_says(capsys, "session", "status")
    assert (code, err) == (0, "")
    assert out.startswith("mine  rsi_macd_atr on paper, BTCUSDT um 1m  not running\n")
    assert "equity 10,027.00" in out
    code, out, _ = wick_says(capsys, "session", "status", "mine", "--json")
    said = json.loads(out)
    assert (said["running"], said["standing"]["trades"], said["roles"]) == (False, 1, [])


def test_sessions_are_listed(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = wick_says(capsys, "session", "list", "--json")
    assert json.loads(out) == [{"session": "mine", "state": "ended", "equity": 10_027.0}]
    code, out, _ = wick_says(capsys, "session", "list")
    assert code == 0
    assert "mine" in out


def test_no_role_is_cut_in_the_status(
    traded: tuple[Session, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    session, folder = traded
    sign = Sign("performance_tracker", 123, NOON + 1, "silent", "no sign of life for 25 s", 25_000)
    standing = Watch(session, folder).look()
    print_status(control.Status(folder, session, 1, standing, (sign,), None), as_json=False)
    words = (
        " performance_tracker  silent  123      25.0 s ago  2025-05-10 12:00:00  no sign of life"
    )
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["pause", "resume", "flatten"])
def test_a_session_that_is_not_running_cannot_be_asked(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    code, out, err = wick_says(capsys, "session", verb)
    assert (code, out) == (2, "")
    assert err.startswith(f"wick: the session mine is not running, so nobody could {verb} it\nhint")


def test_without_a_session_there_is_a_sentence(
    sessions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("status",), ("pause", "x"), ("list",)):
        code, _, err = wick_says(capsys, "session", *words)
        assert code == 2
        assert err.startswith("wick: there is no session in var/sessions\nhint: wick live")


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Hold a session as its supervisor does."""
    hold = Hold(folder)
    try:
        yield
    finally:
        hold.close()


def test_with_redis_gone_the_status_says_so_and_still_shows_the_account(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with running(traded[1]):
        code, out, _ = wick_says(capsys, "session", "status")
        assert code == 0
        assert f"process {os.getpid()}" in out
        assert "equity 10,027.00" in out
        assert "note: Redis at unix://" in out
        assert "hint: " in out
        code, out, err = wick_says(capsys, "session", "pause")
        assert (code, out) == (2, "")
        assert "is not reachable" in err


def test_the_troubles_of_a_running_session_are_in_its_status(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tell_troubles(traded[1], "trader not running: signal 9")
    with running(traded[1]):
        _, out, _ = wick_says(capsys, "session", "status")
        assert "running  trader not running: signal 9\n" in out
        _, out, _ = wick_says(capsys, "session", "status", "--json")
        assert json.loads(out)["troubles"] == "trader not running: signal 9"
    _, out, _ = wick_says(capsys, "session", "status")
    assert "signal 9" not in out


@contextmanager
def redis(folder: Path) -> Iterator[None]:
    process = start_embedded(folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


async def hears(session: Session, folder: Path, ready: threading.Event) -> None:
    """Do what a trader does with the first thing it is asked for."""
    bus = await connect(session, folder)
    await bus.set_health(Health("trader", os.getpid(), NOON, "running"))
    await bus.beat("trader", Beat(socket.gethostname(), os.getpid()))
    ready.set()
    entries: list[Entry] = []
    while not entries:
        entries = await bus.read({CONTROL: "0-0"}, 1_000)
    await bus.close()
    asked = entries[0].record
    journal = Journal(folder)
    journal.append(Asked(n=0, command=asked.command, by=asked.by, time=NOON, entry=entries[0].id))
    journal.close()


def test_a_running_session_takes_note_of_what_it_is_asked(
    traded: tuple[Session, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    session, folder = traded
    ready = threading.Event()
    with running(folder), redis(folder):
        trader = threading.Thread(target=lambda: asyncio.run(hears(session, folder, ready)))
        trader.start()
        assert ready.wait(30)
        code, out, err = wick_says(capsys, "session", "pause", "--json")
        trader.join()
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["standing"]["state"] == "paused"
    (trader,) = said["roles"]
    assert 0 <= trader.pop("age_ms") < 10_000
    assert trader == {
        "role": "trader", "pid": os.getpid(), "time": NOON, "state": "running", "note": ""
    }  # fmt: skip


def test_a_trader_that_does_not_hear_is_told_of(
    traded: tuple[Session, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "_HEARD_WITHIN_S", 0.1)
    with running(traded[1]), redis(traded[1]):
        code, _, err = wick_says(capsys, "session", "flatten", "mine")
    assert code == 2
    assert err.startswith("wick: the trader of mine has not taken note of flatten within 0.1 s")


def test_a_role_that_is_asked_to_end_has_not_ended_its_work(traded: tuple[Session, Path]) -> None:
    session, folder = traded
    nobody = msgspec.structs.replace(session, addresses=Addresses("http://127.0.0.1:1", "ws://x"))
    (folder / FILE).write_bytes(msgspec.json.encode(nobody))
    command = [sys.executable, wick.__file__, "role", "market-data", "--session", str(folder)]
    with redis(folder), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as role:
        assert role.stderr is not None
        while "exchange=unavailable" not in (said := role.stderr.readline()):
            assert said
        with running(folder):
            while not (signs := control.status_of(folder).signs):
                pass
        assert [(one.role, one.pid, one.state) for one in signs] == [
            ("market_data", role.pid, "starting")
        ]
        role.terminate()
        role.communicate(timeout=30)
        assert role.returncode == 128 + signal.SIGTERM


def test_a_role_waits_for_redis_as_long_as_it_takes_once_its_session_trades(
    traded: tuple[Session, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "_REDIS_WITHIN_S", 0.1)

    async def start() -> None:
        session, folder = traded
        role = roles.ROLES["market-data"]
        waits = roles._run("market-data", role, session, folder)
        await asyncio.wait({task := asyncio.create_task(waits)}, timeout=0.6)
        assert not task.done()
        task.cancel()
        assert await task == roles.TERMINATED
        (folder / "journal").write_bytes(b"")  # nothing has begun
        with pytest.raises(WickError, match="is not reachable"):
            await roles._run("market-data", role, session, folder)

    asyncio.run(start())


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (("trade",), "there is no role 'trade'", "did you mean trader?"),
        (("trader", "--session", "nowhere"), "there is no session in nowhere", "wick live"),
    ],
)
def test_a_role_that_cannot_run_says_why(
    sessions: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
    hint: str,
) -> None:
    if "--session" not in arguments:
        arguments += ("--session", "x")
    code, _, err = wick_says(capsys, "role", *arguments)
    assert code == 2
    assert sentence in err
    assert hint in err
