"""Look through a stored series: files against the manifest, every candle, gaps, silence."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.dates import show_time
from data.manifest import NEW, Series, StoredFile, read_manifest
from data.quality import Gap, first_fault, holes, silent_stretches
from data.table import REQUIRED, column, month_of


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one series.

    Attributes
    ----------
    errors : tuple of str
        Candles that are not what was stored, or cannot be: results would be wrong.
    gaps : tuple of Gap
        Stretches without candles between the first and the last.
    missing : int
        How many candles the gaps lack.
    notes : tuple of str
        Worth knowing: long stretches without trades in a market that usually trades.
    """

    series: Series
    rows: int
    first_open_time: int
    last_open_time: int
    errors: tuple[str, ...]
    gaps: tuple[Gap, ...]
    missing: int
    notes: tuple[str, ...]


def check_series(store: Path, series: Series) -> Checked:
    """Check one stored series.

    Raises
    ------
    WickError
        The manifest cannot be read.
    """
    folder = series.folder(store)
    manifest = read_manifest(folder)
    errors: list[str] = []
    times, volumes = [np.empty(0, np.int64)], [np.empty(0)]
    for stored in manifest.files:
        table = _read(folder, stored, stored.period in manifest.pending, errors)
        if table is None:
            continue
        errors += _faults(table, stored, series)
        times.append(column(table, "open_time"))
        volumes.append(column(table, "volume"))
    named = {f.name for f in manifest.files}
    strange = sorted(p.name for p in folder.glob("*.parquet") if p.name not in named)
    errors += [f"{name} is not in the manifest" for name in strange]
    open_time, volume = np.concatenate(times), np.concatenate(volumes)
    # Gaps mean nothing where times are out of order; that is an error already.
    ordered = bool(np.all(np.diff(open_time) > 0))
    gaps = holes(open_time, series.timeframe) if ordered else []
    return Checked(
        series=series,
        rows=sum(f.rows for f in manifest.files),
        first_open_time=manifest.files[0].first_ms,
        last_open_time=manifest.files[-1].last_ms,
        errors=tuple(errors),
        gaps=tuple(gaps),
        missing=sum(gap.count for gap in gaps),
        notes=tuple(
            f"no trade in {count} candles from {show_time(int(open_time[row]))} UTC on"
            for row, count in silent_stretches(volume)
        ),
    )


def _read(folder: Path, stored: StoredFile, pending: bool, errors: list[str]) -> pa.Table | None:
    path = folder / stored.name
    if pending and (waiting := path.with_name(path.name + NEW)).exists():
        path = waiting
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        errors.append(f"{path} is missing")
        return None
    if hashlib.sha256(raw).hexdigest() != stored.sha256:
        errors.append(f"{path} is not the file that was stored: its SHA-256 differs")
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except (pa.ArrowException, OSError) as error:
        errors.append(f"{path} cannot be read: {str(error).splitlines()[0]}")
        return None
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        errors.append(f"{path} has no column {', '.join(missing)}")
        return None
    return table


def _faults(table: pa.Table, stored: StoredFile, series: Series) -> list[str]:
    where = stored.name
    found = []
    columns = {name: column(table, name) for name in REQUIRED}
    fault = first_fault(columns, series.timeframe)
    if fault is not None:
        found.append(f"{where} row {fault.row + 1}: {fault.why}")
    times = columns["open_time"]
    steps = np.diff(times)
    for bad, what in ((steps == 0, "repeats"), (steps < 0, "is earlier than")):
        if bad.any():
            row = int(np.argmax(bad)) + 1
            at = show_time(int(times[row]))
            found.append(f"{where} row {row + 1}: {at} {what} the time of the row before")
    if len(times) and {month_of(int(times[0])), month_of(int(times[-1]))} != {stored.period}:
        found.append(f"{where} holds candles of another month")
    if len(times) != stored.rows:
        found.append(f"{where} holds {len(times)} rows, the manifest says {stored.rows}")
    return found
