"""Stops and takes against a candle, and what a closed trade leaves in the record."""

import numpy as np

from backtest.kernels.capped import TRIGGERED, leaves_rest
from backtest.kernels.market import has_trades, slip_of
from strategy.booking import close_part, close_position
from strategy.fills import BEST, NOT_FILLED, STOP_FILLED, TAKE_FILLED, resting_fill
from strategy.grid import qty_of
from strategy.kernel import borrowing, part
from strategy.margin import charge_liquidation, collateral_of, reaches
from strategy.records import BY_LIQUIDATION, BY_TAKE
from strategy.stops import nearest_take


@part
def fill_resting(s, candle, i, who, market, opened, closed_at, desk, book, record, count, partial):
    """Match a position's resting orders with its candle i, unless it was entered inside of it or
    nothing could fill."""
    p = desk.positions[s]
    if p.entry_time > opened:
        return count, partial
    o, h, l = market.o[i], market.h[i], market.l[i]  # noqa: E741
    if not has_trades(market, i):
        p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
        return count, partial
    if not in_reach(p, s, i, desk.margin):
        desk.margin.level[s] = np.nan
    return match(
        s,
        candle,
        i,
        who,
        market,
        o,
        h,
        l,
        True,
        opened,
        closed_at,
        desk,
        book,
        record,
        count,
        partial,
    )


@borrowing
def fill_unguarded(
    s, candle, i, who, market, opened, closed_at, desk, book, record, count, partial
):
    """Tell a position a candle in which its stop and takes are not at the exchange, not yet or not
    any more: it can be liquidated."""
    p, before = desk.positions[s], count
    stop, take, part_1, part_2 = p.stop_level, p.take_level, p.part_level_1, p.part_level_2
    p.stop_level = 0.0 if p.steps > 0 else np.inf
    p.take_level, p.part_level_1, p.part_level_2 = 0.0, 0.0, 0.0
    count, partial = fill_resting(
        s, candle, i, who, market, opened, closed_at, desk, book, record, count, partial
    )
    if count > before:
        record.trades[before].last_stop, record.trades[before].take = stop, take
    else:
        p.stop_level, p.take_level, p.part_level_1, p.part_level_2 = stop, take, part_1, part_2
    return count, partial


@borrowing
def in_reach(p, s, i, margin):
    """Say whether the mark price of candle i reaches a position's liquidation price."""
    return reaches(p, margin.l[i] if p.steps > 0 else margin.h[i], margin.level[s])


@borrowing
def match(
    s,
    candle,
    i,
    who,
    market,
    o,
    h,
    l,  # noqa: E741
    whole,
    opened,
    closed_at,
    desk,
    book,
    record,
    count,
    partial,
):
    """Match a position's resting orders with prices of its candle i; parts first, since they lie
    nearer. If they are `whole`, they count for a position that lives through them."""
    p, costs, g = desk.positions[s], desk.costs, desk.grids[s]
    doubtful = False
    while p.steps != 0:
        take, part = nearest_take(p)
        which, price, at_open, ambiguous = resting_fill(p.steps, p.stop_level, take, o, h, l)
        liquidates = not at_open and _is_liquidated(p, desk.margin.level[s], which)
        both = ambiguous or (liquidates and which == TAKE_FILLED)
        doubtful |= both
        if both and costs.intrabar == BEST:
            which, price, liquidates = TAKE_FILLED, take, False
        if liquidates:
            price = min(max(desk.margin.level[s], l), h)  # the contract may not have had the mark's
            slippage = slip_of(costs, market, i, qty_of(abs(p.steps), g))
            count, partial = liquidated(
                s, price, slippage, closed_at, candle, who, desk, book, record, count, partial
            )
            if doubtful:
                record.trades[count - 1].ambiguous = 1
            break
        if which == NOT_FILLED:
            if whole:
                p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
            break
        time = opened if at_open else closed_at
        if which == TAKE_FILLED and part != 0:
            one = record.parts[partial]
            steps = p.part_steps_1 if part == 1 else p.part_steps_2
            slippage = slip_of(costs, market, i, qty_of(steps, g))
            close_part(book, desk.positions, desk.grids, costs, s, part, price, slippage, one)
            partial = _place_part(record, partial, s, time, candle)
            continue
        reason = p.stop_reason if which == STOP_FILLED else BY_TAKE
        if costs.volume_share > 0.0:
            goes_on, partial = leaves_rest(
                s,
                i,
                reason,
                TRIGGERED,
                doubtful,
                price,
                time,
                market,
                desk,
                book,
                record,
                partial,
            )
            if goes_on:
                if whole:
                    p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
                break
        slippage = slip_of(costs, market, i, qty_of(abs(p.steps), g))
        trade = close(s, price, slippage, candle, desk, book, record, count, partial)
        trade.exit_reason, trade.ambiguous = reason, 1 if doubtful else 0
        count, partial = closed(trade, time, record, count, partial)
    return count, partial


@borrowing
def _is_liquidated(p, level, which):
    # Inside a candle whose mark price reaches the level, which is NaN for any other. A stop that
    # lies before the liquidation price fills first.
    if np.isnan(level):
        return False
    return which != STOP_FILLED or (p.stop_level < level if p.steps > 0 else p.stop_level > level)


@borrowing
def liquidated(s, price, slippage, time, candle, who, desk, book, record, count, partial):
    """Close a position by liquidation at a price before slippage, and cancel what waits."""
    p, g, order, risk = desk.positions[s], desk.grids[s], desk.orders[s], desk.risk
    margin, rests_until = desk.margin, p.cooldown_until
    collateral = collateral_of(book, desk.positions, desk.grids, who, risk, margin, s)
    trade = close(s, price, slippage, candle, desk, book, record, count, partial)
    last = record.parts[partial]
    charge_liquidation(book, p, g, margin.tiers.fee[s], collateral, trade, last)
    loses = trade.pnl < trade.fees + trade.funding
    p.cooldown_until = candle + np.int64(risk.cooldown) if loses else rests_until
    order.close_reason, order.side, order.steps, order.limit, order.rests = 0, 0, 0, 0.0, 0
    trade.exit_reason = BY_LIQUIDATION
    return closed(trade, time, record, count, partial)


@part
def close(s, price, slippage, candle, desk, book, record, count, partial):
    """Close a symbol's position at a price before slippage; its trade lacks time and reason."""
    trade, last = record.trades[count], record.parts[partial]
    close_position(
        book,
        desk.positions,
        desk.grids,
        desk.costs,
        desk.risk,
        s,
        price,
        slippage,
        candle,
        trade,
        last,
    )
    return trade


@borrowing
def closed(trade, time, record, count, partial):
    """Finish a trade's record; return the numbers of trades and of parts."""
    trade.exit_time = time
    if trade.parts > 0:  # what closed the rest is a part as well
        partial = _place_part(record, partial, trade.symbol, time, trade.exit_candle)
    return count + 1, partial


@borrowing
def _place_part(record, partial, s, time, candle):
    part = record.parts[partial]
    part.symbol, part.time, part.candle = s, time, candle
    return partial + 1
