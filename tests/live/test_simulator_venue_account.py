"""What the simulated exchange answers about the account, its settings and its symbols."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from data.symbols import fine_rules
from live.simulator.venue import Venue
from tests.live.sessions import MINUTE, START, rules
from tests.live.venues import COSTS, FREE, SYMBOL, Exchange, refusal


def two_symbols() -> Exchange:
    """Long two coins of the first symbol from 100, now valued at 110; leverage 10."""
    x = Exchange(SYMBOL, "ETHUSDT", costs=FREE, leverage=10)
    x.open(50.0, "ETHUSDT")
    x.open(100.0)
    x.market("BUY", "2.000")
    x.play("100 111 99 110")
    return x


def test_the_account_adds_up() -> None:
    x = two_symbols()
    (balance,) = x.venue.balance({})
    assert balance["balance"] == "10000.00000000"
    assert balance["crossUnPnl"] == "20.00000000"
    # 10000 + 20 − 220 / 10
    assert balance["availableBalance"] == "9998.00000000"
    account = x.venue.account({})
    assert account["totalMarginBalance"] == "10020.00000000"
    assert account["totalInitialMargin"] == "22.00000000"
    assert account["totalMaintMargin"] == "0.88000000"
    (asset,) = account["assets"]
    assert (asset["walletBalance"], asset["marginBalance"]) == (
        "10000.00000000",
        "10020.00000000",
    )
    (row,) = account["positions"]
    assert (row["positionAmt"], row["unrealizedProfit"], row["notional"]) == (
        "2.000",
        "20.00000000",
        "220.00000000",
    )
    assert balance["updateTime"] == START


def test_version_three_lists_only_what_has_a_position_or_an_open_order() -> None:
    x = two_symbols()
    assert [row["symbol"] for row in x.venue.position_risk({})] == [SYMBOL]
    x.venue.hold_market_orders = True
    x.market("BUY", "1.000", symbol="ETHUSDT")
    assert [row["symbol"] for row in x.venue.position_risk({})] == [SYMBOL, "ETHUSDT"]
    assert len(x.venue.account({})["positions"]) == 2
    x.venue.cancel_all_orders({"symbol": "ETHUSDT"})
    assert len(x.venue.account({})["positions"]) == 1
    assert len(x.venue.position_risk({}, version=2)) == 2
    older = x.venue.account({}, version=2)
    assert [(row["symbol"], row["leverage"]) for row in older["positions"]] == [
        (SYMBOL, "10"),
        ("ETHUSDT", "10"),
    ]
    assert older["canTrade"]


def test_a_position_is_told_with_its_sign_and_its_exact_entry() -> None:
    x = Exchange(costs=FREE)
    for price in (100.0, 100.1, 100.1):
        x.open(price)
        x.market("SELL", "1.000")
    (row,) = x.venue.position_risk({"symbol": SYMBOL})
    assert (row["positionAmt"], row["positionSide"]) == ("-3.000", "BOTH")
    assert Decimal(row["notional"]) < 0
    two = (1_000 * 100.0 + 1_000 * 100.1) / 2_000
    assert float(row["entryPrice"]) == (2_000 * two + 1_000 * 100.1) / 3_000
    assert "unRealizedProfit" in row


def test_trades_are_found_by_id_order_and_time() -> None:
    x = Exchange()
    for _ in range(5):
        x.play("100 100 100 100")
        x.open(100.0)
        x.market("BUY", "1.000")

    def ids(**asked: Any) -> list[int]:
        given = {"symbol": SYMBOL} | {name: str(value) for name, value in asked.items()}
        return [trade["id"] for trade in x.venue.user_trades(given)]

    assert ids() == [1, 2, 3, 4, 5]
    assert ids(limit=2) == [4, 5]
    assert ids(fromId=2, limit=2) == [2, 3]
    assert ids(fromId=0) == [1, 2, 3, 4, 5]
    assert ids(fromId=6) == []
    assert ids(orderId=3) == [3]
    assert ids(startTime=START + 2 * MINUTE, limit=2) == [2, 3]
    assert ids(endTime=START + 2 * MINUTE) == [1, 2]
    for wrong in ({"limit": "0"}, {"limit": "1001"}):
        assert refusal(x.venue.user_trades, {"symbol": SYMBOL, **wrong}) == -1130
    assert refusal(x.venue.user_trades, {"symbol": SYMBOL, "fromId": "x"}) == -1102
    assert refusal(x.venue.user_trades, {}) == -1102


def test_trades_of_more_than_a_week_ago_are_shown_only_when_asked_for() -> None:
    x = Exchange()
    x.open(100.0)
    x.market("BUY", "1.000")
    x.venue.now = START + 8 * 1440 * MINUTE
    x.market("SELL", "1.000")

    def ids(**asked: str) -> list[int]:
        return [trade["id"] for trade in x.venue.user_trades({"symbol": SYMBOL} | asked)]

    assert ids() == [2]
    assert ids(fromId="0") == ids(startTime=str(START)) == [1, 2]


def test_income_is_every_change_of_the_wallet() -> None:
    x = Exchange(SYMBOL, "ETHUSDT")
    for symbol in (SYMBOL, "ETHUSDT"):
        x.open(100.0, symbol)
        x.market("BUY", "1.000", symbol=symbol)
        x.market("SELL", "1.000", symbol=symbol)
    rows = x.venue.income({})
    assert 10_000 + sum(Decimal(row["income"]) for row in rows) == x.wallet
    assert [row["incomeType"] for row in rows[:3]] == ["COMMISSION", "REALIZED_PNL", "COMMISSION"]
    kinds = {(row["incomeType"], row["tranId"]) for row in rows}
    assert len(kinds) == len(rows) == 6
    assert {row["symbol"] for row in x.venue.income({"symbol": "ETHUSDT"})} == {"ETHUSDT"}
    assert len(x.venue.income({"incomeType": "COMMISSION"})) == 4
    assert x.venue.income({"limit": "1"}) == rows[-1:]
    assert x.venue.income({"startTime": str(START), "limit": "1"}) == rows[:1]


def test_leverage_is_set_per_symbol_and_decides_about_margin() -> None:
    x = Exchange(SYMBOL, "ETHUSDT", balance=100.0, costs=FREE)
    x.open(100.0)
    x.open(100.0, "ETHUSDT")
    assert x.venue.set_leverage({"symbol": SYMBOL, "leverage": "10"})["leverage"] == 10
    assert x.venue.set_leverage({"symbol": "ETHUSDT", "leverage": "2"})["leverage"] == 2
    assert [row["leverage"] for row in x.venue.symbol_config({})] == [10, 2]
    x.market("BUY", "5.000")
    # 50 are bound; the other half carries one coin at leverage 2.
    assert refusal(x.market, "BUY", "1.001", symbol="ETHUSDT") == -2019
    x.market("BUY", "1.000", symbol="ETHUSDT")
    assert x.venue.balance({})[0]["availableBalance"] == "0.00000000"


@pytest.mark.parametrize("text", ["0", "126", "-5", "x", "1.5", "9" * 5000, "٣"])
def test_a_leverage_out_of_range_is_refused(text: str) -> None:
    x = Exchange()
    assert refusal(x.venue.set_leverage, {"symbol": SYMBOL, "leverage": text}) == -4028
    assert x.venue.symbol_config({"symbol": SYMBOL})[0]["leverage"] == 20


def test_the_modes_are_told_and_the_position_mode_changes_only_when_nothing_is_open() -> None:
    x = Exchange()
    x.open(100.0)
    config = x.venue.account_config({})
    assert (config["canTrade"], config["dualSidePosition"], config["multiAssetsMargin"]) == (
        True,
        False,
        False,
    )
    assert x.venue.fee_burn({}) == {"feeBurn": False}
    assert x.venue.multi_assets_mode({}) == {"multiAssetsMargin": False}
    hedge = {"dualSidePosition": "true"}
    assert refusal(x.venue.set_position_mode, {"dualSidePosition": "false"}) == -4059
    assert refusal(x.venue.set_position_mode, {}) == -1102
    x.algo("stop", "SELL", "90.0")
    assert refusal(x.venue.set_position_mode, hedge) == -4067
    x.venue.cancel_all_algos({"symbol": SYMBOL})
    x.market("BUY", "1.000")
    assert refusal(x.venue.set_position_mode, hedge) == -4068
    x.market("SELL", "1.000")
    assert x.venue.set_position_mode(hedge)["code"] == 200
    assert x.venue.position_mode({}) == {"dualSidePosition": True}
    assert x.venue.account_config({})["dualSidePosition"]


def test_in_hedge_mode_nothing_is_traded() -> None:
    x = Exchange(hedge=True, multi_assets=True)
    x.open(100.0)
    assert x.venue.account_config({})["multiAssetsMargin"]
    assert refusal(x.market, "BUY", "1.000") == -4061
    assert refusal(x.market, "BUY", "1.000", positionSide="LONG") == -1014


def test_margin_is_cross_only() -> None:
    x = Exchange()
    asked = {"symbol": SYMBOL, "marginType": "CROSSED"}
    assert refusal(x.venue.set_margin_type, asked) == -4046
    assert refusal(x.venue.set_margin_type, asked | {"marginType": "ISOLATED"}) == -1130
    assert refusal(x.venue.set_margin_type, {"symbol": SYMBOL}) == -1102


def test_fees_brackets_and_limits_are_told() -> None:
    x = Exchange()
    assert x.venue.commission_rate({"symbol": SYMBOL})["takerCommissionRate"] == "0.0005"
    (row,) = x.venue.leverage_bracket({"symbol": SYMBOL})
    assert row["brackets"][0]["initialLeverage"] == 125
    assert {one["limit"] for one in x.venue.rate_limit_order({})} == {300, 1200}


def test_the_symbols_are_told_with_their_rules() -> None:
    ours = rules(SYMBOL, tick="0.10", step="0.001")
    info = Venue([ours], COSTS, 1.0).exchange_info()
    (symbol,) = info["symbols"]
    filters = {one["filterType"]: one for one in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MARKET_LOT_SIZE"]["maxQty"] == "1000"
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert (symbol["pricePrecision"], symbol["quantityPrecision"]) == (1, 3)
    assert (symbol["baseAsset"], symbol["quoteAsset"], symbol["status"]) == (
        "BTC",
        "USDT",
        "TRADING",
    )


def test_no_answer_or_event_has_an_exponent_also_on_a_very_fine_grid() -> None:
    one = fine_rules("um", "TINYUSDT", 2e-7)
    venue = Venue([one], COSTS, 1_000.0)
    venue.open_candle("TINYUSDT", 2.345e-7)
    buy = {"symbol": "TINYUSDT", "side": "BUY", "type": "MARKET", "quantity": "1000000"}
    venue.new_order(buy)
    venue.new_algo(
        {
            "algoType": "CONDITIONAL",
            "symbol": "TINYUSDT",
            "side": "SELL",
            "type": "STOP_MARKET",
            "triggerPrice": "0.0000001",
            "closePosition": "true",
        }
    )
    said = [
        venue.events,
        venue.exchange_info(),
        venue.all_orders({}),
        venue.all_algos({"symbol": "TINYUSDT"}),
        venue.user_trades({"symbol": "TINYUSDT"}),
        venue.account({}, version=2),
        venue.position_risk({}),
        venue.balance({}),
        venue.premium_index({}),
        venue.book_ticker({}),
        venue.income({}),
    ]
    numbers = [text for text in texts(msgspec.to_builtins(said)) if is_number(text)]
    assert len(numbers) > 50
    assert not [text for text in numbers if "e" in text.lower()]


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_prices_are_told_of_one_symbol_or_of_all() -> None:
    x = two_symbols()
    x.open(120.0)
    book, premium = x.venue.book_ticker({"symbol": SYMBOL}), x.venue.premium_index({})
    assert isinstance(book, dict)
    assert isinstance(premium, list)
    assert (book["bidPrice"], book["askPrice"]) == ("120.0", "120.0")
    # Positions are valued at the last close.
    assert [float(row["markPrice"]) for row in premium] == [110.0, 50.0]
    assert len(x.venue.book_ticker({})) == 2
    assert refusal(x.venue.book_ticker, {"symbol": "NOPEUSDT"}) == -1121
