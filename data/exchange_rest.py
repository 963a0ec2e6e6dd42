"""The exchange's own word about its symbols, asked for over REST."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import requests

from data.listings import ExchangeInfo
from strategy.errors import RunRefused, WickError

_TIMEOUT_S = 10.0
_SETTINGS = {"um": "rest_url", "spot": "spot_rest_url"}
_AGAIN = "try again later; what is known stays as it was"
_IMPORT = "wick data symbols --import FILE takes an answer that was saved elsewhere"


def ask_exchange(url: str, market: str) -> ExchangeInfo:
    """Ask the exchange for all its symbols, once.

    Parameters
    ----------
    url : str
        Address without /fapi and /api.
    market : str
        um or spot.

    Raises
    ------
    WickError
        The address is none.
    RunRefused
        There is no usable answer.
    """
    name = _SETTINGS[market]
    if not url.startswith(("http://", "https://")):
        raise WickError(
            f"{name} is {url!r}, expected an address with http:// or https://",
            f"unset WICK_{name.upper()}, or mend {name} in wick.toml",
        )
    try:
        # python-binance sets up an event loop that only its WebSockets use. In a thread of its own
        # that neither takes the place of the caller's nor is left open.
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(_ask, url.rstrip("/"), market).result()
    except requests.Timeout as error:
        raise RunRefused(f"{url} did not answer within {_TIMEOUT_S:.0f} s", _AGAIN) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise RunRefused(f"{url} cut its answer off", _AGAIN) from error
    except requests.RequestException as error:
        what = "cannot be reached" if isinstance(error, requests.ConnectionError) else "is no use"
        raise RunRefused(
            f"{url} {what} ({type(error).__name__})",
            f"WICK_{name.upper()} sets another address; {_IMPORT}",
        ) from error
    if answer.status_code != 200:
        raise _refused(url, name, answer)
    try:
        return msgspec.json.decode(answer.content, type=ExchangeInfo)
    except msgspec.DecodeError as error:
        begin = answer.content[:30].decode("utf-8", "replace")
        raise RunRefused(
            f"{url} answered with something else than its symbols: {begin!r}… ({error})",
            f"is it the exchange, and not a page of your provider? {name} sets the address",
        ) from error


def _ask(url: str, market: str) -> requests.Response:
    # Importing takes half a second, and not every command comes to ask.
    from binance.client import Client  # type: ignore[import-untyped]

    class Plain(Client):  # type: ignore[misc]  # comes without types
        # Its own hides the headers of an error, and stumbles over bodies that are no object.
        def _handle_response(self, response: requests.Response) -> requests.Response:
            return response

    client = Plain(requests_params={"timeout": _TIMEOUT_S}, ping=False)
    client.loop.close()
    client.FUTURES_URL, client.API_URL = f"{url}/fapi", f"{url}/api"
    try:
        ask: Any = client.futures_exchange_info if market == "um" else client.get_exchange_info
        answer: requests.Response = ask()
        return answer
    finally:
        client.close_connection()


def _refused(url: str, name: str, answer: requests.Response) -> RunRefused:
    status = answer.status_code
    wait = answer.headers.get("Retry-After", "")
    for_s = f" for {wait} s" if wait.isdigit() else ""
    if status == 418:
        return RunRefused(
            f"{url} has banned this address{for_s} for asking too often (418)",
            "wait until then: every question before it makes the ban longer",
        )
    if status == 429:
        return RunRefused(
            f"{url} was asked too much from this address and wants a pause{for_s} (429)",
            "wait that long, then run the command again",
        )
    if status in (403, 451):
        why = "its firewall refuses this network" if status == 403 else "it serves no one from here"
        return RunRefused(f"{url} is closed to this address: {why} ({status})", _IMPORT)
    if status >= 500:
        return RunRefused(f"{url} is out of order ({status} {answer.reason})", _AGAIN)
    return RunRefused(
        f"{url} answered {status} {answer.reason}",
        f"is it the exchange? WICK_{name.upper()} sets another address",
    )
