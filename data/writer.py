"""Adding rows to the store: all files of one addition appear at once, or none does.

Steps: lay the new files down as `.new` and sync them; replace the manifest by one that names them
and lists them as pending, which is the commit; give the files their final names; replace the
manifest by one without pending. A writer killed before the commit leaves `.new` files that the next
one removes; killed after it, names that the next one gives.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
import pyarrow as pa

from data.disk import sync_folder, write_synced
from data.encoding import encoded
from data.kinds import Kind
from data.manifest import (
    MANIFEST,
    NEW,
    Manifest,
    Series,
    Source,
    StoredFile,
    open_file,
    read_manifest,
)
from data.merge import Merge, merged
from data.table import by_period, column, table_of, with_schema
from strategy.errors import RunRefused

if TYPE_CHECKING:
    from strategy.candles import Candles

__all__ = ["LOCK", "Addition", "Merge", "SeriesWriter", "merged", "save", "writing"]

LOCK = ".lock"


class Addition:
    """Rows on their way into the store together; made by `SeriesWriter.adding`."""

    def __init__(self, folder: Path, kind: Kind, old: Manifest) -> None:
        self._folder = folder
        self._kind = kind
        self._old = {stored.period: stored for stored in old.files}
        self._laid: dict[str, StoredFile] = {}
        self._open: _Open | None = None
        self._tumbled = {s.tumbled for stored in old.files for s in stored.sources}

    def add(self, table: pa.Table, *sources: Source) -> Merge:
        """Merge rows into those stored or added before.

        Parameters
        ----------
        table : pa.Table
            Sorted by time, each key once, checked.
        *sources : Source
            The files they came from, kept in the manifest.

        Returns
        -------
        Merge
            How many rows were added, identical, replaced.

        Raises
        ------
        RunRefused
            Candles made of trades would mix with those of the exchange.
        """
        self._tumbled |= {source.tumbled for source in sources}
        if len(self._tumbled) > 1:
            raise RunRefused(
                f"{sources[0].name} does not belong into {self._folder}: candles made of trades are"
                " not mixed with the exchange's own",
                f"delete {self._folder} first if you want it there, or take another --store",
            )
        total = Merge()
        for period, part in by_period(with_schema(table, self._kind), self._kind):
            total += self._opened(period).take(part, sources, self._kind)
        return total

    def finish(self) -> list[StoredFile]:
        """Lay the last file down; return what the manifest has to say about those changed."""
        self._lay_down()
        return list(self._laid.values())

    def _opened(self, period: str) -> "_Open":
        # One at a time: files come sorted, and two days of trades are a lot of memory.
        if self._open is None or self._open.period != period:
            self._lay_down()
            stored = self._laid.get(period, self._old.get(period))
            self._open = _Open(period)
            if stored is not None:
                file = open_file(self._folder, stored, period in self._laid)
                self._open = _Open(period, file.read(), stored.sources, stored)
        return self._open

    def _lay_down(self) -> None:
        if self._open is None or self._open.table is None:
            return
        held, self._open = self._open, None
        if held.stored is not None:
            self._laid[held.period] = msgspec.structs.replace(held.stored, sources=held.sources)
            return
        self._laid[held.period] = laid_down(
            self._folder, held.period, held.table, held.sources, self._kind
        )


def laid_down(
    folder: Path, period: str, table: pa.Table, sources: tuple[Source, ...], kind: Kind
) -> StoredFile:
    """Write a file under its `.new` name, synced, and return what the manifest has to say of it."""
    raw = encoded(with_schema(table, kind), kind)
    times = column(table, kind.time)
    stored = StoredFile(
        period=period,
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
        rows=len(times),
        first_ms=int(times[0]),
        last_ms=int(times[-1]),
        sources=sources,
    )
    write_synced(folder / (stored.name + NEW), raw)
    return stored


@dataclass(slots=True)
class _Open:
    """The rows of one stored file while more come; `stored` as long as they are the same."""

    period: str
    table: pa.Table | None = None
    sources: tuple[Source, ...] = ()
    stored: StoredFile | None = None

    def take(self, part: pa.Table, sources: tuple[Source, ...], kind: Kind) -> Merge:
        names = {source.name for source in sources}
        self.sources = (*(s for s in self.sources if s.name not in names), *sources)
        if self.table is None:
            self.table = part
            return Merge(added=len(part))
        table, merge = merged(self.table, part, kind)
        if table is not None:
            self.table, self.stored = table, None
        return merge


class SeriesWriter:
    """The one writer of a series; made by `writing`."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._folder = folder
        self._kind = kind
        self._recover()

    @property
    def manifest(self) -> Manifest:
        """What is stored now."""
        return read_manifest(self._folder)

    def add(self, table: pa.Table, source: Source) -> Merge:
        """Merge rows into the stored files.

        Where a row with the same key is stored already (of a candle its open time), an identical
        one is dropped and a different one replaces the old.

        Parameters
        ----------
        table : pa.Table
            Sorted by time, each key once, checked.
        source : Source
            The file they came from, kept in the manifest.

        Returns
        -------
        Merge
            How many rows were added, identical, replaced.
        """
        with self.adding() as addition:
            return addition.add(table, source)

    @contextmanager
    def adding(self) -> Iterator[Addition]:
        """Add several tables, which appear all at once at the end, or none after an error."""
        before = self.manifest
        addition = Addition(self._folder, self._kind, before)
        try:
            yield addition
            changed = addition.finish()
            if changed:
                self._commit({stored.period: stored for stored in before.files}, changed)
        except BaseException:
            self._recover()
            raise

    def replace(self, period: str, table: pa.Table, sources: tuple[Source, ...]) -> None:
        """Store rows in place of all that is stored of a month or day.

        Parameters
        ----------
        period : str
            Such as 2023-01, or 2023-01-31.
        table : pa.Table
            All rows of it, at least one; sorted by time, each key once, checked.
        sources : tuple of Source
            What they came from.
        """
        old = {stored.period: stored for stored in self.manifest.files}
        try:
            stored = laid_down(
                self._folder, period, with_schema(table, self._kind), sources, self._kind
            )
            self._commit(old, [stored])
        except BaseException:
            self._recover()
            raise

    def adopt(self, manifest: Manifest) -> None:
        """Take files that lie in the folder for what is stored."""
        self._replace_manifest(manifest)

    def drop(self, period: str) -> None:
        """Name a month or day no more in the manifest; its file is left to the caller."""
        files = tuple(stored for stored in self.manifest.files if stored.period != period)
        self._replace_manifest(Manifest(files))

    def _commit(self, old: dict[str, StoredFile], new: Sequence[StoredFile]) -> None:
        files = old | {stored.period: stored for stored in new}
        ordered = tuple(files[period] for period in sorted(files))
        pending = tuple(f.period for f in new if (self._folder / (f.name + NEW)).exists())
        self._replace_manifest(Manifest(ordered, pending))
        self._finish(Manifest(ordered, pending))

    def _finish(self, manifest: Manifest) -> None:
        for period in manifest.pending:
            path = self._folder / f"{period}.parquet"
            # Absent where an earlier try had renamed it before it was killed.
            with suppress(FileNotFoundError):
                path.with_name(path.name + NEW).replace(path)
        sync_folder(self._folder)
        self._replace_manifest(Manifest(manifest.files))

    def _recover(self) -> None:
        manifest = self.manifest
        if manifest.pending:
            self._finish(manifest)
        for left in self._folder.glob(f"*{NEW}"):
            left.unlink()

    def _replace_manifest(self, manifest: Manifest) -> None:
        path = self._folder / MANIFEST
        temporary = path.with_name(MANIFEST + NEW)
        write_synced(temporary, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        temporary.replace(path)
        sync_folder(self._folder)


@contextmanager
def writing(store: Path, series: Series) -> Iterator[SeriesWriter]:
    """Hold a series for writing; readers go on undisturbed.

    Raises
    ------
    WickError
        Its manifest is damaged.
    RunRefused
        Another process holds it.
    """
    with holding(store, series) as folder:
        yield SeriesWriter(folder, series.its_kind)


@contextmanager
def holding(store: Path, series: Series) -> Iterator[Path]:
    """Hold the folder of a series, in whatever state it is, and give it.

    Raises
    ------
    RunRefused
        Another process holds it.
    """
    folder = series.folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise RunRefused(
                f"process {lock.read().strip() or '?'} is writing {series} in {store}",
                "wait until it has ended, then run the same command again",
            ) from error
        if not _is_still(path, lock):
            # The one before left without data and took the lock's file away in between.
            raise RunRefused(
                f"another process has just let go of {series} in {store}",
                "run the same command again",
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield folder
        finally:
            if not (folder / MANIFEST).exists():
                _remove_empty(path, store)


def _is_still(path: Path, opened: IO[str]) -> bool:
    try:
        return path.stat().st_ino == os.fstat(opened.fileno()).st_ino
    except FileNotFoundError:
        return False


def _remove_empty(lock: Path, store: Path) -> None:
    # Nothing came of it: a mistyped symbol must not leave folders behind.
    lock.unlink(missing_ok=True)
    for folder in list(lock.parents)[: len(lock.parent.relative_to(store).parts) + 1]:
        with suppress(OSError):
            folder.rmdir()


def save(store: Path, candles: "Candles", source_name: str) -> Merge:
    """Store candles made in memory; their fingerprint stands for the file they did not come from.

    Parameters
    ----------
    store : Path
        Folder of the store.
    candles : Candles
        What to merge into their series.
    source_name : str
        Where they came from, such as "synthetic market, seed 1".
    """
    series = Series(candles.market, candles.symbol, candles.timeframe)
    with writing(store, series) as writer:
        return writer.add(table_of(candles), Source(source_name, candles.fingerprint))
