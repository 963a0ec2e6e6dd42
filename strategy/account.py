"""Wallet and positions, and what to do at a candle's close. The same functions run backtests and
live trading.

Money is kept as int64 in units of 1e-8 of the quote currency, so sums are exact in any order.
"""

import numpy as np

from strategy.fills import slipped, stop_level, take_level
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.risk import APPROVED, CONFLICT, DAILY_LIMIT, LEVEL, MARGIN, POSITION_LIMIT, size
from strategy.rules import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT

UNIT = 1e8
MOST = 4e10  # quote currency; twice as much still fits an int64 of units
DAY_MS = 86_400_000

EXIT_REASONS = ("", "stop", "take", "signal", "reversal", "end")
BY_STOP, BY_TAKE, BY_SIGNAL, BY_REVERSAL, BY_END = range(1, 6)

ACCOUNT = np.dtype(
    [
        ("wallet", np.int64),  # units of 1e-8
        ("equity", np.float64),  # at the last mark
        ("day", np.int64),  # UTC day the limit counts for, -1 before the first decision
        ("day_open", np.float64),  # equity the day began with
        ("blocked", np.int64),  # 1 once the daily loss limit was reached
    ],
    align=True,
)
POSITION = np.dtype(
    [
        ("steps", np.int64),  # signed: long above 0
        ("entry", np.float64),
        ("stop_level", np.float64),
        ("take_level", np.float64),  # 0 for none
        ("mark", np.float64),  # last close of the symbol
        ("close_reason", np.int64),  # an exit order for the next open, 0 for none
        ("open_side", np.int64),  # an entry order for the next open, 0 for none
        ("open_steps", np.int64),
        ("open_stop", np.float64),  # distances approved with the entry
        ("open_take", np.float64),
        ("open_reversal", np.int64),
        # the open trade's story, for its record
        ("entry_time", np.int64),
        ("entry_candle", np.int64),
        ("reversal", np.int64),
        ("fees", np.int64),
        ("slippage", np.float64),
        ("risked", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
        ("first_stop", np.float64),
    ],
    align=True,
)
TRADE = np.dtype(
    [
        ("symbol", np.int64),  # position in the run's list of symbols
        ("side", np.int64),
        ("entry_time", np.int64),
        ("exit_time", np.int64),
        ("entry_candle", np.int64),
        ("exit_candle", np.int64),
        ("steps", np.int64),
        ("qty", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("stop", np.float64),
        ("take", np.float64),
        ("pnl", np.int64),  # before fees, units of 1e-8
        ("fees", np.int64),
        ("slippage", np.float64),  # cost contained in the prices, quote currency
        ("mae", np.float64),  # worst and best excursion, share of the entry price
        ("mfe", np.float64),
        ("risked", np.float64),  # quote currency at the stop's level, without costs
        ("exit_reason", np.int64),
        ("reversal", np.int64),  # entered by a reversal
        ("ambiguous", np.int64),  # stop and take touched in one candle
    ],
    align=True,
)
# What the strategy says of one symbol at one close. No field is called flags or take: with the
# compiler off a record is NumPy's own, where these are names of methods.
SAID = np.dtype(
    [
        ("present", np.int64),  # the symbol has a candle closing now
        ("signals", np.int64),  # bits of strategy.rules
        ("stop_distance", np.float64),
        ("take_distance", np.float64),
    ],
    align=True,
)


@kernel
def money(x):
    """Round an amount of quote currency half-even to 1e-8 and return it as units; the only such
    function.

    Beyond 4e10 the amount is cut: the run ends there (see `MOST`), but within the range of int64.
    """
    return np.int64(np.rint(min(max(x, -MOST), MOST) * UNIT))


@kernel
def mark(account, positions, grids):
    """Value the account at the last closes: wallet plus each position's unrealized profit, in
    configured order."""
    equity = account.wallet / UNIT
    for s in range(len(positions)):
        p = positions[s]
        if p.steps != 0:
            equity += qty_of(p.steps, grids[s]) * (p.mark - p.entry)
    account.equity = equity
    return equity


@kernel
def notional(p, g):
    """Return the value of a position at its mark, without sign."""
    return abs(qty_of(p.steps, g)) * p.mark


@kernel
def step(account, positions, grids, said, risk, slippage, has_take, now, refused):
    """Decide at a close, for all symbols together: daily limit, then exits, then entries in
    configured order.

    Orders are left in `positions` (close_reason, open_*) for the next open; refusals are counted in
    ``refused[symbol, reason]``. `account.equity` must hold the mark of the instant before,
    `positions.mark` the closes of this one.
    """
    _begin_day(account, (now - 1) // DAY_MS)
    equity = mark(account, positions, grids)
    limit = risk.daily_loss_limit
    if limit > 0.0 and account.day_open - equity >= limit * account.day_open:
        account.blocked = 1
    any_signal = False
    for s in range(len(said)):
        any_signal |= said[s].present != 0 and said[s].signals != 0
    if any_signal:
        _exits(positions, said, refused)
        _entries(account, positions, grids, said, risk, slippage, has_take, refused)


@kernel
def _begin_day(account, day):
    # The decision at 00:00 still belongs to the day that ends; the mark before the new day's first
    # decision is that day's opening equity, also when candles around midnight are missing.
    if day != account.day:
        account.day = day
        account.day_open = account.equity
        account.blocked = 0


@kernel
def _exits(positions, said, refused):
    for s in range(len(positions)):
        p, flags = positions[s], said[s].signals
        if said[s].present == 0:
            continue
        enter_long, enter_short = flags & ENTER_LONG != 0, flags & ENTER_SHORT != 0
        if enter_long and enter_short:
            refused[s, CONFLICT] += 1
        if p.steps == 0 or p.close_reason != 0:
            continue
        own_exit = EXIT_LONG if p.steps > 0 else EXIT_SHORT
        against = enter_short if p.steps > 0 else enter_long
        if flags & own_exit != 0:
            p.close_reason = BY_SIGNAL
        if against and not (enter_long and enter_short):
            p.close_reason = BY_REVERSAL


@kernel
def _entries(account, positions, grids, said, risk, slippage, has_take, refused):
    wallet = account.wallet / UNIT
    slots, used = 0, 0.0
    for s in range(len(positions)):
        p = positions[s]
        if p.steps != 0 or p.open_side != 0:
            slots += 1
            # An approved entry, also one that reverses, may wait for its symbol's next candle.
            used += max(notional(p, grids[s]), _reserved(p, grids[s], slippage))
    for s in range(len(positions)):
        p, word = positions[s], said[s]
        side = (1 if word.signals & ENTER_LONG else 0) - (1 if word.signals & ENTER_SHORT else 0)
        reverses = p.close_reason == BY_REVERSAL
        if word.present == 0 or side == 0 or p.open_side != 0 or (p.steps != 0 and not reverses):
            continue
        own = notional(p, grids[s]) if reverses else 0.0
        if account.blocked != 0:
            refused[s, DAILY_LIMIT] += 1
            continue
        if not reverses and 0.0 < risk.max_positions <= slots:
            refused[s, POSITION_LIMIT] += 1
            continue
        steps, why = size(
            risk,
            slippage,
            grids[s],
            wallet,
            used - own,
            p.mark,
            side,
            word.stop_distance,
            word.take_distance,
            has_take,
        )
        if why != APPROVED:
            refused[s, why] += 1
            continue
        p.open_side, p.open_steps, p.open_reversal = side, steps, 1 if reverses else 0
        p.open_stop, p.open_take = word.stop_distance, word.take_distance if has_take else 0.0
        slots += 0 if reverses else 1
        used += max(_reserved(p, grids[s], slippage) - own, 0.0)


@kernel
def _reserved(p, g, slippage):
    # What an approved entry holds back from the others: its estimate, at the mark plus slippage.
    return qty_of(p.open_steps, g) * slipped(p.mark, p.open_side, slippage, g)


@kernel
def open_position(account, positions, grids, costs, risk, s, price, now, candle):
    """Book the fill of an approved entry at a price before slippage; False if margin or a level
    forbids it.

    The margin of all other positions is counted at their marks, as the exchange does at that
    instant.
    """
    p, g = positions[s], grids[s]
    side, steps = p.open_side, p.open_steps
    p.open_side, p.open_steps = 0, 0
    fill = slipped(price, side, costs.slippage, g)
    stop = stop_level(fill, p.open_stop, side, g)
    take = take_level(fill, p.open_take, side, g) if p.open_take > 0.0 else 0.0
    if fill <= 0.0 or stop <= 0.0 or (p.open_take > 0.0 and take <= 0.0):
        return LEVEL
    qty = qty_of(steps, g)
    free = account.wallet / UNIT
    for other in range(len(positions)):
        q = positions[other]
        if q.steps != 0:
            unrealized = qty_of(q.steps, grids[other]) * (q.mark - q.entry)
            free += unrealized - notional(q, grids[other]) / risk.leverage
    if qty * fill / risk.leverage > free:
        return MARGIN
    fee = money(costs.fee_rate * (qty * fill))
    account.wallet -= fee
    p.steps, p.entry, p.stop_level, p.take_level = side * steps, fill, stop, take
    p.reversal, p.first_stop = p.open_reversal, stop
    p.entry_time, p.entry_candle, p.fees = now, candle, fee
    p.slippage, p.risked = qty * abs(fill - price), qty * p.open_stop
    p.lowest, p.highest = fill, fill
    return APPROVED


@kernel
def close_position(account, positions, grids, costs, s, price, slippage, trade):
    """Book the closing fill of a whole position at a price before slippage, and fill in its trade
    record."""
    p, g = positions[s], grids[s]
    side = 1 if p.steps > 0 else -1
    fill = slipped(price, -side, slippage, g)
    qty = qty_of(abs(p.steps), g)
    pnl = money(side * qty * (fill - p.entry))
    fee = money(costs.fee_rate * (qty * fill))
    account.wallet += pnl - fee
    low, high = min(p.lowest, fill), max(p.highest, fill)
    trade.symbol, trade.side, trade.steps, trade.qty = s, side, abs(p.steps), qty
    trade.entry_time, trade.entry_candle = p.entry_time, p.entry_candle
    trade.entry_price, trade.exit_price, trade.stop, trade.take = (
        p.entry,
        fill,
        p.first_stop,
        p.take_level,
    )
    trade.pnl, trade.fees = pnl, p.fees + fee
    trade.slippage = p.slippage + qty * abs(fill - price)
    worst, best = (low, high) if side > 0 else (high, low)
    trade.mae = side * (worst - p.entry) / p.entry
    trade.mfe = side * (best - p.entry) / p.entry
    trade.risked, trade.reversal, trade.ambiguous = p.risked, p.reversal, 0
    p.steps, p.entry, p.stop_level, p.take_level = 0, 0.0, 0.0, 0.0
    p.close_reason = 0
