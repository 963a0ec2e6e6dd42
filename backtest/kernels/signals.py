"""The entry signals of one combination's rules as lists, shared by all that have these rules."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.bits import (
    ENTRY,
    EXIT_LONG,
    EXIT_SHORT,
    LONG,
    UNION,
    ones,
    trailing_zeros,
)
from strategy.kernel import borrowing, part

FAR = 8  # signals ahead whose exits are asked for


class Signals(NamedTuple):
    """Entry signals in the order of time.

    Attributes
    ----------
    at : int32 (signals + FAR + 1,)
        Candles; behind the last one stands the last candle, at which nothing can be entered.
    spots : int32 (signals + FAR + 1,)
        Twice the place in the tables of exits, plus 1 for a short.
    ends : int32 (signals + FAR + 1,)
        The first candle after it whose rules close such a position.
    firsts : int32 (w,)
        How many stand before each word of 64 candles.
    """

    at: NDArray[np.int32]
    spots: NDArray[np.int32]
    ends: NDArray[np.int32]
    firsts: NDArray[np.int32]


@borrowing
def list_signals(bits, last, signals):
    """Fill in all lists."""
    at, spots, firsts = signals.at, signals.spots, signals.firsts
    count, before = 0, np.int64(0)
    for k in range(bits.shape[1]):
        firsts[k] = count
        word, union = bits[ENTRY, k], bits[UNION, k]
        while word != np.uint64(0):
            bit = trailing_zeros(word)
            low = (np.uint64(1) << np.uint64(bit)) - np.uint64(1)
            if k * 64 + bit < last:
                short = 0 if (bits[LONG, k] >> np.uint64(bit)) & np.uint64(1) != np.uint64(0) else 1
                at[count] = k * 64 + bit
                spots[count] = 2 * (before + ones(union & low)) + short
                count += 1
            word &= word - np.uint64(1)
        before += ones(union)
    for behind in range(FAR + 1):
        at[count + behind], spots[count + behind] = last, 0
    _list_ends(bits, count, last + 1, signals)


@borrowing
def _list_ends(bits, count, never, signals):
    at, spots, ends, firsts = signals.at, signals.spots, signals.ends, signals.firsts
    long, short, signal = never, never, count - 1
    for k in range(bits.shape[1] - 1, -1, -1):
        while signal >= firsts[k]:
            is_long = spots[signal] & 1 == 0
            word = bits[EXIT_LONG if is_long else EXIT_SHORT, k]
            word = (word >> np.uint64(at[signal] & 63)) >> np.uint64(1)
            if word != np.uint64(0):
                ends[signal] = at[signal] + 1 + trailing_zeros(word)
            else:
                ends[signal] = long if is_long else short
            signal -= 1
        if bits[EXIT_LONG, k] != np.uint64(0):
            long = k * 64 + trailing_zeros(bits[EXIT_LONG, k])
        if bits[EXIT_SHORT, k] != np.uint64(0):
            short = k * 64 + trailing_zeros(bits[EXIT_SHORT, k])


@part
def first_from(bits, firsts, i):
    """Return which entry signal is the first one at or after candle i."""
    k, below = i >> 6, (np.uint64(1) << np.uint64(i & 63)) - np.uint64(1)
    return firsts[k] + ones(bits[ENTRY, k] & below)
