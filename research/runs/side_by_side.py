"""Runs side by side on the terminal and as JSON."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from data.run_json import FigureRecord
from data.show import MAIN, shown
from data.terminal import MANY, new_table, out
from research.runs.comparing import Comparison, Difference, Line

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def as_json(found: Comparison) -> str:
    """Write a comparison as JSON, with every figure."""
    what = {
        "runs": [one.id for one in found.records],
        "rests_on": found.rests_on,
        "settings": found.settings,
        "same_source": found.same_source,
        "same_result": found.same_result,
        "figures": found.lines,
    }
    # JSON has no named tuples: they would be lists.
    named = msgspec.json.encode(_plain(what))
    return msgspec.json.format(named, indent=2).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Difference | Line):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def print_comparison(found: Comparison) -> None:
    """Print runs side by side: differences of data and settings first, then the figures."""
    letters = _LETTERS[: len(found.records)]
    for letter, folder in zip(letters, found.folders, strict=True):
        out.print(f"[bold]{letter}[/]  {escape(str(folder))}", soft_wrap=True)
    if found.rests_on:
        words = "not comparable: data or costs differ"
        out.print(words, style="yellow", soft_wrap=True)
        _print_changes(found.rests_on, letters)
    if found.settings:
        _print_changes(found.settings, letters)
    _say(_source_line(found))
    if found.same_result:
        _say("the same trades and equity, to the last bit")
    wanted = {one.key: one for one in found.lines}
    lines = [wanted[key] for key in MAIN if key in wanted]
    _print_figures(lines, letters)
    for line in _why_missing(lines, letters):
        _say(line)


def _say(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)


def _print_changes(differences: Sequence[Difference], letters: str) -> None:
    table = new_table("differs", *letters)
    for one in differences:
        table.add_row(*map(escape, (one.what, *one.values)))
    out.print(table)


def _source_line(found: Comparison) -> str:
    if found.same_source:
        return "strategy: the same source"
    changed = [
        folder / "strategy.py"
        for at, folder in enumerate(found.folders)
        if at == 0 or found.records[at].strategy != found.records[0].strategy
    ]
    names = {one.strategy.name for one in found.records}
    word = "another source" if len(names) == 1 else "another strategy"
    there = len(changed) == 2 and all(path.is_file() for path in changed)
    return f"strategy: {word}" + (f": diff {changed[0]} {changed[1]}" if there else "")


def _print_figures(lines: Sequence[Line], letters: str) -> None:
    # As many runs beside the first as the terminal has room for, then the next ones.
    others = list(range(1, len(letters)))
    while others:
        room = len(others)
        while room > 1 and _width(_figures_table(lines, letters, others[:room])) > out.width:
            room -= 1
        out.print(_figures_table(lines, letters, others[:room]))
        others = others[room:]


def _width(table: Table) -> int:
    return out.measure(table, options=out.options.update(width=10_000)).maximum


def _figures_table(lines: Sequence[Line], letters: str, others: Sequence[int]) -> Table:
    headings = [f"{letters[at]}>" for at in (0, *others)]
    headings += [f"{letters[at]} - {letters[0]}>" for at in others]
    table = new_table("", *headings)
    for one in lines:
        like = FigureRecord(one.key, one.label, None, one.unit, 0, "", "")
        values = [shown(msgspec.structs.replace(like, value=one.values[at])) for at in (0, *others)]
        differences = [difference(one.unit, one.differences[at - 1]) for at in others]
        table.add_row(one.label, *values, *differences)
    return table


def difference(unit: str, value: float | None) -> str:
    """Write a difference of two figures with its sign; that of shares in percentage points.

    >>> difference("share", -0.0123), difference("count", 3.0), difference("ratio", -1e-9)
    ('-1.23 pp', '+3', '0.00')
    """
    if value is None or math.isnan(value):
        return "N/A"
    if value == 0.0:
        return "="
    text = _signed(unit, value)
    return text if any(digit in text for digit in "123456789") else text.lstrip("+-")


def _signed(unit: str, value: float) -> str:
    match unit:
        case "share":
            return f"{100 * value:+,.2f} pp"
        case "count":
            return f"{value:+,.0f}"
        case "days":
            return f"{value:+,.1f} d"
        case "minutes":
            return f"{value:+,.0f} min" if abs(value) < 600 else f"{value / 60:+,.1f} h"
        case "r":
            return f"{value:+.3f} R"
    return f"{value:+,.2f}"


def _why_missing(lines: Sequence[Line], letters: str) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for one in lines:
        missing: dict[str, list[str]] = {}
        for letter, value, note in zip(letters, one.values, one.notes, strict=True):
            if value is None:
                missing.setdefault(note, []).append(letter)
        if missing:
            reason = "; ".join(f"{', '.join(its)}: {note}" for note, its in missing.items())
            reasons.setdefault(reason, []).append(one.label)
    for reason, labels in reasons.items():
        more = f" and {len(labels) - MANY} more" if len(labels) > MANY else ""
        yield f"N/A: {', '.join(labels[:MANY])}{more} ({reason})"
