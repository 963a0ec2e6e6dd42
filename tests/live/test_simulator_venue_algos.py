"""Conditional orders on the simulated exchange: what fills, where and when, and what expires."""

from decimal import Decimal

import pytest

from live.simulator.venue import Venue
from tests.live.sessions import MINUTE, START, rules
from tests.live.venues import COSTS, FREE, SYMBOL, Exchange, refusal, words

STOP = {
    "algoType": "CONDITIONAL",
    "symbol": SYMBOL,
    "side": "SELL",
    "type": "STOP_MARKET",
    "triggerPrice": "90.0",
    "closePosition": "true",
}
PART = {"closePosition": "", "reduceOnly": "true", "quantity": "1.000"}


def holding(qty: str = "2.000", side: str = "BUY", **settings: object) -> Exchange:
    """An exchange with a position entered at 100 without costs."""
    x = Exchange(costs=FREE, **settings)  # type: ignore[arg-type]
    x.open(100.0)
    x.market(side, qty)
    x.hear()
    return x


def test_a_second_stop_for_the_whole_position_is_refused_and_a_take_is_not() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    assert refusal(x.venue.new_algo, {**STOP, "triggerPrice": "85.0"}) == -4130
    take = {"type": "TAKE_PROFIT_MARKET", "triggerPrice": "120.0"}
    assert x.venue.new_algo({**STOP, **take})["algoStatus"] == "NEW"
    assert x.venue.new_algo({**STOP, **PART})["algoStatus"] == "NEW"


def test_a_triggered_order_may_bear_the_exchanges_own_id() -> None:
    x = holding()
    x.venue.own_child_ids = True
    number = x.algo("stop", "SELL", "90.0", name="s")["algoId"]
    x.play("100 101 89 95")
    child = int(x.venue.get_algo({"algoId": str(number)})["actualOrderId"])
    (order,) = [o for o in x.venue.all_orders({}) if o["origType"] == "STOP_MARKET"]
    assert (order["orderId"], order["clientOrderId"]) == (child, f"child_{child}")


def test_a_stop_fills_at_its_level_inside_the_candle() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.play("100 101 89 95")
    assert x.algo_status("s") == "FINISHED"
    assert x.wallet == Decimal(10_000 - 20)
    assert [t["time"] for t in x.trades()] == [START, START + MINUTE - 1]
    assert x.trades()[1]["price"] == "90.0"


def test_a_stop_behind_a_gap_fills_at_the_open_and_at_the_opens_time() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.play("100 101 95 95")
    x.play("80 85 79 84")
    assert x.wallet == Decimal(10_000 - 40)
    assert x.trades()[1]["time"] == START + MINUTE
    (order,) = [o for o in x.venue.all_orders({}) if o["origType"] == "STOP_MARKET"]
    assert (order["time"], order["updateTime"]) == (START + MINUTE, START + MINUTE)


def test_a_stop_slips_and_pays_its_fee() -> None:
    x = Exchange()
    x.open(10_000.0)
    x.market("SELL", "0.100")
    before = x.wallet
    x.algo("stop", "BUY", "10500.0")
    x.play("10000 10600 9900 10000")
    # In at 9999, out at 10500 × 1.0001 = 10501.05, a tick up: 10501.1.
    assert x.trades()[1]["price"] == "10501.1"
    assert x.wallet == before - Decimal("50.21") - Decimal("0.525055")


@pytest.mark.parametrize(
    ("side", "out", "level", "candle", "won"),
    [
        ("BUY", "SELL", "110.0", "100 111 99 105", 20),
        ("SELL", "BUY", "90.0", "100 101 89 95", 20),
        ("BUY", "SELL", "110.0", "120 121 119 120", 40),
        ("SELL", "BUY", "90.0", "85 86 84 85", 30),
    ],
)
def test_a_take_fills_at_its_level_or_at_a_better_open(
    side: str, out: str, level: str, candle: str, won: int
) -> None:
    x = holding(side=side)
    x.algo("take", out, level, "2.000", "t")
    x.play(candle)
    assert x.algo_status("t") == "FINISHED"
    assert x.wallet == 10_000 + won


