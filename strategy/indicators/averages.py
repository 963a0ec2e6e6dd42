"""Moving averages."""

import math

import numpy as np

from strategy.column import Column
from strategy.indicators.calls import one, whole_lengths
from strategy.indicators.past import finite_from, forgotten, opened
from strategy.kernel import kernel


def sma(x: Column, length: int) -> Column:
    """Simple moving average: the mean of the last `length` values.

    First valid at index length - 1. The running sum is taken anew every `length` values, so
    rounding does not pile up. Equals TA-Lib's SMA.
    """
    return one("sma", _sma, [x], length, 4, per_value=1)


def ema(x: Column, length: int) -> Column:
    """Exponential moving average with factor 2 / (length + 1), started from the mean of the first
    `length` values.

    First valid at index length - 1. Equals TA-Lib's EMA; pandas' ewm(adjust=False) starts from the
    first value and meets it only after some lengths.
    """
    return one("ema", _ema, [x], length, state_size=2)


def wilder(x: Column, length: int) -> Column:
    """Wilder's average, ``(before * (length - 1) + now) / length``, started from the mean of the
    first `length` values.

    First valid at index length - 1. It is what RSI and ATR smooth with; others call it RMA or SMMA.
    A NaN or an infinity starts it anew. Source: J. W. Wilder, New Concepts in Technical Trading
    Systems, 1978. TA-Lib has it only inside other functions; pandas' ewm(alpha=1/length) starts
    from the first value and meets it only after some lengths.
    """
    return one("wilder", _wilder, [x], length, state_size=2)


def wma(x: Column, length: int) -> Column:
    """Weighted moving average: the oldest of the last `length` values counts once, the newest
    `length` times.

    First valid at index length - 1. Nothing is ever subtracted, so rounding does not pile up. A NaN
    or an infinity starts it anew. Equals TA-Lib's WMA.
    """
    return one("wma", _wma, [x], length, 5, per_value=2)


def dema(x: Column, length: int) -> Column:
    """Double exponential moving average: ``2 * ema(x) - ema(ema(x))``, which lags less than `ema`.

    First valid at index 2 * length - 2. A NaN or an infinity starts it anew. Source: P. Mulloy,
    Technical Analysis of Stocks & Commodities, February 1994. Equals TA-Lib's DEMA.
    """
    whole_lengths("dema", length=length)
    once = ema(x, length)
    return 2.0 * once - ema(once, length)


