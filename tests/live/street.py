"""The exchange's market side as a test plays it, and market_data on the other end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from live import market_data
from live.bus import Bus
from live.records import CANDLES, ClosedCandle
from live.session import Addresses
from strategy.errors import WickError
from tests.live.chain import (
    Server,
    redis_in,
)
from tests.live.hand_clock import HandClock
from tests.live.sessions import MINUTE, START, make_session
from tests.live.simulated import until


def candle(at: int, symbol: str = "BTCUSDT", **changes: Any) -> ClosedCandle:
    """Write the candle that opens `at` minutes after the start, in the exchange's own digits."""
    values: dict[str, Any] = {
        "symbol": symbol,
        "open_time": START + at * MINUTE,
        "open": "100.10",
        "high": "100.3000",
        "low": "99.9",
        "close": f"100.{at % 100 + 100}"[:6],
        "volume": "1.500",
        "quote_volume": "150.00",
        "trades": at,
        "taker_buy": "0.7",
    }
    return ClosedCandle(**values | changes)


class Street:
    """The exchange's market side, told by the test what to say and to whom."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.shelf: dict[str, list[ClosedCandle]] = {}
        self.asked: list[tuple[str, int]] = []
        self.errors: list[Exception] = []
        self.held = asyncio.Event()
        self.held.set()
        self.sockets: list[web.WebSocketResponse] = []
        self.open = True
        self.paths: list[str] = []
        self.serving: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.serve

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.serving(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if not self.open:
            return web.Response(status=503)
        self.paths.append(request.raw_path)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def klines(
        self, symbol: str, timeframe: str, start_ms: int, limit: int = 1500
    ) -> Sequence[ClosedCandle]:
        self.asked.append((symbol, start_ms))
        await self.held.wait()
        if self.errors:
            raise self.errors.pop(0)
        now = self.clock.now_ms()
        rows = [one for one in self.shelf.get(symbol, ()) if one.open_time >= start_ms][:limit]
        return [one for one in rows if one.open_time + MINUTE <= now]

    def stock(self, *candles: ClosedCandle) -> None:
        for one in candles:
            self.shelf.setdefault(one.symbol, []).append(one)

    async def say(self, one: ClosedCandle, *, closed: bool = True, **changes: Any) -> None:
        kline = {
            "t": one.open_time,
            "T": one.open_time + MINUTE - 1,
            "s": one.symbol,
            "i": "1m",
            "o": one.open,
            "c": one.close,
            "h": one.high,
            "l": one.low,
            "v": one.volume,
            "n": one.trades,
            "x": closed,
            "q": one.quote_volume,
            "V": one.taker_buy,
            "Q": "1",
            "B": "0",
            "new": {"field": 1},
        }
        data = {"e": "kline", "E": self.clock.now, "s": one.symbol, "k": kline | changes, "st": 1}
        await self.shout({"stream": f"{one.symbol.lower()}@kline_1m", "data": data})

    async def shout(self, message: Any) -> None:
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        await self.sockets[-1].send_str(text)

    async def cut(self) -> None:
        """Break the socket off and wait for the next one."""
        count = len(self.sockets)
        self.sockets[-1]._req.transport.abort()  # type: ignore[union-attr]
        await until(lambda: len(self.sockets) > count)

    async def published(self, bus: Bus, symbol: str = "BTCUSDT") -> list[ClosedCandle]:
        entries = await bus.range(CANDLES.format(symbol=symbol, timeframe="1m"))
        assert all(entry.number == entry.record.open_time for entry in entries)
        return [entry.record for entry in entries]

    async def wait_for(self, bus: Bus, count: int, symbol: str = "BTCUSDT") -> list[ClosedCandle]:
        async with asyncio.timeout(8):
            while len(found := await self.published(bus, symbol)) < count:
                await asyncio.sleep(0.005)
        assert len(found) == count
        return found


def on_the_street(
    folder: Path,
    test: Callable[[Street, Bus, Server], Awaitable[None]],
    symbols: Sequence[str] = ("BTCUSDT",),
    *,
    now: int = 0,
    prepare: Callable[[Street], None] = lambda _: None,
    lockstep: bool = False,
) -> None:
    async def run(server: Server) -> None:
        clock = HandClock(START + now * MINUTE, lockstep=lockstep)
        street = Street(clock)
        prepare(street)
        app = web.Application()
        app.router.add_get("/market/stream", street.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        session = make_session(symbols, addresses=Addresses("", f"ws://127.0.0.1:{port}"))
        own, bus = server.bus(), server.bus()
        role = asyncio.create_task(market_data.run(session, own, clock, street))  # type: ignore[arg-type]
        try:
            if street.open:
                await until(lambda: bool(street.sockets) or role.done())
                if role.done():
                    role.result()
            await test(street, bus, server)
        finally:
            role.cancel()
            with suppress(asyncio.CancelledError, WickError):
                await role
            for socket in street.sockets:
                await socket.close()
            await runner.cleanup()
            await own.close()
            await bus.close()

    with redis_in(folder) as server:
        asyncio.run(run(server))
