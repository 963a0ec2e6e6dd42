"""Fills that a share of the candle's volume bounds: what is left of an exit goes on at the next
opens, candle by candle."""

import numpy as np

from backtest.kernels.market import slip_of
from strategy.booking import close_some
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.risk import APPROVED, VOLUME

# What the rest of an exit that is on its way is of: no exit, a decision, a stop or a take.
NO_EXIT, ORDERED, TRIGGERED = range(3)


@borrowing
def is_closing(cap, s):
    """Say whether the rest of an exit of a symbol's open position is on its way."""
    return cap.share > 0.0 and cap.each[s].closing != NO_EXIT


@borrowing
def cut_entry(s, i, market, desk):
    """Cut an entry that fills in candle i to what its volume allows; say APPROVED, or VOLUME where
    that is too little or the position that it reverses is not closed yet."""
    order, one = desk.orders[s], desk.cap.each[s]
    steps = min(order.steps, _steps_left(s, i, market, desk))
    if desk.positions[s].steps != 0 or steps < desk.grids[s].min_steps:
        return VOLUME
    order.steps = steps
    one.used += steps
    one.closing, one.ambiguous = NO_EXIT, 0
    return APPROVED


@borrowing
def leaves_rest(s, i, reason, what, doubtful, price, time, market, desk, book, record, partial):
    """Say whether an exit that fills in candle i is more than its volume allows, and return the
    number of parts. If so, what is allowed is booked at a price before slippage, and the rest is
    an exit that waits for the next open.

    Parameters
    ----------
    what : int
        ORDERED or TRIGGERED.
    doubtful : bool
        It met stop and take in one candle.
    """
    p, g, one = desk.positions[s], desk.grids[s], desk.cap.each[s]
    left = _steps_left(s, i, market, desk)
    if abs(p.steps) <= left:
        one.used += abs(p.steps)
        return False, partial
    if left > 0:
        part = record.parts[partial]
        slippage = slip_of(desk.costs, market, i, qty_of(left, g))
        close_some(book, desk.positions, desk.grids, desk.costs, s, left, price, slippage, part)
        part.symbol, part.time, part.candle = s, time, i - market.first[s]
        partial += 1
        one.used += left
    if one.closing == NO_EXIT:
        one.closing, one.ambiguous = what, 1 if doubtful else 0
        desk.orders[s].close_reason = reason
        if desk.late.ms > 0:
            _is_there(desk.late, s, p)
    return True, partial


@borrowing
def is_ordered(cap, s):
    """Say whether a market order that closes a position is one of a decision, and not what a stop
    or a take has left."""
    return cap.share == 0.0 or cap.each[s].closing != TRIGGERED


@borrowing
def deafen(cap, who, positions, said):
    """Let the rules of symbols of which a rest is closing say nothing."""
    for s in who:
        if positions[s].steps != 0 and cap.each[s].closing != NO_EXIT:
            said[s].signals = 0


@borrowing
def _steps_left(s, i, market, desk):
    # What may still fill in candle i.
    one = desk.cap.each[s]
    if one.candle != i:
        one.candle, one.used = i, 0
    most = np.floor(desk.cap.share * market.v[i] / desk.grids[s].step + 1e-9)
    return np.int64(min(most, 9e15)) - one.used


@borrowing
def _is_there(late, s, p):
    # The exit is at the exchange, and what was to move the stop finds none.
    one = late.each[s]
    one.closes, one.first = 1, one.end
    one.level, one.reason = p.stop_level, p.stop_reason
    one.wanted, one.wanted_reason = p.stop_level, p.stop_reason
