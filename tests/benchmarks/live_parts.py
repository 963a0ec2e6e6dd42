"""The processes of the live benchmark: the session's own, and a chain of the same length that does
nothing. Each notes when what came by, on the clock that all processes of a machine share.

python -m tests.benchmarks.live_parts PART FOLDER, with PART the name of a role, exchange, or one of
bare-exchange, bare-market, bare-signal, bare-trader.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from redis.asyncio import Redis

from data.synthetic import synthetic_market
from live import redis_server, roles
from live.bus import Bus
from live.exchange.binance import Binance
from live.journal import Journal
from live.journal_records import Intent
from live.market_socket import MarketSocket
from live.order_ids import parse
from live.signal_generator import SignalGenerator
from live.simulator.playback import Playback
from live.simulator.rest import Rest
from live.simulator.server import Simulator
from live.simulator.signing import parameters
from live.strategy_manager import StrategyManager
from live.trader import Trader
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.timeframes import timeframe_ms
from tests.live.sessions import START, rules

Marks = list[tuple[str, int, int]]  # what, which one, when in ns
PLAN = "plan.json"
ANSWER = b'{"orderId":1}'


class Plan(msgspec.Struct, frozen=True):
    """What the exchange of a measurement plays.

    Attributes
    ----------
    history, played : int
        Candles a symbol.
    rate : float
        0 for lockstep.
    """

    symbols: tuple[str, ...]
    timeframe: str
    history: int
    played: int
    rate: float

    @property
    def trade_from(self) -> int:
        """Open time of the first candle that is played."""
        return START + self.history * timeframe_ms(self.timeframe)

    def candles(self) -> list[Candles]:
        """Make the candles; volume is 2 in every second one and 1 in the others."""
        length = timeframe_ms(self.timeframe)
        made = []
        for seed, symbol in enumerate(self.symbols):
            minutes = -(-(self.history + self.played) * length // 60_000)
            market = synthetic_market(seed, minutes, START, self.timeframe, symbol)
            arrays = dict(market.arrays)
            arrays["volume"] = 1.0 + (arrays["open_time"] // length) % 2
            made.append(
                Candles.from_arrays(symbol=symbol, market="um", timeframe=self.timeframe, **arrays)
            )
        return made


@contextlib.contextmanager
def _noted(folder: Path, part: str) -> Iterator[Marks]:
    marks: Marks = []
    try:
        yield marks
    finally:
        (folder / f"{part}.marks").write_bytes(msgspec.json.encode(marks))


def _note(marks: Marks, what: str, owner: type, name: str, key: Callable[..., int | None]) -> None:
    inner = getattr(owner, name)

    @wraps(inner)
    def noting(*given: Any, **named: Any) -> Any:
        now = time.monotonic_ns()
        at = key(*given, **named)
        if at is not None:
            marks.append((what, at, now))
        return inner(*given, **named)

    setattr(owner, name, noting)


def order_key(client_id: str, leg: str) -> int | None:
    """Name an order's decision and symbol, None for one of another leg."""
    known = parse(client_id)
    return known.decided_at * 100 + known.symbol if known and known.leg == leg else None


def _watch_role(part: str, marks: Marks, length: int) -> None:
    if part == "market-data":
        _note(marks, "heard", MarketSocket, "_hear", lambda _, __, k: k.t + length)
        _note(marks, "added", Bus, "publish_all", lambda _, its: its[-1][2] + length)
    if part == "signal-generator":
        _note(
            marks,
            "taken",
            SignalGenerator,
            "_take",
            lambda _, its: its[-1].record.open_time + length if its else None,
        )
        _note(marks, "said", Bus, "publish_all", lambda _, its: its[-1][2])
    if part == "trader":
        _note(marks, "got", StrategyManager, "_take", lambda _, batch, __: batch.time)
        _note(
            marks,
            "meant",
            Journal,
            "append",
            lambda _, record, **__: order_key(record.id, "e") if type(record) is Intent else None,
        )
        _note(marks, "sent", Binance, "place_market", lambda _, id, *__: order_key(id, "e"))
        _note(
            marks,
            "told",
            Trader,
            "_hear_order",
            lambda _, event: order_key(event.order.client_id, "e") if event.trade else None,
        )
        _note(marks, "stop_sent", Binance, "place_algo", lambda _, id, *__: order_key(id, "s"))


class _Kline(msgspec.Struct):
    T: int = 0


class _Order(msgspec.Struct):
    c: str = ""


class _Data(msgspec.Struct):
    k: _Kline = msgspec.field(default_factory=_Kline)


class _Message(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)
    o: _Order = msgspec.field(default_factory=_Order)


_decoded = msgspec.json.Decoder(_Message).decode


