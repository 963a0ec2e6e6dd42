"""Days of stored trades as candles, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.archive_names import archive_name
from data.kinds import AGG_TRADES, KLINES
from data.manifest import Series, Source, StoredFile, read_manifest
from data.store import load_arrays
from data.table import period_end_ms, period_start_ms
from strategy.ticks import fresh_state, tumble
from strategy.timeframes import DAY_MS, timeframe_ms, timeframe_offset_ms


@dataclass(frozen=True, slots=True)
class Day:
    """The candles that one day of trades completed; `inside` unless only its close is used."""

    sources: tuple[Source, ...]
    table: pa.Table
    inside: bool
    trades: int
    left_out: int
    breaks: tuple[int, ...]
    unfinished: str  # the day before, if it has no known end


@dataclass(frozen=True, slots=True)
class _End:
    """How the trades of a day end."""

    period: str
    whole: bool
    last_id: int

    def leads_to(self, opens_ms: int, first_id: int) -> bool:
        """Say whether no trade can lie between this day and the next stored one."""
        if not self.period or period_end_ms(self.period) != opens_ms:
            return False
        return self.whole or self.last_id + 1 == first_id


_NOTHING = _End("", True, -1)


def trade_files(
    store: Path, series: Series, start_ms: int | None, end_ms: int | None
) -> list[StoredFile]:
    """List the days of stored trades that candles of a range are made of.

    Raises
    ------
    WickError
        There are none.
    """
    length, offset = timeframe_ms(series.timeframe), timeframe_offset_ms(series.timeframe)
    trades = _trades_of(series)
    files = read_manifest(trades.folder(store)).files
    if not files:
        load_arrays(store, trades)  # says what is stored instead
    if start_ms is not None:
        # The day before knows the close that a silent beginning carries over.
        first = (start_ms - offset) // length * length + offset - DAY_MS
        files = tuple(f for f in files if period_end_ms(f.period) > first)
    if end_ms is not None:
        files = tuple(f for f in files if period_start_ms(f.period) < end_ms + length)
    if not files:
        load_arrays(store, trades, start_ms, end_ms)
    return list(files)


def is_whole(stored: StoredFile) -> bool:
    """Say whether a stored day of trades is known to its end: a file of the archive is in it."""
    return any(archive_name(source.name) for source in stored.sources)


def candles_by_day(
    store: Path,
    series: Series,
    files: Sequence[StoredFile],
    start_ms: int | None,
    end_ms: int | None,
    now_ms: int,
) -> Iterator[Day]:
    """Make candles of stored trades, day by day.

    Parameters
    ----------
    series : Series
        Of the candles.
    files : sequence of StoredFile
        From `trade_files`.
    start_ms, end_ms : int, optional
        First open time wanted, and the first one not wanted, UTC ms.
    now_ms : int
        The present: a candle that closes later is left out.
    """
    making = _Making(timeframe_ms(series.timeframe), timeframe_offset_ms(series.timeframe))
    before = _NOTHING
    sources: tuple[Source, ...] = ()
    # The first one not closed by now, or not wanted.
    end = min(now_ms - making.length + 1, now_ms if end_ms is None else end_ms)
    for stored in files:
        opens, closes = period_start_ms(stored.period), period_end_ms(stored.period)
        arrays = load_arrays(store, _trades_of(series), opens, closes)
        times, ids = arrays["time"], arrays["agg_id"]
        whole, unfinished = is_whole(stored), ""
        if not before.leads_to(opens, int(ids[0])):
            # A day that is not whole may begin inside a candle.
            making.begin_anew(opens if whole else making.window_after(int(times[0])))
            sources, unfinished = (), "" if before.whole else before.period
        before = _End(stored.period, whole, int(ids[-1]))
        breaks = making.breaks(times, ids)
        known_ms = min(closes if whole else int(times[-1]), now_ms)
        table, left_out = making.of(arrays, breaks, known_ms, start_ms or 0, end)
        sources = (*sources, Source(f"{AGG_TRADES.name}/{stored.name}", stored.sha256))
        inside = start_ms is None or closes > start_ms
        at = tuple(int(times[i - 1]) for i in breaks)
        yield Day(sources, table, inside, len(times), left_out, at, unfinished)
        if len(table):
            # The candle that goes on into the next day is made of this one too.
            sources = sources[-1:] if DAY_MS % making.length else ()


class _Making:
    """Candles of one length on their way from day to day."""

    def __init__(self, length: int, offset: int) -> None:
        self.length, self._offset = length, offset
        self.begin_anew(0)

    def begin_anew(self, first_ms: int) -> None:
        """Forget the last price, since what it did in between is not known, and begin at a time."""
        self._state, self._first_ms = fresh_state(), first_ms

    def window_after(self, time_ms: int) -> int:
        """Return when the candle after that of a time opens."""
        return (time_ms - self._offset) // self.length * self.length + self._offset + self.length

    def breaks(self, times: NDArray[np.int64], ids: NDArray[np.int64]) -> tuple[int, ...]:
        """Return where trades go on after some are missing, and whole windows with them.

        The exchange itself leaves single ids out, of its insurance fund and of auto-deleveraging.
        Where no window is silent around them nothing can be told; a silent one may be silent or
        lost.
        """
        windows = (times - self._offset) // self.length
        lost = (np.diff(ids) > 1) & (np.diff(windows) > 1)
        return tuple((np.flatnonzero(lost) + 1).tolist())

    def of(
        self,
        arrays: dict[str, NDArray[Any]],
        breaks: tuple[int, ...],
        known_ms: int,
        start_ms: int,
        end_ms: int,
    ) -> tuple[pa.Table, int]:
        """Make the candles of a day known up to a time; count the trades that are left out."""
        tables, left_out = [], 0
        times = arrays["time"]
        for first, last in pairwise((0, *breaks, len(times))):
            if first:
                self.begin_anew(self.window_after(int(times[first])))
            # The candle in which a break begins is not known to its end.
            until_ms = known_ms
            if last < len(times):
                until_ms = min(known_ms, int(times[last - 1]) - self.length)
            part = {name: values[first:last] for name, values in arrays.items()}
            candles, zeros = tumble(
                part["time"],
                part["price"],
                part["qty"],
                part["last_id"] - part["first_id"] + 1,
                part["buyer_maker"],
                self.length,
                self._offset,
                until_ms,
                self._state,
            )
            tables.append(_table(candles, max(self._first_ms, start_ms), end_ms))
            left_out += int(zeros)
        return pa.concat_tables(tables), left_out


def _trades_of(series: Series) -> Series:
    return Series(series.market, series.symbol, "", AGG_TRADES.name)


def _table(candles: NDArray[np.float64], start_ms: int, end_ms: int) -> pa.Table:
    low, high = np.searchsorted(candles[0], (start_ms, max(start_ms, end_ms)))
    names = zip(KLINES.columns.items(), candles[:, low:high], strict=True)
    return pa.table(
        {
            name: pa.array(values.astype(np.int64) if kind == pa.int64() else values)
            for (name, kind), values in names
        }
    )
