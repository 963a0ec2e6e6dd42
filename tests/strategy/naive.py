"""Slow, obvious twins of the indicators, written from their definitions in plain Python.

Lists go in and come out; NaN stands for "no value". Nothing here is taken over from the kernels:
windows are cut out and summed each time, and sums are exact (math.fsum).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from strategy.timeframes import timeframe_ms, timeframe_offset_ms

NAN = math.nan
Values = Sequence[float]


def over_runs(function: Callable[..., list[float]], *inputs: Values) -> list[float]:
    """Apply a function to each stretch without NaN by itself: a NaN makes it begin anew."""
    n = len(inputs[0])
    out = [NAN] * n
    i = 0
    while i < n:
        if any(math.isnan(x[i]) for x in inputs):
            i += 1
            continue
        j = i
        while j < n and not any(math.isnan(x[j]) for x in inputs):
            j += 1
        out[i:j] = function(*(list(x[i:j]) for x in inputs))
        i = j
    return out


def mean(values: Values) -> float:
    return math.fsum(values) / len(values)


def sma(x: Values, length: int) -> list[float]:
    def run(x: list[float]) -> list[float]:
        return [mean(x[i - length + 1 : i + 1]) if i >= length - 1 else NAN for i in range(len(x))]

    return over_runs(run, x)


def ema(x: Values, length: int) -> list[float]:
    def run(x: list[float]) -> list[float]:
        out = [NAN] * len(x)
        for i in range(length - 1, len(x)):
            if i == length - 1:
                out[i] = mean(x[:length])
            else:
                out[i] = out[i - 1] + 2 / (length + 1) * (x[i] - out[i - 1])
        return out

    return over_runs(run, x)


def wilder(x: Values, length: int) -> list[float]:
    """Average from index 1 on: the mean of `length` values, then one part in `length`."""
    out = [NAN] * len(x)
    for i in range(length, len(x)):
        if i == length:
            out[i] = mean(x[1 : length + 1])
        else:
            out[i] = (out[i - 1] * (length - 1) + x[i]) / length
    return out


def rsi(x: Values, length: int) -> list[float]:
    def run(x: list[float]) -> list[float]:
        changes = [NAN] + [b - a for a, b in itertools.pairwise(x)]
        gains = wilder([change if change > 0 else 0.0 for change in changes], length)
        losses = wilder([-change if change < 0 else 0.0 for change in changes], length)
        return [strength(gain, loss) for gain, loss in zip(gains, losses, strict=True)]

    return over_runs(run, x)


def strength(gain: float, loss: float) -> float:
    if math.isnan(gain):
        return NAN
    if gain == 0 and loss == 0:
        return 50.0
    if loss == 0:
        return 100.0
    return 100 - 100 / (1 + gain / loss)


def atr(high: Values, low: Values, close: Values, length: int) -> list[float]:
    def run(high: list[float], low: list[float], close: list[float]) -> list[float]:
        ranges = [NAN]
        for i in range(1, len(close)):
            before = close[i - 1]
            ranges.append(max(high[i] - low[i], abs(high[i] - before), abs(low[i] - before)))
        return wilder(ranges, length)

    return over_runs(run, high, low, close)


def previous(x: Values, n: int) -> list[float]:
    return [x[i - n] if i >= n else NAN for i in range(len(x))]


def roc(x: Values, length: int) -> list[float]:
    return [
        (now - before) / before * 100 for now, before in zip(x, previous(x, length), strict=True)
    ]


def macd(x: Values, fast: int, slow: int, signal: int) -> tuple[list[float], ...]:
    line = [a - b for a, b in zip(ema(x, fast), ema(x, slow), strict=True)]
    average = ema(line, signal)
    # Before the signal line is warm, the kernel's histogram is not either.
    return line, average, [a - b for a, b in zip(line, average, strict=True)]


def stochastic(
    high: Values,
    low: Values,
    close: Values,
    length: int,
    smooth: int,
    signal: int,
    least: float = 0.0,
) -> tuple[list[float], list[float]]:
    raw = []
    for i in range(len(close)):
        highs, lows = high[max(0, i - length + 1) : i + 1], low[max(0, i - length + 1) : i + 1]
        if len(highs) < length or any(math.isnan(v) for v in [*highs, *lows, close[i]]):
            raw.append(NAN)
        elif max(highs) - min(lows) <= least:
            raw.append(50.0)
        else:
            raw.append((close[i] - min(lows)) / (max(highs) - min(lows)) * 100)
    k = sma(raw, smooth)
    return k, sma(k, signal)


def resample(
    times: Sequence[int],
    fields: dict[str, Values],
    base_ms: int,
    window: Callable[[int], tuple[int, int]],
) -> tuple[list[int], dict[str, list[float]], list[int]]:
    """Group candles by window, from open to close: opens, fields, and the candle that makes each
    known."""
    members: dict[int, list[int]] = {}
    for i, t in enumerate(times):
        members.setdefault(window(t)[0], []).append(i)
    if times and times[0] not in members:
        members.pop(min(members))  # the history begins inside this window
    opens, known = [], []
    out: dict[str, list[float]] = {name: [] for name in fields}
    for opened, inside in sorted(members.items()):
        last = inside[-1]
        complete = times[last] + base_ms == window(opened)[1]
        if not complete and last + 1 == len(times):
            continue  # may still go on
        opens.append(opened)
        known.append(last if complete else last + 1)
        for name, values in fields.items():
            out[name].append(fold(name, [values[i] for i in inside]))
    return opens, out, known


def window_of(timeframe: str) -> Callable[[int], tuple[int, int]]:
    """Return what gives the open and the close of the window an instant lies in."""
    if timeframe == "1M":
        return month_window
    length, offset = timeframe_ms(timeframe), timeframe_offset_ms(timeframe)

    def window(t: int) -> tuple[int, int]:
        opens = (t - offset) // length * length + offset
        return opens, opens + length

    return window


def month_window(t: int) -> tuple[int, int]:
    """Return when the UTC month of an instant begins, and when the next one does."""
    first = datetime.fromtimestamp(t // 86_400_000 * 86_400, UTC).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return round(first.timestamp()) * 1000, round(following.timestamp()) * 1000


def fold(name: str, values: list[float]) -> float:
    if name == "open":
        return values[0]
    if name == "close":
        return values[-1]
    if name == "high":
        return max(values)
    if name == "low":
        return min(values)
    total = 0.0
    for value in values:
        total += value
    return total


def align(values: Values, known: Sequence[int], count: int) -> list[float]:
    """Give each base candle the value of the newest window known by then."""
    out = []
    for i in range(count):
        seen = [value for value, at in zip(values, known, strict=True) if at <= i]
        out.append(seen[-1] if seen else NAN)
    return out
