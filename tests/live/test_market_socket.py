"""The market's socket: what it may say, and when it is replaced by another."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from live import market_socket
from live.bus import Bus
from tests.live.chain import (
    Server,
)
from tests.live.sessions import MINUTE, START
from tests.live.simulated import until
from tests.live.street import Street, candle, on_the_street


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
