"""The grid of a sweep: axes of exact values, and the combinations that are made of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.sweeps.where import Condition, near
from data.terminal import counted
from strategy.errors import WickError
from strategy.fills import INTRABAR

MOST_COMBINATIONS, MOST_VALUES = 100_000_000, 1_000_000
_BLOCK = 1 << 18
_EXAMPLE = "--grid rsi=5:40:1,oversold=10:45:2.5"


@dataclass(frozen=True, slots=True)
class Axis:
    """One name with the values that it takes, in order: float64 (n,)."""

    name: str
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Combinations of the values of some axes; the last axis varies fastest.

    Attributes
    ----------
    axes : tuple of Axis
    where : Condition or None
        Combinations for which it does not hold are left out.
    drawn : int64 (m,) or None
        Numbers of the combinations to run, rising; None for all.
    """

    axes: tuple[Axis, ...]
    where: Condition | None = None
    drawn: NDArray[np.int64] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def places(self) -> int:
        """How many combinations there are before `where` leaves some out."""
        return size(self.axes) if self.drawn is None else len(self.drawn)

    def numbers(self, first: int, end: int) -> NDArray[np.int64]:
        """Return the numbers of the combinations at places [first, end) that are not left out."""
        end = min(end, self.places)
        whole = np.arange(first, end) if self.drawn is None else self.drawn[first:end]
        if self.where is None:
            return whole
        return whole[self.where.holds(self.names, self.values(whole))]

    def values(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the values of combinations by their numbers: float64 (m, axes)."""
        out = np.empty((len(numbers), len(self.axes)))
        for at, place in self._places(numbers):
            out[:, at] = self.axes[at].values[place]
        return out

    def codes(self, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the place of each value on its axis: int32 (m, axes)."""
        out = np.empty((len(numbers), len(self.axes)), np.int32)
        for at, place in self._places(numbers):
            out[:, at] = place
        return out

    def count(self) -> int:
        """Count the combinations that are not left out."""
        if self.where is None:
            return self.places
        starts = range(0, self.places, _BLOCK)
        return sum(len(self.numbers(first, first + _BLOCK)) for first in starts)

    def _places(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        rest = numbers
        for at in reversed(range(len(self.axes))):
            rest, place = np.divmod(rest, len(self.axes[at].values))
            yield at, place


def size(axes: Sequence[Axis]) -> int:
    """Return the number of combinations of some axes."""
    return math.prod(len(axis.values) for axis in axes)


def parse_grid(texts: Sequence[str], known: Mapping[str, float]) -> tuple[Axis, ...]:
    """Read the axes of ``--grid``: name=start:stop:step, name=a|b|c or name=a, by comma.

    The stop belongs to a range where a whole number of steps reaches it. Every value is the double
    nearest to its decimal.

    Parameters
    ----------
    texts : sequence of str
    known : mapping
        Every name that may vary with the value it has otherwise: an int takes whole numbers only.

    Raises
    ------
    WickError
        It is not such a grid, or a name or value does not fit.
    """
    for text in texts:
        if text.strip() and "" in (item.strip() for item in text.split(",")):
            raise WickError(
                f"--grid {text!r} has a comma too many: '' is not name=values", _EXAMPLE
            )
    items = [item.strip() for text in texts for item in text.split(",")]
    return checked_axes([_parse_item(item, known) for item in items], known)


def axes_of(grid: Mapping[str, Any], known: Mapping[str, float]) -> tuple[Axis, ...]:
    """Read the axes of a mapping: a sequence of numbers by name, as Python gives them.

    Raises
    ------
    WickError
        A name or a value does not fit.
    """
    axes = []
    for name, given in grid.items():
        _check_given(str(name), given)
        try:
            values = np.array([float(value) for value in np.atleast_1d(np.asarray(given))])
        except (TypeError, ValueError):
            raise WickError(
                f"grid[{name!r}] is {given!r}, expected numbers", 'grid={"rsi": range(5, 41)}'
            ) from None
        axes.append(Axis(_known(str(name), known), values))
    return checked_axes(axes, known)


def axes_of_tune(
    tune: Mapping[str, Any], known: Mapping[str, float], strategy: str
) -> tuple[Axis, ...]:
    """Make axes of a strategy's TUNE, where every entry is a list or says its step.

    Raises
    ------
    WickError
        There is none, or one is a range without steps; the hint is a grid that could be meant.
    """
    if not tune:
        raise WickError(f"no --grid is given, and {strategy} has no TUNE", _EXAMPLE)
    texts = {name: _tune_text(space, known[name]) for name, space in tune.items()}
    lacking = [name for name, (_, complete) in texts.items() if not complete]
    if lacking:
        grid = ",".join(f"{name}={text}" for name, (text, _) in texts.items())
        raise WickError(
            f"no --grid is given, and TUNE of {strategy} has no step for {', '.join(lacking)}",
            f"--grid '{grid}', or (low, high, step) in TUNE",
        )
    return parse_grid([f"{name}={text}" for name, (text, _) in texts.items()], known)


def checked_axes(axes: Sequence[Axis], known: Mapping[str, float]) -> tuple[Axis, ...]:
    """Return the axes after checking their values.

    Raises
    ------
    WickError
        An axis stands twice, or has no value, one twice, one that is not finite or not whole.
    """
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise WickError(f"--grid names {name} twice", "write each name once")
    for axis in axes:
        _check_values(axis, known[axis.name])
    return tuple(axes)


def draw(axes: Sequence[Axis], count: int, seed: int) -> NDArray[np.int64]:
    """Draw numbers of combinations, each at most once, in rising order.

    Raises
    ------
    WickError
        There are not so many, or the grid is too large to be numbered.
    """
    total = size(axes)
    if total >= 2**62:
        raise WickError(
            f"the grid has {many(total)} combinations, a draw takes fewer than 2^62",
            "take larger steps or fewer axes",
        )
    if not 1 <= count <= min(total, MOST_COMBINATIONS):
        raise WickError(
            f"--random is {count:,}, expected 1 to {min(total, MOST_COMBINATIONS):,},"
            " the combinations of the grid",
            "--random 1000",
        )
    if not 0 <= seed < 2**32:
        raise WickError(f"--seed is {seed}, expected 0 to {2**32 - 1}", "--seed 1")
    random = np.random.default_rng(seed)
    if total <= 4 * count:
        return np.sort(random.permutation(total)[:count])
    found = np.empty(0, np.int64)
    while len(found) < count:
        found = np.unique(np.concatenate((found, random.integers(0, total, count))))
    return np.sort(random.permutation(found)[:count])


def check_size(grid: Grid) -> int:
    """Return how many combinations will run.

    Raises
    ------
    WickError
        More than can be run, or none.
    """
    if grid.places > MOST_COMBINATIONS:
        raise WickError(
            f"the grid has {many(grid.places)} combinations,"
            f" at most {MOST_COMBINATIONS:,} can be run",
            "take larger steps or fewer axes, or draw some of them: --random 100000",
        )
    count = grid.count()
    if not count:
        text = grid.where.text if grid.where else ""
        raise WickError(
            f"--where {text!r} leaves out every one of {counted(grid.places, 'combination')}",
            "turn the comparison round, or widen the grid",
        )
    return count


def _parse_item(item: str, known: Mapping[str, float]) -> Axis:
    name, equals, text = (part.strip() for part in item.partition("="))
    if not (equals and name and text):
        raise WickError(f"--grid {item!r} is not name=values", _EXAMPLE)
    _known(name, known)
    if ":" not in text:
        words = [word.strip() for word in text.split("|")]
        return Axis(name, np.array([float(_number(name, word)) for word in words]))
    words = [word.strip() for word in text.split(":")]
    if len(words) != 3:
        raise WickError(
            f"--grid {item!r} has {len(words)} numbers, expected start:stop:step", _EXAMPLE
        )
    start, stop, step = (_number(name, word) for word in words)
    if step <= 0 or stop < start:
        what = f"the step {words[2]}" if step <= 0 else f"the stop {words[1]} below its start"
        (low, first), (high, last) = sorted([(start, words[0]), (stop, words[1])])
        by = words[2].lstrip("-") if step else "1"
        raise WickError(
            f"--grid {item!r} has {what}",
            f"--grid {name}={first}:{last}:{by} rises from {first} to {last}"
            if low < high
            else f"--grid {name}={first}",
        )
    count = (stop - start) // step + 1
    if count > MOST_VALUES:
        raise WickError(
            f"--grid {item!r} has {many(int(count))} values, at most {MOST_VALUES:,} can be run",
            "take a larger step",
        )
    return Axis(name, np.array([float(start + at * step) for at in range(count)]))


def _known(name: str, known: Mapping[str, float]) -> str:
    if name not in known:
        raise WickError(f"--grid names {name!r}, which is no parameter", near(name, known))
    return name


def _check_given(name: str, given: Any) -> None:
    values = np.atleast_1d(np.asarray(given, object)).ravel().tolist()
    if not values:
        raise WickError(
            f"grid[{name!r}] is {given!r}, which has no values", 'grid={"rsi": range(5, 41)}'
        )
    if any(isinstance(value, bool | np.bool_) for value in values):
        raise WickError(
            f"grid[{name!r}] is {given!r}, expected numbers, not True or False",
            f"grid={{{name!r}: [0, 1]}}",
        )


def many(count: int) -> str:
    """Write a count, a huge one as a power of ten."""
    return f"{count:,}" if count < 10**15 else f"about 10^{math.log10(count):.0f}"


def _number(name: str, word: str) -> Fraction:
    if name == "costs.intrabar" and word in INTRABAR:
        return Fraction(INTRABAR.index(word))
    try:
        number = Decimal(word)
    except InvalidOperation:
        number = Decimal("nan")
    # A fraction of 1e-999999 would have a million digits; no double is as small or as large.
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise WickError(f"--grid {name} has {word!r}, expected a number", f"--grid {name}=5:40:1")
    return Fraction(number)


def _check_values(axis: Axis, otherwise: float) -> None:
    values = axis.values
    if not len(values) or not np.isfinite(values).all():
        raise WickError(f"--grid {axis.name} has values that are no numbers", _EXAMPLE)
    if len(np.unique(values)) < len(values):
        raise WickError(f"--grid {axis.name} has a value twice", "write each value once")
    if isinstance(otherwise, int):
        broken = values[(values != np.floor(values)) | (np.abs(values) >= 2.0**53)]
        if len(broken):
            raise WickError(
                f"--grid {axis.name} has {broken[0]:g}, expected whole numbers",
                f"--grid {axis.name}=5:40:1",
            )


def _tune_text(space: Any, otherwise: float) -> tuple[str, bool]:
    if isinstance(space, list) and space:
        return "|".join(map(str, space)), True
    if not isinstance(space, tuple) or len(space) < 2:
        return str(space), False
    low, high, *rest = space
    if rest and rest != ["log"]:
        return f"{low}:{high}:{rest[0]}", True
    if isinstance(otherwise, int) and not rest:
        return f"{low}:{high}:1", True
    return f"{low}:{high}:{_round_step(high - low)}", False


def _round_step(span: float) -> str:
    # About eight values: the next of 1, 2 and 5 times a power of ten.
    power = Decimal(10) ** math.floor(math.log10(span / 8)) if span > 0 else Decimal(1)
    return f"{next(power * m for m in (1, 2, 5, 10) if power * m * 8 >= Decimal(span)):f}"
