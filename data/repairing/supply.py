"""Rows for a repair: files of the archive, each verified, and answers of the exchange's REST."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from data.fetching.archive import Zip
from data.fetching.download import Archive, downloads
from data.files.clean import cleaned
from data.files.parse import parse
from data.manifest import Series, Source
from data.rest.rows import REST_KINDS, NotListed, Unreachable, source_of
from strategy.errors import RunRefused, WickError
from strategy.timeframes import EXCHANGE_TIMEFRAMES, MONTH


class Rows(Protocol):
    """Whoever answers for rows of a series; `data.rest.rows.Rest` does."""

    def rows(self, series: Series, start_ms: int, end_ms: int) -> pa.Table:
        """Return the closed rows of a range."""


class Watcher(Protocol):
    """Whoever shows the progress of a repair."""

    def expect(self, files: int) -> None:
        """More files or answers are going to be asked for."""

    def receive(self, size_bytes: int) -> None:
        """A piece has arrived; called from several threads."""

    def finish(self) -> None:
        """One of them has come, or does not exist."""


@dataclass(slots=True)
class Supply:
    """What archive and REST have of one series, and what they did not answer.

    Attributes
    ----------
    archive_failed, rest_failed : str
        Why the last question was not answered, "" where all were.
    own : bool
        The series is made here, of trades: neither archive nor REST has its rows.
    forgotten : bool
        REST answered that it has such rows no more.
    notes : list of str
        Files that were there and could not be used.
    """

    archive: Archive
    rest: Rows
    series: Series
    now_ms: int
    watcher: Watcher
    archive_failed: str = ""
    rest_failed: str = ""
    own: bool = False
    forgotten: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def archived(self) -> bool:
        """The archive has such a series."""
        return not self.own and self.series.timeframe in (*EXCHANGE_TIMEFRAMES, MONTH, "")

    @property
    def in_rest(self) -> bool:
        """REST has such a series."""
        return self.archived and self.series.kind in REST_KINDS

    def files(self, periods: Sequence[str]) -> Iterator[tuple[str, pa.Table, Source]]:
        """Give the rows of months and days that the archive has, as they arrive."""
        if self.archive_failed or not self.archived:
            return
        zips = {z.path: z for z in (Zip(self.series, period) for period in periods)}
        self.watcher.expect(len(zips))
        try:
            for got in downloads(self.archive, list(zips), {}, self.watcher.receive):
                self.watcher.finish()
                if got.content is None:
                    continue
                its = zips[got.path]
                try:
                    parsed = parse(its.name, got.content, self.series.its_kind)
                    table, _ = cleaned(parsed, self.series, self.now_ms)
                except WickError as error:
                    self.notes.append(error.message)
                    continue
                yield its.period, table, Source(its.name, got.sha256)
        except RunRefused as error:
            self.archive_failed = error.message

    def answer(self, start_ms: int, end_ms: int) -> tuple[pa.Table, Source] | None:
        """Ask REST for a range; None where it does not answer or has such rows no more."""
        if self.rest_failed or not self.in_rest:
            return None
        self.watcher.expect(1)
        try:
            table = self.rest.rows(self.series, start_ms, end_ms)
        except Unreachable as error:
            self.rest_failed = error.message
            return None
        except (NotListed, RunRefused) as error:
            self.forgotten = True
            self.notes.append(error.message)
            return None
        finally:
            self.watcher.finish()
        return table, source_of(table, self.now_ms)
