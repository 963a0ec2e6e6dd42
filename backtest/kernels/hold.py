"""What passes between the instants at which something happens: positions wait for their next
candle of interest, and the account is marked at every close on the way."""

import numpy as np

from strategy.account import MOST
from strategy.grid import qty_of
from strategy.kernel import borrowing, part
from strategy.records import UNIT
from strategy.rules import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from strategy.stops import is_beyond, moved_stop, moves_stops, nearest_take


@part
def next_due(s, i, market, words, desk):
    """Return the first candle after i in which something can happen to a symbol's position.

    A rule speaks against it, a level is touched, its stop moves beyond the market, it is too old,
    or its candles end. All that lies before is told by `catch_up` and `mark_through`. None of it
    depends on other symbols, so that it is looked for once and not at every instant of the run.
    """
    p, risk = desk.positions[s], desk.risk
    last = market.first[s + 1] - 1
    if risk.time_stop > 0.0:
        last = min(last, market.first[s] + p.entry_candle + np.int64(risk.time_stop) - 1)
    has_trail = len(words.trail) > 0
    if moves_stops(risk, has_trail):
        return _next_due_moving(s, i, last, has_trail, market, words, desk)
    take, _ = nearest_take(p)
    # The same side's entry rule says nothing to a position.
    if p.steps > 0:
        against, below, above = EXIT_LONG | ENTER_SHORT, p.stop_level, take
    else:
        against, below, above = EXIT_SHORT | ENTER_LONG, take, p.stop_level
    if above == 0.0:
        above = np.inf
    h, l, flags = market.h, market.l, words.flags  # noqa: E741
    j = i + 1
    while j < last and l[j] > below and h[j] < above and flags[j] & against == 0:
        j += 1
    return j


@borrowing
def _next_due_moving(s, i, last, has_trail, market, words, desk):
    p, g, risk = desk.positions[s], desk.grids[s], desk.risk
    side = 1 if p.steps > 0 else -1
    against = EXIT_LONG | ENTER_SHORT if side > 0 else EXIT_SHORT | ENTER_LONG
    take, _ = nearest_take(p)
    kept_level, kept_reason = p.stop_level, p.stop_reason
    best = p.highest if side > 0 else p.lowest
    j = i + 1
    while j < last and words.flags[j] & against == 0:
        h, l = market.h[j], market.l[j]  # noqa: E741
        if side > 0:
            touched = l <= p.stop_level or 0.0 < take <= h
            best = max(best, h)
        else:
            touched = h >= p.stop_level or l <= take
            best = min(best, l)
        if touched:
            break
        distance = words.trail[j] if has_trail else np.nan
        level, reason = moved_stop(p, g, risk, has_trail, distance, best)
        if level != p.stop_level and is_beyond(p, level, market.c[j]):
            break
        p.stop_level, p.stop_reason = level, reason
        j += 1
    p.stop_level, p.stop_reason = kept_level, kept_reason
    return j


@part
def catch_up(s, i, to, market, words, desk):
    """Tell a position the candles after i up to `to`, in which nothing happened to it: its extremes
    and where its stop has moved."""
    p, g, risk = desk.positions[s], desk.grids[s], desk.risk
    has_trail = len(words.trail) > 0
    moves = moves_stops(risk, has_trail)
    lowest, highest = p.lowest, p.highest
    for j in range(i + 1, to + 1):
        lowest, highest = min(lowest, market.l[j]), max(highest, market.h[j])
        if moves:
            best = highest if p.steps > 0 else lowest
            distance = words.trail[j] if has_trail else np.nan
            p.stop_level, p.stop_reason = moved_stop(p, g, risk, has_trail, distance, best)
    p.lowest, p.highest = lowest, highest


@part
def mark_through(timeline, k, stop, market, desk, who, cursor, book, equity):
    """Mark the account at the instants after k and before `stop`, at which nothing happens, and
    return the last one marked: earlier than asked for where the equity leaves its range or reaches
    the daily limit.

    Parameters
    ----------
    who : int64 array
        The symbols that hold a position or wait for a fill, in configured order.
    cursor : int64 (symbols,)
        Of those, the last candle that opened not later than instant k; moved on.
    """
    if stop == k + 1:
        return k
    wallet = book.wallet / UNIT
    values = equity[k + 1 : stop]
    for j in range(len(values)):
        values[j] = wallet
    held = False
    for s in who:
        p = desk.positions[s]
        if p.steps != 0:
            held = True
            _add_profit(p, desk.grids[s], timeline, k, s, cursor[s], market, values)
    if held:
        stop = k + 1 + _count_good(values, book, desk.risk.daily_loss_limit)
    if stop == k + 1:
        return k
    for s in who:
        i = cursor[s] + stop - k - 1
        if i >= market.first[s + 1] or market.open_time[i] != timeline[stop - 1]:
            i, end = cursor[s], market.first[s + 1]  # candles are missing on the way
            while i + 1 < end and market.open_time[i + 1] <= timeline[stop - 1]:
                i += 1
        cursor[s] = i
        desk.positions[s].mark = market.c[i]
    book.equity = equity[stop - 1]
    return stop - 1


@part
def _add_profit(p, g, timeline, k, s, i, market, values):
    # A position's profit at each of the closes after instant k, added to what is there.
    qty, entry, m, end = qty_of(p.steps, g), p.entry, len(values), market.first[s + 1]
    # The timeline has every candle's open: if m candles on it is m instants later, none is missing.
    if i + m < end and market.open_time[i + m] == timeline[k + m]:
        c = market.c[i + 1 : i + 1 + m]
        for j in range(m):
            values[j] += qty * (c[j] - entry)
        return
    for j in range(m):
        if i + 1 < end and market.open_time[i + 1] <= timeline[k + 1 + j]:
            i += 1
        values[j] += qty * (market.c[i] - entry)


@part
def _count_good(values, book, limit):
    # How many of the first values are in range and lose less than the daily limit, unless it was
    # reached before.
    began, loss = book.day_open + book.transfers / UNIT, limit * book.day_open
    if not limit > 0.0 or book.blocked != 0:
        loss = np.inf
    bad = np.int64(0)
    for j in range(len(values)):
        v = values[j]
        bad += np.int64(not 0.0 < v < MOST) | np.int64(began - v >= loss)
    if bad == 0:
        return len(values)
    j = 0
    while 0.0 < values[j] < MOST and not began - values[j] >= loss:
        j += 1
    return j
