"""How an indicator is called: its numbers are checked, and its kernel runs on the active tape."""

from typing import Any

import numpy as np

from strategy import tape
from strategy.column import Column, same_timeframe, stateful
from strategy.errors import WickError


def one(
    name: str,
    function: Any,
    columns: list[Column],
    length: int,
    state_size: int,
    *,
    per_value: int = 0,
    more: tuple[tape.Scalar, ...] = (),
    least: int = 1,
) -> Column:
    # The state has `state_size` numbers and, for each value of the length, `per_value`.
    # At every live candle the same few lengths: the usual case first.
    n = length
    if type(length) is not int or not least <= length <= 100_000:
        (n,) = whole_lengths(name, least=least, length=length)
    timeframe = same_timeframe(name, columns)
    size = state_size + per_value * n
    return stateful(name, timeframe, function, columns, (n, *more), size)[0]


def whole_lengths(name: str, *, least: int = 1, **lengths: Any) -> tuple[int, ...]:
    for word, value in lengths.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not least <= value <= 100_000:
            raise WickError(
                f"{name}: {word} is {value!r}, expected a whole number from {least} to 100000",
                "--set another one, or mend Params: a length is an int such as 14",
            )
    return tuple([int(value) for value in lengths.values()])


def number(name: str, word: str, value: Any, low: float, high: float) -> float:
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not low <= value <= high:
        raise WickError(
            f"{name}: {word} is {value!r}, expected a number from {low:g} to {high:g}",
            "--set another one, or mend Params",
        )
    return float(value)
