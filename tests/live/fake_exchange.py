"""A few answers over real sockets on 127.0.0.1, for what a working exchange never says."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from live.exchange.binance import Binance
from live.session import Addresses
from live.simulator.checks import ApiError
from live.simulator.signing import check_time

KEY, SECRET = "k" * 32 + "1", "s" * 32 + "2"
LISTEN_KEY = "listen" * 8
NOW = 1_746_835_200_000


@dataclass
class HandClock:
    """A clock that a test sets."""

    now: int = NOW
    lockstep: bool = False
    ended: bool = False
    _waiting: list[tuple[int, asyncio.Event]] = field(default_factory=list)

    def now_ms(self) -> int:
        return self.now

    def stamp_ms(self) -> int:
        return self.now_ms()

    def correct(self, by_ms: int) -> None:
        pass

    async def sleep_until(self, time_ms: int) -> None:
        event = asyncio.Event()
        self._waiting.append((time_ms, event))
        if time_ms > self.now:
            await event.wait()

    async def pass_until(self, time_ms: int) -> None:
        self.set(max(self.now, time_ms))

    def set(self, now: int) -> None:
        self.now = now
        for time_ms, event in self._waiting:
            if time_ms <= now:
                event.set()

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        return None

    def acknowledge_settled(self, marker: int) -> None:
        pass

    def acknowledge_decided(self, time_ms: int) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    version: str

    @property
    def text(self) -> str:
        return self.query + self.body

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.text, keep_blank_values=True))


Answer = web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    """An answer as the exchange writes it; text and bytes go as they are, as a page."""
    if isinstance(body, str | bytes):
        raw, kind = body if isinstance(body, bytes) else body.encode(), "text/html"
    else:
        raw, kind = msgspec.json.encode(body), "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=raw, status=status, content_type=kind, headers=named)


async def cut(request: web.Request) -> web.Response:
    """Read the request and break the connection off instead of answering."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class FakeExchange:
    """The server; what it answers is queued by the test, the last answer of a path repeats."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.opened = asyncio.Condition()
        self.answers_pings = True
        self.addresses = Addresses("", "")

    def says(self, name: str, *answers: Answer) -> None:
        self.answers[name] = list(answers)

    def refuses(self, request: Request) -> web.Response | None:
        """Refuse a request before it is looked at; None for no refusal."""
        return None

    def asked(self, name: str) -> list[Request]:
        return [one for one in self.requests if f"{one.method} {one.path}" == name]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.addresses = Addresses(f"http://{host}:{port}", f"ws://{host}:{port}")
        key = answer({"listenKey": LISTEN_KEY})
        self.says("POST listenKey", key)
        self.says("PUT listenKey", key)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for socket in self.sockets:
            with suppress(ConnectionError):
                await socket.close()
        await self._runner.cleanup()

    def client(self, clock: HandClock | None = None) -> Binance:
        return Binance(self.addresses, clock or HandClock(), KEY, SECRET)

    async def socket(self, number: int) -> web.WebSocketResponse:
        """Wait for the private socket of this number, from 1."""
        async with asyncio.timeout(10), self.opened:
            await self.opened.wait_for(lambda: len(self.sockets) >= number)
        return self.sockets[number - 1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        version, _, path = request.path.removeprefix("/fapi").removeprefix("/").partition("/")
        query = request.raw_path.partition("?")[2]
        body = (await request.read()).decode()
        self.requests.append(
            Request(request.method, path, query, body, dict(request.headers), version)
        )
        if (refusal := self.refuses(self.requests[-1])) is not None:
            return refusal
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        ready = self.answers[f"{request.method} {path}"]
        given = ready.pop(0) if len(ready) > 1 else ready[0]
        if isinstance(given, web.Response):
            # A response object can be sent once.
            return web.Response(body=given.body, status=given.status, headers=given.headers)
        return await given(request)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        async with self.opened:
            self.sockets.append(socket)
            self.opened.notify_all()
        async for _ in socket:
            pass
        return socket


class PunctualExchange(FakeExchange):
    """Has a clock of its own, and refuses what another clock has stamped."""

    def __init__(self, ahead_ms: int = 0) -> None:
        super().__init__()
        self._base_ms = time.time_ns() / 1e6 - time.monotonic() * 1e3
        self.ahead_ms = ahead_ms
        self.time_takes_s = 0.0
        self.says("GET time", self._time)

    def now_ms(self) -> int:
        return int(self._base_ms + time.monotonic() * 1e3) + self.ahead_ms

    def refuses(self, request: Request) -> web.Response | None:
        if "signature" not in request.parameters:
            return None
        try:
            check_time(request.parameters, self.now_ms(), 0, 0)
        except ApiError as error:
            return answer({"code": error.code, "msg": error.msg}, error.status)
        return None

    async def _time(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.time_takes_s / 2)
        said = answer({"serverTime": self.now_ms()})
        await asyncio.sleep(self.time_takes_s / 2)
        return said
