"""Reading the store: what it holds, and candles into memory."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.dates import show_time
from data.kinds import KINDS, KLINES, Kind
from data.manifest import (
    MANIFEST,
    MARKETS,
    Manifest,
    Series,
    StoredFile,
    damaged,
    known_market,
    manifest_bytes,
    open_file,
    parse_manifest,
    read_manifest,
    repair_hint,
    series_of,
)
from data.table import OPTIONAL, month_of
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import longest_ms

if TYPE_CHECKING:
    from strategy.candles import Candles


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One line of what a store holds."""

    series: Series
    files: int
    rows: int
    first_open_time: int
    last_open_time: int
    size_bytes: int


def series(store: Path) -> list[StoredSeries]:
    """List the candles that a store holds, by symbol, market and timeframe."""
    return [one for one in every_series(store) if one.series.kind == KLINES.name]


def every_series(store: Path) -> list[StoredSeries]:
    """List all that a store holds, by symbol, market, kind and timeframe."""
    found = []
    for market in MARKETS:
        for path in (store / market).glob(f"*/*/{MANIFEST}"):
            its, files = series_of(path.parent), read_manifest(path.parent).files
            if its is not None and files:
                found.append(
                    StoredSeries(
                        its,
                        len(files),
                        sum(f.rows for f in files),
                        files[0].first_ms,
                        files[-1].last_ms,
                        sum(f.size_bytes for f in files),
                    )
                )
    return sorted(found, key=lambda one: rank(one.series))


def rank(its: Series) -> tuple[str, str, int, int]:
    """Return what series are listed in the order of: symbol, market, kind, timeframe."""
    length = longest_ms(its.timeframe) if its.timeframe else 0
    return its.symbol, its.market, list(KINDS).index(its.kind), length


def load(
    store: Path,
    market: str,
    symbol: str,
    timeframe: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    optional: Sequence[str] = OPTIONAL,
) -> "Candles":
    """Read stored candles into memory.

    Parameters
    ----------
    store : Path
        Folder of the store.
    market, symbol, timeframe : str
        Such as um, BTCUSDT, 1m.
    start_ms, end_ms : int, optional
        First open time wanted, and the first one not wanted, in UTC milliseconds; by default all.
    optional : sequence of str
        Which columns beyond open_time, prices and volume to read, where every candle has them. Who
        does not need them saves a third of time and memory.

    Raises
    ------
    WickError
        Nothing is stored under these names or in this range, or a file is damaged.
    """
    from strategy.candles import Candles  # Numba: commands that only list need not wait for it

    wanted = Series(market, symbol, timeframe)
    known_market(market)
    longest_ms(timeframe)
    arrays = load_arrays(store, wanted, start_ms, end_ms, optional)
    return Candles.from_arrays(symbol=symbol, market=market, timeframe=timeframe, **arrays)


def load_if_stored(
    store: Path, wanted: Series, first_ms: int, last_ms: int
) -> dict[str, NDArray[Any]] | None:
    """Read the columns of a stored series between two times, both included; None where nothing of
    it lies there.

    Raises
    ------
    WickError
        A file is damaged.
    """
    files = [
        its
        for its in read_manifest(wanted.folder(store)).files
        if its.first_ms <= last_ms and its.last_ms >= first_ms
    ]
    if not files:
        return None
    arrays = load_arrays(store, wanted, files[0].first_ms, files[-1].last_ms + 1)
    times = arrays[wanted.its_kind.time]
    low, high = np.searchsorted(times, (first_ms, last_ms + 1)).tolist()
    return {name: values[low:high] for name, values in arrays.items()} if low < high else None


def load_arrays(
    store: Path,
    wanted: Series,
    start_ms: int | None = None,
    end_ms: int | None = None,
    optional: Sequence[str] | None = None,
    into: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, NDArray[Any]]:
    """Read the columns of a stored series of any kind into memory.

    Parameters
    ----------
    store : Path
        Folder of the store.
    wanted : Series
        What to read.
    start_ms, end_ms : int, optional
        First time wanted, and the first one not wanted, in UTC milliseconds; by default all.
    optional : sequence of str
        Which of the kind's optional columns to read, by default all. They are float64, NaN where
        a value is not known; of candles a column is there only where every row has a value.
    into : mapping, optional
        Arrays to read columns into, where they are long enough for all files that are read.

    Raises
    ------
    WickError
        Nothing is stored of it or in this range, or a file is damaged.
    """
    files = _open_files(store, wanted, start_ms, end_ms)
    its = wanted.its_kind
    arrays = _read_files(
        wanted.folder(store), its, files, its.optional if optional is None else optional, into or {}
    )
    times = arrays[its.time]
    low = 0 if start_ms is None else int(np.searchsorted(times, start_ms))
    high = len(times) if end_ms is None else int(np.searchsorted(times, end_ms))
    if low >= high:
        raise _nothing_in_range(wanted, read_manifest(wanted.folder(store)), start_ms, end_ms)
    return {name: values[low:high] for name, values in arrays.items()}


