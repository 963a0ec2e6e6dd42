"""What the archive does not have, from REST: all after the last stored row, and holes before it.

A hole is asked for once: the ledger keeps whether the exchange has rows there.
"""

from math import ceil

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.dates import show_time
from data.fetching.additions import Additions
from data.fetching.fetched import Watcher
from data.gaps import (
    ARCHIVE_LOSS,
    OUR_LOSS,
    OUTAGE,
    Cause,
    Entry,
    classify,
    cut,
    read_ledger,
    record,
    unasked,
)
from data.kind_quality import missing_rows
from data.kinds import AGG_TRADES
from data.manifest import Series
from data.quality import Gap, holes
from data.rest.rows import Rest, source_of
from data.table import column
from strategy.timeframes import MONTH, close_times, timeframe_ms

# What is stored at once, so that a stopped fetch loses little.
_CANDLES_AT_ONCE = 30_000
_TRADES_AT_ONCE_MS = 4 * 3_600_000
# How long a page of REST is taken to be, for the progress.
_CANDLES_A_PAGE = 1_000
_TRADES_A_PAGE_MS = 600_000
_SLACK_MS = 60_000


class Filler:
    """One fetch's questions to REST.

    Parameters
    ----------
    rest : Rest
        Where to ask.
    additions : Additions
        Takes the rows of the series.
    now_ms : int
        The exchange's time.
    watcher : Watcher
        Told about the progress.
    """

    def __init__(self, rest: Rest, additions: Additions, now_ms: int, watcher: Watcher) -> None:
        self._rest, self._additions, self._now_ms = rest, additions, now_ms
        self._series, self._result = additions.series, additions.result
        self._watcher = watcher

    def fill_tail(self, start_ms: int, end_ms: int) -> int:
        """Store all that REST has after the last stored row of a range; return the last one's time.

        0 where nothing is stored in the range.

        Raises
        ------
        WickError
            As `Rest.rows`.
        """
        after_ms = self._after_stored(start_ms, end_ms)
        earliest_ms = self._rest.earliest_ms(self._series)
        if after_ms < min(earliest_ms, end_ms):
            self._result.notes.append(
                f"{self._series.its_kind.plural} from {show_time(after_ms)} to"
                f" {show_time(min(earliest_ms, end_ms))} UTC are not in the archive (yet) and not"
                " at REST any more; fetch again when the archive has them"
            )
        self._take(max(after_ms, earliest_ms), end_ms)
        return self._additions.last(start_ms, end_ms)

    def fill_holes(self, start_ms: int, end_ms: int) -> None:
        """Ask for the holes of a range that nobody has asked for, and write down what came of it.

        Raises
        ------
        WickError
            As `Rest.rows`; the ledger is damaged.
        """
        gaps = self._holes(start_ms, end_ms)
        ledger = read_ledger(self._additions.folder)
        for gap in unasked(gaps, ledger, self._series):
            causes = {one.cause for one in classify([gap], ledger, self._series)}
            cause = OUR_LOSS if OUR_LOSS in causes else ARCHIVE_LOSS
            first, last = gap.first_missing, gap.last_missing
            # Payments are some ms off their hour.
            slack = 0 if self._series.timeframe else _SLACK_MS
            times = self._take(first - slack, last + 1 + slack)
            there, left = cut(gap, np.clip(times, first, last), self._series)
            source = self._result.sources[-1].name if there else ""
            now_ms = self._now_ms
            entries = [_entry(part, cause, now_ms, part.count, source) for part in there]
            entries += [_entry(part, OUTAGE, now_ms) for part in left]
            entries.sort(key=lambda entry: entry.first)
            self._result.filled += entries
            record(self._additions.folder, self._series, entries)

    def _after_stored(self, start_ms: int, end_ms: int) -> int:
        last_ms = self._additions.last(start_ms, end_ms)
        if not last_ms:
            return start_ms
        if self._series.its_kind.has_candles:
            return int(close_times(np.array([last_ms]), self._series.timeframe)[0])
        # There may be more of the same instant.
        return last_ms

    def _holes(self, start_ms: int, end_ms: int) -> list[Gap]:
        its = self._series
        # Of trades REST has two days only: what is missing inside a file is left to a repair.
        if its.its_kind is AGG_TRADES:
            return []
        times = self._additions.times(start_ms, end_ms)
        if its.its_kind.has_candles:
            return holes(times, its.timeframe)
        return missing_rows({its.its_kind.time: times}, its.its_kind)

    def _take(self, start_ms: int, end_ms: int) -> NDArray[np.int64]:
        """Store what REST has of a stretch, piece by piece; return the times of its rows."""
        times = [np.empty(0, np.int64)]
        if start_ms >= end_ms:
            return times[0]
        at_once_ms, page_ms = _lengths(self._series, end_ms - start_ms)
        steps = ceil((end_ms - start_ms) / page_ms)
        self._watcher.expect(steps)
        done = 0

        def on_page(size_bytes: int, reached_ms: int) -> None:
            nonlocal done
            if size_bytes:
                self._watcher.receive(size_bytes)
            while done < min((reached_ms - start_ms) // page_ms, steps):
                self._watcher.finish()
                done += 1

        for low in range(start_ms, end_ms, at_once_ms):
            high = min(low + at_once_ms, end_ms)
            table = self._rest.rows(self._series, low, high, on_page)
            on_page(0, high)
            if len(table):
                times.append(column(table, self._series.its_kind.time))
                self._store(table)
        on_page(0, start_ms + steps * page_ms)
        return np.concatenate(times)

    def _store(self, table: pa.Table) -> None:
        source = source_of(table, self._now_ms)
        merge = self._additions.add(table, source)
        self._result.rest_rows += len(table)
        if merge.replaced:
            self._result.notes.append(
                f"{source.name}: rows that differ from those stored before, and replace them:"
                f" {merge.replaced:,}"
            )


def foreseen_pages(series: Series, start_ms: int, end_ms: int) -> int:
    """Say about how many pages of REST a range will cost, for the progress."""
    return (
        ceil((end_ms - start_ms) / _lengths(series, end_ms - start_ms)[1])
        if start_ms < end_ms
        else 0
    )


def _lengths(its: Series, whole_ms: int) -> tuple[int, int]:
    """Return how much is stored at once and what counts as a step of the progress, in ms."""
    if its.its_kind is AGG_TRADES:
        return _TRADES_AT_ONCE_MS, _TRADES_A_PAGE_MS
    if not its.timeframe or its.timeframe == MONTH:
        return whole_ms, whole_ms
    length_ms = timeframe_ms(its.timeframe)
    return _CANDLES_AT_ONCE * length_ms, _CANDLES_A_PAGE * length_ms


def _entry(gap: Gap, cause: Cause, now_ms: int, filled: int = 0, source: str = "") -> Entry:
    return Entry(gap.first_missing, gap.last_missing, gap.count, cause, filled, source, now_ms)