def _watch_exchange(marks: Marks) -> None:
    send = web.WebSocketResponse.send_frame

    async def sending(self: Any, message: bytes, *given: Any) -> None:
        now = time.monotonic_ns()
        if b'"x":true' in message:
            marks.append(("closed", _decoded(message).data.k.T + 1, now))
        elif b'"x":"TRADE"' in message:
            order = _decoded(message).o
            if (at := order_key(order.c, "e")) is not None:
                marks.append(("filled", at, now))
        await send(self, message, *given)

    web.WebSocketResponse.send_frame = sending  # type: ignore[method-assign,assignment]
    _note(marks, "played", Playback, "tell_closed", lambda _, time_ms: time_ms)
    handle = Rest.handle

    async def noting(self: Rest, request: web.Request) -> web.Response:
        now = time.monotonic_ns()
        if request.method == "POST":
            given = parameters("", (await request.read()).decode())
            entry = order_key(given.get("newClientOrderId", ""), "e")
            stop = order_key(given.get("clientAlgoId", ""), "s")
            marks.extend(
                (what, at, now)
                for what, at in (("arrived", entry), ("stop_arrived", stop))
                if at is not None
            )
        return await handle(self, request)

    Rest.handle = noting  # type: ignore[method-assign]


async def _exchange(folder: Path) -> None:
    plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    key, secret = roles.keys()
    simulator = Simulator(
        plan.candles(),
        [rules(one) for one in plan.symbols],
        Costs(fee_rate=0.0, slippage=0.0001),
        1e6,
        api_key=key,
        api_secret=secret,
        start_ms=plan.trade_from,
        end_ms=plan.trade_from + plan.played * timeframe_ms(plan.timeframe),
    )
    _say(folder, msgspec.json.encode(await simulator.start()))
    await (simulator.run_at(plan.rate, wait=True) if plan.rate else simulator.run_lockstep())
    await asyncio.Event().wait()


def _say(folder: Path, address: bytes) -> None:
    new = folder / "address.new"
    new.write_bytes(address)
    new.rename(folder / "address")


async def _bare_exchange(folder: Path, marks: Marks) -> None:
    sockets: list[web.WebSocketResponse] = []

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def order(request: web.Request) -> web.Response:
        now = time.monotonic_ns()
        marks.append(("arrived", int((await request.read()).decode().partition("&")[0]), now))
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_get("/stream", stream)
    app.router.add_post("/order", order)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _say(folder, b"127.0.0.1:%d" % runner.addresses[0][1])
    plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    while not sockets or not (folder / "bare-trader.ready").exists():
        await asyncio.sleep(0.05)
    for number in range(1, plan.played + 1):
        await asyncio.sleep(1.0 / plan.rate)
        marks.append(("closed", number, time.monotonic_ns()))
        await sockets[0].send_str(f"{number}&{'k' * 300}")
    await asyncio.Event().wait()


async def _bare_market(folder: Path, redis: Any, marks: Marks) -> None:
    url = f"http://{(folder / 'address').read_text()}/stream"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        async for message in socket:
            number = int(message.data.partition("&")[0])
            marks.append(("heard", number, time.monotonic_ns()))
            await redis.xadd("candles", {b"m": message.data})


async def _bare_signal(redis: Any, marks: Marks) -> None:
    async for number, body in _bare_entries(redis, "candles"):
        marks.append(("taken", number, time.monotonic_ns()))
        await redis.xadd("signals", {b"m": body})


async def _bare_trader(folder: Path, redis: Any, marks: Marks) -> None:
    url = f"http://{(folder / 'address').read_text()}/order"
    file = os.open(folder / "bare.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    (folder / "bare-trader.ready").touch()
    async with aiohttp.ClientSession() as session:
        async for number, body in _bare_entries(redis, "signals"):
            marks.append(("got", number, time.monotonic_ns()))
            os.write(file, body)
            os.fdatasync(file)
            marks.append(("sent", number, time.monotonic_ns()))
            async with session.post(url, data=body) as response:
                await response.read()


async def _bare_entries(redis: Any, stream: str) -> Any:
    last = b"0-0"
    while True:
        for _, entries in await redis.xread({stream: last}, block=500) or ():
            for entry, fields in entries:
                last = entry
                yield int(fields[b"m"].partition(b"&")[0]), fields[b"m"]


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    task, told = asyncio.ensure_future(work), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    waiting = asyncio.ensure_future(told.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    while not task.done():  # the Redis client loses one that comes while it reads an answer
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()


async def _bare(part: str, folder: Path, marks: Marks) -> None:
    if part == "bare-exchange":
        await _bare_exchange(folder, marks)
        return
    redis = Redis.from_url(redis_server.url_of(folder))
    works = {
        "bare-market": lambda: _bare_market(folder, redis, marks),
        "bare-signal": lambda: _bare_signal(redis, marks),
        "bare-trader": lambda: _bare_trader(folder, redis, marks),
    }
    await works[part]()


def main(part: str, folder: Path) -> None:
    """Be one of the processes until told to end, or until the replay is over."""
    with _noted(folder, part) as marks:
        if part == "exchange":
            _watch_exchange(marks)
            asyncio.run(_until_told(_exchange(folder)))
        elif part.startswith("bare-"):
            asyncio.run(_until_told(_bare(part, folder, marks)))
        else:
            plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
            _watch_role(part, marks, timeframe_ms(plan.timeframe))
            roles.run_role(part, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
