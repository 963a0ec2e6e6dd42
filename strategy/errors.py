"""The errors a user can cause.

WickError            what is wrong and a hint; the command line exits with 2
├── RunRefused       the request is well formed but the run cannot go on; exits with 1
└── Stopped          by Ctrl-C, and it can go on; exits with 130
"""

import difflib
from collections.abc import Iterable


class WickError(Exception):
    """A mistake that one sentence explains and one hint mends.

    Parameters
    ----------
    message : str
        What is wrong, where, the value, and what was expected.
    hint : str
        What to do about it, best a command to type.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}"


class RunRefused(WickError):
    """A well-formed request whose run cannot be carried out or went broke on the way."""

    exit_code = 1


class Stopped(WickError):
    """Its user has stopped something that can go on."""

    exit_code = 130


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names a wrong one resembles, as the words of a hint.

    >>> did_you_mean("oversld", ["rsi", "oversold"])
    'did you mean oversold? known: oversold, rsi'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{guess}known: {', '.join(names)}"
