"""What a name in the archive's form says of the rows: BTCUSDT-1h-2023-03-04.zip is of one day."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.dates import show_time
from data.kinds import KINDS
from data.manifest import Series
from data.table import period_end_ms, period_start_ms
from strategy.errors import WickError
from strategy.timeframes import DAY_MS, longest_ms

_WORDS = "|".join(kind.archive for kind in KINDS.values() if not kind.has_timeframe)
_NAME = re.compile(
    r"(?:^|[-_ ])(?P<symbol>[^\W_]+(?:_[0-9]{6})?)"
    rf"-(?P<word>[1-9][0-9]*(?:ms|mo|[smhdwM])|{_WORDS})"
    r"-(?P<period>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)\.(?:zip|csv|csv\.gz)$"
)
# By how much rows of a day may lie outside: metrics of midnight belong to the day that ends.
_SLACK_MS = 600_000


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """The parts of a name such as BTCUSDT-aggTrades-2023-03-04: `word` is the timeframe or kind."""

    symbol: str
    word: str
    period: str


def archive_name(name: str) -> ArchiveName | None:
    """Take a name in the archive's form apart; None for any other."""
    found = _NAME.search(name)
    if found is None:
        return None
    try:
        np.datetime64(found["period"])
    except ValueError:
        return None
    return ArchiveName(found["symbol"], found["word"], found["period"])


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
