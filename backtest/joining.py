"""The candles of all symbols as one: joined arrays and a common timeline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def join(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the arrays one behind the other; without a copy where they lie so in memory."""
    if len(parts) == 1:
        return parts[0]
    owner: Any = parts[0].base
    end = parts[0].ctypes.data
    for part in parts:
        if owner is None or part.base is not owner or part.ctypes.data != end:
            return np.concatenate(parts)
        end += part.nbytes
    start = (parts[0].ctypes.data - owner.ctypes.data) // owner.itemsize
    whole: NDArray[Any] = owner[start : start + sum(map(len, parts))]
    return whole


def offsets(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Return where each part of a joined array begins, and its end."""
    return np.cumsum([0, *lengths])


def timeline_of(times: Sequence[NDArray[np.int64]], step: int) -> NDArray[np.int64]:
    """Return the union of strictly increasing times that lie ``step`` apart or multiples of it."""
    longest = max(times, key=len)
    there = [one for one in times if len(one)]
    if not there or all(one is longest or _within(one, longest, step) for one in there):
        return longest
    first, last = min(int(one[0]) for one in there), max(int(one[-1]) for one in there)
    count = (last - first) // step + 1
    if count > 4 * sum(map(len, there)):  # rather sort than mark mostly empty places
        return np.unique(np.concatenate(there))
    marked = np.zeros(count, np.bool_)
    for one in there:
        if _is_gapless(one, step):
            begin = (int(one[0]) - first) // step
            marked[begin : begin + len(one)] = True
        else:
            marked[(one - first) // step] = True
    return first + step * np.flatnonzero(marked)


def _is_gapless(times: NDArray[np.int64], step: int) -> bool:
    return int(times[-1] - times[0]) == (len(times) - 1) * step


def _within(times: NDArray[np.int64], whole: NDArray[np.int64], step: int) -> bool:
    # Nothing has to be read where the longest history has no gap.
    if _is_gapless(whole, step):
        return bool(whole[0] <= times[0] and times[-1] <= whole[-1])
    return np.array_equal(times, whole)
