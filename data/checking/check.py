"""Look through a stored series: every file, every row, holes with their causes, silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.checking.agreement import disagreements
from data.checking.coverage import MonthShare, coverage
from data.checking.integrity import inspect
from data.checking.present import missing_ids
from data.dates import show_time
from data.gaps import OUTAGE, Explained, Ledger, classify, read_ledger
from data.kind_quality import first_bad_row, missing_rows, notes_on, order_faults
from data.kinds import AGG_TRADES, Kind
from data.manifest import MANIFEST, Manifest, Series, StoredFile, read_manifest
from data.quality import Gap, first_fault, holes, silent_stretches
from data.table import column, period_of
from strategy.errors import WickError


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one series.

    Attributes
    ----------
    errors : tuple of str
        Rows that are not what was stored, or cannot be: results would be wrong.
    gaps : tuple of Gap
        Stretches without rows between the first and the last; of trades their ids.
    missing : int
        How many rows the gaps lack.
    holes : tuple of Explained
        The gaps with the causes that the gap ledger knows, cut where these change.
    notes : tuple of str
        Worth knowing: long stretches without trades in a market that usually trades, and such.
    coverage : tuple of MonthShare
        Of candles, how many of each month are there.
    """

    series: Series
    rows: int
    first_open_time: int
    last_open_time: int
    errors: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()
    missing: int = 0
    holes: tuple[Explained, ...] = ()
    notes: tuple[str, ...] = ()
    coverage: tuple[MonthShare, ...] = ()

    @property
    def unexplained(self) -> int:
        """How many missing rows the ledger does not explain as the exchange's own outage."""
        return sum(hole.gap.count for hole in self.holes if hole.cause != OUTAGE)


@dataclass(slots=True)
class _Found:
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    columns: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    last_id: int | None = None


def check_all(store: Path, found: Sequence[Series], on_done: Callable[[], None]) -> list[Checked]:
    """Check series one by one, and each symbol's timeframes against each other.

    Parameters
    ----------
    on_done : callable
        Told after each series.
    """
    results = {}
    for series in found:
        results[series] = check_series(store, series)
        on_done()
    sound = [series for series, result in results.items() if not result.errors]
    for series, notes in disagreements(store, sound).items():
        results[series] = replace(results[series], notes=(*results[series].notes, *notes))
    return list(results.values())


def check_series(store: Path, series: Series) -> Checked:
    """Check one stored series."""
    folder, kind = series.folder(store), series.its_kind
    found = _Found()
    try:
        manifest = read_manifest(folder)
    except WickError as error:
        return Checked(series, 0, 0, 0, (error.message,))
    named = {f.name for f in manifest.files}
    strange = sorted(p.name for p in folder.glob("*.parquet") if p.name not in named)
    if not manifest.files:
        lost = f"{folder / MANIFEST} is missing, {len(strange)} files lie there"
        return Checked(series, 0, 0, 0, (lost,))
    for stored in manifest.files:
        looked = inspect(folder, stored, stored.period in manifest.pending, kind)
        found.errors += looked.errors
        if looked.table is not None:
            columns = _columns(looked.table, kind, found.errors, stored.name)
            if columns is not None:
                found.errors += _faults(columns, stored, series)
                _collect(found, columns, kind)
    found.errors += [f"{name} is not in the manifest" for name in strange]
    found.notes += _outdated(store, series, manifest)
    times = _whole(found, series)
    ledger = _ledger(folder, found)
    return Checked(
        series=series,
        rows=sum(f.rows for f in manifest.files),
        first_open_time=manifest.files[0].first_ms,
        last_open_time=manifest.files[-1].last_ms,
        errors=tuple(found.errors),
        gaps=tuple(found.gaps),
        missing=sum(gap.count for gap in found.gaps),
        holes=tuple(classify(found.gaps, ledger, series)),
        notes=tuple(found.notes),
        coverage=tuple(coverage(times, series.timeframe)) if kind.has_candles else (),
    )


