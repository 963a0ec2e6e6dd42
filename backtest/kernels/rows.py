"""Many combinations, one after the other, on shared masks and tables."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.abreast import LANES
from backtest.kernels.bits import ENTRY, EXIT_LONG, EXIT_SHORT, LONG, UNION, combine
from backtest.kernels.exits import Words
from backtest.kernels.lanes import is_free, walk_abreast
from backtest.kernels.signals import Signals, list_signals
from backtest.kernels.swept import ANEW, NEAR, begin
from backtest.kernels.walk import walk
from strategy.kernel import borrowing
from strategy.metrics.sums import spread_of


class Conditions(NamedTuple):
    """What the rules are made of.

    Attributes
    ----------
    programs : four of int64 (k, 2)
        Those of `backtest.kernels.bits.combine`, in the order of `strategy.rules.CONDITIONS`.
    words : uint64 (comparisons, w)
        The bits of every distinct comparison.
    chosen : int64 (masks, slots)
        Which ones a distinct set of rules is made of.
    """

    programs: Any
    words: NDArray[np.uint64]
    chosen: NDArray[np.int64]


class Rows(NamedTuple):
    """Combinations in the order in which they are walked.

    Attributes
    ----------
    row, mask, table, setting : int64 (m,)
        Where the result goes, and which set of rules, table and settings it has.
    """

    row: NDArray[np.int64]
    mask: NDArray[np.int64]
    table: NDArray[np.int64]
    setting: NDArray[np.int64]


class Room(NamedTuple):
    """One thread's own memory.

    Attributes
    ----------
    bits : uint64 (6, w)
        See `backtest.kernels.bits`.
    stack : uint64 (depth, w)
    signals : backtest.kernels.signals.Signals
    marks : float64 (LANES, days)
    returns : float64 (days,)
    p : record array of POSITION (1,)
    lanes : record array of WALK (LANES,)
    accounts : record array of ACCOUNTS (1,)
    books : record array of BOOK (CHUNK,)
    found : record array of FOUND (LANES, CHUNK)
    tables : record array of EXIT (2 * places, tables)
        Place by place long and short. Those of one place lie together: lanes come by there at about
        the same time.
    exits : int32 (2 * places, tables)
        Their field `candle`, below 0 where it is not known yet.
    stamps : int64 (tables,)
    stop, take : float64 (tables, places)
    trail, slip, ahead : float64 (tables, n)
    """

    bits: NDArray[np.uint64]
    stack: NDArray[np.uint64]
    signals: Signals
    marks: NDArray[np.float64]
    returns: NDArray[np.float64]
    p: Any
    lanes: Any
    accounts: Any
    books: Any
    found: Any
    tables: Any
    exits: NDArray[np.int32]
    stamps: NDArray[np.int64]
    stop: NDArray[np.float64]
    take: NDArray[np.float64]
    trail: NDArray[np.float64]
    slip: NDArray[np.float64]
    ahead: NDArray[np.float64]


@borrowing
def walk_rows(ground, conditions, rows, risks, costs, grids, room, out, trades, days):
    """Walk through combinations; their sums are left in `out`, and in `days`, float64 (m, days) or
    (0, 0), the equity at the end of each day."""
    current, last, start = np.int64(-1), len(ground.prices) - 1, 0
    while start < len(rows.row):
        if rows.mask[start] != current:
            current = rows.mask[start]
            mask_bits(conditions, current, room.stack, room.bits)
            list_signals(room.bits, last, room.signals)
        lanes = 0
        while (
            lanes < LANES
            and start + lanes < len(rows.row)
            and rows.mask[start + lanes] == current
            and is_free(ground, risks[rows.setting[start + lanes]])
        ):
            lanes += 1
        for n in range(max(lanes, 1)):
            begin(ground, room.lanes[n], room.marks[n], out[rows.row[start + n]])
        if lanes > 1:  # alone it is quicker alone
            walk_abreast(ground, room, rows, start, lanes, risks, costs, grids, out)
        for n in range(max(lanes, 1)):
            one, lane, marks = out[rows.row[start + n]], room.lanes[n], room.marks[n]
            t, s = rows.table[start + n], rows.setting[start + n]
            if lane.ended == ANEW:
                begin(ground, lane, marks, one)
            words = Words(room.stop[t], room.take[t], room.trail[t], room.slip[t], room.ahead[t])
            walk(
                ground, room.bits, room.signals, room.tables, t, room.stamps[t], words, risks[s],
                costs[s], grids[s], marks, room.p[0], lane, one, trades,
            )  # fmt: skip
            _finish(ground, marks, room.returns, one)
            if len(days) > 0:
                for d in range(len(marks)):
                    days[rows.row[start + n], d] = marks[d]
        start += max(lanes, 1)


@borrowing
def _finish(ground, marks, returns, one):
    if one.note != 0:
        # Where positions are liquidated, an account may also end at nothing.
        one.note = NEAR if len(ground.tiers.each) > 0 else one.note
        return
    value = ground.balance
    one.best_day, one.worst_day = -np.inf, np.inf
    for d in range(len(marks)):
        r = marks[d] / value - 1.0
        value, returns[d] = marks[d], r
        one.best_day, one.worst_day = max(one.best_day, r), min(one.worst_day, r)
    one.mean, one.second, one.downside = spread_of(returns)


@borrowing
def mask_bits(conditions, which, stack, out):
    """Evaluate one set of rules into the first four rows of bits."""
    chosen, words = conditions.chosen[which], conditions.words
    enter_long, enter_short, leave_long, leave_short = conditions.programs
    entry, long = out[ENTRY], out[LONG]
    exit_long, exit_short = out[EXIT_LONG], out[EXIT_SHORT]
    combine(enter_long, chosen, words, stack)
    for k in range(len(entry)):
        entry[k] = stack[0, k]
    combine(enter_short, chosen, words, stack)
    for k in range(len(entry)):
        both = entry[k] & stack[0, k]
        long[k] = entry[k] ^ both
        exit_long[k] = stack[0, k] ^ both
        exit_short[k] = long[k]
        entry[k] = long[k] | exit_long[k]
    if len(leave_long) > 0:
        combine(leave_long, chosen, words, stack)
        for k in range(len(entry)):
            exit_long[k] |= stack[0, k]
    if len(leave_short) > 0:
        combine(leave_short, chosen, words, stack)
        for k in range(len(entry)):
            exit_short[k] |= stack[0, k]


@borrowing
def unite(conditions, which, stack, bits, n):
    """Fill in the row UNION for these sets of rules; the last candle is left out, since nothing
    could fill after it."""
    for k in range(bits.shape[1]):
        bits[UNION, k] = np.uint64(0)
    for at in which:
        mask_bits(conditions, at, stack, bits)
        for k in range(bits.shape[1]):
            bits[UNION, k] |= bits[ENTRY, k]
    bits[UNION, (n - 1) >> 6] &= (np.uint64(1) << np.uint64((n - 1) & 63)) - np.uint64(1)
