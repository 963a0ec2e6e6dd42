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


# Kernels that put a window together from the end of one block of `length` values and the beginning
# of the next keep one array, `ends`, for both: below `at` the values of this block as they came,
# from `at` on a figure of the last block's values from there to its end, at `length` nothing.


@kernel
def opened(state, ends, length):
    # How many values of its block a kernel has read: state[0] is that plus one, and 0 at first.
    if state[0] == 0.0:
        state[0] = 1.0
        ends[:length] = np.nan
    return int(state[0]) - 1


@kernel
def forgotten(ends, at, length):
    # No block before: every figure of a window is NaN. Behind NaN after NaN there is nothing to do.
    full = ends[length - 1] == ends[length - 1]
    ends[: length if full else at] = np.nan
    return 0


@kernel
def finite_from(x, begin, most):
    # How many values from `begin` on come before a NaN, an infinity or the end; at most `most`.
    count = min(most, len(x) - begin)
    done = 0
    # Blocks without a branch are looked at eight values at once: a fifth of the time.
    while done + 64 <= count:
        block = x[begin + done : begin + done + 64]
        bad = np.uint8(0)
        for j in range(64):
            bad |= np.uint8(block[j] - block[j] != 0.0)
        if bad != 0:
            break
        done += 64
    while done < count and x[begin + done] - x[begin + done] == 0.0:
        done += 1
    return done
