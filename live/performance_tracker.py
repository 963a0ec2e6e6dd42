"""The performance tracker: equity for those who watch, and the run folder when a session ends.

It owns nothing. After a crash it reads the journal again, and what is written from then on comes
over the streams; every record has a number, so none counts twice and none is passed over.
"""

import asyncio
import logging
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from data.settings import load_settings
from live import journal
from live.bus import Bus
from live.clock import Clock
from live.outcome import History, keep
from live.pulse import Pulse, State
from live.records import ACCOUNT, EQUITY, FILLS, ORDERS, ClosedCandle, EquityPoint
from live.session import Session

log = logging.getLogger(__name__)

ROLE = "performance_tracker"
TRADER = "trader"
_BLOCK_MS = 500
_BACK_OFF_S = 0.2
_POINTS_AT_ONCE = 1_000


async def run(session: Session, folder: Path, bus: Bus, clock: Clock) -> None:
    """Follow a session until its replay is over or it is asked to stop, then keep it as a run.

    Raises
    ------
    WickError
        The session's strategy has changed, or its journal is damaged.
    RunRefused
        The run cannot be written.
    """
    tracker = _Tracker(session, folder, bus, clock)
    try:
        await tracker.follow()
    except asyncio.CancelledError:
        await tracker.look_once_more()
        await tracker.end()
        raise
    await tracker.end()


class _Tracker:
    def __init__(self, session: Session, folder: Path, bus: Bus, clock: Clock) -> None:
        self._folder = folder
        self._bus = bus
        self._clock = clock
        self._history = History(session, folder)
        self._offset = 0  # in the journal
        self._published = 0  # points of equity
        self._pulse = Pulse(ROLE, bus, clock)
        self._read_journal()
        records = dict.fromkeys((ORDERS, FILLS, ACCOUNT), self._history.last)
        before = session.first_open_time - 1
        self._read = records | dict.fromkeys(self._history.candle_streams, before)

    async def follow(self) -> None:
        while True:
            try:
                await self._resume_equity()
                await self._say("running")
                while not await self._over():
                    await self._step(_BLOCK_MS)
                return
            except (RedisError, OSError) as error:
                log.warning("redis=away error=%s", type(error).__name__)
                await asyncio.sleep(_BACK_OFF_S)

    async def look_once_more(self) -> None:
        """Take in what there is, without waiting for more; Redis may be gone already."""
        self._read_journal()
        with suppress(RedisError, OSError):
            while await self._step(1):
                pass

    async def end(self) -> None:
        kept = keep(self._history, load_settings().runs)
        log.info("run=%s", kept or "none, nothing was decided")
        with suppress(RedisError, OSError):
            await self._say("ended")

    async def _step(self, block_ms: int) -> int:
        history = self._history
        entries = await self._bus.read(self._read, block_ms)
        for entry in entries:
            self._read[entry.stream] = entry.number
            if isinstance(entry.record, ClosedCandle):
                history.take_candle(entry.stream, entry.record)
            else:
                history.take(entry.record)
        if history.has_gap:  # Redis lost something, or gave only a part
            self._read_journal()
        await self._publish_equity()
        await self._say("running")
        return len(entries)

    async def _over(self) -> bool:
        # The trader's last word names its last record; candles come before it.
        if not self._clock.ended:
            return False
        trader = (await self._bus.health()).get(TRADER)
        if trader is None or trader.state != "ended":
            return False
        last = int(trader.note or 0)
        if last > self._history.last:
            # Redis may have lost the newest ones when nobody was left to send them again.
            self._read_journal()
        if last > self._history.last or await self._step(1):
            return False
        await self._resume_equity()  # Redis may have lost points that nothing newer asked for
        await self._publish_equity()
        return True

    def _read_journal(self) -> None:
        records, self._offset = journal.read_from(self._folder, self._offset)
        for record in records:
            self._history.take(record)

    async def _resume_equity(self) -> None:
        last = await self._bus.last_id(EQUITY)
        self._published = bisect_right(self._history.log.time, last)

    async def _publish_equity(self) -> None:
        books = self._history.log
        while self._published < len(books.time):
            part = slice(self._published, self._published + _POINTS_AT_ONCE)
            points = map(EquityPoint, books.time[part], books.equity[part])
            await self._bus.publish_all([(EQUITY, point, point.time) for point in points])
            self._published = min(part.stop, len(books.time))

    async def _say(self, state: State) -> None:
        closed = self._history.log.closed
        await self._pulse.tell(state, f"{closed} trade{'' if closed == 1 else 's'}")
