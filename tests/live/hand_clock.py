"""A clock that a test moves by hand."""

import asyncio


class HandClock:
    """The port `live.clock.Clock`, in lockstep or not, as the test says."""

    def __init__(self, now_ms: int = 0, *, lockstep: bool = False) -> None:
        self.now = now_ms
        self.lockstep = lockstep
        self.ended = False
        self.told: dict[int, frozenset[str] | None] = {}
        self.asked: list[int] = []
        self._moved = asyncio.Condition()

    def now_ms(self) -> int:
        return self.now

    def stamp_ms(self) -> int:
        return self.now

    def correct(self, by_ms: int) -> None: ...

    async def move(self, now_ms: int) -> None:
        """Set the time and wake who waits for it."""
        async with self._moved:
            self.now = now_ms
            self._moved.notify_all()

    async def tell(self, time_ms: int, *symbols: str) -> None:
        """Say whose candles close at an instant."""
        async with self._moved:
            self.told[time_ms] = frozenset(symbols)
            self._moved.notify_all()

    async def sleep_until(self, time_ms: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.now >= time_ms)

    async def pass_until(self, time_ms: int) -> None:
        await self.sleep_until(time_ms)

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        self.asked.append(time_ms)
        if not self.lockstep:
            return None
        async with self._moved:
            await self._moved.wait_for(lambda: time_ms in self.told)
        return self.told[time_ms]

    def acknowledge_settled(self, marker: int) -> None: ...

    def acknowledge_decided(self, time_ms: int) -> None: ...

    async def close(self) -> None: ...
