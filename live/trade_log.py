"""Trades and equity from a session's journal, booked as the backtest books them.

A trade lasts from flat to flat, however many fills it took. A fill in the last millisecond of a
candle is stamped with the candle's close, as the backtest stamps what happens inside one. A
position that is still open counts as the backtest counts it: a trade with the reason `end`, closed
at the last close with the fee and without slippage; the last equity is what would be left then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.symbols import grids_of
from live.journal import Began, Decided, Filled, Order, Record
from live.order_ids import CONDITIONAL_LEGS, PART_LEGS
from live.session import Session
from strategy.account import book_fill, fee_of
from strategy.candles import Candles
from strategy.fills import resting_fill, slipped
from strategy.grid import qty_of
from strategy.records import (
    BY_BREAK_EVEN,
    BY_END,
    BY_FLATTEN,
    BY_STOP,
    BY_TAKE,
    BY_TRAILING,
    EXIT_REASONS,
    POSITION,
    TRADE,
    UNIT,
)
from strategy.stops import nearest_take, set_parts
from strategy.timeframes import timeframe_ms, timeframe_offset_ms

_BY_STOP = (BY_STOP, BY_TRAILING, BY_BREAK_EVEN)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Booked:
    """What a session has come to.

    Attributes
    ----------
    trades : record array of TRADE
        In the order in which the backtest closes them.
    time, equity : array (n,)
        UTC ms of the opens of the candles at whose close a decision was taken, and the account
        value at that close.
    """

    trades: Any
    time: NDArray[np.int64]
    equity: NDArray[np.float64]


class _Part(NamedTuple):
    # One fill, or its share in a trade; `decided` is the close at the decision, NaN where unknown.
    steps: int
    price: float
    time: int
    leg: str
    reason: int
    decided_at: int
    decided: float
    level: float  # of the order that filled, 0.0 for one at market


@dataclass(slots=True)
class _Trip:
    symbol: int
    side: int
    first_stop: float
    reversal: int
    stop_distance: float
    entry: float = 0.0
    stop: float = 0.0
    take: float = 0.0
    pnl: int = 0
    fees: int = 0
    entries: list[_Part] = field(default_factory=list)
    exits: list[_Part] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return sum(part.steps for part in self.entries)

    @property
    def held(self) -> int:
        return self.steps - sum(part.steps for part in self.exits)


class TradeLog:
    """What the journal's records add up to, taken in one after the other by `apply`.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    began : int
        Wallet at the start, units of 1e-8.
    booked : int
        What all fills so far brought, less their fees; units of 1e-8.
    besides : int
        What else moved the wallet up to the last decision: funding, transfers, fees in another
        coin; units of 1e-8.
    time, equity : list
        Instants of the decisions, UTC ms, and the account's value at each.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._index = {symbol: s for s, symbol in enumerate(session.symbols)}
        self._grids = grids_of(session.rules)
        self._orders: dict[tuple[int, int], Order] = {}
        self._open: dict[int, _Trip] = {}
        self._done: list[_Trip] = []
        self._marks: tuple[float, ...] = (0.0,) * len(session.symbols)
        self._filled_since = False
        self.began = self.booked = self.besides = 0
        self.time: list[int] = []
        self.equity: list[float] = []

    @property
    def closed(self) -> int:
        """How many trades are over."""
        return len(self._done)

    @property
    def held(self) -> int:
        """How many positions are open."""
        return len(self._open)

    def apply(self, record: Record) -> None:
        """Take in one record of the journal; those that move no money change nothing."""
        match record:
            case Began():
                self.began = record.wallet
            case Decided():
                self._decide(record)
            case Filled() if record.symbol in self._index:
                self._fill(record, self._index[record.symbol])

    def result(self, candles: Sequence[Candles]) -> Booked:
        """Return trades and equity up to the last decision.

        Parameters
        ----------
        candles : sequence of Candles
            One per symbol, in order. They give the positions of entry and exit, the excursions in
            between, and the prices before slippage. Where a candle is missing, the slippage of an
            order is counted against the close at its decision, and that of a level against it.
        """
        arrays = [one.arrays for one in candles]
        ended = [self._ended(trip, arrays[s]) for s, trip in sorted(self._open.items())]
        trips = [*self._done, *ended]
        trades = np.zeros(len(trips), TRADE).view(np.recarray)
        length = timeframe_ms(self._session.timeframe)
        offset = timeframe_offset_ms(self._session.timeframe)
        for trip, trade in zip(trips, trades, strict=True):
            _write(trade, trip, arrays[trip.symbol], self._grids[trip.symbol], length, offset)
            ambiguous = self._is_ambiguous(trip, arrays[trip.symbol], length)
            trade.ambiguous = int(ambiguous)
        order = sorted(range(len(trips)), key=lambda i: _closed_at(trips[i], length, offset))
        equity = np.array(self.equity)
        if len(equity) and (ended or self._filled_since):
            net = sum(trip.pnl - trip.fees for trip in trips)
            equity[-1] = (self.began + self.besides + net) / UNIT
        return Booked(trades[order], np.array(self.time, np.int64) - length, equity)

    def _decide(self, record: Decided) -> None:
        self.time.append(record.time)
        self.equity.append(record.equity)
        self._marks, self._filled_since = record.marks, False
        for held in record.held:
            if trip := self._open.get(self._index[held.symbol]):
                trip.stop = held.stop
        self.besides = record.wallet - self.began - self.booked
        for order in record.orders:
            self._orders[self._index[order.symbol], record.time] = order

    def _fill(self, record: Filled, s: int) -> None:
        held, steps = record.held - record.steps, abs(record.steps)
        closing = min(abs(held), steps) if held * record.steps < 0 else 0
        fee = record.fee * closing // steps  # all or nothing, but for a fill through zero
        self.booked += record.pnl - record.fee
        self._filled_since = True
        trip = self._open.get(s)
        if closing and trip:
            trip.exits.append(self._part(record, s, closing))
            trip.pnl, trip.fees = trip.pnl + record.pnl, trip.fees + fee
            if trip.held == 0:
                self._done.append(self._open.pop(s))
        if closing < steps:
            self._enter(record, s, steps - closing, record.fee - fee)

    def _enter(self, record: Filled, s: int, steps: int, fee: int) -> None:
        if s not in self._open:
            order = self._orders.get((s, record.decided_at))
            distance = order.stop_distance if order else abs(record.entry - record.stop)
            side = 1 if record.held > 0 else -1
            self._open[s] = _Trip(s, side, record.stop, int(record.reversal), distance)
        trip = self._open[s]
        trip.entries.append(self._part(record, s, steps))
        trip.entry, trip.take = record.entry, record.take
        # A stop that has moved stays where it is when more of the entry fills.
        trip.stop = trip.stop or record.stop
        trip.fees += fee

    def _part(self, record: Filled, s: int, steps: int) -> _Part:
        order = self._orders.get((s, record.decided_at))
        # What nobody here ordered was done by a person, or by the exchange.
        known = record.reason in EXIT_REASONS
        return _Part(
            steps,
            record.price,
            record.time,
            record.leg,
            EXIT_REASONS.index(record.reason) if known else BY_FLATTEN,
            record.decided_at,
            order.price if order else np.nan,
            record.level,
        )

    def _is_ambiguous(self, trip: _Trip, arrays: Arrays, length: int) -> bool:
        # Whether the candle in which the stop filled touched a take too, or a part still to come.
        last = trip.exits[-1]
        i = _candle(arrays, last.time)
        inside = len(arrays["open_time"]) and last.time < arrays["open_time"][i] + length
        if last.reason not in _BY_STOP or last.leg == "x" or not inside:
            return False
        o, h, l = (float(arrays[name][i]) for name in ("open", "high", "low"))  # noqa: E741
        _, _, _, ambiguous = resting_fill(trip.side, trip.stop, self._next_take(trip), o, h, l)
        return bool(ambiguous)

    def _next_take(self, trip: _Trip) -> float:
        p: Any = np.zeros(1, POSITION).view(np.recarray)[0]
        p.steps, p.entry, p.take_level = trip.side * trip.steps, trip.entry, trip.take
        p.stop_distance = trip.stop_distance
        set_parts(p, self._grids[trip.symbol], self._session.limits)
        done = {part.leg for part in trip.exits}
        p.part_level_1 = 0.0 if "a" in done else p.part_level_1
        p.part_level_2 = 0.0 if "b" in done else p.part_level_2
        return float(nearest_take(p)[0])

    def _ended(self, trip: _Trip, arrays: Arrays) -> _Trip:
        g, side, steps = self._grids[trip.symbol], trip.side, trip.held
        mark = self._marks[trip.symbol] or trip.entry
        price = float(slipped(mark, -side, 0.0, g))
        position = np.zeros(1, POSITION).view(np.recarray)[0]
        position.steps, position.entry = side * steps, trip.entry
        pnl = int(book_fill(position, g, -side * steps, price))
        fee = int(fee_of(self._session.fee_rate, qty_of(steps, g), price))
        times, length = arrays["open_time"], timeframe_ms(self._session.timeframe)
        close = int(times[-1]) + length if len(times) else max([0, *self.time[-1:]])
        # In the last millisecond of the last candle, as everything inside one.
        last = max(close - 1, *(part.time for part in (*trip.entries, *trip.exits)))
        part = _Part(steps, price, last, "", BY_END, 0, mark, 0.0)
        # A copy, for the session may go on.
        return replace(trip, pnl=trip.pnl + pnl, fees=trip.fees + fee, exits=[*trip.exits, part])


