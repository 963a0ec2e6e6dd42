"""Every closed candle once and in order, whatever the exchange's socket does."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from live import market_data, market_socket, pulse, signal_generator
from live.bus import Bus
from live.clocks import make_clock
from live.exchange.binance import Binance
from live.exchange.port import Unavailable
from live.records import CANDLES, ClosedCandle
from live.session import Addresses
from live.simulator.faults import Drop, Faults
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.load import load
from tests.live.chain import (
    Decider,
    Server,
    batches_of,
    lose,
    redis_in,
    said_in_batch,
    said_live,
)
from tests.live.hand_clock import HandClock
from tests.live.sessions import MINUTE, START, make_session, write_session
from tests.live.simulated import HISTORY, Caller, market, served, simulator, until, without
from tests.live.simulated import START as PLAYED_FROM


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


def test_an_unfinished_candle_is_never_published(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        for at in range(3):
            await street.say(candle(at), closed=False, c="1.0")
            await street.say(candle(at), closed=False)
            await street.clock.move(START + (at + 1) * MINUTE)
            await street.say(candle(at))
        assert await street.wait_for(bus, 3) == [candle(at) for at in range(3)]
        await street.say(candle(3), closed=False)
        await asyncio.sleep(0.1)
        assert len(await street.published(bus)) == 3

    on_the_street(tmp_path, test)


def test_history_comes_first_in_pages_and_text_is_passed_untouched(tmp_path: Path) -> None:
    history = [candle(at) for at in range(4_000)]

    async def test(street: Street, bus: Bus, _: Server) -> None:
        assert await street.wait_for(bus, 4_000) == history
        assert [start for _, start in street.asked][:1] == [START]
        assert len(street.asked) <= 8
        await street.clock.move(START + 4_001 * MINUTE)
        await street.say(candle(4_000, close="100.2000"))
        assert (await street.wait_for(bus, 4_001))[-1].close == "100.2000"

    on_the_street(tmp_path, test, now=4_000, prepare=lambda street: street.stock(*history))


def test_symbols_come_over_one_socket_and_their_history_side_by_side(tmp_path: Path) -> None:
    symbols = ("BTCUSDT", "ÄUSDT", "ETHUSDT")

    def prepare(street: Street) -> None:
        for symbol in symbols:
            street.stock(*(candle(at, symbol) for at in range(3_100)))

    async def test(street: Street, bus: Bus, _: Server) -> None:
        for symbol in symbols:
            await street.wait_for(bus, 3_100, symbol)
        assert street.paths == [
            "/market/stream?streams=btcusdt@kline_1m/%C3%A4usdt@kline_1m/ethusdt@kline_1m"
        ]
        # Nobody may be far behind the others, or who reads would take it for late.
        assert [symbol for symbol, _ in street.asked[:6]] == [*symbols, *symbols]

    on_the_street(tmp_path, test, symbols, now=3_100, prepare=prepare)


def test_what_closes_while_history_is_asked_for_comes_after_it(tmp_path: Path) -> None:
    def prepare(street: Street) -> None:
        street.stock(*(candle(at) for at in range(10)))
        street.held.clear()

    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + 11 * MINUTE)
        await street.say(candle(9))
        await street.say(candle(10))
        await asyncio.sleep(0.05)
        assert await street.published(bus) == []
        street.held.set()
        assert await street.wait_for(bus, 11) == [candle(at) for at in range(11)]

    on_the_street(tmp_path, test, now=10, prepare=prepare)


def test_a_repeat_and_a_revision_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + 3 * MINUTE)
        for at in (0, 1, 1, 0, 2):
            await street.say(candle(at))
        await street.say(candle(1, close="100.25"))
        await street.say(candle(2, symbol="OTHERUSDT"))
        await street.say(candle(3), i="5m")
        assert await street.wait_for(bus, 3) == [candle(at) for at in range(3)]
        # REST writes a number in another way, and has another one.
        street.stock(candle(2, volume="1.5", trades=7))
        await street.cut()
        await street.cut()
        note = "decided candles were revised 2 times, last BTCUSDT 2025-05-10 00:02 UTC"
        async with asyncio.timeout(5):
            while (await bus.health())["market_data"].note != note:
                await asyncio.sleep(0.01)
        assert await street.published(bus) == [candle(at) for at in range(3)]
        said = [one.getMessage() for one in caplog.records if "revised" in one.getMessage()]
        assert len(said) == 2
        assert "close='100.10'" in said[0]
        assert "close='100.25'" in said[0]

    on_the_street(tmp_path, test)


def test_a_revision_of_what_redis_lost_is_known_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_CHECK_S", 0.3)

    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + MINUTE)
        await street.say(candle(0))
        await street.wait_for(bus, 1)
        street.stock(candle(0, volume="1.6"))
        await lose(bus, "candles:BTCUSDT:1m", 1)
        await street.wait_for(bus, 1)
        assert any("candle=revised" in one.getMessage() for one in caplog.records)

    on_the_street(tmp_path, test)


def test_a_hole_is_filled_before_the_candle_behind_it(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(*(candle(at) for at in range(6)))
        await street.clock.move(START + 6 * MINUTE)
        street.asked.clear()
        await street.say(candle(5, trades=77))
        found = await street.wait_for(bus, 6)
        assert [one.trades for one in found][:5] == list(range(5))

    on_the_street(tmp_path, test)


def test_a_hole_that_the_exchange_has_too_is_passed_over(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + 5 * MINUTE)
        street.stock(candle(0), candle(4))
        await street.say(candle(4))
        assert await street.wait_for(bus, 2) == [candle(0), candle(4)]
        await street.clock.move(START + 6 * MINUTE)
        await street.say(candle(5))
        await street.wait_for(bus, 3)

    on_the_street(tmp_path, test)


def test_what_a_broken_socket_missed_comes_from_rest(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + MINUTE)
        await street.say(candle(0))
        await street.wait_for(bus, 1)
        for at in range(1, 6):
            street.stock(candle(at))
            await street.clock.move(START + (at + 1) * MINUTE)
            await street.cut()
            assert (await street.wait_for(bus, at + 1))[-1] == candle(at)
        await street.clock.move(START + 7 * MINUTE)
        await street.say(candle(6))
        await street.wait_for(bus, 7)

    on_the_street(tmp_path, test)


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        '{"data":{"e":"kline","s":"BTCUSDT","k":{"t":"soon"}}}',
        {"stream": "!", "data": {"e": "serverShutdown"}},
    ],
)
def test_what_cannot_be_trusted_ends_the_socket(tmp_path: Path, message: Any) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(candle(0))
        await street.clock.move(START + MINUTE)
        await street.shout(message)
        await until(lambda: len(street.sockets) == 2)
        await street.wait_for(bus, 1)

    on_the_street(tmp_path, test)


def test_other_messages_are_passed_over(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.shout({"result": None, "id": 1})
        await street.shout({"stream": "x", "data": {"e": "markPriceUpdate", "p": "1"}})
        await street.clock.move(START + MINUTE)
        await street.say(candle(0))
        await street.wait_for(bus, 1)
        assert len(street.sockets) == 1

    on_the_street(tmp_path, test)


def test_a_close_that_is_overdue_is_asked_for(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(candle(0))
        await asyncio.sleep(0.1)
        street.asked.clear()
        await street.clock.move(START + MINUTE + 999)
        await asyncio.sleep(0.1)
        assert not street.asked
        await street.clock.move(START + MINUTE + 1_000)
        await street.wait_for(bus, 1)

    on_the_street(tmp_path, test)


def test_a_symbol_without_candles_is_asked_for_less_and_less(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await asyncio.sleep(0.05)
        street.asked.clear()
        for second in range(62, 200):
            await street.clock.move(START + second * 1_000)
            await asyncio.sleep(0.01)
        assert 1 <= len(street.asked) <= 8

    on_the_street(tmp_path, test)


def test_without_any_socket_candles_come_from_rest(tmp_path: Path) -> None:
    def prepare(street: Street) -> None:
        street.open = False
        street.stock(*(candle(at) for at in range(5)))

    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.wait_for(bus, 3)
        await street.clock.move(START + 4 * MINUTE + 2_000)
        await street.wait_for(bus, 4)
        async with asyncio.timeout(5):
            while not (health := (await bus.health()).get("market_data")) or not health.note:
                await asyncio.sleep(0.02)
        assert health.note == "the market stream is down"

    on_the_street(tmp_path, test, now=3, prepare=prepare)


def test_a_connection_that_is_not_answered_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_socket, "_CONNECT_S", 0.2)
    release = asyncio.Event()

    async def test(street: Street, bus: Bus, _: Server) -> None:
        answer, tried = street.serve, 0

        async def serve(request: web.Request) -> web.StreamResponse:
            nonlocal tried
            tried += 1
            if tried < 3:
                await release.wait()
            return await answer(request)

        street.serving = serve
        await street.cut()
        assert tried == 3
        release.set()

    on_the_street(tmp_path, test)


def test_a_silent_socket_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_socket, "_SILENT_S", 0.05)

    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + 80_000)
        await street.say(candle(1), closed=False)
        await asyncio.sleep(0.1)
        await street.clock.move(START + 169_999)
        await asyncio.sleep(0.2)
        assert len(street.sockets) == 1
        await street.clock.move(START + 170_000)
        await until(lambda: len(street.sockets) == 2)

    on_the_street(tmp_path, test)


def test_an_old_socket_is_replaced_before_the_exchange_cuts_it(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + 23 * 3_600_000)
        await until(lambda: len(street.sockets) == 2)

    on_the_street(tmp_path, test)


def test_an_exchange_that_is_away_is_asked_again(tmp_path: Path) -> None:
    def prepare(street: Street) -> None:
        street.stock(*(candle(at) for at in range(5)))
        street.errors += [Unavailable("busy", 300), Unavailable("away")]

    async def test(street: Street, bus: Bus, _: Server) -> None:
        assert len(await street.published(bus)) == 0
        await street.wait_for(bus, 5)

    on_the_street(tmp_path, test, now=5, prepare=prepare)


def without_answers(street: Street, symbol: str, how: Callable[[], Awaitable[None]]) -> None:
    """Let REST fail for one symbol, and answer for the others."""
    answer = street.klines

    async def klines(asked: str, *rest: Any) -> Sequence[ClosedCandle]:
        if asked == symbol:
            await how()
        return await answer(asked, *rest)

    street.klines = klines  # type: ignore[method-assign, assignment]


async def refused() -> None:
    raise WickError("klines ETHUSDT: unknown symbol", "check the symbols")


async def away() -> None:
    raise Unavailable("away")


async def hanging() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", [refused, away, hanging])
def test_a_symbol_without_answers_does_not_hold_up_the_others(
    tmp_path: Path, how: Callable[[], Awaitable[None]]
) -> None:
    symbols = ("BTCUSDT", "ETHUSDT")

    async def test(street: Street, bus: Bus, _: Server) -> None:
        for symbol in symbols:
            street.stock(*(candle(at, symbol) for at in range(6)))
        await street.clock.move(START + MINUTE + 2_000)
        for symbol in symbols:
            await street.wait_for(bus, 1, symbol)
        works = street.klines
        without_answers(street, "ETHUSDT", how)
        # Its socket has a hole, that of the other one too, and then not any more.
        for at in (2, 3):
            await street.clock.move(START + (at + 1) * MINUTE)
            for symbol in symbols:
                await street.say(candle(at, symbol))
            await street.wait_for(bus, at + 1)
        await street.clock.move(START + 5 * MINUTE + 2_000)
        await street.wait_for(bus, 5)
        assert await street.published(bus, "ETHUSDT") == [candle(0, "ETHUSDT")]
        if how is hanging:
            return
        async with asyncio.timeout(5):
            while (await bus.health())["market_data"].note != "no answer about ETHUSDT":
                await asyncio.sleep(0.01)
        street.klines = works  # type: ignore[method-assign]
        expected = [candle(at, "ETHUSDT") for at in range(5)]
        assert await street.wait_for(bus, 5, "ETHUSDT") == expected

    on_the_street(tmp_path, test, symbols)


def test_a_hole_is_asked_about_again_when_the_answer_is_of_before(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        async def late(*asked: Any) -> Sequence[ClosedCandle]:
            rows = await answer(*asked)
            await release.wait()
            return rows

        await asyncio.sleep(0.1)
        answer, release = street.klines, asyncio.Event()
        street.klines = late  # type: ignore[method-assign, assignment]
        street.stock(candle(0))
        await street.clock.move(START + MINUTE)
        await street.cut()  # asked for what was missed: it knows of the first one only
        await asyncio.sleep(0.1)
        street.stock(candle(1), candle(2))
        await street.clock.move(START + 3 * MINUTE)
        await street.say(candle(2))
        await asyncio.sleep(0.1)
        release.set()
        assert await street.wait_for(bus, 3) == [candle(at) for at in range(3)]

    on_the_street(tmp_path, test)


def test_a_replay_does_not_end_before_all_is_answered(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await asyncio.sleep(0.3)
        street.errors += [Unavailable("away")] * 3
        street.stock(candle(0))
        await street.clock.move(START + MINUTE)
        street.clock.ended = True
        async with asyncio.timeout(8):
            while not await bus.has_ended("market_data"):
                await asyncio.sleep(0.01)
        assert await street.published(bus) == [candle(0)]

    on_the_street(tmp_path, test)


def test_an_unknown_symbol_ends_it_at_the_start_and_not_later(tmp_path: Path) -> None:
    wrong = WickError("klines BTCUSDT: unknown symbol", "check the symbols")

    async def never(street: Street, bus: Bus, _: Server) -> None:
        await asyncio.sleep(1)
        raise AssertionError("it went on")

    async def refused(street: Street, bus: Bus, _: Server) -> None:
        await asyncio.sleep(0.3)
        street.errors.append(wrong)
        street.stock(candle(0))
        await street.clock.move(START + MINUTE + 2_000)
        await street.wait_for(bus, 1)

    with redis_in(tmp_path) as server:
        session = make_session(addresses=Addresses("", "ws://127.0.0.1:1"))

        async def run() -> None:
            street = Street(HandClock(START + 2 * MINUTE))
            street.errors.append(wrong)
            bus = server.bus()
            try:
                await market_data.run(session, bus, street.clock, street)  # type: ignore[arg-type]
            finally:
                await bus.close()

        with pytest.raises(WickError, match="unknown symbol"):
            asyncio.run(run())
    (tmp_path / "later").mkdir()
    on_the_street(tmp_path / "later", refused)


@pytest.mark.parametrize(
    "changes",
    [
        {"close": "abc"},
        {"close": "nan"},
        {"high": "99.95"},
        {"low": "0"},
        {"low": "100.2"},
        {"high": "inf"},
        {"volume": "-1"},
        {"open_time": START + 1},
    ],
)
def test_a_candle_that_cannot_be_is_not_passed_on(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + MINUTE)
        await street.say(candle(0, **changes))
        await asyncio.sleep(0.05)
        assert await street.published(bus) == []
        street.stock(candle(0))
        await street.clock.move(START + MINUTE + 2_000)
        await street.wait_for(bus, 1)

    on_the_street(tmp_path, test)


@pytest.mark.parametrize("seed", range(3))
def test_redis_may_be_killed_and_lose_what_it_likes(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    async def test(street: Street, bus: Bus, server: Server) -> None:
        for at in range(120):
            street.stock(candle(at))
            await street.clock.move(START + (at + 1) * MINUTE)
            if rng.random() < 0.8:
                with suppress(ConnectionError, RuntimeError):
                    await street.say(candle(at))
            await asyncio.sleep(rng.choice((0.0, 0.002)))
            if at % 30 == 17:
                server.kill()
                server.start()
                await bus.close()
                bus = server.bus()
                there = len(await bus.range("candles:BTCUSDT:1m"))
                await lose(bus, "candles:BTCUSDT:1m", min(there, rng.randint(0, 4)))
        await street.clock.move(street.clock.now + 2_000)
        assert await street.wait_for(bus, 120) == [candle(at) for at in range(120)]
        await bus.close()

    on_the_street(tmp_path, test)


def test_a_replay_that_is_over_ends_it_with_the_last_candle(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(candle(0), candle(1))
        await street.clock.move(START + 2 * MINUTE)
        street.clock.ended = True
        async with asyncio.timeout(5):
            while (await bus.health())["market_data"].state != "ended":
                await asyncio.sleep(0.01)
        assert len(await street.published(bus)) == 2

    on_the_street(tmp_path, test)


@pytest.mark.parametrize("lockstep", [False, True])
def test_what_redis_lost_is_brought_back_before_the_next_candle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lockstep: bool
) -> None:
    monkeypatch.setattr(pulse, "_CHECK_S", 0.5)
    monkeypatch.setattr(market_data, "_DOUBT_S", 0.5)

    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(candle(0), candle(1))
        await street.clock.move(START + 2 * MINUTE)
        await street.say(candle(1))
        await street.wait_for(bus, 2)
        await lose(bus, "candles:BTCUSDT:1m", 2)
        await street.wait_for(bus, 2)

    on_the_street(tmp_path, test, lockstep=lockstep)


def test_what_redis_lost_at_the_end_is_brought_back(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        street.stock(candle(0), candle(1))
        await street.clock.move(START + 2 * MINUTE)
        await street.wait_for(bus, 2)
        await lose(bus, "candles:BTCUSDT:1m", 1)
        street.clock.ended = True
        async with asyncio.timeout(5):
            while not await bus.has_ended("market_data"):
                await asyncio.sleep(0.01)
        assert len(await street.published(bus)) == 2

    on_the_street(tmp_path, test)


def test_in_lockstep_a_candle_that_got_lost_is_found(tmp_path: Path) -> None:
    async def test(street: Street, bus: Bus, _: Server) -> None:
        await street.clock.move(START + MINUTE)
        street.stock(candle(0))
        await street.wait_for(bus, 1)

    on_the_street(tmp_path, test, lockstep=True)


# With the real simulator, the real client and the signal generator behind it.


async def roles(
    call: Caller, server: Server, folder: Path, symbols: Sequence[str], **changes: Any
) -> Callable[[], Awaitable[None]]:
    session = make_session(
        symbols,
        addresses=call.addresses,
        first_open_time=PLAYED_FROM - HISTORY * MINUTE,
        trade_from=PLAYED_FROM,
        **changes,
    )
    write_session(folder, session)

    async def role(name: str, run: Any, *, reads_exchange: bool) -> None:
        clock, bus = make_clock(session, name), server.bus()
        await clock.start()
        exchange = Binance(session.addresses, clock, "", "")
        try:
            if reads_exchange:
                await run(session, bus, clock, exchange)
            else:
                await run(session, folder, bus, clock)
        finally:
            await exchange.close()
            await clock.close()
            await bus.close()

    decider = Decider(call, server.bus())
    tasks = [
        asyncio.create_task(one)
        for one in (
            role("market_data", market_data.run, reads_exchange=True),
            role("signal_generator", signal_generator.run, reads_exchange=False),
            decider.run(),
        )
    ]

    async def ended() -> None:
        try:
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await decider._bus.close()

    return ended


def replayed(
    folder: Path, candles: Sequence[Candles], faults: Faults | None = None, rate: float = 0.0
) -> Any:
    symbols = [one.symbol for one in candles]
    exchange_side = simulator(*candles, faults=faults)

    async def run(server: Server) -> Any:
        async with served(exchange_side) as (_, call):
            ended = await roles(call, server, folder / "session", symbols)
            async with asyncio.timeout(60):
                await until(lambda: bool(exchange_side.hub.subscribed()))
                playing = exchange_side.run_at(rate) if rate else exchange_side.run_lockstep()
                await playing
            await ended()
            bus = server.bus()
            batches = await batches_of(bus)
            await bus.close()
            return batches

    with redis_in(folder) as server:
        return asyncio.run(run(server))


def expected(candles: Sequence[Candles]) -> Any:
    strategy = load("rsi_macd_atr")
    said = said_in_batch(strategy, strategy.params(), candles)
    return {key: value for key, value in said.items() if key[1] >= PLAYED_FROM}


def test_a_lockstep_with_gaps_gives_the_rows_of_a_backtest(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 60), without(market("ETHUSDT", 60, 8), 3, 4, 20, 59)]
    batches = replayed(tmp_path, candles)
    assert said_live(batches) == expected(candles)
    late = [(batch.time - PLAYED_FROM) // MINUTE - 1 for batch in batches if batch.late]
    assert late == [3, 4, 20, 59]


def test_a_lockstep_with_broken_sockets_gives_the_same(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 30), market("ETHUSDT", 30, 8)]
    drops = tuple(
        Drop(PLAYED_FROM + at * MINUTE, "market", "open" if at == 9 else "close")
        for at in (3, 4, 9, 15, 30)
    )
    assert said_live(replayed(tmp_path, candles, Faults(drops))) == expected(candles)


def test_a_replay_at_a_rate_gives_the_same_rows(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 40), market("ETHUSDT", 40, 8)]
    batches = replayed(tmp_path, candles, rate=1_000.0)
    assert [batch.time for batch in batches] == [PLAYED_FROM + at * MINUTE for at in range(1, 41)]
    said, rows = said_live(batches), expected(candles)
    assert said == {key: rows[key] for key in said}
