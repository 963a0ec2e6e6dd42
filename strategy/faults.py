"""What makes a row of numbers no candle."""

import numpy as np

from strategy.kernel import kernel
from strategy.windows import month_of

FAULTS = {
    1: "its time is not after the one before",
    2: "its time is off the grid of the timeframe",
    3: "a price or the volume is NaN or infinite",
    4: "a price is not positive or the volume is negative",
    5: "open or close lies outside low and high",
}


@kernel
def first_fault(open_time, step, offset, o, h, l, c, v):  # noqa: E741
    """Return the first row that cannot be a candle and the number of its fault, or -1 and 0."""
    last = np.int64(-(2**62))
    for i in range(len(open_time)):
        t = open_time[i]
        if t <= last:
            return i, 1
        # The usual case first: the next grid time. The division costs more than all other checks
        # together. Candles of a month have no step.
        if t - last != step and (month_of(t)[0] != t if step == 0 else (t - offset) % step != 0):
            return i, 2
        total = o[i] + h[i] + l[i] + c[i] + v[i]
        if total - total != 0.0:  # NaN or infinite
            return i, 3
        if not (l[i] > 0.0 and v[i] >= 0.0):
            return i, 4
        if not (l[i] <= o[i] <= h[i] and l[i] <= c[i] <= h[i]):
            return i, 5
        last = t
    return -1, 0