def _write(trade: Any, trip: _Trip, arrays: Arrays, g: Any, length: int, offset: int) -> None:
    first, last = trip.entries[0], trip.exits[-1]
    side, entry, qty = trip.side, _average(trip.entries), qty_of(trip.steps, g)
    begin, end = _candle(arrays, first.time), _candle(arrays, last.time)
    trade.symbol, trade.side, trade.steps, trade.qty = trip.symbol, side, trip.steps, qty
    trade.entry_time, trade.entry_candle = _stamp(first.time, length, offset), begin
    trade.exit_time, trade.exit_candle = _stamp(last.time, length, offset), end
    trade.entry_price, trade.exit_price = entry, _average(trip.exits)
    trade.stop, trade.last_stop, trade.take = trip.first_stop, trip.stop, trip.take
    trade.pnl, trade.fees = trip.pnl, trip.fees
    trade.risked, trade.reversal = qty * trip.stop_distance, trip.reversal
    trade.parts = len({part.leg for part in trip.exits} & set(PART_LEGS))
    trade.exit_reason, trade.ordered = last.reason, int(last.leg == "x")
    lost = 0.0
    for part, direction in (
        *((one, side) for one in trip.entries),
        *((x, -side) for x in trip.exits),
    ):
        price = _before_slippage(trip, part, arrays, length)
        lost += qty_of(part.steps, g) * (direction * (part.price - price))
    trade.slippage = lost
    # The exit's own candle is left out: what it did after the exit was no longer ours.
    inside = slice(begin, end + 1 if last.reason == BY_END else end)
    prices = [part.price for part in (*trip.entries, *trip.exits)]
    low = min([*prices, *arrays["low"][inside].tolist()])
    high = max([*prices, *arrays["high"][inside].tolist()])
    worst, best = (low, high) if side > 0 else (high, low)
    trade.mae, trade.mfe = side * (worst - entry) / entry, side * (best - entry) / entry


