"""Stored trades into candles of any length, and those beside the exchange's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.kinds import AGG_TRADES, KLINES
from data.manifest import Series, Source, StoredFile, read_manifest
from data.store import load_arrays
from data.table import OPTIONAL, period_end_ms, period_start_ms
from data.writer import Merge, writing
from strategy.errors import RunRefused, WickError
from strategy.ticks import fresh_state, tumble
from strategy.timeframes import DAY_MS, timeframe_ms, timeframe_offset_ms


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


@dataclass(frozen=True, slots=True)
class _Day:
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
        for day in _days(store, series, files, start_ms, end_ms, now_ms):
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
    if files and not _is_whole(files[-1]) and period_end_ms(files[-1].period) <= now_ms:
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
    for day in _days(store, series, files, start_ms, end_ms, now_ms):
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


def _trades_of(series: Series) -> Series:
    return Series(series.market, series.symbol, "", AGG_TRADES.name)


def _days(
    store: Path,
    series: Series,
    files: Sequence[StoredFile],
    start_ms: int | None,
    end_ms: int | None,
    now_ms: int,
) -> Iterator[_Day]:
    length, offset = timeframe_ms(series.timeframe), timeframe_offset_ms(series.timeframe)
    state, begin, before = fresh_state(), 0, _NOTHING
    sources: tuple[Source, ...] = ()
    # The first one not closed by now, or not wanted.
    end = min(now_ms - length + 1, now_ms if end_ms is None else end_ms)
    for stored in files:
        opens, closes = period_start_ms(stored.period), period_end_ms(stored.period)
        arrays = load_arrays(store, _trades_of(series), opens, closes)
        times, ids = arrays["time"], arrays["agg_id"]
        whole = _is_whole(stored)
        unfinished = ""
        if not before.leads_to(opens, int(ids[0])):
            # What the price did on a missing day is not known, so nothing is carried over it. A day
            # that is not whole may begin inside a candle.
            starts = _window_after(int(times[0]), length, offset)
            state, begin, sources = fresh_state(), opens if whole else starts, ()
            unfinished = "" if before.whole else before.period
        before = _End(stored.period, whole, int(ids[-1]))
        known = closes if whole else int(times[-1])
        breaks = _breaks(times, ids, length, offset)
        tables, left_out = [], 0
        for first, last in pairwise((0, *breaks, len(times))):
            if first:
                state, begin = fresh_state(), _window_after(int(times[first]), length, offset)
            # The candle in which a break begins is not known to its end.
            until = known if last == len(times) else int(times[last - 1]) - length
            part = {name: values[first:last] for name, values in arrays.items()}
            candles, zeros = tumble(
                part["time"],
                part["price"],
                part["qty"],
                part["last_id"] - part["first_id"] + 1,
                part["buyer_maker"],
                length,
                offset,
                min(until, now_ms),
                state,
            )
            tables.append(_table(candles, max(begin, start_ms or 0), end))
            left_out += int(zeros)
        table = pa.concat_tables(tables)
        sources = (*sources, Source(f"{AGG_TRADES.name}/{stored.name}", stored.sha256))
        inside = start_ms is None or closes > start_ms
        at = tuple(int(times[i - 1]) for i in breaks)
        yield _Day(sources, table, inside, len(times), left_out, at, unfinished)
        if len(table):
            # The candle that goes on into the next day is made of this one too.
            sources = sources[-1:] if DAY_MS % length else ()


def _is_whole(stored: StoredFile) -> bool:
    return any(source.has_whole_days for source in stored.sources)


def _window_after(time_ms: int, length: int, offset: int) -> int:
    return (time_ms - offset) // length * length + offset + length


def _breaks(
    times: NDArray[np.int64], ids: NDArray[np.int64], length: int, offset: int
) -> tuple[int, ...]:
    """Return where trades go on after some are missing, and whole windows with them.

    The exchange itself leaves single ids out, of its insurance fund and of auto-deleveraging. Where
    no window is silent around them nothing can be told; a silent one may be silent or lost.
    """
    windows = (times - offset) // length
    lost = (np.diff(ids) > 1) & (np.diff(windows) > 1)
    return tuple((np.flatnonzero(lost) + 1).tolist())


def _table(candles: NDArray[np.float64], start_ms: int, end_ms: int) -> pa.Table:
    low, high = np.searchsorted(candles[0], (start_ms, max(start_ms, end_ms)))
    names = zip(KLINES.columns.items(), candles[:, low:high], strict=True)
    return pa.table(
        {
            name: pa.array(values.astype(np.int64) if kind == pa.int64() else values)
            for (name, kind), values in names
        }
    )


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
