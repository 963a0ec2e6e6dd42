"""Where sessions come from: Redis, or their journal.

Redis is asked first, since it also has candles and signs of life. Where it is gone, or lost a part
of the session, the journal tells the same records.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from redis.exceptions import RedisError

from dashboard.view import View, view
from live import journal
from live.bus import Bus
from live.connect import connect
from live.control import Command, ask
from live.folders import rank, supervisor_of, troubles_of
from live.journal_records import Record
from live.records import (
    ACCOUNT,
    CANDLES,
    FILLS,
    ORDERS,
    ClosedCandle,
)
from live.session import FILE, Session, read_session
from live.signs import Sign, signs
from strategy.errors import WickError

_Result = TypeVar("_Result")

_BY = "dashboard"
_PATIENCE_S = 3.0  # a page must not wait longer for a Redis that is gone
_BLOCK_MS = 1  # 0 would wait for ever
_AWAY = (RedisError, OSError, WickError)  # a timeout is an OSError


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles of one symbol for a chart; without `whole` only the closes are known."""

    time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    whole: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as it was read; with `live` its Redis has it too.

    `troubles` is what its supervisor says of its processes, empty where nothing is amiss.
    """

    view: View
    live: bool
    troubles: str


def sessions(folder: Path) -> list[str]:
    """List the sessions of a folder, newest first; those that compared and damaged ones last."""
    found = [path for path in folder.glob(f"*/{FILE}") if path.is_file()]
    ranks = {path.parent.name: (rank(path.parent), _created(path)) for path in found}
    return sorted(ranks, key=lambda name: (ranks[name], name), reverse=True)


def damaged(folder: Path, names: Sequence[str]) -> list[str]:
    """Return those of the sessions whose session.json cannot be read."""
    return [name for name in names if _is_damaged(folder / name)]


def _is_damaged(folder: Path) -> bool:
    try:
        read_session(folder)
    except (WickError, OSError):
        return True
    return False


class _Created(msgspec.Struct):
    created_ms: int


def _created(path: Path) -> int:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Created).created_ms
    except (msgspec.MsgspecError, OSError):
        return path.stat().st_mtime_ns // 1_000_000 if path.exists() else 0


class Reader:
    """One session, read again and again; only what is new is asked for.

    Parameters
    ----------
    folder : Path
        The session's folder.

    Raises
    ------
    WickError
        Its session.json is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.session = read_session(folder)
        self._folder = folder
        self._lock = threading.Lock()  # every open page is a thread
        self._shipped = _Shipped(self.session, folder)
        self._journal: list[Record] = []
        self._journal_size = -1

    def read(self) -> Seen:
        """Read what is new and return the whole session.

        Raises
        ------
        WickError
            The journal is damaged.
        """
        with self._lock:
            try:
                records, found = self._shipped.look()
            except _AWAY:
                records, found = [], ()
            live = bool(records or found)
            if not _complete(records):
                records = self._from_journal()
            # Redis may be somebody else's, and still has what ended long ago.
            running = supervisor_of(self._folder) != 0
            seen = view(self.session, records, found, running=running)
            return Seen(seen, live, troubles_of(self._folder))

    def bars(self, seen: Seen, symbol: str, count: int) -> Bars:
        """Return a symbol's newest candles; from the journal alone, its closes."""
        candles: list[ClosedCandle] = []
        if seen.live:
            with suppress(*_AWAY):
                candles = self._shipped.candles(symbol, count)
        if not candles:
            return _closes(seen.view, self.session.symbols.index(symbol), count)
        prices = np.array([(c.open, c.high, c.low, c.close) for c in candles], np.float64).T
        time = np.array([candle.open_time for candle in candles], np.int64)
        return Bars(time, prices[0], prices[1], prices[2], prices[3], whole=True)

    def ask(self, command: Command) -> None:
        """Ask the trader for something, and wait until it has taken note (`live.control.ask`)."""
        ask(self._folder, command, _BY)

    def _from_journal(self) -> list[Record]:
        path = self._folder / journal.FILE
        size = path.stat().st_size if path.exists() else 0
        if size != self._journal_size:
            self._journal, self._journal_size = journal.read(self._folder), size
        return self._journal


class _Shipped:
    # What the session's Redis has. Streamlit has no event loop, so each look opens one of its own.
    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._last = dict.fromkeys((ORDERS, FILLS, ACCOUNT), "0-0")
        self._records: list[Record] = []

    def look(self) -> tuple[list[Record], tuple[Sign, ...]]:
        return asyncio.run(self._with_bus(self._look))

    def candles(self, symbol: str, count: int) -> list[ClosedCandle]:
        stream = CANDLES.format(symbol=symbol, timeframe=self._session.timeframe)
        entries = asyncio.run(self._with_bus(lambda bus: bus.newest(stream, count)))
        return [entry.record for entry in entries]

    async def _look(self, bus: Bus) -> tuple[list[Record], tuple[Sign, ...]]:
        while entries := await bus.read(self._last, _BLOCK_MS):
            for entry in entries:
                self._last[entry.stream] = entry.id
                self._records.append(entry.record)
        self._records.sort(key=lambda record: record.n)
        return self._records, await signs(bus)

    async def _with_bus(self, work: Callable[[Bus], Awaitable[_Result]]) -> _Result:
        async def worked() -> _Result:
            bus = await connect(self._session, self._folder, wait_s=0.0)
            try:
                return await work(bus)
            finally:
                await bus.close()

        return await asyncio.wait_for(worked(), _PATIENCE_S)


def _complete(records: Sequence[Record]) -> bool:
    return bool(records) and records[0].n == 1 and records[-1].n == len(records)


def _closes(its: View, at: int, count: int) -> Bars:
    known = [
        (time, row[at])
        for time, row in zip(its.equity_times[-count:], its.marks[-count:], strict=True)
        if row[at] > 0.0
    ]
    time = np.array([time for time, _ in known], np.int64)
    close = np.array([mark for _, mark in known], np.float64)
    return Bars(time, close, close, close, close, whole=False)


def session_reader(folder: Path, name: str) -> Reader:
    """Open a session by its name.

    Raises
    ------
    WickError
        There is none of that name, or it is damaged.
    """
    if name not in sessions(folder):
        raise WickError(
            f"there is no session {name!r} in {folder}",
            "choose another one, or wick live rsi_macd_atr --on paper starts one",
        )
    return Reader(folder / name)
