"""Values of before: `previous`, and what kernels need that look back over a window."""

import numpy as np

from strategy.column import Column
from strategy.indicators.calls import one
from strategy.kernel import kernel


def previous(x: Column, n: int = 1) -> Column:
    """The value `n` candles ago, NaN included. First valid at index `n`."""
    return one("previous", _previous, [x], n, state_size=1, per_value=1)


@kernel
def _previous(x, length, state):
    joined, filled = with_past(x, state)
    out = np.empty(len(x))
    for i in range(len(x)):
        j = filled + i
        out[i] = joined[j - length] if j >= length else np.nan
    return out


@kernel
def with_past(x, state):
    # Put the remembered values before the new ones. state[0] counts how many of state[1:] are
    # filled.
    room = len(state) - 1
    filled = int(state[0])
    joined = np.empty(filled + len(x))
    for i in range(filled):
        joined[i] = state[1 + i]
    for i in range(len(x)):
        joined[filled + i] = x[i]
    keep = min(room, len(joined))
    for i in range(keep):
        state[1 + i] = joined[len(joined) - keep + i]
    state[0] = float(keep)
    return joined, filled


@kernel
def lowest(x, length):
    # Lowest of the last `length` values, NaN if one is NaN; right from index length - 1 on. A span
    # of two is the lower of two spans of one, and so on: a few passes, backwards so that they need
    # no second array, and with | instead of `or` so that they need no branch.
    out, span = x.copy(), 1
    while span < length:
        more = min(span, length - span)
        for i in range(len(x) - 1, more - 1, -1):
            now, before = out[i], out[i - more]
            out[i] = now if (now < before) | (now != now) else before
        span += more
    return out
