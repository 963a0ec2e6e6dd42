"""How the roles of a session fare, seen from outside: what each says, and whether it is there.

What a role says of itself carries the session's time, and in lockstep that stands still. That it is
there it shows once a second of real time, whatever it waits for; how long ago that was, Redis knows
by its own clock.
"""

import asyncio
import os
import socket
from contextlib import suppress

import msgspec
from redis.exceptions import RedisError

from live.bus import BEAT_KEPT_MS, ROLES, Bus
from live.records import Beat, Health

SILENT_MS = 10_000
_EVERY_S = 1.0


class Sign(msgspec.Struct, frozen=True):
    """One role as others see it.

    Attributes
    ----------
    state : str
        What it says (`live.records.Health`), starting before its process has said anything; gone
        when that process is no more, silent when it has not shown itself for ten seconds.
    time : int
        The session's, when it said so; 0 before.
    age_ms : int
        Real time since it last showed itself, at most a day.
    """

    role: str
    pid: int
    time: int
    state: str
    note: str
    age_ms: int


async def keep_beating(bus: Bus, role: str) -> None:
    """Show that this process is there, for ever, also over a time without Redis."""
    beat = Beat(socket.gethostname(), os.getpid())
    while True:
        with suppress(RedisError, OSError):
            await bus.beat(role, beat)
        await asyncio.sleep(_EVERY_S)


async def signs(bus: Bus) -> tuple[Sign, ...]:
    """Return how every role fares that ever showed itself.

    Raises
    ------
    RedisError
        Redis does not answer.
    """
    said, beats = await bus.health(), await bus.beats()
    nobody = Beat("", 0), BEAT_KEPT_MS
    known = [role for role in ROLES if role in said or role in beats]
    return tuple(_sign(role, said.get(role), *beats.get(role, nobody)) for role in known)


def _sign(role: str, said: Health | None, beat: Beat, age_ms: int) -> Sign:
    pid = beat.pid or (said.pid if said else 0)
    if said is None or said.pid != pid:  # by a process before this one
        said = Health(role, pid, 0, "starting")
    sign = Sign(role, pid, said.time, said.state, said.note, age_ms)
    if sign.state == "ended":
        return sign
    if beat.host == socket.gethostname() and not _exists(pid):
        return msgspec.structs.replace(sign, state="gone", note=f"process {pid} is no more")
    if age_ms > SILENT_MS:
        words = f"no sign of life for {age_ms // 1000:,} s"
        return msgspec.structs.replace(sign, state="silent", note=words)
    return sign


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
