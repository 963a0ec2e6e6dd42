"""The simulated exchange takes and gives funding, tells of it, and answers about it."""

import asyncio
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from live.simulator.faults import Drop, Faults
from live.simulator.server import Simulator
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.funding import Funding
from tests.live.sessions import MINUTE, START
from tests.live.simulated import KEY, SECRET, Trader, market, rules, served, without
from tests.live.simulated import START as DAY
from tests.live.venues import COSTS, FREE, SYMBOL, Exchange, refusal

HOUR = 60 * MINUTE
BUY = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
SELL = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": "0.01"}


def funding(*rows: tuple[int, float, float]) -> Funding:
    """Write instants as (time, rate, price)."""
    times, rates, prices = zip(*rows, strict=True) if rows else ((), (), ())
    return Funding(np.array(times, np.int64), np.array(rates, float), np.array(prices, float))


def paying(*each: Funding, symbols: tuple[str, ...] = (SYMBOL,), **more: Any) -> Exchange:
    return Exchange(*symbols, costs=FREE, funding=list(each), **more)


def test_a_long_pays_a_positive_rate_from_the_mark_price() -> None:
    x = paying(funding((START + MINUTE, 0.0001, 110.0)))
    x.open(100.0)
    x.market("BUY", "2.000")
    x.hear()
    assert x.venue.pay_funding(START + MINUTE) == 0
    assert x.venue.pay_funding(START + MINUTE + 1) == 1
    assert x.venue.pay_funding(START + HOUR) == 0, "each is due once"
    assert x.wallet == 10_000 - Decimal("0.022")
    (event,) = x.hear()
    assert event == {
        "e": "ACCOUNT_UPDATE",
        "E": START + MINUTE,
        "T": START + MINUTE,
        "st": 1,
        "a": {
            "m": "FUNDING_FEE",
            "B": [
                {
                    "a": "USDT",
                    "wb": "9999.97800000",
                    "cw": "9999.97800000",
                    "bc": "-0.02200000",
                }
            ],
            "P": [],
            "S": SYMBOL,
        },
    }
    assert x.venue.income({"incomeType": "FUNDING_FEE"}) == [
        {
            "symbol": SYMBOL,
            "incomeType": "FUNDING_FEE",
            "income": "-0.02200000",
            "asset": "USDT",
            "info": "FUNDING_FEE",
            "time": START + MINUTE,
            "tranId": 1,
            "tradeId": "",
        }
    ]
    assert x.venue.balance({})[0]["updateTime"] == START + MINUTE


def test_without_a_mark_price_the_last_close_counts() -> None:
    x = paying(funding((START + MINUTE, -0.001, math.nan)))
    x.open(100.0)
    x.market("BUY", "1.000")
    x.play("100 130 90 120")
    x.open(125.0)
    x.venue.pay_funding(START + MINUTE + 1)
    assert x.wallet == 10_000 + Decimal("0.12")


def test_a_short_receives_what_a_long_pays_and_nobody_else_does() -> None:
    one = funding((START, 0.01, 100.0))
    x = paying(one, one, one, symbols=("AUSDT", "BUSDT", "CUSDT"))
    for symbol, side in (("AUSDT", "SELL"), ("BUSDT", "BUY")):
        x.open(100.0, symbol)
        x.market(side, "1.000", symbol=symbol)
    x.hear()
    assert x.venue.pay_funding(START + 1) == 2
    assert x.wallet == 10_000
    # Of one instant the first symbol comes first, whoever pays.
    rows = x.venue.income({"incomeType": "FUNDING_FEE"})
    assert [(row["symbol"], row["income"]) for row in rows] == [
        ("AUSDT", "1.00000000"),
        ("BUSDT", "-1.00000000"),
    ]
    assert [event["a"]["S"] for event in x.hear()] == ["AUSDT", "BUSDT"]


def test_what_rounds_to_nothing_is_no_payment() -> None:
    x = paying(funding((START, 0.0, 100.0), (START + MINUTE, 1e-12, 100.0)))
    x.open(100.0)
    x.market("BUY", "1.000")
    x.hear()
    assert x.venue.pay_funding(START + HOUR) == 0
    assert x.hear() == []
    assert x.venue.now == START


def test_income_is_every_change_of_the_wallet_in_the_order_of_time() -> None:
    x = Exchange(costs=COSTS, funding=[funding((START + MINUTE, 0.001, 100.0))])
    x.open(100.0)
    x.market("BUY", "1.000")
    x.play("100 100 100 100")
    x.venue.pay_funding(START + MINUTE + 1)
    x.play("100 101 100 101")
    x.open(101.0)
    x.market("SELL", "1.000")
    rows = x.venue.income({})
    assert 10_000 + sum(Decimal(row["income"]) for row in rows) == x.wallet
    kinds = [row["incomeType"] for row in rows]
    assert kinds == ["COMMISSION", "FUNDING_FEE", "REALIZED_PNL", "COMMISSION"]
    found = x.venue.income({"startTime": str(START + MINUTE), "incomeType": "FUNDING_FEE"})
    assert len(found) == 1


