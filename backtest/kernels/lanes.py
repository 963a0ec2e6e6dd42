"""Combinations whose money does not decide which trades happen: first the trades of several of them
side by side, then what these made.

That holds where nothing waits for a loss and no entry is refused for its size. The first is a
matter of settings; at the second a combination goes on alone, in `backtest.kernels.walk.walk`.
"""

import numpy as np

from backtest.kernels.abreast import climb, close_account, open_account, settle, tally
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
from backtest.kernels.marks import follow
from backtest.kernels.signals import first_from
from backtest.kernels.swept import ALONE, ANEW, GOES_ON
from strategy.account import MOST
from strategy.fills import slipped
from strategy.kernel import borrowing
from strategy.records import BY_END, BY_REVERSAL, BY_SIGNAL, UNIT

CHUNK = 16  # trades of each that are found before they are booked: all of it stays near
FOUND = np.dtype(
    [
        ("signal", np.int32),
        ("exit", np.int32),  # candle
        ("how", np.int32),  # what rule ends it before the table does, 0 where none does
        ("reversal", np.int32),
    ],
    align=True,
)


@borrowing
def is_free(ground, risk):
    """Say whether money cannot decide which trades happen, but for refusals of their size."""
    waits = risk.cooldown > 0.0 or risk.daily_loss_limit > 0.0
    return not waits and len(ground.tiers.each) == 0 and len(ground.pays) == 1


@borrowing
def walk_abreast(ground, room, rows, start, lanes, risks, costs, grids, out):
    """Walk combinations with the same rules side by side: those of `rows` from `start` on.

    What they have come to is left in `room.lanes` and `out`; each has to be walked to its end.
    """
    last, a, width = len(ground.prices) - 1, room.accounts[0], len(room.lanes)
    for n in range(lanes):
        s = rows.setting[start + n]
        open_account(a, n, room.lanes[n], risks[s], costs[s], grids[s])
    busy = True
    while busy:
        most, busy = _take(ground, room, rows, start, lanes, risks, costs, grids), False
        for k in range(most):
            _bring(ground, room, rows, start, lanes, k, costs, grids)
        for k in range(most):
            if settle(room.books[k], a, k, width) != 0:
                _part(room, k)
        for k in range(most):
            if tally(room.books[k], a, k, width) != 0:
                _look(ground, room, k)
        for k in range(most):
            for n in range(lanes):
                if k < a.count[n]:
                    _mark(ground, room, n, k, out[rows.row[start + n]])
        for n in range(lanes):
            lane = room.lanes[n]
            busy |= lane.ended == GOES_ON and room.signals.at[lane.signal] < last
    for n in range(lanes):
        close_account(a, n, room.lanes[n], out[rows.row[start + n]])
    a.count[:] = 0


@borrowing
def _take(ground, room, rows, start, lanes, risks, costs, grids):
    # Find the next trades of each lane, and return how many it are at most.
    bits, signals = room.bits, room.signals
    at, spots, ends, last = signals.at, signals.spots, signals.ends, len(ground.prices) - 1
    for n in range(lanes):
        room.lanes[n].count = 0
    busy, most = True, np.int64(0)
    while busy:
        busy = False
        for n in range(lanes):
            lane = room.lanes[n]
            signal = lane.signal
            if lane.count == CHUNK or lane.ended != GOES_ON or at[signal] >= last:
                continue
            busy = True
            t, spot, reverses = rows.table[start + n], spots[signal], lane.reverses
            prefetch(room.tables, spot, t)
            x = np.int64(room.exits[spot, t])
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
            found = room.found[n, lane.count]
            found.signal, found.exit, found.how, found.reversal = signal, x, how, reverses
            lane.count += 1
            most = max(most, lane.count)
            lane.signal = first_from(bits, signals.firsts, after)
    for n in range(lanes):
        room.accounts[0].count[n] = room.lanes[n].count
    return most


@borrowing
def _find(ground, room, t, j, spot, risk, costs, g):
    one, stamp, side = room.tables[spot, t], room.stamps[t], 1 - 2 * (spot & 1)
    if one.stamp != stamp:
        words = Words(room.stop[t], room.take[t], room.trail[t], room.slip[t], room.ahead[t])
        find_exit(one, stamp, ground, words, j, spot >> 1, side, risk, costs, g, room.p[0])
    room.exits[spot, t] = one.candle
    return np.int64(one.candle)


