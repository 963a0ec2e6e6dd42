"""Combinations that agree in some of their values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def distinct(*columns: Ids) -> tuple[Ids, Ids]:
    """Number the distinct tuples of whole numbers, in their order.

    Returns
    -------
    ids : int64 (m,)
    first : int64 (groups,)
        A row of each.
    """
    ids, first = np.zeros(len(columns[0]), np.int64), np.zeros(min(len(columns[0]), 1), np.int64)
    for column in columns:
        # Both are below the number of rows, so that the product fits.
        width = int(column.max(initial=0)) + 1
        _, first, ids = np.unique(ids * width + column, return_index=True, return_inverse=True)
    return ids.astype(np.int64), first.astype(np.int64)


class Codes:
    """Values as small whole numbers: equal if and only if every bit is equal.

    Parameters
    ----------
    values : float64 (m, axes)
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        bits = np.ascontiguousarray(values.T).view(np.int64)
        self._axes = [np.unique(one, return_inverse=True)[1].astype(np.int64) for one in bits]
        self._none = np.zeros(len(values), np.int64)

    def groups(self, axes: Sequence[int], *more: Ids) -> tuple[Ids, Ids]:
        """Number the distinct combinations on some axes, together with other numbers before
        them; see `distinct`."""
        return distinct(self._none, *more, *(self._axes[axis] for axis in axes))
