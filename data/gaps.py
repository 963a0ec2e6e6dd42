"""The gap ledger of a series: which rows were missing, why, and what became of it.

    STORE/um/BTCUSDT/1m/gaps.json

A hole looks the same whether the exchange stood still or a file got lost here. Whoever asks the
archive or the exchange for the missing rows writes the answer down, so that it is asked once and a
check can tell the two apart. Nothing else depends on the ledger: candles are read without it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.disk import sync_folder, write_synced
from data.kinds import AGG_TRADES
from data.manifest import NEW, Series
from data.quality import Gap
from strategy.errors import WickError
from strategy.timeframes import grid_of, month_numbers, month_opens

LEDGER = "gaps.json"
Cause = Literal["exchange outage", "archive loss", "our loss", "unknown"]
OUTAGE: Cause = "exchange outage"
ARCHIVE_LOSS: Cause = "archive loss"
OUR_LOSS: Cause = "our loss"
UNKNOWN: Cause = "unknown"
CAUSES: tuple[Cause, ...] = (OUTAGE, ARCHIVE_LOSS, OUR_LOSS, UNKNOWN)


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of rows that were missing at some time, all for one cause.

    Attributes
    ----------
    first, last : int
        First and last missing open time, UTC milliseconds; of aggregate trades their ids.
    count : int
        How many rows were missing.
    cause : str
        One of `CAUSES`: the exchange has none there; the archive lacks them and REST has them; the
        archive or REST has them and this store had lost them; nobody was asked.
    filled : int
        How many of them are stored since; a stretch filled in part is best recorded as two.
    source : str
        What filled them, as the manifest names it; "" for nothing yet.
    asked_ms : int
        When the sources were asked, UTC milliseconds; 0 for never.
    """

    first: int
    last: int
    count: int
    cause: Cause
    filled: int = 0
    source: str = ""
    asked_ms: int = 0


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All entries of a series, in order, none overlapping another."""

    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A present hole, or the part of one, and why its rows are missing."""

    gap: Gap
    cause: Cause


def read_ledger(folder: Path) -> Ledger:
    """Read the ledger of a series; an absent one is empty.

    Raises
    ------
    WickError
        The file is there but is no ledger.
    """
    path = folder / LEDGER
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except FileNotFoundError:
        return Ledger()
    except (OSError, msgspec.DecodeError) as error:
        raise WickError(
            f"the gap ledger {path} cannot be read: {error}",
            f"wick data repair {path.parts[-3]} begins it anew; no candle depends on it",
        ) from error


