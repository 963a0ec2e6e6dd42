"""The simulated exchange over real sockets: REST answers, klines bit for bit, streams."""

import asyncio
from typing import Any

import aiohttp
import pytest

from live.simulator.replay import Replay, text
from live.simulator.signing import signature
from strategy.candles import Candles
from tests.live.simulated import (
    HISTORY,
    MINUTE,
    SECRET,
    START,
    Trader,
    hear,
    market,
    served,
    silent,
    simulator,
    until,
    without,
)

KLINES = "/fapi/v1/klines"
FIELDS = ("open", "high", "low", "close", "volume")


def stored(candles: Candles, place: int) -> list[float]:
    return [float(candles.arrays[name][place]) for name in FIELDS]


def test_requests_are_checked_and_counted() -> None:
    async def run() -> None:
        async with served(simulator()) as (_, call):
            status, answer, _ = await call.raw("GET", "/fapi/v1/nothing")
            assert (status, answer["code"]) == (404, -5000)
            status, answer, _ = await call.raw("POST", "/fapi/v1/listenKey", key="")
            assert (status, answer["code"]) == (401, -2014)
            status, answer, _ = await call.raw("POST", "/fapi/v1/listenKey", key="other")
            assert (status, answer["code"]) == (401, -2015)
            status, answer, _ = await call.raw("GET", "/fapi/v3/balance")
            assert (status, answer["code"]) == (400, -1102)
            query = f"timestamp={START}&signature=00"
            status, answer, _ = await call.raw("GET", "/fapi/v3/balance", query=query)
            assert (status, answer["code"]) == (400, -1022)
            query = f"timestamp={START - 6_000}&signature=00"
            status, answer, headers = await call.raw("GET", "/fapi/v3/balance", query=query)
            assert (status, answer["code"]) == (400, -1021)
            used = int(headers["X-MBX-USED-WEIGHT-1M"])
            _, _, headers = await call.raw("GET", "/fapi/v1/ping")
            assert int(headers["X-MBX-USED-WEIGHT-1M"]) == used + 1

    asyncio.run(run())


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_parameters_come_from_query_and_body(method: str) -> None:
    async def run() -> None:
        async with served(simulator()) as (_, call):
            path = "/fapi/v1/leverage" if method == "POST" else "/fapi/v1/order"
            query, body = "symbol=BTCUSDT", f"leverage=7&orderId=5&timestamp={START}"
            made = signature(query + body, SECRET)
            for given in (
                {"query": f"{query}&signature={made}", "body": body},
                {"query": query, "body": f"{body}&signature={made}"},
            ):
                _, answer, _ = await call.raw(method, path, **given)
                if method == "POST":
                    assert answer["leverage"] == 7
                else:
                    assert answer["code"] not in (-1022, -1102)

    asyncio.run(run())


def test_orders_are_counted_in_the_headers() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            for _ in range(3):
                await call("POST", "/fapi/v1/order", **order)
            _, _, headers = await call.raw("GET", "/fapi/v1/ping")
            assert headers["X-MBX-ORDER-COUNT-10S"] == headers["X-MBX-ORDER-COUNT-1M"] == "3"

    asyncio.run(run())


def test_klines_are_the_stored_doubles_and_end_with_the_running_candle() -> None:
    async def run() -> None:
        candles = market(minutes=5)
        async with served(simulator(candles)) as (_, call):
            _, rows, _ = await call.raw("GET", KLINES, query="symbol=BTCUSDT&interval=1m")
            assert len(rows) == HISTORY + 1
            for place, row in enumerate(rows[:-1]):
                assert row[0] == int(candles.open_time[place])
                assert [float(value) for value in row[1:6]] == stored(candles, place)
                assert row[6] == row[0] + MINUTE - 1 < START
                assert float(row[7]) == candles.arrays["quote_volume"][place]
                assert row[8] == candles.arrays["trades"][place]
                assert float(row[9]) == candles.arrays["taker_buy"][place]
                assert row[10:] == ["0", "0"]
            running = rows[-1]
            assert running[0] == START
            assert running[6] > START
            assert {float(price) for price in running[1:5]} == {stored(candles, HISTORY)[0]}
            assert running[8] == 0

    asyncio.run(run())


