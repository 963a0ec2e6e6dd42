"""Trades and equity from a session's journal, booked as the backtest books them.

A trade lasts from flat to flat, however many fills it took. A fill in the last millisecond of a
candle is stamped with the candle's close, as the backtest stamps what happens inside one. A
position that is still open counts as the backtest counts it: a trade with the reason `end`, closed
at the last close with the fee and without slippage; the last equity is what would be left then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.symbols import grids_of
from live.journal_records import Began, Decided, Filled, Funded, Order, Record
from live.session import Session
from live.trips import BY_ANY_STOP, Arrays, Fill, Trip, candle_of, closed_at, parts_of, write_trade
from strategy.account import book_fill, fee_of
from strategy.candles import Candles
from strategy.fills import resting_fill, slipped
from strategy.grid import qty_of
from strategy.records import (
    BY_END,
    BY_FLATTEN,
    EXIT_REASONS,
    PART,
    POSITION,
    TRADE,
    UNIT,
)
from strategy.stops import nearest_take, set_parts
from strategy.timeframes import timeframe_ms, timeframe_offset_ms


@dataclass(frozen=True, slots=True)
class Booked:
    """What a session has come to.

    Attributes
    ----------
    trades : record array of TRADE
        In the order in which the backtest closes them.
    parts : record array of PART
        Every exit of those that were closed in parts.
    time, equity : array (n,)
        UTC ms of the opens of the candles at whose close a decision was taken, and the account
        value at that close.
    """

    trades: Any
    parts: Any
    time: NDArray[np.int64]
    equity: NDArray[np.float64]


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
        What all fills so far brought, less their fees and the trades' funding; units of 1e-8.
    besides : int
        What else moved the wallet up to the last decision: transfers, fees in another coin, funding
        of no trade of the session; units of 1e-8.
    time, equity : list
        Instants of the decisions, UTC ms, and the account's value at each.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._index = {symbol: s for s, symbol in enumerate(session.symbols)}
        self._grids = grids_of(session.rules)
        self._orders: dict[tuple[int, int], Order] = {}
        self._open: dict[int, Trip] = {}
        self._done: list[Trip] = []
        self._marks: tuple[float, ...] = (0.0,) * len(session.symbols)
        self._booked_since = False
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
            case Funded() if record.symbol in self._index:
                self._fund(record, self._index[record.symbol])

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
            write_trade(trade, trip, arrays[trip.symbol], self._grids[trip.symbol], length, offset)
            ambiguous = self._is_ambiguous(trip, arrays[trip.symbol], length)
            trade.ambiguous = int(ambiguous)
        order = sorted(range(len(trips)), key=lambda i: closed_at(trips[i], length, offset))
        equity = np.array(self.equity)
        if len(equity) and (ended or self._booked_since):
            net = sum(trip.net for trip in trips)
            equity[-1] = (self.began + self.besides + net) / UNIT
        parts = [
            parts_of(
                trips[i], self._grids[trips[i].symbol], arrays[trips[i].symbol], length, offset
            )
            for i in order
        ]
        for at, its in enumerate(parts):
            its.trade = at
        joined = np.concatenate([np.zeros(0, PART), *parts]).view(np.recarray)
        return Booked(trades[order], joined, np.array(self.time, np.int64) - length, equity)

    def _decide(self, record: Decided) -> None:
        self.time.append(record.time)
        self.equity.append(record.equity)
        self._marks, self._booked_since = record.marks, False
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
        self._booked_since = True
        trip = self._open.get(s)
        if closing and trip:
            trip.exits.append(self._part(record, s, closing, record.pnl, fee))
            if trip.held == 0:
                self._done.append(self._open.pop(s))
        if closing < steps:
            self._enter(record, s, steps - closing, record.fee - fee)

    def _fund(self, record: Funded, s: int) -> None:
        trip = self._trip(s, record.opened)
        if trip is None:
            return
        trip.funding += record.payment
        self.booked -= record.payment
        self._booked_since = True
        if self.time and record.time < self.time[-1]:
            self.besides += record.payment  # that decision's wallet had paid it already

    def _trip(self, s: int, opened: int) -> Trip | None:
        trip = self._open.get(s)
        if trip is not None and trip.opened == opened:
            return trip
        over = (one for one in reversed(self._done) if one.symbol == s and one.opened == opened)
        return next(over, None)

    def _enter(self, record: Filled, s: int, steps: int, fee: int) -> None:
        if s not in self._open:
            order = self._orders.get((s, record.decided_at))
            distance = order.stop_distance if order else abs(record.entry - record.stop)
            side = 1 if record.held > 0 else -1
            self._open[s] = Trip(s, side, record.stop, int(record.reversal), distance)
        trip = self._open[s]
        trip.entries.append(self._part(record, s, steps, 0, fee))
        trip.entry, trip.take = record.entry, record.take
        # A stop that has moved stays where it is when more of the entry fills.
        trip.stop = trip.stop or record.stop

    def _part(self, record: Filled, s: int, steps: int, pnl: int, fee: int) -> Fill:
        order = self._orders.get((s, record.decided_at))
        # What nobody here ordered was done by a person, or by the exchange.
        known = record.reason in EXIT_REASONS
        return Fill(
            steps,
            record.price,
            record.time,
            record.leg,
            EXIT_REASONS.index(record.reason) if known else BY_FLATTEN,
            record.decided_at,
            order.price if order else np.nan,
            record.level,
            pnl,
            fee,
        )

    def _is_ambiguous(self, trip: Trip, arrays: Arrays, length: int) -> bool:
        # Whether the candle in which the stop filled touched a take too, or a part still to come.
        last = trip.exits[-1]
        i = candle_of(arrays, last.time)
        inside = len(arrays["open_time"]) and last.time < arrays["open_time"][i] + length
        if last.reason not in BY_ANY_STOP or last.leg == "x" or not inside:
            return False
        o, h, l = (float(arrays[name][i]) for name in ("open", "high", "low"))  # noqa: E741
        _, _, _, ambiguous = resting_fill(trip.side, trip.stop, self._next_take(trip), o, h, l)
        return bool(ambiguous)

    def _next_take(self, trip: Trip) -> float:
        p: Any = np.zeros(1, POSITION).view(np.recarray)[0]
        p.steps, p.entry, p.take_level = trip.side * trip.steps, trip.entry, trip.take
        p.stop_distance = trip.stop_distance
        set_parts(p, self._grids[trip.symbol], self._session.limits)
        done = {part.leg for part in trip.exits}
        p.part_level_1 = 0.0 if "a" in done else p.part_level_1
        p.part_level_2 = 0.0 if "b" in done else p.part_level_2
        return float(nearest_take(p)[0])

    def _ended(self, trip: Trip, arrays: Arrays) -> Trip:
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
        part = Fill(steps, price, last, "", BY_END, 0, mark, 0.0, pnl, fee)
        # A copy, for the session may go on.
        return replace(trip, exits=[*trip.exits, part])
