"""Where a param is searched, read from TUNE."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError
from strategy.load import Strategy


class Space(NamedTuple):
    """Where one param is searched.

    Attributes
    ----------
    name : str
    low, high : float
        Of choices the least and the largest.
    step : float
        From `low` on; 0 where any number may be taken.
    log : bool
        A range over orders of magnitude.
    choices : tuple of float
        Empty for a range.
    whole : bool
        Whole numbers only.
    """

    name: str
    low: float
    high: float
    step: float
    log: bool
    choices: tuple[float, ...]
    whole: bool

    def places(self) -> int | None:
        """Return how many values it has, None where it has any number of them."""
        if self.choices:
            return len(self.choices)
        if not self.step:
            return 1 if self.low == self.high else None
        return int((self.high - self.low) / self.step + 1e-9) + 1

    def values(self) -> NDArray[np.float64]:
        """Return its values, where it has a number of them."""
        if self.choices:
            return np.array(self.choices)
        places = self.places()
        assert places is not None
        return self.low + self.step * np.arange(places, dtype=np.float64)


def spaces_of(strategy: Strategy) -> tuple[Space, ...]:
    """Read a strategy's TUNE.

    Raises
    ------
    WickError
        It is missing, empty, or one of its spaces is no range and no list of choices.
    """
    if not strategy.tune:
        raise WickError(
            f"{strategy.path}: TUNE is missing or empty, so there is nothing to search",
            'TUNE = {"rsi": (5, 40)}, with names of Params',
        )
    defaults = strategy.params()
    found = []
    for name, space in strategy.tune.items():
        whole = isinstance(getattr(defaults, name), int)
        if not _is_space(space, int if whole else (int, float)):
            numbers = ", of whole numbers" if whole else ""
            raise WickError(
                f"{strategy.path}: TUNE[{name!r}] is {space!r},"
                f" expected a range or a list of choices{numbers}",
                '(low, high), (low, high, step), (low, high, "log") or [first, second, …]',
            )
        found.append(_space(name, space, whole))
    return tuple(found)


def _space(name: str, space: Any, whole: bool) -> Space:
    if isinstance(space, list):
        values = tuple(map(float, space))
        return Space(name, min(values), max(values), 0.0, False, values, whole)
    low, high, *rest = space
    log = rest == ["log"]
    step = float(rest[0]) if rest and not log else float(whole)
    return Space(name, float(low), float(high), step, log, (), whole)


def _is_space(space: Any, kinds: Any) -> bool:
    def is_number(value: Any) -> bool:
        return (
            isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < float("inf")
        )

    if isinstance(space, list):
        return bool(space) and all(map(is_number, space))
    if not isinstance(space, tuple) or len(space) not in (2, 3):
        return False
    low, high, *rest = space
    if not (is_number(low) and is_number(high) and low <= high):
        return False
    return not rest or (low > 0 if rest == ["log"] else is_number(rest[0]) and rest[0] > 0)
