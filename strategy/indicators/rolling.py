"""What the last values of a column have in common: sum, extremes, spread, rank, slope.

A NaN or an infinity starts each of them anew, so they have no value while they would look at one.
Values are cut into blocks as long as the window, so that a window is the end of one block and the
beginning of the next, and both are known without taking anything away from a running figure. So
rounding does not pile up, and what has left a window leaves no trace.
"""

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.averages import sliding_sum
from strategy.indicators.by_value import where
from strategy.indicators.calls import number, one, whole_lengths
from strategy.indicators.past import finite_from, forgotten, opened, with_past
from strategy.kernel import kernel


def rolling_max(x: Column, length: int) -> Column:
    """Highest of the last `length` values, this one included.

    First valid at index length - 1. A NaN or an infinity starts it anew. Equals TA-Lib's MAX.
    """
    return one("rolling_max", _highest, [x], length, 3, per_value=1)


def rolling_min(x: Column, length: int) -> Column:
    """Lowest of the last `length` values, this one included.

    First valid at index length - 1. A NaN or an infinity starts it anew. Equals TA-Lib's MIN.
    """
    return one("rolling_min", _lowest, [x], length, 3, per_value=1)


def rolling_sum(x: Column, length: int) -> Column:
    """Sum of the last `length` values.

    First valid at index length - 1. The running sum is taken anew every `length` values, so
    rounding does not pile up. A NaN or an infinity starts it anew. Equals TA-Lib's SUM.
    """
    return one("rolling_sum", _sum, [x], length, 4, per_value=1)


def rolling_std(x: Column, length: int) -> Column:
    """Standard deviation of the last `length` values, of the population: divided by `length`.

    First valid at index length - 1. Values that are all equal give exactly 0, and small noise on a
    large price keeps its digits: squares of deviations are added up, never squares of prices. A NaN
    or an infinity starts it anew. Source: T. Chan, G. Golub and R. LeVeque, Updating Formulae and a
    Pairwise Algorithm for Computing Sample Variances, 1979. Equals TA-Lib's STDDEV, but for the
    digits that one loses; pandas' rolling().std() divides by length - 1 unless told ddof=0.
    """
    return moments(x, length)[1]


def zscore(x: Column, length: int) -> Column:
    """How many standard deviations a value stands above the mean of the last `length`, itself
    included.

    ``(x - mean) / rolling_std(x, length)``; values that are all equal give 0 (neither above nor
    below). First valid at index length - 1. A NaN or an infinity starts it anew. TA-Lib has none.
    """
    mean, deviation = moments(x, length)
    # Where there is no deviation it is 0 itself, or NaN while it is not warm.
    return where(deviation > 0.0, (x - mean) / deviation, deviation)


def rolling_rank(x: Column, length: int) -> Column:
    """Rank of a value among the last `length`, itself included: 1 is the lowest, `length` the
    highest.

    Equal values share the mean of their ranks, as in pandas' rolling().rank(). First valid at index
    length - 1. A NaN or an infinity starts it anew. A candle costs time in proportion to `length`.
    TA-Lib has none.
    """
    return one("rolling_rank", _rolling_rank, [x], length, state_size=2, per_value=1)


def rolling_percentile(x: Column, length: int, percent: float = 50.0) -> Column:
    """Value below which `percent` of the last `length` values lie; 50 is the median.

    Between two values it is interpolated linearly: with the values sorted, at position ``percent /
    100 * (length - 1)`` from 0, bit for bit as numpy.percentile. First valid at index length - 1. A
    NaN or an infinity starts it anew. A candle costs time in proportion to `length`. TA-Lib has
    none.

    Raises
    ------
    WickError
        `percent` is not from 0 to 100.
    """
    asked = number("rolling_percentile", "percent", percent, 0.0, 100.0)
    return one(
        "rolling_percentile", _rolling_percentile, [x], length, 2, per_value=2, more=(asked,)
    )


def linear_regression_slope(x: Column, length: int = 14) -> Column:
    """Slope of the straight line through the last `length` values, in units of `x` a candle.

    The line of least squares; `length` is at least 2. First valid at index length - 1. A NaN or an
    infinity starts it anew. Equals TA-Lib's LINEARREG_SLOPE.
    """
    name = "linear_regression_slope"
    return one(name, _slope, [x], length, state_size=7, per_value=2, least=2)


