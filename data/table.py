"""The shape of candles inside the data package: an Arrow table with fixed columns."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from strategy.candles import Candles

PRICES = ("open", "high", "low", "close")
REQUIRED = ("open_time", *PRICES, "volume")
OPTIONAL = ("quote_volume", "trades", "taker_buy")
TYPES = {name: pa.float64() for name in (*REQUIRED, *OPTIONAL)} | {
    "open_time": pa.int64(),
    "trades": pa.int64(),
}


def with_schema(table: pa.Table) -> pa.Table:
    """Return the known columns in fixed order and types, without optional ones that are empty."""
    names = [n for n in REQUIRED if n in table.column_names] + [
        n for n in OPTIONAL if n in table.column_names and table[n].null_count < len(table)
    ]
    return pa.table({n: table[n].cast(TYPES[n]).combine_chunks() for n in names})


def table_of(candles: "Candles") -> pa.Table:
    """Return candles as a table for the store."""
    return pa.table(
        {n: pa.array(v).cast(TYPES[n]) for n, v in candles.arrays.items() if n in TYPES}
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


def by_month(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Cut a table sorted by time into its months."""
    times = column(table, "open_time")
    start = 0
    while start < len(times):
        month = month_of(times[start])
        following = str(np.datetime64(month, "M") + np.timedelta64(1, "M"))
        stop = int(np.searchsorted(times, month_start_ms(following)))
        yield month, table.slice(start, stop - start)
        start = stop
