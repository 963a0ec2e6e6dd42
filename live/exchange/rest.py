"""Signed requests: python-binance's client, with our clock, our signatures and our errors.

Two methods of AsyncClient are replaced, everything else of a request is its own:

_get_request_kwargs   it stamps by the system's clock, overwrites recvWindow, and signs text that is
                      encoded afterwards; here the text is encoded, signed and sent as it is
_handle_response      it keeps the last answer's headers in a shared attribute and tells errors by
                      type; here each answer's limits are noted and bodies stay bytes
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from binance.async_client import AsyncClient  # type: ignore[import-untyped]

from live.clock import Clock
from live.exchange.errors import (
    CLOCK_TOLERANCE_MS,
    WRONG_CLOCK,
    ErrorAnswer,
    Lost,
    NeverSent,
    NoSuchOrder,
    body_of,
    outcome_of,
    read_error,
    wrong_clock,
)
from live.exchange.port import Rejected, Unavailable, Unknown
from strategy.errors import WickError

log = logging.getLogger(__name__)

_T = TypeVar("_T")
Parameters = Mapping[str, str | int]
NONE: Parameters = MappingProxyType({})
# A write that is not accepted within its recvWindow never is: the shorter, the sooner a missing
# order is proven never to have existed.
_WRITE_WINDOW_MS, _READ_WINDOW_MS = 2_000, 5_000
# An entry of unknown fate gets its stop when its answer is given up, so within the five seconds in
# which no position may be without one; a question that hangs must not stand in the way of that.
_WRITE_TIMEOUT = aiohttp.ClientTimeout(total=3)
_READ_TIMEOUT = aiohttp.ClientTimeout(total=3)
_PUBLIC_TIMEOUT = aiohttp.ClientTimeout(total=10)  # candles and rules: large, and no order waits
_MINUTE_MS = 60_000
_WEIGHT_LIMIT = 2_400  # a minute and address; demo trading allows more
_PAUSE_S = 5  # after a 429 or 418 that does not say how long
_MEASURE_EVERY_S = 1.0  # at most: a clock that is wrong has every request refused at once
_MEND_S = 2.0  # a stop must not wait longer for the time


class Limit:
    """How much may still be asked.

    The exchange counts a weight per minute and address. Bulk reads stop at three quarters of it, so
    that questions about orders always have room; a 429 or 418 stops everything for as long as it
    says, since going on is answered with a ban. Nothing waits here: who asks is told how long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shut_until_s = 0.0  # of the loop's clock: seconds of Retry-After are real ones
        self._used, self._minute = 0, 0

    def note(self, status: int, headers: Mapping[str, str]) -> int:
        """Take in an answer's headers; return how long it asks to wait, in ms."""
        self._used = _count(headers, "X-MBX-USED-WEIGHT-1M")
        self._minute = self._clock.now_ms() // _MINUTE_MS
        wait_s = _count(headers, "Retry-After")
        if status in (418, 429):
            wait_s = wait_s or _PAUSE_S
            self._shut_until_s = max(self._shut_until_s, _loop_s() + wait_s)
        return wait_s * 1000

    def wait_ms(self, *, bulk: bool = False) -> int:
        """Return how long to wait before a request, 0 for none."""
        left_ms = ceil((self._shut_until_s - _loop_s()) * 1000)
        return max(left_ms, self._next_minute_ms() if bulk else 0, 0)

    def _next_minute_ms(self) -> int:
        # Time that stands still would never give the weight back.
        if self._used <= _WEIGHT_LIMIT * 3 // 4 or self._clock.lockstep:
            return 0
        return (self._minute + 1) * _MINUTE_MS - self._clock.now_ms()


