"""Moments: where two values cross, and how long ago something was."""

from typing import Any

import numpy as np

from strategy.column import Column, elementwise, same_timeframe, stateful
from strategy.errors import WickError
from strategy.indicators.by_value import where
from strategy.kernel import kernel, part


def crossed_above(a: Any, b: Any) -> Column:
    """1.0 where `a` crosses above `b`, else 0.0; each a column or a number, one of them a column.

    A cross is ``a <= b`` at the candle before and ``a > b`` now. NaN where one of them is NaN now
    or at the candle before: without a value before there is no cross. First valid at index 1.

    Examples
    --------
    A field ``cross=crossed_above(fast, slow)`` is asked for in a rule as ``x.cross > 0``, and as
    ``where(crossed_above(fast, slow) > 0, …)`` in `indicators`.
    """
    return _crossed("crossed_above", a, b)


def crossed_below(a: Any, b: Any) -> Column:
    """1.0 where `a` crosses below `b`, else 0.0; each a column or a number, one of them a column.

    A cross is ``a >= b`` at the candle before and ``a < b`` now. NaN where one of them is NaN now
    or at the candle before: without a value before there is no cross. First valid at index 1.
    """
    return _crossed("crossed_below", b, a)


def bars_since(condition: Column) -> Column:
    """Candles since the condition held last, 0 where it holds.

    NaN before it has held once: first valid at the first candle where it holds. A comparison with
    NaN does not hold. The count goes on for ever, over NaN too.

    Raises
    ------
    WickError
        `condition` is not a condition such as ``x > 0``.
    """
    held = _numbers("bars_since", condition)
    return stateful("bars_since", held.timeframe, _bars_since, [held], (), 2)[0]


def value_when(condition: Column, x: Column) -> Column:
    """The value of `x` at the last candle where the condition held, NaN included.

    NaN before it has held once: first valid at the first candle where it holds and `x` is no NaN. A
    comparison with NaN does not hold.

    Raises
    ------
    WickError
        `condition` is not a condition such as ``x > 0``.
    """
    held = _numbers("value_when", condition)
    timeframe = same_timeframe("value_when", [held, x])
    return stateful("value_when", timeframe, _value_when, [held, x], (), 2)[0]


def _crossed(name: str, a: Any, b: Any) -> Column:
    # The sign of a difference of two floats is always right.
    lead = elementwise(name, np.subtract, a, b)
    return stateful(name, lead.timeframe, _crosses, [lead], (), 2)[0]


def _numbers(name: str, condition: Any) -> Column:
    if not isinstance(condition, Column) or condition._values.dtype != np.bool_:
        what = "numbers" if isinstance(condition, Column) else type(condition).__name__
        raise WickError(
            f"{name} was given {what}, expected a condition",
            "compare first, such as rsi(c.close) < 30, or crossed_above(a, b) > 0",
        )
    return where(condition, 1.0, 0.0)


@kernel
def _crosses(lead, state):
    # state: whether there is a candle before, its lead
    n, last = len(lead), state[1] if state[0] > 0.0 else np.nan
    out = np.empty(n)
    if n > 0:
        out[0] = _crosses_between(last, lead[0])
        # Slices instead of indices: vector instructions, in a third of the time.
        before, now, rest = lead[: n - 1], lead[1:], out[1:]
        for i in range(n - 1):
            rest[i] = _crosses_between(before[i], now[i])
        last = lead[n - 1]
    state[0], state[1] = 1.0, last
    return out


@part
def _crosses_between(before, now):
    crosses = 1.0 if (before <= 0.0) & (now > 0.0) else 0.0
    return crosses if (before == before) & (now == now) else np.nan


@kernel
def _bars_since(held, state):
    # state: whether it has held, candles since then; held is 1 or 0
    out = np.empty(len(held))
    ever, count = state[0], state[1]
    for i in range(len(held)):
        count = (count + ever) * (1.0 - held[i])
        ever = max(ever, held[i])
        out[i] = count if ever > 0.0 else np.nan
    state[0], state[1] = ever, count
    return out


@kernel
def _value_when(held, x, state):
    # state: whether there is a value, the value
    out = np.empty(len(held))
    value = state[1] if state[0] > 0.0 else np.nan
    for i in range(len(held)):
        value = x[i] if held[i] > 0.0 else value
        out[i] = value
    state[0], state[1] = 1.0, value
    return out
