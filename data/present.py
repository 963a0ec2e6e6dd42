"""Which rows of a stored series are missing between its first and its last."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.gaps import Ledger, read_ledger
from data.kind_quality import missing_rows
from data.kinds import AGG_TRADES
from data.manifest import Series, open_file, read_manifest
from data.quality import Gap, holes
from data.store import load_arrays
from data.table import column
from strategy.errors import WickError


def gaps_of(store: Path, series: Series) -> list[Gap]:
    """Find the missing rows of a series: open times, of trades ids, of other kinds about when.

    Raises
    ------
    WickError
        A file is damaged.
    """
    if series.its_kind is AGG_TRADES:
        return _missing_ids(series.folder(store))
    columns = load_arrays(store, series, optional=())
    if series.its_kind.has_candles:
        return holes(columns["open_time"], series.timeframe)
    return missing_rows(columns, series.its_kind)


def _missing_ids(folder: Path) -> list[Gap]:
    manifest = read_manifest(folder)
    found: list[Gap] = []
    last: int | None = None
    for stored in manifest.files:
        file = open_file(folder, stored, stored.period in manifest.pending)
        ids = np.sort(column(file.read(columns=["agg_id"]), "agg_id"))
        found += missing_ids(ids, last)
        last = int(ids[-1])
    return found


def missing_ids(ids: NDArray[np.int64], before: int | None) -> list[Gap]:
    """Find the ids missing in a day of trades, sorted, and between them and the day before."""
    whole = ids if before is None else np.insert(ids, 0, before)
    return missing_rows({"agg_id": whole}, AGG_TRADES)


def ledger_or_empty(folder: Path) -> Ledger:
    """Read the gap ledger; a damaged one explains nothing."""
    try:
        return read_ledger(folder)
    except WickError:
        return Ledger()
