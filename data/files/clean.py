"""Rows of a file made fit for the store: checked one by one, sorted, without repeats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.files.parse import ParsedFile
from data.files.periods import refuse_other_times
from data.files.quotes import half_of
from data.files.times import MEND
from data.kinds import AGG_TRADES, FUNDING, KLINES, QUOTES, Kind
from data.manifest import Series
from data.merge import payments
from data.quality import Fault, first_fault
from data.table import column, in_order
from strategy.errors import WickError
from strategy.timeframes import close_times

_FAR = 10.0  # by so much the usual half spread of minutes and of their ends may differ


@dataclass(slots=True)
class Mended:
    """What was mended in a file or dropped from it, in rows."""

    sorted: bool = False
    repeated: int = 0
    conflicts: int = 0
    early: int = 0

    def notes(self, kind: Kind) -> list[str]:
        """Say it in words."""
        notes = []
        if self.sorted:
            notes.append("rows were out of order and have been sorted")
        if self.repeated:
            differed = f", {self.conflicts} of them differed: the later row was kept"
            rows = "row" if self.repeated == 1 else "rows"
            notes.append(
                f"{self.repeated:,} repeated {rows} dropped{differed if self.conflicts else ''}"
            )
        if self.early:
            have = "has" if self.early == 1 else "have"
            why = f"that {have} not closed yet" if kind.has_candles else "of the future"
            notes.append(f"{kind.counted(self.early)} {why} dropped")
        return notes


def cleaned(
    parsed: ParsedFile,
    series: Series,
    now_ms: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> tuple[pa.Table, list[str]]:
    """Check every row of a file, sort them, drop repeats and what is not closed or wanted.

    Parameters
    ----------
    parsed : ParsedFile
        From `parse`.
    series : Series
        What the file is said to hold.
    now_ms : int
        The present: a candle that closes later, or a row that is later, is dropped.
    start_ms, end_ms : int, optional
        First time wanted and first not wanted.

    Returns
    -------
    table : pa.Table
        Sorted by time, each key once; may be empty.
    notes : list of str
        What was mended or dropped, in words.

    Raises
    ------
    WickError
        A row cannot be a candle of this timeframe, lacks what every row of its kind has, or is not
        of the day or month that the file is named for.
    """
    mended = Mended()
    return clean(parsed, series, now_ms, start_ms, end_ms, mended), mended.notes(parsed.kind)


def clean(
    parsed: ParsedFile,
    series: Series,
    now_ms: int,
    start_ms: int | None,
    end_ms: int | None,
    mended: Mended,
) -> pa.Table:
    """Do what `cleaned` does for one piece of a file, and count what was mended."""
    kind = parsed.kind
    _refuse_faults(parsed, series)
    table = sorted_once(parsed.table, kind, mended)
    times = column(table, kind.time)
    known = close_times(times, series.timeframe) if kind.has_candles else times
    wanted = known <= now_ms
    mended.early += int(np.count_nonzero(~wanted))
    wanted &= times >= (times[0] if start_ms is None else start_ms)
    wanted &= times < (times[-1] + 1 if end_ms is None else end_ms)
    refuse_other_times(parsed.name, series, times[wanted])
    return table if wanted.all() else table.filter(pa.array(wanted))


def sorted_once(table: pa.Table, kind: Kind, mended: Mended) -> pa.Table:
    """Sort rows by time, each key once: of several the last; of funding rates, one a minute."""
    times, keys = column(table, kind.time), [column(table, name) for name in kind.key]
    if kind is FUNDING:
        keys = [payments(times)]
    if len(keys) == 1 and np.all(np.diff(keys[0]) > 0) and np.all(np.diff(times) >= 0):
        return table
    by_key = np.lexsort(keys[::-1])
    same = np.logical_and.reduce([np.diff(values[by_key]) == 0 for values in keys], axis=0)
    if same.any():
        first, second = by_key[:-1][same], by_key[1:][same]
        mended.repeated += len(first)
        mended.conflicts += _conflicts(table, first, second, kind)
        keep = np.ones(len(table), bool)
        keep[first] = False
        table = table.filter(pa.array(keep))
    order = in_order(table, kind)
    if np.any(np.diff(order) < 0):
        mended.sorted = True
        table = table.take(pa.array(order))
    return table


@dataclass(slots=True)
class MissingIds:
    """Aggregate trades that a file leaves out, by their ids; looked at day by day."""

    count: int = 0
    stretches: int = 0
    _last: int | None = None

    def look_at(self, ids: NDArray[np.int64]) -> None:
        """Count what is missing inside these ids, each of them once, and since those before."""
        steps = np.diff(ids)
        if np.any(steps < 0):
            steps = np.diff(np.sort(ids))
        self.count += int(np.sum(steps - 1))
        self.stretches += int(np.count_nonzero(steps > 1))
        first, last = int(ids.min()), int(ids.max())
        if self._last is not None and first > self._last + 1:
            self.count += first - self._last - 1
            self.stretches += 1
        self._last = last if self._last is None else max(last, self._last)

    def notes(self) -> list[str]:
        """Say it in words."""
        if not self.count:
            return []
        ids = (
            "1 id of aggregate trades is"
            if self.count == 1
            else f"{self.count:,} ids of aggregate trades are"
        )
        places = "1 place" if self.stretches == 1 else f"{self.stretches:,} places"
        note = f"{ids} missing, in {places}"
        return [f"{note}; the exchange leaves out those of its insurance fund and of ADL"]


def _refuse_faults(parsed: ParsedFile, series: Series) -> None:
    kind, timeframe = parsed.kind, series.timeframe
    for name in kind.required:
        if parsed.table[name].null_count:
            row = int(np.argmax(pc.is_null(parsed.table[name]).to_numpy()))
            raise _bad_row(parsed, Fault(row, f"{name} is missing or NaN"))
    columns = {name: column(parsed.table, name) for name in kind.required}
    if kind is QUOTES and "half" in parsed.table.column_names:
        columns["half"] = column(parsed.table, "half")
    fault = first_fault(columns, timeframe) if kind.has_candles else _row_fault(columns, kind)
    if fault is not None:
        raise _bad_row(parsed, fault)
    if not kind.has_candles:
        return
    moves = np.any(columns["high"] > columns["low"])
    if kind is KLINES and moves and not columns["volume"].any():
        raise WickError(
            f"{parsed.name} holds prices that move and not a single volume above 0",
            "--kind mark if these are candles of the mark price",
        )
    opens = np.unique(columns["open_time"])
    if len(opens) > 1 and np.all(close_times(opens[:-1], timeframe) < opens[1:]):
        raise WickError(
            f"{parsed.name} is said to hold {timeframe} candles, but no two are closer than"
            f" {int(np.diff(opens).min()) / 1000:.10g} s",
            "give the right --timeframe",
        )


def _row_fault(columns: Mapping[str, NDArray[Any]], kind: Kind) -> Fault | None:
    bad = {
        name: (~np.isfinite(values), "is no finite number")
        for name, values in columns.items()
        if values.dtype.kind == "f"
    }
    if kind is AGG_TRADES:
        # The exchange's own rows of price 0 and quantity 0 occur.
        bad["price "] = (columns["price"] < 0, "is below zero")
        bad["qty "] = (columns["qty"] < 0, "is below zero")
        bad["last_id"] = (columns["last_id"] < columns["first_id"], "is before the first one")
    if kind is FUNDING:
        bad["rate "] = (np.abs(columns["rate"]) >= 1, "is no share such as 0.0001")
    if kind is QUOTES and "half" in columns:
        with np.errstate(invalid="ignore", divide="ignore"):  # where both are 0
            half, own = columns["half"], half_of(columns["bid"], columns["ask"])
        bad["half "] = ((half < 0) | (half >= 1), "is no share such as 0.0001")
        # The mean of a minute may be far from what stood at its end; that of most minutes is not.
        usual, stood = np.median(half), np.median(own)
        if stood > 0 and not stood / _FAR <= usual <= stood * _FAR:
            off = (half > own * _FAR) | (half * _FAR < own)
            bad["half"] = (off, "does not go with bid and ask: (ask - bid) / (ask + bid)")
    found = [
        (int(np.argmax(rows)), name.strip(), why) for name, (rows, why) in bad.items() if rows.any()
    ]
    if not found:
        return None
    row, name, why = min(found)
    return Fault(row, f"{name} {columns[name][row]} {why}")


def _conflicts(
    table: pa.Table, first: NDArray[np.int64], second: NDArray[np.int64], kind: Kind
) -> int:
    differs = np.zeros(len(first), bool)
    for name in kind.required:
        if name in kind.key:
            continue
        values = column(table, name)
        differs |= values[first] != values[second]
    return int(np.count_nonzero(differs))


def _bad_row(parsed: ParsedFile, fault: Fault) -> WickError:
    return WickError(
        f"{parsed.name}, {parsed.line(fault.row)}: {fault.why}",
        MEND,
    )
