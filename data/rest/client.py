"""Questions to the exchange's REST: within its limits, tried again, or given up in a sentence.

A request itself is python-binance's. What becomes of an answer is not: its client hides headers in
a shared attribute, crashes on error bodies that are JSON but no object, and has no limits.
"""

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import requests

from data.dates import show_time
from strategy.errors import RunRefused, WickError

_T = TypeVar("_T")
_UNKNOWN_SYMBOL, _TOO_MANY = -1121, -1003
_MAY_RECOVER = {408, 429}
# Nobody sits in front of a screen for longer than this.
_LONGEST_WAIT_S = 300.0
_AGAIN = "run the same command again later: what is stored is skipped"


class NotListed(WickError):
    """REST does not know the symbol: delisted, or never there."""


class Unreachable(RunRefused):
    """REST gives no usable answer: closed to us, out of reach, or broken."""


@dataclass(slots=True)
class Pool:
    """A limit of the exchange: how much weight may be asked for in how many seconds.

    The exchange counts from full minute to full minute. Whatever lies within the limit in any
    stretch of that length does so in each of its minutes, whoever's clock is wrong.
    """

    limit: int
    span_s: float = 60.0
    _spent: deque[tuple[float, int]] = field(default_factory=deque)

    def wait_s(self, weight: int, now_s: float) -> float:
        """Return how long to wait before asking for this much, 0 for not at all."""
        self._forget(now_s)
        # Other programs on this address, orders among them, need some of it.
        free = self.limit * 3 // 4 - self.used
        wait_s = 0.0
        for spent_s, amount in self._spent:
            if free >= weight:
                break
            free += amount
            # Not less: a wait too small to move the clock would never end.
            wait_s = max(spent_s + self.span_s - now_s, 0.001)
        return wait_s

    def spend(self, weight: int, now_s: float) -> None:
        """Count a request."""
        self._spent.append((now_s, weight))

    def learn(self, used: int, now_s: float) -> None:
        """Take in what the exchange has counted for this address, other programs included."""
        self._forget(now_s)
        if used > self.used:
            self._spent.append((now_s, used - self.used))

    @property
    def used(self) -> int:
        """What was counted within the span."""
        return sum(amount for _, amount in self._spent)

    def _forget(self, now_s: float) -> None:
        while self._spent and self._spent[0][0] + self.span_s <= now_s:
            self._spent.popleft()


