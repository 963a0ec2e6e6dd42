"""Times, ages and other people's words as the pages write them."""

import re
from datetime import UTC, datetime


def time_text(time_ms: int) -> str:
    """Write a UTC time to the second.

    >>> time_text(1746057600000)
    '2025-05-01 00:00:00'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def age_text(age_ms: int) -> str:
    """Write how long ago something was.

    >>> age_text(1500), age_text(125_000), age_text(7_300_000)
    ('1.5 s', '2 min', '2.0 h')
    """
    if age_ms < 100_000:
        return f"{age_ms / 1000:.1f} s"
    return f"{age_ms / 60_000:.0f} min" if age_ms < 7_200_000 else f"{age_ms / 3_600_000:.1f} h"


def plain(text: str) -> str:
    r"""Keep Markdown from finding marks in a text that was not written for it.

    >>> print(plain("per_trade is $5"))
    per\_trade is \$5
    """
    return re.sub(r"([\\`*_{}\[\]<>()#$:|~])", r"\\\1", text)
