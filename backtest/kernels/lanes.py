"""Combinations whose money does not decide which trades happen: first the trades of several of them
side by side, then their money, then the figures of each.

That holds where nothing waits for a loss and no entry is refused for its size. The first is a
matter of settings; at the second a combination goes on alone, in `backtest.kernels.walk.walk`.
"""

import numpy as np

from backtest.kernels.bits import ENTRY, LONG, is_one, prefetch
from backtest.kernels.exits import (
    AMBIGUOUS,
    CLOSE,
    OPEN,
    ORDERED,
    REASON,
    Words,
    find_exit,
    slip_at,
)
from backtest.kernels.marks import certain, deeper, follow
from backtest.kernels.signals import first_from
from backtest.kernels.walk import ALONE, ANEW, GOES_ON, book, lacks_margin, steps_at, write
from strategy.account import MOST, fee_of, money
from strategy.fills import slipped
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.records import BY_END, BY_REVERSAL, BY_SIGNAL, UNIT

# Each trade's size waits for the profit of the one before, and that for three divisions: meanwhile
# the processor can work at other combinations.
LANES = 4
CHUNK = 256  # trades of each that are found before they are booked
TAKEN = np.dtype(
    [
        ("signal", np.int32),
        ("exit", np.int32),  # candle
        ("how", np.int32),  # what rule ends it before the table does, 0 where none does
        ("reversal", np.int32),
        ("steps", np.int64),
        ("held", np.float64),  # quantity, signed
        ("risked", np.float64),
        ("wallet", np.int64),  # after the entry's fee, units
        ("leave", np.float64),  # fill
        ("pnl", np.int64),
        ("fees", np.int64),
        ("after", np.int64),  # the wallet after the exit
    ],
    align=True,
)
_SOON = 8  # trades ahead whose exits are asked for


@borrowing
def is_free(ground, risk):
    """Say whether money cannot decide which trades happen, but for refusals of their size."""
    waits = risk.cooldown > 0.0 or risk.daily_loss_limit > 0.0
    return not waits and len(ground.tiers.each) == 0 and len(ground.pays) == 1


@borrowing
def take(ground, room, rows, start, lanes, risks, costs, grids):
    """Find the trades of combinations with the same rules: those of `rows` from `start` on."""
    bits, signals = room.bits, room.signals
    at, spots, ends, last = signals.at, signals.spots, signals.ends, len(ground.prices) - 1
    busy = True
    while busy:
        busy = False
        for n in range(lanes):
            lane = room.lanes[n]
            signal = lane.signal
            if lane.count == CHUNK or lane.ended != GOES_ON or at[signal] >= last:
                continue
            busy = True
            t, spot, reverses = rows.table[start + n], spots[signal], lane.reverses
            x = np.int64(room.exits[t, spot])
            if x < 0:
                s = rows.setting[start + n]
                x = _find(ground, room, t, at[signal], spot, risks[s], costs[s], grids[s])
            lane.reverses = 0
            if x == 0:
                lane.signal = signal + 1
                continue
            own, how, after = np.int64(ends[signal]), 0, x
            if own < x:
                x, how, after = own + 1, BY_SIGNAL | ORDERED, own + 1
                if is_one(bits, ENTRY, own) and is_one(bits, LONG, own) != (spot & 1 == 0):
                    how, after, lane.reverses = BY_REVERSAL | ORDERED, own, 1
            trade = room.taken[n, lane.count]
            trade.signal, trade.exit, trade.how, trade.reversal = signal, x, how, reverses
            lane.count += 1
            lane.signal = first_from(bits, signals.firsts, after)


@borrowing
def _find(ground, room, t, j, spot, risk, costs, g):
    one, stamp, side = room.tables[t, spot & 1, spot >> 1], room.stamps[t], 1 - 2 * (spot & 1)
    if one.stamp != stamp:
        words = Words(room.stop[t], room.take[t], room.trail[t], room.slip[t], room.ahead[t])
        find_exit(one, stamp, ground, words, j, spot >> 1, side, risk, costs, g, room.p[0])
    room.exits[t, spot] = one.candle
    return np.int64(one.candle)


@borrowing
def settle(ground, room, rows, start, lanes, risks, costs, grids):
    """Book the trades that `take` has found."""
    signals, most = room.signals, np.int64(0)
    for n in range(lanes):
        most = max(most, room.lanes[n].count)
    for k in range(most):
        for n in range(lanes):
            lane = room.lanes[n]
            if k >= lane.count:
                continue
            t, s = rows.table[start + n], rows.setting[start + n]
            trade, g, rate = room.taken[n, k], grids[s], costs[s].fee_rate
            soon = signals.spots[room.taken[n, min(k + _SOON, lane.count - 1)].signal]
            prefetch(room.tables[t], soon & 1, soon >> 1)
            spot = signals.spots[trade.signal]
            one, side = room.tables[t, spot & 1, spot >> 1], 1 - 2 * (spot & 1)
            basis = lane.decided if trade.reversal != 0 else lane.wallet
            steps = steps_at(one, risks[s], g, basis)
            qty, leave = qty_of(steps, g), one.exit
            if steps == 0 or lacks_margin(qty * one.entry, risks[s].leverage, lane.wallet / UNIT):
                _give_back(lane, room.taken[n], k)
                continue
            if trade.how != 0:
                loss = slip_at(costs[s], room.slip[t], trade.exit)
                leave = slipped(ground.prices[trade.exit, OPEN], -side, loss, g)
            fees, fee = fee_of(rate, qty, one.entry), fee_of(rate, qty, leave)
            pnl = money(side * qty * (leave - one.entry))
            decided = lane.wallet - fees
            trade.steps, trade.wallet, trade.leave = steps, decided, leave
            trade.held, trade.risked = side * qty, qty * one.stop
            trade.pnl, trade.fees, trade.after = pnl, fees + fee, decided + pnl - fee
            lane.decided, lane.wallet = decided, trade.after
            if not 0 < trade.after < MOST * UNIT:
                _give_back(lane, room.taken[n], k)


