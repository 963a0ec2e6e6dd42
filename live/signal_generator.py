"""signal_generator: what the strategy says at every instant, once and in order, from candles.

Rows come from the same compiled code as in a backtest, through one tape a symbol. A tape is worth
nothing that Redis could not give back: it goes on from a snapshot, or from the first candle.
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from live.bus import Bus, Entry
from live.clock import Clock
from live.pulse import Pulse, State
from live.records import CANDLES, SIGNALS, TAPE, Batch, ClosedCandle, Signal
from live.session import Session
from live.symbol_tape import SymbolTape
from strategy.tape import TapeError
from strategy.timeframes import timeframe_ms

log = logging.getLogger(__name__)

ROLE, MARKET_DATA = "signal_generator", "market_data"
_SNAPSHOT_EVERY = 500  # instants
_BLOCK_MS = 500
_PUBLISHED_AT_ONCE = 500
_WAIT_S = 0.2


async def run(session: Session, folder: Path, bus: Bus, clock: Clock) -> None:
    """Say what the strategy says until a replay is over, or for ever.

    Raises
    ------
    WickError
        The session's strategy was changed, or fails.
    """
    generator = SignalGenerator(session, folder, bus, clock)
    while True:
        try:
            await generator.run()
            return
        except (RedisError, OSError) as error:
            log.warning("redis=away error=%s", error)
            await asyncio.sleep(_WAIT_S)


class SignalGenerator:
    """One session's generator; `run` begins with what Redis has."""

    def __init__(self, session: Session, folder: Path, bus: Bus, clock: Clock) -> None:
        self._session = session
        self._strategy, self._params, _ = session.loaded(folder)
        self._bus = bus
        self._clock = clock
        self._pulse = Pulse(ROLE, bus, clock)
        self._length = timeframe_ms(session.timeframe)
        self._symbols = {
            CANDLES.format(symbol=one, timeframe=session.timeframe): one for one in session.symbols
        }

    async def run(self) -> None:
        """Emit one batch an instant, until a replay is over.

        Raises
        ------
        RedisError
            Redis is gone or has lost something: begin again.
        """
        await self._pulse.tell("starting")
        await self._begin()
        tasks = [asyncio.create_task(one) for one in (self._read(), self._work(), self._tell())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._give_up_waiting()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(RedisError, OSError):
                await self._save()
        # From here on nobody says anything again.
        await self._bus.written()
        await self._bus.check([SIGNALS])
        await self._pulse.end()

    async def _begin(self) -> None:
        # What is older than the session's start is warm-up: read, and not spoken of.
        self._emitted = max(await self._bus.last_id(SIGNALS), self._session.trade_from)
        self._tapes = {one: await self._restored(one) for one in self._session.symbols}
        self._newest = {one: tape.last_open_time for one, tape in self._tapes.items()}
        self._pending: dict[str, list[ClosedCandle]] = {one: [] for one in self._tapes}
        self._unsaved = 0
        self._over = False
        self._news = asyncio.Event()
        self._released = 0  # instants up to here wait for nobody any more
        self._told = 0  # in lockstep: everything before the instants up to here is settled
        self._closing: tuple[int, frozenset[str]] = (0, frozenset())
        self._waiting: asyncio.Task[None] | None = None
        self._waits_for = (0, 0)

    async def _restored(self, symbol: str) -> SymbolTape:
        snapshot = await self._bus.kept(TAPE.format(symbol=symbol))
        if snapshot is not None:
            try:
                tape = SymbolTape(self._session, self._strategy, self._params, symbol, snapshot)
                if tape.last_open_time + self._length <= self._emitted:
                    return tape
                log.warning("symbol=%s snapshot=ahead of the signals", symbol)
            except TapeError as error:
                log.warning("symbol=%s snapshot=refused error=%s", symbol, error.message)
        return SymbolTape(self._session, self._strategy, self._params, symbol)

    async def _read(self) -> None:
        while True:
            # Asked before reading: what is read then has all that market_data has brought.
            ended = self._clock.ended and await self._bus.has_ended(MARKET_DATA)
            after = {stream: max(self._newest[one], 0) for stream, one in self._symbols.items()}
            entries = await self._bus.read(after, 1 if ended else _BLOCK_MS)
            self._take(entries)
            await asyncio.sleep(0)  # what was read is worked on before more is asked for
            if ended and not entries:
                break
        self._over = True
        self._news.set()
        await asyncio.Event().wait()  # until all is emitted

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            candle: ClosedCandle = entry.record
            self._pending[candle.symbol].append(candle)
            self._newest[candle.symbol] = candle.open_time
        if entries:
            self._news.set()

    async def _work(self) -> None:
        while not self._over or self._instants():
            await self._news.wait()
            self._news.clear()
            await self._read_late()
            while ready := self._ready():
                await self._emit(ready)
            self._wait_for_the_rest()

    async def _read_late(self) -> None:
        # Warm-up, and candles whose instant did not wait for them: never decided again.
        read = 0
        for symbol in self._pending:
            if old := self._cut(symbol, self._emitted):
                self._tapes[symbol].read(old, self._first)
                read = max(read, len(old))
        await self._save_sometimes(read)

    def _instants(self) -> list[int]:
        opens = {candle.open_time for its in self._pending.values() for candle in its}
        return sorted(open_time + self._length for open_time in opens)

    def _ready(self) -> list[int]:
        # Streams are in order: a symbol with a later candle has none at this instant.
        limit = max(min(self._newest.values()) + self._length, self._released)
        time, closing = self._closing
        if all(self._newest.get(one, time) + self._length >= time for one in closing):
            limit = max(limit, time)
        if self._clock.lockstep:  # REST may have a candle before its fills are told
            limit = min(limit, self._told)
        return [time for time in self._instants() if time <= limit or self._over]

    async def _emit(self, instants: list[int]) -> None:
        said: dict[str, dict[int, Signal]] = {}
        for symbol, tape in self._tapes.items():
            chunk = self._cut(symbol, instants[-1])
            signals = tape.read(chunk, self._first) if chunk else ()
            said[symbol] = {signal.open_time: signal for signal in signals}
        batches = []
        for time in instants:
            now = {symbol: its.get(time - self._length) for symbol, its in said.items()}
            present = tuple(signal for signal in now.values() if signal is not None)
            late = tuple(symbol for symbol, signal in now.items() if signal is None)
            batches.append(Batch(time, present, late))
        for start in range(0, len(batches), _PUBLISHED_AT_ONCE):
            part = batches[start : start + _PUBLISHED_AT_ONCE]
            await self._bus.publish_all([(SIGNALS, one, one.time) for one in part])
        self._emitted = instants[-1]
        await self._save_sometimes(len(instants))

    @property
    def _first(self) -> int:
        return self._emitted - self._length + 1  # the first open time that is still to be decided

    def _cut(self, symbol: str, instant: int) -> list[ClosedCandle]:
        pending, last = self._pending[symbol], instant - self._length
        if not pending or pending[-1].open_time <= last:
            self._pending[symbol] = []
            return pending
        closed = [candle for candle in pending if candle.open_time <= last]
        self._pending[symbol] = pending[len(closed) :]
        return closed

    def _wait_for_the_rest(self) -> None:
        instants = self._instants()
        # Whoever still brings older candles is not late, it is catching up.
        waits_for = (instants[0], min(self._newest.values())) if instants else (0, 0)
        if waits_for == self._waits_for:
            return
        self._give_up_waiting()
        self._waits_for = waits_for
        if instants:
            self._waiting = asyncio.create_task(self._wait(instants[0]))

    def _give_up_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _wait(self, time_ms: int) -> None:
        closing = await self._clock.closing(time_ms)
        if closing is not None:
            self._closing = (time_ms, closing)
            self._told = max(self._told, time_ms)
            self._news.set()
            return
        if self._clock.lockstep:
            return  # the replay has ended, and with it what there is to wait for
        await self._clock.sleep_until(self._clock.now_ms() + self._session.straggler_ms)
        self._released = time_ms
        self._news.set()

    async def _save_sometimes(self, instants: int) -> None:
        self._unsaved += instants
        if self._unsaved >= _SNAPSHOT_EVERY:
            await self._save()

    async def _save(self) -> None:
        if any(one.last_open_time + self._length > self._emitted for one in self._tapes.values()):
            return  # read and not yet emitted: it could not be gone on from
        for symbol, tape in self._tapes.items():
            await self._bus.keep(TAPE.format(symbol=symbol), tape.snapshot())
        self._unsaved = 0

    async def _tell(self) -> None:
        while True:
            await self._pulse.tell(self._state())
            await asyncio.sleep(_WAIT_S)
            await self._pulse.check([SIGNALS])

    def _state(self) -> State:
        behind_ms = self._clock.now_ms() - self._emitted
        return "catching up" if behind_ms >= 2 * self._length else "running"
