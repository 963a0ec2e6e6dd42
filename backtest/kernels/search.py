"""Finding candles and signals."""

import numpy as np

from strategy.kernel import kernel
from strategy.rules import ENTER_LONG, ENTER_SHORT


@kernel
def entry_candles(flags):
    """Return the positions of the candles with an entry flag, in order."""
    at = np.empty(len(flags), np.int64)
    count = 0
    # Most blocks say nothing, and a whole one is looked at in a few instructions.
    for start in range(0, len(flags), 64):
        block = flags[start : start + 64]
        said = np.uint8(0)
        for i in range(len(block)):
            said |= block[i]
        if said & (ENTER_LONG | ENTER_SHORT) != 0:
            for i in range(len(block)):
                if block[i] & (ENTER_LONG | ENTER_SHORT) != 0:
                    at[count] = start + i
                    count += 1
    return at[:count].copy()


@kernel
def search(x, low, stop, value, guess):
    """Return the first position from low on with x >= value.

    Without gaps it is low + guess; then one look is enough.
    """
    if low + guess < stop and x[low + guess] == value:
        return low + guess
    high = stop
    while low < high:
        middle = (low + high) // 2
        if x[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
