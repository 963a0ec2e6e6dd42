"""One combination of a sweep: from signal to signal, each trade's end looked up in a table."""

import numpy as np

from backtest.kernels.afford import is_spent, lacks_all, next_affordable, steps_at
from backtest.kernels.bits import (
    ENTRY,
    EXIT_LONG,
    EXIT_SHORT,
    LONG,
    is_one,
    next_one,
    place_of,
    prefetch,
)
from backtest.kernels.exits import CLOSE, OPEN, ORDERED, REASON, find_exit, slip_at
from backtest.kernels.marks import certain, deeper, follow, is_near
from backtest.kernels.signals import FAR
from backtest.kernels.swept import DONE, NEAR, TOO_MUCH, USED_UP, add, book, write
from strategy.account import MOST, fee_of, funding_of, money
from strategy.fills import slipped
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.records import BY_END, BY_REVERSAL, BY_SIGNAL, UNIT

_NEXT = 3  # signals that may be the one after a trade


@borrowing
def walk(
    ground, bits, signals, tables, t, stamp, words, risk, costs, g, marks, p, state, out, trades
):
    """Make the trades of one combination, from where it has come to.

    Parameters
    ----------
    ground : Ground
    bits : uint64 (6, w)
        What the rules say, see `backtest.kernels.bits`.
    signals : backtest.kernels.signals.Signals
    tables : record array of EXIT (2 * places, tables)
        Place by place long and short; what is not known yet is found and left there.
    t : int
        Which table.
    stamp : int
        Marks what the table knows already.
    words : backtest.kernels.exits.Words
    risk, costs : records with the fields of Risk and Costs
    g : record of GRID
    marks : float64 (days,)
        Becomes the equity at the end of each day.
    p : record of POSITION
        Scratch.
    state : record of WALK
        See `begin`.
    out : record of SUMS
        Of the trades so far.
    trades : record array of SWEPT
        Becomes the trades, or is empty.
    """
    at, spots = signals.at, signals.spots
    prices, times, blocks = ground.prices, ground.times, ground.blocks
    ends, pays, length = ground.ends, ground.pays, ground.timeframe_ms
    liquidates = len(ground.tiers.each) > 0
    asked = costs.fee_rate if liquidates else 0.0  # together with an entry's margin
    last, limit = len(prices) - 1, risk.daily_loss_limit
    wallet, day, signal = state.wallet, state.day, state.signal
    flat, peak, low, deepest = wallet / UNIT, state.peak, state.low, state.deepest
    opening, blocked = flat, -1  # the day entries are blocked on
    pay, cooldown_until, rest = 0, np.int64(0), np.int64(risk.cooldown)
    j = np.int64(at[signal])
    while j < last:
        while ends[day] < j:
            marks[day], opening = flat, flat
            day += 1
        steps, reversal = np.int64(0), 0
        if blocked != day and j >= cooldown_until:
            place, side = spots[signal] >> 1, 1 - 2 * (spots[signal] & 1)
            one = tables[spots[signal], t]
            if one.stamp != stamp:
                find_exit(one, stamp, ground, words, j, place, side, risk, costs, g, p)
            steps = steps_at(one, risk, g, wallet)
            if lacks_all(qty_of(steps, g), one.entry, asked, risk.leverage, flat):
                steps = np.int64(0)
        if steps == 0:
            if is_spent(risk, g, flat):
                break
            signal = next_affordable(ground, signals, words, risk, costs, g, flat, signal + 1)
            prefetch(tables, spots[signal + FAR], t)
            j = np.int64(at[signal])
            continue
        while ends[day] == j:
            marks[day], opening = flat, flat
            day += 1
        while steps != 0:  # one trade, and then those that reverse it
            e, entry, distance = j + 1, one.entry, one.stop
            qty = qty_of(steps, g)
            held, taken = side * qty, side * steps
            fees = fee_of(costs.fee_rate, qty, entry)
            wallet -= fees
            x, how, leave = np.int64(one.candle), np.int64(one.how), one.exit
            time = one.held * length
            own = next_one(bits, EXIT_LONG if side > 0 else EXIT_SHORT, e, x)
            whole = own == x and how != BY_END
            if own < x:  # the rules end it before the table does
                turns = is_one(bits, ENTRY, own) and is_one(bits, LONG, own) != (side > 0)
                how = np.int64(BY_REVERSAL if turns else BY_SIGNAL) | ORDERED
                x = own + 1
                leave = slipped(prices[x, OPEN], -side, slip_at(costs, words.slip, x), g)
                time = times[x] - times[e]
            while at[signal] < x:
                signal += 1
            # What follows takes as long as the memory needs to bring the next trade's exit, and
            # those of signals that may be the one after it.
            for ahead in range(signal, signal + _NEXT):
                prefetch(tables, spots[ahead], t)
            while pays[pay].candle < e or (pays[pay].candle == e and pays[pay].before != 0):
                pay += 1
            a, paid, shut, decided, least = e, np.int64(0), False, wallet, wallet
            while True:
                while pays[pay].candle <= a and (
                    a < x or pays[pay].before != 0 or how & ORDERED == 0
                ):
                    if not -MOST * UNIT <= wallet <= MOST * UNIT:
                        _refuse(out, wallet / UNIT)
                        return
                    due = funding_of(taken, g, pays[pay].price, pays[pay].rate)
                    wallet, paid, pay = wallet - due, paid + due, pay + 1
                    least = min(least, wallet)
                if a == x:
                    break
                b = min(x, ends[day] + 1, pays[pay].candle)
                value = wallet / UNIT
                known, peak, low, deepest, lost = certain(
                    value, held, entry, one.lowest, one.highest, whole and a == e and b == x,
                    limit, opening, peak, low, deepest,
                )  # fmt: skip
                if not known:
                    bad, peak, low, deepest, lost = follow(
                        prices, blocks, a, b, value, held, entry, limit, opening, peak, low, deepest
                    )  # fmt: skip
                    if not np.isnan(bad):
                        _refuse(out, bad)
                        return
                if lost:
                    blocked = day
                shut, decided = blocked == day, wallet
                if ends[day] < b:
                    opening = value + held * (prices[b - 1, CLOSE] - entry)
                    while ends[day] < b:
                        marks[day] = opening
                        day += 1
                a = b
            if liquidates and is_near(ground, side, qty, entry, least / UNIT, e, x):
                out.note = NEAR
                return
            if how == BY_END:
                value = wallet / UNIT + held * (prices[x, CLOSE] - entry)
                if not 0.0 < value < MOST:
                    _refuse(out, value)
                    return
            steps = np.int64(0)
            if how & REASON == BY_REVERSAL and not shut and x > cooldown_until:
                # Decided at the close before, which knows no booking after it.
                j = x - 1
                place = place_of(bits, j)
                one = tables[2 * place + (1 if side > 0 else 0), t]
                if one.stamp != stamp:
                    find_exit(one, stamp, ground, words, j, place, -side, risk, costs, g, p)
                steps = steps_at(one, risk, g, decided)
            fee = fee_of(costs.fee_rate, qty, leave)
            pnl = money(held * (leave - entry))
            wallet += pnl - fee
            fees += fee
            if len(trades) > 0:
                write(trades[out.trades], times, e, x, time, taken, entry, leave, how, reversal)
                book(trades[out.trades], pnl, fees, paid, qty * distance)
            add(out, side, pnl, fees, paid, qty * distance, time, how)
            cooldown_until = x + rest if pnl < fees + paid else cooldown_until
            flat = wallet / UNIT
            if steps != 0 and lacks_all(qty_of(steps, g), one.entry, asked, risk.leverage, flat):
                steps = np.int64(0)
            side, reversal = -side, 1
        # Flat at the close of the exit candle.
        if not 0.0 < flat < MOST:
            _refuse(out, flat)
            return
        if flat < peak:
            low = min(low, flat)
        else:
            deepest = deeper(deepest, low, peak)
            peak, low = flat, np.inf
        if limit > 0.0 and opening - flat >= limit * opening:
            blocked = day
        j = np.int64(at[signal])
    for d in range(day, len(marks)):
        marks[d] = flat
    out.note, out.deepest, out.equity = DONE, deeper(deepest, low, peak), flat


@borrowing
def _refuse(out, equity):
    out.note = TOO_MUCH if equity > 0.0 else USED_UP
