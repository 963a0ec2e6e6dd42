"""Whether a stored file is still what was written, and what of it can be believed if not.

Three things know what was written: the manifest the file's SHA-256, Parquet a CRC of each page,
and each candle its own checksum.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.checking.pages import BadPage, bad_pages
from data.checksums import CHECKSUM, row_checksums
from data.dates import show_time
from data.kinds import Kind
from data.manifest import NEW, StoredFile
from data.table import column

_NAMED = 5
_BATCH = 1000
# A garbled page changes thousands of rows, and one in 65,536 looks right all the same; of this many
# changed rows it is one in a thousand files in which any does.
_FEW = 64


@dataclass(frozen=True, slots=True)
class Inspected:
    """One stored file, looked at byte by byte.

    Attributes
    ----------
    table : pa.Table or None
        All its rows; None where they cannot be read.
    intact : bool
        Its SHA-256 is that of the manifest.
    good : bool array
        Rows that are what was stored, as far as anything can tell.
    errors : tuple of str
        What is wrong, each with the file's name, and row and time where they are known.
    certain : bool
        False for a changed file that nothing inside tells the changed rows of.
    """

    table: pa.Table | None
    intact: bool
    good: NDArray[np.bool_]
    errors: tuple[str, ...]
    certain: bool = True


def inspect(folder: Path, stored: StoredFile, pending: bool, kind: Kind) -> Inspected:
    """Compare a stored file with its manifest, its pages and its rows with their checksums."""
    path = folder / stored.name
    if pending and (waiting := path.with_name(path.name + NEW)).exists():
        path = waiting
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return _unreadable(f"{path} is missing")
    except OSError as error:
        return _unreadable(f"{path} cannot be read: {error.strerror}")
    intact = hashlib.sha256(raw).hexdigest() == stored.sha256
    changed = [] if intact else [f"{path} is not the file that was stored: its SHA-256 differs"]
    try:
        opened = pq.ParquetFile(pa.BufferReader(raw))
        pages = [] if intact else bad_pages(raw, opened.metadata)
        table, why = _readable(opened)
    except (pa.ArrowException, OSError) as error:
        return _unreadable(*changed, f"{path} cannot be read: {str(error).splitlines()[0]}")
    if why:
        changed.append(f"{path} can be read for {len(table):,} rows only: {why}")
    missing = [name for name in kind.required if name not in table.column_names]
    if missing:
        return _unreadable(*changed, f"{path} has no column {', '.join(missing)}")
    good, rows = _good_rows(table, stored, kind, pages)
    errors = [*changed, *(_page_error(stored, page) for page in pages), *rows]
    # Candles tell by themselves; of other rows, pages of our own have a CRC and told it above.
    certain = intact or bool(pages) or (kind.has_candles and CHECKSUM in table.column_names)
    if changed and kind.has_candles and CHECKSUM not in table.column_names:
        errors[0] += "; it has no checksums of candles, so the row is not known"
    elif changed and kind.has_candles and not pages and good.all() and len(good) == stored.rows:
        errors[0] += "; yet every candle agrees with its own checksum"
    return Inspected(table, intact, good, tuple(errors), certain)


def _good_rows(
    table: pa.Table, stored: StoredFile, kind: Kind, pages: list[BadPage]
) -> tuple[NDArray[np.bool_], list[str]]:
    good = np.ones(len(table), bool)
    if not kind.has_candles or CHECKSUM not in table.column_names:
        for page in pages:
            good[page.start : page.stop] = False
        return good, []
    wrong = np.flatnonzero(row_checksums(table) != column(table, CHECKSUM))
    if pages and all(page.column == CHECKSUM for page in pages):
        return good, []
    good[wrong] = False
    for page in pages if len(wrong) > _FEW else ():
        good[page.start : page.stop] = False
    times = column(table, kind.time)
    errors = [
        f"{stored.name} row {row + 1:,} ({_when(int(times[row]))}): not the candle that was stored"
        for row in wrong[:_NAMED].tolist()
    ]
    if len(wrong) > _NAMED:
        errors.append(
            f"{stored.name}: {len(wrong) - _NAMED:,} more candles are not what was stored"
        )
    return good, errors


def _when(time_ms: int) -> str:
    # A damaged time may be any number.
    return show_time(time_ms) if 0 <= time_ms < 10**14 else f"open_time {time_ms}"


def _page_error(stored: StoredFile, page: BadPage) -> str:
    rows = f"rows {page.start + 1:,} to {page.stop:,}"
    return f"{stored.name}: the page of {page.column} with {rows} is damaged on the disk"


def _readable(opened: pq.ParquetFile) -> tuple[pa.Table, str]:
    """Return all rows, or those before the first page that cannot be decoded, and why not all."""
    try:
        return opened.read(), ""
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
    batches: list[pa.RecordBatch] = []
    with suppress(pa.ArrowException, OSError):
        for batch in opened.iter_batches(_BATCH):
            batches.append(batch)  # noqa: PERF402  those before the error are what is wanted
    return pa.Table.from_batches(batches, opened.schema_arrow), why


def _unreadable(*errors: str) -> Inspected:
    return Inspected(None, False, np.zeros(0, bool), errors)