def test_rates_are_told_once_they_are_settled() -> None:
    rows = [(START + i * HOUR, 0.0001 * i, math.nan if i == 1 else 100.0) for i in (1, 2, 3)]
    x = paying(funding(*rows), funding(), symbols=(SYMBOL, "ETHUSDT"))
    assert x.venue.funding_rates({"symbol": SYMBOL}) == []
    x.venue.now = START + 2 * HOUR
    first, second = x.venue.funding_rates({"symbol": SYMBOL})
    assert first == {
        "symbol": SYMBOL,
        "fundingRate": "0.0001",
        "fundingTime": START + HOUR,
        "markPrice": "",
        "rateType": "Regular",
    }
    assert (second["fundingTime"], second["markPrice"]) == (START + 2 * HOUR, "100.0")
    x.venue.now = START + 5 * HOUR

    def times(**asked: int) -> list[int]:
        given = {name: str(value) for name, value in asked.items()}
        return [(row["fundingTime"] - START) // HOUR for row in x.venue.funding_rates(given)]

    assert times() == [1, 2, 3]
    assert times(limit=2) == [2, 3]
    assert times(startTime=START + HOUR, limit=2) == [1, 2]
    assert times(startTime=START + HOUR + 1, endTime=START + 2 * HOUR) == [2]
    assert refusal(x.venue.funding_rates, {"symbol": "NOUSDT"}) == -1121
    assert refusal(x.venue.funding_rates, {"limit": "1001"}) == -1130


def test_the_premium_index_has_the_rate_that_comes_next() -> None:
    x = paying(funding((START + HOUR, 0.0003, 100.0), (START + 5 * HOUR, -0.0002, 100.0)))
    x.open(100.0)
    row: Any = x.venue.premium_index({"symbol": SYMBOL})
    assert (row["lastFundingRate"], row["nextFundingTime"]) == ("0.0003", START + HOUR)
    x.venue.now = START + HOUR
    row = x.venue.premium_index({"symbol": SYMBOL})
    assert (row["lastFundingRate"], row["nextFundingTime"]) == ("-0.0002", START + 5 * HOUR)
    x.venue.now = START + 5 * HOUR
    row = x.venue.premium_index({"symbol": SYMBOL})
    eight = 8 * HOUR
    assert (row["lastFundingRate"], row["nextFundingTime"] % eight) == ("0.0", 0)
    assert x.venue.now < row["nextFundingTime"] <= x.venue.now + eight


def test_intervals_that_are_not_the_usual_one_are_listed_as_they_change() -> None:
    usual = funding(*((START + i * 8 * HOUR, 0.0001, 100.0) for i in range(5)))
    changes = (0, 8, 12, 16, 17, 18)
    changing = funding(*((START + i * HOUR, 0.0001, 100.0) for i in changes))
    x = paying(usual, changing, funding(), symbols=(SYMBOL, "ETHUSDT", "SOLUSDT"))
    found = []
    for hour in (1, 9, 13, 16):
        x.venue.now = START + hour * HOUR
        found.append(
            [(row["symbol"], row["fundingIntervalHours"]) for row in x.venue.funding_info({})]
        )
    four, one = [("ETHUSDT", 4)], [("ETHUSDT", 1)]
    assert found == [[], four, four, one]


def test_rates_that_cannot_be_are_refused() -> None:
    with pytest.raises(WickError, match=f"funding of {SYMBOL} at position 1"):
        paying(funding((START, 0.1, 1.0), (START + MINUTE, math.nan, 1.0)))


# What happens when, in a lockstep.


def exchange_of(*each: tuple[Candles, Funding], faults: Faults | None = None) -> Simulator:
    candles = [one for one, _ in each]
    return Simulator(
        candles,
        [rules(one.symbol) for one in candles],
        FREE,
        10_000.0,
        api_key=KEY,
        api_secret=SECRET,
        start_ms=DAY,
        end_ms=max(int(one.open_time[-1]) for one in candles) + candles[0].timeframe_ms,
        faults=faults,
        funding=[its for _, its in each],
    )


def played(exchange: Simulator, orders: dict[int, list[dict[str, Any]]]) -> Trader:
    async def run() -> Trader:
        async with served(exchange) as (_, call):
            trader = Trader(call)
            trader.orders = orders
            working = asyncio.create_task(trader.run())
            await asyncio.wait_for(exchange.run_lockstep(), 20)
            await asyncio.wait_for(working, 5)
            return trader

    return asyncio.run(run())


def happened(trader: Trader) -> list[tuple[str, int]]:
    """Tell fills and funding with the minute of each."""
    found = []
    for event in trader.events:
        if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE":
            found.append((event["o"]["S"], (event["T"] - DAY) // MINUTE))
        elif event["e"] == "ACCOUNT_UPDATE" and event["a"]["m"] == "FUNDING_FEE":
            found.append(("FUNDING", (event["T"] - DAY) // MINUTE))
    return found


def every_minute(count: int) -> Funding:
    return funding(*((DAY + i * MINUTE, 0.001, 30_000.0) for i in range(count + 1)))


def test_an_instant_is_paid_by_what_is_held_before_its_orders_and_the_last_by_nobody() -> None:
    exchange = exchange_of((market(minutes=5), every_minute(9)))
    trader = played(exchange, {DAY + MINUTE: [BUY], DAY + 3 * MINUTE: [SELL, SELL]})
    assert happened(trader) == [
        ("BUY", 1),
        ("FUNDING", 2),
        ("FUNDING", 3),
        ("SELL", 3),
        ("SELL", 3),
        ("FUNDING", 4),
    ]
    paid = [row["income"] for row in exchange.venue.income({"incomeType": "FUNDING_FEE"})]
    assert paid == ["-0.30000000", "-0.30000000", "0.30000000"]


def test_an_instant_in_a_gap_is_paid_before_the_orders_of_the_next_candle() -> None:
    candles = without(market(minutes=6), 2, 3)
    exchange = exchange_of((candles, every_minute(9)))
    trader = played(exchange, {DAY + MINUTE: [BUY], DAY + 2 * MINUTE: [SELL]})
    # Decided at the close before the gap, and filled behind it.
    names = ["BUY", "FUNDING", "FUNDING", "FUNDING", "SELL"]
    assert [name for name, _ in happened(trader)] == names
    rows = exchange.venue.income({"incomeType": "FUNDING_FEE"})
    assert [(row["time"] - DAY) // MINUTE for row in rows] == [2, 3, 4]


def hourly() -> Candles:
    """Hours, of which the one after the first falls deep."""
    times = DAY + np.arange(-1, 4) * HOUR
    prices = {name: np.full(5, 30_000.0) for name in ("open", "high", "low", "close")}
    prices["low"][2] = 20_000.0
    volume = np.ones(5)
    return Candles.from_arrays(
        symbol=SYMBOL, market="um", timeframe="1h", open_time=times, volume=volume, **prices
    )


def test_an_instant_inside_a_candle_comes_after_its_orders_and_before_its_stop() -> None:
    halves = funding(*((DAY + (2 * i + 1) * 30 * MINUTE, 0.001, math.nan) for i in range(8)))
    exchange = exchange_of((hourly(), halves))
    stop = {
        "algoType": "CONDITIONAL",
        "symbol": SYMBOL,
        "side": "SELL",
        "type": "STOP_MARKET",
        "triggerPrice": "25000",
        "closePosition": "true",
    }
    fill_held = exchange.venue.fill_held

    def fill_and_protect(*, closing: bool = True) -> int:
        filled = fill_held(closing=closing)
        if filled:
            exchange.venue.new_algo(stop)
        return filled

    exchange.venue.fill_held = fill_and_protect  # type: ignore[method-assign]
    trader = played(exchange, {DAY + HOUR: [BUY]})
    assert happened(trader) == [("BUY", 60), ("FUNDING", 90), ("SELL", 119)]
    assert trader.times == sorted(trader.times)
    assert DAY + 90 * MINUTE in trader.times


def test_a_replay_without_funding_is_as_it_was() -> None:
    alone = played(exchange_of((market(minutes=5), funding())), {DAY + MINUTE: [BUY]})
    assert [name for name, _ in happened(alone)] == ["BUY"]


def test_a_payment_whose_event_is_lost_is_in_the_income() -> None:
    faults = Faults([Drop(DAY + 3 * MINUTE, "private", "open")])
    exchange = exchange_of((market(minutes=5), every_minute(9)), faults=faults)
    trader = played(exchange, {DAY + MINUTE: [BUY]})
    assert happened(trader) == [("BUY", 1), ("FUNDING", 2), ("FUNDING", 4)]
    rows = exchange.venue.income({"incomeType": "FUNDING_FEE"})
    assert [(row["time"] - DAY) // MINUTE for row in rows] == [2, 3, 4]


def test_what_has_to_be_closed_at_once_pays_what_falls_into_its_candle() -> None:
    # An order that stands for a stop which the candle's open has passed already, as the stop's own.
    halves = funding(*((DAY + (2 * i + 1) * 30 * MINUTE, 0.001, math.nan) for i in range(8)))
    exchange = exchange_of((hourly(), halves))
    fill_held, closed = exchange.venue.fill_held, list[Any]()

    def fill_and_close(*, closing: bool = True) -> int:
        filled = fill_held(closing=closing)
        if exchange.venue.steps(SYMBOL) and not closed:
            closed.append(exchange.venue.new_order(SELL | {"reduceOnly": "true"}))
        return filled

    exchange.venue.fill_held = fill_and_close  # type: ignore[method-assign]
    trader = played(exchange, {DAY + HOUR: [BUY]})
    assert happened(trader) == [("BUY", 60), ("FUNDING", 90), ("SELL", 90)]
    assert float(exchange.venue.user_trades({"symbol": SYMBOL})[-1]["price"]) == 30_000.0
