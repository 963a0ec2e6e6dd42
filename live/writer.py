"""The one way a change happens: into the journal, into the ledger, then out to Redis.

Redis only ever lags behind. After it was away, or lost its last second, everything from its newest
entry on is shipped again from the journal; ids are the records' numbers, so nothing comes twice.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path

from redis.exceptions import RedisError

from live import journal
from live.bus import Bus
from live.journal import Journal
from live.journal_records import Began, Decided, Filled, Funded, Record
from live.ledger import Ledger
from live.records import ACCOUNT, FILLS, ORDERS
from strategy.errors import RunRefused

log = logging.getLogger(__name__)

_STREAMS = (ORDERS, FILLS, ACCOUNT)
_LOOK_S = 5.0
_AT_ONCE = 500
# Nobody waits for these records: orders go first, and what one instant brings is shipped together.
_GATHER_S = 0.02


def stream_of(record: Record) -> str:
    """Say which stream a record belongs to."""
    if isinstance(record, Filled | Funded):
        return FILLS
    return ACCOUNT if isinstance(record, Decided | Began) else ORDERS


class Writer:
    """Journal, ledger and shipping in one hand."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._journal = Journal(folder)
        self._unwritten: deque[Record] = deque()
        self._unshipped: deque[Record] = deque()
        self._news = asyncio.Event()
        for record in journal.read(folder):
            ledger.apply(record)

    @property
    def last(self) -> int:
        """Number of the newest record."""
        return self._journal.last

    @property
    def broken(self) -> str:
        """Why the journal cannot be written, empty while it can."""
        return f"journal: {self._journal.broken}" if self._journal.broken else ""

    def write(self, record: Record, *, durable: bool = False, needed: bool = False) -> None:
        """Journal a record and take it in.

        A journal that cannot be written keeps entries from leaving (`needed`); stops, exits and
        fills go on in memory, are written as soon as that works again, and the exchange still knows
        them all.

        Raises
        ------
        RunRefused
            The record is needed on disk and cannot be written.
        """
        try:
            self._write_back()
            record = self._append(record, durable=durable)
        except RunRefused as error:
            if needed:
                raise
            log.error("journal=broken record=%s error=%s", type(record).__name__, error.message)
            self._unwritten.append(record)
        self._ledger.apply(record)

    def catch_up(self) -> None:
        """Try again to write what could not be written."""
        with suppress(RunRefused):
            self._write_back()

    def _write_back(self) -> None:
        while self._unwritten:
            self._append(self._unwritten[0])
            self._unwritten.popleft()

    def _append(self, record: Record, *, durable: bool = False) -> Record:
        numbered = self._journal.append(record, durable=durable)
        self._unshipped.append(numbered)
        self._news.set()
        return numbered

    async def ship(self, bus: Bus) -> None:
        """Send records to Redis for ever, over its restarts."""
        while True:
            try:
                await self._ship_all(bus)
            except (RedisError, OSError) as error:
                log.warning("redis=away error=%s", type(error).__name__)
                await asyncio.sleep(0.2)

    async def _ship_all(self, bus: Bus) -> None:
        known = {stream: await bus.last_id(stream) for stream in _STREAMS}
        self._unshipped.clear()
        written = journal.read(self._folder)
        missing = [one for one in written if one.n > known[stream_of(one)]]
        for start in range(0, len(missing), _AT_ONCE):
            await self._publish(bus, missing[start : start + _AT_ONCE], known)
        # What was written while reading is in both; its repeat is refused by its id.
        while True:
            while part := list(islice(self._unshipped, _AT_ONCE)):
                await self._publish(bus, part, known)
                for _ in part:
                    self._unshipped.popleft()
            self._news.clear()
            if self._unshipped or await self._told(self._news, _LOOK_S):
                await asyncio.sleep(_GATHER_S)
                continue
            # Redis may have come back without its newest entries while nothing was sent.
            if any([await bus.last_id(one) < known[one] for one in _STREAMS]):
                return

    async def _publish(self, bus: Bus, records: list[Record], known: dict[str, int]) -> None:
        await bus.publish_all([(stream_of(one), one, one.n) for one in records])
        for one in records:
            known[stream_of(one)] = max(known[stream_of(one)], one.n)

    async def _told(self, news: asyncio.Event, wait_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), wait_s)
        return news.is_set()

    async def shipped(self) -> None:
        """Wait until Redis has everything."""
        while self._unshipped:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()
