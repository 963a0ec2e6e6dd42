"""How far and how long the equity lay below its highest value."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.kernel import kernel
from strategy.timeframes import DAY_MS

Floats = NDArray[np.float64]


def drawdown(equity: Floats, balance: float) -> Floats:
    """Return how far each value lies below the highest before it, as a share from -1 to 0."""
    peak = np.maximum(np.maximum.accumulate(equity), balance)
    below: Floats = equity / peak - 1.0
    return below


class _Deepest(NamedTuple):
    depth: float
    begin: int  # its first candle; the one before closed at the peak
    trough: int
    end: int  # the candle of its recovery, or the number of candles
    longest_ms: int
    below: int


def from_candles(
    time: NDArray[np.int64], equity: Floats, balance: float, timeframe_ms: int
) -> dict[str, float]:
    """Compute the figures of the drawdowns of the candles' curve."""
    n = len(time)
    found = _Deepest(*_drawdowns(time, equity, balance, timeframe_ms))
    peak = trough = recovery = length = math.nan
    if found.depth < 0.0:
        peak = time[found.begin - 1] + timeframe_ms if found.begin else time[0]
        trough = time[found.trough] + timeframe_ms
        recovery = time[found.end] + timeframe_ms if found.end < n else math.nan
        length = (recovery if found.end < n else time[-1] + timeframe_ms) - peak
    return {
        "max_drawdown": found.depth,
        "drawdown_peak": peak,
        "drawdown_trough": trough,
        "drawdown_recovery": recovery,
        "drawdown_length": length / DAY_MS,
        "recovery_days": (recovery - trough) / DAY_MS,
        "drawdown_days": found.longest_ms / DAY_MS,
        "under_water": found.below / n,
    }


def from_ends(equity: Floats) -> dict[str, float]:
    """Compute the figures of the drawdowns at the ends of days; the balance comes first."""
    depth = drawdown(equity[1:], float(equity[0]))
    below = depth < 0.0
    begins = np.flatnonzero(below[1:] & ~below[:-1]) + 1
    begins = np.concatenate(([0], begins)) if below[0] else begins
    # What lies between two drawdowns is 0 and changes no minimum.
    lows = np.minimum.reduceat(depth, begins) if len(begins) else depth[:0]
    return {
        "mean_drawdown": lows.sum() / len(lows) if len(lows) else math.nan,
        "ulcer": math.sqrt(np.dot(depth, depth) / len(depth)),
    }


@kernel
def _drawdowns(time, equity, balance, timeframe_ms):
    # Deepest fall below the highest value so far and where it was, the longest time spent below
    # one in ms, and how many closes were. It divides once a drawdown and not once a candle: a
    # quarter of the time.
    peak, since = balance, time[0]
    deepest, begin, trough, end, longest, below = 0.0, 0, 0, 0, np.int64(0), 0
    i, n = 0, len(equity)
    while i < n:
        if not equity[i] < peak:
            peak, since = equity[i], time[i] + timeframe_ms
            i += 1
            continue
        start = i
        i, lowest = _recovery(equity, start, peak)
        below += i - start
        depth = equity[lowest] / peak - 1.0
        if depth < deepest:
            deepest, begin, trough, end = depth, start, lowest, i
        longest = max(longest, time[i - 1] + timeframe_ms - since)
    return deepest, begin, trough, end, longest, below


@kernel
def _recovery(equity, start, peak):
    # Where the equity is back at a peak, or its length, and where it was lowest before. Most blocks
    # change neither, and a whole one is looked at in a few instructions.
    n, i, lowest = len(equity), start, start
    while i < n:
        block = equity[i : i + 64]
        low = equity[lowest]
        speaks = False
        for j in range(len(block)):
            speaks |= (not block[j] < peak) | (block[j] < low)
        if speaks:
            for j in range(len(block)):
                if not block[j] < peak:
                    return i + j, lowest
                if block[j] < equity[lowest]:
                    lowest = i + j
        i += len(block)
    return n, lowest
