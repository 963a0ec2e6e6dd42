"""market_data: every closed candle of every symbol, once and in order, from the exchange to Redis.

The socket brings candles as they close; REST brings what it missed: before the session, while it
was down, and what it never sent. Prices pass as the exchange's own text.
"""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Sequence
from typing import Literal

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
from live.exchange.port import Exchange, Unavailable
from live.market_socket import Connected, MarketSocket
from live.pulse import Pulse, State
from live.records import CANDLES, ClosedCandle
from live.session import Session
from strategy.errors import WickError
from strategy.timeframes import timeframe_ms, timeframe_offset_ms

log = logging.getLogger(__name__)

ROLE = "market_data"
_PAGES = (99, 499, 1_000, 1_500)  # they weigh 1, 2, 5 and 10 of the 2,400 a minute
_OVERDUE_MS = 2_000  # after a close the socket's event usually comes within one second
_LONGEST_MS = 60_000
_LOOK_S = 0.2
# In lockstep time stands still, so only real time can tell that a candle was lost on its way.
_DOUBT_S = 1.0
_CHECK_S = 5.0  # a candle that Redis lost would else be missed until the next one
_FIRST_WAIT_S, _LAST_WAIT_S = 0.2, 5.0
_DOWN = "the market stream is down"

_Item = Connected | ClosedCandle | Literal["look", "doubt", "end"]


async def run(session: Session, bus: Bus, clock: Clock, exchange: Exchange) -> None:
    """Carry candles until a replay is over, or for ever.

    Raises
    ------
    WickError
        The exchange does not know a symbol or the timeframe.
    """
    pulse = Pulse(ROLE, bus, clock)
    while True:
        try:
            await MarketData(session, bus, clock, exchange, pulse).run()
            return
        except (RedisError, OSError) as error:
            log.warning("redis=away error=%s", error)
            await asyncio.sleep(_FIRST_WAIT_S)


