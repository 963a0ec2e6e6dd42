"""The shape of rows inside the data package: Arrow tables with the columns of their kind."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.kinds import KLINES, Kind

if TYPE_CHECKING:
    from strategy.candles import Candles

PRICES = ("open", "high", "low", "close")
REQUIRED = KLINES.required
OPTIONAL = KLINES.optional


def with_schema(table: pa.Table, kind: Kind = KLINES) -> pa.Table:
    """Return the known columns in fixed order and types, without optional ones that are empty."""
    names = [
        n
        for n in kind.columns
        if n in table.column_names
        and (n not in kind.optional or table[n].null_count < len(table) or not len(table))
    ]
    return pa.table({n: table[n].cast(kind.columns[n]).combine_chunks() for n in names})


def table_of(candles: "Candles") -> pa.Table:
    """Return candles as a table for the store."""
    return pa.table(
        {
            n: pa.array(v).cast(KLINES.columns[n])
            for n, v in candles.arrays.items()
            if n in KLINES.columns
        }
    )


def arrow(values: NDArray[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Wrap numbers, truth values or times (ms) as an Arrow array, without looking for NaN or None.

    pa.array() and to_numpy() would import pandas: 0.2 s and 30 MB in a process that has no other
    use for it.
    """
    kind = kind or pa.from_numpy_dtype(values.dtype)
    values = np.ascontiguousarray(values)
    raw = np.packbits(values, bitorder="little") if values.dtype == bool else values
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(raw)])


def arrow_text(names: Sequence[str], at: NDArray[np.integer[Any]]) -> pa.Array:
    """Return names[i] for each i of `at` as an Arrow array."""
    encoded = [name.encode() for name in names]
    lengths = np.array([len(name) for name in encoded], np.int32)[at]
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    raw = b"".join(encoded[i] for i in at)
    return pa.StringArray.from_buffers(len(at), pa.py_buffer(ends), pa.py_buffer(raw))


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column without missing values as an array; times as int64."""
    chunks: list[NDArray[Any]] = [
        np.frombuffer(chunk.buffers()[1], _dtype(chunk.type), len(chunk), 8 * chunk.offset)
        for chunk in table[name].chunks
    ]
    return np.concatenate(chunks) if chunks else np.empty(0, _dtype(table[name].type))


def _dtype(kind: pa.DataType) -> type:
    return np.float64 if kind == pa.float64() else np.int64


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column as an array; a float one where values are missing, with NaN there."""
    values: NDArray[Any] = table[name].to_numpy()
    return values


def month_of(open_time_ms: int) -> str:
    """Return the UTC month of a time, such as 2023-01."""
    return str(np.datetime64(int(open_time_ms), "ms").astype("datetime64[M]"))


def month_start_ms(month: str) -> int:
    """Return the first millisecond of a UTC month."""
    return int(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))


def by_period(table: pa.Table, kind: Kind = KLINES) -> Iterator[tuple[str, pa.Table]]:
    """Cut a table sorted by time into the UTC months, or days, that its kind is stored by."""
    times = column(table, kind.time)
    start = 0
    while start < len(times):
        period = period_of(times[start], kind)
        stop = int(np.searchsorted(times, period_end_ms(period)))
        yield period, table.slice(start, stop - start)
        start = stop


def period_of(time_ms: int, kind: Kind) -> str:
    """Return the UTC month of a time, or the day for a kind that is stored by day."""
    return str(np.datetime64(int(time_ms), "ms").astype(f"datetime64[{_unit(kind.by_day)}]"))


def period_start_ms(period: str) -> int:
    """Return the first millisecond of a month, such as 2023-01, or a day, such as 2023-01-31."""
    return int(np.datetime64(period).astype("datetime64[ms]").astype(np.int64))


def period_end_ms(period: str) -> int:
    """Return the first millisecond after a month or day."""
    start = np.datetime64(period)
    return period_start_ms(str(start + np.timedelta64(1, _unit(len(period) > len("2023-01")))))


def _unit(by_day: bool) -> Literal["D", "M"]:
    return "D" if by_day else "M"


def in_order(table: pa.Table, kind: Kind) -> NDArray[np.int64]:
    """Return the positions that sort rows by time, then by the rest of their key."""
    names = [kind.time, *(name for name in kind.key if name != kind.time)]
    return np.lexsort([column(table, name) for name in reversed(names)])