def hull(x: Column, length: int) -> Column:
    """Hull moving average: ``wma(2 * wma(x, length / 2) - wma(x, length), sqrt(length))``.

    Both shorter lengths are rounded down, as in Hull's own formula; `length` is at least 2.
    First valid at index length + floor(sqrt(length)) - 2. A NaN or an infinity starts it anew.
    Source: A. Hull, https://alanhull.com/hull-moving-average. TA-Lib has none.
    """
    whole_lengths("hull", least=2, length=length)
    raw = 2.0 * wma(x, length // 2) - wma(x, length)
    return wma(raw, math.isqrt(length))


@kernel
def _sma(x, length, state):
    return sliding_sum(x, length, float(length), state)


@kernel
def sliding_sum(x, length, divisor, state):
    # state: values in the current block, whether there is one before, running sum, sum of the
    # current block; then the last values, each in the place it has in its block
    at, full, total, block, past = int(state[0]), state[1], state[2], state[3], state[4:]
    out = np.empty(len(x))
    for i in range(len(x)):
        if x[i] - x[i] != 0.0:
            at, full, total, block = 0, 0.0, 0.0, 0.0
            out[i] = np.nan
            continue
        if full > 0.0:
            total -= past[at]
        past[at] = x[i]
        total += x[i]
        block += x[i]
        at += 1
        if at == length:  # the block is the whole window: drop the rounding gathered so far
            at, full, total, block = 0, 1.0, block, 0.0
        out[i] = total / divisor if full > 0.0 else np.nan
    state[0], state[1], state[2], state[3] = float(at), full, total, block
    return out


@kernel
def _wma(x, length, state):
    # state: as past.opened says, with the sum and the weighted sum of this block and of the ends
    total, weighted = state[1], state[2]
    ends, weighted_ends = state[3 : 4 + length], state[4 + length :]
    at = opened(state, weighted_ends, length)
    out = np.empty(len(x))
    weights = length * (length + 1.0) / 2.0
    i = 0
    while i < len(x):
        stop = i + finite_from(x, i, length - at)
        for j in range(i, stop):
            ends[at] = x[j]
            at += 1
            total += x[j]
            weighted += x[j] * at
            out[j] = (weighted_ends[at] + weighted + total * (length - at)) / weights
        i = stop
        if at == length:
            total, weighted = 0.0, 0.0
            for j in range(length - 1, -1, -1):
                total += ends[j]
                weighted += total
                ends[j], weighted_ends[j] = total, weighted
            at, total, weighted = 0, 0.0, 0.0
        elif i < len(x):
            out[i] = np.nan
            i += 1
            at, total, weighted = forgotten(weighted_ends, at, length), 0.0, 0.0
    state[0], state[1], state[2] = at + 1.0, total, weighted
    return out


@kernel
def _ema(x, length, state):
    b = 2.0 / (length + 1.0)
    return _from_mean(x, length, 1.0 - b, b, state)


@kernel
def _wilder(x, length, state):
    b = 1.0 / length
    return _from_mean(x, length, (length - 1.0) * b, b, state)


@kernel
def _from_mean(x, length, a, b, state):
    n, i = len(x), 0
    out = np.empty(n)
    seen, value = state[0], state[1]
    while i < n:
        while i < n and seen < length:  # the mean of the first values
            if x[i] - x[i] == 0.0:
                value += x[i]
                seen += 1.0
            else:
                seen, value = 0.0, 0.0
            out[i] = np.nan
            if seen == length:
                value /= length
                out[i] = value
            i += 1
        i, value = smooth(x, i, a, b, value, out)
        if value != value:  # a NaN came in: start anew behind it
            seen, value = 0.0, 0.0
    state[0], state[1] = seen, value
    return out


@kernel
def smooth(x, begin, a, b, value, out):
    # out[i] = out[i - 1] * a + x[i] * b from `begin` up to a NaN; returns the position behind and
    # the last value. Each value waits six cycles for the one before, so four pieces run side by
    # side; the later ones begin early, from a guess, which is soon forgotten to the last bit. Where
    # it is not, the plain loop does it again: the result is always the plain loop's.
    # Pieces end before the first NaN: tried again over all that follows each of many, they would
    # take a second instead of some milliseconds.
    n = len(out)
    piece, early = finite_from(x, begin, n - begin) // 4, int(64.0 / b)
    if piece > 2 * early:
        x0, o0 = x[begin:], out[begin:]
        x1, o1 = x0[piece:], o0[piece:]
        x2, o2 = x1[piece:], o1[piece:]
        x3, o3 = x2[piece:], o2[piece:]
        v0, v1, v2, v3 = value, value, value, value
        for i in range(piece - early, piece):
            v1, v2, v3 = v1 * a + x0[i] * b, v2 * a + x1[i] * b, v3 * a + x2[i] * b
        guess1, guess2, guess3 = v1, v2, v3
        for i in range(piece):
            v0, v1 = v0 * a + x0[i] * b, v1 * a + x1[i] * b
            v2, v3 = v2 * a + x2[i] * b, v3 * a + x3[i] * b
            o0[i], o1[i], o2[i], o3[i] = v0, v1, v2, v3
        if v0 == guess1 and v1 == guess2 and v2 == guess3 and v3 - v3 == 0.0:
            begin += 4 * piece
            value = v3
    for i in range(begin, n):
        value = value * a + x[i] * b
        if value - value != 0.0:  # NaN or infinite
            out[i] = np.nan
            return i + 1, np.nan
        out[i] = value
    return n, value
