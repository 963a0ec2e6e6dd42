"""Values of the running session, such as a UTC day, so far."""

from typing import Any

import numpy as np

from strategy.candles import Candles, HigherCandles
from strategy.column import Column, stateful
from strategy.errors import WickError
from strategy.kernel import kernel
from strategy.timeframes import timeframe_ms, timeframe_offset_ms


def session_high(c: Candles | HigherCandles, session: str = "1d") -> Column:
    """Highest high of the running session so far, this candle's included.

    A session is a UTC window such as 1h, 1d or 1w (from Monday on) and begins with the first candle
    at or after its boundary, whatever candles are missing around it. First valid at the first
    candle, if it opens on a boundary, else with the next session: one that began before the history
    has no value. A NaN holds until the session's end. TA-Lib has no such function.

    The session before is had from its candles: ``d = c.resample("1d")``, then ``d.align(d.high)``;
    at the close of a session's last candle that is known to be this session's own.

    Raises
    ------
    WickError
        `c` is no candles, or the session is not a multiple of their timeframe.
    """
    return _on_sessions("session_high", c, ("high",), session, _extreme, (1,))


def session_low(c: Candles | HigherCandles, session: str = "1d") -> Column:
    """Lowest low of the running session so far, this candle's included.

    Sessions, the first valid value, NaN and errors are those of `session_high`: first valid at the
    first candle that opens on a boundary or with the next session. The low of the session before is
    ``d.align(d.low)`` with ``d = c.resample("1d")``. TA-Lib has no such function.
    """
    return _on_sessions("session_low", c, ("low",), session, _extreme, (-1,))


def session_vwap(c: Candles | HigherCandles, session: str = "1d") -> Column:
    """Volume-weighted average price of the running session so far, this candle included.

    ``sum((high + low + close) / 3 * volume) / sum(volume)``; NaN until something is traded in the
    session. The sums begin anew with each session, so rounding does not pile up. Sessions, the
    first valid value, NaN and errors are those of `session_high`: first valid at the first candle
    that opens on a boundary or with the next session. TA-Lib has no such function.
    """
    fields = ("high", "low", "close", "volume")
    return _on_sessions("session_vwap", c, fields, session, _vwap)


def _on_sessions(
    name: str,
    c: Candles | HigherCandles,
    fields: tuple[str, ...],
    session: str,
    function: Any,
    scalars: tuple[int, ...] = (),
) -> Column:
    if not isinstance(c, Candles | HigherCandles):
        raise WickError(
            f"{name} was given {type(c).__name__}, expected candles",
            f'pass the candles themselves: {name}(c, "1d")',
        )
    length, offset = timeframe_ms(session), timeframe_offset_ms(session)
    step = timeframe_ms(c.timeframe)
    if length % step or (offset - timeframe_offset_ms(c.timeframe)) % step:
        raise WickError(
            f"{name}: a session of {session} is not a multiple of {c.timeframe} candles",
            f"choose a multiple of {c.timeframe}, such as 1d or 1w",
        )
    opens, key = c._opens()
    return stateful(
        name,
        c.timeframe,
        function,
        [getattr(c, field) for field in fields],
        (length, offset, *scalars),
        4,
        extra=(opens,),
        extra_key=key,
    )[0]


@kernel
def _extreme(x, opens, length, offset, side, state):
    # The highest of side * x. state: whether a session is known, its end, its extreme
    out = np.empty(len(x))
    begun, end, best = state[0], np.int64(state[1]), state[2]
    for i in range(len(x)):
        value = side * x[i]
        if begun == 0.0 or opens[i] >= end:
            boundary = opens[i] - (opens[i] - offset) % length
            end = boundary + length
            # A session that began before the history stays NaN: nothing is higher than NaN.
            best = value if begun > 0.0 or opens[i] == boundary else np.nan
            begun = 1.0
        best = value if (value > best) | (value != value) else best
        out[i] = side * best
    state[0], state[1], state[2] = begun, end, best
    return out


@kernel
def _vwap(high, low, close, volume, opens, length, offset, state):
    # state: whether a session is known, its end, its sums
    out = np.empty(len(high))
    begun, end, money, traded = state[0], np.int64(state[1]), state[2], state[3]
    for i in range(len(high)):
        if begun == 0.0 or opens[i] >= end:
            boundary = opens[i] - (opens[i] - offset) % length
            end = boundary + length
            # A session that began before the history stays NaN, as its sums do.
            money = 0.0 if begun > 0.0 or opens[i] == boundary else np.nan
            traded = 0.0
            begun = 1.0
        money += (high[i] + low[i] + close[i]) / 3.0 * volume[i]
        traded += volume[i]
        out[i] = money / traded
    state[0], state[1], state[2], state[3] = begun, end, money, traded
    return out
