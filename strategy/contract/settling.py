"""How long a strategy needs: to its first values, and until its beginning is forgotten."""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.contract.future import Tick
from strategy.contract.outcome import DECISIONS, Outcome, Span, Subject, outcome
from strategy.rules import CONDITIONS, RULE_NAMES
from strategy.warmup import first_warm

_STARTS = 5
_LONGEST = 1 << 16
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


def settling(span: Span, seed: int, tick: Tick) -> list[Settling]:
    """Measure from seeded later beginnings when each value equals that of the long history.

    Each run goes on for 65,536 candles or 32 times the longest way to a first value, if there are
    so many: an average that forgets with 1 ÷ length is equal after 21 lengths.

    Numbers are equal within 1e-9 of the larger of their size and the median size of their column;
    decisions are equal to the flag. What still differs in the last tenth of a run counts
    as never settled.
    """
    n, whole = len(span.times), span.whole
    reads = _reads(span.subject)
    usual = {name: _usual(array) for name, array in zip(whole.names, whole.arrays, strict=True)}
    first = {
        name: first_value(array)
        for name, array in zip(whole.names, whole.arrays, strict=True)
        if name.startswith("Row.")
    }
    longest = max(_LONGEST, 32 * max(count or 0 for count in first.values()))
    settled: dict[str, int | None] = {}
    for start in np.random.default_rng(seed).integers(1, max(n // 2, 2), _STARTS).tolist():
        if start >= n:
            break
        length = min(n - start, longest)
        later = outcome(span.subject, span.candles.slice(start, start + length))
        for where, needed in _needed(later, whole, start, reads, usual):
            never = needed > 0.9 * length or settled.get(where, 0) is None
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


def _needed(
    later: Outcome, whole: Outcome, start: int, reads: dict[str, set[str]], usual: dict[str, float]
) -> Iterator[tuple[str, int]]:
    for name, seen, all_of_it in zip(later.names, later.arrays, whole.arrays, strict=True):
        expected = all_of_it[start : start + len(seen)]
        # What differs at all ends early, and only that needs a closer look.
        count = _until_last(seen != expected)
        if name == DECISIONS:
            yield name, count
            for rule in CONDITIONS.keys() & reads.keys():
                bit = CONDITIONS[rule]
                yield rule, _until_last((seen[:count] & bit) != (expected[:count] & bit))
        elif name != "size":
            yield name, _until_last(~_close(seen[:count], expected[:count], usual[name]))


def _until_last(differs: NDArray[np.bool_]) -> int:
    return len(differs) - int(differs[::-1].argmax()) if differs.any() else 0


def _usual(array: NDArray[Any]) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(np.median(finite)) if len(finite) else 0.0


def _close(a: NDArray[Any], b: NDArray[Any], usual: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):  # inf − inf
        near = np.abs(a - b) <= _CLOSE * np.maximum(np.abs(b), usual)
    return near | (a == b) | (np.isnan(a) & np.isnan(b))
