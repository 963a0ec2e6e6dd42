"""Stored trades into candles of any length, and those beside the exchange's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.manifest import Series, read_manifest
from data.store import load_arrays
from data.table import OPTIONAL, period_end_ms
from data.trade_days import candles_by_day, is_whole, trade_files
from data.writer import Merge, writing
from strategy.errors import RunRefused, WickError


@dataclass(slots=True)
class Tumbled:
    """What became of the trades of a symbol.

    Attributes
    ----------
    left_out : int
        Trades of price or quantity 0.
    silent : int
        Candles without a trade.
    missing_days : list of str
        Days inside the range whose trades are not stored.
    breaks : int
        Places inside a day where ids of trades are missing and whole candles with them.
    first_break : int
        Time of the last trade before the first of them.
    unfinished_days : list of str
        Days of which no file of the archive is known, and whose ids do not join the next day's.
    """

    series: Series
    days: int = 0
    trades: int = 0
    left_out: int = 0
    candles: int = 0
    silent: int = 0
    first_open_time: int = 0
    last_open_time: int = 0
    merge: Merge = field(default_factory=Merge)
    missing_days: list[str] = field(default_factory=list)
    breaks: int = 0
    first_break: int = 0
    unfinished_days: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """A way in which candles differ: how many do, and the first one's values."""

    what: str
    count: int
    open_time: int
    ours: float
    exchange: float


@dataclass(slots=True)
class Compared:
    """Candles made of trades beside the exchange's own of the same time."""

    series: Series
    compared: int = 0
    equal: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)

    def count(
        self,
        what: str,
        times: NDArray[np.int64],
        ours: NDArray[np.float64],
        exchange: NDArray[np.float64],
    ) -> None:
        """Count candles that differ in one way."""
        if not len(times):
            return
        first = self.differences.get(what)
        first = first or Difference(what, 0, int(times[0]), float(ours[0]), float(exchange[0]))
        self.differences[what] = Difference(
            what, first.count + len(times), first.open_time, first.ours, first.exchange
        )


def tumble_trades(
    store: Path,
    series: Series,
    start_ms: int | None,
    end_ms: int | None,
    now_ms: int,
    on_day: Callable[[], None],
) -> Tumbled:
    """Make candles of stored trades and store them.

    Parameters
    ----------
    store : Path
        Folder of the store.
    series : Series
        Of the candles.
    start_ms, end_ms : int, optional
        First open time wanted, and the first one not wanted, UTC ms.
    now_ms : int
        The present: a candle that closes later is left out.
    on_day : callable
        Called after each day of trades.

    Raises
    ------
    WickError
        No trades are stored in the range.
    RunRefused
        The series holds candles of the exchange.
    """
    _refuse_others(store, series)
    files = trade_files(store, series, start_ms, end_ms)
    result = Tumbled(series)
    with writing(store, series) as writer, writer.adding() as addition:
        for day in candles_by_day(store, series, files, start_ms, end_ms, now_ms):
            if day.inside:
                result.days += 1
                result.trades += day.trades
                result.left_out += day.left_out
                result.breaks += len(day.breaks)
                result.first_break = result.first_break or next(iter(day.breaks), 0)
                result.unfinished_days += [day.unfinished] if day.unfinished else []
            if len(day.table):
                times = day.table["open_time"]
                result.first_open_time = result.first_open_time or times[0].as_py()
                result.last_open_time = times[-1].as_py()
                result.candles += len(day.table)
                silent = day.table["trades"].to_numpy() == 0
                result.silent += int(np.count_nonzero(silent))
                result.merge += addition.add(day.table, *day.sources)
            on_day()
    if files and not is_whole(files[-1]) and period_end_ms(files[-1].period) <= now_ms:
        result.unfinished_days.append(files[-1].period)
    for before, after in pairwise(files):
        first, end = np.datetime64(before.period) + 1, np.datetime64(after.period)
        result.missing_days += [str(missing) for missing in np.arange(first, end)]
    return result


def compare(
    store: Path,
    series: Series,
    start_ms: int | None,
    end_ms: int | None,
    now_ms: int,
    on_day: Callable[[], None],
) -> Compared:
    """Set candles made of trades beside the exchange's own, value by value; store nothing.

    Raises
    ------
    WickError
        Trades or candles are not stored, or none of one time.
    """
    if any(s.tumbled for f in read_manifest(series.folder(store)).files for s in f.sources):
        raise WickError(
            f"the stored {series} candles are made of trades themselves",
            f"--store FOLDER where the exchange's own are, or another --timeframe than"
            f" {series.timeframe}",
        )
    result = Compared(series)
    files = trade_files(store, series, start_ms, end_ms)
    for day in candles_by_day(store, series, files, start_ms, end_ms, now_ms):
        if len(day.table):
            _compare_day(store, day.table, result)
        on_day()
    if not result.compared:
        raise WickError(
            f"no {series} candles are stored for the days whose trades are",
            f"wick data fetch {series.symbol} --market {series.market}"
            f" --timeframe {series.timeframe} --from 2023-01-01",
        )
    return result


def _refuse_others(store: Path, series: Series) -> None:
    for stored in read_manifest(series.folder(store)).files:
        for source in stored.sources:
            if not source.tumbled:
                raise RunRefused(
                    f"{series} holds candles of {source.name}; candles made of trades are not mixed"
                    " with them",
                    f"wick data tumble {series.symbol} --market {series.market}"
                    f" --timeframe {series.timeframe} --compare sets the two side by side",
                )


def _compare_day(store: Path, table: pa.Table, result: Compared) -> None:
    times = table["open_time"].to_numpy()
    try:
        own = load_arrays(store, result.series, int(times[0]), int(times[-1]) + 1, OPTIONAL)
    except WickError:
        if not read_manifest(result.series.folder(store)).files:
            raise
        return
    _, ours, theirs = np.intersect1d(
        times, own["open_time"], assume_unique=True, return_indices=True
    )
    differs = np.zeros(len(ours), bool)
    for name, values in own.items():
        if name == "open_time":
            continue
        a, b = table[name].to_numpy()[ours], values[theirs]
        other = a != b
        differs |= other
        result.count(f"{name} differs", times[ours][other], a[other], b[other])
    result.compared += len(ours)
    result.equal += int(np.count_nonzero(~differs))
    lacking = np.setdiff1d(own["open_time"], times)
    nothing = np.full(len(lacking), np.nan)
    result.count("not made of the trades", lacking, nothing, nothing)
    lacking = np.setdiff1d(times, own["open_time"])
    nothing = np.full(len(lacking), np.nan)
    result.count("not among the exchange's", lacking, nothing, nothing)
