"""Market orders on the simulated exchange, with money computed by hand."""

from decimal import Decimal

import msgspec
import pytest

from live.simulator.venue import Venue
from tests.live.sessions import MINUTE, START, rules
from tests.live.venues import COSTS, FREE, SYMBOL, Exchange, refusal, words

BUY = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.100"}


def test_a_long_pays_slippage_and_fee_twice() -> None:
    x = Exchange()
    x.open(10_000.0)
    x.market("BUY", "0.100")
    # 10000 × 1.0001, fee 0.0005 × 1000.10.
    assert x.position() == ("0.100", 10_001.0)
    assert x.wallet == Decimal("9999.49995000")
    x.open(11_000.0)
    x.market("SELL", "0.100", reduce=True)
    # Sold at 10998.9: 0.1 × 997.9 won, fee 0.0005 × 1099.89.
    assert x.position() == ("0", 0.0)
    assert x.wallet == Decimal("10098.74000500")


def test_a_short_wins_when_the_price_falls() -> None:
    x = Exchange()
    x.open(10_000.0)
    x.market("SELL", "0.100")
    assert x.position() == ("-0.100", 9_999.0)
    x.open(9_000.0)
    x.market("BUY", "0.100", reduce=True)
    # Bought back at 9000.9: 0.1 × 998.1 less fees 0.49995 and 0.450045.
    assert x.wallet == Decimal(10000) + Decimal("99.81") - Decimal("0.949995")


def test_a_price_between_two_ticks_is_rounded_against_the_order() -> None:
    x = Exchange()
    x.open(100.0)
    x.market("BUY", "0.100")
    x.market("SELL", "0.100")
    assert [trade["price"] for trade in x.trades()] == ["100.1", "99.9"]


def test_a_second_buy_averages_the_entry_and_a_partial_sale_keeps_it() -> None:
    x = Exchange(costs=FREE)
    x.open(100.0)
    x.market("BUY", "1.000")
    x.open(130.0)
    x.market("BUY", "2.000")
    assert x.position() == ("3.000", 120.0)
    x.market("SELL", "1.000")
    assert x.position() == ("2.000", 120.0)
    assert x.wallet == Decimal(10_010)


def test_an_order_through_zero_closes_and_opens_the_rest_at_its_price() -> None:
    x = Exchange(costs=FREE)
    x.open(100.0)
    x.market("BUY", "1.000")
    x.open(110.0)
    x.market("SELL", "3.000")
    assert x.position() == ("-2.000", 110.0)
    assert x.wallet == Decimal(10_010)


def test_the_events_of_a_market_order_come_in_order_and_agree_with_the_answers() -> None:
    x = Exchange()
    x.open(10_000.0)
    answer = x.market("BUY", "0.100", "mine")
    events = x.hear()
    assert words(events) == ["ORDER NEW", "LITE", "ORDER TRADE FILLED", "ACCOUNT"]
    _, lite, order, account = events
    (trade,) = x.trades()
    assert order["T"] == order["o"]["T"] == trade["time"] == START
    assert order["o"]["t"] == lite["t"] == trade["id"] == 1
    assert order["o"]["i"] == lite["i"] == trade["orderId"] == answer["orderId"] == 1
    assert (order["o"]["N"], order["o"]["n"]) == ("USDT", "0.50005000")
    assert (order["o"]["L"], order["o"]["l"], order["o"]["z"]) == ("10001.0", "0.100", "0.100")
    assert trade["commission"] == "0.50005000"
    assert account["a"]["m"] == "ORDER"
    assert account["a"]["B"][0]["wb"] == "9999.49995000"
    row = account["a"]["P"][0]
    assert (row["pa"], float(row["ep"])) == ("0.100", 10_001.0)


