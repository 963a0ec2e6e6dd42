"""Redis as the roles see it, with its outages: the streams outlive the processes, as they do."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from live.bus import Entry
from live.records import Health


class Streams:
    """What Redis holds."""

    def __init__(self) -> None:
        self.entries: dict[str, list[tuple[tuple[int, int], Any]]] = defaultdict(list)
        self.is_down = False
        self._news = asyncio.Event()

    def add(self, stream: str, number: int, record: Any) -> None:
        at = (number, 0)
        while self.entries[stream] and self.entries[stream][-1][0] >= at:
            at = (at[0], at[1] + 1)
        self.entries[stream].append((at, record))
        self.wake()

    def lose(self, draw: random.Random, streams: tuple[str, ...]) -> None:
        """Forget the newest of some streams, as after a crash within the second."""
        for stream in streams:
            there = self.entries[stream]
            del there[len(there) - draw.randint(0, min(5, len(there))) :]

    def wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        await self._news.wait()


class FakeBus:
    """One process' connection: the methods of `live.bus.Bus` that the trader uses."""

    def __init__(self, streams: Streams, is_dead: Any) -> None:
        self._streams = streams
        self._is_dead = is_dead
        self._known: dict[str, int] = {}

    async def publish_all(self, entries: Sequence[tuple[str, Any, int]]) -> list[bool]:
        await self._travel()
        results = [self._add(*one) for one in entries]
        if None in results:
            raise RedisConnectionError("Redis has lost entries")
        return [bool(one) for one in results]

    def _add(self, stream: str, record: Any, number: int) -> bool | None:
        there = self._streams.entries[stream]
        newest = there[-1][0][0] if there else 0
        if newest < self._known.get(stream, 0):
            return None
        self._known[stream] = max(newest, number)
        if newest < number:
            self._streams.add(stream, number, record)
        return newest < number

    async def publish(self, stream: str, record: Any, id: int) -> bool:
        return (await self.publish_all([(stream, record, id)]))[0]

    async def read(self, after: Mapping[str, str | int], block_ms: int) -> list[Entry]:
        await self._travel()
        found = self._after(after)
        if not found:
            try:
                await asyncio.wait_for(self._streams.news(), block_ms / 1e3)
            except TimeoutError:
                return []
            await self._travel()
            found = self._after(after)
        return found

    def _after(self, after: Mapping[str, str | int]) -> list[Entry]:
        found = []
        for stream, last in after.items():
            number, _, part = str(last).partition("-")
            for (n, k), record in self._streams.entries[stream]:
                if (n, k) > (int(number), int(part or 0)):
                    found.append(Entry(stream, f"{n}-{k}", record))
        return found

    async def last_id(self, stream: str) -> int:
        await self._travel()
        there = self._streams.entries[stream]
        self._known[stream] = there[-1][0][0] if there else 0
        return self._known[stream]

    async def set_health(self, health: Health) -> None:
        await self._travel()

    async def has_ended(self, role: str) -> bool:
        await self._travel()
        return True

    async def written(self) -> None:
        await self._travel()

    async def _travel(self) -> None:
        await asyncio.sleep(0.0005)
        if self._is_dead():
            await asyncio.get_running_loop().create_future()
        if self._streams.is_down:
            raise RedisConnectionError("away")
