"""The length of candles told from when they open."""

import numpy as np
from numpy.typing import NDArray

from strategy.timeframes import (
    DAY_MS,
    EXCHANGE_TIMEFRAMES,
    MONTH,
    month_numbers,
    month_opens,
    timeframe_ms,
)

# Fewer candles could be any that lie far apart.
_LEAST_CANDLES = 3
_UNITS = ((3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


def spacing(open_time: NDArray[np.int64]) -> str:
    """Name the timeframe by which most candles follow each other, "" where that is not clear.

    Parameters
    ----------
    open_time : int64 array
        UTC milliseconds in any order.
    """
    times = np.unique(open_time)
    if len(times) < _LEAST_CANDLES:
        return ""
    steps = np.diff(times)
    if steps.min() >= 28 * DAY_MS and np.all(month_opens(month_numbers(times)) == times):
        return MONTH
    step = int(steps.min())
    if np.any(steps % step) or np.count_nonzero(steps == step) * 2 < len(steps):
        return ""
    known = {timeframe_ms(name): name for name in EXCHANGE_TIMEFRAMES}
    if step in known:
        return known[step]
    return next(f"{step // length}{unit}" for length, unit in _UNITS if step % length == 0)
