"""Holes of a stored series filled from the archive and REST, and their causes written down."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.checking.look import origin
from data.checking.present import Hole, gaps_of, in_time
from data.gaps import (
    ARCHIVE_LOSS,
    OUR_LOSS,
    OUTAGE,
    UNKNOWN,
    Cause,
    Entry,
    cut,
    read_ledger,
    record,
    settled,
    unasked,
    write_ledger,
)
from data.kinds import AGG_TRADES
from data.manifest import Manifest, Series, Source
from data.quality import Gap
from data.repairing.supply import Supply
from data.store import load_arrays
from data.table import column
from data.writer import SeriesWriter
from strategy.timeframes import DAY_MS, MONTH, longest_ms

# More days than this of one month are asked for as a month.
_FEW_DAYS = 3
# What is asked of REST and stored at once, in candles; of other rows in time.
_AT_ONCE = 30_000
_AT_ONCE_MS = 30 * DAY_MS
# Holes with fewer candles than this from the first to the last share a question.
_NEAR = 1000


class Refill:
    """The filling of one series' holes; what came of it stands in the ledger."""

    def __init__(self, store: Path, writer: SeriesWriter, supply: Supply) -> None:
        self._store, self._writer, self._supply = store, writer, supply
        self._series = supply.series
        self._folder = supply.series.folder(store)
        self.filled = 0

    def fill(self, again: bool) -> list[Gap]:
        """Ask for holes, store what comes, and return the holes that are left.

        Parameters
        ----------
        again : bool
            Also for those that were asked for before.

        Raises
        ------
        WickError
            A stored file is damaged.
        """
        gaps = gaps_of(self._store, self._series)
        ledger = read_ledger(self._folder)
        calm = settled(ledger, gaps, self._span(), self._series)
        if calm != ledger:
            write_ledger(self._folder, calm)
        todo = self._holes(gaps if again else unasked(gaps, calm, self._series))
        if not todo:
            return gaps
        use_archive = self._supply.archived and from_archive(self._series, self._writer.manifest)
        if use_archive:
            todo = self._from_archive(todo)
        self._from_rest(todo, use_archive)
        return gaps_of(self._store, self._series)

    def _from_archive(self, todo: Sequence[Hole]) -> list[Hole]:
        months, days = periods_of(todo, self._series)
        got = set()
        for period, table, source in self._supply.files(list(months)):
            self._store_missing(table, source, todo, OUR_LOSS)
            got.add(period)
        days += [day for month, its in months.items() if month not in got for day in its]
        for _, table, source in self._supply.files(sorted(days)):
            self._store_missing(table, source, todo, OUR_LOSS)
        # Only what was to be asked for, or is a part of it.
        firsts = [hole.gap.first_missing for hole in todo]
        left = []
        for gap in gaps_of(self._store, self._series):
            at = bisect_right(firsts, gap.first_missing) - 1
            if at >= 0 and gap.first_missing <= todo[at].gap.last_missing:
                left.append(gap)
        return self._holes(left)

    def _from_rest(self, todo: Sequence[Hole], archive_asked: bool) -> None:
        sure = not (archive_asked and self._supply.archive_failed)
        cause: Cause = UNKNOWN if not sure else ARCHIVE_LOSS if archive_asked else OUR_LOSS
        for start_ms, end_ms, holes in _questions(todo, self._series):
            answer = self._supply.answer(start_ms, end_ms)
            asked = sure
            if answer is not None:
                table, source = answer
                holes = self._store_missing(table, source, holes, cause)
            elif self._supply.in_rest and not self._supply.forgotten:
                return
            else:
                # REST has no such rows at all: the archive, asked before, has the last word.
                asked = sure and archive_asked
            if asked:
                why = UNKNOWN if self._supply.forgotten else OUTAGE
                self._record(_entry(h.gap, why, self._supply.now_ms) for h in holes)

    def _store_missing(
        self, table: pa.Table, source: Source, holes: Sequence[Hole], cause: Cause
    ) -> list[Hole]:
        """Store those rows that fill holes, never others; return what of the holes is left."""
        kind = self._series.its_kind
        key, times = column(table, _key(self._series)), column(table, kind.time)
        wanted = np.zeros(len(table), bool)
        entries, left = [], []
        for hole in holes:
            inside = (times >= hole.start_ms) & (times < hole.end_ms)
            if kind.has_candles or kind is AGG_TRADES:
                inside &= (key >= hole.gap.first_missing) & (key <= hole.gap.last_missing)
            wanted |= inside
            filled, rest = cut(hole.gap, _around(key[inside], hole.gap, self._series), self._series)
            entries += [
                _entry(gap, cause, self._supply.now_ms, gap.count, source.name) for gap in filled
            ]
            left += [Hole(gap, hole.start_ms, hole.end_ms) for gap in rest]
        if wanted.any():
            merge = self._writer.add(table.filter(pa.array(wanted)), source)
            self.filled += merge.added
            self._record(entries)
        return left

    def _record(self, entries: "Iterator[Entry] | list[Entry]") -> None:
        record(self._folder, self._series, entries)

    def _holes(self, gaps: Sequence[Gap]) -> list[Hole]:
        return in_time(self._store, self._series, gaps, self._supply.now_ms)

    def _span(self) -> tuple[int, int]:
        files = self._writer.manifest.files
        if self._series.its_kind is not AGG_TRADES:
            return files[0].first_ms, files[-1].last_ms
        ids = [
            load_arrays(self._store, self._series, f.first_ms, f.last_ms + 1)["agg_id"]
            for f in (files[0], files[-1])
        ]
        return int(ids[0].min()), int(ids[-1].max())


