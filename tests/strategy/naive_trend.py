"""Slow, obvious twins of the trend, trailing and distance indicators."""

import math
from collections.abc import Callable
from fractions import Fraction

from tests.strategy.naive import NAN, Values, atr, mean, over_runs, wilder


def movements(high: Values, low: Values) -> tuple[list[float], list[float]]:
    """Upward and downward movement from index 1 on: the larger of the two, where it is positive."""
    ups, downs = [NAN], [NAN]
    for i in range(1, len(high)):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        ups.append(up if up > down and up > 0 else 0.0)
        downs.append(down if down > up and down > 0 else 0.0)
    return ups, downs


def share(part: float, whole: float) -> float:
    return part if math.isnan(part) else 100 * part / whole if whole else 0.0


def over_runs_of(
    function: Callable[..., tuple[list[float], ...]], count: int, *inputs: Values
) -> tuple[list[float], ...]:
    """Apply a function of several results to each stretch without NaN by itself."""

    def one(at: int) -> list[float]:
        return over_runs(lambda *run: function(*run)[at], *inputs)

    return tuple(one(at) for at in range(count))


def adx(high: Values, low: Values, close: Values, length: int) -> tuple[list[float], ...]:
    def run(high: Values, low: Values, close: Values) -> tuple[list[float], ...]:
        spread = atr(high, low, close, length)
        plus, minus = (
            [share(part, whole) for part, whole in zip(wilder(moved, length), spread, strict=True)]
            for moved in movements(high, low)
        )
        index = [share(abs(a - b), a + b) for a, b in zip(plus, minus, strict=True)]
        # `wilder` starts from index 1; the first index lies at `length`.
        average = [NAN] * min(length - 1, len(close)) + wilder(index[length - 1 :], length)
        return average, plus, minus

    return over_runs_of(run, 3, high, low, close)


def aroon(high: Values, low: Values, length: int) -> tuple[list[float], ...]:
    def strength(x: list[float]) -> list[float]:
        out = [NAN] * min(length, len(x))
        for i in range(length, len(x)):
            newest_first = x[i - length : i + 1][::-1]
            out.append(100 * (length - newest_first.index(max(newest_first))) / length)
        return out

    up, down = over_runs(strength, high), over_runs(strength, [-x for x in low])
    return up, down, [a - b for a, b in zip(up, down, strict=True)]


def supertrend(
    high: Values, low: Values, close: Values, length: int, multiplier: float
) -> tuple[list[float], ...]:
    def run(high: Values, low: Values, close: Values) -> tuple[list[float], ...]:
        spread = atr(high, low, close, length)
        uppers, lowers, lines, directions = [NAN], [NAN], [NAN], [NAN]
        for i in range(1, len(close)):
            upper = (high[i] + low[i]) / 2 + multiplier * spread[i]
            lower = (high[i] + low[i]) / 2 - multiplier * spread[i]
            if close[i - 1] <= uppers[-1]:
                upper = min(upper, uppers[-1])
            if close[i - 1] >= lowers[-1]:
                lower = max(lower, lowers[-1])
            turns = close[i] > upper if directions[-1] == -1 else close[i] < lower
            if math.isnan(directions[-1]):
                directions.append(NAN if math.isnan(spread[i]) else -1.0)
            else:
                directions.append(-directions[-1] if turns else directions[-1])
            uppers.append(upper)
            lowers.append(lower)
            lines.append(lower if directions[-1] == 1 else upper)
        return lines[: len(close)], directions[: len(close)]

    return over_runs_of(run, 2, high, low, close)


def parabolic_sar(high: Values, low: Values, step: float, maximum: float) -> list[float]:
    def run(high: list[float], low: list[float]) -> list[float]:
        if len(high) < 2:
            return [NAN] * len(high)
        fell, rose = low[0] - low[1], high[1] - high[0]
        rising = not (fell > 0 and fell > rose)
        stop, extreme = (low[0], high[1]) if rising else (high[0], low[1])
        factor = min(step, maximum)
        out = [NAN]
        for i in range(1, len(high)):
            # The first candle's range does not bound the stop.
            highest, lowest = max(high[max(1, i - 1) : i + 1]), min(low[max(1, i - 1) : i + 1])
            if low[i] <= stop if rising else high[i] >= stop:
                rising = not rising
                stop = min(extreme, lowest) if rising else max(extreme, highest)
                extreme, factor = high[i] if rising else low[i], min(step, maximum)
                out.append(stop)
            else:
                out.append(stop)
                if high[i] > extreme if rising else low[i] < extreme:
                    extreme = high[i] if rising else low[i]
                    factor = min(factor + step, maximum)
            stop += factor * (extreme - stop)
            stop = min(stop, lowest) if rising else max(stop, highest)
        return out

    return over_runs(run, high, low)


def cci(high: Values, low: Values, close: Values, length: int) -> list[float]:
    def run(*fields: list[float]) -> list[float]:
        price = [(h + l + c) / 3.0 for h, l, c in zip(*fields, strict=True)]  # noqa: E741
        out = [NAN] * min(length - 1, len(price))
        for i in range(length - 1, len(price)):
            window = [Fraction(x) for x in price[i - length + 1 : i + 1]]
            average = sum(window) / length
            usual = mean([abs(float(x - average)) for x in window])
            out.append(
                float(window[-1] - average) / (0.015 * usual) if usual > 1e-13 * price[i] else 0.0
            )
        return out

    return over_runs(run, high, low, close)
