"""A session's processes from the first to the last, with a real Redis and made-up roles."""

import asyncio
import dataclasses
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data.dates import parse_time
from data.settings import Settings, load_settings
from data.synthetic import synthetic_market
from data.writer import save
from live import running
from live.connect import connect
from live.exchange.port import Exchange
from live.folders import Hold, troubles_of
from live.records import EQUITY, Beat, EquityPoint, Health
from live.running import Ended, Wish, exchange_command, run_session
from live.session import Session, read_session
from live.start import Asked, Draft, draft
from live.supervisor import Supervisor
from live.watch import Standing
from strategy.errors import RunRefused, WickError
from tests.live.chain import redis_in
from tests.live.test_supervisor import QUICK, alive

MAY = parse_time("2025-05-01", "--from")
SECRET = "5ec4e7" * 8
NOBODY = {"testnet_rest_url": "http://127.0.0.1:1", "testnet_stream_url": "ws://127.0.0.1:1"}

# Stands in for wick: `role NAME --session DIR` does what the variable NAME says, with underscores;
# `exchange serve …` prints an address and waits.
FAKE_WICK = """
import json, os, pathlib, signal, sys, time
name = sys.argv[2] if sys.argv[1] == "role" else "exchange"
here = pathlib.Path(os.environ["FAKE_FOLDER"])
def note(what):
    with open(here / "notes", "a") as file:
        file.write(f"{name} {what}\\n")
def notes():
    return (here / "notes").read_text() if (here / "notes").exists() else ""
def ends(*_):
    note("asked to end")
    sys.exit(0)
def waits():
    note("waits")
    while True:
        time.sleep(0.01)
signal.signal(signal.SIGTERM, ends)
def whole(kind, text):
    # A kill may come between opening and writing: a file is there whole or not at all.
    (here / f"{name}.new").write_text(text)
    os.replace(here / f"{name}.new", here / f"{name}.{kind}")
whole("pid", str(os.getpid()))
whole("env", json.dumps(dict(os.environ)))
if name == "exchange" and "SILENT" not in os.environ:
    print(json.dumps({"rest": "http://127.0.0.1:1", "stream": "ws://127.0.0.1:1"}), flush=True)
exec(os.environ.get(name.replace("-", "_"), "waits()" if name == "exchange" else "sys.exit(0)"))
"""
ROLES = ("market-data", "signal-generator", "trader", "performance-tracker")
WAITING = {name.replace("-", "_"): "waits()" for name in ROLES}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings with a day of candles to play after one of history."""
    save(tmp_path / "store", synthetic_market(7, 2 * 1440, MAY, "1m", "BTCUSDT"), "synthetic")
    folders = {name: tmp_path / name for name in ("store", "runs", "sessions")}
    return load_settings(**folders, **NOBODY)


@pytest.fixture
def drafted(settings: Settings) -> Draft:
    """Give a session on paper called mine."""
    asked = Asked("rsi_macd_atr", "paper", ("BTCUSDT",), name="mine")
    return draft(asked, settings, MAY, ["live"])


Run = Callable[..., Ended]


@pytest.fixture
def run(settings: Settings, drafted: Draft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give `run_session` with made-up roles and an account that is in order."""
    script = tmp_path / "fake_wick.py"
    script.write_text(FAKE_WICK)
    monkeypatch.delenv("WICK_REDIS", raising=False)
    monkeypatch.setenv("FAKE_FOLDER", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(running, "WICK", (sys.executable, str(script)))

    async def in_order(session: Session, exchange: Exchange, *, goes_on: bool) -> Session:
        return session

    monkeypatch.setattr(running, "check_exchange", in_order)

    def start(
        meanwhile: Callable[[Path], Coroutine[Any, Any, None]] | None = None,
        on: str = "paper",
        show: Callable[[Standing, str], None] = lambda *_: None,
        redis: str = "",
        created_ms: int = MAY,
        **roles: str,
    ) -> Ended:
        for name, code in roles.items():
            monkeypatch.setenv(name, code)
        wish = Wish(settings, redis, ("key", SECRET), show)
        session = msgspec.structs.replace(drafted.session, on=on, created_ms=created_ms)
        wanted = dataclasses.replace(drafted, session=session)

        async def both() -> Ended:
            task = asyncio.create_task(run_session(wanted, wish))
            if meanwhile is not None:
                other = asyncio.create_task(meanwhile(settings.sessions / "mine"))
                await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
                if other.done():
                    other.result()
                else:
                    other.cancel()
            return await task

        return asyncio.run(both())

    return start


def notes(tmp_path: Path) -> list[str]:
    path = tmp_path / "notes"
    return path.read_text().splitlines() if path.exists() else []


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def pid(tmp_path: Path, name: str) -> int:
    return int((tmp_path / f"{name}.pid").read_text())


def nothing_runs(tmp_path: Path) -> bool:
    return not any(alive(int(path.read_text())) for path in tmp_path.glob("*.pid"))


def test_a_session_is_over_when_all_roles_are_done(run: Run, tmp_path: Path) -> None:
    ended = run()
    assert ended.by is None
    assert notes(tmp_path) == ["exchange waits", "exchange asked to end"]
    assert nothing_runs(tmp_path)
    assert ended.session.addresses.rest == "http://127.0.0.1:1"
    assert ended.session.redis == ""


def test_only_who_speaks_for_the_account_gets_its_key(run: Run, tmp_path: Path) -> None:
    run()
    for name in (*ROLES, "exchange"):
        given = json.loads((tmp_path / f"{name}.env").read_text())
        assert (given.get("WICK_API_SECRET") == SECRET) == (name in ("trader", "exchange"))
    written = [path for path in (tmp_path / "sessions").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in written)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_asked_to_end_the_roles_are_and_the_one_that_writes_the_run_last(
    run: Run, tmp_path: Path, number: signal.Signals
) -> None:
    async def ask(folder: Path) -> None:
        await until(lambda: sum(line.endswith("waits") for line in notes(tmp_path)) == 5)
        (folder / "journal").touch()
        os.kill(os.getpid(), number)

    ended = run(ask, **WAITING)
    assert ended.by == number
    order = [line.split()[0] for line in notes(tmp_path) if line.endswith("asked to end")]
    assert sorted(order[:3]) == sorted(ROLES[:3])
    assert order[3:] == ["performance-tracker", "exchange"]
    assert nothing_runs(tmp_path)
    assert read_session(ended.folder) == ended.session


def test_a_role_that_refuses_ends_the_session_in_its_own_words(run: Run, tmp_path: Path) -> None:
    refuses = "print('wick: hedge mode\\nhint: switch it off'); sys.exit(2)"
    with pytest.raises(WickError) as refused:
        run(trader=refuses, market_data="waits()")
    assert (refused.value.message, refused.value.hint) == ("hedge mode", "switch it off")
    assert nothing_runs(tmp_path)
    assert not (tmp_path / "sessions").exists()


def test_outside_a_replay_a_role_that_ends_is_started_again(run: Run, tmp_path: Path) -> None:
    async def look(folder: Path) -> None:
        await until(lambda: notes(tmp_path).count("trader waits") == 2)
        (folder / "journal").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    first = "note('waits') if notes().count('trader waits') == 0 else waits()"
    run(look, "testnet", **WAITING | {"trader": first})
    assert nothing_runs(tmp_path)


def test_a_role_that_dies_is_there_again(run: Run, tmp_path: Path) -> None:
    async def kill(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        first = pid(tmp_path, "trader")
        os.kill(first, signal.SIGKILL)
        await until(lambda: notes(tmp_path).count("trader waits") == 2)
        (folder / "journal").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    run(kill, trader="waits()")
    assert nothing_runs(tmp_path)


def test_a_role_that_dies_again_and_again_ends_the_session_and_its_log_stays(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(RunRefused, match=r"trader died 5 times in 30 s.*out of ink") as refused:
        run(trader="sys.exit('out of ink')")
    log = tmp_path / "sessions" / "mine" / "logs" / "trader.log"
    assert str(log) in refused.value.hint
    assert log.read_text() == "out of ink\n" * 5
    assert nothing_runs(tmp_path)


def begin(folder: Path) -> None:
    """Do what a trader does first: from now on there may be a position."""
    (folder / "journal").write_text("something\n")


def test_once_it_trades_a_role_that_dies_for_ever_leaves_the_others_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "Supervisor", lambda: Supervisor(QUICK))
    shown: list[str] = []

    async def look(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        begin(folder)
        await until(lambda: notes(tmp_path).count("performance-tracker runs") > 8)
        await until(lambda: any("performance-tracker" in words for words in shown))
        assert troubles_of(folder) in shown
        assert "trader asked to end" not in notes(tmp_path)
        os.kill(os.getpid(), signal.SIGTERM)

    dies = (
        "note('runs')\n"
        "while not (here / 'sessions/mine/journal').exists(): time.sleep(0.01)\n"
        "sys.exit('out of ink')"
    )
    run(
        look,
        "testnet",
        lambda _, words: shown.append(words),
        **WAITING | {"performance_tracker": dies},
    )
    pattern = r"performance-tracker (not running, )?started again \d+ times: exit code 1"
    assert re.fullmatch(pattern, shown[-1])
    assert not (tmp_path / "sessions" / "mine" / "troubles").exists()
    assert nothing_runs(tmp_path)


def test_before_it_trades_a_role_that_dies_again_and_again_ends_the_session(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(RunRefused, match="trader died 5 times in 30 s"):
        run(None, "testnet", **WAITING | {"trader": "sys.exit('out of ink')"})
    assert nothing_runs(tmp_path)


@pytest.mark.parametrize("on", ["paper", "testnet"])
def test_what_a_role_refuses_after_it_was_at_work_ends_nothing(
    run: Run, tmp_path: Path, on: str
) -> None:
    async def look(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        begin(folder)
        number = pid(tmp_path, "trader")
        bus = await connect(read_session(folder), folder)
        await bus.beat("trader", Beat("elsewhere", number))
        await bus.set_health(Health("trader", number, MAY, "running"))
        await bus.close()
        await asyncio.sleep(1.5)  # it is looked at once a second
        os.kill(number, signal.SIGKILL)
        await until(lambda: notes(tmp_path).count("trader waits") == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    refuses = (
        "note('starts')\n"
        "if notes().count('trader starts') in (2, 3): print('wick: no Redis'); sys.exit(2)\n"
        "waits()"
    )
    ended = run(look, on, **WAITING | {"trader": refuses})
    assert ended.by == signal.SIGTERM
    assert notes(tmp_path).count("trader starts") == 4


def test_an_exchange_that_dies_on_paper_ends_the_session(run: Run, tmp_path: Path) -> None:
    async def kill(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        os.kill(pid(tmp_path, "exchange"), signal.SIGKILL)

    with pytest.raises(RunRefused, match="exchange died with signal 9"):
        run(kill, trader="waits()")
    assert nothing_runs(tmp_path)


def test_a_redis_that_dies_is_there_again_with_its_data(run: Run, tmp_path: Path) -> None:
    async def kill(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        session = read_session(folder)
        bus = await connect(session, folder)
        await bus.publish(EQUITY, EquityPoint(1, 10_000.0), 1)
        await bus.written()
        server = int((await bus._redis.info("server"))["process_id"])
        await bus.close()
        os.kill(server, signal.SIGKILL)
        await until(lambda: not alive(server))
        bus = await connect(session, folder, 30.0)
        assert await bus.last_id(EQUITY) == 1
        await bus.close()
        (folder / "journal").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    run(kill, trader="waits()")


def test_a_name_that_another_session_has_in_redis_is_refused(run: Run, tmp_path: Path) -> None:
    with redis_in(tmp_path / "outside") as server:
        ended = run(redis=server.url, trader="(here / 'sessions/mine/journal').touch()")
        shutil.rmtree(ended.folder.parent)
        with pytest.raises(WickError, match="has the data of another session called mine"):
            run(redis=server.url, created_ms=MAY + 1)
    assert nothing_runs(tmp_path)
    assert not (tmp_path / "sessions").exists()


def test_a_session_that_never_began_leaves_nothing_in_a_redis_that_stays(
    run: Run, tmp_path: Path
) -> None:
    async def look() -> None:
        bus = server.bus()
        assert await bus._redis.keys() == []
        await bus.close()

    with redis_in(tmp_path / "outside") as server:
        with pytest.raises(WickError, match="hedge mode"):
            run(redis=server.url, trader="print('wick: hedge mode'); sys.exit(2)")
        asyncio.run(look())


def test_asked_to_end_before_it_began_it_leaves_nothing(run: Run, tmp_path: Path) -> None:
    async def ask(folder: Path) -> None:
        await until(lambda: (tmp_path / "exchange.pid").exists())
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(ask, SILENT="it never says where it is")
    assert nothing_runs(tmp_path)
    assert not (tmp_path / "sessions").exists()


def test_the_same_session_cannot_run_twice(run: Run, tmp_path: Path) -> None:
    async def again(folder: Path) -> None:
        await until(lambda: "trader waits" in notes(tmp_path))
        with pytest.raises(WickError, match="the session mine is running already"):
            Hold(folder)
        (folder / "journal").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    run(again, trader="waits()")


def test_the_exchange_gets_costs_that_are_the_sessions_to_the_bit(drafted: Draft) -> None:
    for share in (0.0005, 0.0001, 0.00045, 1 / 3e3, 0.0, 7.1e-5):
        session = msgspec.structs.replace(drafted.session, fee_rate=share)
        made = Draft(session, b"", 750, drafted.end_ms, 0.0)
        command = exchange_command(made, Path("store"))
        assert float(command[command.index("--fee-bps") + 1]) / 1e4 == share
        assert command[command.index("--speed") + 1] == "lockstep"
        assert command[command.index("--from") + 1] == "2025-05-02T00:00:00+00:00"