def moments(x: Column, length: int) -> tuple[Column, ...]:
    (n,) = whole_lengths("rolling_std", length=length)
    timeframe = same_timeframe("rolling_std", [x])
    return stateful("rolling_std", timeframe, _moments, [x], (n,), 7 + 2 * n)


@kernel
def _sum(x, length, state):
    return sliding_sum(x, length, 1.0, state)


@kernel
def _highest(x, length, state):
    return extreme(x, length, 1.0, state)


@kernel
def _lowest(x, length, state):
    return extreme(x, length, -1.0, state)


@kernel
def extreme(x, length, sign, state):
    # The highest of sign * x, so the lowest of x for sign -1.
    if length <= 64:
        return _short_extreme(x, length, sign, state[:length])
    top, ends = state[1], state[2:]
    at = opened(state, ends, length)
    out = np.empty(len(x))
    i = 0
    while i < len(x):
        stop = i + finite_from(x, i, length - at)
        for j in range(i, stop):
            value = sign * x[j]
            ends[at] = value
            at += 1
            top = max(value, top) if at > 1 else value
            out[j] = sign * max(ends[at], top)
        i = stop
        if at == length:
            out[i - 1] = sign * top
            for j in range(length - 2, -1, -1):
                top = max(ends[j], ends[j + 1])
                ends[j] = top
            at = 0
        elif i < len(x):
            out[i] = np.nan
            i += 1
            at = forgotten(ends, at, length)
    state[0], state[1] = at + 1.0, top
    return out


@kernel
def _short_extreme(x, length, sign, state):
    # Every window by itself: a candle takes the more steps the longer it is, live too, but eight
    # candles are taken at a time. Half the time of blocks, and less, as long as it is short.
    seen = 0
    for value in state[1 : 1 + int(state[0])]:
        seen = seen + 1 if value - value == 0.0 else 0
    clean = seen == int(state[0]) and finite_from(x, 0, len(x)) == len(x)
    out = np.empty(len(x))
    head = x[: length - 1]
    joined, filled = with_past(head, state)
    cold = min(max(length - 1 - filled, 0), len(x))
    out[:cold] = np.nan
    _windows(joined, length, sign, out[cold : len(head)])
    _windows(x, length, sign, out[len(head) :])
    if len(x) >= length:
        state[1:] = x[len(x) - length + 1 :]
    if not clean:
        for i in range(len(x)):
            seen = seen + 1 if x[i] - x[i] == 0.0 else 0
            out[i] = out[i] if seen >= length else np.nan
    return out


@kernel
def _windows(x, length, sign, out):
    # out[i] is the extreme of x[i : i + length], put together from two of half the length, and
    # those from two of a quarter: some hundred candles at once, which stay in the nearest cache.
    if length == 1:
        out[:] = x
        return
    one, two = np.empty(512 + length), np.empty(512 + length)
    for begin in range(0, len(out), 512):
        count = min(512, len(out) - begin)
        values, width = x[begin : begin + count + length - 1], 1
        while 2 * width < length:
            free = one[: len(values) - width]
            _further(values, width, sign, free)
            values, width = free, 2 * width
            one, two = two, one
        _further(values, length - width, sign, out[begin : begin + count])


@kernel
def _further(x, lag, sign, out):
    later = x[lag:]
    if sign > 0.0:
        for i in range(len(out)):
            out[i] = max(later[i], x[i])
    else:
        for i in range(len(out)):
            out[i] = min(later[i], x[i])


@kernel
def _moments(x, length, state):
    # The mean, and the root of the mean squared deviation from it. Means are taken from a value of
    # the window, the first of this block and the last of the one before: so they are small numbers.
    total, square, first, last = state[1], state[2], state[3], state[4]
    means, squares = state[5 : 6 + length], state[6 + length :]
    at = opened(state, means, length)
    out_mean, out_std = np.empty(len(x)), np.empty(len(x))
    part, i = 1.0 / length, 0
    while i < len(x):
        stop = i + finite_from(x, i, length - at)
        first = x[i] if at == 0 else first
        mean = total * (1.0 / max(at, 1))
        for j in range(i, stop):
            means[at] = x[j]
            at += 1
            value = x[j] - first
            away = value - mean
            total += value
            mean = total * (1.0 / at)
            square += away * (value - mean)
            # Put the end of the last block and the beginning of this one together.
            away = (first - last) + (mean - means[at])
            out_mean[j] = last + (means[at] + away * (at * part))
            between = away * away * (at * part * (length - at))
            out_std[j] = np.sqrt((squares[at] + square + between) * part)
        i = stop
        if at == length:
            out_mean[i - 1], out_std[i - 1] = first + mean, np.sqrt(square * part)
            last, total, square, mean = x[i - 1], 0.0, 0.0, 0.0
            for j in range(length - 1, -1, -1):
                value = means[j] - last
                away = value - mean
                total += value
                mean = total * (1.0 / (length - j))
                square += away * (value - mean)
                means[j], squares[j] = mean, square
            at, total, square = 0, 0.0, 0.0
        elif i < len(x):
            out_mean[i], out_std[i] = np.nan, np.nan
            i += 1
            at, total, square = forgotten(means, at, length), 0.0, 0.0
    state[0], state[1], state[2], state[3], state[4] = at + 1.0, total, square, first, last
    return out_mean, out_std


