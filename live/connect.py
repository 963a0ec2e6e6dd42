"""Coming to a session's Redis: where it is, whose data it has, and what it refuses."""

import asyncio
import logging
import math
import os
from pathlib import Path
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from live import redis_server
from live.bus import WICK_REDIS, Bus
from live.session import Session
from strategy.errors import WickError

log = logging.getLogger(__name__)

_PAUSE_S = 0.1
_FULL = ("MISCONF", "No space left")  # what a server says that cannot write its data


async def connect(
    session: Session, folder: Path, wait_s: float = 10.0, *, claim: bool = False
) -> Bus:
    """Connect to a session's Redis: the one of WICK_REDIS where the session has one, else its own.

    Parameters
    ----------
    wait_s : float
        How long a server may take to come up (again); real seconds, infinite for ever.
    claim : bool
        The session's name there is this session's from now on: for those who write.

    Raises
    ------
    WickError
        WICK_REDIS is not set, Redis is not reachable or refuses us, or it has another session of
        this name; the URL is named without what is secret in it.
    """
    url = os.environ.get(WICK_REDIS, "") if session.redis else redis_server.url_of(folder)
    if not url:
        raise WickError(
            f"the session {session.id} uses the Redis server {session.redis}, and {WICK_REDIS} is"
            " not set",
            f"export {WICK_REDIS}= its URL, with the password if it has one",
        )
    given = _given(session, claim)
    bus = Bus(url, session.id, given)
    until_s, said = asyncio.get_running_loop().time() + wait_s, False
    while True:
        try:
            await bus.ping()
            owner = await bus.owner(session.identity, claim=claim)
            break
        except (RedisError, OSError) as error:
            refused = _is_refusal(error)
            if not refused and asyncio.get_running_loop().time() < until_s:
                if not said and wait_s == math.inf:  # nobody else will tell of it
                    log.warning("redis=away error=%s", type(error).__name__)
                said = True
                await asyncio.sleep(_PAUSE_S)
                continue
            await bus.close()
            if refused:
                raise _refusal(shown(url), error, given) from None
            raise WickError(
                f"Redis at {shown(url)} is not reachable ({type(error).__name__})",
                f"start it, or check {given}"
                if session.redis
                else f"its log is {folder / 'logs' / 'redis.log'}",
            ) from None
    if owner != session.identity:
        await bus.close()
        raise _another(shown(url), session.id)
    return bus


def _given(session: Session, claim: bool) -> str:
    # Who looks from outside has the variable alone, whatever the session was started with.
    if claim and any(word.partition("=")[0] == "--redis" for word in session.command):
        return "--redis"
    return f"{WICK_REDIS} (redis in wick.toml)" if claim else WICK_REDIS


def _another(where: str, name: str) -> WickError:
    path = where.removeprefix("unix://")
    cli = f"redis-cli -u {where}" if path == where else f"redis-cli -s {path}"
    return WickError(
        f"Redis at {where} has the data of another session called {name}",
        "take another --name, or delete what that one left:"
        f" {cli} --scan --pattern '{name}:*' | xargs {cli} del",
    )


def shown(url: str) -> str:
    """Return a URL without user, password and options.

    >>> shown("rediss://me:secret@db.example:6380/1?password=secret")
    'rediss://db.example:6380/1'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, ResponseError) or _is_about_password(error)


def _is_about_password(error: Exception) -> bool:
    # While connecting, redis-py may wrap a wrong password in what also means an absent server.
    wrong = (AuthenticationError, NoPermissionError)
    return isinstance(error, wrong) or isinstance(error.__cause__, wrong)


def _refusal(where: str, error: Exception, given: str) -> WickError:
    if _is_about_password(error):
        return WickError(
            f"Redis at {where} refuses the password: {error}",
            f"check user and password in {given}",
        )
    if any(word in str(error) for word in _FULL):
        hint = "make room on the disk that its data is on"
        return WickError(f"Redis at {where} cannot write: {error}", hint)
    return WickError(f"Redis at {where} refuses us: {error}", f"check {given}")
