"""The pieces that all printing of `wick data` is made of."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

MANY = 5
out = Console(highlight=False)


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: 1 gap, 2 gaps."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def new_table(*headings: str) -> Table:
    """Begin a table without lines; a heading that ends in > stands right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left")
    return table


def print_some(word: str, lines: Sequence[str]) -> None:
    """Print the first lines, and how many more there are."""
    for line in lines[:MANY]:
        out.print(f"{word}: {line}", markup=False, soft_wrap=True)
    if len(lines) > MANY:
        out.print(f"{word}: … and {len(lines) - MANY} more")