class _Client(AsyncClient):  # type: ignore[misc]  # comes without types
    def __init__(self, rest: str, clock: Clock, key: str, secret: str) -> None:
        for name, value in (("WICK_API_KEY", key), ("WICK_API_SECRET", secret)):
            if not (value.isascii() and value.isprintable() and " " not in value):
                raise WickError(
                    f"{name} holds a character that no key has, such as a blank or a line break",
                    f"set {name} to the text that the exchange showed",
                )
        super().__init__(key, secret)
        self.FUTURES_URL = rest.rstrip("/") + "/fapi"
        self.limit = Limit(clock)
        self._clock = clock

    def _get_request_kwargs(
        self, method: str, signed: bool, force_params: bool = False, **given: Any
    ) -> dict[str, Any]:
        parameters = dict(given.get("data") or {})
        if signed:
            if not self.API_SECRET:
                raise WickError(
                    "there is no API key for a question about the account",
                    "set WICK_API_KEY and WICK_API_SECRET",
                )
            parameters["recvWindow"] = _READ_WINDOW_MS if method == "get" else _WRITE_WINDOW_MS
            parameters["timestamp"] = self._clock.stamp_ms()
        text = urlencode(parameters, quote_via=quote, safe="")
        if signed:
            text += "&signature=" + self._hmac_signature(text)
        # A redirect would repeat an order or show the key to another host.
        sent: dict[str, Any] = {"allow_redirects": False}
        read = _READ_TIMEOUT if signed else _PUBLIC_TIMEOUT
        sent["timeout"] = read if method == "get" else _WRITE_TIMEOUT
        if text:
            sent["params" if method == "get" else "data"] = text
        return sent

    async def _handle_response(self, response: aiohttp.ClientResponse) -> bytes:
        body = await response.read()
        wait_ms = self.limit.note(response.status, response.headers)
        if 200 <= response.status < 300:
            return body
        code, text = body_of(body)
        raise ErrorAnswer(response.status, code, self._without_secrets(text), wait_ms)

    def _without_secrets(self, text: str) -> str:
        # A proxy's page may quote the request that it refuses.
        text = re.sub(r"signature=\w+", "signature=…", text)
        return text.replace(self.API_KEY, "…") if self.API_KEY else text


