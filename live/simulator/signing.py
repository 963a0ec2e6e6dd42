"""Who may ask: API keys, signatures and timestamps of requests, as the exchange checks them."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from live.simulator.checks import ApiError, needed, refuse, whole

AHEAD_MS = 1_000
RECV_WINDOW_MS, MOST_RECV_WINDOW_MS = 5_000, 60_000


@dataclass(frozen=True, slots=True)
class Keys:
    """An API key with its secret, which stays out of any text made of this."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Keys(…)"


def parameters(query: str, body: str) -> dict[str, str]:
    """Read the parameters of query string and form body; on duplicates the query string wins.

    >>> parameters("symbol=BTCUSDT", "symbol=ETHUSDT&side=BUY")
    {'symbol': 'BTCUSDT', 'side': 'BUY'}
    """
    return dict(parse_qsl(body, True)) | dict(parse_qsl(query, True))


def signature(text: str, secret: str) -> str:
    """Return the HMAC-SHA256 of a text as hex digits."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def check_key(given: str, keys: Keys) -> None:
    """Refuse an API key that is malformed or not the account's.

    Raises
    ------
    ApiError
        -2014 or -2015.
    """
    if not (given.isascii() and given.isalnum()):
        raise ApiError(401, -2014, "API-key format invalid.")
    if not hmac.compare_digest(given, keys.key):
        raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")


def check_signature(query: str, body: str, secret: str, strict: bool) -> None:
    """Refuse a request whose signature is not of query string and body, joined without `&`.

    Parameters
    ----------
    query, body : str
        As they were sent, percent-encoded.
    strict : bool
        Take a signature over the text as sent only. Otherwise one over the decoded text will do as
        well: python-binance signs before it encodes.

    Raises
    ------
    ApiError
        -1022, or -1102 without any signature.
    """
    given = needed(parameters(query, body), "signature")
    sent = _unsigned(query) + _unsigned(body)
    good = [signature(sent, secret)]
    if not strict:
        good.append(signature(unquote_plus(sent), secret))
    # Bytes: compare_digest refuses text that is not ASCII.
    if not any(hmac.compare_digest(given.lower().encode(), one.encode()) for one in good):
        raise refuse(-1022, "Signature for this request is not valid.")


def check_time(given: Mapping[str, str], now_ms: int, early_ms: int, late_ms: int | None) -> None:
    """Refuse a request from too far in the past or the future.

    Parameters
    ----------
    given : mapping of str to str
        The request's parameters.
    now_ms : int
        The exchange's time.
    early_ms : int
        How much further ahead than usual a client's clock may be.
    late_ms : int or None
        How much older than its recvWindow a request may be; None takes any age.

    Raises
    ------
    ApiError
        -1021, or -1102 and -1131 for parameters that make no sense.
    """
    needed(given, "timestamp")
    sent = whole(given, "timestamp", 0)
    window = whole(given, "recvWindow", RECV_WINDOW_MS)
    if not 0 < window <= MOST_RECV_WINDOW_MS:
        raise refuse(-1131, f"recvWindow must be less than {MOST_RECV_WINDOW_MS}.")
    if sent >= now_ms + AHEAD_MS + early_ms:
        raise refuse(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if late_ms is not None and now_ms - sent > window + late_ms:
        raise refuse(-1021, "Timestamp for this request is outside of the recvWindow.")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