def test_the_answer_to_an_order_is_new_and_tells_no_price() -> None:
    x = Exchange()
    x.open(10_000.0)
    answer = x.market("BUY", "0.100", "mine")
    assert (answer["status"], answer["executedQty"], answer["origQty"]) == ("NEW", "0.000", "0.100")
    assert not {"avgPrice", "cumQuote", "cumBase"} & set(answer)
    found = x.venue.get_order({"symbol": SYMBOL, "orderId": "1"})
    assert (found["status"], found["avgPrice"], found["cumQuote"]) == (
        "FILLED",
        "10001.0",
        "1000.1000",
    )
    assert found["clientOrderId"] == "mine"
    told = x.market("BUY", "0.100", newOrderRespType="RESULT")
    assert (told["status"], told["executedQty"]) == ("FILLED", "0.100")
    assert "avgPrice" not in told


# Held orders


def test_a_held_order_waits_for_its_symbols_next_candle() -> None:
    x = Exchange(SYMBOL, "ETHUSDT", hold=True)
    x.play("100 110 90 105")
    x.play("100 110 90 105", "ETHUSDT")
    x.market("BUY", "1.000", "mine")
    assert x.venue.fill_held() == 0
    assert x.open(200.0, "ETHUSDT") == 0
    assert x.order_status("mine") == "NEW"
    assert len(x.venue.open_orders({})) == 1
    assert x.open(108.0) == 1
    assert x.order_status("mine") == "FILLED"
    assert x.venue.open_orders({}) == []
    assert x.trades()[0]["price"] == "108.1"
    assert x.venue.fill_held() == 0


def test_held_orders_fill_closing_ones_first_each_in_the_symbols_order() -> None:
    x = Exchange(SYMBOL, "ETHUSDT", hold=True)
    for symbol in (SYMBOL, "ETHUSDT"):
        x.open(100.0, symbol)
    x.market("BUY", "1.000", symbol="ETHUSDT")
    x.venue.fill_held()
    x.hear()
    x.market("BUY", "1.000", "late", symbol="ETHUSDT")
    x.market("BUY", "1.000", "early")
    x.market("SELL", "1.000", "close", symbol="ETHUSDT", reduce=True)
    assert x.venue.fill_held() == 3
    fills = [e["o"]["c"] for e in x.hear() if e["e"] == "ORDER_TRADE_UPDATE" and e["o"]["t"]]
    assert fills == ["close", "early", "late"]


def test_a_held_order_without_margin_expires_at_its_candle() -> None:
    x = Exchange(hold=True, balance=100.0, leverage=10)
    x.open(100.0)
    x.market("BUY", "10.000", "mine")
    # 10 × 100.1 / 10 is more than 100.
    x.venue.fill_held()
    assert x.order_status("mine") == "EXPIRED"
    assert words(x.hear()) == ["ORDER NEW", "ORDER EXPIRED"]
    assert x.wallet == 100


def test_the_margin_of_others_counts_at_their_last_close() -> None:
    x = Exchange(SYMBOL, "ETHUSDT", hold=True, balance=1_000.0, leverage=10, costs=FREE)
    x.open(100.0, "ETHUSDT")
    x.market("BUY", "10.000", symbol="ETHUSDT")
    x.venue.fill_held()
    x.play("100 200 100 150", "ETHUSDT")
    # Free: 1000 + 500 − 1500 / 10 = 1350, whatever the next open of the other is.
    x.open(50.0, "ETHUSDT")
    x.open(100.0)
    x.market("BUY", "135.001", "more")
    x.market("BUY", "135.000", "fits")
    x.venue.fill_held()
    assert (x.order_status("more"), x.order_status("fits")) == ("EXPIRED", "FILLED")


def test_an_order_at_once_without_margin_is_refused() -> None:
    x = Exchange(balance=100.0, leverage=10)
    x.open(100.0)
    assert refusal(x.market, "BUY", "10.000") == -2019
    assert x.hear() == []
    assert x.venue.all_orders({}) == []


