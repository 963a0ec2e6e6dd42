"""Liquidations at an open or at a close, and when one may be next; those inside a candle are among
its resting orders."""

import numpy as np

from backtest.kernels.market import has_trades, slip_of
from backtest.kernels.resting import liquidated
from backtest.kernels.search import search
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.margin import (
    comes_near,
    excess,
    liquidation_level,
    pool,
    reaches,
    worst_excess,
)
from strategy.records import UNIT


@borrowing
def liquidate(who, cursor, market, desk, book, record, count, partial, at_close, time):
    """Liquidate whatever of the symbols ``who`` lies at or beyond its liquidation price at the
    opens, or the closes, under the cursor, and leave the liquidation prices of the rest in
    `desk.margin.level`. Return the numbers of trades and of parts.

    Every symbol is valued at its mark price of that moment, one without a candle at its last one.
    The first one in configured order goes; then all prices are computed anew, since the rest may
    be safe without it, or no longer safe after its fees.
    """
    margin, positions, said = desk.margin, desk.positions, desk.said
    for s in who:
        i = cursor[s]
        opens = said[s].present != 0 and not at_close
        margin.prices[s] = margin.o[i] if opens else margin.c[i]
        margin.level[s] = np.nan
    left = pool(book, positions, desk.grids, who, margin)
    at = 0
    while at < len(who):
        s = who[at]
        at += 1
        p = positions[s]
        if p.steps == 0:
            continue
        level = liquidation_level(left, p, desk.grids[s], desk.risk, margin, s)
        margin.level[s] = level
        i = cursor[s]
        fills = said[s].present != 0 and has_trades(market, i)
        if fills and reaches(p, margin.prices[s], level):
            price, slippage = (
                market.c[i] if at_close else market.o[i],
                slip_of(desk.costs, market, i, qty_of(abs(p.steps), desk.grids[s])),
            )
            candle = i - market.first[s]
            count, partial = liquidated(
                s, price, slippage, time, candle, who, desk, book, record, count, partial
            )
            margin.level[s] = np.nan
            left = pool(book, positions, desk.grids, who, margin)
            at = 0
    return count, partial


@borrowing
def before_liquidation(timeline, k, stop, market, desk, who, cursor, book, values):
    """Return the first instant after k and before `stop` at which a liquidation may be near, or
    `stop`. Nothing is booked between.

    Parameters
    ----------
    who : int64 array
        Symbols, at least all that hold a position.
    cursor : int64 (symbols,)
        Of those, the last candle that opened not later than instant k.
    values : float64 (instants,)
        Written to between k and `stop`.
    """
    held = 0
    for s in who:
        held += desk.positions[s].steps != 0
        desk.margin.prices[s] = desk.positions[s].entry
    if held > 1 and desk.risk.isolated == 0.0:
        return _before_shared(timeline, k, stop, market, desk, who, cursor, book, values)
    left = pool(book, desk.positions, desk.grids, who, desk.margin)
    for s in who:
        p, i, end = desk.positions[s], cursor[s] + 1, market.first[s + 1]
        if p.steps == 0 or stop == k + 1:
            continue
        level = liquidation_level(left, p, desk.grids[s], desk.risk, desk.margin, s)
        last = timeline[stop - 1]
        while i < end and market.open_time[i] <= last and not comes_near(p, desk.margin, level, i):
            i += 1
        if i < end and market.open_time[i] <= last:
            stop = search(timeline, k + 1, stop, market.open_time[i], i - cursor[s] - 1)
    return stop


@borrowing
def _before_shared(timeline, k, stop, market, desk, who, cursor, book, values):
    # What is left of a wallet that several positions share, if each meets its worst price.
    margin = desk.margin
    for j in range(k + 1, stop):
        values[j] = book.wallet / UNIT
    for s in who:
        p, g, i, end = desk.positions[s], desk.grids[s], cursor[s], market.first[s + 1]
        if p.steps == 0:
            continue
        for j in range(k + 1, stop):
            if i + 1 < end and market.open_time[i + 1] <= timeline[j]:
                i += 1
                values[j] += worst_excess(p, g, margin, s, i)
            else:
                values[j] += excess(p, g, margin.c[i], margin.tiers, s)
    for j in range(k + 1, stop):
        if values[j] <= 0.0:
            return j
    return stop