@borrowing
def _bring(ground, room, rows, start, lanes, k, costs, grids):
    # What is known of trade k of each lane before it is booked. A lane without one keeps an older
    # one, so that it calculates with numbers.
    signals, times, length, its = room.signals, ground.times, ground.timeframe_ms, room.books[k]
    for n in range(lanes):
        if k >= room.accounts[0].count[n]:
            continue
        found, t = room.found[n, k], rows.table[start + n]
        spot, e, x = signals.spots[found.signal], signals.at[found.signal] + 1, found.exit
        one, side = room.tables[spot, t], 1 - 2 * (spot & 1)
        leave, time, how = one.exit, one.held * length, one.how
        if found.how != 0:
            s, how = rows.setting[start + n], found.how
            loss = slip_at(costs[s], room.slip[t], x)
            leave, time = (
                slipped(ground.prices[x, OPEN], -side, loss, grids[s]),
                times[x] - times[e],
            )
        its.side[n], its.reversal[n], its.estimate[n] = side, found.reversal, one.estimate
        its.entry[n], its.leave[n], its.stop[n] = one.entry, leave, one.stop
        its.lowest[n], its.highest[n], its.time[n] = one.lowest, one.highest, time
        its.inside[n] = 1 if x > e else 0
        its.exact[n] = 1 if found.how == 0 and how != BY_END else 0
        its.ambiguous[n] = 1 if how & AMBIGUOUS != 0 else 0
        found.how = how


@borrowing
def _part(room, k):
    # A lane whose trade k is refused goes on alone, from this signal on; a refused reversal is
    # over, since what it turned has ended all the same.
    a, its = room.accounts[0], room.books[k]
    for n in range(len(room.lanes)):
        if its.wrong[n] != 0:
            lane, found = room.lanes[n], room.found[n, k]
            a.count[n], lane.ended, lane.signal = k, ALONE, found.signal
            if found.reversal != 0:
                lane.signal += 1
                if not 0 < its.after[n] < MOST * UNIT:
                    lane.ended = ANEW


@borrowing
def _look(ground, room, k):
    # At the closes inside trades of which bounds do not say enough.
    a, its, at = room.accounts[0], room.books[k], room.signals.at
    for n in range(len(room.lanes)):
        if its.wrong[n] != 0:
            found = room.found[n, k]
            bad, peak, low, deepest, _ = follow(
                ground.prices, ground.blocks, at[found.signal] + 1, found.exit,
                its.decided[n] / UNIT, its.held[n], its.entry[n], 0.0, 0.0,
                a.peak[n], a.low[n], a.deepest[n],
            )  # fmt: skip
            if not np.isnan(bad):
                _give_up(room, n)
            peak, low, deepest = climb(its.after[n] / UNIT, peak, low, deepest)
            a.peak[n], a.low[n], a.deepest[n] = peak, low, deepest


@borrowing
def _mark(ground, room, n, k, out):
    # The equity at the ends of the days up to the exit of trade k.
    prices, ends, marks = ground.prices, ground.ends, room.marks[n]
    lane, its, found = room.lanes[n], room.books[k], room.found[n, k]
    e, x, how = room.signals.at[found.signal] + 1, found.exit, found.how
    day = lane.day
    if ends[day] < x:
        flat, value, held, entry = (
            its.before[n] / UNIT,
            its.decided[n] / UNIT,
            its.held[n],
            its.entry[n],
        )
        while ends[day] < e:
            marks[day] = flat
            day += 1
        while ends[day] < x:
            marks[day] = value + held * (prices[ends[day], CLOSE] - entry)
            day += 1
        lane.day = day
    if how & REASON == BY_END:
        out.open_at_end += 1
        if not 0.0 < its.decided[n] / UNIT + its.held[n] * (prices[x, CLOSE] - its.entry[n]) < MOST:
            _give_up(room, n)


@borrowing
def _give_up(room, n):
    room.lanes[n].ended, room.accounts[0].count[n] = ANEW, 0