def test_an_order_that_only_reduces_needs_no_margin() -> None:
    x = Exchange(balance=100.0, leverage=10, costs=FREE)
    x.open(100.0)
    x.market("BUY", "9.000")
    x.play("100 100 80 80")
    x.open(80.0)
    # 100 − 180 of open loss: nothing is free.
    assert refusal(x.market, "BUY", "1.000") == -2019
    x.market("SELL", "4.000")
    x.market("SELL", "5.000", reduce=True)
    assert x.position() == ("0", 0.0)


def test_an_order_through_zero_has_the_margin_that_it_sets_free() -> None:
    x = Exchange(balance=100.0, leverage=10, costs=FREE)
    x.open(100.0)
    x.market("BUY", "10.000")
    assert refusal(x.market, "SELL", "20.001") == -2019
    x.market("SELL", "20.000")
    assert x.position() == ("-10.000", 100.0)


# Reduce-only


def test_reduce_only_needs_a_position_on_the_other_side() -> None:
    x = Exchange()
    x.open(100.0)
    assert refusal(x.market, "SELL", "1.000", reduce=True) == -2022
    x.market("BUY", "1.000")
    assert refusal(x.market, "BUY", "1.000", reduce=True) == -2022


def test_reduce_only_is_cut_to_the_position() -> None:
    x = Exchange()
    x.open(100.0)
    x.market("BUY", "1.000")
    x.market("SELL", "3.000", "out", reduce=True)
    assert x.position() == ("0", 0.0)
    found = x.venue.get_order({"symbol": SYMBOL, "origClientOrderId": "out"})
    assert (found["origQty"], found["executedQty"], found["status"]) == ("1.000", "1.000", "FILLED")


def test_a_held_reduce_only_order_expires_when_another_was_first() -> None:
    x = Exchange(hold=True)
    x.open(100.0)
    x.market("BUY", "1.000")
    x.venue.fill_held()
    x.market("SELL", "0.600", "first", reduce=True)
    x.market("SELL", "1.000", "second", reduce=True)
    x.market("SELL", "1.000", "third", reduce=True)
    x.hear()
    assert x.venue.fill_held() == 3
    assert [x.order_status(name) for name in ("first", "second", "third")] == [
        "FILLED",
        "FILLED",
        "EXPIRED",
    ]
    assert [trade["qty"] for trade in x.trades()] == ["1.000", "0.600", "0.400"]
    assert x.hear()[-1]["o"]["er"] == "4"


# Questions and cancels


def test_a_held_order_can_be_cancelled_once() -> None:
    x = Exchange(hold=True)
    x.open(100.0)
    x.market("BUY", "1.000", "mine")
    name = {"symbol": SYMBOL, "origClientOrderId": "mine"}
    assert x.venue.open_order(name)["status"] == "NEW"
    assert x.venue.cancel_order(name)["status"] == "CANCELED"
    assert refusal(x.venue.cancel_order, name) == -2011
    assert refusal(x.venue.open_order, name) == -2013
    assert x.venue.fill_held() == 0
    x.market("BUY", "1.000", "mine")
    assert x.venue.cancel_all_orders({"symbol": SYMBOL})["code"] == 200
    assert words(x.hear()) == ["ORDER NEW", "ORDER CANCELED"] * 2


