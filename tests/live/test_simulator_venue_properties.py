"""What must hold of the simulated exchange, whatever is asked of it and whatever candles come."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from live.simulator.account import Account
from live.simulator.venue import ApiError
from strategy.account import free_margin
from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import ACCOUNT, POSITION
from tests.live.sessions import MINUTE, rules
from tests.live.venues import Exchange

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500")) // 5
examples = settings(max_examples=EXAMPLES, deadline=None)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ENDS = {"FINISHED", "CANCELED", "EXPIRED"}
LEGAL = {
    "": {"NEW"},
    "NEW": {"TRIGGERING", "CANCELED", "EXPIRED"},
    "TRIGGERING": {"TRIGGERED", "EXPIRED"},
    "TRIGGERED": {"FINISHED"},
}

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(["BUY", "SELL"])
ticks = st.integers(600, 1_400)
qtys = st.sampled_from(["0.100", "1.000", "2.500", "40.000"])
names = st.sampled_from(["a", "b", "c"])
actions = st.one_of(
    st.tuples(st.just("open"), symbols, ticks),
    st.tuples(st.just("play"), symbols, st.tuples(ticks, ticks, ticks, ticks)),
    st.tuples(st.just("market"), symbols, sides, qtys, st.booleans(), names),
    st.tuples(
        st.just("algo"), symbols, st.sampled_from(["stop", "take"]), sides, ticks,
        st.sampled_from(["", "0.100", "1.000"]), names,
    ),
    st.tuples(st.just("cancel"), symbols, names),
    st.tuples(st.just("cancel algo"), symbols, names),
    st.tuples(st.just("leverage"), symbols, st.integers(1, 125)),
)  # fmt: skip


def act(x: Exchange, action: Any) -> None:
    """Do one thing; a refusal is an answer as good as any."""
    kind, symbol, *rest = action
    venue = x.venue
    try:
        match kind:
            case "open":
                x.open(rest[0] / 10, symbol)
            case "play":
                o, one, other, c = (price / 10 for price in rest[0])
                high, low = max(o, one, other, c), min(o, one, other, c)
                x.play(f"{o} {high} {low} {c}", symbol)
            case "market":
                side, qty, reduce, name = rest
                x.market(side, qty, name, reduce=reduce, symbol=symbol)
            case "algo":
                which, side, level, qty, name = rest
                x.algo(which, side, f"{level / 10}", qty, f"algo-{name}", symbol=symbol)
            case "cancel":
                venue.cancel_order({"symbol": symbol, "origClientOrderId": rest[0]})
            case "cancel algo":
                venue.cancel_algo({"clientAlgoId": f"algo-{rest[0]}"})
            case "leverage":
                venue.set_leverage({"symbol": symbol, "leverage": str(rest[0])})
    except ApiError as error:
        assert error.code < 0
    venue.now += MINUTE // 7


@dataclass
class Listener:
    """Knows nothing but the private stream."""

    wallet: Decimal
    positions: dict[str, tuple[Decimal, float]] = field(
        default_factory=lambda: dict.fromkeys(SYMBOLS, (Decimal(0), 0.0))
    )
    orders: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    algos: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    trades: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    lite: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def hear(self, event: dict[str, Any]) -> None:
        match event["e"]:
            case "ORDER_TRADE_UPDATE":
                o = event["o"]
                key = (o["s"], o["i"])
                assert (o["x"] == "NEW") == (key not in self.orders)
                assert self.orders.get(key, ("NEW", ""))[0] == "NEW"
                self.orders[key] = (o["X"], o["z"])
                if o["t"]:
                    assert o["t"] == len(self.trades[o["s"]]) + 1 == self.lite[o["s"]]
                    self.trades[o["s"]].append(o)
            case "TRADE_LITE":
                self.lite[event["s"]] = event["t"]
            case "ALGO_UPDATE":
                o = event["o"]
                assert o["X"] in LEGAL[self.algos[o["aid"]]]
                self.algos[o["aid"]] = o["X"]
            case "ACCOUNT_UPDATE":
                self.wallet = Decimal(event["a"]["B"][0]["wb"])
                for row in event["a"]["P"]:
                    self.positions[row["s"]] = (Decimal(row["pa"]), float(row["ep"]))


@examples
@given(st.lists(actions, min_size=1, max_size=40), st.booleans())
def test_whatever_happens_the_books_agree(path: list[Any], hold: bool) -> None:
    x = Exchange(*SYMBOLS, hold=hold, costs=Costs(0.0005, 0.001))
    for action in path:
        act(x, action)
    venue = x.venue
    listener = Listener(Decimal(10_000))
    events = x.hear()
    for event in events:
        listener.hear(event)
    assert [e["E"] for e in events] == sorted(e["E"] for e in events)
    assert all(e["T"] <= e["E"] for e in events)
    # The account's own events never go back in time.
    updates = [e["T"] for e in events if e["e"] == "ACCOUNT_UPDATE"]
    assert updates == sorted(updates)

    # Money: to the last unit what the fills and the income say.
    total = Decimal(10_000)
    for symbol in SYMBOLS:
        trades, amount = x.trades(symbol), Decimal(0)
        assert [t["id"] for t in trades] == list(range(1, len(trades) + 1))
        for trade, told in zip(trades, listener.trades[symbol], strict=True):
            assert (trade["commission"], trade["realizedPnl"]) == (told["n"], told["rp"])
            assert (trade["price"], trade["qty"], trade["time"]) == (
                told["L"],
                told["l"],
                told["T"],
            )
            total += Decimal(trade["realizedPnl"]) - Decimal(trade["commission"])
            amount += Decimal(trade["qty"]) * (1 if trade["side"] == "BUY" else -1)
        assert Decimal(venue.steps(symbol)) / 1_000 == amount == listener.positions[symbol][0]
        held, entry = x.position(symbol)
        assert (Decimal(held), entry) == listener.positions[symbol]
    assert x.wallet == total == listener.wallet
    assert venue.wallet == total * 10**8
    paid = sum(Decimal(row["income"]) for row in venue.income({"limit": "1000"}))
    assert 10_000 + paid == total

    # Orders: what was told is what is found.
    asked = {
        (o["symbol"], o["orderId"]): (o["status"], o["executedQty"])
        for o in venue.all_orders({"limit": "1000"})
    }
    assert asked == listener.orders
    waiting = {(o["symbol"], o["orderId"]) for o in venue.open_orders({})}
    assert waiting == {key for key, (status, _) in asked.items() if status == "NEW"}
    assert hold or not waiting
    algos = {a["algoId"]: a for s in SYMBOLS for a in venue.all_algos({"symbol": s})}
    assert {key: a["algoStatus"] for key, a in algos.items()} == listener.algos
    resting = venue.open_algos({})
    assert {a["algoId"] for a in resting} == {
        key for key, status in listener.algos.items() if status not in ENDS
    }
    assert len({a["clientAlgoId"] for a in resting}) == len(resting)
    for algo in algos.values():
        assert (algo["algoStatus"] == "FINISHED") == bool(algo["actualOrderId"])


@examples
@given(
    st.integers(-(10**12), 10**14),
    st.lists(
        st.tuples(st.integers(-50_000, 50_000), st.integers(1, 10**6), st.integers(1, 10**6)),
        min_size=3,
        max_size=3,
    ),
    st.integers(1, 125),
)
def test_free_margin_is_the_backtests_to_the_bit(
    wallet: int, held: list[tuple[int, int, int]], leverage: int
) -> None:
    names = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
    ours = Account([rules(name) for name in names], Costs(0.0, 0.0), wallet / 1e8, leverage)
    theirs: Any = np.zeros(1, ACCOUNT).view(np.recarray)
    theirs[0].wallet = ours.wallet
    positions: Any = np.zeros(3, POSITION).view(np.recarray)
    grids = np.concatenate([grid("0.1", "0.001")] * 3).view(np.recarray)
    for at, (steps, entry, mark) in enumerate(held):
        if steps:
            ours.book(at, 1 if steps > 0 else -1, abs(steps), entry / 10)
            positions[at].steps, positions[at].entry = steps, entry / 10
        ours.set_price(at, mark / 10)
        positions[at].mark = mark / 10
    assert ours.free() == free_margin(
        theirs[0], positions, grids, np.arange(len(positions)), float(leverage)
    )


@examples
@given(st.lists(actions, min_size=1, max_size=25), st.booleans())
def test_the_same_requests_and_candles_give_the_same_events(path: list[Any], hold: bool) -> None:
    first, second = Exchange(*SYMBOLS, hold=hold), Exchange(*SYMBOLS, hold=hold)
    for action in path:
        act(first, action)
        act(second, action)
    assert first.hear() == second.hear()
