"""A session from its first process to its last: places, checks, roles, and an orderly end."""

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from redis.exceptions import RedisError

from data.settings import Settings
from live import redis_server
from live.bus import WICK_REDIS, Bus
from live.connect import connect, shown
from live.folders import Hold, earlier, keep, tell_troubles
from live.journal import has_begun
from live.ownership import sole_trader
from live.preflight import check_exchange
from live.roles import KEYS, ROLES, SUPERVISOR, exchange_of
from live.session import Addresses, Session
from live.signs import signs
from live.start import Draft
from live.supervisor import Kept, Program, Supervisor
from live.watch import Standing, Watch
from strategy.errors import RunRefused

_Result = TypeVar("_Result")

EXCHANGE, REDIS = "exchange", "redis"
WICK = (sys.executable, str(Path(__file__).resolve().parents[1] / "wick.py"))
LAST = "performance-tracker"  # it writes the run when the others have said what they did
_GRACE_S = 15.0
_LOOK_S = 0.02
_REDIS_WITHIN_S = 30.0
_SHOW_S = 1.0
_AT_WORK = ("catching up", "running", "waiting", "halted")


@dataclass(frozen=True, slots=True)
class Wish:
    """How a session is to be run.

    Attributes
    ----------
    redis : str
        Address of a Redis that is there already, empty for an embedded one.
    keys : tuple of str
        API key and secret, handed to the processes that need them in their environment.
    show : callable
        Called with the standing and what is amiss with the processes, every second.
    """

    settings: Settings
    redis: str
    keys: tuple[str, str]
    show: Callable[[Standing, str], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a session; `by` is the signal that ended it, None for the end of a replay."""

    folder: Path
    session: Session
    by: signal.Signals | None


async def run_session(drafted: Draft, wish: Wish) -> Ended:
    """Run a session to the end of its replay, or until asked to stop.

    Raises
    ------
    WickError
        Something is not right; nothing is left of a session that had not begun.
    RunRefused
        A process died too often, on paper or before there could be a position.
    KeyboardInterrupt
        It was asked to stop before it had begun.
    """
    return await _Run(drafted, wish).run()


class _Run:
    def __init__(self, drafted: Draft, wish: Wish) -> None:
        self._draft = drafted
        self._wish = wish
        self._folder = wish.settings.sessions / drafted.session.id
        self._supervisor = Supervisor()
        self._asked: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        self._bus: Bus | None = None
        self._heard: list[str] = []  # what is amiss by what Redis has, or that it is away

    async def run(self) -> Ended:
        hold, keeps = Hold(self._folder), False
        tell_troubles(self._folder, "")
        with self._listening(), _redis_in_environment(self._wish.redis):
            try:
                session = await self._unless_asked(self._place())
                if session is None:
                    raise KeyboardInterrupt
                self._supervisor.start(*self._roles(session))
                await self._unless_asked(self._follow(session))
            except RunRefused:
                keeps = True  # its hint names a log
                raise
            finally:
                await self._stop_roles()
                goes = hold.is_new and not (keeps or (self._folder / "journal").exists())
                if goes and self._wish.redis:
                    await self._forget()
                await self._end()
                if goes:
                    hold.undo()
                hold.close()
        return Ended(self._folder, session, self._asked.result() if self._asked.done() else None)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _hear(self, number: signal.Signals) -> None:
        if not self._asked.done():
            self._asked.set_result(number)

    async def _unless_asked(self, awaited: Awaitable[_Result]) -> _Result | None:
        task = asyncio.ensure_future(awaited)
        either: set[asyncio.Future[Any]] = {task, self._asked}
        try:
            first = asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await self._supervisor.until(first)
            return await task if task.done() else None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _place(self) -> Session:
        old = earlier(self._draft, self._folder)
        session = old or self._draft.session
        url = self._wish.redis
        session = msgspec.structs.replace(session, redis=shown(url) if url else "")
        _, addresses = await asyncio.gather(self._redis(session), self._exchange(session))
        session = msgspec.structs.replace(session, addresses=addresses)
        with sole_trader(session, self._wish.keys[0]):
            pass  # the trader will hold it; that it cannot is told now
        async with exchange_of(session, SUPERVISOR, self._wish.keys) as (exchange, _):
            session = await check_exchange(session, exchange, goes_on=old is not None)
        keep(self._draft, session, self._folder)
        return session

    async def _redis(self, session: Session) -> None:
        if not session.redis:
            argv = redis_server.command_of(self._folder)
            self._supervisor.start(self._program(REDIS, argv, ends=False))
        wait_s = 0.0 if session.redis else _REDIS_WITHIN_S
        self._bus = await connect(session, self._folder, wait_s, claim=True)
        if not session.redis:
            self._supervisor.kept[REDIS].proven = True

    async def _exchange(self, session: Session) -> Addresses:
        settings = self._wish.settings
        if session.on == "testnet":
            return Addresses(settings.testnet_rest_url, settings.testnet_stream_url)
        argv = exchange_command(self._draft, settings.store)
        program = self._program(EXCHANGE, argv, ends=False, again=False, signed=True)
        self._supervisor.start(program)
        while True:  # the first thing it prints is where it is
            for line in self._supervisor.said(EXCHANGE):
                with contextlib.suppress(msgspec.MsgspecError):
                    return msgspec.json.decode(line, type=Addresses)
            await asyncio.sleep(_LOOK_S)

    def _roles(self, session: Session) -> list[Program]:
        return [
            self._program(
                name,
                (*WICK, "role", name, "--session", str(self._folder)),
                ends=session.on == "paper",  # a replay has an end
                signed=role.signed,
            )
            for name, role in ROLES.items()
        ]

    def _program(
        self,
        name: str,
        argv: tuple[str, ...],
        *,
        ends: bool,
        again: bool = True,
        signed: bool = False,
    ) -> Program:
        wish = self._wish
        env = {name: value for name, value in os.environ.items() if name not in KEYS}
        env |= {"WICK_RUNS": str(wish.settings.runs), "WICK_STORE": str(wish.settings.store)}
        if signed:
            env |= dict(zip(KEYS, wish.keys, strict=True))
        log = self._folder / "logs" / f"{name}.log"
        return Program(name, argv, env, log, ends, again, self._may_hold)

    def _may_hold(self) -> bool:
        # A real position must keep its trader, and the trader whatever it lives on.
        return self._draft.session.on != "paper" and has_begun(self._folder)

    async def _follow(self, session: Session) -> None:
        watch = Watch(session, self._folder)
        roles = asyncio.create_task(self._supervisor.done(ROLES))
        hearing = asyncio.create_task(self._hear_roles())
        told = ""
        try:
            while not roles.done():
                if (troubles := self._troubles()) != told:
                    tell_troubles(self._folder, troubles)
                    told = troubles
                self._wish.show(watch.look(), troubles)
                await asyncio.wait({roles}, timeout=_SHOW_S)
            self._wish.show(watch.look().ended(), "")
        finally:
            roles.cancel()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            tell_troubles(self._folder, "")

    async def _hear_roles(self) -> None:
        assert self._bus is not None
        while True:
            try:
                found = await signs(self._bus)
            except (RedisError, OSError) as error:
                self._heard = [f"Redis does not answer ({type(error).__name__})"]
            else:
                names = {one.role: one.role.replace("_", "-") for one in found}
                for one in found:
                    self._supervisor.kept[names[one.role]].proven |= one.state in _AT_WORK
                self._heard = [f"{names[s.role]} {s.state}" for s in found if s.state == "silent"]
            await asyncio.sleep(_SHOW_S)

    def _troubles(self) -> str:
        words = map(_trouble, self._supervisor.kept.values())
        return "; ".join([*filter(None, words), *self._heard])

    async def _stop_roles(self) -> None:
        for names in ([name for name in ROLES if name != LAST], [LAST]):
            await self._supervisor.stop(names, _GRACE_S)

    async def _forget(self) -> None:
        # In a Redis that stays the name would be taken, and by nobody.
        if self._bus is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._bus.forget(self._draft.session)

    async def _end(self) -> None:
        if self._bus is not None:
            await self._bus.close()
        await self._supervisor.stop([EXCHANGE, REDIS], _GRACE_S)
        redis_server.remove_socket(self._folder)


def _trouble(kept: Kept) -> str:
    if not kept.death or kept.done:
        return ""
    times = f"{kept.restarts} time{'' if kept.restarts == 1 else 's'}"
    gone = "" if kept.pid else "not running"
    again = f"started again {times}" if kept.restarts else ""
    return f"{kept.program.name} {', '.join(filter(None, (gone, again)))}: {kept.death}"


@contextlib.contextmanager
def _redis_in_environment(url: str) -> Iterator[None]:
    # Where the roles look for it: its password goes into no file.
    before = os.environ.get(WICK_REDIS)
    if url:
        os.environ[WICK_REDIS] = url
    try:
        yield
    finally:
        if before is not None:
            os.environ[WICK_REDIS] = before
        else:
            os.environ.pop(WICK_REDIS, None)


def exchange_command(drafted: Draft, store: Path) -> tuple[str, ...]:
    """Return the command line of the simulated exchange for a session on paper."""
    session = drafted.session
    options = {
        "--symbols": ",".join(session.symbols),
        "--market": session.market,
        "--timeframe": session.timeframe,
        "--from": _moment(session.trade_from),
        "--to": _moment(drafted.end_ms),
        "--balance": repr(session.balance),
        "--fee-bps": _bps(session.fee_rate),
        "--slippage-bps": _bps(session.slippage),
        "--speed": f"{drafted.speed:g}" if drafted.speed else "lockstep",
        "--store": str(store),
    }
    flags = (part for pair in options.items() for part in pair)
    # Time stands still until the trader listens, or the first minutes would pass without it.
    wait = ("--wait",) if drafted.speed else ()
    return (*WICK, "exchange", "serve", *flags, *wait)


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def _bps(share: float) -> str:
    # The text that becomes this very share again, to the last bit.
    bps = share * 1e4
    near = (bps, math.nextafter(bps, 0.0), math.nextafter(bps, math.inf), round(bps, 9))
    return repr(next((one for one in near if one / 1e4 == share), bps))