def test_orders_are_found_by_either_id_and_the_newest_of_a_repeated_one() -> None:
    x = Exchange()
    x.open(100.0)
    x.market("BUY", "1.000", "again")
    x.market("SELL", "1.000", "again")
    assert x.venue.get_order({"symbol": SYMBOL, "origClientOrderId": "again"})["side"] == "SELL"
    assert x.venue.get_order({"symbol": SYMBOL, "orderId": "1"})["side"] == "BUY"
    for asked in ({"orderId": "3"}, {"origClientOrderId": "other"}, {"orderId": "1000001"}):
        assert refusal(x.venue.get_order, {"symbol": SYMBOL, **asked}) == -2013
        assert refusal(x.venue.cancel_order, {"symbol": SYMBOL, **asked}) == -2011
    assert refusal(x.venue.get_order, {"symbol": SYMBOL}) == -1102
    assert refusal(x.venue.get_order, {"symbol": SYMBOL, "orderId": "x"}) == -1102
    first, second = x.venue.all_orders({"symbol": SYMBOL})
    assert (first["orderId"], second["orderId"], first["pair"]) == (1, 2, SYMBOL)
    assert [o["orderId"] for o in x.venue.all_orders({"limit": "1"})] == [2]
    assert [o["orderId"] for o in x.venue.all_orders({"symbol": SYMBOL, "orderId": "2"})] == [2]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": ""}, -1102),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"side": ""}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": ""}, -1102),
        ({"type": "DANCE"}, -1116),
        ({"type": "LIMIT"}, -1116),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"quantity": ""}, -1102),
        ({"quantity": "0"}, -4003),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "1e-3"}, -1100),
        ({"quantity": "٣"}, -1100),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "1.0000"}, -1111),
        ({"quantity": "1000.001"}, -4005),
        ({"quantity": "0.049"}, -4164),
        ({"timeInForce": "GTC"}, -1106),
        ({"price": "100"}, -1106),
        ({"reduceOnly": "maybe"}, -1130),
        ({"reduceOnly": "true"}, -2022),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -1100),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
    ],
)
def test_an_order_that_is_wrong_is_refused_with_the_exchanges_code(
    change: dict[str, str], code: int
) -> None:
    x = Exchange()
    x.open(100.0)
    assert refusal(x.venue.new_order, BUY | change) == code
    assert x.hear() == []
    assert x.venue.all_orders({}) == []


def test_quantities_off_the_step_and_below_the_least_are_refused() -> None:
    one = rules(SYMBOL, step="0.005")
    venue = Venue([one], COSTS, 10_000.0)
    venue.open_candle(SYMBOL, 10_000.0)
    assert refusal(venue.new_order, BUY | {"quantity": "0.007"}) == -4023
    whole = Venue([rules(SYMBOL, step="10")], COSTS, 10_000.0)
    whole.open_candle(SYMBOL, 10.0)
    assert refusal(whole.new_order, BUY | {"quantity": "15"}) == -4023
    assert whole.new_order(BUY | {"quantity": "20"})["origQty"] == "20"
    least = Venue([msgspec.structs.replace(one, min_qty="0.010")], COSTS, 10_000.0)
    least.open_candle(SYMBOL, 10_000.0)
    assert refusal(least.new_order, BUY | {"quantity": "0.005"}) == -4004


def test_a_small_order_passes_if_it_reduces() -> None:
    x = Exchange()
    x.open(100.0)
    x.market("BUY", "1.000")
    x.market("SELL", "0.001", reduce=True)
    assert x.position()[0] == "0.999"


def test_an_id_may_not_be_used_twice_among_open_orders() -> None:
    x = Exchange(SYMBOL, "ETHUSDT", hold=True)
    x.open(100.0)
    x.open(100.0, "ETHUSDT")
    x.market("BUY", "1.000", "mine")
    assert refusal(x.market, "BUY", "1.000", "mine") == -4116
    assert refusal(x.market, "BUY", "1.000", "mine", symbol="ETHUSDT") == -4116
    x.venue.fill_held()
    x.market("BUY", "1.000", "mine")


def test_orders_before_the_first_candle_are_refused() -> None:
    assert refusal(Exchange().market, "BUY", "1.000") == -4164


def test_ids_count_per_symbol() -> None:
    x = Exchange(SYMBOL, "ETHUSDT")
    for symbol in (SYMBOL, "ETHUSDT"):
        x.open(100.0, symbol)
        for _ in range(2):
            x.market("BUY", "1.000", symbol=symbol)
        assert [(t["id"], t["orderId"]) for t in x.trades(symbol)] == [(1, 1), (2, 2)]


def test_the_clock_is_the_drivers() -> None:
    x = Exchange()
    x.open(100.0)
    x.venue.now = START + MINUTE // 2
    assert x.market("BUY", "1.000")["updateTime"] == START + MINUTE // 2
    assert {event["E"] for event in x.hear()} == {START + MINUTE // 2}
