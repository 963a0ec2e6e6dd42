"""Passing over candles while a position is open and nothing else can happen."""

import numpy as np

from strategy.account import MOST, is_old, loses_too_much
from strategy.fills import NOT_FILLED, resting_fill
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.records import UNIT
from strategy.stops import is_beyond, moved_stop, moves_stops, nearest_take
from strategy.timeframes import DAY_MS


@kernel
def hold(timeline, k, timeframe_ms, cursor, market, words, instants, instant, desk, book, equity):
    """Pass over the instants after k at which open positions are marked and nothing else can
    happen, and return the last of them.

    Every symbol has a candle, no rule speaks, no level is touched, no stop moves beyond the market,
    no position is too old, no day begins, no data ends, no position pays funding and the daily
    limit holds.
    """
    grids, risk, positions = desk.grids, desk.risk, desk.positions
    wallet = book.wallet / UNIT
    has_trail = len(words.trail) > 0
    moves = moves_stops(risk, has_trail)
    # What opens after these closes in another day, or has the next instant in it.
    day_end = (book.day + 1) * DAY_MS - timeframe_ms
    due = instants[instant].time - timeframe_ms
    while k + 1 < len(timeline):
        opens = timeline[k + 1]
        while opens > due:
            if positions[instants[instant].symbol].steps != 0:
                return k
            instant += 1
            due = instants[instant].time - timeframe_ms
        value = wallet
        for s in range(len(positions)):
            i, end = cursor[s], market.first[s + 1]
            i += i < end and market.open_time[i] < opens
            if i >= end or market.open_time[i] != opens or words.flags[i] != 0:
                return k
            p = positions[s]
            if p.steps != 0:
                if i + 1 == end:
                    return k
                o, h, l = market.o[i], market.h[i], market.l[i]  # noqa: E741
                take, _ = nearest_take(p)
                which, _, _, _ = resting_fill(p.steps, p.stop_level, take, o, h, l)
                if which != NOT_FILLED or is_old(p, i - market.first[s], risk):
                    return k
                if moves:
                    level, _ = _moved(p, grids[s], risk, has_trail, words, h, l, i)
                    if level != p.stop_level and is_beyond(p, level, market.c[i]):
                        return k
                value += qty_of(p.steps, grids[s]) * (market.c[i] - p.entry)
        lost = loses_too_much(book, value, risk.daily_loss_limit)
        if lost or not 0.0 < value < MOST or opens > day_end:
            return k
        k += 1
        for s in range(len(positions)):
            p = positions[s]
            i = cursor[s]
            i += market.open_time[i] < opens
            cursor[s] = i
            h, l = market.h[i], market.l[i]  # noqa: E741
            if moves and p.steps != 0:
                p.stop_level, p.stop_reason = _moved(p, grids[s], risk, has_trail, words, h, l, i)
            p.mark, p.lowest, p.highest = market.c[i], min(p.lowest, l), max(p.highest, h)
        equity[k] = value
        book.equity = value
    return k


@kernel
def _moved(p, g, risk, has_trail, words, high, low, i):
    best = max(p.highest, high) if p.steps > 0 else min(p.lowest, low)
    return moved_stop(p, g, risk, has_trail, words.trail[i] if has_trail else np.nan, best)