@kernel
def _slope(x, length, state):
    # As _moments, with products of two deviations, of the value and of its place, for squares.
    total, product, first, last = state[1], state[2], state[3], state[4]
    means, products = state[5 : 6 + length], state[6 + length :]
    at = opened(state, means, length)
    out = np.empty(len(x))
    part, i = (
        12.0 / (length * (float(length) * length - 1.0)),
        0,
    )  # by squares of places' deviations
    while i < len(x):
        stop = i + finite_from(x, i, length - at)
        first = x[i] if at == 0 else first
        mean = total * (1.0 / max(at, 1))
        for j in range(i, stop):
            means[at] = x[j]
            value = x[j] - first
            product += (value - mean) * (0.5 * at)
            at += 1
            total += value
            mean = total * (1.0 / at)
            away = (first - last) + (mean - means[at])
            out[j] = (products[at] + product + away * (0.5 * at * (length - at))) * part
        i = stop
        if at == length:
            out[i - 1] = product * part
            last, total, product, mean = x[i - 1], 0.0, 0.0, 0.0
            for j in range(length - 1, -1, -1):
                value = means[j] - last
                product -= (value - mean) * (0.5 * (length - 1 - j))
                total += value
                mean = total * (1.0 / (length - j))
                means[j], products[j] = mean, product
            at, total, product = 0, 0.0, 0.0
        elif i < len(x):
            out[i] = np.nan
            i += 1
            at, total, product = forgotten(means, at, length), 0.0, 0.0
    state[0], state[1], state[2], state[3], state[4] = at + 1.0, total, product, first, last
    return out


@kernel
def _rolling_rank(x, length, state):
    joined, filled = with_past(x, state[1:])
    out = np.empty(len(x))
    seen = state[0]
    for i in range(len(x)):
        seen = seen + 1.0 if x[i] - x[i] == 0.0 else 0.0
        out[i] = np.nan
        if seen < length:
            continue
        below, equal = 0, 0
        for j in range(filled + i - length + 1, filled + i + 1):
            below += joined[j] < x[i]
            equal += joined[j] == x[i]
        out[i] = below + 0.5 * (equal + 1)
    state[0] = seen
    return out


@kernel
def _rolling_percentile(x, length, percent, state):
    # state: values since the start, where the oldest lies; then the window as it came, and sorted
    window, ranked = state[2 : 2 + length], state[2 + length :]
    out = np.empty(len(x))
    seen, at = int(state[0]), int(state[1])
    place = percent / 100.0 * (length - 1)
    low = int(place)
    high, part = min(low + 1, length - 1), place - low
    for i in range(len(x)):
        out[i] = np.nan
        if x[i] - x[i] != 0.0:
            seen, at = 0, 0
            continue
        if seen < length:
            gap = seen
            seen += 1
        else:
            gap = np.searchsorted(ranked, window[at])
        window[at] = x[i]
        at = at + 1 if at + 1 < length else 0
        # Move what lies between the place that became free and the one where the value belongs.
        while gap > 0 and ranked[gap - 1] > x[i]:
            ranked[gap] = ranked[gap - 1]
            gap -= 1
        while gap + 1 < seen and ranked[gap + 1] < x[i]:
            ranked[gap] = ranked[gap + 1]
            gap += 1
        ranked[gap] = x[i]
        if seen == length:
            spread = ranked[high] - ranked[low]
            if part < 0.5:
                out[i] = ranked[low] + spread * part
            else:
                out[i] = ranked[high] - spread * (1.0 - part)
    state[0], state[1] = float(seen), float(at)
    return out
