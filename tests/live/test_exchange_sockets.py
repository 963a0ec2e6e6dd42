import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from live.exchange import sockets
from live.exchange.port import (
    Connected,
    Disconnected,
    Marker,
    OrderEvent,
    PrivateEvent,
)
from strategy.errors import WickError
from tests.live.fake_exchange import KEY, LISTEN_KEY, FakeExchange, HandClock, answer, cut

HOUR = 3_600_000
FILL = (
    '{"e":"ORDER_TRADE_UPDATE","E":1761868800200,"T":1761868800195,"st":1,"o":{"s":"BTCUSDT",'
    '"c":"cw-1","S":"BUY","o":"MARKET","f":"GTC","q":"0.010","p":"0","ap":"59999.90","sp":"0",'
    '"x":"TRADE","X":"PARTIALLY_FILLED","i":283194212,"l":"0.004","z":"0.004","L":"59999.90",'
    '"N":"USDT","n":"0.04799992","T":1761868800195,"t":4412345,"m":false,"R":false,"ps":"BOTH",'
    '"cp":false,"rp":"0"}}'
)
LITE = (
    '{"e":"TRADE_LITE","E":1761868800190,"T":1761868800190,"s":"BTCUSDT","q":"0.010","p":"0",'
    '"m":false,"c":"cw-1","S":"BUY","L":"59999.90","l":"0.004","t":4412345,"i":283194212}'
)
Work = Callable[[FakeExchange, AsyncIterator[PrivateEvent], HandClock], Awaitable[None]]


def marker(number: int) -> str:
    return f'{{"e":"marker","n":{number},"E":1}}'


def with_stream(work: Work) -> None:
    async def run() -> None:
        clock = HandClock()
        async with FakeExchange() as fake:
            client = fake.client(clock)
            events = client.private_events()
            try:
                await work(fake, events, clock)
            finally:
                await events.aclose()  # type: ignore[attr-defined]
                await client.close()

    asyncio.run(run())


async def heard(events: AsyncIterator[PrivateEvent], count: int) -> list[PrivateEvent]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def keepalive_is_waiting(clock: HandClock) -> None:
    async with asyncio.timeout(10):
        while not any(not event.is_set() for _, event in clock._waiting):
            await asyncio.sleep(0.01)


def test_the_private_socket_is_opened_with_a_fresh_listen_key_and_no_api_key() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        assert await heard(events, 1) == [Connected()]
        created, opened = fake.requests
        assert (created.method, created.path, created.text) == ("POST", "listenKey", "")
        assert created.headers["X-MBX-APIKEY"] == KEY
        assert (opened.version, opened.path) == ("private", "ws")
        assert opened.query == f"listenKey={LISTEN_KEY}"
        assert "X-MBX-APIKEY" not in opened.headers

    with_stream(work)


def test_repeated_events_pass_and_events_that_do_not_matter_do_not() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        socket = await asyncio.gather(heard(events, 1), fake.socket(1))
        for text in (
            LITE,
            FILL,
            FILL,
            '{"e":"GRID_UPDATE","E":1,"gu":{"si":1}}',
            '{"e":"ORDER_TRADE_UPDATE","st":2,"o":"of the other market"}',
            '{"result":null,"id":1}',
            marker(7),
        ):
            await socket[1].send_str(text)
        first, again, last = await heard(events, 3)
        assert isinstance(first, OrderEvent)
        assert first == again
        assert first.trade is not None
        assert first.trade.trade_id == 4412345
        assert last == Marker(7)

    with_stream(work)


def test_a_dropped_socket_is_told_and_opened_again() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        for number in (1, 2, 3):
            socket = await fake.socket(number)
            await socket.send_str(marker(number))
            assert await heard(events, 1) == [Marker(number)]
            assert socket._req is not None
            assert socket._req.transport is not None
            socket._req.transport.abort()
            gone, back = await heard(events, 2)
            assert isinstance(gone, Disconnected)
            assert gone.reason
            assert back == Connected()
        assert len(fake.asked("POST listenKey")) == 4

    with_stream(work)


def test_an_expired_listen_key_is_replaced_at_once() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        fake.says("POST listenKey", answer({"listenKey": "another"}))
        expired = f'{{"e":"listenKeyExpired","E":1,"listenKey":"{LISTEN_KEY}"}}'
        await (await fake.socket(1)).send_str(expired)
        assert await heard(events, 2) == [Disconnected("its listenKey expired"), Connected()]
        assert fake.requests[-1].query == "listenKey=another"

    with_stream(work)


