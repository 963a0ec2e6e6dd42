"""Rows of a file made fit for the store: checked one by one, sorted, without repeats."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.kinds import Kind
from data.manifest import Series
from data.parse import MEND, ParsedFile
from data.quality import Fault, first_fault
from data.table import column, in_order
from strategy.errors import WickError
from strategy.timeframes import close_times


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
        A row cannot be a candle of this timeframe, or lacks what every row of its kind has.
    """
    table, kind = parsed.table, parsed.kind
    _refuse_faults(parsed, series)
    notes = []
    order = in_order(table, kind)
    if np.any(np.diff(order) < 0):
        notes.append("rows were out of order and have been sorted")
        table = table.take(pa.array(order))
    times = column(table, kind.time)
    repeated = np.zeros(len(table), bool)
    repeated[:-1] = np.logical_and.reduce(
        [np.diff(column(table, name)) == 0 for name in kind.key], axis=0
    )
    if repeated.any():
        last_only = table.filter(pa.array(~repeated))
        conflicts = _conflicts(table, repeated, kind)
        notes.append(
            f"{np.count_nonzero(repeated)} repeated rows dropped"
            + (f", {conflicts} of them differed: the later row was kept" if conflicts else "")
        )
        table, times = last_only, column(last_only, kind.time)
    known = close_times(times, series.timeframe) if kind.has_candles else times
    wanted = known <= now_ms
    if not wanted.all():
        what = "candles that have not closed yet" if kind.has_candles else "rows of the future"
        notes.append(f"{np.count_nonzero(~wanted)} {what} dropped")
    wanted &= times >= (times[0] if start_ms is None else start_ms)
    wanted &= times < (times[-1] + 1 if end_ms is None else end_ms)
    return table.filter(pa.array(wanted)), notes


def _refuse_faults(parsed: ParsedFile, series: Series) -> None:
    kind, timeframe = parsed.kind, series.timeframe
    columns = {name: column(parsed.table, name) for name in kind.required}
    for name in kind.required:
        if parsed.table[name].null_count:
            row = int(np.argmax(pc.is_null(parsed.table[name]).to_numpy()))
            raise _bad_row(parsed, Fault(row, f"{name} is missing or NaN"))
    if not kind.has_candles:
        return
    fault = first_fault(columns, timeframe)
    if fault is not None:
        raise _bad_row(parsed, fault)
    times = columns["open_time"]
    opens = np.unique(times)
    if len(opens) > 1 and np.all(close_times(opens[:-1], timeframe) < opens[1:]):
        raise WickError(
            f"{parsed.name} is said to hold {timeframe} candles, but no two are closer than"
            f" {int(np.diff(opens).min()) / 1000:.10g} s",
            "give the right --timeframe",
        )


def _conflicts(table: pa.Table, repeated: NDArray[np.bool_], kind: Kind) -> int:
    first = np.flatnonzero(repeated)
    differs = np.zeros(len(first), bool)
    for name in kind.required:
        if name in kind.key:
            continue
        values = column(table, name)
        differs |= values[first] != values[first + 1]
    return int(np.count_nonzero(differs))


def _bad_row(parsed: ParsedFile, fault: Fault) -> WickError:
    return WickError(
        f"{parsed.name}, {parsed.line(fault.row)}: {fault.why}",
        MEND,
    )
