"""What the last values of a column have in common: sum, extremes, spread, rank, slope.

A NaN or an infinity starts each of them anew, so they have no value while they would look at one.
Windows are cut into blocks as long as they are: a window is the end of one block and the beginning
of the next, and both are known without taking anything away from a running figure. So rounding
does not pile up, and what has left a window leaves no trace.
"""

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.averages import sliding_sum
from strategy.indicators.by_value import where
from strategy.indicators.calls import number, one, whole_lengths
from strategy.indicators.past import with_past
from strategy.kernel import kernel


def rolling_max(x: Column, length: int) -> Column:
    """Highest of the last `length` values, this one included.

    First valid at index length - 1. A NaN or an infinity starts it anew. Equals TA-Lib's MAX.
    """
    return one("rolling_max", _extreme, [x], length, 3, per_value=1, more=(1.0,))


def rolling_min(x: Column, length: int) -> Column:
    """Lowest of the last `length` values, this one included.

    First valid at index length - 1. A NaN or an infinity starts it anew. Equals TA-Lib's MIN.
    """
    return one("rolling_min", _extreme, [x], length, 3, per_value=1, more=(-1.0,))


def rolling_sum(x: Column, length: int) -> Column:
    """Sum of the last `length` values.

    First valid at index length - 1. The running sum is taken anew every `length` values, so
    rounding does not pile up. A NaN or an infinity starts it anew. Equals TA-Lib's SUM.
    """
    return one("rolling_sum", sliding_sum, [x], length, 4, per_value=1, more=(1.0,))


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
    share = number("rolling_percentile", "percent", percent, 0.0, 100.0) / 100.0
    return one(
        "rolling_percentile", _rolling_percentile, [x], length, 2, per_value=2, more=(share,)
    )


def linear_regression_slope(x: Column, length: int = 14) -> Column:
    """Slope of the straight line through the last `length` values, in units of `x` a candle.

    The line of least squares; `length` is at least 2. First valid at index length - 1. A NaN or an
    infinity starts it anew. Equals TA-Lib's LINEARREG_SLOPE.
    """
    name = "linear_regression_slope"
    return one(name, _slope, [x], length, state_size=4, per_value=2, least=2)


def moments(x: Column, length: int) -> tuple[Column, ...]:
    (n,) = whole_lengths("rolling_std", length=length)
    timeframe = same_timeframe("rolling_std", [x])
    return stateful("rolling_std", timeframe, _moments, [x], (n,), 4 + 2 * n)


@kernel
def _extreme(x, length, sign, state):
    # The highest of sign * x, so the lowest of x for sign -1. state: values in this block, whether
    # there is one before, this block's highest; then this block's values and, not yet overwritten,
    # the highest of each end of the last block.
    ends = state[3:]
    out = np.empty(len(x))
    at, before, top = int(state[0]), state[1], state[2]
    for i in range(len(x)):
        out[i] = np.nan
        if x[i] - x[i] != 0.0:
            at, before = 0, 0.0
            continue
        value = sign * x[i]
        ends[at] = value
        top = value if at == 0 or value > top else top
        at += 1
        if at < length:
            if before > 0.0:
                out[i] = sign * max(ends[at], top)
            continue
        out[i] = sign * top
        at, before = 0, 1.0
        for j in range(length - 2, -1, -1):
            ends[j] = max(ends[j + 1], ends[j])
    state[0], state[1], state[2] = float(at), before, top
    return out


@kernel
def _moments(x, length, state):
    # state: values in this block, whether there is one before, mean and sum of squared deviations
    # of this block; then both for each end of the last block, as in _extreme.
    means, squares = state[4 : 4 + length], state[4 + length :]
    out_mean, out_std = np.empty(len(x)), np.empty(len(x))
    at, before, mean, square = int(state[0]), state[1], state[2], state[3]
    for i in range(len(x)):
        out_mean[i], out_std[i] = np.nan, np.nan
        if x[i] - x[i] != 0.0:
            at, before, mean, square = 0, 0.0, 0.0, 0.0
            continue
        means[at] = x[i]
        at += 1
        away = x[i] - mean
        mean += away * (1.0 / at)
        square += away * (x[i] - mean)
        if at < length:
            if before > 0.0:  # put the end of the last block and the beginning of this one together
                share = at / length
                away = mean - means[at]
                out_mean[i] = means[at] + away * share
                all_squares = squares[at] + square + away * away * (share * (length - at))
                out_std[i] = np.sqrt(all_squares / length)
            continue
        out_mean[i], out_std[i] = mean, np.sqrt(square / length)
        at, before, mean, square = 0, 1.0, 0.0, 0.0
        for j in range(length - 1, -1, -1):
            away = means[j] - mean
            mean += away * (1.0 / (length - j))
            square += away * (means[j] - mean)
            means[j], squares[j] = mean, square
        mean, square = 0.0, 0.0
    state[0], state[1], state[2], state[3] = float(at), before, mean, square
    return out_mean, out_std


@kernel
def _slope(x, length, state):
    # state: as in _moments, with the sum of the products of both deviations, of the value and of
    # its place, for the sum of squares.
    means, products = state[4 : 4 + length], state[4 + length :]
    out = np.empty(len(x))
    at, before, mean, product = int(state[0]), state[1], state[2], state[3]
    places = length * (float(length) * length - 1.0) / 12.0  # squared deviations of 1, 2, …, length
    for i in range(len(x)):
        out[i] = np.nan
        if x[i] - x[i] != 0.0:
            at, before, mean, product = 0, 0.0, 0.0, 0.0
            continue
        means[at] = x[i]
        away = x[i] - mean
        product += away * (0.5 * at)
        at += 1
        mean += away * (1.0 / at)
        if at < length:
            if before > 0.0:
                both = (mean - means[at]) * (0.5 * at * (length - at))
                out[i] = (products[at] + product + both) / places
            continue
        out[i] = product / places
        at, before, mean, product = 0, 1.0, 0.0, 0.0
        for j in range(length - 1, -1, -1):
            away = means[j] - mean
            product -= away * (0.5 * (length - 1 - j))
            mean += away * (1.0 / (length - j))
            means[j], products[j] = mean, product
        mean, product = 0.0, 0.0
    state[0], state[1], state[2], state[3] = float(at), before, mean, product
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
def _rolling_percentile(x, length, share, state):
    # state: values since the start, where the oldest lies; then the window as it came, and sorted
    window, ranked = state[2 : 2 + length], state[2 + length :]
    out = np.empty(len(x))
    seen, at = int(state[0]), int(state[1])
    place = share * (length - 1)
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
