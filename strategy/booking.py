"""Orders that fill whole on a candle: the entry and the exit that a backtest books."""

from strategy.account import book_fill, fee_of, free_margin
from strategy.fills import slipped, stop_level, take_level
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.risk import APPROVED, LEVEL, MARGIN


@kernel
def open_position(account, positions, grids, costs, risk, s, order, price, now, candle):
    """Book the fill of an approved entry at a price before slippage; say APPROVED, or why margin or
    a level forbids it.

    The margin of all other positions is counted at their marks, as the exchange does at that
    instant.
    """
    p, g = positions[s], grids[s]
    side = order.side
    fill = slipped(price, side, costs.slippage, g)
    stop = stop_level(fill, order.stop_distance, side, g)
    take = take_level(fill, order.take_distance, side, g) if order.take_distance > 0.0 else 0.0
    if fill <= 0.0 or stop <= 0.0 or (order.take_distance > 0.0 and take <= 0.0):
        return LEVEL
    qty = qty_of(order.steps, g)
    if qty * fill / risk.leverage > free_margin(account, positions, grids, risk.leverage):
        return MARGIN
    fee = fee_of(costs.fee_rate, qty, fill)
    account.wallet += book_fill(p, g, side * order.steps, fill) - fee
    p.stop_level, p.take_level = stop, take
    p.reversal, p.first_stop = order.reversal, stop
    p.entry_time, p.entry_candle, p.fees = now, candle, fee
    p.slippage, p.risked = qty * abs(fill - price), qty * order.stop_distance
    p.lowest, p.highest = fill, fill
    return APPROVED


@kernel
def close_position(account, positions, grids, costs, s, price, slippage, trade):
    """Book the closing fill of a whole position at a price before slippage, and fill in its trade
    record."""
    p, g = positions[s], grids[s]
    side = 1 if p.steps > 0 else -1
    fill = slipped(price, -side, slippage, g)
    steps, entry = abs(p.steps), p.entry
    qty = qty_of(steps, g)
    pnl = book_fill(p, g, -p.steps, fill)
    fee = fee_of(costs.fee_rate, qty, fill)
    account.wallet += pnl - fee
    low, high = min(p.lowest, fill), max(p.highest, fill)
    trade.symbol, trade.side, trade.steps, trade.qty = s, side, steps, qty
    trade.entry_time, trade.entry_candle = p.entry_time, p.entry_candle
    trade.entry_price, trade.exit_price, trade.stop, trade.take = (
        entry,
        fill,
        p.first_stop,
        p.take_level,
    )
    trade.pnl, trade.fees = pnl, p.fees + fee
    trade.slippage = p.slippage + qty * abs(fill - price)
    worst, best = (low, high) if side > 0 else (high, low)
    trade.mae = side * (worst - entry) / entry
    trade.mfe = side * (best - entry) / entry
    trade.risked, trade.reversal, trade.ambiguous = p.risked, p.reversal, 0
    p.stop_level, p.take_level = 0.0, 0.0
