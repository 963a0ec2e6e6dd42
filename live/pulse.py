"""Signs of life of one role, no more often than somebody could look."""

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from typing import Literal

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
from live.records import Health

log = logging.getLogger(__name__)

State = Literal["starting", "catching up", "running", "waiting", "halted", "ended"]
_EVERY_S = 1.0
_WAIT_S = 0.2
# What Redis lost is missed at once where time waits for it, else when the next comes.
_LOCKSTEP_CHECK_S, _CHECK_S = 1.0, 5.0


class Pulse:
    """What one role tells about itself: at once when it changes, else once a second.

    Parameters
    ----------
    role : str
        As in `live.bus.ROLES`.
    """

    def __init__(self, role: str, bus: Bus, clock: Clock) -> None:
        self._role = role
        self._bus = bus
        self._clock = clock
        self._told: tuple[State, str] = ("starting", "")
        self._told_s = 0.0
        self._checked_s = time.monotonic()

    async def tell(self, state: State, note: str = "") -> None:
        """Say how it is; raise a RedisError if nobody can hear it."""
        told, now_s = (state, note), time.monotonic()
        if told == self._told and now_s < self._told_s + _EVERY_S:
            return
        await self._say(state, note)
        self._told, self._told_s = told, now_s

    async def check(self, streams: Iterable[str]) -> None:
        """Look now and then whether Redis still has what was published; see `Bus.check`."""
        every_s = _LOCKSTEP_CHECK_S if self._clock.lockstep else _CHECK_S
        if time.monotonic() >= self._checked_s + every_s:
            await self._bus.check(streams)
            self._checked_s = time.monotonic()

    async def end(self, note: str = "") -> None:
        """Say that the work is done, until even a Redis that is killed would still know it.

        Who waits for this word waits for ever if it gets lost: nobody is left to say it again.
        """
        while True:
            try:
                await self._say("ended", note)
                await self._bus.written()
                if await self._bus.has_ended(self._role):
                    return
            except (RedisError, OSError) as error:
                log.warning("redis=away error=%s", error)
            await asyncio.sleep(_WAIT_S)

    async def _say(self, state: State, note: str) -> None:
        health = Health(self._role, os.getpid(), self._clock.now_ms(), state, note)
        await self._bus.set_health(health)
