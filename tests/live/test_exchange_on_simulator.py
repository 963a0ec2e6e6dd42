"""The adapter against the whole exchange on this machine, which checks signatures strictly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from live.exchange.binance import Binance
from live.exchange.port import (
    Accepted,
    AccountEvent,
    AlgoEvent,
    Connected,
    Disconnected,
    Marker,
    OrderEvent,
    PrivateEvent,
    Rejected,
    Unavailable,
    Unknown,
)
from live.simulator.faults import Faults, Lose, Refuse
from live.simulator.server import Simulator
from strategy.errors import WickError
from tests.live.fake_exchange import HandClock
from tests.live.simulated import KEY, MINUTE, SECRET, START, market, rules, served, simulator

SYMBOL = "BTCUSDT"


@dataclass
class VenueClock(HandClock):
    """Tells the simulator's own time."""

    exchange: Simulator | None = None

    def now_ms(self) -> int:
        assert self.exchange is not None
        return self.exchange.venue.now

    async def sleep_until(self, time_ms: int) -> None:
        await asyncio.Event().wait()  # no test here is long enough for a keepalive


@asynccontextmanager
async def trading(
    faults: Faults | None = None, key: str = KEY, secret: str = SECRET
) -> AsyncIterator[tuple[Simulator, Binance]]:
    exchange = simulator(market(minutes=60), faults=faults, strict=True)
    async with served(exchange) as (addresses, _):
        running = asyncio.create_task(exchange.run_at(1.0))
        await asyncio.sleep(0)
        client = Binance(addresses, VenueClock(exchange=exchange), key, secret)
        try:
            yield exchange, client
        finally:
            await client.close()
            running.cancel()


async def buy(client: Binance, client_id: str = "cw-e") -> object:
    return await client.place_market(client_id, SYMBOL, "BUY", "0.010", False)


def test_a_trade_from_entry_to_exit_with_its_protection() -> None:
    async def run() -> None:
        async with trading() as (_, client):
            assert await client.set_leverage(SYMBOL, 5) == Accepted()
            assert await client.holdings() == []
            assert (await client.balance()).wallet == 10_000 * 10**8
            # An id with characters that must be encoded: signed text and sent text are the same.
            entry = await buy(client, "cw/a:b-1")
            assert isinstance(entry, Accepted)
            found = await client.order(SYMBOL, "cw/a:b-1")
            assert found is not None
            assert (found.exchange_id, found.status, found.filled) == (
                entry.exchange_id,
                "FILLED",
                "0.010",
            )
            assert await client.order_of(SYMBOL, entry.exchange_id) == found
            (held,) = await client.holdings()
            assert (held.symbol, float(held.qty)) == (SYMBOL, 0.01)

            stop = await client.place_algo("cw-s", SYMBOL, "SELL", "STOP_MARKET", "20000", None)
            take = await client.place_algo(
                "cw-t", SYMBOL, "SELL", "TAKE_PROFIT_MARKET", "500000", "0.010"
            )
            assert isinstance(stop, Accepted)
            assert isinstance(take, Accepted)
            waiting = {one.client_id: one for one in await client.open_algos(SYMBOL)}
            assert waiting.keys() == {"cw-s", "cw-t"}
            assert (waiting["cw-s"].exchange_id, waiting["cw-s"].close_position) == (
                stop.exchange_id,
                True,
            )
            assert (waiting["cw-t"].kind, float(waiting["cw-t"].trigger)) == (
                "TAKE_PROFIT_MARKET",
                500_000.0,
            )
            assert await client.cancel_algo("cw-t") == Accepted(take.exchange_id)
            again = await client.cancel_algo("cw-t")
            assert isinstance(again, Rejected)
            assert again.code == -2011
            gone = await client.algo("cw-t")
            assert gone is not None
            assert gone.status == "CANCELED"
            assert not gone.is_open

            out = await client.place_market("cw-x", SYMBOL, "SELL", "0.010", True)
            assert isinstance(out, Accepted)
            assert await client.holdings() == []
            bought, sold = await client.trades(SYMBOL)
            assert (bought.order_id, sold.order_id) == (entry.exchange_id, out.exchange_id)
            assert float(bought.fee) > 0
            assert list(await client.trades(SYMBOL, sold.trade_id)) == [sold]
            twice = await client.place_market("cw-y", SYMBOL, "SELL", "0.010", True)
            assert isinstance(twice, Rejected)
            assert (twice.code, twice.retry) == (-2022, False)
            assert await client.open_orders(SYMBOL) == []

    asyncio.run(run())


