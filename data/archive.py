"""Candles from the public archive: monthly zips, daily ones where no monthly one is out yet.

    URL/data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05.zip and .zip.CHECKSUM
    URL/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-31.zip

Every zip is stored on its own, with its name and checksum in the manifest; so a stopped fetch goes
on where it was, and a zip that the exchange has replaced since is noticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from data.clean import cleaned
from data.dates import show_time
from data.download import Archive, Download, downloads
from data.manifest import Series, Source
from data.parse import parse
from data.table import column, month_of, month_start_ms
from data.writer import Merge, SeriesWriter, writing
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import DAY_MS, EXCHANGE_TIMEFRAMES, MONTH

# Monthly zips come out on the first Monday of the next month, sometimes later: how many months
# after the newest one daily zips are looked for.
DAILY_MONTHS = np.timedelta64(2, "M")
_PATHS = {"um": "data/futures/um", "spot": "data/spot"}


class Watcher(Protocol):
    """Whoever shows the progress of a fetch."""

    def expect(self, files: int) -> None:
        """More files are going to be asked for."""

    def receive(self, size_bytes: int) -> None:
        """A piece of a file has arrived; called from several threads."""

    def finish(self) -> None:
        """A file is stored, was stored before, or does not exist."""


@dataclass(slots=True)
class Fetched:
    """What a fetch of one series did."""

    series: Series
    files: int = 0
    known: int = 0
    merge: Merge = field(default_factory=Merge)
    notes: list[str] = field(default_factory=list)
    missing_days: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Zip:
    """One file of the archive and the open times it covers."""

    series: Series
    period: str

    @property
    def name(self) -> str:
        """The file's name."""
        word = self.series.file_timeframe or self.series.its_kind.archive
        return f"{self.series.symbol}-{word}-{self.period}.zip"

    @property
    def path(self) -> str:
        """The file's place under the archive's address."""
        its = self.series
        often = "monthly" if len(self.period) == len("2024-05") else "daily"
        folders = [its.its_kind.archive, its.symbol, *filter(None, [its.file_timeframe])]
        return f"{_PATHS[its.market]}/{often}/{'/'.join(folders)}/{self.name}"


def fetch(
    store: Path,
    archive: Archive,
    series: Series,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    watcher: Watcher,
) -> Fetched:
    """Bring whole months of a series, up to yesterday, from the archive into the store.

    Parameters
    ----------
    store : Path
        Folder of the store.
    archive : Archive
        Address and manners.
    series : Series
        What to fetch.
    start_ms, end_ms : int
        First open time wanted and first not wanted, UTC milliseconds; widened to whole months.
    now_ms : int
        The present: the running day is never stored.
    watcher : Watcher
        Told about the progress.

    Raises
    ------
    WickError
        The archive has nothing of this series in this range.
    RunRefused
        The archive does not answer, a file stays damaged, or another process writes this series.
    """
    if series.timeframe not in (*EXCHANGE_TIMEFRAMES, MONTH):
        raise WickError(
            f"unknown timeframe {series.timeframe!r}, the exchange has none such",
            f"known: {' '.join(EXCHANGE_TIMEFRAMES)} {MONTH}",
        )
    today = now_ms - now_ms % DAY_MS
    end_ms = min(end_ms, today)
    if start_ms >= end_ms:
        raise WickError(
            f"the range from {show_time(start_ms)} to {show_time(end_ms)} UTC holds no whole day",
            "give --from a date before yesterday and before --to",
        )
    result = Fetched(series)
    with writing(store, series) as writer:
        months = _months(start_ms, end_ms)
        whole = [m for m in months if month_start_ms(_next(m)) <= today]
        found = _take(archive, [Zip(series, m) for m in whole], writer, now_ms, result, watcher)
        # No day holds a closed candle of a month.
        days = [] if series.timeframe == MONTH else _days_to_try(months, found, end_ms)
        found |= _take(archive, [Zip(series, d) for d in days], writer, now_ms, result, watcher)
        if not found:
            raise _nothing_there(archive, series, start_ms, end_ms)
    first = min(found)[: len("2024-05")]
    result.missing_days = [d for d in days if d not in found and d[: len(first)] >= first]
    return result


def _months(start_ms: int, end_ms: int) -> list[str]:
    first = np.datetime64(month_of(start_ms), "M")
    return [
        str(m)
        for m in np.arange(first, np.datetime64(month_of(end_ms - 1), "M") + np.timedelta64(1, "M"))
    ]


def _next(month: str) -> str:
    return str(np.datetime64(month, "M") + np.timedelta64(1, "M"))


def _days_to_try(months: Sequence[str], found: set[str], end_ms: int) -> list[str]:
    """Days of months without a monthly zip: never before the listing, nor long after the last one.

    Otherwise a symbol that began in 2023 and was asked for from 2019 would cost 1,500 questions.
    """
    before = np.datetime64(months[-1], "M") - DAILY_MONTHS
    oldest = np.datetime64(min(found), "M") if found else before
    newest = np.datetime64(max(found), "M") if found else before
    days: list[str] = []
    for month in months:
        if month in found or not oldest < np.datetime64(month, "M") <= newest + DAILY_MONTHS:
            continue
        day = np.datetime64(month, "D")
        while str(day)[: len(month)] == month and day < np.datetime64(end_ms, "ms"):
            days.append(str(day))
            day += np.timedelta64(1, "D")
    return days


def _take(
    archive: Archive,
    zips: Sequence[Zip],
    writer: SeriesWriter,
    now_ms: int,
    result: Fetched,
    watcher: Watcher,
) -> set[str]:
    """Store what is there and not stored yet; return the periods that are there."""
    watcher.expect(len(zips))
    found = set()
    known = {s.name: s.sha256 for m in writer.manifest.files for s in m.sources}
    by_path = {z.path: z for z in zips}
    for got in downloads(archive, list(by_path), known, watcher.receive):
        archived = by_path[got.path]
        if got.exists:
            found.add(archived.period)
        if got.content is not None:
            _store(archived, got, writer, now_ms, result)
            if archived.name in known:
                result.notes.append(f"{archived.name} was replaced in the archive; fetched again")
        elif got.exists:
            result.known += 1
        watcher.finish()
    return found


def _store(
    archived: Zip, got: Download, writer: SeriesWriter, now_ms: int, result: Fetched
) -> None:
    assert got.content is not None
    today = now_ms - now_ms % DAY_MS
    its = archived.series.its_kind
    parsed = parse(archived.name, got.content, its)
    table, notes = cleaned(parsed, archived.series, now_ms, end_ms=today)
    times = column(table, its.time)
    period = np.datetime64(archived.period).astype("datetime64[ms]").astype(np.int64)
    if len(times) and month_of(int(times[0])) != month_of(int(period)):
        raise WickError(
            f"{archived.name} holds candles of {show_time(int(times[0]))}, not of its own month",
            "nothing of this file was stored; try again later",
        )
    if len(table):
        result.merge += writer.add(table, Source(archived.name, got.sha256))
    result.files += 1
    result.notes += [f"{archived.name}: {note}" for note in notes]


def _nothing_there(archive: Archive, series: Series, start_ms: int, end_ms: int) -> WickError:
    from data.symbols import known_symbols

    other = "spot" if series.market == "um" else "um"
    return WickError(
        f"{archive.url} has no {series} candles from {show_time(start_ms)} to {show_time(end_ms)}",
        "take a later --from"
        if series.symbol in known_symbols(series.market)
        else did_you_mean(series.symbol, known_symbols(series.market)) + f"; or --market {other}",
    )
