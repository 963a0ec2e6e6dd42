"""Damaged, torn and missing files of a stored series made whole again."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.checking.look import TRADES, archive_period, origin
from data.disk import sync_folder
from data.gaps import OUR_LOSS, Entry, cut, read_ledger, record, unasked
from data.manifest import Source, StoredFile
from data.quality import Gap, holes
from data.repairing.repaired import Repaired
from data.repairing.salvage import Damaged, aside_of, no_rows, set_aside
from data.repairing.supply import Supply
from data.table import column, period_end_ms, period_start_ms
from data.writer import SeriesWriter, merged
from strategy.timeframes import close_times


class Mender:
    """The mending of one series' files.

    Attributes
    ----------
    left_alone : bool
        A file is as damaged as before, since not all that was asked gave an answer.
    """

    def __init__(self, folder: Path, writer: SeriesWriter, supply: Supply, done: Repaired) -> None:
        self._folder, self._writer, self._supply, self._done = folder, writer, supply, done
        self._series, self._kind = supply.series, supply.series.its_kind
        self.left_alone = False

    def mend(self, damaged: Damaged) -> None:
        """Keep what can be believed of a file and get the rest, or leave the file as it is."""
        stored = damaged.stored
        kept = damaged.kept if damaged.certain else no_rows(self._kind)
        if len(kept) >= stored.rows and damaged.described:
            self._writer.replace(stored.period, kept, stored.sources)
            self._done.mended.append(f"{stored.name}: written again, no row was hurt")
            return
        table, sources, whole = self._gathered(damaged, kept)
        failed = bool(self._supply.archive_failed or self._supply.rest_failed)
        if whole or (sources and not damaged.described and not failed):
            self._finish(damaged, kept, table, sources)
        elif failed:
            self._leave(damaged, stored.rows - len(kept) if damaged.described else 0)
        else:
            self._give_up(damaged, kept, table, sources)

    def _gathered(self, damaged: Damaged, kept: pa.Table) -> tuple[pa.Table, list[Source], bool]:
        """Add to the rows kept what sources have, and say whether these are all of the file."""
        stored, table, sources = damaged.stored, kept, list[Source]()
        for found, source in self._replacements(damaged, kept):
            both, merge = merged(table, found, self._kind) if len(table) else (found, None)
            if both is not None:
                table = both
            if merge is None or merge.added:
                sources.append(source)
            the_file = archive_period(self._series, source.name) == stored.period
            if the_file if not damaged.described else len(table) >= stored.rows:
                return table, sources, True
        return table, sources, False

    def _replacements(self, damaged: Damaged, kept: pa.Table) -> Iterator[tuple[pa.Table, Source]]:
        stored = damaged.stored
        periods = [archive_period(self._series, source.name) for source in stored.sources]
        # A month of days and the month itself hold the same.
        asked = [period for period in periods if period] if stored.sources else [stored.period]
        low, high = period_start_ms(stored.period), period_end_ms(stored.period)
        for _, table, source in self._files(asked, stored):
            times = column(table, self._kind.time)
            yield table.filter(pa.array((times >= low) & (times < high))), source
            known = {s.name: s.sha256 for s in stored.sources}
            if known.get(source.name, source.sha256) != source.sha256:
                self._done.notes.append(f"{source.name} was replaced in the archive since")
        if {"import", TRADES} & set(self._origins(damaged)):
            return
        for gap in self._lost(damaged, kept):
            answer = self._supply.answer(gap.first_missing, min(self._end_of(gap), high))
            if answer is not None and len(answer[0]):
                yield answer

    def _files(
        self, asked: list[str], stored: StoredFile
    ) -> Iterator[tuple[str, pa.Table, Source]]:
        found = False
        for got in self._supply.files(asked):
            found = True
            yield got
        if not (found or stored.sources or self._kind.by_day):
            first, after = np.datetime64(stored.period, "D"), np.datetime64(stored.period) + 1
            days = np.arange(first, after.astype("datetime64[D]"))
            yield from self._supply.files([str(day) for day in days])

    def _origins(self, damaged: Damaged) -> list[str]:
        return [origin(self._series, source.name) for source in damaged.stored.sources]

    def _lost(self, damaged: Damaged, kept: pa.Table) -> list[Gap]:
        """Say where rows of a file have been lost; of rows off any grid, all of its time."""
        first, last = damaged.stored.first_ms, damaged.stored.last_ms
        if not self._kind.has_candles or not len(kept) or not damaged.described:
            return [Gap(first, last, max(damaged.stored.rows - len(kept), 1))]
        times = column(kept, self._kind.time)
        ends = np.unique(np.concatenate(([first], times, [last])))
        found = holes(ends, self._series.timeframe)
        found += [Gap(int(t), int(t), 1) for t in (first, last) if t not in times[[0, -1]]]
        return sorted(found, key=lambda gap: gap.first_missing)

    def _end_of(self, gap: Gap) -> int:
        if not self._kind.has_candles:
            return gap.last_missing + 1
        return int(close_times(np.array([gap.last_missing]), self._series.timeframe)[0])

    def _leave(self, damaged: Damaged, lost: int) -> None:
        self.left_alone = True
        self._done.missing += lost
        self._done.left += lost
        self._done.failed.append(f"{damaged.stored.name} is left as it is: {damaged.why}")

    def _finish(
        self, damaged: Damaged, kept: pa.Table, table: pa.Table, sources: Sequence[Source]
    ) -> None:
        stored, new = damaged.stored, len(table) - len(kept)
        names = {source.name for source in sources}
        before = tuple(s for s in stored.sources if s.name not in names)
        self._writer.replace(stored.period, table, (*before, *sources))
        self._done.missing += new
        self._done.filled += new
        came = ", ".join(dict.fromkeys(source.name for source in sources))
        self._done.mended.append(
            f"{stored.name}: {len(kept):,} rows kept, {new:,} fetched again ({came})"
        )
        self._remember(damaged, kept, table, sources)

    def _give_up(
        self, damaged: Damaged, kept: pa.Table, table: pa.Table, sources: Sequence[Source]
    ) -> None:
        """Store what there is; the file as it was is kept aside, and what it came from is named."""
        stored = damaged.stored
        local = [s.name for s in stored.sources if origin(self._series, s.name) == "import"]
        said = f"{stored.name}: {len(table):,} of {stored.rows:,} rows kept"
        if not damaged.described:
            said = f"{stored.name}: not in the manifest, {len(table):,} rows of it kept"
        path = self._folder / stored.name
        if len(table):
            if path.exists():
                aside = aside_of(path)
                shutil.copyfile(path, aside)
                sync_folder(self._folder)
                said += f", the damaged file as {aside.name}"
            # Not the archive's: a fetch would think that all of them is stored.
            keep = tuple(s for s in stored.sources if origin(self._series, s.name) != "archive")
            self._writer.replace(stored.period, table, (*keep, *sources))
        else:
            self._writer.drop(stored.period)
            if path.exists():
                said += f", the damaged file as {set_aside(path).name}"
        new = len(table) - len(kept)
        self._done.missing += new
        self._done.filled += new
        self._done.mended.append(said)
        self._done.import_again += local
        if TRADES in self._origins(damaged):
            tumble = f"wick data tumble {self._series.symbol} --timeframe {self._series.timeframe}"
            self._done.failed.append(f"{stored.name} was made of trades, make it again: {tumble}")
        elif not local and not len(table):
            self._done.notes.append(f"nobody has the rows of {stored.name} any more")
        self._remember(damaged, kept, table, sources)

    def _remember(
        self, damaged: Damaged, kept: pa.Table, table: pa.Table, sources: Sequence[Source]
    ) -> None:
        """Write down what was lost here, but for what was missing before."""
        if not self._kind.has_candles:
            return
        name = sources[-1].name if sources else ""
        times, now_ms = column(table, "open_time"), self._supply.now_ms
        local = bool({"import", TRADES} & set(self._origins(damaged)))
        lost = self._lost(damaged, kept)
        # Where the rows lost are as many as the holes, no hole was there before.
        ours = local or sum(gap.count for gap in lost) == damaged.stored.rows - len(kept)
        entries = []
        for gap in unasked(lost, read_ledger(self._folder), self._series):
            filled, rest = cut(gap, times, self._series)
            entries += [
                Entry(g.first_missing, g.last_missing, g.count, OUR_LOSS, g.count, name, now_ms)
                for g in filled
            ]
            # Others are asked for as any hole.
            entries += [
                Entry(g.first_missing, g.last_missing, g.count, OUR_LOSS, asked_ms=now_ms)
                for g in rest * ours
            ]
        record(self._folder, self._series, entries)
