"""Lengths of candles: names such as 100ms, 1m and 4h in milliseconds, and 1M, a UTC month."""

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
# What the exchange itself has candles of, besides 1M.
EXCHANGE_TIMEFRAMES = tuple("1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w".split())
# 1970-01-01 was a Thursday; weeks are counted from Monday 1970-01-05, as the exchange counts them.
_WEEK_OFFSET_MS = 4 * 86_400_000
DAY_MS = 86_400_000
# Trades of one taker at one price within so many ms are one aggregate trade.
SHORTEST_MS = 100
YEAR_DAYS = 365
MONTH = "1M"
# How other programs and people write the units.
_WORDS = {
    "millisecond": "ms", "milli": "ms", "msec": "ms", "second": "s", "sec": "s", "minute": "m",
    "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w", "wk": "w", "month": "M",
    "mon": "M", "mo": "M",
}  # fmt: skip


def grid_of(timeframe: str) -> tuple[int, int]:
    """Return the grid that candles of a timeframe open on.

    Returns
    -------
    length_ms : int
        Length of a candle; 0 for 1M, since months differ.
    offset_ms : int
        An instant at which a candle opens, in ms after 1970-01-01 00:00 UTC.

    Raises
    ------
    WickError
        The name is neither 1M nor a whole number followed by ms, s, m, h, d or w; or it is shorter
        than 100ms.
    """
    try:
        return _grid_of(timeframe)
    except TypeError:  # what cannot be kept under its name is refused too
        return _grid_of.__wrapped__(timeframe)


@lru_cache(256)  # the same few at every candle
def _grid_of(timeframe: str) -> tuple[int, int]:
    if timeframe == MONTH:
        return 0, 0
    match = re.fullmatch(r"([1-9]\d{0,8})(ms|s|m|h|d|w)", str(timeframe))
    if match is None:
        raise WickError(
            f"unknown timeframe {timeframe!r}, expected a number and a unit such as 1m, 15m or 4h",
            f"{_guess(str(timeframe))}known: {' '.join(EXCHANGE_TIMEFRAMES)} {MONTH}",
        )
    length = int(match[1]) * _UNIT_MS[match[2]]
    if length < SHORTEST_MS:
        raise WickError(
            f"{timeframe} is shorter than {SHORTEST_MS}ms, the shortest there is",
            f"take {SHORTEST_MS}ms or longer",
        )
    return length, _WEEK_OFFSET_MS if match[2] == "w" else 0


def timeframe_ms(timeframe: str) -> int:
    """Return the length of a timeframe in milliseconds.

    Two names of one length, such as 60s and 1m, stay two timeframes: their candles are stored apart
    and their columns do not mix.

    Raises
    ------
    WickError
        The name is not a whole number followed by ms, s, m, h, d or w; months have no fixed length.

    Examples
    --------
    >>> timeframe_ms("15m")
    900000
    """
    length, _ = grid_of(timeframe)
    if not length:
        raise WickError(
            f"{timeframe} is a calendar month, which has no fixed length, and one is needed here",
            'one minute is 1m; a strategy on candles of up to 1d has months with c.resample("1M")',
        )
    return length


def timeframe_offset_ms(timeframe: str) -> int:
    """Return where the grid of a timeframe is anchored, in ms after 1970-01-01 00:00 UTC."""
    return _WEEK_OFFSET_MS if timeframe.endswith("w") else 0


def longest_ms(timeframe: str) -> int:
    """Return the length of a timeframe's longest candle in ms, that of 31 days for 1M.

    Raises
    ------
    WickError
        The name is not known.
    """
    return grid_of(timeframe)[0] or 31 * DAY_MS


def close_times(open_time: NDArray[np.int64], timeframe: str) -> NDArray[np.int64]:
    """Return when candles close, in UTC ms: where the next one of the grid opens."""
    if timeframe == MONTH:
        return month_opens(month_numbers(open_time) + 1)
    return open_time + timeframe_ms(timeframe)


def month_numbers(time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the UTC calendar month of each instant, counted from January 1970."""
    return time_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def month_opens(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the instant in UTC ms at which each month begins, counted from January 1970."""
    return number.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)


def _guess(name: str) -> str:
    match = re.fullmatch(r"(\d{0,9})\s*([A-Za-z]+)", name.strip())
    if match is None:
        return ""
    count, word = match[1].lstrip("0") or "1", match[2].lower()
    unit = word if word in _UNIT_MS else _WORDS.get(word) or _WORDS.get(word.removesuffix("s"))
    if word == "m" and not match[1]:
        return f"1m is a minute, {MONTH} a calendar month; "
    if match[2] == "M" or unit == "M":
        if count != "1":
            return f"{MONTH} is the only length in months, {count}m is in minutes; "
        return f"did you mean {MONTH}, a calendar month? one minute is 1m; "
    return f"did you mean {count}{unit}? " if unit else ""
