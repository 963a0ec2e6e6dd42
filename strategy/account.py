"""Wallet and positions, and what to do at a candle's close. The same functions run backtests and
live trading.

Money is kept as int64 in units of 1e-8 of the quote currency, so sums are exact in any order.
"""

import numpy as np

from strategy.errors import WickError
from strategy.fills import slipped, stop_level
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.records import BY_DAILY_LIMIT, BY_REVERSAL, BY_SIGNAL, BY_TIME, UNIT
from strategy.risk import (
    APPROVED,
    CANCELLED,
    CONFLICT,
    COOLDOWN,
    DAILY_LIMIT,
    EXPIRED,
    LEVEL,
    LIMIT_DISTANCE,
    POSITION_LIMIT,
    SIDE_LIMIT,
    size,
)
from strategy.rules import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from strategy.stops import is_beyond, moved_stop, moves_stops

MOST = 4e10  # quote currency; twice as much still fits an int64 of units
DAY_MS = 86_400_000


def check_balance(balance: float) -> float:
    """Return a balance to start with.

    Raises
    ------
    WickError
        It is below 1, not below 1e10, or no number.
    """
    if not 1.0 <= balance < 1e10:
        raise WickError(f"balance is {balance}, expected from 1 to below 1e10", "--balance 10000")
    return balance


@borrowing
def money(x):
    """Round an amount of quote currency half-even to 1e-8 and return it as units; the only such
    function.

    Beyond 4e10 the amount is cut: the run ends there (see `MOST`), but within the range of int64.
    """
    return np.int64(np.rint(min(max(x, -MOST), MOST) * UNIT))


@borrowing
def mark(account, positions, grids, who):
    """Value the account at the last closes: wallet plus the unrealized profit of each position
    among ``who``, in that order, which is the configured one."""
    equity = account.wallet / UNIT
    for s in who:
        p = positions[s]
        if p.steps != 0:
            equity += qty_of(p.steps, grids[s]) * (p.mark - p.entry)
    account.equity = equity
    return equity


@borrowing
def notional(p, g):
    """Return the value of a position at its mark, without sign."""
    return abs(qty_of(p.steps, g)) * p.mark


