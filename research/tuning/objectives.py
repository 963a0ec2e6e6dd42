"""What a search aims at, and what it must keep."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.sweeps.figures import FIGURES
from strategy.errors import WickError, did_you_mean

# Larger is better for these; the others describe a run but are no aim of a search.
OBJECTIVES = (
    "sharpe", "sortino", "calmar", "total_return", "cagr", "profit_factor", "expectancy",
    "expectancy_r", "win_rate", "payoff", "kelly", "max_drawdown", "trades",
)  # fmt: skip
# Of figures at or below 0 a bound means the depth.
_DEPTHS = ("max_drawdown", "worst_day", "average_loss", "worst_trade")
_SHARES = ("max_drawdown", "win_rate", "ambiguous")
_UNKNOWN = 1e12  # how far a figure without a value lies from every bound
_FORM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\S+)\s*")


class Constraint(NamedTuple):
    """A bound that a figure must keep.

    Attributes
    ----------
    text : str
        As it was asked for.
    key : str
    sign : float
        1 for an upper bound, -1 for a lower one.
    bound : float
    strict : bool
        The bound itself does not hold.
    """

    text: str
    key: str
    sign: float
    bound: float
    strict: bool

    def broken(self, figures: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return by how much it is broken, at most 0 where it holds.

        Returns
        -------
        float64 (m,)
        """
        values = figures[self.key]
        depth = np.abs(values) if self.key in _DEPTHS else values
        over = self.sign * (depth - self.bound)
        over = np.where((over == 0.0) & self.strict, np.finfo(np.float64).tiny, over)
        return np.where(np.isnan(values), _UNKNOWN, over)


def objectives_of(names: Sequence[str]) -> tuple[str, ...]:
    """Check what a search shall aim at.

    Raises
    ------
    WickError
        A name is unknown or stands twice.
    """
    for name in names:
        if name not in OBJECTIVES:
            raise WickError(f"unknown --objective {name!r}", did_you_mean(name, OBJECTIVES))
        if list(names).count(name) > 1:
            raise WickError(f"--objective {name} is given twice", "name each once")
    return tuple(names)


def constraints_of(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read bounds such as ``max_drawdown<0.2``; a drawdown is meant by its depth.

    Raises
    ------
    WickError
        One cannot be read, or two cannot hold together.
    """
    found = tuple(map(_read, texts))
    for key in dict.fromkeys(one.key for one in found):
        its = [one for one in found if one.key == key]
        upper = min((one for one in its if one.sign > 0), key=_tightness, default=None)
        lower = min((one for one in its if one.sign < 0), key=_tightness, default=None)
        if upper is None or lower is None:
            continue
        meets = upper.bound == lower.bound and (upper.strict or lower.strict)
        if upper.bound < lower.bound or meets:
            raise WickError(
                f"--constraint {lower.text} and --constraint {upper.text} cannot both hold",
                "leave one of them out",
            )
    return found


def _tightness(one: Constraint) -> tuple[float, bool]:
    return one.sign * one.bound, not one.strict


def _read(text: str) -> Constraint:
    match = _FORM.fullmatch(text)
    example = "--constraint 'max_drawdown<0.2'"
    if match is None:
        raise WickError(f"--constraint {text!r} is no figure, < or >, and a number", example)
    key, operator, word = match.groups()
    if key not in FIGURES:
        raise WickError(
            f"--constraint {text!r} names {key!r}, which is no figure of a search",
            did_you_mean(key, FIGURES),
        )
    try:
        bound = float(word)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise WickError(f"--constraint {text!r} has {word!r}, expected a number", example)
    if key in _DEPTHS and bound < 0.0:
        turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}[operator]
        raise WickError(
            f"--constraint {text!r}: {key} is meant by its depth, which is not negative",
            f"--constraint '{key}{turned}{-bound:g}'",
        )
    if key in _SHARES and bound > 1.0:
        raise WickError(
            f"--constraint {text!r}: {key} is a share, so {word} always or never holds",
            f"--constraint '{key}{operator}{bound / 100:g}' if {word} % is meant",
        )
    return Constraint(
        text.strip(), key, 1.0 if operator[0] == "<" else -1.0, bound, len(operator) == 1
    )
