"""The exchange's streams: /market, /public and /private sockets, and who hears what.

Every connection has a queue and a task that empties it: whoever tells news never waits for a slow
listener. A listener that does not read is cut off, as on the real exchange.
"""

import asyncio
import contextlib
from collections import deque
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from aiohttp import ClientError, WSMsgType, web

from live.simulator.faults import Sockets

Category = Literal["market", "public", "private", "clock", ""]
MOST_WAITING = 100_000


class Connection:
    """One WebSocket of a client.

    Attributes
    ----------
    category : str
        First part of its path; empty for a path without one, on which nothing is ever sent.
    combined : bool
        Whether events come wrapped with the name of their stream.
    streams : dict
        What it listens to, in the order of subscription; listen keys on a private one.
    """

    def __init__(self, request: web.Request, category: Category, combined: bool = False) -> None:
        self.category = category
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.wanted: frozenset[str] = frozenset()
        self._request = request
        # Compression would only cost time on loopback.
        self.socket = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()

    async def open(self) -> "asyncio.Task[None]":
        """Accept the connection; the task returned sends what `send` is given."""
        await self.socket.prepare(self._request)
        return asyncio.create_task(self._empty())

    def send(self, message: bytes) -> None:
        """Put one text message into the queue."""
        if len(self._queue) >= MOST_WAITING:
            self.cut()
            return
        self._queue.append(message)
        self._wake.set()

    def cut(self) -> None:
        """Break the connection off, with everything that waits in its queue."""
        self._queue.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _empty(self) -> None:
        # A connection that broke ends here and in the reader, which takes it off the books.
        with contextlib.suppress(ConnectionError, ClientError, RuntimeError):
            while True:
                while self._queue:
                    await self.socket.send_frame(self._queue.popleft(), WSMsgType.TEXT)
                self._wake.clear()
                await self._wake.wait()


class Hub:
    """All open connections, and the account's listen key.

    Attributes
    ----------
    marker : int
        Number of the newest marker in the private stream, 0 outside of a lockstep.
    """

    def __init__(self) -> None:
        self.listen_key = ""
        self.marker = 0
        self.sent = 0
        self._marker = b""
        self._connections: dict[Connection, None] = {}

    def add(self, connection: Connection) -> None:
        """Take a connection on; a private one hears the newest marker at once."""
        self._connections[connection] = None
        if connection.category == "private" and self.marker:
            self._tell_private(connection, self._marker)

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)

    def of(self, category: Sockets | Category) -> list[Connection]:
        """Return the open connections of a category; `all` are those of streams."""
        wanted = ("market", "public", "private", "") if category == "all" else (category,)
        return [one for one in self._connections if one.category in wanted]

    def close(self) -> None:
        """Break off every connection."""
        for one in list(self._connections):
            one.cut()

    def cut(self, category: Sockets) -> None:
        """Break off all connections of a category."""
        for one in self.of(category):
            self.remove(one)
            one.cut()

    def subscribed(self) -> set[str]:
        """Return the names of all market streams that somebody listens to."""
        return {stream for one in self.of("market") for stream in one.streams}

    def tell_market(self, stream: str, event: dict[str, Any]) -> None:
        """Send an event to everyone who listens to its stream."""
        message = msgspec.json.encode(event)
        for one in self.of("market"):
            if stream in one.streams:
                self._send(one, message, stream)

    def tell_private(self, event: dict[str, Any]) -> None:
        """Send an event of the account to every private connection with the right key."""
        message = msgspec.json.encode(event)
        for one in self.of("private"):
            if not one.wanted or event["e"] in one.wanted:
                self._tell_private(one, message)

    def tell_marker(self, time_ms: int) -> int:
        """Send the next marker into the private stream and return its number."""
        self.marker += 1
        self._marker = msgspec.json.encode({"e": "marker", "n": self.marker, "E": time_ms})
        for one in self.of("private"):
            self._tell_private(one, self._marker)
        return self.marker

    def _tell_private(self, connection: Connection, message: bytes) -> None:
        if self.listen_key and self.listen_key in connection.streams:
            self._send(connection, message, self.listen_key)

    def _send(self, connection: Connection, message: bytes, stream: str) -> None:
        if connection.combined:
            message = b'{"stream":%b,"data":%b}' % (msgspec.json.encode(stream), message)
        connection.send(message)
        self.sent += 1


async def serve_stream(request: web.Request, hub: Hub) -> web.WebSocketResponse:
    """Serve one stream connection until it ends.

    Paths are /{category}/ws/{streams}, /{category}/stream?streams={streams} and, for the account,
    /private/ws?listenKey={key}. A path without a category connects and stays silent, and so do
    streams under the wrong category: the real exchange does the same.
    """
    connection = _connection(request)
    writer = await connection.open()
    hub.add(connection)
    try:
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                connection.send(msgspec.json.encode(_answer(connection, message.data)))
    finally:
        hub.remove(connection)
        writer.cancel()
    return connection.socket


def _connection(request: web.Request) -> Connection:
    # raw_path: yarl would decode what separates the names.
    parts = request.raw_path.partition("?")[0].strip("/").split("/")
    category: Category = ""
    for known in ("market", "public", "private"):
        if parts[0] == known:
            category, parts = known, parts[1:]
            break
    connection = Connection(request, category, combined=parts[:1] == ["stream"])
    names = [*parts[1:], *request.query.get("streams", "").split("/")]
    names += request.query.getall("listenKey", [])
    connection.streams = dict.fromkeys(unquote(name) for name in names if name)
    connection.wanted = _wanted(request)
    return connection


def _wanted(request: web.Request) -> frozenset[str]:
    names = {
        name for part in request.query.getall("events", []) for name in part.split("/") if name
    }
    # Neither belongs to the account's events that may be left out.
    return frozenset(names | {"listenKeyExpired", "marker"}) if names else frozenset()


class _Control(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[Any] = []


def _answer(connection: Connection, text: str) -> dict[str, Any]:
    try:
        asked = msgspec.json.decode(text, type=_Control)
    except msgspec.MsgspecError as error:
        return {"code": 2, "msg": f"Invalid request: {error}"}
    if asked.method == "SUBSCRIBE":
        connection.streams |= dict.fromkeys(map(str, asked.params))
    elif asked.method == "UNSUBSCRIBE":
        for name in asked.params:
            connection.streams.pop(str(name), None)
    elif asked.method == "LIST_SUBSCRIPTIONS":
        return {"result": list(connection.streams), "id": asked.id}
    elif asked.method == "SET_PROPERTY" and asked.params[:1] == ["combined"]:
        connection.combined = asked.params[1:] == [True]
    elif asked.method == "GET_PROPERTY":
        return {"result": connection.combined, "id": asked.id}
    else:
        return {"code": 2, "msg": f"Invalid request: unknown method {asked.method}"}
    return {"result": None, "id": asked.id}


@lru_cache(maxsize=4096)
def kline_stream(name: str) -> tuple[str, str, bool] | None:
    """Read symbol, timeframe and whether it is continuous from a stream's name, None for others.

    >>> kline_stream("btcusdt@kline_1m"), kline_stream("BTCUSDT@kline_1m")
    (('BTCUSDT', '1m', False), None)
    """
    symbol, _, what = name.partition("@")
    kind, _, timeframe = what.partition("_")
    if symbol != symbol.lower() or not timeframe:
        return None
    if kind == "kline":
        return symbol.upper(), timeframe, False
    pair, _, contract = symbol.partition("_")
    if kind == "continuousKline" and contract == "perpetual":
        return pair.upper(), timeframe, True
    return None