@borrowing
def step(account, positions, orders, grids, said, who, risk, has_take, has_trail, now, refused):
    """Decide at a close, for all symbols together: daily limit, then resting entries that end, then
    exits, then moves of stops, then entries, each in configured order.

    Only the symbols ``who`` (int64, in configured order) are looked at: at least all that hold a
    position, have an order or say something now.

    What is decided is left in `orders`, with `decided_at` set to ``now``, and in the positions'
    `stop_level`; refusals are counted in ``refused[symbol, reason]``. `account.equity` must hold
    the mark of the instant before, `positions` the closes and extremes of this one. Orders of
    before that have not filled yet count as positions and are not decided again.
    """
    _begin_day(account, (now - 1) // DAY_MS)
    equity = mark(account, positions, grids, who)
    if loses_too_much(account, equity, risk.daily_loss_limit):
        account.blocked = 1
    any_signal, any_held, any_limit = False, False, False
    for s in who:
        any_signal |= said[s].present != 0 and said[s].signals != 0
        any_held |= positions[s].steps != 0
        any_limit |= orders[s].side != 0 and orders[s].limit > 0.0
    if any_limit:
        _cancel_limits(orders, said, who, risk, account.blocked, refused)
    if any_held and account.blocked != 0 and risk.daily_loss_flatten != 0.0:
        _flatten(positions, orders, who, now)
    if any_signal:
        _exits(positions, orders, said, who, now, refused)
    if any_held and (risk.time_stop > 0.0 or moves_stops(risk, has_trail)):
        _end_old(positions, orders, said, who, risk, now)
        _move_stops(positions, orders, grids, said, who, risk, has_trail, now)
    if any_signal:
        _entries(account, positions, orders, grids, said, who, risk, has_take, now, refused)


@borrowing
def loses_too_much(account, equity, limit):
    """Say whether an equity is below the day's opening by the daily loss limit; money paid in or
    taken out is no profit or loss."""
    if not limit > 0.0:
        return False
    lost = account.day_open + account.transfers / UNIT - equity
    return lost >= limit * account.day_open


@borrowing
def _begin_day(account, day):
    # The decision at 00:00 still belongs to the day that ends; the mark before the new day's first
    # decision is that day's opening equity, also when candles around midnight are missing.
    if day != account.day:
        account.day = day
        account.day_open = account.equity
        account.blocked = 0
        account.transfers = 0


@borrowing
def _cancel_limits(orders, said, who, risk, blocked, refused):
    for s in who:
        order, word = orders[s], said[s]
        if order.side == 0 or order.limit == 0.0:
            continue
        why = CANCELLED if blocked != 0 else APPROVED
        if blocked == 0 and word.present != 0:
            enters = word.signals & (ENTER_LONG | ENTER_SHORT)
            own_exit = EXIT_LONG if order.side > 0 else EXIT_SHORT
            if 0.0 < risk.limit_wait <= word.candle - order.candle:
                why = EXPIRED
            elif enters in (ENTER_LONG, ENTER_SHORT) or word.signals & own_exit != 0:
                why = CANCELLED
        if why != APPROVED:
            refused[s, why] += 1
            order.side, order.steps, order.limit = 0, 0, 0.0


@borrowing
def _flatten(positions, orders, who, now):
    # Also what has no candle now: it closes as soon as there is a price.
    for s in who:
        if positions[s].steps != 0:
            _close(positions[s], orders[s], BY_DAILY_LIMIT, now)


@borrowing
def _close(p, order, reason, now):
    if order.close_reason == 0:
        order.close_reason, order.decided_at, order.price = reason, now, p.mark


@borrowing
def _end_old(positions, orders, said, who, risk, now):
    for s in who:
        p = positions[s]
        if p.steps != 0 and said[s].present != 0 and is_old(p, said[s].candle, risk):
            _close(p, orders[s], BY_TIME, now)


@borrowing
def is_old(p, candle, risk):
    """Say whether a position has seen as many closes as the time stop gives it, the one of its
    entry candle being the first."""
    return risk.time_stop > 0.0 and candle - p.entry_candle + 1 >= risk.time_stop


@borrowing
def _move_stops(positions, orders, grids, said, who, risk, has_trail, now):
    for s in who:
        p = positions[s]
        if p.steps == 0 or said[s].present == 0 or orders[s].close_reason != 0:
            continue
        best = p.highest if p.steps > 0 else p.lowest
        level, reason = moved_stop(p, grids[s], risk, has_trail, said[s].trail_distance, best)
        if level == p.stop_level:
            continue
        if is_beyond(p, level, p.mark):
            _close(p, orders[s], reason, now)
        else:
            p.stop_level, p.stop_reason = level, reason


@borrowing
def _exits(positions, orders, said, who, now, refused):
    for s in who:
        p, order, flags = positions[s], orders[s], said[s].signals
        if said[s].present == 0:
            continue
        enter_long, enter_short = flags & ENTER_LONG != 0, flags & ENTER_SHORT != 0
        if enter_long and enter_short:
            refused[s, CONFLICT] += 1
        if p.steps == 0:
            continue
        own_exit = EXIT_LONG if p.steps > 0 else EXIT_SHORT
        against = enter_short if p.steps > 0 else enter_long
        if against and not (enter_long and enter_short):
            _close(p, order, BY_REVERSAL, now)
        if flags & own_exit != 0:
            _close(p, order, BY_SIGNAL, now)


@borrowing
def _entries(account, positions, orders, grids, said, who, risk, has_take, now, refused):
    wallet = account.wallet / UNIT
    slots, longs, shorts, used = 0, 0, 0, 0.0
    for s in who:
        p, order = positions[s], orders[s]
        if p.steps != 0 or order.side != 0:
            slots += 1
            # A position that reverses holds its own side's slot and has been promised the other.
            longs += 1 if p.steps > 0 or order.side > 0 else 0
            shorts += 1 if p.steps < 0 or order.side < 0 else 0
            # An approved entry, also one that reverses, may wait for its symbol's next candle.
            used += max(notional(p, grids[s]), _reserved(p, order, grids[s], said[s].slippage))
    turns, ranked = _turns(said, who)
    at = -1
    for turn in range(turns):
        at = _next_in_turn(said, who, at) if ranked else turn
        s = who[at]
        p, order, word = positions[s], orders[s], said[s]
        side = (1 if word.signals & ENTER_LONG else 0) - (1 if word.signals & ENTER_SHORT else 0)
        reverses = order.close_reason == BY_REVERSAL
        if word.present == 0 or side == 0 or order.side != 0 or (p.steps != 0 and not reverses):
            continue
        own = notional(p, grids[s]) if reverses else 0.0
        if account.blocked != 0:
            refused[s, DAILY_LIMIT] += 1
            continue
        if word.candle < p.cooldown_until:  # of an earlier loss, where the position reverses
            refused[s, COOLDOWN] += 1
            continue
        if not reverses and 0.0 < risk.max_positions <= slots:
            refused[s, POSITION_LIMIT] += 1
            continue
        if 0.0 < risk.max_longs <= longs if side > 0 else 0.0 < risk.max_shorts <= shorts:
            refused[s, SIDE_LIMIT] += 1
            continue
        limit, price, slippage = 0.0, p.mark, word.slippage
        if word.limited != 0:
            if not 0.0 <= word.limit_distance < np.inf:
                refused[s, LIMIT_DISTANCE] += 1
                continue
            # Away from the market as a stop is, so that it never crosses by rounding.
            limit = stop_level(price, word.limit_distance, side, grids[s])
            if not limit > 0.0:
                refused[s, LEVEL] += 1
                continue
            price, slippage = limit, 0.0
        steps, why = size(
            risk,
            slippage,
            grids[s],
            wallet,
            used - own,
            price,
            side,
            word.stop_distance,
            word.take_distance,
            has_take,
        )
        if why != APPROVED:
            refused[s, why] += 1
            continue
        order.side, order.steps, order.reversal = side, steps, 1 if reverses else 0
        order.stop_distance = word.stop_distance
        order.take_distance = word.take_distance if has_take else 0.0
        order.decided_at, order.price = now, p.mark
        order.limit, order.candle, order.rests = limit, word.candle, 0
        slots += 0 if reverses else 1
        longs, shorts = longs + (side > 0), shorts + (side < 0)
        used += max(_reserved(p, order, grids[s], word.slippage) - own, 0.0)


@borrowing
def _turns(said, who):
    # How many entries take turns, and whether by a rule: all of `who` in their order without one.
    turns, ranked = 0, False
    for s in who:
        if _wants_in(said[s]):
            turns += 1
            ranked |= said[s].priority != 0.0
    return turns if ranked else len(who), ranked


@borrowing
def _wants_in(word):
    return word.present != 0 and word.signals & (ENTER_LONG | ENTER_SHORT) != 0


@borrowing
def _next_in_turn(said, who, last):
    # The entry whose turn comes after that of who[last], -1 before the first; few want in at once.
    best = -1
    for at in range(len(who)):
        if not _wants_in(said[who[at]]) or (last >= 0 and not _is_before(said, who, last, at)):
            continue
        if best < 0 or _is_before(said, who, at, best):
            best = at
    return best


@borrowing
def _is_before(said, who, a, b):
    x, y = said[who[a]].priority, said[who[b]].priority
    if np.isnan(x) != np.isnan(y):
        return np.isnan(y)
    return x > y if x != y and not np.isnan(x) else a < b


@borrowing
def _reserved(p, order, g, slippage):
    # What an approved entry holds back from the others: its estimate, at its limit or at the mark
    # plus slippage.
    if order.limit > 0.0:
        return qty_of(order.steps, g) * order.limit
    return qty_of(order.steps, g) * slipped(p.mark, order.side, slippage, g)


@borrowing
def fee_of(fee_rate, qty, price):
    """Return the fee of one fill in units of 1e-8."""
    return money(fee_rate * (qty * price))


@borrowing
def funding_of(steps, g, price, rate):
    """Return what a position pays at a funding instant, in units of 1e-8; below 0 it receives.

    Parameters
    ----------
    steps : int
        Held, signed: a long pays where the rate is above 0, a short receives.
    price : float
        The symbol's mark price at the instant.
    """
    return money(rate * (qty_of(steps, g) * price))


@borrowing
def free_margin(account, positions, grids, who, leverage):
    """Return the balance that no open position among ``who`` binds: wallet plus each one's
    unrealized profit less its margin, at the last closes."""
    free = account.wallet / UNIT
    for s in who:
        p = positions[s]
        if p.steps != 0:
            unrealized = qty_of(p.steps, grids[s]) * (p.mark - p.entry)
            free += unrealized - notional(p, grids[s]) / leverage
    return free


@borrowing
def book_fill(p, g, steps, price):
    """Book one fill into a position and return the profit it realizes, in units of 1e-8.

    Only `p.steps` and `p.entry` are read and written; wallet and fee are the caller's.

    Parameters
    ----------
    steps : int
        Bought above 0, sold below; never 0.
    price : float
        Where it filled. The first fill's price is the entry to the last bit, further ones are
        averaged in by their steps; what goes through zero closes the old position and opens the
        rest at this price. A flat position's entry is 0.0.
    """
    held = p.steps
    total = held + steps
    if held == 0:
        p.steps, p.entry = steps, price
        return np.int64(0)
    if (held > 0) == (steps > 0):
        # An order that fills in parts at one price has that price, without the average's rounding.
        if price != p.entry:
            p.entry = (held * p.entry + steps * price) / total
        p.steps = total
        return np.int64(0)
    side = 1 if held > 0 else -1
    realized = money(side * qty_of(min(abs(held), abs(steps)), g) * (price - p.entry))
    p.steps = total
    if total == 0:
        p.entry = 0.0
    elif (total > 0) != (held > 0):
        p.entry = price
    return realized


@borrowing
def book_transfer(account, units):
    """Book money paid in (above 0) or taken out: it changes the wallet, never the day's loss."""
    account.wallet += units
    account.transfers += units
    # If a day begins before the next mark, it begins with this money.
    account.equity += units / UNIT
