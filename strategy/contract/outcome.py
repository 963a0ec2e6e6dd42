"""What a strategy makes of candles, all of it, as arrays that can be compared bit for bit."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.grid import fine_grid
from strategy.kernel import kernel
from strategy.load import Strategy, loaded_again
from strategy.risk import APPROVED, Risk, checked, size
from strategy.rules import CONDITIONS, DISTANCES, ENTER_LONG, ENTER_SHORT, PRIORITY

WALLET = 10_000.0
SLIPPAGE = 0.0001
DECISIONS = "decisions"
Rows = tuple[NDArray[np.float64], ...]


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

    def rows(self, candles: Candles) -> Rows:
        """Run the strategy's indicators, on the active tape if there is one.

        Raises
        ------
        WickError
            The strategy stops with an error.
        """
        return tuple(self.strategy.rows(candles, self.params))

    def anew(self) -> "Subject":
        """Return the same with a module of its own, which has seen no candle yet."""
        return replace(self, strategy=loaded_again(self.strategy))


class Outcome(NamedTuple):
    """Everything a strategy says, one value a candle.

    Attributes
    ----------
    names : tuple of str
        Row.field for every field, decisions, the distances and the priority of its rules, size.
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
    return said(subject, subject.rows(candles), candles.arrays["close"])


def said(subject: Subject, rows: Rows, close: NDArray[np.float64]) -> Outcome:
    """Add to the rows of some candles what the rules and the risk make of them, one by one."""
    rules = subject.strategy.rules
    fields = dict(zip(subject.strategy.row._fields, rows, strict=True))
    columns = [fields[name] for name in rules.fields]
    numbers = np.array([float(value) for value in subject.params])
    flags = rules.signals(*columns, numbers)
    every = np.arange(len(flags))
    # At every candle, not only at entries: more that can differ.
    values = (
        *rules.distances(every, *columns, numbers),
        rules.trails(*columns, numbers),
        rules.limits(every, *columns, numbers),
        rules.priorities(every, *columns, numbers),
    )
    named = {
        name: array
        for name, array in zip((*DISTANCES, PRIORITY), values, strict=True)
        if name in rules.texts
    }
    stop = named[DISTANCES[0]]
    take = named.get(DISTANCES[1], stop)
    sizes = _sizes(flags, close, stop, take, DISTANCES[1] in named, subject.risk, subject.grid)
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


@dataclass(frozen=True, slots=True)
class Span:
    """Candles, and what a strategy says when it is given all of them at once."""

    subject: Subject
    candles: Candles
    whole: Outcome

    @classmethod
    def of(cls, subject: Subject, candles: Candles) -> "Span":
        """Run the strategy over all of the candles.

        Raises
        ------
        WickError
            The strategy stops with an error.
        """
        return cls(subject, candles, outcome(subject, candles))

    @property
    def times(self) -> NDArray[np.int64]:
        """UTC ms at which each candle opens."""
        times: NDArray[np.int64] = self.candles.arrays["open_time"]
        return times

    def differences(self, rows: Rows, at: slice) -> list[Difference]:
        """Compare what other rows of the candles `at` lead to, bit for bit; NaN equals NaN."""
        got = said(self.subject, rows, self.candles.arrays["close"][at])
        expected = Outcome(self.whole.names, tuple(array[at] for array in self.whole.arrays))
        return differences(got, expected)


def differences(got: Outcome, whole: Outcome) -> list[Difference]:
    """Compare two outcomes of the same candles bit for bit; NaN equals NaN."""
    found = []
    for name, seen, expected in zip(got.names, got.arrays, whole.arrays, strict=True):
        bits = f"u{seen.dtype.itemsize}"
        apart = seen.view(bits) != expected.view(bits)
        if not apart.any():
            continue
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
