"""Which rows of a stored series are missing between its first and its last."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.gaps import Ledger, read_ledger
from data.kind_quality import missing_rows
from data.kinds import AGG_TRADES, FUNDING
from data.manifest import Series, open_file, read_manifest
from data.quality import Gap, holes
from data.store import load_arrays
from data.table import column
from strategy.errors import WickError
from strategy.timeframes import longest_ms

_ONE_PAYMENT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole and the time between the rows around it: from `start_ms` to before `end_ms`."""

    gap: Gap
    start_ms: int
    end_ms: int


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


def in_time(store: Path, series: Series, gaps: Sequence[Gap], now_ms: int) -> list[Hole]:
    """Say between which times holes lie, which of trades are told by ids.

    Parameters
    ----------
    gaps : sequence of Gap
        In order.
    now_ms : int
        The present, where nothing is stored after a hole.
    """
    if not gaps:
        return []
    if series.its_kind.has_candles:
        length = longest_ms(series.timeframe)
        return [Hole(gap, gap.first_missing, gap.last_missing + length) for gap in gaps]
    if series.its_kind is AGG_TRADES:
        return _in_time_of_trades(store, series, gaps)
    times = np.unique(load_arrays(store, series, optional=())["time"])
    # Archive and REST date one payment some milliseconds apart: it must not be stored twice.
    beside = _ONE_PAYMENT_MS if series.its_kind is FUNDING else 0
    found = []
    for gap in gaps:
        after = int(np.searchsorted(times, gap.last_missing, "right"))
        before = int(np.searchsorted(times, gap.first_missing))
        start_ms = int(times[before - 1]) + beside + 1 if before else 0
        end_ms = int(times[after]) - beside if after < len(times) else now_ms
        found.append(Hole(gap, start_ms, end_ms))
    return found


def _in_time_of_trades(store: Path, series: Series, gaps: Sequence[Gap]) -> list[Hole]:
    found: dict[Gap, Hole] = {}
    before_id, before_ms = -1, 0
    for stored in read_manifest(series.folder(store)).files:
        day = load_arrays(store, series, stored.first_ms, stored.last_ms + 1)
        order = np.argsort(day["agg_id"])
        ids = np.insert(day["agg_id"][order], 0, before_id)
        times = np.insert(day["time"][order], 0, before_ms)
        for gap in gaps:
            at = int(np.searchsorted(ids, gap.first_missing))
            if 0 < at < len(ids):
                found.setdefault(gap, Hole(gap, int(times[at - 1]), int(times[at]) + 1))
        before_id, before_ms = int(ids[-1]), int(times[-1])
    return [found[gap] for gap in gaps if gap in found]


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
