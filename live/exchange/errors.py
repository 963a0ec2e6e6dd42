"""What an answer that is no success means: to a write Rejected or Unknown, to a read an error.

ErrorAnswer     the exchange answered with a status other than 2xx
Lost            no answer came, or none that makes sense
└── NeverSent   the connection could not even be opened
NoSuchOrder     a read's answer that the order asked for does not exist
NoListenKey     the key of the private stream has expired
"""

import msgspec

from live.exchange.port import Rejected, Unavailable, Unknown
from strategy.errors import RunRefused, WickError

GONE = -2011  # "Unknown order sent": nothing there to cancel
NO_SUCH_ORDER = -2013
_NO_LISTEN_KEY = -1125
# The engine had the request, or may have had it, when something broke behind it.
_UNCLEAR = {-1000, -1001, -1006, -1007, -5041}
# Turned away before the engine, and not for what the request says: too many requests, overload, too
# many orders, a timestamp too old or too new (here, or in front of the engine).
_PASSING = {-1003, -1008, -1015, -1021, -5028}
# An open order has this id already: an earlier attempt may have arrived after all, so this is
# neither a refusal nor a success. Who asks for the order by its id finds out.
_DUPLICATE_ID = -4116
# A stop that closes the position stands in this direction already, ours from an attempt whose
# answer was lost; so this one was not placed, and the position is not without one.
STANDS_ALREADY = -4130
NOTHING_TO_REDUCE = -2022
_WRONG_KEY = {-1002, -1022, -1099, -2014, -2015, -2017}
WRONG_CLOCK = {-1021, -5028}
CLOCK_TOLERANCE_MS = 1_000
_WRONG_SYMBOL = -1121
_TEXT_MAX = 160


class ErrorAnswer(Exception):
    """An answer with a status other than 2xx.

    Parameters
    ----------
    code : int
        The exchange's own, 0 where the body is not the exchange's JSON.
    retry_after_ms : int
        How long it asked to wait, 0 where it did not say.
    """

    def __init__(self, status: int, code: int, text: str, retry_after_ms: int = 0) -> None:
        super().__init__(f"status {status}, code {code}: {text}")
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_ms = retry_after_ms


class Lost(Exception):
    """No answer, or one that makes no sense."""


class NeverSent(Lost):
    """No connection, so nothing can have arrived."""


class NoSuchOrder(Exception):
    """The order asked for does not exist, as far as the exchange knows by now."""


class NoListenKey(Exception):
    """The key of the private stream has expired."""


class _Body(msgspec.Struct, frozen=True):
    code: int = 0
    msg: str = ""


def body_of(body: bytes) -> tuple[int, str]:
    """Read code and message of an error's body; one that is not JSON has code 0.

    >>> body_of(b'{"code":-2019,"msg":"Margin is insufficient."}')
    (-2019, 'Margin is insufficient.')
    >>> body_of(b"<HTML>403")
    (0, '<HTML>403')
    """
    try:
        read = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError:
        return 0, " ".join(body.decode(errors="replace").split())[:_TEXT_MAX]
    return read.code, read.msg


def outcome_of(error: ErrorAnswer) -> Rejected | Unknown:
    """Return what an error means for a write.

    Certain are only answers that the exchange itself wrote and whose meaning is documented.
    """
    code, text = error.code, error.text
    # Status 503 comes with several texts and the same codes; a proxy's page begins with a tag.
    if error.status == 503 and text.startswith("Unknown error"):
        return Unknown(str(error))
    if error.status == 503 and text.startswith("Service Unavailable"):
        return Rejected(code, text, retry=True)
    if code in _PASSING or code == STANDS_ALREADY or error.status in (418, 429):
        return Rejected(code or -1003, text, retry=True)
    if code in _UNCLEAR or code == _DUPLICATE_ID:
        return Unknown(str(error))
    if code < 0 and 400 <= error.status < 500 and error.status != 408:
        return Rejected(code, text)
    return Unknown(str(error))


def read_error(error: ErrorAnswer, asked: str) -> Exception:
    """Return the exception that a read ends with.

    Parameters
    ----------
    asked : str
        What was asked for, for the text.

    Returns
    -------
    Exception
        Unavailable where asking again may help, NoSuchOrder, NoListenKey, else a WickError.
    """
    code, status = error.code, error.status
    if code in (GONE, NO_SUCH_ORDER):
        return NoSuchOrder(asked)
    if code == _NO_LISTEN_KEY:
        return NoListenKey(error.text)
    if code in _WRONG_KEY:
        return WickError(
            f"the exchange refuses the API key: {error.text} ({code})",
            "set WICK_API_KEY and WICK_API_SECRET to a key of this exchange that may trade futures",
        )
    if code == _WRONG_SYMBOL:
        return WickError(
            f"the exchange does not know the symbol of {asked}",
            "choose a USDⓈ-M symbol that is traded now, such as BTCUSDT",
        )
    again = status >= 500 or status in (403, 408, 418, 429)
    if again or code in _UNCLEAR or code in _PASSING:
        # A proxy's Retry-After is a wish, and a position without a stop cannot wait for it.
        wait_ms = error.retry_after_ms if status in (418, 429) else 0
        return Unavailable(f"{asked}: {error}", wait_ms)
    if code == 0:
        return WickError(
            f"{asked}: {error}, which is not how the exchange answers",
            "look whether the session's addresses are the exchange's",
        )
    return RunRefused(
        f"the exchange refused {asked}: {error.text} ({code})",
        "its meaning is in the exchange's list of error codes",
    )


def wrong_clock(ahead_ms: int) -> WickError:
    """Return the error for a clock that the exchange no longer accepts."""
    direction = "ahead of" if ahead_ms > 0 else "behind"
    return WickError(
        f"this machine's clock is {abs(ahead_ms)} ms {direction} the exchange's, at most "
        f"{CLOCK_TOLERANCE_MS} ms are accepted",
        "let the system keep its time by NTP: timedatectl set-ntp true",
    )
