"""Kernels that tumble base candles into higher ones and bring their values back to the base."""

import numpy as np

from strategy.kernel import kernel

FIRST, MAX, MIN, LAST, SUM = 0, 1, 2, 3, 4
_NONE, _OPEN, _CLOSED, _PARTIAL = 0, 1, 2, 3


@kernel
def windows_kernel(open_time, base_ms, length_ms, offset_ms, state):
    """Cut base candles into windows; return those that became known in this chunk.

    Returns
    -------
    opens : int64 (k,)
        Time at which each window opened.
    start, end : int64 (k,)
        Positions of the window's base candles in this chunk; earlier ones are in the carried state.
    known : int64 (k,)
        Position of the base candle at whose close the window is known.
    tail : int64 (1,)
        Where the unfinished window starts in this chunk.
    """
    n = len(open_time)
    most = 0 if n == 0 else min(n + 1, (open_time[n - 1] - open_time[0]) // length_ms + 3)
    opens = np.empty(most, np.int64)
    start = np.empty(most, np.int64)
    end = np.empty(most, np.int64)
    known = np.empty(most, np.int64)
    window, status = np.int64(state[0]), state[1]
    k, i, begin = 0, 0, 0
    bars = length_ms // base_ms - 1
    # Times increase on a grid, so without a gap they need not be read one by one.
    gapless = n > 0 and open_time[n - 1] - open_time[0] == (n - 1) * base_ms
    while i < n:
        t = open_time[0] + i * base_ms if gapless else open_time[i]
        # 64-bit divisions would cost more than all the rest; the next window usually begins right
        # here
        whole = t == window + length_ms
        its = t if whole else t - (t - offset_ms) % length_ms
        if status == _NONE or its != window:
            if status == _OPEN:  # its last candle is missing: known only now
                opens[k], start[k], end[k], known[k] = window, begin, i, i
                k += 1
            # What came before the history's first whole window would be a candle nobody else has.
            status = _PARTIAL if status == _NONE and t != its else _OPEN
            window, begin = its, i
        last = its + length_ms - base_ms
        j = i + (bars if whole else (last - t) // base_ms)
        if j < n and (gapless or open_time[j] == last):  # all candles between are there too
            i = j
            t = last
        if t == last:
            if status == _OPEN:
                opens[k], start[k], end[k], known[k] = window, begin, i + 1, i
                k += 1
            status = _CLOSED
            # The whole windows that follow; a year of 5m and of 15m in 0.31 ms instead of 0.55.
            while gapless and i + 1 + bars < n:
                window += length_ms
                opens[k], start[k], end[k], known[k] = window, i + 1, i + 2 + bars, i + 1 + bars
                k += 1
                i += 1 + bars
            begin = i + 1
        i += 1
    state[0], state[1] = window, status
    tail = np.empty(1, np.int64)
    tail[0] = begin if status == _OPEN else n
    return opens[:k], start[:k], end[:k], known[:k], tail


@kernel
def reduce_kernel(x, start, end, tail, how, state):
    """Fold one field over each window: first, maximum, minimum, last, or sum in order of time."""
    carried, value = state[0] > 0.0, state[1]
    out = np.empty(len(start))
    for j in range(len(start)):
        if how == LAST and end[j] > start[j]:  # the close, asked for most
            out[j] = x[end[j] - 1]
            carried = False
            continue
        value = _fold(x, start[j], end[j], how, carried, value)
        out[j] = value
        carried = False
    if tail[0] < len(x):
        value = _fold(x, tail[0], len(x), how, carried, value)
        carried = True
    state[0], state[1] = 1.0 if carried else 0.0, value
    return out


@kernel
def _fold(x, begin, stop, how, carried, value):
    if begin >= stop:
        return value
    if how == LAST:
        return x[stop - 1]
    if how == FIRST:
        return value if carried else x[begin]
    if not carried:
        value = x[begin]
        begin += 1
    if how == MAX:
        for i in range(begin, stop):
            value = max(value, x[i])
    elif how == MIN:
        for i in range(begin, stop):
            value = min(value, x[i])
    else:
        for i in range(begin, stop):
            value += x[i]
    return value


@kernel
def align_kernel(x, known, base_time, state):
    """Repeat each value from the base candle at which it is known until the next; NaN before the
    first."""
    n = len(base_time)
    out = np.empty(n)
    value = state[1] if state[0] > 0.0 else np.nan
    i = 0
    for j in range(len(known)):
        out[i : known[j]] = value  # as a slice it takes half the time of a loop
        i = known[j]
        value = x[j]
    out[i:] = value
    if len(known) > 0:
        state[0], state[1] = 1.0, value
    return out
