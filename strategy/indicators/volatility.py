"""How far a price swings."""

import numpy as np

from strategy.column import Column
from strategy.indicators.averages import smooth
from strategy.indicators.calls import one
from strategy.kernel import kernel


def atr(high: Column, low: Column, close: Column, length: int = 14) -> Column:
    """Average true range, in price, with Wilder's smoothing.

    True range is ``max(high, previous close) - min(low, previous close)``, from the second candle
    on; its average starts from the plain mean of the first `length`. First valid at index `length`.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's ATR.
    """
    return one("atr", _atr, [high, low, close], length, state_size=3)


@kernel
def _atr(high, low, close, length, state):
    n, i = len(close), 0
    out = np.empty(n)
    seen, value = state[0], state[2]
    spread = true_range(high, low, close, state[1])
    b = 1.0 / length
    a = (length - 1.0) * b
    while i < n:
        while i < n and seen <= length:  # `length` ranges need one close more
            out[i] = np.nan
            total = high[i] + low[i] + close[i]
            if total - total != 0.0:
                seen, value = 0.0, 0.0
            else:
                if seen > 0.0:
                    value += spread[i]
                seen += 1.0
                if seen > length:
                    value /= length
                    out[i] = value
            i += 1
        i, value = smooth(spread, i, a, b, value, out)
        if value != value:  # a NaN came in: start anew behind it
            seen, value = 0.0, 0.0
    state[0], state[2] = seen, value
    if n > 0:
        state[1] = close[n - 1]
    return out


@kernel
def true_range(high, low, close, last):
    out = np.empty(len(close))
    for i in range(len(close)):
        before = close[i - 1] if i > 0 else last
        # max and min may drop a NaN, so the inputs are looked at themselves
        total = high[i] + low[i] + close[i]
        out[i] = max(high[i], before) - min(low[i], before) if total - total == 0.0 else np.nan
    return out
