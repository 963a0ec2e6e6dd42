"""The shape of candles inside the data package: an Arrow table with fixed columns."""

from collections.abc import Iterator
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
        following = str(np.datetime64(month, "M") + 1)
        stop = int(np.searchsorted(times, month_start_ms(following)))
        yield month, table.slice(start, stop - start)
        start = stop
