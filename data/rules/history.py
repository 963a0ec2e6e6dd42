"""What was said about symbols, and when: the same whatever order it is told in.

An answer of the exchange is kept as what it changed. Together with the instants of all answers that
is enough to tell what each of them said, so an older one can be put between two others at any time.
"""

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

_T = TypeVar("_T")


class Change(msgspec.Struct, Generic[_T], frozen=True, array_like=True):
    """What is said from an instant (UTC ms) on; None where the symbol is not listed any more."""

    at_ms: int
    what: _T | None


class Line(msgspec.Struct, Generic[_T], frozen=True, omit_defaults=True):
    """One symbol: the changes, and the instants at which others were not spoken of."""

    said: tuple[Change[_T], ...]
    alone: tuple[int, ...] = ()


class Timeline(msgspec.Struct, Generic[_T], frozen=True, omit_defaults=True):
    """All symbols of a market, and the instants of answers that named every one there was."""

    whole: tuple[int, ...] = ()
    lines: dict[str, Line[_T]] = {}


@dataclass(frozen=True, slots=True)
class Span(Generic[_T]):
    """Answers in a row that say the same.

    Attributes
    ----------
    times : tuple of int
        Their instants in UTC ms, ascending.
    what : object or None
        What they say; None that the symbol is gone.
    """

    times: tuple[int, ...]
    what: _T | None


def with_answer(
    timeline: Timeline[_T], at_ms: int, said: Mapping[str, _T], *, whole: bool
) -> Timeline[_T]:
    """Add an answer.

    Parameters
    ----------
    timeline : Timeline
        What is known.
    at_ms : int
        When it was given, UTC ms.
    said : mapping
        By symbol.
    whole : bool
        Whether a symbol that it does not name was not listed.

    Returns
    -------
    Timeline
        For the same answers always the same, in whatever order they are added. Where two of one
        instant differ, the one that is written later in the alphabet stays.
    """
    lines = dict(timeline.lines)
    for name in {*timeline.lines, *said} if whole else said:
        line = lines.get(name, Line(()))
        lines[name] = _with_cell(line, timeline.whole, at_ms, said.get(name), whole)
    instants = {*timeline.whole, at_ms} if whole else timeline.whole
    return Timeline(tuple(sorted(instants)), dict(sorted(lines.items())))


def spans(timelines: Iterable[Timeline[_T]], symbol: str) -> tuple[Span[_T], ...]:
    """Return what was said about a symbol, oldest first, from the first time it was named on."""
    together: dict[int, _T | None] = {}
    for timeline in timelines:
        for at_ms, what in _cells(timeline, symbol).items():
            together[at_ms] = _one_of(together.get(at_ms), what)
    found: list[tuple[list[int], _T | None]] = []
    for at_ms, what in sorted(together.items(), key=lambda cell: cell[0]):
        if found and _same(found[-1][1], what):
            found[-1][0].append(at_ms)
        elif found or what is not None:
            found.append(([at_ms], what))
    return tuple(Span(tuple(times), what) for times, what in found)


def _cells(timeline: Timeline[_T], symbol: str) -> dict[int, _T | None]:
    line = timeline.lines.get(symbol, Line(()))
    changes = {change.at_ms: change.what for change in line.said}
    cells: dict[int, _T | None] = {}
    now: _T | None = None
    for at_ms in sorted({*timeline.whole, *line.alone}):
        now = cells[at_ms] = changes.get(at_ms, now)
    return cells


def _with_cell(
    line: Line[_T], known: tuple[int, ...], at_ms: int, what: _T | None, whole: bool
) -> Line[_T]:
    changes = {change.at_ms: change.what for change in line.said}
    if _is_in(known, at_ms) or at_ms in line.alone:
        what = _one_of(what, _at(line, at_ms))
    # The answer that follows still says what it said.
    later = [times[i] for times in (known, line.alone) if (i := bisect(times, at_ms)) < len(times)]
    if later:
        changes.setdefault(min(later), _at(line, min(later)))
    changes[at_ms] = what
    alone = {*line.alone}
    if whole:
        alone.discard(at_ms)
    elif not _is_in(known, at_ms):
        alone.add(at_ms)
    said: list[Change[_T]] = []
    for its_ms, its in sorted(changes.items(), key=lambda change: change[0]):
        if not _same(said[-1].what if said else None, its):
            said.append(Change(its_ms, its))
    return Line(tuple(said), tuple(sorted(alone)))


def _at(line: Line[_T], at_ms: int) -> _T | None:
    i = bisect(line.said, at_ms, key=lambda change: change.at_ms)
    return line.said[i - 1].what if i else None


def _is_in(times: tuple[int, ...], at_ms: int) -> bool:
    i = bisect(times, at_ms)
    return i > 0 and times[i - 1] == at_ms


def _same(one: _T | None, other: _T | None) -> bool:
    # Years of days that say the same are the same object here: no need to compare its fields.
    return one is other or one == other


def _one_of(one: _T | None, other: _T | None) -> _T | None:
    if one is None or other is None or one is other:
        return other if one is None else one
    return max(one, other, key=msgspec.json.encode)
