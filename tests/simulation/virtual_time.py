"""An event loop whose time jumps to the next deadline as soon as nothing can run, and the trader's
clock on it: minutes of waiting take no time, and equal seeds give equal runs."""

import asyncio
import selectors
from typing import Any

from tests.live.sessions import START


class Stuck(Exception):
    """Nothing can run and nobody waits for a time: the world would stand still for ever."""


class _Jumping(selectors.SelectSelector):
    # There is no input in a simulation; only time passes, and it passes at once.
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its time begins at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def now_ms() -> int:
    """Return the simulation's time, UTC ms."""
    return START + round(asyncio.get_running_loop().time() * 1e3)


async def until(time_ms: int) -> None:
    """Sleep to a moment of the simulation."""
    while (left_ms := time_ms - now_ms()) > 0:
        await asyncio.sleep(left_ms / 1e3)


class VirtualClock:
    """The clock's port: runs freely, as against the real exchange, and ends with the world."""

    lockstep = False

    def __init__(self) -> None:
        self.ended = False

    def now_ms(self) -> int:
        return now_ms()

    def stamp_ms(self) -> int:
        return now_ms()

    def correct(self, by_ms: int) -> None:
        pass

    async def sleep_until(self, time_ms: int) -> None:
        await until(time_ms)

    async def pass_until(self, time_ms: int) -> None:
        await until(time_ms)

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        return None

    def acknowledge_settled(self, marker: int) -> None:
        pass

    def acknowledge_decided(self, time_ms: int) -> None:
        pass

    async def close(self) -> None:
        pass


def run(main: Any) -> Any:
    """Run a coroutine on a loop of its own, in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
