"""Rows that must lie in the day or month that the name of their file says."""

import numpy as np
from numpy.typing import NDArray

from data.archive_names import archive_name
from data.dates import show_time
from data.manifest import Series
from data.table import period_end_ms, period_start_ms
from strategy.errors import WickError
from strategy.timeframes import DAY_MS, longest_ms

# By how much rows of a day may lie outside: metrics of midnight belong to the day that ends.
_SLACK_MS = 600_000


def refuse_other_times(name: str, series: Series, times: NDArray[np.int64]) -> None:
    """Look whether rows lie in the day or month that the name of their file says, if it says one.

    Raises
    ------
    WickError
        They do not.
    """
    its = archive_name(name)
    if its is None:
        return
    # A week or a month can begin before the file that holds it.
    slack = longest_ms(series.timeframe) if series.timeframe else _SLACK_MS
    slack = 0 if series.timeframe and slack <= DAY_MS else slack
    start, end = period_start_ms(its.period), period_end_ms(its.period)
    outside = times[(times < start - slack) | (times >= end + slack)]
    if len(outside):
        raise WickError(
            f"{name} holds {series.its_kind.plural} of {show_time(int(outside[0]))} UTC, not"
            " of its own time",
            "nothing of this file was stored; if its rows are right, give it another name, or take"
            f" {its.period} of it with --from and --to",
        )
