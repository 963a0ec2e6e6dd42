"""Levels that change while a position is open: trailing stop, break-even, partial take-profits."""

import numpy as np

from strategy.fills import stop_level, take_level
from strategy.kernel import kernel
from strategy.records import BY_BREAK_EVEN, BY_TRAILING


@kernel
def moves_stops(risk, has_trail):
    """Say whether stops of these settings ever move."""
    return has_trail or risk.trail > 0.0 or risk.break_even > 0.0


@kernel
def moved_stop(p, g, risk, has_trail, trail_distance, best):
    """Return where a position's stop lies after a close, and why it lies there.

    It only ever becomes tighter.

    Parameters
    ----------
    trail_distance : float
        What the strategy's rule gives at this close, in price; used if `has_trail`. NaN, or under
        one tick, moves nothing.
    best : float
        The best price since the fill, up to this close.
    """
    side = 1 if p.steps > 0 else -1
    level, reason = p.stop_level, p.stop_reason
    gained = side * (best - p.entry)
    if risk.break_even > 0.0 and gained >= risk.break_even * p.stop_distance:
        candidate = stop_level(p.entry, 0.0, side, g)
        if side * (candidate - level) > 0.0:
            level, reason = candidate, BY_BREAK_EVEN
    distance = trail_distance if has_trail else risk.trail * p.stop_distance
    if g.tick <= distance < np.inf and gained >= risk.trail_after * p.stop_distance:
        candidate = stop_level(best, distance, side, g)
        if side * (candidate - level) > 0.0:
            level, reason = candidate, BY_TRAILING
    return level, reason


@kernel
def is_beyond(p, level, close):
    """Say whether a close lies at or beyond a stop's level, where no stop can be placed."""
    side = 1 if p.steps > 0 else -1
    return side * (close - level) <= 0.0


@kernel
def set_parts(p, g, risk):
    """Give a position that has just opened its partial take-profits: level and steps of each.

    A part below the symbol's least quantity is left out; it stays with the rest.
    """
    steps, side = abs(p.steps), 1 if p.steps > 0 else -1
    p.part_level_1, p.part_steps_1 = _part(
        p, g, risk.part_1, np.int64(np.floor(risk.part_1_share * steps + 1e-9)), side
    )
    p.part_level_2, p.part_steps_2 = _part(
        p, g, risk.part_2, np.int64(np.floor(risk.part_2_share * steps + 1e-9)), side
    )


@kernel
def _part(p, g, multiple, steps, side):
    if not multiple > 0.0 or steps < g.min_steps:
        return 0.0, np.int64(0)
    level = take_level(p.entry, multiple * p.stop_distance, side, g)
    if not level > 0.0:
        return 0.0, np.int64(0)
    return level, steps


@kernel
def nearest_take(p):
    """Return the level that a rising profit reaches first, and whose it is: 1 or 2 for a partial
    take-profit, 0 for the take. A level of 0.0 is none."""
    level, which = p.take_level, 0
    side = 1 if p.steps > 0 else -1
    if p.part_level_1 > 0.0 and (level == 0.0 or side * (p.part_level_1 - level) < 0.0):
        level, which = p.part_level_1, 1
    if p.part_level_2 > 0.0 and (level == 0.0 or side * (p.part_level_2 - level) < 0.0):
        level, which = p.part_level_2, 2
    return level, which
