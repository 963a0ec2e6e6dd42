"""How much of each month is there: candles present against those of the grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategy.timeframes import MONTH, grid_of, month_numbers, month_opens


@dataclass(frozen=True, slots=True)
class MonthShare:
    """The candles of one UTC month, such as 2023-01, between a series' first and last."""

    month: str
    present: int
    expected: int

    @property
    def whole(self) -> bool:
        """None is missing."""
        return self.present >= self.expected


def percent(share: MonthShare) -> str:
    """Write the share in percent, never rounded up to 100: a candle of a month is 0.002 %."""
    tenths = 1000 * share.present // max(share.expected, 1)
    return "100" if share.whole else f"{tenths / 10:.1f}"


def coverage(open_time: NDArray[np.int64], timeframe: str) -> list[MonthShare]:
    """Count the candles of each month from the first candle to the last.

    Parameters
    ----------
    open_time : int64 array
        UTC milliseconds, increasing.
    timeframe : str
        Of these candles.
    """
    if not len(open_time):
        return []
    first, last = month_numbers(open_time[[0, -1]])
    edges = month_opens(np.arange(first, last + 2))
    present = np.diff(np.searchsorted(open_time, edges))
    if timeframe == MONTH:
        expected = np.ones(len(present), np.int64)
    else:
        length, offset = grid_of(timeframe)
        within = np.clip(edges, open_time[0], open_time[-1] + 1)
        expected = np.diff(-((offset - within) // length))
    months = edges[:-1].astype("datetime64[ms]").astype("datetime64[M]")
    return [
        MonthShare(str(month), int(there), int(all_of_them))
        for month, there, all_of_them in zip(months, present, expected, strict=True)
    ]
