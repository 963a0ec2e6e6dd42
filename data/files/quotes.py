"""Best bids and asks reduced to minutes: a day of the archive's file holds millions of them."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.archive_names import ArchiveName
from data.table import arrow, column, period_end_ms, period_start_ms

MINUTE_MS = 60_000


def minutes_of(tables: Iterable[pa.Table], its: ArchiveName | None) -> pa.Table:
    """Reduce quotes to one row a minute; a minute without any has none.

    Parameters
    ----------
    tables : iterable of Table
        time, bid and ask of each change, in order, in pieces. A quote without both, or with an
        ask below the bid, is left out.
    its : ArchiveName or None
        Of the file: quotes outside its day are left out, for the other day's file has the rest of
        their minute.

    Returns
    -------
    Table
        time: the minute's beginning. bid, ask: as they stood at its end. half: half their
        distance as a share of their mean, weighted by how long each quote stood in the minute.
    """
    minutes = _Minutes()
    for table in tables:
        times, bid, ask = (column(table, name) for name in ("time", "bid", "ask"))
        good = (bid > 0.0) & (ask >= bid)
        if its is not None:
            good &= (times >= period_start_ms(its.period)) & (times < period_end_ms(its.period))
        if good.any():
            minutes.add(times[good], bid[good], ask[good])
    return minutes.table()


def half_of(bid: NDArray[np.float64], ask: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half the distance of quotes as a share of their mean."""
    return (ask - bid) / (ask + bid)


class _Minutes:
    """What is known of each minute so far, and the quote that still stands."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[float, float]] = {}  # bid and ask at the end
        self._stood: dict[int, list[float]] = {}  # sum of half spread × ms, and ms
        self._last: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]] | None = None

    def add(
        self, times: NDArray[np.int64], bid: NDArray[np.float64], ask: NDArray[np.float64]
    ) -> None:
        if self._last is not None:
            before, its_bid, its_ask = self._last
            times = np.concatenate((before, times))
            bid, ask = np.concatenate((its_bid, bid)), np.concatenate((its_ask, ask))
        times = np.maximum.accumulate(times)
        minute, half = times // MINUTE_MS, half_of(bid, ask)
        ends = np.minimum(times[1:], (minute[:-1] + 1) * MINUTE_MS)
        self._weigh(minute[:-1], half[:-1], ends - times[:-1])
        crosses = minute[1:] > minute[:-1]
        later = minute[1:][crosses]
        self._weigh(later, half[:-1][crosses], times[1:][crosses] - later * MINUTE_MS)
        for at in np.flatnonzero(np.diff(minute, append=minute[-1] + 1)).tolist():
            self._rows[int(minute[at])] = (float(bid[at]), float(ask[at]))
        self._last = times[-1:], bid[-1:], ask[-1:]

    def _weigh(
        self, minute: NDArray[np.int64], half: NDArray[np.float64], stood: NDArray[np.int64]
    ) -> None:
        which, at = np.unique(minute, return_inverse=True)
        sums = np.bincount(at, half * stood, len(which)), np.bincount(at, stood, len(which))
        for one, weighted, length in zip(which.tolist(), *(s.tolist() for s in sums), strict=True):
            known = self._stood.setdefault(one, [0.0, 0.0])
            known[0] += weighted
            known[1] += length

    def table(self) -> pa.Table:
        minutes = sorted(self._rows)
        quotes = np.array([self._rows[one] for one in minutes]).reshape(-1, 2)
        bid, ask = quotes[:, 0], quotes[:, 1]
        weighted, stood = (
            np.array([self._stood.get(one, (0.0, 0.0)) for one in minutes]).reshape(-1, 2).T
        )
        half = np.where(stood > 0.0, weighted / np.maximum(stood, 1.0), half_of(bid, ask))
        times = np.array(minutes, np.int64) * MINUTE_MS
        values = {"time": times, "bid": bid, "ask": ask, "half": half}
        return pa.table({name: arrow(each) for name, each in values.items()})