def test_the_events_of_a_stop_go_from_new_to_finished() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.play("100 101 89 95")
    events = x.hear()
    assert words(events) == [
        "ALGO NEW",
        "ALGO TRIGGERING",
        "ALGO TRIGGERED",
        "ORDER NEW",
        "LITE",
        "ORDER TRADE FILLED",
        "ACCOUNT",
        "ALGO FINISHED",
    ]
    algos = [e["o"] for e in events if e["e"] == "ALGO_UPDATE"]
    assert [a["ai"] for a in algos] == ["", "", "2", "2"]
    assert [a["aq"] for a in algos] == ["0.000", "0.000", "0.000", "2.000"]
    assert {(a["caid"], a["o"], a["tp"], a["cp"]) for a in algos} == {
        ("s", "STOP_MARKET", "90.0", True)
    }
    # The order that came out of it has its client id and a number of its own.
    child = x.venue.get_order({"symbol": SYMBOL, "origClientOrderId": "s"})
    assert (child["orderId"], child["status"], child["reduceOnly"]) == (2, "FILLED", True)
    found = x.venue.get_algo({"clientAlgoId": "s"})
    assert (found["actualOrderId"], found["actualPrice"], found["actualQty"]) == (
        "2",
        "90.0",
        "2.000",
    )
    assert found["triggerTime"] == START + MINUTE - 1


@pytest.mark.parametrize("take", [False, True])
def test_stop_and_take_in_one_candle_is_the_stop_and_the_other_expires(take: bool) -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.algo("take", "SELL", "110.0", "2.000" if take else "", "t")
    x.play("100 111 89 100")
    assert (x.algo_status("s"), x.algo_status("t")) == ("FINISHED", "EXPIRED")
    assert x.wallet == 10_000 - 20
    assert x.venue.open_algos({}) == []


def test_a_take_that_the_open_is_beyond_comes_before_a_stop_inside() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.algo("take", "SELL", "110.0", "2.000", "t")
    x.play("115 116 89 100")
    assert (x.algo_status("s"), x.algo_status("t")) == ("EXPIRED", "FINISHED")
    assert x.wallet == 10_000 + 30


def test_a_closed_position_expires_what_closes_it_and_leaves_the_rest() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.algo("take", "SELL", "110.0", "2.000", "t")
    x.market("SELL", "2.000", reduce=True)
    assert (x.algo_status("s"), x.algo_status("t")) == ("EXPIRED", "NEW")
    # The orphan does nothing until it is touched, and then no order comes of it.
    x.play("100 105 95 100")
    assert x.algo_status("t") == "NEW"
    x.hear()
    x.play("100 111 95 100")
    assert words(x.hear()) == ["ALGO TRIGGERING", "ALGO EXPIRED"]
    assert x.venue.get_algo({"clientAlgoId": "t"})["actualOrderId"] == ""


def test_an_order_through_zero_expires_the_old_positions_stop() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.market("SELL", "3.000")
    assert x.algo_status("s") == "EXPIRED"


def test_a_partial_take_leaves_the_rest_of_the_position_with_its_stop() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.algo("take", "SELL", "110.0", "0.500", "t")
    x.play("100 111 95 110")
    assert x.position() == ("1.500", 100.0)
    assert (x.algo_status("s"), x.algo_status("t")) == ("NEW", "FINISHED")
    x.play("110 112 89 100")
    assert x.position()[0] == "0"
    assert x.wallet == 10_000 + 5 - 15


def test_further_exits_fill_in_the_same_candle_while_the_position_lives() -> None:
    x = holding()
    x.algo("stop", "SELL", "80.0", name="whole")
    x.algo("stop", "SELL", "90.0", "0.500", "part")
    x.algo("take", "SELL", "120.0", name="far")
    x.play("100 101 79 95")
    # Half a coin at 90, one and a half at 80.
    assert x.wallet == 10_000 - 5 - 30
    assert [t["price"] for t in x.trades()] == ["100.0", "90.0", "80.0"]
    assert (x.algo_status("part"), x.algo_status("whole")) == ("FINISHED", "FINISHED")
    assert x.algo_status("far") == "EXPIRED"