def test_what_the_exchange_says_of_itself() -> None:
    async def run() -> None:
        async with trading() as (exchange, client):
            infos = await client.symbols()
            ours, told = rules(SYMBOL), infos[SYMBOL].rules
            assert (told.tick_size, told.step_size) == (ours.tick_size, ours.step_size)
            assert (told.min_qty, told.max_qty, told.min_notional) == (
                ours.min_qty,
                ours.max_qty,
                ours.min_notional,
            )
            assert infos[SYMBOL].status == "TRADING"
            mode = await client.account_mode()
            assert mode.can_trade
            assert not (mode.hedge or mode.multi_assets or mode.fee_in_bnb)
            assert abs(await client.server_time() - exchange.venue.now) < 1000
            candles = await client.klines(SYMBOL, "1m", START - 10 * MINUTE)
            # The last one has just closed: it may be left out.
            assert [one.open_time for one in candles[:9]] == list(
                range(START - 10 * MINUTE, START - MINUTE, MINUTE)
            )
            assert await client.order(SYMBOL, "never-sent") is None
            assert await client.algo("never-sent") is None
            with pytest.raises(WickError, match="does not know the symbol"):
                await client.klines("NOSUCHUSDT", "1m", START)

    asyncio.run(run())


def test_the_private_stream_tells_orders_fills_and_account() -> None:
    async def run() -> None:
        async with trading() as (exchange, client):
            events = client.private_events()
            found: list[PrivateEvent] = []

            async def until(kind: type, count: int = 1) -> None:
                async with asyncio.timeout(10):
                    while sum(isinstance(one, kind) for one in found) < count:
                        found.append(await anext(events))

            await until(Connected)
            assert isinstance(found[0], Connected)
            outcome = await buy(client)
            assert isinstance(outcome, Accepted)
            await until(AccountEvent)
            orders = [one for one in found if isinstance(one, OrderEvent)]
            assert [one.execution for one in orders] == ["NEW", "TRADE"]
            trade = orders[1].trade
            assert trade is not None
            (by_rest,) = await client.trades(SYMBOL)
            assert (trade.trade_id, trade.price, trade.qty) == (
                by_rest.trade_id,
                by_rest.price,
                by_rest.qty,
            )
            assert float(trade.fee) == float(by_rest.fee)
            account = next(one for one in found if isinstance(one, AccountEvent))
            assert account.cause == "ORDER"
            assert account.balance is not None
            assert account.balance.wallet == (await client.balance()).wallet
            assert [float(one.qty) for one in account.holdings] == [0.01]

            await client.place_algo("cw-s", SYMBOL, "SELL", "STOP_MARKET", "20000", None)
            await client.cancel_algo("cw-s")
            await until(AlgoEvent, 2)
            algos = [one.algo for one in found if isinstance(one, AlgoEvent)]
            assert [one.status for one in algos] == ["NEW", "CANCELED"]
            assert {one.client_id for one in algos} == {"cw-s"}

            exchange.hub.cut("private")
            await until(Disconnected)
            await until(Connected, 2)
            kinds = [type(one) for one in found if not isinstance(one, Marker)]
            assert kinds[-2:] == [Disconnected, Connected]

    asyncio.run(run())


@pytest.mark.parametrize("executed", [True, False])
def test_a_lost_answer_is_unknown_and_the_order_is_found_if_it_exists(executed: bool) -> None:
    async def run() -> None:
        async with trading(Faults([Lose(executed=executed)])) as (_, client):
            assert isinstance(await buy(client), Unknown)
            found = await client.order(SYMBOL, "cw-e")
            assert (found is not None) == executed
            assert len(await client.holdings()) == executed

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "code", "retry"),
    [
        (Refuse(-2019), -2019, False),
        (Refuse(-1008, status=503), -1008, True),
        (Refuse(-1003, status=429), -1003, True),
    ],
)
def test_a_refused_order_does_not_exist(fault: Refuse, code: int, retry: bool) -> None:
    async def run() -> None:
        async with trading(Faults([fault])) as (_, client):
            outcome = await buy(client)
            assert isinstance(outcome, Rejected)
            assert (outcome.code, outcome.retry) == (code, retry)
            if code == -1003:
                with pytest.raises(Unavailable):
                    await client.order(SYMBOL, "cw-e")
            else:
                assert await client.order(SYMBOL, "cw-e") is None

    asyncio.run(run())


@pytest.mark.parametrize(("key", "secret"), [("o" * 64, SECRET), (KEY, "o" * 64)])
def test_a_wrong_key_or_secret_is_told_at_the_first_question(key: str, secret: str) -> None:
    async def run() -> None:
        async with trading(key=key, secret=secret) as (_, client):
            with pytest.raises(WickError, match="refuses the API key") as caught:
                await client.account_mode()
            assert "WICK_API_KEY" in caught.value.hint
            assert key not in str(caught.value)
            outcome = await buy(client)
            assert isinstance(outcome, Rejected)
            assert not outcome.retry

    asyncio.run(run())
