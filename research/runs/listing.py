"""Many runs in a table: which of them, and as wide as the terminal is."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from data.dates import show_day
from data.run_index import Summaries, Summary
from strategy.errors import WickError, did_you_mean

NEWEST = 20


class Wanted(NamedTuple):
    """Which runs to list; None fits all."""

    kind: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    tag: str | None = None


def fitting(found: Sequence[Summary], wanted: Wanted, folder: Path) -> list[Summary]:
    """Return the runs that fit.

    Raises
    ------
    WickError
        No run at all has what is asked for.
    """
    values: dict[str, Callable[[Summary], Sequence[str]]] = {
        "kind": lambda one: [one.kind],
        "strategy": lambda one: [one.strategy],
        "symbol": lambda one: one.symbols,
        "tag": lambda one: one.tags,
    }
    fit = list(found)
    for name, value in wanted._asdict().items():
        if value is None:
            continue
        its = values[name]
        known = {word for one in found for word in its(one)}
        if value not in known:
            raise WickError(
                f"no run in {folder} has the {name} {value!r}",
                did_you_mean(value, known) if known else f"wick runs list without --{name}",
            )
        fit = [one for one in fit if value in its(one)]
    return fit


def as_json(shown: Sequence[Summary], found: Summaries) -> str:
    """Write runs as JSON."""
    what = {"runs": shown, "damaged": found.damaged}
    return msgspec.json.format(msgspec.json.encode(what), indent=2).decode()


@cache  # most runs of a folder are over few spans
def _span(first_ms: int, end_ms: int) -> str:
    return f"{show_day(first_ms)} {show_day(end_ms - 1)}"


class _Column(NamedTuple):
    heading: str
    cell: Callable[[Summary], str]
    right: bool = False
    dropped: int = 0  # on a narrow terminal, the highest first; 0 for never


_COLUMNS = (
    _Column("run", lambda one: one.run),
    _Column("kind", lambda one: one.kind, dropped=2),
    _Column("strategy", lambda one: one.strategy, dropped=3),
    _Column("symbols", lambda one: _symbols(one), dropped=4),
    _Column("span", lambda one: _span(one.first_ms, one.end_ms), dropped=6),
    _Column("return", lambda one: _share(one, "total_return", "+.2%"), right=True),
    _Column("Sharpe", lambda one: _share(one, "sharpe", ".2f"), right=True),
    _Column("max dd", lambda one: _share(one, "max_drawdown", ".2%"), right=True),
    _Column("profit f.", lambda one: _share(one, "profit_factor", ".2f"), right=True, dropped=5),
    _Column("trades", lambda one: _share(one, "trades", ",.0f"), right=True),
    _Column("tags", lambda one: " ".join(one.tags), dropped=1),
)


def table_lines(shown: Sequence[Summary], width: int | None) -> list[str]:
    """Lay runs out one a line, below a line of headings.

    Parameters
    ----------
    width : int or None
        Of the terminal: columns that do not fit are left out, and where the names of runs are too
        long even so, each stands on a line of its own. None for all columns.
    """
    columns = list(_COLUMNS)
    cells = {one: [_plain(one.cell(run)) for run in shown] for one in columns}
    if not any(cells[columns[-1]]):
        columns.pop()
    if width is None:
        return _lines(columns, cells)
    fit = _fitting(columns, cells, width)
    if _width(fit, cells) <= width:
        return _lines(fit, cells)
    names, rest = cells[columns[0]], _lines(_fitting(columns[1:], cells, width - 4), cells)
    pairs = zip(names, rest[1:], strict=True)
    below = [line for name, figures in pairs for line in (name, f"    {figures}")]
    return [columns[0].heading, f"    {rest[0]}", *below]


def _fitting(
    columns: Sequence[_Column], cells: dict[_Column, list[str]], width: int
) -> list[_Column]:
    left = sorted(columns, key=lambda one: one.dropped)
    while left[-1].dropped and _width(left, cells) > width:
        left.pop()
    return [one for one in columns if one in left]


def _lines(columns: Sequence[_Column], cells: dict[_Column, list[str]]) -> list[str]:
    laid = []
    for one in columns:
        size = max(len(one.heading), *map(len, cells[one]))
        put = str.rjust if one.right else str.ljust
        laid.append([put(text, size) for text in (one.heading, *cells[one])])
    return ["  ".join(row).rstrip() for row in zip(*laid, strict=True)]


def _width(columns: Sequence[_Column], cells: dict[_Column, list[str]]) -> int:
    sizes = (max(len(one.heading), *map(len, cells[one])) for one in columns)
    return sum(sizes) + 2 * (len(columns) - 1)


def _share(one: Summary, key: str, form: str) -> str:
    value = one.figures.get(key)
    return "N/A" if value is None else f"{value:{form}}"


def _symbols(one: Summary) -> str:
    more = f"+{len(one.symbols) - 1}" if len(one.symbols) > 1 else ""
    return f"{one.symbols[0]}{more} {one.timeframe}"


def _plain(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def notes(found: Summaries, folder: Path, unfinished: Sequence[str]) -> list[str]:
    """Say which runs are damaged, and which sweeps wait to go on."""
    from data.terminal import MANY, counted  # with rich, which a list does not need

    damaged: list[Any] = list(found.damaged.items())
    lines = [f"damaged: {_plain(name)}: {_plain(why)}" for name, why in damaged[:MANY]]
    if len(damaged) > MANY:
        lines.append(f"damaged: … and {len(damaged) - MANY} more: wick runs list --json")
    if damaged:
        lines.append(f"make them again, then wick runs delete {damaged[0][0]}")
    if unfinished:
        more = f", {counted(len(unfinished), 'unfinished sweep')} in all" if unfinished[1:] else ""
        lines.append(f"unfinished: wick sweep --resume {unfinished[-1]} goes on{more}")
    return lines