def test_of_two_stops_the_tighter_one_fills_and_takes_no_more_than_is_held() -> None:
    x = holding("1.000", "SELL")
    x.algo("stop", "BUY", "120.0", name="base")
    x.algo("stop", "BUY", "110.0", "5.000", "tight")
    x.play("100 111 99 100")
    assert x.wallet == 10_000 - 10
    assert (x.algo_status("tight"), x.algo_status("base")) == ("FINISHED", "EXPIRED")
    child = x.venue.get_order({"symbol": SYMBOL, "origClientOrderId": "tight"})
    assert child["origQty"] == "1.000"


def test_an_order_of_the_wrong_side_expires_when_it_is_touched() -> None:
    x = holding()
    x.algo("stop", "BUY", "110.0", "1.000", "wrong")
    x.play("100 111 99 105")
    assert x.algo_status("wrong") == "EXPIRED"
    assert x.position()[0] == "2.000"


def test_a_stop_may_be_placed_before_its_position() -> None:
    x = Exchange(costs=FREE)
    x.open(100.0)
    x.algo("stop", "SELL", "90.0", name="s")
    x.market("BUY", "1.000")
    x.play("100 101 89 95")
    assert x.algo_status("s") == "FINISHED"
    x.algo("stop", "SELL", "90.0", name="alone")
    x.play("95 96 89 95")
    assert x.algo_status("alone") == "EXPIRED"


def test_a_touch_is_enough_and_a_tick_short_is_not() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    x.play("100 101 90.1 95")
    assert x.algo_status("s") == "NEW"
    x.play("95 96 90 95")
    assert x.algo_status("s") == "FINISHED"


def test_conditional_orders_of_other_symbols_stay() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="s")
    y = Exchange("ETHUSDT", SYMBOL, costs=FREE)
    for symbol in ("ETHUSDT", SYMBOL):
        y.open(100.0, symbol)
        y.market("BUY", "1.000", symbol=symbol)
        y.algo("stop", "SELL", "90.0", name=f"s-{symbol}", symbol=symbol)
    y.play("100 101 80 90")
    assert y.algo_status("s-ETHUSDT") == "NEW"
    assert [one["symbol"] for one in y.venue.open_algos({})] == ["ETHUSDT"]


@pytest.mark.parametrize(
    ("kind", "side", "level"),
    [
        ("stop", "SELL", "100.0"),
        ("stop", "SELL", "100.1"),
        ("stop", "BUY", "100.0"),
        ("stop", "BUY", "99.9"),
        ("take", "SELL", "100.0"),
        ("take", "SELL", "99.9"),
        ("take", "BUY", "100.0"),
        ("take", "BUY", "100.1"),
    ],
)
def test_what_would_trigger_at_once_is_refused(kind: str, side: str, level: str) -> None:
    x = holding()
    assert refusal(x.algo, kind, side, level) == -2021
    assert x.hear() == []


def test_the_last_price_that_counts_is_the_open_then_the_close() -> None:
    x = holding()
    x.play("100 101 99 95")
    assert refusal(x.algo, "stop", "SELL", "96.0") == -2021
    x.open(97.0)
    x.algo("stop", "SELL", "96.0")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"algoType": ""}, -1102),
        ({"algoType": "VP"}, -1130),
        ({"symbol": ""}, -1102),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"type": "TRAILING_STOP_MARKET"}, -1116),
        ({"triggerPrice": ""}, -1102),
        ({"triggerPrice": "0"}, -4006),
        ({"triggerPrice": "90.05"}, -1111),
        ({"triggerPrice": "9e1"}, -1100),
        ({"quantity": "1.000"}, -4137),
        ({"reduceOnly": "true"}, -4138),
        ({"workingType": "MARK_PRICE"}, -1130),
        ({"closePosition": ""}, -1102),
        ({"closePosition": "", "quantity": "1.000"}, -1130),
        (PART | {"quantity": "0"}, -4003),
        (PART | {"quantity": "1.0001"}, -1111),
        (PART | {"quantity": "2000"}, -4005),
        ({"clientAlgoId": "x" * 37}, -4015),
        ({"clientAlgoId": "ü"}, -1100),
        ({"clientAlgoId": "taken"}, -4116),
        ({"positionSide": "SHORT"}, -4061),
    ],
)
def test_a_conditional_order_that_is_wrong_is_refused_with_the_exchanges_code(
    change: dict[str, str], code: int
) -> None:
    x = holding()
    x.algo("stop", "SELL", "50.0", name="taken")
    assert refusal(x.venue.new_algo, STOP | change) == code
    assert [one["clientAlgoId"] for one in x.venue.all_algos({"symbol": SYMBOL})] == ["taken"]


