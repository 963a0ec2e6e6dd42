"""Orders of a decision: market orders at the next open, limit orders there and inside the candles
they rest in."""

import numpy as np

from backtest.kernels.capped import ORDERED, TRIGGERED, cut_entry, leaves_rest
from backtest.kernels.late import entry_arrived, exit_arrived, send_stops
from backtest.kernels.market import has_trades, slip_of
from backtest.kernels.resting import close, closed, in_reach, match
from strategy.booking import open_position
from strategy.fills import limit_reached
from strategy.grid import qty_of
from strategy.kernel import borrowing, part
from strategy.margin import liquidation_level, pool
from strategy.risk import APPROVED, FOK, GTX, IOC, NOT_AT_ONCE, POST_ONLY

_WAITS = -1


@part
def fill_orders(who, cursor, market, desk, book, record, count, partial):
    """Fill what was decided before for the symbols ``who`` at the opens under the cursor: closing
    legs first, then opening ones. Return the numbers of trades and of parts."""
    orders, said, costs = desk.orders, desk.said, desk.costs
    for s in who:
        order = orders[s]
        i = cursor[s]
        if said[s].present == 0 or order.close_reason == 0:
            continue
        if has_trades(market, i) and exit_arrived(desk.late, s, market.open_time[i]):
            o, time = market.o[i], market.open_time[i]
            if costs.volume_share > 0.0:
                goes_on, partial = leaves_rest(
                    s,
                    i,
                    order.close_reason,
                    ORDERED,
                    False,
                    o,
                    time,
                    market,
                    desk,
                    book,
                    record,
                    partial,
                )
                if goes_on:
                    continue
            qty = qty_of(abs(desk.positions[s].steps), desk.grids[s])
            candle, slippage = i - market.first[s], slip_of(costs, market, i, qty)
            trade = close(s, o, slippage, candle, desk, book, record, count, partial)
            trade.exit_reason, order.close_reason = order.close_reason, 0
            trade.ordered = 0 if desk.positions[s].closing == TRIGGERED else 1
            count, partial = closed(trade, time, record, count, partial)
    for s in who:
        order = orders[s]
        i = cursor[s]
        if said[s].present == 0 or order.side == 0:
            continue
        if has_trades(market, i) and entry_arrived(desk.late, s, market.open_time[i]):
            answer = _at_open(order, market.o[i], desk.risk, costs, desk.grids[s])
            if answer != _WAITS:
                time = market.open_time[i]
                _enter(who, s, i, market.o[i], time, answer, market, desk, book, record)
    return count, partial


@borrowing
def fill_limits(who, cursor, market, closed_at, desk, book, record, count, partial):
    """Fill what rests inside the candles under the cursor: an entry at its limit, then its stop and
    its takes where they were reached for certain after it. Return the numbers of trades and of
    parts."""
    orders, said, positions, costs = desk.orders, desk.said, desk.positions, desk.costs
    for s in who:
        order = orders[s]
        if said[s].present == 0 or order.side == 0 or order.rests == 0:
            continue
        i, side = cursor[s], order.side
        if not has_trades(market, i):
            continue
        extreme = market.l[i] if side > 0 else market.h[i]
        if not limit_reached(side, order.limit, extreme, costs.limit_through, desk.grids[s]):
            continue
        _enter(who, s, i, order.limit, closed_at - 1, APPROVED, market, desk, book, record)
        if positions[s].steps == 0:
            continue
        # The way from the open to the far side of the candle leads through the limit, so that side
        # came after the fill. The near side may have come before; the close came after it.
        fill, last = positions[s].entry, market.c[i]
        h = max(fill, last) if side > 0 else market.h[i]
        l = market.l[i] if side > 0 else min(fill, last)  # noqa: E741
        if desk.late.ms > 0:  # stop and takes are on their way
            p = positions[s]
            p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
            continue
        if len(desk.margin.tiers.each) > 0:
            _know_level(who, s, i, fill, desk, book)
        count, partial = match(
            s,
            i - market.first[s],
            i,
            who,
            market,
            fill,
            h,
            l,
            True,
            closed_at,
            closed_at,
            desk,
            book,
            record,
            count,
            partial,
        )
    return count, partial


@borrowing
def _know_level(who, s, i, fill, desk, book):
    # The liquidation price of a position that began inside candle i; NaN where it is not reached.
    # Whose margin never was enough is liquidated at its fill.
    p, margin = desk.positions[s], desk.margin
    left = pool(book, desk.positions, desk.grids, who, margin)
    level = liquidation_level(left, p, desk.grids[s], desk.risk, margin, s)
    margin.level[s] = level
    if not in_reach(p, s, i, margin):
        margin.level[s] = np.nan
    else:
        margin.level[s] = min(level, fill) if p.steps > 0 else max(level, fill)


@borrowing
def _at_open(order, o, risk, costs, g):
    # What an entry does at an open: APPROVED fills, _WAITS rests, anything else is a refusal.
    if order.limit == 0.0:
        return APPROVED
    if order.rests != 0:
        fills = limit_reached(order.side, order.limit, o, costs.limit_through, g)
        return APPROVED if fills else _WAITS
    if limit_reached(order.side, order.limit, o, 0.0, g):
        return POST_ONLY if risk.limit_tif == GTX else APPROVED
    if risk.limit_tif in (IOC, FOK):
        return NOT_AT_ONCE
    order.rests = 1
    return _WAITS


@part
def _enter(who, s, i, price, time, answer, market, desk, book, record):
    order = desk.orders[s]
    if answer == APPROVED and desk.costs.volume_share > 0.0:
        answer = cut_entry(s, i, market, desk)
    if answer == APPROVED:
        answer = open_position(
            book,
            desk.positions,
            desk.grids,
            who,
            desk.costs,
            desk.risk,
            s,
            order,
            price,
            slip_of(desk.costs, market, i, qty_of(order.steps, desk.grids[s])),
            time,
            i - market.first[s],
            len(desk.margin.tiers.each) > 0,
        )
    order.side, order.steps, order.limit, order.rests = 0, 0, 0.0, 0
    if answer != APPROVED:
        record.refused[s, answer] += 1
    elif desk.late.ms > 0:
        send_stops(desk.late, s, desk.positions[s], time)
