"""A queue of symbols by time: a binary heap, ties in configured order."""

from strategy.kernel import borrowing


@borrowing
def push(times, symbols, size, time, s):
    """Put symbol s behind all that come earlier; `times` and `symbols` hold ``size`` entries."""
    at = size
    while at > 0:
        up = (at - 1) // 2
        if not _before(time, s, times[up], symbols[up]):
            break
        times[at], symbols[at] = times[up], symbols[up]
        at = up
    times[at], symbols[at] = time, s


@borrowing
def pop(times, symbols, size):
    """Take out the first of ``size`` entries and return its symbol."""
    first = symbols[0]
    time, s, end = times[size - 1], symbols[size - 1], size - 1
    at, down = 0, 1
    while down < end:
        if down + 1 < end and _before(
            times[down + 1], symbols[down + 1], times[down], symbols[down]
        ):
            down += 1
        if not _before(times[down], symbols[down], time, s):
            break
        times[at], symbols[at] = times[down], symbols[down]
        at, down = down, 2 * down + 1
    times[at], symbols[at] = time, s
    return first


@borrowing
def _before(time, s, other_time, other):
    return time < other_time or (time == other_time and s < other)
