"""Looking at a session from outside, and asking something of it."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from redis.exceptions import RedisError

from data.dates import now_ms
from live.connect import connect
from live.folders import supervisor_of, troubles_of
from live.records import Control
from live.session import Session, read_session
from live.signs import Sign, signs
from live.watch import Standing, Watch
from strategy.errors import WickError

Command = Literal["pause", "resume", "flatten"]

_REDIS_WITHIN_S = 1.0
_HEARD_WITHIN_S = 5.0
KEPT_S = 60  # a trader that is started again is there before; later nobody expects it any more
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Status:
    """A session as seen from outside.

    Attributes
    ----------
    supervisor : int
        Its process, 0 where the session is not running.
    signs : tuple of Sign
        Of the roles that gave one.
    trouble : WickError or None
        Why there are none.
    troubles : str
        What is amiss with its processes, as its supervisor says.
    """

    folder: Path
    session: Session
    supervisor: int
    standing: Standing
    signs: tuple[Sign, ...]
    trouble: WickError | None
    troubles: str = ""


def status_of(folder: Path) -> Status:
    """Read a session's journal and its roles' signs of life."""
    session = read_session(folder)
    running = supervisor_of(folder)
    found: tuple[Sign, ...] = ()
    trouble = None
    if running:
        try:
            found = asyncio.run(_signs(session, folder))
        except WickError as error:
            trouble = error
    standing = Watch(session, folder).look()
    if not running:
        standing = standing.ended()
    found = tuple(_by_journal(one, standing) for one in found)
    return Status(folder, session, running, standing, found, trouble, troubles_of(folder))


def _by_journal(sign: Sign, standing: Standing) -> Sign:
    # The journal knows of a halt or its end first; the sign of life follows a second later.
    if sign.role != "trader" or sign.state not in ("running", "halted"):
        return sign
    if standing.state == "halted":
        return msgspec.structs.replace(sign, state="halted", note=standing.note)
    return msgspec.structs.replace(sign, state="running", note="")


async def _signs(session: Session, folder: Path) -> tuple[Sign, ...]:
    bus = await connect(session, folder, _REDIS_WITHIN_S)
    try:
        return await signs(bus)
    except RedisError as error:
        raise WickError(f"Redis does not answer: {error}", "the session starts it again") from error
    finally:
        await bus.close()


def ask(folder: Path, command: Command, by: str) -> None:
    """Ask a running session for something, and wait until its trader has taken note.

    A trader that comes back within a minute still does what it was asked for.

    Raises
    ------
    WickError
        It is not running, its Redis is gone, or the trader does not hear.
    """
    session = read_session(folder)
    if not supervisor_of(folder):
        raise WickError(
            f"the session {folder.name} is not running, so nobody could {command} it",
            "wick session list shows which are; what it left on the exchange is closed there",
        )
    watch = Watch(session, folder)
    watch.look()
    entry = _place(asyncio.run(_publish(session, folder, command, by)))
    deadline = time.monotonic() + _HEARD_WITHIN_S
    while _place(watch.look().asked) < entry:
        if time.monotonic() > deadline:
            raise WickError(
                f"the trader of {folder.name} has not taken note of {command} within"
                f" {_HEARD_WITHIN_S:g} s; it will if it reads Redis again within {KEPT_S} s",
                f"wick session status {folder.name} shows its state",
            )
        time.sleep(_LOOK_S)


def _place(entry: str) -> tuple[int, int]:
    first, _, second = entry.partition("-")
    return int(first), int(second)


async def _publish(session: Session, folder: Path, command: Command, by: str) -> str:
    bus = await connect(session, folder, _REDIS_WITHIN_S)
    try:
        return await bus.ask(Control(command, by, now_ms() + KEPT_S * 1_000))
    except RedisError as error:
        raise WickError(f"Redis does not answer: {error}", "ask once more") from error
    finally:
        await bus.close()