class RestClient:
    """One connection to both markets' REST.

    Parameters
    ----------
    url, spot_url : str
        Addresses without /fapi and /api.
    sleep, clock : callable
        To wait, and seconds that only grow.
    retry_wait_s, attempts, timeout_s : numbers
        Waits double from `retry_wait_s` with each attempt.
    """

    def __init__(
        self,
        url: str,
        spot_url: str,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        retry_wait_s: float,
        attempts: int,
        timeout_s: float,
    ) -> None:
        for name, address in (("rest_url", url), ("spot_rest_url", spot_url)):
            if not address.startswith(("http://", "https://")):
                raise WickError(
                    f"{name} is {address!r}, expected an address with http:// or https://",
                    f"unset WICK_{name.upper()}, or mend {name} in wick.toml",
                )
        self.urls = {"um": url.rstrip("/"), "spot": spot_url.rstrip("/")}
        self._sleep, self._clock = sleep, clock
        self._retry_wait_s, self._attempts, self._timeout_s = retry_wait_s, attempts, timeout_s
        self._client: Any = None

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close_connection()
            self._client = None

    def ask(
        self,
        market: str,
        method: str,
        answer: type[_T],
        pool: Pool,
        weight: int,
        on_bytes: Callable[[int], None],
        **parameters: str | int,
    ) -> _T:
        """Ask until there is a usable answer.

        Parameters
        ----------
        market : str
            um or spot; only for messages.
        method : str
            Of python-binance's client.
        answer : type
            What the body is decoded to.
        pool, weight : Pool, int
            What the question counts towards, and how much.
        on_bytes : callable
            Told the size of the answer.

        Raises
        ------
        NotListed
            The exchange does not know the symbol.
        Unreachable
            There is no usable answer.
        """
        why = ""
        wait_s = 0.0
        for attempt in range(self._attempts):
            if attempt:
                wait_s = max(wait_s, self._retry_wait_s * 2 ** (attempt - 1))
                self._sleep(wait_s)
            self._stay_within(pool, weight)
            wait_s = 0.0
            try:
                response = getattr(self._connected(), method)(**parameters)
                on_bytes(len(response.content))
                _note_weight(response, pool, self._clock())
                if response.ok:
                    return msgspec.json.decode(response.content, type=answer)
                why = self._judged(response, market, parameters)
                wait_s = _asked_wait_s(response)
                if wait_s > _LONGEST_WAIT_S:
                    break
            except msgspec.DecodeError:
                why = f"answered with something else than {_named(response)}"
            except requests.RequestException as error:
                why = f"did not answer ({type(error).__name__})"
        raise Unreachable(f"REST at {self.urls[market]} {why}", _AGAIN)

    def _stay_within(self, pool: Pool, weight: int) -> None:
        # The clock of a test, which only sleeping moves, and a real one that sleeps a bit short.
        while (wait_s := pool.wait_s(weight, self._clock())) > 0:
            self._sleep(wait_s)
        pool.spend(weight, self._clock())

    def _judged(
        self, response: requests.Response, market: str, parameters: dict[str, str | int]
    ) -> str:
        """Say what may recover; raise what does not."""
        status, (code, text) = response.status_code, _error_of(response)
        where = f"REST at {self.urls[market]}"
        if code == _UNKNOWN_SYMBOL:
            raise NotListed(
                f"{where} does not list {parameters.get('symbol')} in the market {market}",
                "a delisted symbol is in the archive only; wick data symbols lists the others",
            )
        if status == 418:
            raise Unreachable(
                f"{where} has banned this address{_ban_end(response, text)}: too many questions",
                "wait until then: every question before it makes the ban longer",
            )
        if status in (403, 451):
            raise Unreachable(
                f"{where} is closed to this address (status {status}"
                + (f": {text[:120]})" if text else ")"),
                "the exchange blocks some countries and networks; WICK_"
                f"{'REST_URL' if market == 'um' else 'SPOT_REST_URL'} sets another address",
            )
        if status < 500 and status not in _MAY_RECOVER:
            raise Unreachable(
                f"{where} refused the question (status {status}, code {code}): {text[:120]}", _AGAIN
            )
        wait_s = _asked_wait_s(response)
        pause = f" and asks for a pause of {wait_s:.0f} s" if wait_s else ""
        return f"answered {status} {response.reason}".rstrip() + pause

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _made_client(self.urls, self._timeout_s)
        return self._client


def _made_client(urls: dict[str, str], timeout_s: float) -> Any:
    # Importing takes a second, and not every command comes to ask.
    from binance.client import Client  # type: ignore[import-untyped]

    class Plain(Client):  # type: ignore[misc]  # comes without types
        def _handle_response(self, response: requests.Response) -> requests.Response:
            return response

    made: list[Any] = []

    def make() -> None:
        client = Plain(ping=False, requests_params={"timeout": timeout_s})
        # It sets up an event loop that only its WebSockets use. In a thread of its own, that
        # neither takes the place of another one nor stays open.
        client.loop.close()
        client.FUTURES_URL = f"{urls['um']}/fapi"
        client.API_URL = f"{urls['spot']}/api"
        made.append(client)

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    return made[0]


def _note_weight(response: requests.Response, pool: Pool, now_s: float) -> None:
    used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
    if used.isdigit() and pool.span_s == 60.0:
        pool.learn(int(used), now_s)


def _error_of(response: requests.Response) -> tuple[int, str]:
    """Read code and text of an error, whose body may be anything."""
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return 0, ""
    if not isinstance(body, dict):
        return 0, ""
    code, text = body.get("code"), body.get("msg")
    return (code if isinstance(code, int) else 0), " ".join(str(text or "").split())


def _ban_end(response: requests.Response, text: str) -> str:
    match = re.search(r"until (\d{13})", text)
    if match:
        return f" until {show_time(int(match[1]) // 60_000 * 60_000)} UTC"
    wait_s = _asked_wait_s(response)
    return f" for another {wait_s:.0f} s" if wait_s else ""


def _asked_wait_s(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _named(response: requests.Response) -> str:
    begin = response.content[:20].decode("utf-8", "replace")
    return f"the data asked for: {begin!r}"
