"""Slow, obvious twins of what looks at the last values: weights, spread, rank, slope, channels."""

import itertools
import math
from collections.abc import Callable

from tests.strategy import naive
from tests.strategy.naive import NAN, Values, mean, over_runs


def over_windows(x: Values, length: int, figure: Callable[[list[float]], float]) -> list[float]:
    """Take a figure of each window of `length` values that holds no NaN."""

    def run(x: list[float]) -> list[float]:
        ends = range(1, len(x) + 1)
        return [figure(x[end - length : end]) if end >= length else NAN for end in ends]

    return over_runs(run, x)


def total(x: Values, length: int) -> list[float]:
    return over_windows(x, length, math.fsum)


def highest(x: Values, length: int) -> list[float]:
    return over_windows(x, length, max)


def lowest(x: Values, length: int) -> list[float]:
    return over_windows(x, length, min)


def deviation(values: Values, fewer: int = 0) -> float:
    if min(values) == max(values):
        return 0.0
    middle = mean(values)
    return math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (len(values) - fewer))


def std(x: Values, length: int) -> list[float]:
    return over_windows(x, length, deviation)


def zscore(x: Values, length: int) -> list[float]:
    def figure(window: list[float]) -> float:
        spread = deviation(window)
        return (window[-1] - mean(window)) / spread if spread > 0 else 0.0

    return over_windows(x, length, figure)


def rank(x: Values, length: int) -> list[float]:
    def figure(window: list[float]) -> float:
        places = [at for at, v in enumerate(sorted(window), start=1) if v == window[-1]]
        return mean(places)

    return over_windows(x, length, figure)


def percentile(x: Values, length: int, percent: float) -> list[float]:
    def figure(window: list[float]) -> float:
        ranked = sorted(window)
        place = percent / 100 * (length - 1)
        low = math.floor(place)
        high = min(low + 1, length - 1)
        return ranked[low] * (1 - (place - low)) + ranked[high] * (place - low)

    return over_windows(x, length, figure)


def slope(x: Values, length: int) -> list[float]:
    places = [at - (length - 1) / 2 for at in range(length)]

    def figure(window: list[float]) -> float:
        middle = mean(window)
        both = math.fsum(p * (v - middle) for p, v in zip(places, window, strict=True))
        return both / math.fsum(p * p for p in places)

    return over_windows(x, length, figure)


def wma(x: Values, length: int) -> list[float]:
    def figure(window: list[float]) -> float:
        weighted = math.fsum(weight * v for weight, v in enumerate(window, start=1))
        return weighted / sum(range(1, length + 1))

    return over_windows(x, length, figure)


def hull(x: Values, length: int) -> list[float]:
    half, whole = wma(x, int(length / 2)), wma(x, length)
    return wma([2 * a - b for a, b in zip(half, whole, strict=True)], int(math.sqrt(length)))


def wilder(x: Values, length: int) -> list[float]:
    # The twin of RSI and ATR averages from the second value on.
    return over_runs(lambda run: naive.wilder([NAN, *run], length)[1:], x)


def dema(x: Values, length: int) -> list[float]:
    once = naive.ema(x, length)
    return [2 * a - b for a, b in zip(once, naive.ema(once, length), strict=True)]


def around(middle: Values, width: Values, multiple: float) -> tuple[list[float], ...]:
    upper = [m + multiple * w for m, w in zip(middle, width, strict=True)]
    lower = [m - multiple * w for m, w in zip(middle, width, strict=True)]
    return upper, list(middle), lower


def donchian(high: Values, low: Values, length: int) -> tuple[list[float], ...]:
    top, bottom = highest(high, length), lowest(low, length)
    return top, [(a + b) / 2 for a, b in zip(top, bottom, strict=True)], bottom


def true_range(high: Values, low: Values, close: Values) -> list[float]:
    out = [NAN] * len(close)
    for i in range(1, len(close)):
        before = close[i - 1]
        if not math.isnan(high[i] + low[i] + close[i] + before):
            out[i] = max(high[i] - low[i], abs(high[i] - before), abs(low[i] - before))
    return out


def realized_volatility(x: Values, length: int, candles_a_year: float) -> list[float]:
    returns = [math.log(now / before) for before, now in itertools.pairwise(x)]
    deviations = over_windows([NAN, *returns], length, lambda w: deviation(w, fewer=1))
    return [d * math.sqrt(candles_a_year) for d in deviations][: len(x)]


def stoch_rsi(
    x: Values, length: int, window: int, smooth: int, signal: int
) -> tuple[list[float], list[float]]:
    strength = naive.rsi(x, length)
    return naive.stochastic(strength, strength, strength, window, smooth, signal, least=1e-9)
