"""Functions that look at one candle only."""

from typing import Any

import numpy as np

from strategy.column import Column, elementwise


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
