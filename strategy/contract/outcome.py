"""What a strategy makes of candles, all of it, as arrays that can be compared bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.grid import fine_grid
from strategy.kernel import kernel
from strategy.load import Strategy
from strategy.risk import APPROVED, Risk, checked, size
from strategy.rules import CONDITIONS, DISTANCES, ENTER_LONG, ENTER_SHORT
from strategy.tape import Identity, Tape

WALLET = 10_000.0
SLIPPAGE = 0.0001
DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Subject:
    """A strategy as it is checked: with its numbers, one wallet and one grid."""

    strategy: Strategy
    params: Any
    risk: Risk
    grid: Any

    @classmethod
    def of(
        cls, strategy: Strategy, candles: Candles, params: Any = None, risk: Risk | None = None
    ) -> "Subject":
        """Take a strategy's own params and risk where none are given."""
        grid = fine_grid(float(candles.arrays["open"][0])).view(np.recarray)[0]
        params = strategy.params() if params is None else params
        risk = checked(
            strategy.risk if risk is None else risk,
            has_trail=strategy.has_trail,
            has_limit=strategy.has_limit,
        )
        return cls(strategy, params, risk, grid)


class Outcome(NamedTuple):
    """Everything a strategy says, one value a candle.

    Attributes
    ----------
    names : tuple of str
        Row.field for every field, decisions, the distances of its rules, size.
    arrays : tuple of array (n,)
        In that order: float64, uint8 flags, float64, int64 steps (negative for a short, 0 where
        there is no entry or risk refuses it).
    """

    names: tuple[str, ...]
    arrays: tuple[NDArray[Any], ...]

    def array(self, name: str) -> NDArray[Any]:
        """Return the array of one name."""
        return self.arrays[self.names.index(name)]


class Difference(NamedTuple):
    """The first candle at which two outcomes part, and what each says there."""

    where: str
    at: int
    seen: float
    expected: float


def outcome(subject: Subject, candles: Candles) -> Outcome:
    """Run a strategy over candles, on the active tape if there is one.

    Raises
    ------
    WickError
        The strategy stops with an error.
    """
    strategy = subject.strategy
    rows = strategy.rows(candles, subject.params)
    fields = dict(zip(strategy.row._fields, rows, strict=True))
    columns = [fields[name] for name in strategy.rules.fields]
    numbers = np.array([float(value) for value in subject.params])
    flags = strategy.rules.signals(*columns, numbers)
    # At every candle, not only at entries: more that can differ.
    distances = (
        *strategy.rules.distances(np.arange(len(flags)), *columns, numbers),
        strategy.rules.trails(*columns, numbers),
        strategy.rules.limits(np.arange(len(flags)), *columns, numbers),
    )
    named = {
        name: values
        for name, values in zip(DISTANCES, distances, strict=True)
        if len(values) == len(flags)
    }
    stop = named[DISTANCES[0]]
    take = named[DISTANCES[1]] if strategy.has_take else stop
    sizes = _sizes(
        flags, candles.arrays["close"], stop, take, strategy.has_take, subject.risk, subject.grid
    )
    names = (*(f"Row.{name}" for name in fields), DECISIONS, *named, "size")
    return Outcome(names, (*rows, flags, *named.values(), sizes))


@kernel
def _sizes(flags, close, stop, take, has_take, risk, g):
    out = np.zeros(len(flags), np.int64)
    for i in range(len(flags)):
        side = (1 if flags[i] & ENTER_LONG else 0) - (1 if flags[i] & ENTER_SHORT else 0)
        if side == 0:  # no entry, or a conflict that is none
            continue
        steps, why = size(
            risk, SLIPPAGE, g, WALLET, 0.0, close[i], side, stop[i], take[i], has_take
        )
        if why == APPROVED:
            out[i] = side * steps
    return out


def in_pieces(subject: Subject, candles: Candles, edges: Sequence[int]) -> Outcome:
    """Run a strategy through a tape that reads the candles from edge to edge.

    Raises
    ------
    WickError
        The strategy stops with an error, or its calls do not repeat.
    """
    first = int(candles.arrays["open_time"][0])
    tape = Tape(Identity(subject.strategy.source_hash, "", candles.symbol, first))
    parts = []
    for start, stop in pairwise(edges):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(outcome(subject, chunk))
    joined = (np.concatenate(arrays) for arrays in zip(*(p.arrays for p in parts), strict=True))
    return Outcome(parts[0].names, tuple(joined))


def differences(got: Outcome, whole: Outcome, length: int) -> list[Difference]:
    """Compare the first `length` candles of two outcomes bit for bit; NaN equals NaN."""
    found = []
    for name, seen, expected in zip(got.names, got.arrays, whole.arrays, strict=True):
        seen, expected = seen[:length], expected[:length]
        # The usual case costs two copies and one comparison of bytes, half of an array of bools.
        if seen.tobytes() == expected.tobytes():
            continue
        bits = f"u{seen.dtype.itemsize}"
        apart = seen.view(bits) != expected.view(bits)
        apart &= ~((seen != seen) & (expected != expected))
        if name == DECISIONS:
            for rule, bit in CONDITIONS.items():
                found += _first(f"rule {rule}", (seen & bit) > 0, (expected & bit) > 0)
        elif apart.any():
            found.append(_at(name, int(apart.argmax()), seen, expected))
    return found


def _first(where: str, seen: NDArray[Any], expected: NDArray[Any]) -> list[Difference]:
    apart = seen != expected
    return [_at(where, int(apart.argmax()), seen, expected)] if apart.any() else []


def _at(where: str, at: int, seen: NDArray[Any], expected: NDArray[Any]) -> Difference:
    where = where if where.startswith(("Row.", "rule ")) or where == "size" else f"rule {where}"
    return Difference(where, at, float(seen[at]), float(expected[at]))
