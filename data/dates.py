"""Times as people type and read them: UTC, to the millisecond."""

import time
from datetime import UTC, datetime

from strategy.errors import WickError


def now_ms() -> int:
    """Return the present; for the command line, which hands it to whatever needs it."""
    return time.time_ns() // 1_000_000


def parse_time(text: str, option: str) -> int:
    """Read a UTC date, or date and time, as milliseconds.

    Parameters
    ----------
    text : str
        Such as 2023-01-31 or 2023-01-31T12:30.
    option : str
        The flag it came from, for the error.

    Raises
    ------
    WickError
        The text is no such date.

    Examples
    --------
    >>> parse_time("2023-01-01", "--from")
    1672531200000
    """
    try:
        moment = datetime.fromisoformat(text)
        if not 1970 <= moment.year < 9999:
            raise ValueError("year out of range")
    except ValueError as error:
        raise WickError(
            f"{option} {text} is not a date ({error}), expected YYYY-MM-DD or YYYY-MM-DDTHH:MM",
            f"{option} 2023-01-01",
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def show_day(time_ms: int) -> str:
    """Write the UTC day of a time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def show_time(time_ms: int) -> str:
    """Write a time to the minute, and finer only where it is.

    >>> show_time(1672531200000)
    '2023-01-01 00:00'
    """
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    if time_ms % 60_000 == 0:
        return moment.strftime("%Y-%m-%d %H:%M")
    return moment.isoformat(sep=" ", timespec="milliseconds")[:23]
