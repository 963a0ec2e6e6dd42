"""One role as a process: its places made from the session, and an orderly end at SIGTERM."""

import asyncio
import contextlib
import importlib
import io
import logging
import math
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from live.exchange.port import Unavailable
from live.journal import has_begun
from live.ownership import sole_trader
from live.session import Session, read_session
from strategy.errors import WickError

if TYPE_CHECKING:
    from live.exchange.binance import Binance

log = logging.getLogger(__name__)

KEYS = ("WICK_API_KEY", "WICK_API_SECRET")
SUPERVISOR = "supervisor"
_SET_AGAIN_S = 300.0  # a clock that is off by 100 ppm loses 30 ms in that time
_REDIS_WITHIN_S = 10.0
TERMINATED = 128 + signal.SIGTERM  # what a shell says of a process that this signal ended


@dataclass(frozen=True, slots=True)
class Role:
    """One role.

    Attributes
    ----------
    module : str
        With `async def run`.
    needs : tuple of str
        What `run` takes, in order: session, folder, bus, clock, exchange.
    signed : bool
        It speaks for the account, so it gets the keys.
    """

    module: str
    needs: tuple[str, ...]
    signed: bool = False


ROLES = {
    "market-data": Role("live.market_data", ("session", "bus", "clock", "exchange")),
    "signal-generator": Role("live.signal_generator", ("session", "folder", "bus", "clock")),
    "trader": Role("live.trader", ("session", "folder", "bus", "clock", "exchange"), True),
    "performance-tracker": Role("live.performance_tracker", ("session", "folder", "bus", "clock")),
}


@contextlib.asynccontextmanager
async def exchange_of(
    session: Session, role: str, pair: tuple[str, str]
) -> AsyncIterator[tuple[Any, Any]]:
    """Open a session's exchange and its clock."""
    from live.clocks import WallClock, make_clock
    from live.exchange.binance import Binance

    clock = make_clock(session, role)
    await clock.start()
    exchange = Binance(session.addresses, clock, *pair, session.market)
    keeping = None
    try:
        if isinstance(clock, WallClock):
            await _set_right(exchange, patient=role != SUPERVISOR)
            keeping = asyncio.create_task(_keep_right(exchange))
        yield exchange, clock
    finally:
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
        await exchange.close()
        await clock.close()


async def _set_right(exchange: "Binance", *, patient: bool) -> None:
    # A role waits for it; the check before the roles says in its own words that the exchange does
    # not answer.
    wait_s = 0.2
    while True:
        try:
            await exchange.set_clock()
        except Unavailable as error:
            if not patient:
                return
            log.warning("exchange=unavailable error=%s", error)
            await asyncio.sleep(max(wait_s, error.retry_after_ms / 1e3))
            wait_s = min(2 * wait_s, 10.0)
        else:
            return


async def _keep_right(exchange: "Binance") -> None:
    while True:
        await asyncio.sleep(_SET_AGAIN_S)
        try:
            await exchange.set_clock()
        except (Unavailable, WickError) as error:
            log.warning("clock=kept error=%s", error)


def keys() -> tuple[str, str]:
    """Read the account's keys from the environment, empty where there are none."""
    key, secret = (os.environ.get(name, "") for name in KEYS)
    return key, secret


def run_role(name: str, folder: Path) -> int:
    """Run one role until its replay is over or SIGTERM asks it to end.

    Returns
    -------
    int
        The exit code: 0 when its work is done. Whoever was asked to end has work left, so that a
        supervisor that did not ask itself starts the role again.

    Raises
    ------
    WickError
        The session or the account does not allow it; see each role.
    """
    sys.stdout = sys.stderr = Scrubbed(sys.stderr, [secret for secret in keys() if secret])
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="level=%(levelname)s logger=%(name)s %(message)s",
    )
    session = read_session(folder)
    role = ROLES[name]
    if role.signed and not all(keys()):
        raise WickError(
            f"the role {name} speaks for the account and has no key",
            f"export {KEYS[0]}=… {KEYS[1]}=…",
        )
    with contextlib.ExitStack() as held:
        if role.signed:
            held.enter_context(sole_trader(session, keys()[0]))
        return asyncio.run(_run(name, role, session, folder))


async def _run(name: str, role: Role, session: Session, folder: Path) -> int:
    from live.connect import connect
    from live.signs import keep_beating

    main = asyncio.current_task()
    assert main is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    try:
        # Before the session has begun a person waits for the answer; later only the work does.
        wait_s = math.inf if has_begun(folder) else _REDIS_WITHIN_S
        bus = await connect(session, folder, wait_s, claim=True)
        beating = asyncio.create_task(keep_beating(bus, name.replace("-", "_")))
        try:
            async with exchange_of(session, name, keys()) as (exchange, clock):
                places: dict[str, Any] = {
                    "session": session,
                    "folder": folder,
                    "bus": bus,
                    "clock": clock,
                    "exchange": exchange,
                }
                run = importlib.import_module(role.module).run
                await run(*(places[need] for need in role.needs))
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await bus.close()
    except asyncio.CancelledError:
        return TERMINATED
    return 0


class Scrubbed(io.TextIOBase):
    """A stream that shows no secrets; whole lines go on, so that none is split.

    Parameters
    ----------
    stream : text stream
    secrets : list of str
    """

    def __init__(self, stream: TextIO, secrets: list[str]) -> None:
        self._stream = stream
        self._secrets = secrets
        self._rest = ""

    def write(self, text: str) -> int:
        """Take text and pass on the lines that it completes."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._stream.write(self._clean("\n".join(lines) + "\n"))
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Pass on what there is of a line."""
        rest, self._rest = self._rest, ""
        self._stream.write(self._clean(rest))
        self._stream.flush()

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
