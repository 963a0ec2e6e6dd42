"""The market stream's socket: closed candles of all symbols, renewed for ever.

python-binance's own is not used: it gives up after four attempts, drops what it has queued when its
queue is full, and never notices a connection that has gone silent.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from live.clock import Clock
from live.records import ClosedCandle
from live.session import Session

log = logging.getLogger(__name__)

_SILENT_MS = 90_000  # every symbol that trades is told of four times a second
_SILENT_S = 5.0  # and so much real time, for replays that are faster than any network
_LIFETIME_MS = 23 * 3_600_000  # the exchange ends a connection after 24 hours
_FIRST_WAIT_S, _LAST_WAIT_S = 0.05, 10.0
_CONNECT_S = 10.0
_HEARTBEAT_S = 30.0


@dataclass(frozen=True, slots=True)
class Connected:
    """From here on nothing is missed; what happened before may have been."""


class _Kline(msgspec.Struct, frozen=True):
    t: int
    i: str
    o: str
    h: str
    l: str  # noqa: E741  # the exchange's names
    c: str
    v: str
    x: bool
    q: str = "0"
    n: int = 0
    V: str = "0"


class _Event(msgspec.Struct, frozen=True):
    e: str = ""
    s: str = ""
    k: _Kline | None = None


class _Message(msgspec.Struct, frozen=True):
    data: _Event = _Event()


class MarketSocket:
    """One combined stream of klines.

    Parameters
    ----------
    put : callable
        Takes `Connected` after each connection, and every closed candle after it. It must not wait.
    """

    def __init__(
        self, session: Session, clock: Clock, put: Callable[[Connected | ClosedCandle], None]
    ) -> None:
        names = [f"{quote(one.lower())}@kline_{session.timeframe}" for one in session.symbols]
        self._url = URL(
            f"{session.addresses.stream.rstrip('/')}/market/stream?streams={'/'.join(names)}",
            encoded=True,
        )
        self._symbols = frozenset(session.symbols)
        self._timeframe = session.timeframe
        self._clock = clock
        self._put = put
        self._decode = msgspec.json.Decoder(_Message).decode
        self._heard_ms = 0
        self._wait_s = _FIRST_WAIT_S
        self.connected = False

    async def run(self) -> None:
        """Stay connected, for ever."""
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with await self._connect(session) as socket:
                        reason = await self._until_broken(socket)
                except (aiohttp.ClientError, OSError) as error:
                    reason = type(error).__name__
                self.connected = False
                log.warning("market_stream=down reason=%s", reason)
                await asyncio.sleep(self._wait_s)
                self._wait_s = min(2 * self._wait_s, _LAST_WAIT_S)

    async def _connect(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(_CONNECT_S):
            return await session.ws_connect(
                self._url,
                heartbeat=_HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )

    async def _until_broken(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        self._heard_ms = self._clock.now_ms()
        self.connected = True
        self._put(Connected())
        ends = [
            asyncio.create_task(one)
            for one in (self._read(socket), self._notice_silence(), self._grow_old())
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                event = self._decode(message.data).data
            except msgspec.MsgspecError as error:
                # It may have been a candle: the questions after a new connection find it.
                return f"a message that cannot be read: {error}"
            if event.e == "serverShutdown":
                return "the exchange shuts this server down"
            self._heard_ms = self._clock.now_ms()
            self._wait_s = _FIRST_WAIT_S
            if event.k is not None and event.k.x:
                self._hear(event.s, event.k)
        return f"closed with code {socket.close_code}"

    def _hear(self, symbol: str, kline: _Kline) -> None:
        if symbol not in self._symbols or kline.i != self._timeframe:
            return
        self._put(
            ClosedCandle(
                symbol=symbol,
                open_time=kline.t,
                open=kline.o,
                high=kline.h,
                low=kline.l,
                close=kline.c,
                volume=kline.v,
                quote_volume=kline.q,
                trades=kline.n,
                taker_buy=kline.V,
            )
        )

    async def _notice_silence(self) -> str:
        while True:
            heard_ms = self._heard_ms
            await self._clock.sleep_until(heard_ms + _SILENT_MS)
            if heard_ms == self._heard_ms:
                await asyncio.sleep(_SILENT_S)
            if heard_ms == self._heard_ms and not self._clock.lockstep:
                return f"silent for {_SILENT_MS // 1000} s"
            if heard_ms == self._heard_ms:
                self._heard_ms = self._clock.now_ms()

    async def _grow_old(self) -> str:
        await self._clock.sleep_until(self._clock.now_ms() + _LIFETIME_MS)
        return "23 hours old"
