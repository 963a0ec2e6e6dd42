"""New rows of a series put together with those stored."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.kinds import FUNDING, KLINES, Kind
from data.table import column, in_order, with_schema

# Funding rates stamped inside one are one payment.
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Merge:
    """What an addition did to the store, in rows."""

    added: int = 0
    identical: int = 0
    replaced: int = 0

    def __add__(self, other: "Merge") -> "Merge":
        return Merge(
            self.added + other.added,
            self.identical + other.identical,
            self.replaced + other.replaced,
        )


def merged(old: pa.Table, new: pa.Table, kind: Kind = KLINES) -> tuple[pa.Table | None, Merge]:
    """Merge two tables sorted by time; None where the new one brings nothing.

    A value that only one side knows is no conflict. A new row replaces an old one whole, so that a
    candle never mixes two sources; but one that knows less and agrees in the rest is dropped.
    Funding rates stamped inside one minute are one payment: the stored stamp stays, and what either
    side knows of it, the archive its interval and REST its mark price.
    """
    if kind is FUNDING:
        new = _with_stored_stamps(old, new, kind)
    last, first = column(old, kind.time)[-1:], column(new, kind.time)[:1]
    if kind.has_candles and len(last) and len(first) and last[0] < first[0]:
        # Piece after piece: of a month of seconds each day would sort all those before it.
        return pa.concat_tables([old, new], promote_options="default"), Merge(added=len(new))
    _, in_old, in_new = np.intersect1d(
        _keys(old, kind), _keys(new, kind), assume_unique=True, return_indices=True
    )
    differs = np.zeros(len(in_old), bool)
    richer = np.zeros(len(in_old), bool)
    for name in kind.columns:
        if name in kind.key or name not in new.column_names:
            continue
        b = column(new, name)[in_new]
        if name not in old.column_names:
            richer |= ~_unknown(b)
            continue
        a = column(old, name)[in_old]
        differs |= (a != b) & ~_unknown(a) & ~_unknown(b)
        richer |= _unknown(a) & ~_unknown(b)
    takes = differs | richer
    merge = Merge(
        added=len(new) - len(in_new),
        identical=int(np.count_nonzero(~differs)),
        replaced=int(np.count_nonzero(differs)),
    )
    if not merge.added and not takes.any():
        return None, merge
    if kind is FUNDING:
        new = _with_stored_values(old, new, in_old[~differs], in_new[~differs], kind)
    keep_old = np.ones(len(old), bool)
    keep_old[in_old[takes]] = False
    keep_new = np.ones(len(new), bool)
    keep_new[in_new[~takes]] = False
    both = pa.concat_tables(
        [old.filter(pa.array(keep_old)), new.filter(pa.array(keep_new))], promote_options="default"
    )
    return with_schema(both.take(pa.array(in_order(both, kind))), kind), merge


def payments(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number funding payments by their stamps: those of one minute are one.

    The exchange stamps a payment some milliseconds after its hour, others cut that off.
    """
    return times // _MINUTE_MS


def _with_stored_stamps(old: pa.Table, new: pa.Table, kind: Kind) -> pa.Table:
    known, times = column(old, kind.time), column(new, kind.time)
    _, in_old, in_new = np.intersect1d(payments(known), payments(times), return_indices=True)
    stamps = times.copy()
    stamps[in_new] = known[in_old]
    at = new.column_names.index(kind.time)
    return new.set_column(at, kind.time, pa.array(stamps))


def _with_stored_values(
    old: pa.Table, new: pa.Table, in_old: NDArray[Any], in_new: NDArray[Any], kind: Kind
) -> pa.Table:
    for name in kind.optional:
        if name not in old.column_names:
            continue
        values = np.full(len(new), np.nan)
        if name in new.column_names:
            values = column(new, name).astype(np.float64)
        values[in_new] = np.where(
            np.isnan(values[in_new]), column(old, name)[in_old], values[in_new]
        )
        filled = pa.array(values, from_pandas=True).cast(kind.columns[name])
        new = new.drop_columns(name) if name in new.column_names else new
        new = new.append_column(name, filled)
    return new


def _keys(table: pa.Table, kind: Kind) -> NDArray[Any]:
    parts = [column(table, name) for name in kind.key]
    return parts[0] if len(parts) == 1 else np.rec.fromarrays(parts)


def _unknown(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