def from_archive(series: Series, manifest: Manifest) -> bool:
    """Say whether a series came from the archive, or nobody knows where from."""
    sources = [source for stored in manifest.files for source in stored.sources]
    return not sources or any(origin(series, source.name) == "archive" for source in sources)


def periods_of(holes: Sequence[Hole], series: Series) -> tuple[dict[str, list[str]], list[str]]:
    """List the files of the archive that can have the rows of holes.

    Returns
    -------
    months : dict
        Months to ask for first, each with the days to ask for where there is no such file.
    days : list of str
        Days of the other months.
    """
    kind = series.its_kind
    by_month: dict[str, set[str]] = {}
    for hole in holes:
        first = np.datetime64(hole.start_ms, "ms").astype("datetime64[D]")
        last = np.datetime64(hole.end_ms - 1, "ms").astype("datetime64[D]")
        for day in np.arange(first, last + 1):
            by_month.setdefault(str(day)[: len("2023-01")], set()).add(str(day))
    months: dict[str, list[str]] = {}
    days: list[str] = []
    for month, its_days in by_month.items():
        if "daily" not in kind.periods or series.timeframe == MONTH:
            months[month] = []
        elif len(its_days) > _FEW_DAYS and "monthly" in kind.periods and not kind.by_day:
            months[month] = sorted(its_days)
        else:
            days += its_days
    return months, days


def _questions(holes: Sequence[Hole], series: Series) -> Iterator[tuple[int, int, list[Hole]]]:
    """Put holes that lie near together into one question, and cut long ones into several."""
    length = longest_ms(series.timeframe) if series.timeframe else 0
    near = length * _NEAR or 3_600_000
    most = length * _AT_ONCE or _AT_ONCE_MS
    group: list[Hole] = []
    for hole in sorted(holes, key=lambda one: one.start_ms):
        if group and hole.end_ms - group[0].start_ms > near:
            yield from _pieces(group, most, series)
            group = []
        group.append(hole)
    if group:
        yield from _pieces(group, most, series)


def _pieces(group: list[Hole], most: int, series: Series) -> Iterator[tuple[int, int, list[Hole]]]:
    start_ms, end_ms = group[0].start_ms, max(hole.end_ms for hole in group)
    if len(group) > 1 or end_ms - start_ms <= most or not series.its_kind.has_candles:
        yield start_ms, end_ms, group
        return
    (whole,) = group
    length = longest_ms(series.timeframe)
    for low in range(start_ms, end_ms, most):
        high = min(low + most, end_ms)
        part = Gap(low, high - length, (high - low) // length)
        yield low, high, [Hole(part, low, high) if (low, high) != (start_ms, end_ms) else whole]


def _key(series: Series) -> str:
    return "agg_id" if series.its_kind is AGG_TRADES else series.its_kind.time


def _around(keys: NDArray[np.int64], gap: Gap, series: Series) -> NDArray[np.int64]:
    """Return keys as places in the hole; rows off any grid may lie beside where it was thought."""
    if series.timeframe or series.its_kind is AGG_TRADES:
        return np.sort(keys)
    return np.clip(np.unique(keys), gap.first_missing, gap.last_missing)


def _entry(gap: Gap, cause: Cause, now_ms: int, filled: int = 0, source: str = "") -> Entry:
    return Entry(gap.first_missing, gap.last_missing, gap.count, cause, filled, source, now_ms)