def _before_slippage(trip: _Trip, part: _Part, arrays: Arrays, length: int) -> float:
    # The price that a fill is measured by.
    times = arrays["open_time"]
    if part.reason in (*_BY_STOP, BY_TAKE) and part.leg != "x":
        level = part.level or (trip.take if part.reason == BY_TAKE else trip.stop)
        i = _candle(arrays, part.time)
        if not len(times) or not times[i] <= part.time < times[i] + length:
            return level if part.leg in CONDITIONAL_LEGS else part.price
        o = float(arrays["open"][i])
        toward = -trip.side if part.reason in _BY_STOP else trip.side
        if toward * (o - level) >= 0.0:
            return o
        reached = float(arrays["low" if toward < 0 else "high"][i])
        # A stop that could not be placed was closed at market: at its level, had it stood.
        at_level = part.leg in CONDITIONAL_LEGS or toward * (reached - level) >= 0.0
        return level if at_level else part.price
    if part.reason == BY_END:
        return part.decided
    if part.reason == BY_FLATTEN or not part.decided_at:
        return part.price  # nobody asked for it at a close
    # An order of a close is due at the open of the next candle there is.
    i = int(np.searchsorted(times, part.decided_at))
    if i < len(times):
        return float(arrays["open"][i])
    return part.price if np.isnan(part.decided) else part.decided


def _candle(arrays: Arrays, time: int) -> int:
    return max(int(np.searchsorted(arrays["open_time"], time, "right")) - 1, 0)


def _stamp(time: int, length: int, offset: int) -> int:
    return time + 1 if (time + 1 - offset) % length == 0 else time


def _average(parts: list[_Part]) -> float:
    if all(part.price == parts[0].price for part in parts):
        return parts[0].price
    steps = sum(part.steps for part in parts)
    return sum(part.steps * part.price for part in parts) / steps


def _closed_at(trip: _Trip, length: int, offset: int) -> tuple[int, int, int]:
    # The backtest closes by candle; within one, orders at the open come before levels, and each in
    # the order of the symbols.
    last = trip.exits[-1]
    by_level = last.reason in (*_BY_STOP, BY_TAKE) and last.leg != "x"
    phase = 2 if last.reason == BY_END else int(by_level)
    return last.time - (last.time - offset) % length, phase, trip.symbol
