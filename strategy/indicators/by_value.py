"""Functions that look at one candle only."""

import math
from typing import Any

import numpy as np

from strategy.column import Column, elementwise
from strategy.kernel import kernel


def sqrt(x: Column) -> Column:
    """Square root, value by value; NaN below zero."""
    return elementwise("sqrt", np.sqrt, x)


def minimum(a: Any, b: Any) -> Column:
    """The smaller of two, value by value; NaN if one is NaN."""
    return elementwise("minimum", np.minimum, a, b)


def maximum(a: Any, b: Any) -> Column:
    """The larger of two, value by value; NaN if one is NaN."""
    return elementwise("maximum", np.maximum, a, b)


def where(condition: Column, a: Any, b: Any) -> Column:
    """`a` where the condition holds, else `b`, value by value."""
    return elementwise("where", np.where, condition, a, b)


@kernel
def logarithms(x):
    # The one place for logarithms. NumPy has a formula of its own for whole arrays, and Numba takes
    # Intel's where it is installed and a loop can be cut into vectors: both differ from libm in
    # last bits, and then a live candle from the same one in a history. So libm is called value by
    # value; the inner loop is left at values without a logarithm, and can therefore not be cut.
    out = np.empty(len(x))
    i = 0
    while i < len(x):
        while i < len(x):
            if not x[i] > 0.0:
                break
            out[i] = math.log(x[i])
            i += 1
        if i < len(x):
            out[i] = np.nan
            i += 1
    return out
