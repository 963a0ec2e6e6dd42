"""What a damaged series still holds: rows that can be believed, and a manifest made anew."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.checking.integrity import inspect
from data.kind_quality import first_bad_row
from data.kinds import Kind
from data.manifest import NEW, Manifest, Series, StoredFile
from data.quality import first_fault
from data.table import column, in_order, period_end_ms, period_start_ms, with_schema
from strategy.errors import RunRefused
from strategy.timeframes import MONTH, grid_of

ASIDE = ".damaged"
_PERIOD = re.compile(r"(\d{4}-\d\d(?:-\d\d)?)\.parquet")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A stored file that is not what was written.

    Attributes
    ----------
    stored : StoredFile
        What the manifest says about it.
    kept : pa.Table
        Rows that can be believed.
    certain : bool
        False where rows can be read and nothing says which of them have changed.
    why : str
        What is wrong, in words.
    """

    stored: StoredFile
    kept: pa.Table
    certain: bool
    why: str

    @property
    def described(self) -> bool:
        """A manifest says how many rows it had, and of what they were made."""
        return bool(self.stored.sha256)


def find_damaged(folder: Path, manifest: Manifest, series: Series) -> list[Damaged]:
    """Look at every file and return those that are not what was written."""
    found = []
    for stored in manifest.files:
        _refuse_closed(folder / stored.name)
        looked = inspect(folder, stored, stored.period in manifest.pending, series.its_kind)
        if looked.intact and looked.good.all() and looked.table is not None:
            continue
        kept = no_rows(series.its_kind)
        if looked.table is not None:
            kept = believable(looked.table, looked.good, stored, series)
        why = looked.errors[-1] if looked.errors else "its SHA-256 differs"
        found.append(Damaged(stored, kept, looked.certain, why))
    return found


def _refuse_closed(path: Path) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        pass
    except OSError as error:
        # Nothing is known to be wrong with it.
        raise RunRefused(
            f"{path} cannot be opened: {error.strerror}", f"chmod u+r {path}, or mend the disk"
        ) from error


def believable(
    table: pa.Table, good: NDArray[np.bool_], stored: StoredFile, series: Series
) -> pa.Table:
    """Return the rows marked good that can be rows of this file: sorted, in its time, each once."""
    kind = series.its_kind
    known = [name for name in kind.columns if name in table.column_names]
    whole = np.array(good)
    for name in kind.required:
        if table[name].null_count:
            return no_rows(kind)
    times = column(table, kind.time)
    whole &= times >= period_start_ms(stored.period)
    whole &= times < period_end_ms(stored.period)
    table = table.select(known).filter(pa.array(whole))
    table = table.take(pa.array(in_order(table, kind)))
    columns = {name: column(table, name) for name in kind.required}
    if len(table):
        repeats = np.logical_and.reduce([np.diff(columns[name]) == 0 for name in kind.key])
        fault = (
            first_fault(columns, series.timeframe)
            if kind.has_candles
            else first_bad_row(columns, kind)
        )
        if repeats.any() or fault is not None:
            return no_rows(kind)
    return with_schema(table, kind)


def remade_manifest(folder: Path, series: Series) -> tuple[Manifest, list[StoredFile]]:
    """Make a manifest from the files that lie there; where they came from is lost.

    Returns
    -------
    manifest : Manifest
        Of the files that can be read.
    broken : list of StoredFile
        Files that cannot, by what their names say of them.
    """
    files: list[StoredFile] = []
    broken: list[StoredFile] = []
    for waiting in folder.glob(f"*.parquet{NEW}"):
        # Laid down and perhaps named by the manifest that is lost; nothing else has these rows.
        if not (final := waiting.with_name(waiting.name.removesuffix(NEW))).exists():
            waiting.rename(final)
    for path in sorted(folder.glob("*.parquet")):
        named = _PERIOD.fullmatch(path.name)
        if named is None or (len(named[1]) > len("2023-01")) != series.its_kind.by_day:
            continue
        stored = _described(path, named[1], series)
        (broken if stored.sha256 == "" else files).append(stored)
    return Manifest(tuple(files)), broken


def _described(path: Path, period: str, series: Series) -> StoredFile:
    raw = path.read_bytes()
    first, last = period_start_ms(period), period_end_ms(period)
    ends = _ends(first, last, series)
    unknown = StoredFile(period, "", len(raw), 1, *ends, ())
    try:
        table = pq.read_table(pa.BufferReader(raw))
        times = column(table, series.its_kind.time)
    except (pa.ArrowException, OSError, KeyError):
        return unknown
    if not len(times) or np.any(np.diff(times) < 0) or times[0] < first or times[-1] >= last:
        return unknown
    digest = hashlib.sha256(raw).hexdigest()
    return StoredFile(period, digest, len(raw), len(table), int(times[0]), int(times[-1]), ())


def _ends(start_ms: int, end_ms: int, series: Series) -> tuple[int, int]:
    """Return the first and last time that a row of a period can have."""
    if series.timeframe == MONTH:
        return start_ms, start_ms
    length, offset = grid_of(series.timeframe) if series.timeframe else (1, 0)
    first = start_ms + (offset - start_ms) % length
    return first, end_ms - 1 - (end_ms - 1 - offset) % length


def sound_rows(folder: Path, stored: StoredFile, series: Series) -> pa.Table | None:
    """Return the rows of a file that the manifest does not name, None where any is in doubt."""
    looked = inspect(folder, stored, False, series.its_kind)
    if looked.errors or looked.table is None:
        return None
    rows = believable(looked.table, looked.good, stored, series)
    return rows if len(rows) == stored.rows else None


def aside_of(path: Path) -> Path:
    """Return a name beside a damaged file that is free and that nothing reads."""
    aside, number = path.with_name(path.name + ASIDE), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{ASIDE}-{number}")
    return aside


def set_aside(path: Path) -> Path:
    """Give a damaged file a name under which nothing reads it, and return that name."""
    return path.rename(aside_of(path))


def no_rows(kind: Kind) -> pa.Table:
    """Return a table without rows."""
    return pa.table({n: pa.array([], kind.columns[n]) for n in kind.required})