def test_the_listen_key_is_extended_every_half_hour_and_replaced_when_it_is_gone() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        gone = answer({"code": -1125, "msg": "This listenKey does not exist."}, 400)
        fake.says("PUT listenKey", answer({}), cut, gone)
        for step, count in ((HOUR // 2 - 1, 0), (1, 1), (HOUR // 2, 2)):
            await keepalive_is_waiting(clock)
            clock.set(clock.now + step)
            async with asyncio.timeout(10):
                while len(fake.asked("PUT listenKey")) < count:
                    await asyncio.sleep(0.01)
        # The lost one is tried again after a minute, and the answer is that the key is gone.
        next_one = asyncio.ensure_future(heard(events, 2))
        while not next_one.done():
            clock.set(clock.now + 60_000)
            await asyncio.wait([next_one], timeout=0.02)
        assert next_one.result() == [Disconnected("its listenKey is gone"), Connected()]
        assert len(fake.asked("PUT listenKey")) == 3

    with_stream(work)


def test_a_socket_is_renewed_before_the_exchange_ends_it() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        await keepalive_is_waiting(clock)
        clock.set(clock.now + 23 * HOUR)
        assert await heard(events, 2) == [Disconnected("23 hours old"), Connected()]

    with_stream(work)


def test_a_peer_that_no_longer_answers_pings_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_HEARTBEAT_S", 0.1)

    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        fake.answers_pings = False
        await heard(events, 1)
        gone, back = await heard(events, 2)
        assert (type(gone), back) == (Disconnected, Connected())

    with_stream(work)


def test_a_message_that_cannot_be_read_renews_the_socket_instead_of_being_lost() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        await (await fake.socket(1)).send_str('{"e":"ORDER_TRADE_UPDATE","o":{"s":"BTCUSDT"}}')
        gone, back = await heard(events, 2)
        assert isinstance(gone, Disconnected)
        assert "cannot be read" in gone.reason
        assert back == Connected()

    with_stream(work)


def test_an_exchange_that_is_away_is_tried_until_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        fake.says("POST listenKey", cut, answer("", 503), answer({"listenKey": LISTEN_KEY}))
        assert await heard(events, 1) == [Connected()]
        assert len(fake.asked("POST listenKey")) == 3
        assert LISTEN_KEY not in caplog.text
        assert KEY not in caplog.text

    with_stream(work)


def test_a_key_refused_before_the_first_connection_is_an_error_and_later_a_pause() -> None:
    refused = answer({"code": -2015, "msg": "Invalid API-key."}, 401)

    async def at_first(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        fake.says("POST listenKey", refused)
        with pytest.raises(WickError, match="refuses the API key"):
            await heard(events, 1)

    async def later(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        fake.says("POST listenKey", refused, answer({"listenKey": LISTEN_KEY}))
        await (await fake.socket(1)).close()
        gone, back = await heard(events, 2)
        assert (type(gone), back) == (Disconnected, Connected())

    with_stream(at_first)
    with_stream(later)


def test_a_slow_reader_loses_nothing() -> None:
    async def work(
        fake: FakeExchange, events: AsyncIterator[PrivateEvent], clock: HandClock
    ) -> None:
        await heard(events, 1)
        socket = await fake.socket(1)
        for number in range(2_000):
            await socket.send_str(marker(number))
        await asyncio.sleep(0.05)
        assert await heard(events, 2_000) == [Marker(number) for number in range(2_000)]

    with_stream(work)


def test_nothing_is_left_behind_when_the_reader_stops() -> None:
    async def work(fake: FakeExchange, events: Any, clock: HandClock) -> None:
        before = asyncio.all_tasks()
        await heard(events, 1)
        socket = await fake.socket(1)
        await events.aclose()
        async with asyncio.timeout(10):
            while not socket.closed:
                await asyncio.sleep(0.01)
        assert not {one for one in asyncio.all_tasks() - before if "exchange" in repr(one)}

    with_stream(work)


def test_closing_the_client_ends_its_events() -> None:
    async def run() -> None:
        async with FakeExchange() as fake:
            client = fake.client()
            found = []
            async with asyncio.timeout(10):
                async for event in client.private_events():
                    found.append(event)
                    await client.close()
            assert found == [Connected()]

    asyncio.run(run())


def test_a_stream_host_that_is_no_socket_is_tried_again() -> None:
    async def run() -> None:
        async with FakeExchange() as fake:
            page = web.Response(text="no socket here")

            async def refuse(request: web.Request) -> web.StreamResponse:
                return page

            fake._socket = refuse  # type: ignore[assignment,method-assign]
            client = fake.client()
            events = client.private_events()
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.wait([waiting], timeout=0.4)
            assert not waiting.done()
            assert len(fake.asked("POST listenKey")) >= 2
            waiting.cancel()
            await asyncio.wait([waiting])
            await client.close()

    asyncio.run(run())