def record(folder: Path, series: Series, entries: Iterable[Entry]) -> Ledger:
    """Add entries to the ledger on the disk, whole or not at all, and return it.

    The caller holds the series (`data.writer.writing`).

    Parameters
    ----------
    folder : Path
        Of the series.
    series : Series
        Whose rows were missing.
    entries : iterable of Entry
        What is known now; where it overlaps what was known before, the new wins.
    """
    before = read_ledger(folder)
    ledger = recorded(before, series, entries)
    if ledger != before:
        write_ledger(folder, ledger)
    return ledger


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Replace the ledger on the disk, whole or not at all; the caller holds the series."""
    temporary = folder / (LEDGER + NEW)
    write_synced(temporary, msgspec.json.format(msgspec.json.encode(ledger), indent=1))
    temporary.replace(folder / LEDGER)
    sync_folder(folder)


def recorded(ledger: Ledger, series: Series, entries: Iterable[Entry]) -> Ledger:
    """Return a ledger with entries added, overlaps cut and equal neighbours merged."""
    axis = _Axis(series)
    kept = list(ledger.entries)
    for new in entries:
        start = bisect_left(kept, new.first, key=lambda entry: entry.last)
        stop = bisect_right(kept, new.last, key=lambda entry: entry.first)
        parts = [part for old in kept[start:stop] for part in _outside(old, new, axis)]
        kept[start:stop] = sorted((*parts, new), key=lambda entry: entry.first)
    merged: list[Entry] = []
    for entry in kept:
        if merged and _continues(merged[-1], entry, axis):
            entry = _joined(merged.pop(), entry)
        merged.append(entry)
    return Ledger(tuple(merged))


def classify(gaps: Sequence[Gap], ledger: Ledger, series: Series) -> list[Explained]:
    """Give each present hole its cause, cut where the ledger knows different ones.

    Rows that the ledger calls filled and that are missing again are our loss.
    """
    axis = _Axis(series)
    found: list[Explained] = []
    for gap in gaps:
        rest = [Entry(gap.first_missing, gap.last_missing, gap.count, UNKNOWN)]
        parts: list[Entry] = []
        start = bisect_left(ledger.entries, gap.first_missing, key=lambda entry: entry.last)
        for known in ledger.entries[start:]:
            if known.first > gap.last_missing:
                break
            cause = OUR_LOSS if known.filled else known.cause
            whole = Entry(gap.first_missing, gap.last_missing, gap.count, cause)
            parts.append(axis.part(whole, known.first, known.last))
            rest = [part for one in rest for part in _outside(one, known, axis)]
        found += [
            Explained(Gap(part.first, part.last, part.count), part.cause)
            for part in sorted((*parts, *rest), key=lambda entry: entry.first)
        ]
    return found


def unexplained(gaps: Sequence[Gap], ledger: Ledger, series: Series) -> list[Explained]:
    """Return the present holes of which nobody knows that the exchange has nothing there."""
    return [one for one in classify(gaps, ledger, series) if one.cause != OUTAGE]


def unasked(gaps: Sequence[Gap], ledger: Ledger, series: Series) -> list[Gap]:
    """Return what of the present holes nobody has asked for, or was filled and is lost again."""
    asked = [e for e in ledger.entries if e.asked_ms and not e.filled]
    closed = Ledger(tuple(msgspec.structs.replace(e, cause=OUTAGE) for e in asked))
    return [one.gap for one in classify(gaps, closed, series) if one.cause == UNKNOWN]


def cut(gap: Gap, present: NDArray[np.int64], series: Series) -> tuple[list[Gap], list[Gap]]:
    """Cut a hole into the parts that rows were found for and those that are still missing.

    Parameters
    ----------
    gap : Gap
        What was missing.
    present : int64 array
        Open times found, increasing; of trades their ids. Of other kinds, whose holes are no more
        than estimates, one row found fills the hole.
    """
    axis = _Axis(series)
    inside = present[(present >= gap.first_missing) & (present <= gap.last_missing)]
    if not len(inside):
        return [], [gap]
    if not axis.exact:
        return [Gap(gap.first_missing, gap.last_missing, gap.count)], []
    filled: list[Gap] = []
    places = np.array([axis.place(int(value)) for value in inside])
    ends = np.append(np.flatnonzero(np.diff(places) > 1), len(places) - 1)
    start = 0
    for end in ends.tolist():
        filled.append(Gap(int(inside[start]), int(inside[end]), end - start + 1))
        start = end + 1
    rest = [Entry(gap.first_missing, gap.last_missing, gap.count, UNKNOWN)]
    for part in filled:
        known = Entry(part.first_missing, part.last_missing, part.count, UNKNOWN)
        rest = [left for one in rest for left in _outside(one, known, axis)]
    return filled, [Gap(left.first, left.last, left.count) for left in rest]


def settled(ledger: Ledger, gaps: Sequence[Gap], span: tuple[int, int], series: Series) -> Ledger:
    """Return a ledger in which what is not missing any more is filled, whoever has filled it.

    Parameters
    ----------
    gaps : sequence of Gap
        All present holes.
    span : tuple of int
        First and last stored open time; of trades their ids.
    """
    axis = _Axis(series)
    new: list[Entry] = []
    for entry in ledger.entries:
        if entry.filled or entry.last < span[0] or entry.first > span[1]:
            continue
        parts = [axis.part(entry, *span)]
        for gap in gaps:
            if gap.last_missing >= entry.first and gap.first_missing <= entry.last:
                known = Entry(gap.first_missing, gap.last_missing, gap.count, UNKNOWN)
                parts = [left for one in parts for left in _outside(one, known, axis)]
        new += [msgspec.structs.replace(part, filled=part.count) for part in parts]
    return recorded(ledger, series, new) if new else ledger


class _Axis:
    """Places on the line of what can be missing: one after the other without a space between."""

    def __init__(self, series: Series) -> None:
        self._months = False
        self._length, self._offset = 1, 0
        if series.timeframe:
            length, self._offset = grid_of(series.timeframe)
            self._months, self._length = not length, length or 1
        # Of other kinds it is not known where rows would have been, but for the ids of trades.
        self.exact = bool(series.timeframe) or series.kind == AGG_TRADES.name

    def place(self, value: int) -> int:
        if self._months:
            return int(month_numbers(np.array([value]))[0])
        return (value - self._offset) // self._length

    def value(self, place: int) -> int:
        if self._months:
            return int(month_opens(np.array([place]))[0])
        return place * self._length + self._offset

    def part(self, entry: Entry, first: int, last: int) -> Entry:
        """Return what of an entry lies from one value to another, with its share of the counts."""
        first, last = max(first, entry.first), min(last, entry.last)
        places = self.place(last) - self.place(first) + 1
        whole = self.place(entry.last) - self.place(entry.first) + 1
        count = places if self.exact else max(1, round(entry.count * places / whole))
        filled = round(entry.filled * count / entry.count)
        return msgspec.structs.replace(entry, first=first, last=last, count=count, filled=filled)


def _outside(old: Entry, new: Entry, axis: _Axis) -> list[Entry]:
    if old.last < new.first or old.first > new.last:
        return [old]
    left = [axis.part(old, old.first, axis.value(axis.place(new.first) - 1))]
    right = [axis.part(old, axis.value(axis.place(new.last) + 1), old.last)]
    return left * (old.first < new.first) + right * (old.last > new.last)


def _continues(one: Entry, other: Entry, axis: _Axis) -> bool:
    same = (one.cause, one.source, one.asked_ms) == (other.cause, other.source, other.asked_ms)
    alike = (one.filled == one.count, bool(one.filled)) == (
        other.filled == other.count,
        bool(other.filled),
    )
    return same and alike and axis.place(one.last) + 1 == axis.place(other.first)


def _joined(one: Entry, other: Entry) -> Entry:
    return msgspec.structs.replace(
        one, last=other.last, count=one.count + other.count, filled=one.filled + other.filled
    )
