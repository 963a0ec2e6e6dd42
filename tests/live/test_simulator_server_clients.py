"""Clients that were written for the real exchange trade here with nothing changed but addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from binance import AsyncClient, BinanceSocketManager  # type: ignore[import-untyped]
from binance.exceptions import BinanceAPIException  # type: ignore[import-untyped]
from ccxt.async_support import binanceusdm  # type: ignore[import-untyped]
from ccxt.pro import binanceusdm as streaming  # type: ignore[import-untyped]

from live.session import Addresses
from live.simulator.rest import Tolerance
from live.simulator.server import Simulator
from strategy.funding import Funding
from tests.live.simulated import (
    HISTORY,
    KEY,
    MINUTE,
    SECRET,
    START,
    Caller,
    market,
    served,
    simulator,
    until,
)

SYMBOL = "BTCUSDT"
HOUR = 60 * MINUTE
# What was, what the tests let be paid, and what comes.
FUNDING = Funding(
    START + MINUTE + HOUR * np.array([-4, 0, 4]),
    np.array([0.0002, 0.0001, -0.0003]),
    np.array([29_000.0, 30_000.0, np.nan]),
)


@asynccontextmanager
async def in_real_time(*, strict: bool = False) -> AsyncIterator[tuple[Simulator, Caller]]:
    """Serve an exchange whose time runs, as these clients expect it to."""
    exchange = simulator(market(minutes=60), strict=strict, funding=[FUNDING])
    async with served(exchange) as (_, call):
        running = asyncio.create_task(exchange.run_at(1.0))
        await asyncio.sleep(0)
        try:
            yield exchange, call
        finally:
            running.cancel()


@asynccontextmanager
async def python_binance(addresses: Addresses) -> AsyncIterator[Any]:
    class Client(AsyncClient):  # type: ignore[misc]
        API_URL = addresses.rest + "/api"
        FUTURES_URL = addresses.rest + "/fapi"

    client = await Client.create(KEY, SECRET)
    try:
        yield client
    finally:
        await client.close_connection()


def socket_manager(client: Any, addresses: Addresses) -> Any:
    class Manager(BinanceSocketManager):  # type: ignore[misc]
        FSTREAM_URL = addresses.stream + "/"

    return Manager(client)


@asynccontextmanager
async def ccxt_client(addresses: Addresses, kind: Any = binanceusdm) -> AsyncIterator[Any]:
    client = kind(
        {
            "apiKey": KEY,
            "secret": SECRET,
            "options": {
                "fetchMarkets": {"types": ["linear"]},
                "fetchCurrencies": False,
                "adjustForTimeDifference": True,
            },
        }
    )
    for name, version in (
        ("fapiPublic", 1),
        ("fapiPublicV2", 2),
        ("fapiPublicV3", 3),
        ("fapiPrivate", 1),
        ("fapiPrivateV2", 2),
        ("fapiPrivateV3", 3),
    ):
        client.urls["api"][name] = f"{addresses.rest}/fapi/v{version}"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["linear"] = f"{addresses.stream}/ws"
    try:
        yield client
    finally:
        await client.close()


def test_python_binance_trades() -> None:
    async def run() -> None:
        async with in_real_time() as (_, call), python_binance(call.addresses) as client:
            info = await client.futures_exchange_info()
            assert [one["symbol"] for one in info["symbols"]] == [SYMBOL]
            assert (await client.futures_change_leverage(symbol=SYMBOL, leverage=5))[
                "leverage"
            ] == 5
            (balance,) = await client.futures_account_balance()
            assert (balance["asset"], float(balance["balance"])) == ("USDT", 10_000.0)
            account = await client.futures_account(version=3)
            assert float(account["totalWalletBalance"]) == 10_000.0

            order = await client.futures_create_order(
                symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.010", newClientOrderId="x-1"
            )
            found = await client.futures_get_order(symbol=SYMBOL, origClientOrderId="x-1")
            assert (found["orderId"], found["status"]) == (order["orderId"], "FILLED")
            (position,) = await client.futures_position_information(symbol=SYMBOL, version=3)
            assert float(position["positionAmt"]) == 0.01
            (trade,) = await client.futures_account_trades(symbol=SYMBOL)
            assert trade["orderId"] == order["orderId"]

            stop = await client.futures_create_order(
                symbol=SYMBOL,
                side="SELL",
                type="STOP_MARKET",
                stopPrice="20000",
                closePosition="true",
                clientAlgoId="x-stop",
            )
            take = await client.futures_create_algo_order(
                symbol=SYMBOL,
                side="SELL",
                type="TAKE_PROFIT_MARKET",
                triggerPrice="50000",
                quantity="0.010",
                reduceOnly="true",
                clientAlgoId="x-take",
            )
            open_ones = await client.futures_get_open_algo_orders(symbol=SYMBOL)
            assert {one["algoId"] for one in open_ones} == {stop["algoId"], take["algoId"]}
            asked = await client.futures_get_algo_order(clientAlgoId="x-stop")
            assert (asked["algoStatus"], float(asked["triggerPrice"])) == ("NEW", 20_000.0)
            gone = await client.futures_cancel_algo_order(clientAlgoId="x-take")
            assert gone["algoId"] == take["algoId"]
            with pytest.raises(BinanceAPIException) as error:
                await client.futures_get_order(symbol=SYMBOL, origClientOrderId="x-2")
            assert error.value.code == -2013

    asyncio.run(run())


def test_python_binance_reads_klines() -> None:
    async def run() -> None:
        async with in_real_time() as (_, call), python_binance(call.addresses) as client:
            rows = await client.futures_klines(symbol=SYMBOL, interval="1m", limit=500)
            assert len(rows) == HISTORY + 1
            assert rows[-2][6] == START - 1
            rows = await client.futures_continuous_klines(
                pair=SYMBOL, contractType="PERPETUAL", interval="5m"
            )
            assert rows[-1][0] == START

    asyncio.run(run())


def test_python_binance_hears_the_account_and_candles() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=60))
        async with served(exchange) as (addresses, _), python_binance(addresses) as client:
            manager = socket_manager(client, addresses)
            async with (
                manager.futures_user_socket() as account,
                manager.futures_multiplex_socket([f"{SYMBOL.lower()}@kline_1m"]) as candles,
                manager.kline_futures_socket(SYMBOL) as continuous,
            ):
                for socket in (account, candles, continuous):
                    socket.TIMEOUT = 0.2  # 10 s otherwise, which it waits for when it is closed
                await until(lambda: len(exchange.hub.subscribed()) == 2)
                await until(lambda: bool(exchange.hub.of("private")))
                # Time stands still: the client's clock may be a second ahead at most.
                await client.futures_create_order(
                    symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.010"
                )
                event = await asyncio.wait_for(account.recv(), 5)
                assert event["e"] == "ORDER_TRADE_UPDATE"
                running = asyncio.create_task(exchange.run_at(600.0))
                event = await asyncio.wait_for(candles.recv(), 5)
                assert event["stream"] == f"{SYMBOL.lower()}@kline_1m"
                assert (event["data"]["k"]["t"], event["data"]["k"]["x"]) == (START, True)
                event = await asyncio.wait_for(continuous.recv(), 5)
                assert (event["e"], event["ps"]) == ("continuous_kline", SYMBOL)
                running.cancel()

    asyncio.run(run())


def test_ccxt_trades() -> None:
    async def run() -> None:
        async with in_real_time(strict=True) as (_, call), ccxt_client(call.addresses) as client:
            markets = await client.load_markets()
            assert "BTC/USDT:USDT" in markets
            name = "BTC/USDT:USDT"
            await client.set_leverage(5, name)
            balance = await client.fetch_balance()
            assert balance["USDT"]["total"] == 10_000.0

            order = await client.create_order(
                name, "market", "buy", 0.01, params={"clientOrderId": "x:1/a"}
            )
            found = await client.fetch_order(order["id"], name)
            assert (found["status"], found["clientOrderId"]) == ("closed", "x:1/a")
            (position,) = await client.fetch_positions([name])
            assert (position["side"], position["contracts"]) == ("long", 0.01)
            (trade,) = await client.fetch_my_trades(name)
            assert trade["order"] == order["id"]

            stop = await client.create_order(
                name, "market", "sell", 0.01, params={"stopLossPrice": 20_000, "reduceOnly": True}
            )
            (resting,) = await client.fetch_open_orders(name, params={"trigger": True})
            assert resting["id"] == stop["id"]
            await client.cancel_order(stop["id"], name, params={"trigger": True})
            assert await client.fetch_open_orders(name, params={"trigger": True}) == []
            rows = await client.fetch_ohlcv(name, "1m", limit=5)
            assert rows[-1][0] == START
            assert rows[-2][0] == START - MINUTE

    asyncio.run(run())


def test_ccxt_hears_candles_and_orders() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=60))
        async with (
            served(exchange) as (addresses, _),
            ccxt_client(addresses, streaming) as client,
        ):
            await client.load_markets()
            name = "BTC/USDT:USDT"
            orders = asyncio.create_task(client.watch_orders(name))
            candles = asyncio.create_task(client.watch_ohlcv(name, "1m"))
            await until(lambda: bool(exchange.hub.subscribed()))
            await until(lambda: bool(exchange.hub.of("private")))
            order = await client.create_order(name, "market", "buy", 0.01)
            heard = await asyncio.wait_for(orders, 5)
            assert heard[-1]["id"] == order["id"]
            running = asyncio.create_task(exchange.run_at(600.0))
            rows = await asyncio.wait_for(candles, 5)
            assert rows[-1][0] == START
            running.cancel()

    asyncio.run(run())


def test_python_binance_reads_and_hears_funding() -> None:
    async def run() -> None:
        async with in_real_time() as (exchange, call), python_binance(call.addresses) as client:
            manager = socket_manager(client, call.addresses)
            async with manager.futures_user_socket() as account:
                account.TIMEOUT = 0.2
                await until(lambda: bool(exchange.hub.of("private")))
                await client.futures_create_order(
                    symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.010"
                )
                exchange.rest.tolerance = Tolerance(late_ms=None)  # its time jumps ahead
                assert exchange.venue.pay_funding(START + MINUTE + 1) == 1
                (fee,) = await client.futures_income_history(incomeType="FUNDING_FEE")
                assert (fee["symbol"], fee["income"], fee["time"]) == (
                    SYMBOL,
                    "-0.03000000",
                    START + MINUTE,
                )
                cause = ""
                while cause != "FUNDING_FEE":
                    event = await asyncio.wait_for(account.recv(), 5)
                    cause = event["a"]["m"] if event["e"] == "ACCOUNT_UPDATE" else ""
                assert (event["a"]["S"], event["a"]["B"][0]["bc"]) == (SYMBOL, "-0.03000000")
            old, new = await client.futures_funding_rate(symbol=SYMBOL)
            assert (float(old["fundingRate"]), float(old["markPrice"])) == (0.0002, 29_000.0)
            assert (float(new["fundingRate"]), new["fundingTime"]) == (0.0001, START + MINUTE)
            mark = await client.futures_mark_price(symbol=SYMBOL)
            assert float(mark["lastFundingRate"]) == -0.0003
            assert mark["nextFundingTime"] == START + MINUTE + 4 * HOUR

    asyncio.run(run())


def test_ccxt_reads_funding() -> None:
    async def run() -> None:
        async with (
            in_real_time(strict=True) as (exchange, call),
            ccxt_client(call.addresses) as client,
        ):
            await client.load_markets()
            name = "BTC/USDT:USDT"
            await client.create_order(name, "market", "sell", 0.01)
            exchange.rest.tolerance = Tolerance(late_ms=None)  # its time jumps ahead
            assert exchange.venue.pay_funding(START + MINUTE + 1) == 1
            (fee,) = await client.fetch_funding_history(name)
            assert (fee["symbol"], fee["amount"], fee["code"]) == (name, 0.3 / 10, "USDT")
            assert fee["timestamp"] == START + MINUTE
            rate = await client.fetch_funding_rate(name)
            assert (rate["fundingRate"], rate["fundingTimestamp"]) == (
                -0.0003,
                START + MINUTE + 4 * HOUR,
            )
            history = await client.fetch_funding_rate_history(name)
            assert [row["fundingRate"] for row in history] == [0.0002, 0.0001]
            intervals = await client.fetch_funding_intervals([name])
            assert intervals[name]["interval"] == "4h"

    asyncio.run(run())
