"""Moving averages."""

import numpy as np

from strategy.column import Column
from strategy.indicators.calls import one
from strategy.indicators.past import with_past
from strategy.kernel import kernel


def sma(x: Column, length: int) -> Column:
    """Simple moving average: the mean of the last `length` values.

    First valid at index length - 1. The running sum is taken anew every `length` values, so
    rounding does not pile up. Equals TA-Lib's SMA.
    """
    return one("sma", _sma, [x], length, state_size=4 + length)


def ema(x: Column, length: int) -> Column:
    """Exponential moving average with factor 2 / (length + 1), started from the mean of the first
    `length` values.

    First valid at index length - 1. Equals TA-Lib's EMA; pandas' ewm(adjust=False) starts from the
    first value and meets it only after some lengths.
    """
    return one("ema", _ema, [x], length, state_size=2)


@kernel
def _sma(x, length, state):
    # state: values since the start, running sum, sum of the current block, past values
    joined, filled = with_past(x, state[3:])
    out = np.empty(len(x))
    seen, total, block = int(state[0]), state[1], state[2]
    left = length - seen % length
    for i in range(len(x)):
        if x[i] - x[i] != 0.0:
            seen, left, total, block = 0, length, 0.0, 0.0
            out[i] = np.nan
            continue
        if seen >= length:
            total -= joined[filled + i - length]
        total += x[i]
        block += x[i]
        seen += 1
        left -= 1
        if left == 0:  # the block is the whole window: drop the rounding gathered so far
            total, block, left = block, 0.0, length
        out[i] = total / length if seen >= length else np.nan
    state[0], state[1], state[2] = float(seen), total, block
    return out


@kernel
def _ema(x, length, state):
    n, i = len(x), 0
    out = np.empty(n)
    seen, value = state[0], state[1]
    b = 2.0 / (length + 1.0)
    a = 1.0 - b
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
    n = len(out)
    piece, early = (n - begin) // 4, int(64.0 / b)
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
