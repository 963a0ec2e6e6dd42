"""Lengths of candles: names such as 1m and 4h, in milliseconds."""

import re

from strategy.errors import WickError

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
# What the exchange itself has candles of.
EXCHANGE_TIMEFRAMES = tuple("1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w".split())
# 1970-01-01 was a Thursday; weeks are counted from Monday 1970-01-05, as the exchange counts them.
_WEEK_OFFSET_MS = 4 * 86_400_000
DAY_MS = 86_400_000


def timeframe_ms(timeframe: str) -> int:
    """Return the length of a timeframe in milliseconds.

    Raises
    ------
    WickError
        The name is not a whole number followed by ms, s, m, h, d or w.

    Examples
    --------
    >>> timeframe_ms("15m")
    900000
    """
    match = re.fullmatch(r"([1-9]\d*)(ms|s|m|h|d|w)", str(timeframe))
    if match is None:
        raise WickError(
            f"unknown timeframe {timeframe!r}, expected a number and a unit such as 1m, 15m or 4h",
            f"known: {' '.join(EXCHANGE_TIMEFRAMES)}",
        )
    return int(match[1]) * _UNIT_MS[match[2]]


def timeframe_offset_ms(timeframe: str) -> int:
    """Return where the grid of a timeframe is anchored, in ms after 1970-01-01 00:00 UTC."""
    return _WEEK_OFFSET_MS if timeframe.endswith("w") else 0