class MarketData:
    """One session's candles, from what Redis has now to the end or to the next loss of Redis."""

    def __init__(
        self, session: Session, bus: Bus, clock: Clock, exchange: Exchange, pulse: Pulse
    ) -> None:
        self._session = session
        self._bus = bus
        self._clock = clock
        self._exchange = exchange
        self._pulse = pulse
        self._length = timeframe_ms(session.timeframe)
        self._offset = timeframe_offset_ms(session.timeframe)
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._socket = MarketSocket(session, clock, self._queue.put_nowait)
        self._streams = {
            one: CANDLES.format(symbol=one, timeframe=session.timeframe) for one in session.symbols
        }
        self._next: dict[str, int] = {}  # open time of the first candle that Redis does not have
        self._look_at: dict[str, int] = {}  # when to ask REST for it
        self._pause: dict[str, int] = {}
        self._ready: list[ClosedCandle] = []
        self._answered = self._filled = False

    async def run(self) -> None:
        """Publish what closes, until a replay is over.

        Raises
        ------
        RedisError
            Redis is gone or has lost something: begin again.
        """
        await self._pulse.tell("starting")
        for symbol, stream in self._streams.items():
            last = await self._bus.last_id(stream)
            self._next[symbol] = last + self._length if last else self._session.first_open_time
            self._look_at[symbol] = self._next[symbol] + self._length + _OVERDUE_MS
        works = (self._socket.run(), self._deliver(), self._look(), self._watch())
        tasks = [asyncio.create_task(one) for one in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # From here on nobody brings anything again.
        await self._bus.written()
        await self._bus.check(self._streams.values())
        await self._pulse.end()

    async def _deliver(self) -> None:
        while True:
            items: list[_Item] = [await self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            for item in items:
                match item:
                    case ClosedCandle():
                        await self._take(item)
                    case "look":
                        now = self._clock.now_ms()
                        await self._fill([s for s, due in self._look_at.items() if due <= now])
                    case _:
                        await self._fill(self._next)
            await self._publish()
            if "end" in items:
                return

    async def _take(self, candle: ClosedCandle) -> None:
        symbol = candle.symbol
        if candle.open_time > self._next[symbol]:  # a hole, unless the exchange has none either
            await self._fill([symbol])
        if candle.open_time >= self._next[symbol]:
            self._keep(candle)

    async def _fill(self, symbols: Collection[str]) -> None:
        # Page by page for all symbols at once: nobody downstream shall take the last ones for late.
        behind = list(symbols)
        while behind:
            before = dict(self._next)
            pages = await asyncio.gather(*(self._ask(one) for one in behind))
            for page in pages:
                for candle in page:
                    if candle.open_time >= self._next[candle.symbol]:
                        self._keep(candle)
            await self._publish()
            now = self._clock.now_ms()
            behind = [
                symbol
                for symbol in behind
                if before[symbol] < self._next[symbol] <= now - self._length
            ]
        for symbol in symbols:
            self._wait_for_next(symbol)
        self._filled = True

    async def _ask(self, symbol: str) -> Sequence[ClosedCandle]:
        wait_s = _FIRST_WAIT_S
        while True:
            pause_ms = 0
            try:
                page = await self._exchange.klines(
                    symbol, self._session.timeframe, self._next[symbol], self._page(symbol)
                )
                self._answered = True
                return page
            except WickError as error:
                if not self._answered:
                    raise
                log.warning("symbol=%s klines=refused error=%s", symbol, error.message)
            except Unavailable as error:
                pause_ms = error.retry_after_ms
                log.warning("symbol=%s klines=unavailable error=%s", symbol, error)
            await asyncio.sleep(max(pause_ms / 1000, wait_s))
            wait_s = min(2 * wait_s, _LAST_WAIT_S)

    def _page(self, symbol: str) -> int:
        missing = (self._clock.now_ms() - self._next[symbol]) // self._length + 2
        return next((size for size in _PAGES if size > missing), _PAGES[-1])

    def _keep(self, candle: ClosedCandle) -> None:
        if not self._is_sound(candle):
            log.error("candle=refused %s", candle)
            return
        self._ready.append(candle)
        self._next[candle.symbol] = candle.open_time + self._length
        self._pause.pop(candle.symbol, None)
        self._wait_for_next(candle.symbol)

    def _is_sound(self, candle: ClosedCandle) -> bool:
        try:
            opened, high, low, close, volume = map(
                float, (candle.open, candle.high, candle.low, candle.close, candle.volume)
            )
        except ValueError:
            return False
        return (
            0.0 < low <= opened <= high < math.inf  # false of NaN, at every place
            and low <= close <= high
            and 0.0 <= volume < math.inf
            and (candle.open_time - self._offset) % self._length == 0
        )

    async def _publish(self) -> None:
        if self._ready:
            ready, self._ready = self._ready, []
            await self._bus.publish_all(
                [(self._streams[one.symbol], one, one.open_time) for one in ready]
            )

    def _wait_for_next(self, symbol: str) -> None:
        due, now = self._next[symbol] + self._length + _OVERDUE_MS, self._clock.now_ms()
        if due <= now:  # asked for and not there: ask less and less often
            pause = self._pause.get(symbol, _OVERDUE_MS)
            self._pause[symbol] = min(2 * pause, _LONGEST_MS)
            due = now + pause
        self._look_at[symbol] = due

    async def _look(self) -> None:
        while True:
            due = min(self._look_at.values())
            await self._clock.sleep_until(due)
            if min(self._look_at.values()) <= self._clock.now_ms():
                self._queue.put_nowait("look")
                await asyncio.sleep(_LOOK_S)  # real time for the answer

    async def _watch(self) -> None:
        looks, known, checked_s = 0, dict(self._next), time.monotonic()
        while not self._clock.ended:
            await self._pulse.tell(self._state(), "" if self._socket.connected else _DOWN)
            await asyncio.sleep(_LOOK_S)
            looks = looks + 1 if known == self._next else 0
            known = dict(self._next)
            if self._clock.lockstep and looks * _LOOK_S >= _DOUBT_S:
                looks = 0
                self._queue.put_nowait("doubt")
            every_s = _DOUBT_S if self._clock.lockstep else _CHECK_S
            if time.monotonic() >= checked_s + every_s:
                await self._bus.check(self._streams.values())
                checked_s = time.monotonic()
        self._queue.put_nowait("end")
        await asyncio.Event().wait()  # until the last candle is delivered

    def _state(self) -> State:
        if not self._filled:
            return "starting"
        # One candle may be on its way at any time.
        if min(self._next.values()) + 2 * self._length <= self._clock.now_ms():
            return "catching up"
        return "running" if self._socket.connected else "waiting"