def test_a_trigger_off_the_tick_is_refused() -> None:
    venue = Venue([rules(SYMBOL, tick="0.5")], COSTS, 10_000.0)
    venue.open_candle(SYMBOL, 100.0)
    assert refusal(venue.new_algo, STOP | {"triggerPrice": "90.3"}) == -4014
    assert venue.new_algo(STOP | {"triggerPrice": "90.5"})["triggerPrice"] == "90.5"


def test_two_hundred_may_be_open_over_all_symbols() -> None:
    x = Exchange(SYMBOL, "ETHUSDT")
    x.open(100.0)
    x.open(100.0, "ETHUSDT")
    for number in range(200):
        symbol = (SYMBOL, "ETHUSDT")[number % 2]
        x.algo("stop", "SELL", "90.0", qty="0.001", name=f"s{number}", symbol=symbol)
    assert refusal(x.algo, "stop", "SELL", "90.0") == -4045
    x.venue.cancel_algo({"clientAlgoId": "s1"})
    x.algo("stop", "SELL", "90.0")
    assert len(x.venue.open_algos({})) == 200


def test_conditional_orders_are_cancelled_once_and_by_either_id() -> None:
    x = holding()
    first = x.algo("stop", "SELL", "90.0", name="a")["algoId"]
    assert x.venue.cancel_algo({"algoId": str(first)}) == {
        "algoId": first,
        "clientAlgoId": "a",
        "code": "200",
        "msg": "success",
    }
    assert refusal(x.venue.cancel_algo, {"clientAlgoId": "a"}) == -2011
    assert refusal(x.venue.cancel_algo, {"clientAlgoId": "never"}) == -2011
    assert refusal(x.venue.get_algo, {"clientAlgoId": "never"}) == -2013
    assert refusal(x.venue.cancel_algo, {}) == -1102
    again = x.algo("stop", "SELL", "90.0", name="a")["algoId"]
    assert again > first
    assert x.venue.get_algo({"clientAlgoId": "a"})["algoId"] == again
    assert x.venue.cancel_all_algos({"symbol": SYMBOL})["code"] == 200
    assert x.algo_status("a") == "CANCELED"
    assert words(x.hear()) == ["ALGO NEW", "ALGO CANCELED"] * 2
    assert [a["algoId"] for a in x.venue.all_algos({"symbol": SYMBOL})] == [first, again]
    x.play("100 101 80 95")
    assert x.position()[0] == "2.000"


def test_cancelling_all_plain_orders_leaves_conditional_ones() -> None:
    x = holding()
    x.algo("stop", "SELL", "90.0", name="a")
    x.venue.cancel_all_orders({"symbol": SYMBOL})
    assert x.algo_status("a") == "NEW"


def test_an_untriggered_one_is_no_plain_order() -> None:
    x = holding()
    number = x.algo("stop", "SELL", "90.0", name="a")["algoId"]
    for asked in ({"orderId": str(number)}, {"origClientOrderId": "a"}):
        assert refusal(x.venue.get_order, {"symbol": SYMBOL, **asked}) == -2013
        assert refusal(x.venue.cancel_order, {"symbol": SYMBOL, **asked}) == -2011
