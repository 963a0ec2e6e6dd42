"""Kernels that tumble base candles into higher ones and bring their values back to the base."""

import numpy as np

from strategy.kernel import kernel
from strategy.timeframes import DAY_MS

FIRST, MAX, MIN, LAST, SUM = 0, 1, 2, 3, 4
_NONE, _OPEN, _CLOSED, _PARTIAL = 0, 1, 2, 3


@kernel
def windows_kernel(open_time, base_ms, length_ms, offset_ms, state):
    """Cut base candles into windows; return those that became known in this chunk.

    Parameters
    ----------
    open_time : int64 (n,)
    base_ms, length_ms : int
        Lengths of a base candle and of a window; 0 stands for UTC calendar months.
    offset_ms : int
        Where windows are anchored, in ms after 1970-01-01.
    state : float64 (2,)
        When the last window opened, and what is known of it.

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
    months = length_ms == 0
    shortest = 28 * DAY_MS if months else length_ms
    most = 0 if n == 0 else min(n + 1, (open_time[n - 1] - open_time[0]) // shortest + 3)
    opens = np.empty(most, np.int64)
    start = np.empty(most, np.int64)
    end = np.empty(most, np.int64)
    known = np.empty(most, np.int64)
    window, status = np.int64(state[0]), state[1]
    k, i, begin = 0, 0, 0
    length, step = length_ms, base_ms  # a month's are those of the window at hand
    bars = 0 if months else length // step - 1
    # Times increase on a grid, so without a gap they need not be read one by one.
    gapless = n > 0 and open_time[n - 1] - open_time[0] == (n - 1) * base_ms
    while i < n:
        t = open_time[0] + i * base_ms if gapless else open_time[i]
        # 64-bit divisions would cost more than all the rest; the next window usually begins right
        # here
        whole = not months and t == window + length
        if months:
            its = window
            if not window <= t < window + length:
                its, length = month_of(t)
                step = base_ms if base_ms > 0 else length
        else:
            its = t if whole else t - (t - offset_ms) % length
        if status == _NONE or its != window:
            if status == _OPEN:  # its last candle is missing: known only now
                opens[k], start[k], end[k], known[k] = window, begin, i, i
                k += 1
            # What came before the history's first whole window would be a candle nobody else has.
            status = _PARTIAL if status == _NONE and t != its else _OPEN
            window, begin = its, i
        last = its + length - step
        j = i + (bars if whole else (last - t) // step)
        if j < n and (gapless or open_time[j] == last):  # all candles between are there too
            i = j
            t = last
        if t == last:
            if status == _OPEN:
                opens[k], start[k], end[k], known[k] = window, begin, i + 1, i
                k += 1
            status = _CLOSED
            # The whole windows that follow; a year of 5m and of 15m in 0.1 ms instead of 0.55.
            if gapless and not months:
                more, bars_each = (n - 1 - i) // (bars + 1), bars + 1
                its_opens, its_start = opens[k : k + more], start[k : k + more]
                its_end, its_known = end[k : k + more], known[k : k + more]
                for q in range(more):
                    its_opens[q], its_start[q] = window + (q + 1) * length, i + 1 + q * bars_each
                    its_end[q] = i + 1 + (q + 1) * bars_each
                    its_known[q] = i + (q + 1) * bars_each
                k, i, window = k + more, i + more * bars_each, window + more * length
            begin = i + 1
        i += 1
    state[0], state[1] = window, status
    tail = np.empty(1, np.int64)
    tail[0] = begin if status == _OPEN else n
    return opens[:k], start[:k], end[:k], known[:k], tail


@kernel
def month_of(time_ms):
    """Return when the UTC calendar month of an instant begins and how long it is, in ms."""
    day = time_ms // DAY_MS
    year = 1970 + day * 400 // 146_097  # days in 400 years: at most one year off
    year -= day < _new_year(year)
    year += day >= _new_year(year + 1)
    begins = _new_year(year)
    leap = _new_year(year + 1) - begins - 365
    length = 31
    for month in range(1, 12):
        if day < begins + length:
            break
        begins += length
        length = 28 + leap if month == 1 else 30 if month in (3, 5, 8, 10) else 31
    return begins * DAY_MS, length * DAY_MS


@kernel
def _new_year(year):
    # Days from 1970-01-01 to the first of January of a year of the Gregorian calendar.
    before = year - 1
    return 365 * (year - 1970) + before // 4 - before // 100 + before // 400 - 477


@kernel
def reduce_kernel(x, start, end, tail, how, state):
    """Fold one field over each window: first, maximum, minimum, last, or sum in order of time."""
    carried, value = state[0] > 0.0, state[1]
    out = np.empty(len(start))
    for j in range(len(start)):
        if how == LAST and end[j] > start[j]:  # the close, asked for most
            out[j] = x[np.uint64(end[j] - 1)]  # unsigned: it does not count from the end
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
    i, one = np.uint64(0), np.uint64(1)  # unsigned, it needs no look whether it counts from the end
    for j in range(len(known)):
        while i < np.uint64(known[j]):
            out[i] = value
            i += one
        value = x[j]
    out[np.int64(i) :] = value
    if len(known) > 0:
        state[0], state[1] = 1.0, value
    return out
