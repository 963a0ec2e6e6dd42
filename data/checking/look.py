"""What `wick data show` tells about one stored series."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.archive_names import archive_name
from data.checking.coverage import MonthShare, coverage
from data.checking.present import gaps_of, ledger_or_empty
from data.gaps import Explained, classify
from data.manifest import REST, Manifest, Series, Source, read_manifest
from data.store import load, load_arrays, not_stored

TRADES = "trades"


@dataclass(frozen=True, slots=True)
class Shown:
    """One series.

    Attributes
    ----------
    holes : tuple of Explained
        Missing rows with their causes.
    sources : dict
        From how many files it was made, by where they came from: archive, REST, trades, import.
    fingerprint : str
        Of candles, what a run over all of them would name unless its strategy reads more than
        prices and volume; of other kinds a hash over those of the files.
    head, tail : tuple of dict
        The first and last rows, by column; None where a value is not known.
    coverage : tuple of MonthShare
        Of candles, how many of each month are there.
    """

    series: Series
    files: int
    rows: int
    first_open_time: int
    last_open_time: int
    size_bytes: int
    gaps: int
    missing: int
    holes: tuple[Explained, ...]
    sources: dict[str, int]
    columns: tuple[str, ...]
    fingerprint: str
    head: tuple[dict[str, Any], ...]
    tail: tuple[dict[str, Any], ...]
    coverage: tuple[MonthShare, ...]


def look_at(store: Path, series: Series, count: int = 3) -> Shown:
    """Gather what is worth seeing of a series.

    Raises
    ------
    WickError
        A file of it is missing or damaged.
    """
    folder = series.folder(store)
    files = read_manifest(folder).files
    if not files:
        raise not_stored(store, series)
    gaps = gaps_of(store, series)
    first = load_arrays(store, series, end_ms=files[0].last_ms + 1)
    last = load_arrays(store, series, start_ms=files[-1].first_ms)
    # Columns that a source may lack can be in one of them only.
    names = [n for n in series.its_kind.columns if n in first or n in last]
    rows = sum(f.rows for f in files)
    shares: list[MonthShare] = []
    fingerprint = hashlib.sha256("".join(f.sha256 for f in files).encode()).hexdigest()
    if series.its_kind.has_candles:
        times = load_arrays(store, series, optional=())["open_time"]
        shares = coverage(times, series.timeframe)
    if series.kind == "klines":
        its = series
        fingerprint = load(store, its.market, its.symbol, its.timeframe, optional=()).fingerprint
    return Shown(
        series=series,
        files=len(files),
        rows=rows,
        first_open_time=files[0].first_ms,
        last_open_time=files[-1].last_ms,
        size_bytes=sum(f.size_bytes for f in files),
        gaps=len(gaps),
        missing=sum(gap.count for gap in gaps),
        holes=tuple(classify(gaps, ledger_or_empty(folder), series)),
        sources=sources_of(series, read_manifest(folder)),
        columns=tuple(names),
        fingerprint=fingerprint,
        head=_rows(first, names, range(min(count, len(first[series.its_kind.time])))),
        tail=_rows(last, names, range(-min(count, len(last[series.its_kind.time])), 0)),
        coverage=tuple(shares),
    )


def _rows(
    columns: dict[str, Any], names: Sequence[str], which: range
) -> tuple[dict[str, Any], ...]:
    rows = []
    for i in which:
        row = {name: columns[name][i].item() if name in columns else None for name in names}
        # JSON knows no NaN.
        rows.append({name: None if value != value else value for name, value in row.items()})
    return tuple(rows)


def sources_of(series: Series, manifest: Manifest) -> dict[str, int]:
    """Count the files that a series came from, by what they were."""
    names = {source.name for f in manifest.files for source in f.sources}
    found = Counter(origin(series, name) for name in names)
    unknown = sum(not f.sources for f in manifest.files)
    return dict(found) | ({"unknown": unknown} if unknown else {})


def origin(series: Series, name: str) -> str:
    """Tell where a source came from by its name: archive, REST, trades stored here, or import."""
    if name.startswith(REST):
        return REST
    if Source(name, "").tumbled:
        return TRADES
    return "archive" if archive_period(series, name) else "import"


def archive_period(series: Series, name: str) -> str:
    """Return the month or day of a file of the archive, "" for any other name."""
    its, word = archive_name(name), series.file_timeframe or series.its_kind.archive
    whole = its and name.endswith(".zip") and (its.symbol, its.word) == (series.symbol, word)
    return its.period if its and whole else ""
