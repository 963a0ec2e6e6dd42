"""What a section of the benchmarks gives: figures, tables for a reader, and how they compare with
what was to be reached."""

from dataclasses import dataclass, field
from typing import Any

Rows = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach.

    Attributes
    ----------
    what, against : str
        What was measured, and beside what.
    value, must, wish : float
        Measured; to be reached; hoped for, NaN for none.
    unit : str
        Behind the number: × or " µs".
    more : bool
        More is better.
    bound : str
        What keeps it from more, said where it falls short.
    """

    what: str
    against: str
    value: float
    must: float
    wish: float
    unit: str
    more: bool
    bound: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure is as good as it must be."""
        return self.value >= self.must if self.more else self.value <= self.must

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table of targets."""
        sign = "≥" if self.more else "≤"
        wish = f"{sign} {self.wish:g}{self.unit}" if self.wish == self.wish else ""
        answer = "yes" if self.reached else f"no: {self.bound}" if self.bound else "no"
        value = f"{self.value:,.3g}" if self.value < 1_000 else f"{self.value:,.0f}"
        must = f"{sign} {self.must:g}{self.unit}"
        return (self.what, self.against, f"{value}{self.unit}", must, wish, answer)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    tables : list
        Head and rows of each.
    text : str
        Markdown below the tables.
    figures : Any
        All that was measured, for the JSON file.
    """

    title: str
    tables: list[tuple[tuple[str, ...], Rows]]
    text: str
    targets: list[Target]
    figures: Any = field(default_factory=dict)


def markdown(head: tuple[str, ...], rows: Rows) -> str:
    """Write a table."""
    rule = tuple("---" for _ in head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))
