"""The private stream: one socket at a time, renewed for ever.

python-binance's own is not used: it gives up after four attempts, loses what it has queued, and
leaves an expired listenKey in place for minutes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec

from live.clock import Clock
from live.exchange.errors import NoListenKey
from live.exchange.events import ListenKeyExpired, private_event
from live.exchange.port import Connected, Disconnected, PrivateEvent, Unavailable
from live.exchange.rest import Rest
from strategy.errors import WickError

log = logging.getLogger(__name__)

_MINUTE_MS = 60_000
_KEEPALIVE_MS = 30 * _MINUTE_MS  # a key lives for 60 minutes
_LIFETIME_MS = 23 * 60 * _MINUTE_MS  # the exchange ends a connection after 24 hours
_CONNECT_S = 10.0
_FIRST_WAIT_S, _LAST_WAIT_S = 0.1, 10.0
# A ping of ours that stays without a pong for half of it ends the socket: a dead peer sends no FIN.
_HEARTBEAT_S = 30.0


class PrivateStream:
    """Events of the account, over reconnects.

    Parameters
    ----------
    stream : str
        Address of the stream's host, without a path.
    """

    def __init__(self, stream: str, rest: Rest, clock: Clock) -> None:
        self._stream = stream.rstrip("/")
        self._rest = rest
        self._clock = clock
        self._wait_s = _FIRST_WAIT_S
        self._task: asyncio.Task[None] | None = None

    async def events(self) -> AsyncIterator[PrivateEvent]:
        """Yield events for ever, `Connected` before those of each socket.

        The queue in between has no bound: a slow reader must not make the exchange cut the socket.

        Raises
        ------
        WickError
            The key is refused before the first connection; later on it is tried again.
        """
        queue: asyncio.Queue[PrivateEvent | None] = asyncio.Queue()
        self._task = task = asyncio.create_task(self._supervise(queue.put_nowait))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while event := await queue.get():
                yield event
            if not task.cancelled():
                task.result()  # raises: it ends in no other way
        finally:
            await self.close()

    async def close(self) -> None:
        """End the stream; its events end with what is queued."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _supervise(self, put: Callable[[PrivateEvent], None]) -> None:
        ever = False
        async with aiohttp.ClientSession() as session:
            while True:
                wait_s = 0.0
                try:
                    async with await self._connect(session) as socket:
                        ever = True
                        put(Connected())
                        put(Disconnected(await self._until_broken(socket, put)))
                except WickError as error:
                    if not ever:
                        raise
                    log.warning("private_stream=refused error=%s", error.message)
                except Unavailable as error:
                    wait_s = error.retry_after_ms / 1000
                    log.warning("private_stream=unavailable error=%s", error)
                await asyncio.sleep(max(wait_s, self._wait_s))
                self._wait_s = min(self._wait_s * 2, _LAST_WAIT_S)

    async def _connect(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        key = await self._rest.listen_key("post")
        if not key:  # a socket opened without one would be silent for ever
            raise Unavailable("listenKey: an answer without a key")
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await session.ws_connect(
                    f"{self._stream}/private/ws?listenKey={key}",
                    heartbeat=_HEARTBEAT_S,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except (aiohttp.ClientError, OSError) as error:
            # Its text may quote the address, and with it the key.
            raise Unavailable(f"private socket: {error.__class__.__name__}") from None

    async def _until_broken(
        self, socket: aiohttp.ClientWebSocketResponse, put: Callable[[PrivateEvent], None]
    ) -> str:
        ends = [
            asyncio.create_task(one)
            for one in (self._read(socket, put), self._keep_alive(), self._grow_old())
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, put: Callable[[PrivateEvent], None]
    ) -> str:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                event = private_event(message.data)
            except msgspec.MsgspecError as error:
                # Whatever it said is found out by the questions that follow a new connection.
                return f"a message that cannot be read: {error}"
            if isinstance(event, ListenKeyExpired):
                return "its listenKey expired"
            self._wait_s = _FIRST_WAIT_S
            if event is not None:
                put(event)
        return f"closed with code {socket.close_code}"

    async def _keep_alive(self) -> str:
        pause_ms = _KEEPALIVE_MS
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + pause_ms)
            try:
                await self._rest.listen_key("put")
                pause_ms = _KEEPALIVE_MS
            except NoListenKey:
                return "its listenKey is gone"
            except (Unavailable, WickError) as error:
                pause_ms = _MINUTE_MS
                log.warning("private_stream=keepalive error=%s", error)

    async def _grow_old(self) -> str:
        await self._clock.sleep_until(self._clock.now_ms() + _LIFETIME_MS)
        return "23 hours old"
