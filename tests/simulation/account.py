"""An exchange's account, as far as the trader can see it: orders, conditional orders, positions.

Money and prices are whole numbers here, and nothing is shared with the code under test, so that
sums which agree were reached on two ways.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from live.exchange.port import (
    Accepted,
    AccountEvent,
    AlgoEvent,
    AlgoKind,
    AlgoState,
    Balance,
    FundingFee,
    Holding,
    OrderEvent,
    OrderState,
    Outcome,
    PrivateEvent,
    Rejected,
    Side,
    Trade,
)

TICK, STEP = Fraction(1, 10), Fraction(1, 1000)
UNIT = Fraction(1, 10**8)
FEE = Fraction(5, 10_000)
SLIP = 2  # ticks
Emit = Callable[[str, PrivateEvent], None]


def decimal(value: Fraction, places: int) -> str:
    """Write an exact decimal."""
    scaled = value * 10**places
    assert scaled.denominator == 1, f"{value} has more than {places} places"
    sign, digits = "-" if scaled < 0 else "", str(abs(int(scaled))).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


@dataclass
class Order:
    """A market order, also one that a conditional order became."""

    number: int
    client_id: str
    symbol: str
    side: int
    steps: int
    reduce_only: bool
    visible_at: int
    filled: int = 0
    status: str = "NEW"
    time: int = 0

    def state(self) -> OrderState:
        return OrderState(
            self.symbol,
            self.client_id,
            self.number,
            _side(self.side),
            self.status,
            decimal(self.steps * STEP, 3),
            decimal(self.filled * STEP, 3),
            self.reduce_only,
            self.time,
        )


@dataclass
class Algo:
    """A conditional order; steps 0 closes the position."""

    number: int
    client_id: str
    symbol: str
    side: int
    kind: AlgoKind
    trigger: int  # ticks
    steps: int
    visible_at: int
    status: str = "NEW"
    child: int = 0

    @property
    def is_touched(self) -> int:
        """Which way the price must go to trigger it: 1 up."""
        return self.side if self.kind == "STOP_MARKET" else -self.side

    def state(self) -> AlgoState:
        return AlgoState(
            self.symbol,
            self.client_id,
            self.number,
            self.kind,
            _side(self.side),
            self.status,
            decimal(self.trigger * TICK, 1),
            decimal(self.steps * STEP, 3),
            self.steps == 0,
            self.child,
        )


@dataclass
class Position:
    """What is held: signed steps, the average price in ticks, what it has paid of funding in units,
    and since when it has no stop."""

    steps: int = 0
    entry: Fraction = Fraction(0)
    funding: int = 0
    naked_since: int | None = None


@dataclass
class SeenTrade:
    """A fill, and from when on it can be asked for."""

    trade: Trade
    visible_at: int


@dataclass
class SeenFee:
    """A funding payment, and from when on it can be asked for."""

    fee: FundingFee
    visible_at: int


@dataclass
class Account:
    """The account.

    Parameters
    ----------
    emit : callable
        Takes every private event, with its symbol.
    now : callable
        Gives the time, UTC ms.
    lag : callable
        Gives how long something new cannot be found yet, ms.
    changed : callable
        Called with a symbol whenever its position or its stops may have changed.

    Attributes
    ----------
    fees : list of SeenFee
        What all symbols have paid of funding.
    ended : dict
        By symbol, what each position that is over has paid of funding, in units.
    """

    symbols: tuple[str, ...]
    wallet: int
    emit: Emit
    now: Callable[[], int]
    lag: Callable[[], int]
    changed: Callable[[str], None]
    strange_children: bool = False
    names_payers: bool = True  # an event of funding says whose it is
    prices: dict[str, int] = field(default_factory=dict)
    orders: dict[str, list[Order]] = field(default_factory=lambda: defaultdict(list))
    algos: dict[str, list[Algo]] = field(default_factory=lambda: defaultdict(list))
    trades: dict[str, list[SeenTrade]] = field(default_factory=lambda: defaultdict(list))
    positions: dict[str, Position] = field(default_factory=lambda: defaultdict(Position))
    fees: list[SeenFee] = field(default_factory=list)
    ended: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    wallet_time: int = 0
    _number: int = 1_000

    # What can be asked for.

    def order(self, symbol: str, client_id: str = "", number: int = 0) -> OrderState | None:
        for one in reversed(self.orders[symbol]):
            hit = one.client_id == client_id if client_id else one.number == number
            if hit and one.visible_at <= self.now():
                return one.state()
        return None

    def open_orders(self, symbol: str) -> list[OrderState]:
        states = [one.state() for one in self.orders[symbol] if one.visible_at <= self.now()]
        return [one for one in states if one.is_open]

    def algo(self, client_id: str) -> AlgoState | None:
        for one in self._all_algos():
            if one.client_id == client_id and one.visible_at <= self.now():
                return one.state()
        return None

    def open_algos(self, symbol: str) -> list[AlgoState]:
        there = [one for one in self.algos[symbol] if one.visible_at <= self.now()]
        return [one.state() for one in there if one.status == "NEW"]

    def trades_from(self, symbol: str, first: int | None) -> list[Trade]:
        there = [one.trade for one in self.trades[symbol] if one.visible_at <= self.now()]
        return there[-1000:] if first is None else [one for one in there if one.trade_id >= first]

    def fees_since(self, time: int) -> list[FundingFee]:
        there = [one.fee for one in self.fees if one.visible_at <= self.now()]
        return [one for one in there if one.time >= time]

    def holdings(self) -> list[Holding]:
        return [self._holding(symbol) for symbol in self.symbols if self.positions[symbol].steps]

    def balance(self) -> Balance:
        return Balance(self.wallet, self.wallet_time)

    def has_stop(self, symbol: str) -> bool:
        side = -1 if self.positions[symbol].steps > 0 else 1
        return any(
            one.status == "NEW" and one.kind == "STOP_MARKET" and one.side == side
            for one in self.algos[symbol]
        )

    # What can be asked to be done.

    def place(
        self, client_id: str, symbol: str, side: int, steps: int, reduce_only: bool
    ) -> tuple[Rejected | Accepted, Order | None]:
        """Take a market order; it fills with `fill`, at once or in parts."""
        held = self.positions[symbol].steps
        if reduce_only and held * side >= 0:
            return Rejected(-2022, "ReduceOnly Order is rejected."), None
        for one in self.orders[symbol]:
            if one.client_id == client_id and one.state().is_open:
                return Rejected(-4116, "ClientOrderId is duplicated."), None
        steps = min(steps, abs(held)) if reduce_only else steps
        order = Order(
            self._next(), client_id, symbol, side, steps, reduce_only, self.now() + self.lag()
        )
        self.orders[symbol].append(order)
        self._tell(order, None, "NEW")
        return Accepted(order.number), order

    def fill(self, order: Order, steps: int) -> None:
        """Fill a part of an order at the price of the moment."""
        held = self.positions[order.symbol].steps
        room = abs(held) if held * order.side < 0 else 0
        steps = min(steps, order.steps - order.filled)
        if order.reduce_only:
            steps = min(steps, room)
        if steps <= 0 or not order.state().is_open:
            self.expire(order)
            return
        order.filled += steps
        order.status = "FILLED" if order.filled == order.steps else "PARTIALLY_FILLED"
        order.time = self.now()
        price = self.prices[order.symbol] + SLIP * order.side
        trade = self._book(order, steps, price)
        self._tell(order, trade, "TRADE")
        self._tell_account(order.symbol)
        self._sweep(order.symbol)
        self.changed(order.symbol)

    def expire(self, order: Order) -> None:
        """Give up what has not filled."""
        if order.state().is_open:
            order.status = "EXPIRED"
            self._tell(order, None, "EXPIRED")

    def place_algo(
        self, client_id: str, symbol: str, side: int, kind: AlgoKind, trigger: int, steps: int
    ) -> Outcome:
        if any(one.client_id == client_id and one.status == "NEW" for one in self._all_algos()):
            return Rejected(-4116, "ClientOrderId is duplicated.")
        if trigger <= 0:
            return Rejected(-4014, "Price not increased by tick size.")
        if not steps and not self.positions[symbol].steps:
            return Rejected(-4509, "Time in Force (TIF) GTE can only be used with open positions.")
        same = (one for one in self.algos[symbol] if one.status == "NEW" and not one.steps)
        if not steps and any(one.side == side and one.kind == kind for one in same):
            return Rejected(-4130, "An open stop with GTE and closePosition is existing.", True)
        algo = Algo(
            self._next(), client_id, symbol, side, kind, trigger, steps, self.now() + self.lag()
        )
        if self._triggers(algo):
            return Rejected(-2021, "Order would immediately trigger.")
        self.algos[symbol].append(algo)
        self._tell_algo(algo)
        self.changed(symbol)
        return Accepted(algo.number)

    def cancel_algo(self, client_id: str) -> Outcome:
        for one in self._all_algos():
            if one.client_id == client_id and one.status == "NEW":
                one.status = "CANCELED"
                self._tell_algo(one)
                self.changed(one.symbol)
                return Accepted(one.number)
        return Rejected(-2011, "Unknown order sent.")

    # What happens by itself.

    def move(self, symbol: str, price: int) -> None:
        """Let the price change; stops go before takes, what is left of both expires by itself."""
        self.prices[symbol] = price
        due = [one for one in self.algos[symbol] if one.status == "NEW" and self._triggers(one)]
        for algo in sorted(due, key=lambda one: one.kind != "STOP_MARKET"):
            if algo.status == "NEW":
                self._trigger(algo)

    def fund(self, symbol: str, rate: Fraction, mark: int) -> None:
        """Let a position pay funding at a mark price in ticks."""
        position, now = self.positions[symbol], self.now()
        paid = round(rate * position.steps * STEP * mark * TICK / UNIT)
        if not paid:
            return
        self.wallet -= paid
        self.wallet_time = now
        position.funding += paid
        fee = FundingFee(symbol, self._next(), decimal(-paid * UNIT, 8), now)
        before = self.fees[-1].visible_at if self.fees else 0
        self.fees.append(SeenFee(fee, max(before, now + self.lag())))
        named = (symbol, -paid) if self.names_payers else ("", None)
        self.emit("", AccountEvent(now, "FUNDING_FEE", self.balance(), (), *named))

    def _trigger(self, algo: Algo) -> None:
        held = self.positions[algo.symbol].steps
        if held * algo.side >= 0:
            algo.status = "EXPIRED"
            self._tell_algo(algo, "ReduceOnly Order is rejected.")
            return
        algo.status = "TRIGGERING"
        self._tell_algo(algo)
        steps = min(algo.steps or abs(held), abs(held))
        number = self._next()
        client_id = f"child_{number}" if self.strange_children else algo.client_id
        child = Order(number, client_id, algo.symbol, algo.side, steps, True, algo.visible_at)
        algo.child, algo.status = child.number, "TRIGGERED"
        self.orders[algo.symbol].append(child)
        self._tell_algo(algo)
        self._tell(child, None, "NEW")
        self.fill(child, steps)
        algo.status = "FINISHED"
        self._tell_algo(algo)
        self.changed(algo.symbol)

    def _triggers(self, algo: Algo) -> bool:
        price = self.prices[algo.symbol]
        return price >= algo.trigger if algo.is_touched > 0 else price <= algo.trigger

    def _sweep(self, symbol: str) -> None:
        # With the position go the orders that would have closed it; reduce-only ones stay.
        if self.positions[symbol].steps:
            return
        for one in self.algos[symbol]:
            if one.status == "NEW" and not one.steps:
                one.status = "EXPIRED"
                self._tell_algo(one, "position closed")

    def _book(self, order: Order, steps: int, price: int) -> Trade:
        position, signed = self.positions[order.symbol], steps * order.side
        profit = Fraction(0)
        if position.steps * signed < 0:
            gained = (price - position.entry) * TICK * STEP * steps
            profit = Fraction(round((gained if position.steps > 0 else -gained) / UNIT))
            position.steps += signed
        else:
            whole = position.entry * position.steps + Fraction(price) * signed
            position.steps += signed
            position.entry = whole / position.steps
        if not position.steps:
            position.entry = Fraction(0)
            self.ended[order.symbol].append(position.funding)
            position.funding = 0
        fee = round(FEE * price * TICK * steps * STEP / UNIT)
        self.wallet += int(profit) - fee
        self.wallet_time = self.now()
        trade = Trade(
            symbol=order.symbol,
            trade_id=self._next(),
            order_id=order.number,
            client_id=order.client_id,
            side=_side(order.side),
            price=decimal(price * TICK, 1),
            qty=decimal(steps * STEP, 3),
            fee=decimal(fee * UNIT, 8),
            fee_asset="USDT",
            pnl=decimal(profit * UNIT, 8),
            time=self.now(),
        )
        there = self.trades[order.symbol]  # what lags shows the older ones first
        before = there[-1].visible_at if there else 0
        there.append(SeenTrade(trade, max(before, self.now() + self.lag())))
        return trade

    def _tell(self, order: Order, trade: Trade | None, execution: str) -> None:
        self.emit(order.symbol, OrderEvent(order.state(), trade, execution))

    def _tell_algo(self, algo: Algo, reason: str = "") -> None:
        self.emit(algo.symbol, AlgoEvent(algo.state(), reason))

    def _tell_account(self, symbol: str) -> None:
        event = AccountEvent(self.now(), "ORDER", self.balance(), (self._holding(symbol),))
        self.emit("", event)

    def _holding(self, symbol: str) -> Holding:
        position = self.positions[symbol]
        return Holding(symbol, decimal(position.steps * STEP, 3), str(float(position.entry * TICK)))

    def _all_algos(self) -> Iterator[Algo]:
        for algos in self.algos.values():
            yield from reversed(algos)

    def _next(self) -> int:
        self._number += 1
        return self._number


def _side(side: int) -> Side:
    return "BUY" if side > 0 else "SELL"
