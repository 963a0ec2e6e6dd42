"""Stops and takes against the finer candles inside a candle."""

import numpy as np

from backtest.kernels.capped import NO_EXIT
from backtest.kernels.market import has_trades
from backtest.kernels.resting import fill_resting, in_reach, match
from backtest.kernels.search import search
from strategy.fills import NOT_FILLED, STOP_FILLED, resting_fill
from strategy.kernel import borrowing
from strategy.stops import nearest_take

# Candles with a touched level: walked through on finer ones, and those whose finer ones are
# missing, do not agree, or do not tell when the mark price liquidates; and trades whose ambiguity
# the finer ones have resolved.
WALKED, WANTING, RESOLVED = range(3)


@borrowing
def fill_detailed(
    s, candle, i, who, market, finer, opened, closed_at, desk, book, record, count, partial
):
    """Match a position's resting orders with the finer candles inside its candle i, or with that
    one where they lack or disagree, or where it may be liquidated: the mark price has no finer
    candles."""
    p = desk.positions[s]
    if p.entry_time > opened or not has_trades(market, i):
        return fill_resting(
            s, candle, i, who, market, opened, closed_at, desk, book, record, count, partial
        )
    o, h, l = market.o[i], market.h[i], market.l[i]  # noqa: E741
    start, stop = 0, 0
    take, part = nearest_take(p)
    which, _, at_open, ambiguous = resting_fill(p.steps, p.stop_level, take, o, h, l)
    # The open needs no finer candles, unless it takes only a part.
    if which != NOT_FILLED and not (at_open and (which == STOP_FILLED or part == 0)):
        if not in_reach(p, s, i, desk.margin):
            start, stop = _finer_of(s, i, market, finer, opened, closed_at)
        finer.counts[s, WALKED if stop > start else WANTING] += 1
    if stop == start:
        return fill_resting(
            s, candle, i, who, market, opened, closed_at, desk, book, record, count, partial
        )
    desk.margin.level[s] = np.nan
    before = count
    count, partial = _walk(
        s, candle, i, who, market, start, stop, finer, opened, desk, book, record, count, partial
    )
    if ambiguous and _is_told(p, before, count, record):
        finer.counts[s, RESOLVED] += 1
    if p.steps != 0:
        p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
    return count, partial


@borrowing
def _is_told(p, before, count, record):
    # Whether a position was closed without a doubt, or has begun to be.
    if count > before:
        return record.trades[before].ambiguous == 0
    return p.closing != NO_EXIT and p.ambiguous == 0


@borrowing
def _finer_of(s, i, market, finer, opened, closed_at):
    # Where the finer candles of candle i begin and end; nowhere unless all of them are there and
    # those with trades have its open and reach its high and its low, but not beyond.
    length, first, end = finer.length[s], finer.first[s], finer.first[s + 1]
    if length == 0 or first == end:
        return 0, 0
    count = (closed_at - opened) // length
    start = search(finer.open_time, first, end, opened, (opened - finer.open_time[first]) // length)
    stop = start + count
    if stop > end or finer.open_time[start] != opened:
        return 0, 0
    if finer.open_time[stop - 1] != closed_at - length:
        return 0, 0
    o, h, l = np.nan, -np.inf, np.inf  # noqa: E741
    for j in range(start, stop):
        if finer.v[j] > 0.0:
            if np.isnan(o):
                o = finer.o[j]
            h, l = max(h, finer.h[j]), min(l, finer.l[j])  # noqa: E741
    if o != market.o[i] or h != market.h[i] or l != market.l[i]:
        return 0, 0
    return start, stop


@borrowing
def _walk(
    s, candle, i, who, market, start, stop, finer, opened, desk, book, record, count, partial
):
    began = opened  # the first trade's price is the base candle's open, whenever it came
    for j in range(start, stop):
        if desk.positions[s].steps == 0 or desk.positions[s].closing != NO_EXIT:
            break
        ended = finer.open_time[j] + finer.length[s]
        if finer.v[j] > 0.0:
            o, h, l = finer.o[j], finer.h[j], finer.l[j]  # noqa: E741
            count, partial = match(
                s,
                candle,
                i,
                who,
                market,
                o,
                h,
                l,
                False,
                began,
                ended,
                desk,
                book,
                record,
                count,
                partial,
            )
            began = ended
        elif began != opened:
            began = ended
    return count, partial
