"""How an indicator is called: its numbers are checked, and its kernel runs on the active tape."""

from typing import Any

import numpy as np

from strategy import tape
from strategy.column import Column, same_timeframe, stateful
from strategy.errors import WickError


def one(name: str, function: Any, columns: list[Column], length: int, state_size: int) -> Column:
    lengths = whole_lengths(name, length=length)
    timeframe = same_timeframe(name, columns)
    return stateful(name, timeframe, function, columns, lengths, state_size)[0]


def whole_lengths(name: str, **lengths: Any) -> tuple[tape.Scalar, ...]:
    for word, value in lengths.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 1 <= value <= 100_000:
            raise WickError(
                f"{name}: {word} is {value!r}, expected a whole number from 1 to 100000",
                "--set another one, or mend Params: a length is an int such as 14",
            )
    return tuple(int(value) for value in lengths.values())
