"""Files of the public archive: monthly zips, daily ones where no monthly one is out yet.

    URL/data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05.zip and .zip.CHECKSUM
    URL/data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-05-31.zip
    URL/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-05-31.zip

Every zip is stored on its own, with its name and checksum in the manifest; so a stopped fetch goes
on where it was, and a zip that the exchange has replaced since is noticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.fetching.additions import Additions
from data.fetching.download import Archive, Download, downloads
from data.fetching.fetched import Watcher
from data.files.clean import cleaned
from data.files.parse import parse
from data.files.times import MEND
from data.kinds import KLINES, Kind
from data.manifest import Series, Source
from data.table import column, month_of, month_start_ms, period_end_ms, period_start_ms
from data.writer import Merge
from strategy.errors import RunRefused, WickError
from strategy.timeframes import DAY_MS, MONTH

# Monthly zips come out on the first Monday of the next month, sometimes later: how many months
# after the newest one daily zips are looked for.
DAILY_MONTHS = np.timedelta64(2, "M")
_MONTH_LENGTH = len("2024-05")
_PATHS = {"um": "data/futures/um", "spot": "data/spot"}


@dataclass(frozen=True, slots=True)
class Zip:
    """One file of the archive and the times it covers."""

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
        often = "monthly" if len(self.period) == _MONTH_LENGTH else "daily"
        folders = [its.its_kind.archive, its.symbol, *filter(None, [its.file_timeframe])]
        return f"{_PATHS[its.market]}/{often}/{'/'.join(folders)}/{self.name}"


@dataclass(frozen=True, slots=True)
class Held:
    """What the archive has of a range.

    Attributes
    ----------
    found : set of str
        Months and days with a file.
    absent : list of str
        Days (months of a kind that has no daily files) after the first file without one.
    """

    found: set[str]
    absent: list[str]


def fetch_archive(
    archive: Archive,
    additions: Additions,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    watcher: Watcher,
) -> Held:
    """Bring what the archive has of a range, up to yesterday, into the store.

    Parameters
    ----------
    archive : Archive
        Address and manners.
    additions : Additions
        Takes the rows of the series.
    start_ms, end_ms : int
        First time wanted and first not wanted, UTC ms; widened to whole months where there are
        monthly files, and to whole days.
    now_ms : int
        The present: the running day is never asked for.
    watcher : Watcher
        Told about the progress.

    Raises
    ------
    RunRefused
        The archive does not answer, or a file stays damaged.
    """
    series, today = additions.series, now_ms - now_ms % DAY_MS
    end_ms = min(end_ms, today)
    if start_ms >= end_ms:
        return Held(set(), [])
    task = _Task(archive, additions, now_ms, watcher)
    if has_months(series.its_kind):
        months = months_of(start_ms, end_ms)
        whole = [m for m in months if period_end_ms(m) <= today]
        found = task.take(whole)
        # No day holds a closed candle of a month.
        has_days = "daily" in series.its_kind.periods and series.timeframe != MONTH
        lived = found | additions.result.refused.keys()
        asked = (
            _days_to_try([m for m in months if m not in found], lived, end_ms) if has_days else []
        )
        found |= task.take(asked)
        asked = asked or whole
    else:
        asked, found = _take_days(task, start_ms, end_ms)
    first = min(found, default="9999")
    absent = [p for p in asked if p not in found and p[: len(first)] >= first[: len(p)]]
    return Held(found, absent)


def foreseen_files(series: Series, start_ms: int, end_ms: int) -> int:
    """Say about how many files a range up to yesterday will cost, for the progress."""
    if start_ms >= end_ms:
        return 0
    if not has_months(series.its_kind):
        return len(days_of(start_ms, end_ms))
    months = months_of(start_ms, end_ms)
    if period_end_ms(months[-1]) <= end_ms:
        return len(months)
    return len(months) - 1 + len(days_of(month_start_ms(months[-1]), end_ms))


def has_months(kind: Kind) -> bool:
    """Say whether monthly files are used; a month of trades would not fit into memory."""
    return "monthly" in kind.periods and not kind.by_day


def months_of(start_ms: int, end_ms: int) -> list[str]:
    """List the months that a range touches."""
    first = np.datetime64(month_of(start_ms), "M")
    last = np.datetime64(month_of(end_ms - 1), "M")
    return [str(m) for m in np.arange(first, last + np.timedelta64(1, "M"))]


def days_of(start_ms: int, end_ms: int) -> list[str]:
    """List the days that a range touches."""
    first = np.datetime64(start_ms, "ms").astype("datetime64[D]")
    last = np.datetime64(end_ms - 1, "ms").astype("datetime64[D]")
    return [str(d) for d in np.arange(first, last + np.timedelta64(1, "D"))]


def _days_to_try(months: Sequence[str], lived: set[str], end_ms: int) -> list[str]:
    """Days of months without a monthly zip: never before the listing, nor long after the last one.

    Otherwise a symbol that began in 2023 and was asked for from 2019 would cost 1,500 questions.
    """
    if not months:
        return []
    before = np.datetime64(months[-1], "M") - DAILY_MONTHS
    oldest = np.datetime64(min(lived), "M") if lived else before + 1
    newest = np.datetime64(max(lived), "M") if lived else before
    days: list[str] = []
    for month in months:
        if oldest <= np.datetime64(month, "M") <= newest + DAILY_MONTHS:
            days += days_of(month_start_ms(month), min(end_ms, period_end_ms(month)))
    return days


def _take_days(task: "_Task", start_ms: int, end_ms: int) -> tuple[list[str], set[str]]:
    """Take daily files; of a long range first one a month, to see where the symbol's life lies."""
    days = days_of(start_ms, end_ms)
    months = months_of(start_ms, end_ms)
    if len(months) <= DAILY_MONTHS.astype(int) + 1:
        return days, task.take(days)
    probes = [next(d for d in days if d.startswith(month)) for month in months]
    found = task.take(probes)
    if not found:
        found_months = months[-int(DAILY_MONTHS.astype(int)) :]
    else:
        first = max(months.index(min(found)[:_MONTH_LENGTH]) - 1, 0)
        last = months.index(max(found)[:_MONTH_LENGTH])
        found_months = months[first : last + 1]
    left = [d for d in days if d[:_MONTH_LENGTH] in found_months and d not in probes]
    asked = sorted({*left, *(p for p in probes if p[:_MONTH_LENGTH] in found_months)})
    return asked, found | task.take(left)