def _open_files(
    store: Path, wanted: Series, start_ms: int | None, end_ms: int | None
) -> list[tuple[StoredFile, pq.ParquetFile]]:
    folder = wanted.folder(store)
    while True:
        raw = manifest_bytes(folder)
        manifest = parse_manifest(folder, raw)
        if not manifest.files:
            raise not_stored(store, wanted)
        files = [
            f
            for f in manifest.files
            if (end_ms is None or f.first_ms < end_ms)
            and (start_ms is None or f.last_ms >= start_ms)
        ]
        if not files:
            raise _nothing_in_range(wanted, manifest, start_ms, end_ms)
        try:
            opened = [(f, open_file(folder, f, f.period in manifest.pending)) for f in files]
        except WickError:
            if raw == manifest_bytes(folder):
                raise
            continue
        # An open file stays what it was when a writer replaces its name; so if the manifest is
        # still the same after opening, all files belong to it.
        if raw == manifest_bytes(folder):
            return opened


def _read_files(
    folder: Path,
    its: Kind,
    files: Sequence[tuple[StoredFile, pq.ParquetFile]],
    optional: Sequence[str],
    into: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    # An indicator over a column that begins in the middle would be silent for no visible reason, so
    # candles have a column whole or not at all; other rows have NaN where a value is not known.
    enough = all if its.has_candles else any
    names = [
        n
        for n in its.columns
        if n not in its.optional
        or (n in optional and enough(n in file.schema_arrow.names for _, file in files))
    ]
    ends = np.cumsum([stored.rows for stored, _ in files])
    rows = int(ends[-1])
    arrays: dict[str, NDArray[Any]] = {
        n: into[n][:rows] if n in into and len(into[n]) >= rows else np.empty(rows, _dtype(its, n))
        for n in names
    }
    for n in () if its.has_candles else its.optional:
        if n in arrays:
            arrays[n].fill(np.nan)
    partial: set[str] = set()

    def read(index: int) -> None:
        stored, file = files[index]
        try:
            there = [n for n in names if n in file.schema_arrow.names]
            table = file.read(columns=there, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise damaged(folder / stored.name, str(error)) from error
        if table.num_rows != stored.rows:
            found = f"{table.num_rows} rows, its manifest says {stored.rows}"
            raise damaged(folder / stored.name, found)
        start = int(ends[index]) - stored.rows
        for name in there:
            if table[name].null_count and its.has_candles:
                partial.add(name)
                continue
            at = start
            for chunk in table[name].chunks:
                if chunk.null_count:
                    chunk = chunk.cast(pa.float64()).fill_null(np.nan)
                # Not to_numpy(), which imports pandas: 0.19 s and 30 MB in a fresh process. Bits
                # of truth values have to be spread out first.
                if chunk.type == pa.bool_():
                    chunk = chunk.cast(pa.uint8())
                arrays[name][at : at + len(chunk)] = np.from_dlpack(chunk)
                at += len(chunk)

    # Measured on a year of 1m (12 files, 9 columns, 2 cores): 22 ms; tables concatenated, 37 ms.
    with ThreadPoolExecutor(min(len(files), os.cpu_count() or 1)) as pool:
        for _ in pool.map(read, range(len(files))):
            pass
    return {name: values for name, values in arrays.items() if name not in partial}


def _dtype(its: Kind, name: str) -> type:
    if its.columns[name] == pa.bool_():
        return np.bool_
    # A whole number that may be missing can only be told so as NaN.
    whole = its.columns[name] == pa.int64() and name not in its.optional
    return np.int64 if whole else np.float64


def _fetch_hint(wanted: Series) -> str:
    kind = "" if wanted.kind == KLINES.name else f" --kind {wanted.kind}"
    timeframe = f" --timeframe {wanted.timeframe}" if wanted.timeframe else ""
    return f"wick data fetch {wanted.symbol} --market {wanted.market}{kind}{timeframe} --from"


def not_stored(store: Path, wanted: Series) -> WickError:
    """Return the error for a series that a store does not hold."""
    if any(wanted.folder(store).glob("*.parquet")):
        lost = wanted.folder(store) / MANIFEST
        return WickError(f"{lost} is missing, files of {wanted} lie there", repair_hint(wanted))
    fetch = f"{_fetch_hint(wanted)} 2023-01-01, or wick data import PATH"
    stored = [s.series for s in every_series(store)]
    if not stored:
        what = wanted.its_kind.plural
        return WickError(f"the store {store} holds no {what} yet, {wanted} was asked for", fetch)
    same = [str(s) for s in stored if s.symbol == wanted.symbol]
    message = f"{wanted} is not in the store {store}"
    if same:
        return WickError(f"{message}; stored of this symbol: {', '.join(same)}", fetch)
    return WickError(message, f"{did_you_mean(wanted.symbol, {s.symbol for s in stored})}; {fetch}")


def _nothing_in_range(
    wanted: Series, manifest: Manifest, start_ms: int | None, end_ms: int | None
) -> WickError:
    first, last = manifest.files[0].first_ms, manifest.files[-1].last_ms
    asked = " ".join(
        f"{word} {show_time(moment)}"
        for word, moment in (("from", start_ms), ("to", end_ms))
        if moment is not None
    )
    return WickError(
        f"no {wanted} {wanted.its_kind.plural} {asked} (UTC); stored are {show_time(first)} to"
        f" {show_time(last)}",
        f"ask for a range inside, or {_fetch_hint(wanted)} {month_of(start_ms or first)}-01",
    )
