"""Candles of a file made fit for the store: checked row by row, sorted, without repeats."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.parse import MEND, ParsedFile
from data.quality import Fault, first_fault
from data.table import REQUIRED, column
from strategy.errors import WickError
from strategy.timeframes import close_times


def cleaned(
    parsed: ParsedFile,
    timeframe: str,
    now_ms: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> tuple[pa.Table, list[str]]:
    """Check every candle of a file, sort them, drop repeats and what is not closed or wanted.

    Parameters
    ----------
    parsed : ParsedFile
        From `parse`.
    timeframe : str
        What the file is said to hold.
    now_ms : int
        The present: a candle that closes later is dropped.
    start_ms, end_ms : int, optional
        First open time wanted and first not wanted.

    Returns
    -------
    table : pa.Table
        Sorted by open time, each once; may be empty.
    notes : list of str
        What was mended or dropped, in words.

    Raises
    ------
    WickError
        A row cannot be a candle of this timeframe.
    """
    table = parsed.table
    times = _refuse_faults(parsed, timeframe)
    notes = []
    if len(times) > 1 and np.any(np.diff(times) < 0):
        notes.append("rows were out of order and have been sorted")
        table = table.take(pa.array(np.argsort(times, kind="stable")))
        times = column(table, "open_time")
    repeated = np.concatenate((times[1:] == times[:-1], [False]))
    if repeated.any():
        last_only = table.filter(pa.array(~repeated))
        conflicts = _conflicts(table, repeated)
        notes.append(
            f"{np.count_nonzero(repeated)} repeated rows dropped"
            + (f", {conflicts} of them differed: the later row was kept" if conflicts else "")
        )
        table, times = last_only, column(last_only, "open_time")
    open_still = close_times(times, timeframe) > now_ms
    if open_still.any():
        notes.append(f"{np.count_nonzero(open_still)} candles that have not closed yet dropped")
    wanted = ~open_still
    wanted &= times >= (times[0] if start_ms is None else start_ms)
    wanted &= times < (times[-1] + 1 if end_ms is None else end_ms)
    return table.filter(pa.array(wanted)), notes


def _refuse_faults(parsed: ParsedFile, timeframe: str) -> NDArray[np.int64]:
    columns = {name: column(parsed.table, name) for name in REQUIRED}
    for name in REQUIRED:
        if parsed.table[name].null_count:
            row = int(np.argmax(pc.is_null(parsed.table[name]).to_numpy()))
            raise _bad_row(parsed, Fault(row, f"{name} is missing or NaN"))
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
    return times


def _conflicts(table: pa.Table, repeated: NDArray[np.bool_]) -> int:
    first = np.flatnonzero(repeated)
    differs = np.zeros(len(first), bool)
    for name in REQUIRED[1:]:
        values = column(table, name)
        differs |= values[first] != values[first + 1]
    return int(np.count_nonzero(differs))


def _bad_row(parsed: ParsedFile, fault: Fault) -> WickError:
    return WickError(
        f"{parsed.name}, {parsed.line(fault.row)}: {fault.why}",
        MEND,
    )
