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
def cut_entry(s, i, market, desk):
    """Cut an entry that fills in candle i to what its volume allows; say APPROVED, or VOLUME where
    that is too little or the position that it reverses is not closed yet."""
    p, g, order = desk.positions[s], desk.grids[s], desk.orders[s]
    steps = min(order.steps, _steps_left(p, g, i, market, desk.costs))
    if p.steps != 0 or steps < g.min_steps:
        return VOLUME
    order.steps = steps
    p.filled_steps += steps
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
    p, g = desk.positions[s], desk.grids[s]
    steps = min(abs(p.steps), _steps_left(p, g, i, market, desk.costs))
    p.filled_steps += steps
    if steps == abs(p.steps):
        return False, partial
    if steps > 0:
        part = record.parts[partial]
        slippage = slip_of(desk.costs, market, i, qty_of(steps, g))
        close_some(book, desk.positions, desk.grids, desk.costs, s, steps, price, slippage, part)
        part.symbol, part.time, part.candle = s, time, i - market.first[s]
        partial += 1
    if p.closing == NO_EXIT:
        p.closing, p.ambiguous = what, 1 if doubtful else 0
        desk.orders[s].close_reason = reason
        if desk.late.ms > 0:
            _is_there(desk.late.each[s], p)
    return True, partial


@borrowing
def deafen(who, positions, said):
    """Let the rules of symbols of which a rest is closing say nothing."""
    for s in who:
        if positions[s].steps != 0 and positions[s].closing != NO_EXIT:
            said[s].signals = 0


@borrowing
def _steps_left(p, g, i, market, costs):
    # What may still fill in candle i.
    if p.filled_candle != i:
        p.filled_candle, p.filled_steps = i, 0
    most = np.floor(costs.volume_share * market.v[i] / g.step + 1e-9)
    return np.int64(min(most, 9e15)) - p.filled_steps


@borrowing
def _is_there(one, p):
    # The exit is at the exchange, and what was to move the stop finds none.
    one.closes, one.first = 1, one.end
    one.level, one.reason = p.stop_level, p.stop_reason
    one.wanted, one.wanted_reason = p.stop_level, p.stop_reason
