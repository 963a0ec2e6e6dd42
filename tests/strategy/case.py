"""What a test needs to know about an indicator; cases.py lists them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import talib
from numpy.typing import NDArray

from strategy.column import Column
from tests.strategy.market import Bars

Arrays = Sequence[NDArray[np.float64]]
SIMPLE = talib.MA_Type.SMA  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Case:
    """One indicator with one choice of numbers.

    Attributes
    ----------
    function : callable
        The public function of strategy.indicators this case is for.
    run : callable
        Columns of candles.
    twin : callable
        ``twin(bars)`` with lists, from naive.py.
    first : tuple of int
        First valid index of each output.
    constant : tuple of float
        Each output on a market that stands still at 100.
    exact : bool
        Equal to the twin to the last bit, not to 1e-12.
    talib, talib_from :
        ``talib(bars)`` with arrays, and the index from which it must agree to 1e-9.
    """

    function: Callable[..., Any]
    numbers: tuple[float | str, ...]
    run: Callable[[Any], tuple[Column, ...]]
    twin: Callable[[Bars], tuple[list[float], ...]]
    first: tuple[int, ...]
    constant: tuple[float, ...]
    exact: bool = False
    talib: Callable[[Bars], Arrays] | None = None
    talib_from: int = 0

    @property
    def name(self) -> str:
        return "-".join([self.function.__name__, *map(str, self.numbers)])
