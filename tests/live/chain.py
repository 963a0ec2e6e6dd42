"""The way from the exchange to a signal, for tests: a real Redis, roles, and who acknowledges."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from redis.exceptions import RedisError

from live import redis_server
from live.bus import Bus
from live.clocks import SimulatorClock
from live.records import SIGNALS, Batch, ClosedCandle
from strategy.candles import Candles
from strategy.load import Strategy
from strategy.rules import ENTER_LONG, ENTER_SHORT
from tests.live.simulated import Caller

FIELDS = ("open", "high", "low", "close", "volume")


class Server:
    """An embedded Redis that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = redis_server.url_of(folder)
        self.process = redis_server.start_embedded(folder)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        self.process = redis_server.start_embedded(self.folder)

    def bus(self, prefix: str = "test") -> Bus:
        return Bus(self.url, prefix)


@contextmanager
def redis_in(folder: Path) -> Iterator[Server]:
    """Run an embedded Redis for a while."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.kill()
        with suppress(OSError):
            Path(server.url.removeprefix("unix://")).unlink()
        with suppress(OSError):
            Path(server.url.removeprefix("unix://")).parent.rmdir()


def closed(candles: Candles, i: int) -> ClosedCandle:
    """Write one candle as the exchange does."""
    a = candles.arrays
    texts: dict[str, Any] = {name: repr(float(a[name][i])) for name in FIELDS}
    return ClosedCandle(symbol=candles.symbol, open_time=int(a["open_time"][i]), **texts)


def all_closed(candles: Candles) -> list[ClosedCandle]:
    return [closed(candles, i) for i in range(len(candles.arrays["open_time"]))]


def bits(*values: float) -> bytes:
    """Make floats comparable, NaN too."""
    return struct.pack(f"<{len(values)}d", *values)


Said = dict[tuple[str, int], tuple[bytes, int, bytes]]


def said_in_batch(strategy: Strategy, params: Any, candles: Sequence[Candles]) -> Said:
    """Compute rows, flags and distances the way a backtest does, by symbol and open time."""
    numbers = np.array([float(value) for value in params])
    said: Said = {}
    for one in candles:
        columns = strategy.columns(one, params)
        flags = strategy.rules.signals(*columns, numbers)
        at = np.flatnonzero(flags & (ENTER_LONG | ENTER_SHORT))
        stop, take = np.full((2, len(flags)), np.nan)
        stop[at], found = strategy.rules.distances(at, *columns, numbers)
        if len(found):
            take[at] = found
        for i, time in enumerate(one.arrays["open_time"].tolist()):
            row = bits(one.arrays["close"][i], *(column[i] for column in columns))
            said[one.symbol, time] = (row, int(flags[i]), bits(stop[i], take[i]))
    return said


def said_live(batches: Sequence[Batch]) -> Said:
    """Gather what batches say in the same form."""
    return {
        (one.symbol, one.open_time): (
            bits(one.close, *one.row),
            one.signals,
            bits(one.stop_distance, one.take_distance),
        )
        for batch in batches
        for one in batch.signals
    }


async def batches_of(bus: Bus) -> list[Batch]:
    return [entry.record for entry in await bus.range(SIGNALS)]


async def lose(bus: Bus, stream: str, count: int) -> None:
    """Leave a stream as a server does that comes back without its last second."""
    kept = await bus.range(stream)
    pipeline = bus._redis.pipeline(transaction=True)
    pipeline.delete(bus._key(stream))
    for entry in kept[: len(kept) - count]:
        pipeline.xadd(bus._key(stream), {b"m": bus._encode(entry.record)}, entry.id)
    await pipeline.execute()


class Decider:
    """Stands for the trader: acknowledges markers at once, and each instant with its batch."""

    def __init__(self, call: Caller, bus: Bus) -> None:
        self._call = call
        self._bus = bus
        self.clock = SimulatorClock(call.addresses.clock, "trader")
        self.batches: list[Batch] = []

    async def run(self) -> None:
        await self.clock.start()
        private = asyncio.create_task(self._private())
        try:
            last = 0
            while not self.clock.ended:
                try:
                    entries = await self._bus.read({SIGNALS: last}, 100)
                except (RedisError, OSError):
                    await asyncio.sleep(0.05)
                    continue
                for entry in entries:
                    self.batches.append(entry.record)
                    last = entry.number
                if entries:
                    self.clock.acknowledge_decided(last)
        finally:
            private.cancel()
            await asyncio.gather(private, return_exceptions=True)
            await self.clock.close()

    async def _private(self) -> None:
        while True:
            with suppress(aiohttp.ClientError):
                socket = await self._call.private()
                async for message in socket:
                    event = message.json()
                    if event["e"] == "marker":
                        self.clock.acknowledge_settled(event["n"])
            await asyncio.sleep(0.01)


def with_bus(folder: Path, test: Callable[[Bus, Server], Awaitable[None]]) -> None:
    """Run a test with a bus to a real Redis."""

    async def run(server: Server) -> None:
        bus = server.bus()
        try:
            await test(bus, server)
        finally:
            await bus.close()

    with redis_in(folder) as server:
        asyncio.run(run(server))
