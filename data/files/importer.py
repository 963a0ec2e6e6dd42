"""Files into the store: what a path holds and which series it belongs to, each whole or not at all.

Files are read in parallel and stored in order; those of one series that follow each other appear
together.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from data.files.clean import MissingIds, cleaned
from data.files.names import Labels, refuse_other_member, told_by
from data.files.parse import ENDINGS, member_of, parse
from data.files.place import place
from data.files.trades import Pieces
from data.kinds import AGG_TRADES, known_kind
from data.manifest import MANIFEST, Series, Source
from data.table import column
from data.writer import Addition, Merge, writing
from strategy.errors import WickError

__all__ = ["Imported", "Labels", "Refused", "files_in", "import_file", "import_files"]

# Files stored in one go: syncing a month for each of its daily zips would take most of the time.
_FILES_TOGETHER = 64
_ROWS_TOGETHER = 2_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What one file was understood to be and what became of it."""

    path: Path
    series: Series
    layout: str
    rows: int
    first_open_time: int
    last_open_time: int
    merge: Merge
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file of which nothing was stored, and why."""

    path: Path
    message: str
    hint: str


@dataclass(slots=True)
class _Read:
    """A file that has been understood; `tables` gives its rows, those of many trades by day."""

    path: Path
    source: Source
    series: Series
    layout: str
    tables: Iterable[pa.Table]
    notes: list[str]
    rows: int = 0
    first_ms: int = 0
    last_ms: int = 0
    merge: Merge = Merge()  # noqa: RUF009  frozen

    def store(self, addition: Addition) -> None:
        kind = self.series.its_kind
        missing = MissingIds()
        for table in self.tables:
            if not len(table):
                continue
            times = column(table, kind.time)
            self.first_ms = int(times[0]) if not self.rows else min(self.first_ms, int(times[0]))
            self.last_ms = max(self.last_ms, int(times[-1]))
            self.rows += len(table)
            self.merge += addition.add(table, self.source)
            if kind is AGG_TRADES:
                missing.look_at(column(table, "agg_id"))
        if isinstance(self.tables, Pieces):
            self.notes += self.tables.notes()
        self.notes += missing.notes()

    def result(self) -> Imported:
        if self.merge.replaced:
            differed = self.series.its_kind.counted(self.merge.replaced)
            were = "was" if self.merge.replaced == 1 else "were"
            self.notes.append(f"{differed} stored before differed and {were} replaced")
        return Imported(
            self.path,
            self.series,
            self.layout,
            self.rows,
            self.first_ms,
            self.last_ms,
            self.merge,
            tuple(self.notes),
        )


def files_in(paths: Sequence[Path]) -> list[Path]:
    """List the readable files among paths and inside folders, sorted by name; none of a store.

    Raises
    ------
    WickError
        A path does not exist, or there is nothing to read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.name.endswith(ENDINGS) and p.is_file())
            # A store's own files have a manifest beside them, and are stored already.
            found += sorted(p for p in inside if not (p.parent / MANIFEST).exists())
        elif path.exists():
            found.append(path)
        else:
            raise WickError(
                f"{path} does not exist",
                f"give a file or folder of {', '.join(ENDINGS)} files: wick data import PATH",
            )
    if not found:
        raise WickError(
            f"no candle files in {', '.join(map(str, paths))}",
            f"readable endings are {', '.join(ENDINGS)}",
        )
    return found


def import_files(
    store: Path, files: Iterable[Path], labels: Labels, now_ms: int
) -> Iterator[Imported | Refused]:
    """Store the rows of each file, or nothing of it, and say what became of it.

    Parameters
    ----------
    store : Path
        Folder of the store.
    files : iterable of Path
        From `files_in`.
    labels : Labels
        Kind, symbol, market and timeframe where names do not tell, and the range wanted.
    now_ms : int
        The present, for rows that are not final yet.

    Yields
    ------
    Imported or Refused
        Per file, in order, once it is stored.
    """
    together: list[_Read | Refused] = []
    rows = 0
    for one in _read_ahead(files, labels, now_ms):
        first = next((r for r in together if isinstance(r, _Read)), None)
        streamed = isinstance(one, _Read) and isinstance(one.tables, Pieces)
        other = isinstance(one, _Read) and first is not None and one.series != first.series
        if streamed or other or len(together) >= _FILES_TOGETHER or rows > _ROWS_TOGETHER:
            yield from _stored(store, together)
            together, rows = [], 0
        together.append(one)
        if isinstance(one, _Read) and not isinstance(one.tables, Pieces):
            rows += sum(len(table) for table in one.tables)
        if streamed:
            yield from _stored(store, together)
            together = []
    yield from _stored(store, together)


def import_file(store: Path, path: Path, labels: Labels, now_ms: int) -> Imported:
    """Store the rows of one file, all or none.

    Raises
    ------
    WickError
        The file is damaged, cannot be placed, or has a row that cannot be.
    """
    read = _read(path, labels, now_ms)
    _store(store, [read])
    return read.result()


def _read_ahead(files: Iterable[Path], labels: Labels, now_ms: int) -> Iterator["_Read | Refused"]:
    def read(path: Path) -> _Read | Refused:
        try:
            return _read(path, labels, now_ms)
        except WickError as error:
            return Refused(path, error.message, error.hint)

    workers = os.cpu_count() or 1
    waiting: deque[Future[_Read | Refused]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for path in files:
            waiting.append(pool.submit(read, path))
            # So many at most are in memory besides those being stored.
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _stored(store: Path, together: Sequence["_Read | Refused"]) -> Iterator[Imported | Refused]:
    reads = [one for one in together if isinstance(one, _Read)]
    try:
        _store(store, reads)
    except WickError as error:
        yield from (
            Refused(one.path, error.message, error.hint) if isinstance(one, _Read) else one
            for one in together
        )
        return
    yield from (one.result() if isinstance(one, _Read) else one for one in together)


def _store(store: Path, reads: Sequence[_Read]) -> None:
    if not reads:
        return
    with writing(store, reads[0].series) as writer, writer.adding() as addition:
        for read in reads:
            read.store(addition)


def _read(path: Path, labels: Labels, now_ms: int) -> _Read:
    told = told_by(path, labels)
    kind = known_kind(labels.kind) if labels.kind else told.kind
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WickError(
            f"{path} cannot be read: {error.strerror}", "look at what it is and who may read it"
        ) from error
    _verify_neighbour(path, digest)
    source = Source(path.name, digest)
    limits = (now_ms, labels.start_ms, labels.end_ms)
    pieces = Pieces.of(path, kind)
    parsed = pieces.first if pieces else parse(path.name, path.read_bytes(), kind)
    if path.name.endswith(".zip"):
        with path.open("rb") as file:
            refuse_other_member(path, member_of(file), labels, told)
    series, notes = place(path, parsed, labels, told)
    if pieces:
        pieces.want(series, *limits)
        return _Read(path, source, series, parsed.layout, pieces, notes)
    table, mended = cleaned(parsed, series, *limits)
    return _Read(path, source, series, parsed.layout, [table], notes + mended)


def _verify_neighbour(path: Path, digest: str) -> None:
    neighbour = path.with_name(path.name + ".CHECKSUM")
    if neighbour.exists() and neighbour.read_bytes().lower().split()[:1] != [digest.encode()]:
        raise WickError(
            f"{path.name} does not match {neighbour.name} beside it",
            "download both files again",
        )
