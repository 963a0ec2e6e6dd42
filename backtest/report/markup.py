"""Pieces of HTML: tables, rows, cells. What is not markup yet is escaped here."""

from collections.abc import Sequence
from html import escape


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


def row(name: str, *cells: str) -> str:
    """Write a table's row; the name is its heading."""
    made = (cell if isinstance(cell, Markup) else f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope=row>{escape(name)}</th>{''.join(made)}</tr>"


def table(title: str, heads: Sequence[str], rows: str, kind: str = "") -> str:
    """Write a table of rows that are markup already."""
    top = "".join(f"<th scope=col>{head}</th>" for head in heads)
    head = f"<thead><tr>{top}</tr></thead>" if heads else ""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<div class="table {kind}"><table>{caption}{head}<tbody>{rows}</tbody></table></div>'


def nothing(columns: int, words: str) -> str:
    """Write the only row of a table that has none."""
    return f'<tr><td colspan="{columns}" class="none">{words}</td></tr>'


def money(value: float) -> Markup:
    """Write a cell with an amount, coloured by its sign."""
    return Markup(f'<td class="{sign_of(value)}">{value:,.2f}</td>')


def sign_of(value: float) -> str:
    """Return the class that colours a value by its sign."""
    return "gain" if value > 0.0 else "loss" if value < 0.0 else ""
