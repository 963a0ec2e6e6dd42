"""One combination of a sweep: from signal to signal, each trade's end looked up in a table."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.bits import is_one, next_one, place_of
from backtest.kernels.exits import AMBIGUOUS, ORDERED, REASON, find_exit
from backtest.kernels.marks import hold_marks
from strategy.account import MOST, fee_of, funding_of, money
from strategy.fills import slipped
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.records import BY_END, BY_REVERSAL, BY_SIGNAL, UNIT
from strategy.risk import APPROVED, steps_of

# What a row ended with.
DONE, USED_UP, TOO_MUCH = range(3)
# What is left of a combination: sums over its trades, and its curve.
SUMS = np.dtype(
    [
        ("note", np.int64),
        ("trades", np.int64),
        ("longs", np.int64),
        ("wins", np.int64),
        ("losses", np.int64),
        ("gained", np.float64),  # units of 1e-8, net
        ("paid", np.float64),
        ("best", np.int64),
        ("worst", np.int64),
        ("gross", np.int64),
        ("fees", np.int64),
        ("funding", np.int64),
        ("r", np.float64),
        ("held", np.int64),  # ms
        ("ambiguous", np.int64),
        ("open_at_end", np.int64),
        ("deepest", np.float64),
        ("equity", np.float64),  # at the end
        ("mean", np.float64),  # of the daily returns
        ("second", np.float64),  # their squares around it, summed
        ("downside", np.float64),
        ("best_day", np.float64),
        ("worst_day", np.float64),
    ],
    align=True,
)
# A trade of a sweep; the names are those of strategy.records.TRADE.
SWEPT = np.dtype(
    [
        ("side", np.int64),
        ("entry_time", np.int64),
        ("exit_time", np.int64),
        ("entry_candle", np.int64),
        ("exit_candle", np.int64),
        ("steps", np.int64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("pnl", np.int64),
        ("fees", np.int64),
        ("funding", np.int64),
        ("risked", np.float64),
        ("exit_reason", np.int64),
        ("ordered", np.int64),
        ("reversal", np.int64),
        ("ambiguous", np.int64),
    ],
    align=True,
)


class Masks(NamedTuple):
    """What the rules of one combination say, 64 candles a word; no signal stands on both sides.

    Attributes
    ----------
    entry, long : uint64 (w,)
        Entry signals, and those of them that are long.
    exit_long, exit_short : uint64 (w,)
        What closes a position of either side: its exit rule, and the other side's entry.
    union : uint64 (w,)
        Entry signals of all combinations that share a table.
    before : int64 (w,)
        How many of them stand before each word.
    """

    entry: NDArray[np.uint64]
    long: NDArray[np.uint64]
    exit_long: NDArray[np.uint64]
    exit_short: NDArray[np.uint64]
    union: NDArray[np.uint64]
    before: NDArray[np.int64]


class Pays(NamedTuple):
    """The funding instants of a symbol.

    Attributes
    ----------
    candle : int64 (m,)
        At which one it is booked; behind the last stands one that never comes.
    before : int64 (m,)
        1: before orders fill at that candle's open.
    rate, price : float64 (m,)
    """

    candle: NDArray[np.int64]
    before: NDArray[np.int64]
    rate: NDArray[np.float64]
    price: NDArray[np.float64]


class Ground(NamedTuple):
    """What all combinations walk on.

    Attributes
    ----------
    series : Series
    ends : int64 (days + 1,)
        The last candle of each UTC day; behind the last day stands one that never ends.
    pays : Pays
    g : record of GRID
    balance : float
    """

    series: Any
    ends: NDArray[np.int64]
    pays: Pays
    g: Any
    balance: float


@kernel
def walk(ground, masks, table, stamp, words, risk, costs, marks, p, out, trades):
    """Make the trades of one combination.

    Parameters
    ----------
    ground : Ground
    masks : Masks
    table : record array of EXIT (2, places)
        Long and short; what is not known yet is found and left there.
    stamp : int
        Marks what the table knows already.
    words : backtest.kernels.exits.Words
    risk, costs : records with the fields of Risk and Costs
    marks : float64 (days,)
        Becomes the equity at the end of each day.
    p : record of POSITION
        Scratch.
    out : record of SUMS
        All zero.
    trades : record array of SWEPT
        Becomes the trades, or is empty.
    """
    series, ends, g, pays = ground.series, ground.ends, ground.g, ground.pays
    last, slippage, limit = len(series.c) - 1, costs.slippage, risk.daily_loss_limit
    wallet = np.int64(np.rint(ground.balance * UNIT))
    flat = wallet / UNIT
    day, opening, blocked = 0, flat, -1  # the day entries are blocked on
    peak, deepest = max(flat, ground.balance), min(flat / ground.balance - 1.0, 0.0)
    pay, cooldown_until = 0, np.int64(0)
    while ends[day] < 0:
        marks[day] = ground.balance
        day += 1
    j = next_one(masks.entry, 0, last)
    while j < last:
        flat = wallet / UNIT
        while ends[day] < j:
            marks[day], opening = flat, flat
            day += 1
        steps, reversal = np.int64(0), 0
        if blocked != day and j >= cooldown_until:
            side = 1 if is_one(masks.long, j) else -1
            one = _look_up(table, stamp, series, j, side, masks, words, risk, slippage, g, p)
            steps = _steps(one, risk, g, wallet)
            if qty_of(steps, g) * one.entry / risk.leverage > flat:
                steps = np.int64(0)
        if steps == 0:
            j = next_one(masks.entry, j + 1, last)
            continue
        while ends[day] == j:
            marks[day], opening = flat, flat
            day += 1
        while steps != 0:  # one trade, and then those that reverse it
            e, entry, stop = j + 1, one.entry, one.stop
            qty = qty_of(steps, g)
            held, taken = side * qty, side * steps
            fees = fee_of(costs.fee_rate, qty, entry)
            wallet -= fees
            x, how, leave, time = _end(series, one, e, side, masks, slippage, g)
            while pays.candle[pay] < e or (pays.candle[pay] == e and pays.before[pay] != 0):
                pay += 1
            whole = x == one.candle and leave == one.exit and how != BY_END
            a, paid, shut, decided = e, np.int64(0), False, wallet
            while True:
                while pays.candle[pay] <= a and (
                    a < x or pays.before[pay] != 0 or how & ORDERED == 0
                ):
                    if not -MOST * UNIT <= wallet <= MOST * UNIT:
                        _refuse(out, wallet / UNIT)
                        return
                    due = funding_of(taken, g, pays.price[pay], pays.rate[pay])
                    wallet, paid, pay = wallet - due, paid + due, pay + 1
                if a == x:
                    break
                b = min(x, ends[day] + 1, pays.candle[pay])
                value = wallet / UNIT
                bad, peak, deepest, lost = hold_marks(
                    series, a, b, value, held, entry, one.lowest, one.highest,
                    whole and a == e and b == x, limit, opening, peak, deepest,
                )  # fmt: skip
                if not np.isnan(bad):
                    _refuse(out, bad)
                    return
                if lost:
                    blocked = day
                shut, decided = blocked == day, wallet
                if ends[day] < b:
                    opening = value + held * (series.c[b - 1] - entry)
                    while ends[day] < b:
                        marks[day] = opening
                        day += 1
                a = b
            if how == BY_END:
                value = wallet / UNIT + held * (series.c[x] - entry)
                if not 0.0 < value < MOST:
                    _refuse(out, value)
                    return
            steps = np.int64(0)
            if how & REASON == BY_REVERSAL and not shut and x > cooldown_until:
                # Decided at the close before, which knows no booking after it.
                j = x - 1
                one = _look_up(table, stamp, series, j, -side, masks, words, risk, slippage, g, p)
                steps = _steps(one, risk, g, decided)
            fee = fee_of(costs.fee_rate, qty, leave)
            pnl = money(held * (leave - entry))
            wallet += pnl - fee
            fees += fee
            if len(trades) > 0:
                _write(trades[out.trades], series, e, x, time, taken, entry, leave, how, reversal)
                _book(trades[out.trades], pnl, fees, paid, qty * stop)
            _add(out, side, pnl, fees, paid, qty * stop, time, how)
            if pnl < fees + paid:
                cooldown_until = x + np.int64(risk.cooldown)
            flat = wallet / UNIT
            if steps != 0 and qty_of(steps, g) * one.entry / risk.leverage > flat:
                steps = np.int64(0)
            side, reversal = -side, 1
        # Flat at the close of the exit candle.
        if not 0.0 < flat < MOST:
            _refuse(out, flat)
            return
        if flat < peak:
            deepest = min(deepest, flat / peak - 1.0)
        else:
            peak = flat
        if limit > 0.0 and opening - flat >= limit * opening:
            blocked = day
        j = next_one(masks.entry, x, last)
    flat = wallet / UNIT
    marks[day:] = flat
    out.note, out.deepest, out.equity = DONE, deepest, flat


@kernel
def _look_up(table, stamp, series, j, side, masks, words, risk, slippage, g, p):
    place = place_of(masks.union, masks.before, j)
    one = table[0 if side > 0 else 1, place]
    if one.stamp != stamp:
        find_exit(one, stamp, series, j, place, side, words, risk, slippage, g, p)
    return one


@kernel
def _steps(one, risk, g, wallet):
    if one.candle == 0 or not wallet > 0:
        return np.int64(0)
    steps, why = steps_of(risk, g, wallet / UNIT, 0.0, one.estimate, one.stop)
    return np.int64(steps) if why == APPROVED else np.int64(0)


@kernel
def _end(series, one, e, side, masks, slippage, g):
    # The table's exit, or the rules' own if that is decided before it has happened.
    x = np.int64(one.candle)
    against = masks.exit_long if side > 0 else masks.exit_short
    own = next_one(against, e, x)
    if own == x:
        return x, np.int64(one.how), one.exit, np.int64(one.held) * series.timeframe_ms
    reverses = is_one(masks.entry, own) and is_one(masks.long, own) != (side > 0)
    how = np.int64(BY_REVERSAL if reverses else BY_SIGNAL) | ORDERED
    x = own + 1
    leave = slipped(series.o[x], -side, slippage, g)
    return x, how, leave, series.open_time[x] - series.open_time[e]


@kernel
def _refuse(out, equity):
    out.note = TOO_MUCH if equity > 0.0 else USED_UP


@kernel
def _add(out, side, pnl, fees, paid, risked, time, how):
    net = pnl - fees - paid
    out.best = net if out.trades == 0 else max(out.best, net)
    out.worst = net if out.trades == 0 else min(out.worst, net)
    out.trades += 1
    out.longs += 1 if side > 0 else 0
    if net > 0:
        out.wins += 1
        out.gained += net
    elif net < 0:
        out.losses += 1
        out.paid -= net
    out.gross, out.fees, out.funding = out.gross + pnl, out.fees + fees, out.funding + paid
    out.r += net / UNIT / risked
    out.held += time
    out.ambiguous += 1 if how & AMBIGUOUS != 0 else 0
    out.open_at_end += 1 if how & REASON == BY_END else 0


@kernel
def _write(trade, series, e, x, time, taken, entry, leave, how, reversal):
    trade.side, trade.steps = 1 if taken > 0 else -1, abs(taken)
    trade.entry_candle, trade.exit_candle = e, x
    trade.entry_time = series.open_time[e]
    trade.exit_time = series.open_time[e] + time
    trade.entry_price, trade.exit_price = entry, leave
    trade.exit_reason, trade.reversal = how & REASON, reversal
    trade.ordered = 1 if how & ORDERED != 0 else 0
    trade.ambiguous = 1 if how & AMBIGUOUS != 0 else 0


@kernel
def _book(trade, pnl, fees, paid, risked):
    trade.pnl, trade.fees, trade.funding, trade.risked = pnl, fees, paid, risked
