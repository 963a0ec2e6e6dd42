"""What is on its way to the exchange where orders take time: exits, entries, stops and their moves.

Between the instants a position has the stop that was last decided; while a candle is matched it has
the one that is at the exchange.
"""

from typing import Any, NamedTuple

import numpy as np

from strategy.kernel import borrowing
from strategy.stops import moves_stops

LATE = np.dtype(
    [
        ("closes", np.int64),  # UTC ms at which the exit arrives, 0 for none
        ("enters", np.int64),
        ("guarded", np.int64),  # when stop and takes of the position arrive
        ("level", np.float64),  # of the stop at the exchange
        ("reason", np.int64),
        ("wanted", np.float64),  # of the stop that was last decided
        ("wanted_reason", np.int64),
        ("first", np.int64),  # of the moves on their way, and the one behind the last
        ("end", np.int64),
    ],
    align=True,
)
MOVE = np.dtype([("time", np.int64), ("level", np.float64), ("reason", np.int64)], align=True)


class Late(NamedTuple):
    """What is on its way.

    Attributes
    ----------
    ms : int
        How long orders take; 0 for no time, and then the rest is empty.
    each : record array of LATE (symbols,)
    moves : record array of MOVE (symbols, room)
        Of stops, as rings.
    """

    ms: int
    each: Any
    moves: Any


def no_orders(ms: int, symbols: int, timeframe_ms: int) -> Late:
    """Return a state with nothing on its way."""
    symbols = symbols if ms > 0 else 0
    # A stop moves once a candle at most.
    room = ms // timeframe_ms + 2
    each, moves = np.zeros(symbols, LATE), np.zeros((symbols, room), MOVE)
    return Late(ms, each.view(np.recarray), moves.view(np.recarray))


@borrowing
def exit_arrived(late, s, opens):
    """Say whether a symbol's waiting exit is at the exchange when a candle opens."""
    return late.ms == 0 or late.each[s].closes <= opens


@borrowing
def entry_arrived(late, s, opens):
    """Say whether a symbol's waiting entry is at the exchange when a candle opens."""
    return late.ms == 0 or late.each[s].enters <= opens


@borrowing
def send_stops(late, s, p, filled):
    """Send stop and takes of a position that was filled at a time."""
    one = late.each[s]
    one.guarded, one.first, one.end = filled + late.ms, 0, 0
    one.level, one.reason = p.stop_level, p.stop_reason
    one.wanted, one.wanted_reason = p.stop_level, p.stop_reason


@borrowing
def meet_exchange(late, s, p, opens):
    """Give a position the stop that is at the exchange when a candle opens."""
    one, room = late.each[s], late.moves.shape[1]
    while one.first < one.end and late.moves[s, one.first % room].time <= opens:
        move = late.moves[s, one.first % room]
        one.level, one.reason = move.level, move.reason
        one.first += 1
    p.stop_level, p.stop_reason = one.level, one.reason


@borrowing
def is_unguarded(late, s, opens):
    """Say whether a position's stop and takes are still on their way when a candle opens."""
    return late.ms > 0 and late.each[s].guarded > opens


@borrowing
def is_watched(late, risk, has_trail, s, opens):
    """Say whether a position has to be looked at in its next candle, whatever happens there."""
    return late.ms > 0 and (moves_stops(risk, has_trail) or late.each[s].guarded > opens)


@borrowing
def before_decision(late, s, p, order, present):
    """Give a position the stop that was last decided; drop an exit that finds no position."""
    one = late.each[s]
    if p.steps == 0:
        order.close_reason = 0
    elif present != 0:
        p.stop_level, p.stop_reason = one.wanted, one.wanted_reason
    if order.close_reason == 0:
        one.closes = 0
    if order.side == 0:
        one.enters = 0


@borrowing
def after_decision(late, s, p, order, now):
    """Send what was decided at an instant."""
    one, arrives = late.each[s], now + late.ms
    if order.close_reason != 0 and one.closes == 0:
        one.closes = arrives
    # One that was cancelled now can have been replaced now.
    if order.side != 0 and (one.enters == 0 or order.decided_at == now):
        one.enters = arrives
    if p.steps != 0 and p.stop_level != one.wanted:
        move = late.moves[s, one.end % late.moves.shape[1]]
        move.time, move.level, move.reason = arrives, p.stop_level, p.stop_reason
        one.end += 1
        one.wanted, one.wanted_reason = p.stop_level, p.stop_reason