def test_klines_are_cut_as_asked() -> None:
    async def run() -> None:
        async with served(simulator(market(minutes=5))) as (_, call):

            async def times(query: str) -> list[int]:
                _, rows, _ = await call.raw(
                    "GET", KLINES, query=f"symbol=BTCUSDT&interval=1m{query}"
                )
                return [(row[0] - START) // MINUTE for row in rows]

            assert await times("&limit=3") == [-2, -1, 0]
            assert await times(f"&startTime={START - 10 * MINUTE}&limit=2") == [-10, -9]
            assert await times(f"&endTime={START - 10 * MINUTE}&limit=2") == [-11, -10]
            window = f"&startTime={START - 3 * MINUTE + 1}&endTime={START - 1}"
            assert await times(window) == [-2, -1]
            assert await times(f"&startTime={START + MINUTE}") == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("interval=1m", -1102),
        ("symbol=BTCUSDT", -1102),
        ("symbol=NOPEUSDT&interval=1m", -1121),
        ("symbol=BTCUSDT&interval=7x", -1120),
        ("symbol=BTCUSDT&interval=1s", -1120),
        ("symbol=BTCUSDT&interval=1m&limit=1501", -1130),
        ("symbol=BTCUSDT&interval=1m&limit=0", -1130),
        ("symbol=BTCUSDT&interval=1m&startTime=x", -1102),
    ],
)
def test_klines_asked_for_wrongly_are_refused(query: str, code: int) -> None:
    async def run() -> None:
        async with served(simulator()) as (_, call):
            status, answer, _ = await call.raw("GET", KLINES, query=query)
            assert (status, answer["code"]) == (400, code)

    asyncio.run(run())


def test_longer_klines_are_built_from_the_stored_ones() -> None:
    candles = market(minutes=8)
    replay = Replay([candles], START, START + 8 * MINUTE)
    now = START + 7 * MINUTE
    rows = replay.rows("BTCUSDT", "5m", now, START, None, 10)
    arrays = {name: values[HISTORY:] for name, values in candles.arrays.items()}
    assert [row.open_time for row in rows] == [START, START + 5 * MINUTE]
    closed, running = rows
    assert (closed.open, closed.close) == (arrays["open"][0], arrays["close"][4])
    assert closed.high == max(arrays["high"][:5])
    assert closed.low == min(arrays["low"][:5])
    assert closed.trades == sum(arrays["trades"][:5])
    assert running.open == arrays["open"][5]
    assert running.close == arrays["open"][7]
    assert running.high == max(*arrays["high"][5:7], arrays["open"][7])
    assert running.close_time == START + 10 * MINUTE - 1


