"""What can be wrong with rows that are no candles: trades, funding rates, metrics, book depths."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.dates import show_time
from data.kinds import AGG_TRADES, FUNDING, Kind
from data.quality import Fault, Gap

HOUR_MS = 3_600_000
# The exchange settles funding at least three times a day.
LONGEST_INTERVAL_H = 8
LARGE_RATE = 0.03
# Metrics come every five minutes, depths every half minute and quotes are of minutes, give or take:
# this many usual steps without a row are a hole.
_STEPS = {"metrics": 1.5, "bookDepth": 4.0, "quotes": 1.5}

Columns = Mapping[str, NDArray[Any]]


def first_bad_row(columns: Columns, kind: Kind) -> Fault | None:
    """Find the first row whose values cannot be.

    Parameters
    ----------
    columns : mapping of arrays
        All that the kind requires, and what else is there.
    kind : Kind
        Not one of candles.
    """
    checks: list[tuple[NDArray[np.bool_], Callable[[int], str]]] = []
    for name, values in columns.items():
        if values.dtype.kind == "f" and name not in kind.optional:
            checks.append((~np.isfinite(values), _why(name, values, "no finite number")))
    for name in ("mark_price", "interval_hours"):
        if name in columns:
            values = columns[name]
            checks.append((values <= 0, _why(name, values, "not above zero")))
    for name in ("price", "qty"):  # the exchange itself has trades of nothing at 0
        if name in columns:
            values = columns[name]
            checks.append((values < 0, _why(name, values, "below zero")))
    for name in ("bid", "ask"):
        if name in columns:
            values = columns[name]
            checks.append((values <= 0, _why(name, values, "not above zero")))
    if "bid" in columns and "ask" in columns:
        values = columns["ask"]
        checks.append((values < columns["bid"], _why("ask", values, "below the bid")))
    found = [(int(np.argmax(bad)), why) for bad, why in checks if len(bad) and bad.any()]
    if not found:
        return None
    row, why = min(found, key=lambda one: one[0])
    return Fault(row, why(row))


def _why(name: str, values: NDArray[Any], what: str) -> Callable[[int], str]:
    return lambda row: f"{name} {values[row]} is {what}"


def order_faults(columns: Columns, kind: Kind, name: str) -> list[str]:
    """Say where rows of a stored file repeat a key or are not in the order of their time.

    Parameters
    ----------
    name : str
        Of the file.
    """
    found = []
    times = columns[kind.time]
    steps = np.diff(times)
    for bad, what in (
        (_repeats(columns, kind), "repeats"),
        (steps < 0, "is earlier than"),
    ):
        if bad.any():
            row = int(np.argmax(bad)) + 1
            at = show_time(int(times[row]))
            found.append(f"{name} row {row + 1:,}: {at} {what} the time of the row before")
    return found


def _repeats(columns: Columns, kind: Kind) -> NDArray[np.bool_]:
    return np.logical_and.reduce([np.diff(columns[name]) == 0 for name in kind.key])


def missing_rows(columns: Columns, kind: Kind) -> list[Gap]:
    """Find what is missing between rows in order: ids of trades, or times of other rows.

    Of trades the ids are exact. When other rows should have been there can only be told from their
    neighbours: of funding rates, a step longer than the longest interval beside it.
    """
    if kind is AGG_TRADES:
        ids = np.sort(columns["agg_id"])
        after = np.flatnonzero(np.diff(ids) > 1)
        return _gaps(ids[after] + 1, ids[after + 1] - 1, np.diff(ids)[after] - 1)
    times = np.unique(columns[kind.time])
    if len(times) < 3:
        return []
    if kind is FUNDING:
        return _missing_payments(times)
    steps = np.diff(times)
    usual = int(np.median(steps))
    after = np.flatnonzero(steps > _STEPS[kind.name] * usual)
    counts = np.maximum(np.round(steps[after] / usual).astype(np.int64) - 1, 1)
    return _gaps(times[after] + usual, times[after + 1] - usual, counts)


def _missing_payments(times: NDArray[np.int64]) -> list[Gap]:
    hours = np.round(np.diff(times) / HOUR_MS).astype(np.int64)
    # What is longer than any interval the exchange has is a hole itself and says nothing.
    known = np.where(hours > LONGEST_INTERVAL_H, 0, hours)
    beside = np.maximum(np.append(known[1:], 0), np.insert(known[:-1], 0, 0))
    beside[beside == 0] = LONGEST_INTERVAL_H
    after = np.flatnonzero(hours > beside)
    interval = beside[after]
    opens = np.round(times / HOUR_MS).astype(np.int64) * HOUR_MS
    first = opens[after] + interval * HOUR_MS
    last = np.maximum(opens[after + 1] - interval * HOUR_MS, first)
    return _gaps(first, last, -(-hours[after] // interval) - 1)


def _gaps(
    first: NDArray[np.int64], last: NDArray[np.int64], counts: NDArray[np.int64]
) -> list[Gap]:
    return [Gap(*one) for one in zip(first.tolist(), last.tolist(), counts.tolist(), strict=True)]


def notes_on(columns: Columns, kind: Kind) -> list[str]:
    """Say what is worth knowing: trades of nothing, ids out of order, a changed interval, rates
    beyond ±3 %."""
    if kind is AGG_TRADES:
        return _of_nothing(columns) + _disorder(columns)
    if kind is not FUNDING:
        return []
    times, rates = columns["time"], columns["rate"]
    notes = []
    large = np.flatnonzero(np.abs(rates) > LARGE_RATE)
    if len(large):
        row = int(large[0])
        notes.append(
            f"{len(large):,} funding rates beyond ±{LARGE_RATE:.0%}, first {rates[row]:+.4%} at"
            f" {show_time(int(times[row]))} UTC"
        )
    hours = np.round(np.diff(times) / HOUR_MS).astype(np.int64)
    for row in np.flatnonzero(np.diff(hours)).tolist():
        lasts = hours[row + 1 : row + 3]
        if len(lasts) == 2 and lasts[0] == lasts[1] and lasts[0] <= LONGEST_INTERVAL_H:
            at = show_time(int(np.round(times[row + 1] / HOUR_MS)) * HOUR_MS)
            notes.append(f"funding interval {hours[row]} h → {lasts[0]} h from {at} UTC on")
    return notes


def _of_nothing(columns: Columns) -> list[str]:
    nothing = (columns["price"] == 0) | (columns["qty"] == 0)
    if not nothing.any():
        return []
    first = show_time(int(columns["time"][int(np.argmax(nothing))]))
    count = np.count_nonzero(nothing)
    return [
        f"{count:,} trades of price or quantity 0, first at {first} UTC; candles leave them out"
    ]


def _disorder(columns: Columns) -> list[str]:
    back = np.diff(columns["agg_id"]) < 0
    if not back.any():
        return []
    row = int(np.argmax(back)) + 1
    text = (
        f"{np.count_nonzero(back):,} trades have a smaller id than an earlier one, first"
        f" {columns['agg_id'][row]} at {show_time(int(columns['time'][row]))} UTC"
    )
    return [text]
