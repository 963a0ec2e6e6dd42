"""market_data: every closed candle of every symbol, once and in order, from the exchange to Redis.

The socket brings candles as they close; REST brings what it missed: before the session, while it
was down, and what it never sent. Prices pass as the exchange's own text.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
from live.exchange.port import Exchange, Unavailable
from live.market_socket import Connected, MarketSocket
from live.published import Published, is_sound
from live.pulse import Pulse, State
from live.records import CANDLES, ClosedCandle
from live.session import Session
from strategy.errors import WickError
from strategy.timeframes import timeframe_ms, timeframe_offset_ms

log = logging.getLogger(__name__)

ROLE = "market_data"
_PAGES = (99, 499, 1_000, 1_500)  # they weigh 1, 2, 5 and 10 of the 2,400 a minute
# After a close the socket's event usually comes within one second. An instant waits two seconds for
# its last symbol (`Session.straggler_ms`): what the socket leaves out must be here before that.
_OVERDUE_MS = 1_000
_LONGEST_MS = 60_000
_LOOK_S = 0.2
# In lockstep time stands still, so only real time can tell that a candle was lost on its way.
_DOUBT_S = 1.0
_FIRST_WAIT_S, _LAST_WAIT_S = 0.2, 5.0
_DOWN = "the market stream is down"


@dataclass(frozen=True, slots=True)
class _Answers:
    before: dict[str, int]  # the first candle that was asked for
    pages: dict[str, Sequence[ClosedCandle] | WickError | Unavailable]


_Item = Connected | ClosedCandle | _Answers | Exception | Literal["look", "doubt", "end"]


async def run(session: Session, bus: Bus, clock: Clock, exchange: Exchange) -> None:
    """Carry candles until a replay is over, or for ever.

    Raises
    ------
    WickError
        The exchange does not know a symbol or the timeframe.
    """
    pulse, published = Pulse(ROLE, bus, clock), Published()
    while True:
        try:
            await MarketData(session, bus, clock, exchange, pulse, published).run()
            return
        except (RedisError, OSError) as error:
            log.warning("redis=away error=%s", error)
            await asyncio.sleep(_FIRST_WAIT_S)


class MarketData:
    """One session's candles, from what Redis has now to the end or to the next loss of Redis."""

    def __init__(
        self,
        session: Session,
        bus: Bus,
        clock: Clock,
        exchange: Exchange,
        pulse: Pulse,
        published: Published,
    ) -> None:
        self._session = session
        self._bus = bus
        self._clock = clock
        self._exchange = exchange
        self._pulse = pulse
        self._published = published
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
        self._questions: set[asyncio.Task[_Answers]] = set()
        self._asked: set[str] = set()  # symbols with a question whose answer is not here
        self._unsure: set[str] = set()  # of those: the answer may be of too early a time
        self._put_off: dict[str, float] = {}  # symbols that failed, and when to ask again
        self._wait_s: dict[str, float] = {}
        self._held: dict[str, list[ClosedCandle]] = defaultdict(list)  # behind a hole

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
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(one) for one in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            tasks += self._questions
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # From here on nobody brings anything again.
        await self._bus.written()
        await self._bus.check(self._streams.values())
        await self._pulse.end()

    async def _deliver(self) -> None:
        is_last = False
        while not (is_last and not self._asked and not self._put_off):
            items: list[_Item] = [await self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            for item in items:
                match item:
                    case ClosedCandle():
                        self._take(item)
                    case _Answers():
                        self._take_answers(item)
                    case Exception():
                        raise item
                    case "look":
                        self._ask_again(self._overdue())
                    case _:
                        self._ask_again(self._next)
            await self._publish()
            is_last = is_last or "end" in items

    def _take(self, candle: ClosedCandle) -> None:
        symbol = candle.symbol
        if candle.open_time == self._next[symbol]:
            self._keep(candle)
        elif candle.open_time > self._next[symbol]:  # a hole, unless the exchange has none either
            self._held[symbol].append(candle)
            self._ask_again([symbol])
        else:
            self._published.compare(candle)

    def _overdue(self) -> list[str]:
        now, now_s = self._clock.now_ms(), time.monotonic()
        for symbol in [one for one, due_s in self._put_off.items() if due_s <= now_s]:
            del self._put_off[symbol]
            self._look_at[symbol] = now
        return [s for s, due in self._look_at.items() if due <= now and s not in self._asked]

    def _ask_again(self, symbols: Collection[str]) -> None:
        # An answer that is on its way may be of a time before what makes us ask.
        self._unsure.update(one for one in symbols if one in self._asked)
        self._ask([s for s in symbols if s not in self._asked and s not in self._put_off])

    def _ask(self, symbols: Sequence[str]) -> None:
        # Page by page for all symbols at once: nobody downstream shall take the last ones for late.
        if symbols:
            self._asked.update(symbols)
            task = asyncio.create_task(self._answers(symbols))
            self._questions.add(task)
            task.add_done_callback(self._answered_one)

    def _answered_one(self, task: "asyncio.Task[_Answers]") -> None:
        self._questions.discard(task)
        if not task.cancelled():
            error = task.exception()
            assert error is None or isinstance(error, Exception)
            self._queue.put_nowait(error or task.result())

    async def _answers(self, symbols: Sequence[str]) -> "_Answers":
        before = {one: self._next[one] for one in symbols}
        pages = await asyncio.gather(*(self._answer(one) for one in symbols))
        return _Answers(before, dict(zip(symbols, pages, strict=True)))

    async def _answer(self, symbol: str) -> Sequence[ClosedCandle] | WickError | Unavailable:
        # From the newest one that went out, which may have been revised since.
        start = newest = self._next[symbol] - self._length
        if not self._published.has(symbol, newest):
            start = self._next[symbol]
        try:
            return await self._exchange.klines(
                symbol, self._session.timeframe, start, self._page(symbol)
            )
        except WickError as error:
            log.warning("symbol=%s klines=refused error=%s", symbol, error.message)
            return error
        except Unavailable as error:
            log.warning("symbol=%s klines=unavailable error=%s", symbol, error)
            return error

    def _take_answers(self, answers: "_Answers") -> None:
        refusals = [one for one in answers.pages.values() if isinstance(one, WickError)]
        if len(refusals) == len(answers.pages) and not self._answered:
            raise refusals[0]
        now, further = self._clock.now_ms(), []
        for symbol, page in answers.pages.items():
            if isinstance(page, Exception):
                self._put_off_asking(symbol, page)
                continue
            self._answered = True
            self._wait_s.pop(symbol, None)
            for candle in page:
                if candle.open_time >= self._next[symbol]:
                    self._keep(candle)
                else:
                    self._published.compare(candle)
            if answers.before[symbol] < self._next[symbol] <= now - self._length:
                further.append(symbol)
            elif symbol in self._unsure:
                further.append(symbol)
                self._unsure.discard(symbol)
            else:
                self._asked.discard(symbol)
                for candle in self._held.pop(symbol, ()):
                    if candle.open_time >= self._next[symbol]:
                        self._keep(candle)
                self._wait_for_next(symbol)
                self._filled = True
        self._ask(further)

    def _put_off_asking(self, symbol: str, why: WickError | Unavailable) -> None:
        # The others go on; of this one only what has no hole before it.
        pause_s = why.retry_after_ms / 1000 if isinstance(why, Unavailable) else 0.0
        wait_s = self._wait_s.get(symbol, _FIRST_WAIT_S)
        self._wait_s[symbol] = min(2 * wait_s, _LAST_WAIT_S)
        self._put_off[symbol] = time.monotonic() + max(pause_s, wait_s)
        self._asked.discard(symbol)
        self._unsure.discard(symbol)
        del self._held[symbol][:-1]  # REST will have the older ones

    def _page(self, symbol: str) -> int:
        missing = (self._clock.now_ms() - self._next[symbol]) // self._length + 3
        return next((size for size in _PAGES if size > missing), _PAGES[-1])

    def _keep(self, candle: ClosedCandle) -> None:
        if not is_sound(candle, self._length, self._offset):
            log.error("candle=refused %s", candle)
            return
        self._published.compare(candle)  # Redis may have lost it
        self._published.add(candle)
        self._ready.append(candle)
        self._next[candle.symbol] = candle.open_time + self._length
        self._pause.pop(candle.symbol, None)
        self._wait_for_next(candle.symbol)

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
        looks, known, is_told = 0, dict(self._next), False
        while True:
            if self._clock.ended and not is_told:
                is_told = True
                self._queue.put_nowait("end")
            await self._pulse.tell(self._state(), self._note())
            await asyncio.sleep(_LOOK_S)
            if any(due_s <= time.monotonic() for due_s in self._put_off.values()):
                self._queue.put_nowait("look")
            looks = looks + 1 if known == self._next else 0
            known = dict(self._next)
            if self._clock.lockstep and looks * _LOOK_S >= _DOUBT_S:
                looks = 0
                self._queue.put_nowait("doubt")
            await self._pulse.check(self._streams.values())

    def _note(self) -> str:
        notes = [] if self._socket.connected else [_DOWN]
        if self._wait_s:
            notes.append(f"no answer about {', '.join(sorted(self._wait_s))}")
        return "; ".join([*notes, *filter(None, [self._published.note])])

    def _state(self) -> State:
        if not self._filled:
            return "starting"
        # One candle may be on its way at any time.
        if min(self._next.values()) + 2 * self._length <= self._clock.now_ms():
            return "catching up"
        return "running" if self._socket.connected else "waiting"
