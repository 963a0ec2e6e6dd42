"""Orders that fill whole on a candle: the entry and the exit that a backtest books."""

import numpy as np

from strategy.account import book_fill, fee_of, funding_of
from strategy.fills import slipped, stop_level, take_level
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.margin import free_balance
from strategy.records import BY_STOP, UNIT
from strategy.risk import APPROVED, LEVEL, MARGIN
from strategy.stops import set_parts


@borrowing
def open_position(
    account, positions, grids, who, costs, risk, s, order, price, slippage, now, candle, liquidates
):
    """Book the fill of an approved entry at a price before slippage; say APPROVED, or why margin or
    a level forbids it.

    A limit order that rests fills at its limit and pays the maker's fee; one that crosses at once
    fills as a market order does, but at its limit at worst.

    The margin of all other positions, which are among ``who``, is counted at their marks, as the
    exchange does at that instant. Where positions are liquidated, the fee has to be free as well.
    """
    p, g = positions[s], grids[s]
    side = order.side
    maker = order.limit > 0.0 and order.rests != 0
    fill = slipped(price, side, slippage, g)
    if maker:
        price = fill = order.limit
    elif order.limit > 0.0:
        fill = min(fill, order.limit) if side > 0 else max(fill, order.limit)
    stop = stop_level(fill, order.stop_distance, side, g)
    take = take_level(fill, order.take_distance, side, g) if order.take_distance > 0.0 else 0.0
    if fill <= 0.0 or stop <= 0.0 or (order.take_distance > 0.0 and take <= 0.0):
        return LEVEL
    qty = qty_of(order.steps, g)
    fee = fee_of(costs.maker_rate if maker else costs.fee_rate, qty, fill)
    needed = qty * fill / risk.leverage
    if liquidates:
        needed += fee / UNIT
    if needed > free_balance(account, positions, grids, who, risk):
        return MARGIN
    account.wallet += book_fill(p, g, side * order.steps, fill) - fee
    p.maker = 1 if maker else 0
    p.stop_level, p.stop_reason, p.take_level = stop, BY_STOP, take
    p.stop_distance, p.entry_steps = order.stop_distance, abs(p.steps)
    p.reversal, p.first_stop = order.reversal, stop
    p.parts, p.realized, p.part_value, p.part_prices_vary = 0, 0, 0.0, 0
    p.closing, p.ambiguous = 0, 0
    set_parts(p, g, risk)
    p.entry_time, p.entry_candle = now, candle
    p.fees, p.funding, p.charged = fee, 0, 0.0
    p.slippage, p.risked = qty * abs(fill - price), qty * order.stop_distance
    p.lowest, p.highest = fill, fill
    return APPROVED


@borrowing
def close_part(account, positions, grids, costs, s, which, price, slippage, part):
    """Book a partial take-profit that fills at a price before slippage, and fill in its record but
    for symbol, time and candle.

    Parameters
    ----------
    which : int
        1 or 2, as `strategy.stops.nearest_take` says.
    """
    p = positions[s]
    steps = p.part_steps_1 if which == 1 else p.part_steps_2
    if which == 1:
        p.part_level_1 = 0.0
    else:
        p.part_level_2 = 0.0
    close_some(account, positions, grids, costs, s, steps, price, slippage, part)


@borrowing
def close_some(account, positions, grids, costs, s, steps, price, slippage, part):
    """Book an exit of so many steps, fewer than are held, at a price before slippage, and fill in
    its record but for symbol, time and candle."""
    p, g = positions[s], grids[s]
    side = 1 if p.steps > 0 else -1
    held = abs(p.steps)
    pnl, fee, fill = _book_exit(account, p, g, costs, side, steps, price, slippage)
    p.charged *= (held - steps) / held  # a part takes its share of the margin along
    p.fees += fee
    p.realized += pnl
    p.lowest, p.highest = min(p.lowest, fill), max(p.highest, fill)
    if p.parts == 0:
        p.part_price = fill
    elif fill != p.part_price:
        p.part_prices_vary = 1
    p.parts += 1
    p.part_value += steps * fill
    part.steps, part.qty = steps, qty_of(steps, g)
    part.price, part.pnl, part.fee = fill, pnl, fee


@borrowing
def close_position(account, positions, grids, costs, risk, s, price, slippage, candle, trade, part):
    """Book the closing fill of all that is left of a position at a price before slippage, and fill
    in its trade record but for time and reason of the exit.

    `part` becomes the record of this fill, of use where there were partial take-profits before.

    Parameters
    ----------
    candle : int
        Which one of the symbol's candles it is; a cooldown is counted from it.
    """
    p, g = positions[s], grids[s]
    side = 1 if p.steps > 0 else -1
    steps, entry = abs(p.steps), p.entry
    pnl, fee, fill = _book_exit(account, p, g, costs, side, steps, price, slippage)
    low, high = min(p.lowest, fill), max(p.highest, fill)
    trade.symbol, trade.side = s, side
    trade.steps, trade.qty = p.entry_steps, qty_of(p.entry_steps, g)
    trade.entry_time, trade.entry_candle = p.entry_time, p.entry_candle
    trade.entry_price, trade.exit_price = entry, fill
    if p.parts > 0 and (p.part_prices_vary != 0 or fill != p.part_price):
        trade.exit_price = (p.part_value + steps * fill) / p.entry_steps
    trade.stop, trade.last_stop, trade.take = p.first_stop, p.stop_level, p.take_level
    trade.pnl, trade.fees, trade.slippage = p.realized + pnl, p.fees + fee, p.slippage
    trade.funding = p.funding
    worst, best = (low, high) if side > 0 else (high, low)
    trade.mae = side * (worst - entry) / entry
    trade.mfe = side * (best - entry) / entry
    trade.risked, trade.reversal, trade.parts = p.risked, p.reversal, p.parts
    trade.exit_candle, trade.ambiguous, trade.ordered = candle, p.ambiguous, 0
    trade.maker = p.maker
    part.steps, part.qty = steps, qty_of(steps, g)
    part.price, part.pnl, part.fee = fill, pnl, fee
    if trade.pnl < trade.fees + trade.funding:
        p.cooldown_until = candle + np.int64(risk.cooldown)
    p.stop_level, p.take_level, p.part_level_1, p.part_level_2 = 0.0, 0.0, 0.0, 0.0


@borrowing
def book_funding(account, p, g, price, rate):
    """Book what an open position pays at a funding instant (see `funding_of`)."""
    paid = funding_of(p.steps, g, price, rate)
    account.wallet -= paid
    p.funding += paid
    p.charged += paid


@borrowing
def _book_exit(account, p, g, costs, side, steps, price, slippage):
    fill = slipped(price, -side, slippage, g)
    qty = qty_of(steps, g)
    pnl = book_fill(p, g, -side * steps, fill)
    fee = fee_of(costs.fee_rate, qty, fill)
    account.wallet += pnl - fee
    p.slippage += qty * abs(fill - price)
    return pnl, fee, fill
