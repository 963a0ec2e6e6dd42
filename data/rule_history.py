"""What was said about symbols, and when: the same whatever order it is told in.

An answer of the exchange is kept as what it changed. Together with the instants of all answers that
is enough to tell what each of them said, so an older one can be put between two others at any time.
"""

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
    instants = {*timeline.whole, at_ms} if whole else {*timeline.whole}
    lines = dict(timeline.lines)
    for name in {*timeline.lines, *said} if whole else said:
        cells = _cells(timeline, name)
        cells[at_ms] = _one_of(cells.get(at_ms), said.get(name))
        lines[name] = _line(cells, instants)
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


def _line(cells: Mapping[int, _T | None], whole: set[int]) -> Line[_T]:
    said: list[Change[_T]] = []
    for at_ms in sorted(cells):
        what = cells[at_ms]
        if not _same(said[-1].what if said else None, what):
            said.append(Change(at_ms, what))
    return Line(tuple(said), tuple(sorted(cells.keys() - whole)))


def _same(one: _T | None, other: _T | None) -> bool:
    # Years of days that say the same are the same object here: no need to compare its fields.
    return one is other or one == other


def _one_of(one: _T | None, other: _T | None) -> _T | None:
    if one is None or other is None or one is other:
        return other if one is None else one
    return max(one, other, key=msgspec.json.encode)