class ServerTime(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of /time."""

    server_time: int


class Rest:
    """Requests to /fapi, in the words of the port.

    Made inside a running event loop. A request is sent once: python-binance repeats nothing, and
    below it aiohttp repeats GET, PUT and DELETE on a connection that had been closed, never POST.
    """

    def __init__(self, rest: str, clock: Clock, key: str, secret: str) -> None:
        self._client = _Client(rest, clock, key, secret)
        self._clock = clock
        self._bears_refusals = False
        self._signed_answer = False
        self._measuring: asyncio.Task[None] | None = None
        self._measured_s = 0.0

    def bear_refusals(self) -> None:
        """Raise Unavailable from here on where a WickError would be (see the port)."""
        self._bears_refusals = True

    async def set_clock(self) -> None:
        """Set the clock by the exchange's time.

        Who asks while the answer is on its way, or within a second of the last question, gets the
        same answer.

        Raises
        ------
        Unavailable, WickError
            As `read`.
        """
        last = self._measuring
        if last is None or (last.done() and _loop_s() >= self._measured_s + _MEASURE_EVERY_S):
            self._measured_s = _loop_s()
            last = self._measuring = asyncio.create_task(self._measure())
        await asyncio.shield(last)

    async def read(
        self,
        path: str,
        type: type[_T],
        parameters: Parameters = NONE,
        *,
        version: int = 1,
        signed: bool = True,
        bulk: bool = False,
    ) -> _T:
        """Ask a question; once more with the time set right where the exchange refuses the time.

        Raises
        ------
        Unavailable
            Asking again may help.
        WickError
            It will not: the key or the symbol is wrong or, before any signed request was answered,
            the clock.
        """
        asked = " ".join([path, str(parameters.get("symbol", ""))]).strip()
        if wait_ms := self._client.limit.wait_ms(bulk=bulk):
            raise Unavailable(f"{asked}: the exchange asked for a pause", wait_ms)
        try:
            return _decoded(await self._ask(path, version, signed, parameters), type)
        except ErrorAnswer as error:
            begun = self._signed_answer or self._bears_refusals
            if error.code in WRONG_CLOCK and not begun:
                await self._check_clock()
            raise self._borne(read_error(error, asked)) from None
        except Lost as error:
            raise Unavailable(f"{asked}: {error}") from None

    async def find(self, path: str, type: type[_T], parameters: Parameters) -> _T | None:
        """Ask for an order; None is the exchange's word that it does not exist.

        Raises
        ------
        Unavailable, WickError
            As `read`.
        """
        try:
            return await self.read(path, type, parameters)
        except NoSuchOrder:
            return None

    async def write(
        self, method: str, path: str, type: type[_T], parameters: Parameters
    ) -> _T | Rejected | Unknown:
        """Send an instruction, once; what came of it is returned, never raised.

        Where the exchange refuses the time, the clock is set right for the next attempt.
        """
        if wait_ms := self._client.limit.wait_ms():
            return Rejected(-1003, f"held back: the exchange asked for {wait_ms} ms", retry=True)
        try:
            return _decoded(await self._send(method, path, 1, True, parameters), type)
        except ErrorAnswer as error:
            if error.code in WRONG_CLOCK:
                await self._mend_clock()
            return outcome_of(error)
        except NeverSent as error:
            # aiohttp may have sent another method's request before, on the connection it had.
            certain = method == "post"
            return Rejected(0, str(error), retry=True) if certain else Unknown(str(error))
        except Lost as error:
            return Unknown(str(error))

    async def listen_key(self, method: str) -> str:
        """Create (post) or extend (put) the key of the private stream.

        Raises
        ------
        NoListenKey
            There is none to extend any more.
        Unavailable, WickError
            As `read`.
        """
        if wait_ms := self._client.limit.wait_ms():
            raise Unavailable("listenKey: the exchange asked for a pause", wait_ms)
        try:
            return _decoded(await self._send(method, "listenKey", 1, False, NONE), _Key).listen_key
        except ErrorAnswer as error:
            raise self._borne(read_error(error, "listenKey")) from None
        except Lost as error:
            raise Unavailable(f"listenKey: {error}") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait([self._measuring])
        await self._client.close_connection()

    def _borne(self, error: Exception) -> Exception:
        if self._bears_refusals and isinstance(error, WickError):
            return Unavailable(error.message)
        return error

    async def _ask(self, path: str, version: int, signed: bool, parameters: Parameters) -> bytes:
        try:
            body = await self._send("get", path, version, signed, parameters)
        except ErrorAnswer as error:
            if not signed or error.code not in WRONG_CLOCK:
                raise
            await self._mend_clock()
            body = await self._send("get", path, version, signed, parameters)
        self._signed_answer = self._signed_answer or signed
        return body

    async def _send(
        self, method: str, path: str, version: int, signed: bool, parameters: Parameters
    ) -> bytes:
        try:
            return await self._client._request_futures_api(  # the one door for all of /fapi
                method, path, signed, version, data=dict(parameters)
            )
        # The libraries' errors quote addresses and headers, with key and signature: only their
        # kind and the system's words go on.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NeverSent(f"no connection to the exchange ({_kind(error)})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"no answer from the exchange ({_kind(error)})") from None

    async def _measure(self) -> None:
        asked = self._clock.stamp_ms()
        theirs = (await self.read("time", ServerTime, signed=False)).server_time
        answered = self._clock.stamp_ms()
        # The exchange looked at its clock somewhere between question and answer, most likely half
        # way. A slow answer moves the clock only where it proves it wrong.
        by_ms = theirs - (asked + answered) // 2
        proven = 2 * abs(by_ms) > answered - asked
        if proven:
            log.info("clock=corrected by_ms=%d round_trip_ms=%d", by_ms, answered - asked)
        self._clock.correct(by_ms if proven else 0)

    async def _mend_clock(self) -> None:
        with suppress(Unavailable, WickError, TimeoutError):
            async with asyncio.timeout(_MEND_S):
                await self.set_clock()

    async def _check_clock(self) -> None:
        before = self._clock.stamp_ms()
        theirs = (await self.read("time", ServerTime, signed=False)).server_time
        after = self._clock.stamp_ms()
        ahead_ms = (before + after) // 2 - theirs
        if abs(ahead_ms) > CLOCK_TOLERANCE_MS + (after - before):
            raise wrong_clock(ahead_ms)


class _Key(msgspec.Struct, frozen=True, rename="camel"):
    listen_key: str = ""  # not in every answer to PUT


def _decoded(body: bytes, type: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.MsgspecError as error:
        raise Lost(f"an answer that is not the exchange's: {error}") from None


def _kind(error: BaseException) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    return f"{error.__class__.__name__}: {words}" if words else error.__class__.__name__


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


def _count(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    return int(text) if text.isdecimal() else 0