def test_a_missing_candle_is_in_no_row() -> None:
    replay = Replay([without(market(minutes=5), 1)], START, START + 5 * MINUTE)
    rows = replay.rows("BTCUSDT", "1m", START + 5 * MINUTE, START, None, 10)
    assert [(row.open_time - START) // MINUTE for row in rows] == [0, 2, 3, 4]
    assert [(time - START) // MINUTE for time in replay.instants] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("value", [0.1, 1e-7, 93_000.0, 1e22, 5e-324, 0.30000000000000004, 0.0])
def test_numbers_are_written_without_an_exponent_and_read_back_exactly(value: float) -> None:
    written = text(value)
    assert "e" not in written
    assert float(written) == value


def test_kline_events_carry_the_stored_doubles() -> None:
    async def run() -> None:
        candles = market(minutes=4)
        exchange = simulator(candles)
        async with served(exchange) as (_, call):
            socket = await call.market("btcusdt@kline_1m")
            await until(lambda: bool(exchange.hub.subscribed()))
            await exchange.run_at(60_000)
            events = [await hear(socket) for _ in range(7)]
        kinds = [(event["k"]["x"], (event["k"]["t"] - START) // MINUTE) for event in events]
        assert kinds == [
            (True, 0),
            (False, 1),
            (True, 1),
            (False, 2),
            (True, 2),
            (False, 3),
            (True, 3),
        ]
        for event in events:
            kline = event["k"]
            place = HISTORY + (kline["t"] - START) // MINUTE
            assert (event["e"], event["s"], kline["s"]) == ("kline", "BTCUSDT", "BTCUSDT")
            assert event["E"] == (kline["T"] + 1 if kline["x"] else kline["t"])
            names = "tTsifLocchlvnxqVQB"
            assert set(names) == set(kline)
            values = [float(kline[name]) for name in "ohlcv"]
            opened = stored(candles, place)[0]
            expected = stored(candles, place) if kline["x"] else [opened] * 4 + [0.0]
            assert values == expected

    asyncio.run(run())


def test_a_longer_stream_closes_with_its_window() -> None:
    async def run() -> None:
        candles = market(minutes=10)
        exchange = simulator(candles)
        async with served(exchange) as (_, call):
            socket = await call.market("btcusdt@kline_5m", "btcusdt_perpetual@continuousKline_5m")
            await until(lambda: len(exchange.hub.subscribed()) == 2)
            await exchange.run_at(60_000)
            events = [await hear(socket) for _ in range(6)]
        plain = [event["k"] for event in events if event["e"] == "kline"]
        assert [(one["x"], (one["t"] - START) // MINUTE) for one in plain] == [
            (True, 0),
            (False, 5),
            (True, 5),
        ]
        other = [event for event in events if event["e"] == "continuous_kline"]
        assert [event["ps"] for event in other] == ["BTCUSDT"] * 3
        assert all("s" not in event["k"] for event in other)

    asyncio.run(run())


def test_streams_are_subscribed_listed_and_left() -> None:
    async def run() -> None:
        async with served(simulator()) as (_, call):
            socket = await call.market("btcusdt@kline_1m")

            async def ask(**message: Any) -> Any:
                await socket.send_json(message)
                return await hear(socket)

            names = ["btcusdt@kline_5m", "btcusdt@aggTrade"]
            assert await ask(method="SUBSCRIBE", params=names, id=1) == {"result": None, "id": 1}
            listed = await ask(method="LIST_SUBSCRIPTIONS", id=2)
            assert listed == {"result": ["btcusdt@kline_1m", *names], "id": 2}
            left = await ask(method="UNSUBSCRIBE", params=["btcusdt@kline_1m"], id="x")
            assert left == {"result": None, "id": "x"}
            assert (await ask(method="LIST_SUBSCRIPTIONS", id=3))["result"] == names
            assert (await ask(method="DANCE", id=4))["code"] == 2
            await socket.send_str("nonsense")
            assert (await hear(socket))["code"] == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    "path",
    [
        "/ws/btcusdt@kline_1m",
        "/public/ws/btcusdt@kline_1m",
        "/private/ws/btcusdt@kline_1m",
        "/market/ws/BTCUSDT@kline_1m",
        "/market/ws/nopeusdt@kline_1m",
        "/stream?streams=btcusdt@kline_1m",
        "/private/ws?listenKey=wrong",
    ],
)
def test_a_wrong_category_or_name_connects_and_stays_silent(path: str) -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=3))
        async with served(exchange) as (addresses, call):
            await call.listen_key()
            socket = await call.session.ws_connect(addresses.stream + path)
            await exchange.run_at(60_000)
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            await call("POST", "/fapi/v1/order", **order)
            assert await silent(socket)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/private/ws?listenKey={}", "/private/ws/{}"])
def test_the_account_is_heard_with_its_key(path: str) -> None:
    async def run() -> None:
        async with served(simulator()) as (addresses, call):
            key = await call.listen_key()
            socket = await call.session.ws_connect(addresses.stream + path.format(key))
            wrapped = await call.session.ws_connect(
                f"{addresses.stream}/private/stream?listenKey={key}&events=ACCOUNT_UPDATE"
            )
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            answer = await call("POST", "/fapi/v1/order", **order)
            event = await hear(socket)
            assert event["e"] == "ORDER_TRADE_UPDATE"
            assert event["o"]["i"] == answer["orderId"]
            event = await hear(wrapped)
            assert event["stream"] == key
            assert event["data"]["e"] == "ACCOUNT_UPDATE"

    asyncio.run(run())


def test_a_listen_key_lives_until_it_is_deleted() -> None:
    async def run() -> None:
        async with served(simulator()) as (_, call):
            path = "/fapi/v1/listenKey"
            assert (await call.raw("PUT", path))[1]["code"] == -1125
            key = await call.listen_key()
            assert await call.listen_key() == key
            assert (await call.raw("PUT", path, body=f"listenKey={key}"))[0] == 200
            assert (await call.raw("DELETE", path))[:2] == (200, {})
            assert (await call.raw("PUT", path))[1]["code"] == -1125
            assert await call.listen_key() != key

    asyncio.run(run())


def test_a_client_that_never_reads_holds_nobody_up() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=200))
        async with served(exchange) as (_, call):
            # Never read from; its own buffers fill up.
            deaf = await call.market("btcusdt@kline_1m")
            trader = Trader(call)
            working = asyncio.create_task(trader.run())
            await until(lambda: len(exchange.hub.of("market")) == 2)
            await asyncio.wait_for(exchange.run_lockstep(), 20)
            await asyncio.wait_for(working, 5)
            assert len(trader.closed) == 200
            await deaf.close()

    asyncio.run(run())


def test_time_runs_at_the_rate_and_stops_before_a_close_that_is_not_played() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=3))
        async with served(exchange) as (_, call):
            clock = await call.clock()
            assert await hear(clock) == {"now": START, "rate": 0}
            await exchange.run_at(6_000)
            last = None
            seen = []
            while last is None or not last.get("end"):
                last = await hear(clock)
                seen.append(last["now"])
            assert seen == sorted(seen)
            assert seen[-1] == START + 3 * MINUTE
            _, answer, _ = await call.raw("GET", "/fapi/v1/time")
            assert answer == {"serverTime": START + 3 * MINUTE}

    asyncio.run(run())


def test_the_port_is_free_again_after_a_stop() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (addresses, call):
            await call.private()
            await call.clock()
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"{addresses.rest}/fapi/v1/ping")
        assert not exchange.hub.of("all")

    asyncio.run(run())
