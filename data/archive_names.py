"""What a name in the archive's form says of the rows: BTCUSDT-1h-2023-03-04.zip is of one day."""

import re
from dataclasses import dataclass

import numpy as np

from data.kinds import KINDS

_WORDS = "|".join(kind.archive for kind in KINDS.values() if not kind.has_timeframe)
_NAME = re.compile(
    r"(?:^|[-_ ])(?P<symbol>[^\W_]+(?:_[0-9]{6})?)"
    rf"-(?P<word>[1-9][0-9]*(?:ms|mo|[smhdwM])|{_WORDS})"
    r"-(?P<period>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)\.(?:zip|csv|csv\.gz)$"
)


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