def _outdated(store: Path, series: Series, manifest: Manifest) -> list[str]:
    """Say how many files are made of trades that have changed since."""
    of = Series(series.market, series.symbol, "", AGG_TRADES.name)
    trades = read_manifest(of.folder(store)).files
    now = {f"{AGG_TRADES.name}/{f.name}": f.sha256 for f in trades}
    old = [
        f.period
        for f in manifest.files
        if any(s.tumbled and now.get(s.name, s.sha256) != s.sha256 for s in f.sources)
    ]
    if not old:
        return []
    again = f"{series.symbol} --market {series.market} --timeframe {series.timeframe}"
    return [f"made of trades that have changed since, first in {old[0]}: wick data tumble {again}"]


def _ledger(folder: Path, found: _Found) -> Ledger:
    try:
        return read_ledger(folder)
    except WickError as error:
        found.notes.append(f"{error.message}; {error.hint}")
        return Ledger()


def _columns(
    table: pa.Table, kind: Kind, errors: list[str], name: str
) -> dict[str, NDArray[Any]] | None:
    empty = [n for n in kind.required if table[n].null_count]
    if empty:
        errors.append(f"{name}: {', '.join(empty)} is missing in some rows")
        return None
    return {n: column(table, n) for n in kind.columns if n in table.column_names}


def _faults(columns: dict[str, NDArray[Any]], stored: StoredFile, series: Series) -> list[str]:
    kind = series.its_kind
    fault = (
        first_fault(columns, series.timeframe) if kind.has_candles else first_bad_row(columns, kind)
    )
    found = [] if fault is None else [f"{stored.name} row {fault.row + 1}: {fault.why}"]
    found += order_faults(columns, kind, stored.name)
    times = columns[kind.time]
    if len(times) and {_period(times[0], kind), _period(times[-1], kind)} != {stored.period}:
        what = "candles" if kind.has_candles else kind.plural
        found.append(f"{stored.name} holds {what} of another {'day' if kind.by_day else 'month'}")
    if len(times) != stored.rows:
        found.append(f"{stored.name} holds {len(times)} rows, the manifest says {stored.rows}")
    return found


def _period(time_ms: int, kind: Kind) -> str:
    # A damaged time may lie beyond what a calendar knows.
    return period_of(time_ms, kind) if 0 <= time_ms < 10**14 else ""


def _collect(found: _Found, columns: dict[str, NDArray[Any]], kind: Kind) -> None:
    if kind is AGG_TRADES:
        # Days are large: of each only what is missing in it and since the one before.
        ids = np.sort(columns["agg_id"])
        found.gaps += missing_ids(ids, found.last_id)
        found.notes += notes_on(columns, kind)
        found.last_id = int(ids[-1])
        return
    wanted = ("open_time", "volume") if kind.has_candles else tuple(columns)
    found.columns.append({name: columns[name] for name in wanted if name in columns})


def _whole(found: _Found, series: Series) -> NDArray[np.int64]:
    """Look for holes over all files, and return the times of candles."""
    kind, none = series.its_kind, np.empty(0, np.int64)
    if not found.columns:
        return none
    names = set.intersection(*(set(one) for one in found.columns))
    columns = {n: np.concatenate([one[n] for one in found.columns]) for n in names}
    times = columns[kind.time]
    # Holes mean nothing where times are out of order; that is an error already.
    if np.any(np.diff(times) < kind.has_candles):
        return none
    if not kind.has_candles:
        found.gaps += missing_rows(columns, kind)
        found.notes += notes_on(columns, kind)
        return none
    found.gaps += holes(times, series.timeframe)
    found.notes += [
        f"no trade in {count} candles from {show_time(int(times[row]))} UTC on"
        for row, count in silent_stretches(columns.get("volume", np.ones(0)))
    ]
    return times