class _Task:
    """One fetch's files on their way from the archive to the store."""

    def __init__(
        self, archive: Archive, additions: Additions, now_ms: int, watcher: Watcher
    ) -> None:
        self._archive, self._additions = archive, additions
        self._result = additions.result
        self._now_ms, self._watcher = now_ms, watcher

    def take(self, periods: Sequence[str]) -> set[str]:
        """Store what is there and not stored yet; return the periods that are there."""
        self._watcher.expect(len(periods))
        found = set()
        known = self._additions.known()
        by_path = {z.path: z for z in (Zip(self._additions.series, p) for p in periods)}
        for got in downloads(self._archive, list(by_path), known, self._watcher.receive):
            archived = by_path[got.path]
            if got.content is not None:
                if self._stored(archived, got, archived.name in known):
                    found.add(archived.period)
            elif got.exists:
                found.add(archived.period)
                self._result.known += 1
            self._watcher.finish()
        return found

    def _stored(self, archived: Zip, got: Download, was_known: bool) -> bool:
        assert got.content is not None
        notes = self._result.notes
        if was_known:
            notes.append(f"{archived.name} was replaced in the archive; fetched again")
        try:
            merge, said = self._store(archived, got.content, got.sha256, was_known)
        except RunRefused:
            raise
        except WickError as error:
            self._result.refused[archived.period] = error.message
            return False
        self._result.files += 1
        notes += [f"{archived.name}: {note}" for note in said]
        if merge.replaced and not was_known:
            notes.append(
                f"{archived.name}: rows that differ from those stored before, and replace them:"
                f" {merge.replaced:,}"
            )
        return True

    def _store(
        self, archived: Zip, content: bytes, sha256: str, was_known: bool
    ) -> tuple[Merge, list[str]]:
        kind = archived.series.its_kind
        parsed = parse(archived.name, content, kind)
        said = parsed.labels.get("symbol", archived.series.symbol)
        if said != archived.series.symbol:
            raise WickError(f"{archived.name} says inside that it holds {said}", MEND)
        table, notes = cleaned(parsed, archived.series, self._now_ms)
        if not len(table):
            return Merge(), notes
        times = column(table, kind.time)
        if was_known and not kind.by_day:
            start, end = period_start_ms(archived.period), period_end_ms(archived.period)
            left = np.setdiff1d(self._additions.times(start, end), times)
            if len(left):
                count = f"{len(left):,} {kind.plural}"
                notes.append(f"{count} stored before are not in the new file; they are kept")
        lacking = [name for name in KLINES.optional if name not in table.column_names]
        if kind is KLINES and lacking:
            notes.append(f"it has no {', '.join(lacking)}")
        return self._additions.add(table, Source(archived.name, sha256)), notes