@borrowing
def _give_back(lane, taken, k):
    # From before trade k on; one that turns a position goes together with that one.
    while taken[k].reversal != 0 and k > 0:
        k -= 1
    lane.count, lane.signal = k, taken[k].signal
    lane.ended = ANEW if taken[k].reversal != 0 else ALONE
    lane.wallet = taken[k - 1].after if k > 0 else lane.began


@borrowing
def tally(ground, room, n, t, out, trades):
    """Sum up what one lane's trades made, as `backtest.kernels.walk.walk` does it."""
    prices, ends, marks, length = ground.prices, ground.ends, room.marks[n], ground.timeframe_ms
    lane, signals, times, table = room.lanes[n], room.signals, ground.times, room.tables[t]
    flat, day, peak, low, deepest = lane.began / UNIT, lane.day, lane.peak, lane.low, lane.deepest
    longs, duration, ambiguous, at_end = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for k in range(lane.count):
        trade = room.taken[n, k]
        spot, e, x = signals.spots[trade.signal], np.int64(signals.at[trade.signal]) + 1, trade.exit
        one = table[spot & 1, spot >> 1]
        while ends[day] < e:
            marks[day] = flat
            day += 1
        how, time = np.int64(one.how), one.held * length
        if trade.how != 0:
            how, time = np.int64(trade.how), times[x] - times[e]
        held, entry, value = trade.held, one.entry, trade.wallet / UNIT
        if x > e:
            whole = trade.how == 0 and how != BY_END
            known, peak, low, deepest, _ = certain(
                value, held, entry, one.lowest, one.highest, whole, 0.0, 0.0, peak, low, deepest
            )
            if not known:
                bad, peak, low, deepest, _ = follow(
                    prices, ground.blocks, e, x, value, held, entry, 0.0, 0.0, peak, low, deepest
                )
                if not np.isnan(bad):
                    lane.ended = ANEW
                    return
        while ends[day] < x:
            marks[day] = value + held * (prices[ends[day], CLOSE] - entry)
            day += 1
        if how == BY_END and not 0.0 < value + held * (prices[x, CLOSE] - entry) < MOST:
            lane.ended = ANEW
            return
        if len(trades) > 0:
            its, taken = trades[out.trades + k], trade.steps if held > 0.0 else -trade.steps
            write(its, times, e, x, time, taken, entry, trade.leave, how, trade.reversal)
            book(its, trade.pnl, trade.fees, 0, trade.risked)
        longs += 1 if held > 0.0 else 0
        duration += time
        ambiguous += 1 if how & AMBIGUOUS != 0 else 0
        at_end += 1 if how & REASON == BY_END else 0
        flat = trade.after / UNIT
        if flat < peak:
            low = min(low, flat)
        else:
            deepest = deeper(deepest, low, peak)
            peak, low = flat, np.inf
    lane.day, lane.peak, lane.low, lane.deepest = day, peak, low, deepest
    out.longs, out.held = out.longs + longs, out.held + duration
    out.ambiguous, out.open_at_end = out.ambiguous + ambiguous, out.open_at_end + at_end
    _sum(room.taken[n], lane.count, out)
    lane.began, lane.count = lane.wallet, 0


@borrowing
def _sum(taken, count, out):
    # In names of its own and not in `out`: those the compiler keeps in registers.
    wins, losses, gross, paid_fees, zero = out.wins, out.losses, out.gross, out.fees, np.int64(0)
    gained, paid, r, best, worst = out.gained, out.paid, out.r, out.best, out.worst
    if out.trades == 0 and count > 0:
        best = worst = taken[0].pnl - taken[0].fees
    for k in range(count):
        pnl, fees = taken[k].pnl, taken[k].fees
        net = pnl - fees
        best, worst = max(best, net), min(worst, net)
        wins += 1 if net > 0 else 0
        losses += 1 if net < 0 else 0
        gained += max(net, zero)
        paid -= min(net, zero)
        gross, paid_fees = gross + pnl, paid_fees + fees
        r += net / UNIT / taken[k].risked
    out.wins, out.losses, out.gross, out.fees = wins, losses, gross, paid_fees
    out.gained, out.paid, out.r, out.best, out.worst = gained, paid, r, best, worst
    out.trades += count
