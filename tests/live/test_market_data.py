"""Every closed candle once and in order, whatever the exchange and Redis do."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from live import market_data, pulse
from live.bus import Bus
from live.exchange.port import Unavailable
from live.records import ClosedCandle
from live.session import Addresses
from strategy.errors import WickError
from tests.live.chain import (
    Server,
    lose,
    redis_in,
)
from tests.live.hand_clock import HandClock
from tests.live.sessions import MINUTE, START, make_session
from tests.live.street import Street, candle, on_the_street


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
