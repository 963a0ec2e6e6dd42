"""The exchange's REST side: who may ask, which answer a path has, and what is counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from live.simulator.faults import Faults, Lose, Refuse
from live.simulator.playback import Playback
from live.simulator.routes import all_routes
from live.simulator.signing import Keys, check_key, check_signature, check_time, parameters
from live.simulator.venue import ApiError

TEN_SECONDS_MS, MINUTE_MS = 10_000, 60_000


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a client's clock may be off beyond the exchange's own rules.

    Attributes
    ----------
    early_ms : int
        Ahead of the exchange.
    late_ms : int or None
        Behind it, beyond recvWindow; None takes any age.
    """

    early_ms: int = 0
    late_ms: int | None = 0


class Rest:
    """Answers requests; nothing in it waits, so that a request is done at one instant.

    Parameters
    ----------
    playback : Playback
        With the venue that knows the answers.
    keys : Keys
        The only account's.
    faults : Faults
        Which requests go wrong.
    tick : callable
        Sets the venue's time before a request is looked at.
    strict : bool
        Take only signatures over percent-encoded text.
    """

    def __init__(
        self,
        playback: Playback,
        keys: Keys,
        faults: Faults,
        tick: Callable[[], None],
        strict: bool,
    ) -> None:
        self._playback = playback
        self._venue = playback.venue
        self._keys = keys
        self._faults = faults
        self._tick = tick
        self._strict = strict
        self._counts = _Counts()
        self.tolerance = Tolerance()
        self.answered = 0
        self._routes = all_routes(playback)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, or break its connection off where a fault says so."""
        body = (await request.read()).decode(errors="replace")
        # raw_path: what is signed is the text as sent, which yarl would write differently.
        path, _, query = request.raw_path.partition("?")
        given = parameters(query, body)
        self._tick()
        name = f"{request.method} {path}"
        fault = self._faults.of_request(name, given)
        if isinstance(fault, Lose) and not fault.executed:
            return _cut(request)
        try:
            if isinstance(fault, Refuse):
                raise ApiError(fault.status, fault.code, fault.message)
            answer, status = self._answer(name, request, query, body, given), 200
        except ApiError as error:
            answer, status = {"code": error.code, "msg": error.msg}, error.status
        self._playback.publish()
        self.answered += 1
        if isinstance(fault, Lose):
            return _cut(request)
        return web.Response(
            body=msgspec.json.encode(answer),
            status=status,
            content_type="application/json",
            headers=self._counts.headers(),
        )

    def _answer(
        self, name: str, request: web.Request, query: str, body: str, given: Mapping[str, str]
    ) -> Any:
        route = self._routes.get(name)
        if route is None:
            method, _, path = name.partition(" ")
            raise ApiError(404, -5000, f"Path {path}, Method {method} is invalid")
        self._counts.add(route.weighed(given), route.orders, self._venue.now)
        if route.security != "none":
            check_key(request.headers.get("X-MBX-APIKEY", ""), self._keys)
        if route.security == "signed":
            early_ms, late_ms = self.tolerance.early_ms, self.tolerance.late_ms
            check_time(given, self._venue.now, early_ms, late_ms)
            check_signature(query, body, self._keys.secret, self._strict)
        return route.call(given)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


class _Counts:
    # What the limits are counted in; they are told in the headers and not enforced, since time that
    # stands still would never give a client its share back.
    def __init__(self) -> None:
        self._now_ms = 0
        self._weight = self._orders_10s = self._orders_1m = 0

    def add(self, weight: int, orders: int, now_ms: int) -> None:
        if now_ms // MINUTE_MS != self._now_ms // MINUTE_MS:
            self._weight = self._orders_1m = 0
        if now_ms // TEN_SECONDS_MS != self._now_ms // TEN_SECONDS_MS:
            self._orders_10s = 0
        self._now_ms = now_ms
        self._weight += weight
        self._orders_10s += orders
        self._orders_1m += orders

    def headers(self) -> dict[str, str]:
        return {
            "X-MBX-USED-WEIGHT-1M": str(self._weight),
            "X-MBX-ORDER-COUNT-10S": str(self._orders_10s),
            "X-MBX-ORDER-COUNT-1M": str(self._orders_1m),
        }
