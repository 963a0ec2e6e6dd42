"""How long a strategy needs: to its first values, and until its beginning is forgotten."""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.future import Tick
from strategy.contract.outcome import DECISIONS, Outcome, Subject, outcome
from strategy.rules import CONDITIONS, RULE_NAMES
from strategy.warmup import first_warm

_STARTS = 5
_CLOSE = 1e-9


class Settling(NamedTuple):
    """Candles that one value needs; None is never on these candles.

    Attributes
    ----------
    where : str
        Row.field or a rule's name; decisions are all conditions together.
    first : int or None
        Until it has a value, from the beginning of the history; for a rule, until all that it reads
        has one.
    settled : int or None
        Until it says what a longer history says, from the worst of some later beginnings.
    """

    where: str
    first: int | None
    settled: int | None


def settling(
    subject: Subject, candles: Candles, whole: Outcome, seed: int, tick: Tick
) -> list[Settling]:
    """Measure from seeded later beginnings when each value equals that of the long history.

    Numbers are equal within 1e-9 of the larger of their size and the median size of their column;
    decisions are equal to the flag. What still differs in the last tenth of what is left of the
    history counts as never settled.
    """
    n = len(candles.arrays["open_time"])
    reads = _reads(subject)
    first = {
        name: first_value(array)
        for name, array in zip(whole.names, whole.arrays, strict=True)
        if name.startswith("Row.")
    }
    settled: dict[str, int | None] = {}
    for start in np.random.default_rng(seed).integers(1, max(n // 2, 2), _STARTS).tolist():
        if start >= n:
            break
        later = outcome(subject, candles.slice(start, n))
        for where, differs in _apart(later, whole, start, reads):
            count = int(differs[::-1].argmax())
            needed = len(differs) - count if differs.any() else 0
            never = needed > 0.9 * len(differs) or settled.get(where, 0) is None
            settled[where] = None if never else max(needed, settled.get(where) or 0)
        tick()
    for rule, fields in reads.items():
        first[rule] = _latest([first[f"Row.{name}"] for name in fields])
    first[DECISIONS] = _latest([first[rule] for rule in CONDITIONS if rule in reads])
    return [Settling(where, count, settled.get(where)) for where, count in first.items()]


def _latest(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return None if len(known) < len(counts) else max(known, default=1)


def first_value(array: NDArray[np.float64]) -> int | None:
    """Return how many candles it takes until a column has a value; None if it never has one."""
    at = first_warm([array])
    return at + 1 if at < len(array) else None


def _reads(subject: Subject) -> dict[str, set[str]]:
    """Return the Row fields that each rule of the text reads."""
    tree = ast.parse(subject.strategy.source)
    return {
        node.name: {
            part.attr
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute)
            and isinstance(part.value, ast.Name)
            and part.value.id == "x"
        }
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in RULE_NAMES
    }


def _apart(
    later: Outcome, whole: Outcome, start: int, reads: dict[str, set[str]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name, seen, all_of_it in zip(later.names, later.arrays, whole.arrays, strict=True):
        expected = all_of_it[start:]
        if name == DECISIONS:
            yield name, seen != expected
            for rule in CONDITIONS.keys() & reads.keys():
                bit = CONDITIONS[rule]
                yield rule, (seen & bit) != (expected & bit)
        elif name != "size":
            yield name, ~_close(seen, expected)


def _close(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    finite = np.abs(b[np.isfinite(b)])
    usual = float(np.median(finite)) if len(finite) else 0.0
    with np.errstate(invalid="ignore"):  # inf − inf
        near = np.abs(a - b) <= _CLOSE * np.maximum(np.abs(b), usual)
    return near | (a == b) | (np.isnan(a) & np.isnan(b))
