"""Lines that follow a price and turn with it: Supertrend and parabolic SAR."""

from typing import NamedTuple

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.calls import number
from strategy.indicators.volatility import atr
from strategy.kernel import kernel


class Supertrend(NamedTuple):
    """The line, in price, and its direction: +1 below a rising price, -1 above a falling one."""

    line: Column
    direction: Column


def supertrend(
    high: Column, low: Column, close: Column, length: int = 10, multiple: float = 3.0
) -> Supertrend:
    """Supertrend: a stop that follows the price at some average true ranges and never gives way.

    The bands are ``(high + low) / 2 ± multiple * atr(high, low, close, length)``. The lower one
    rises freely, and falls only behind a close below it; the upper one mirrors it. A falling
    trend turns at a close above this candle's upper band, a rising one at a close below the lower
    band; the line is the lower band of a rising trend, the upper one of a falling trend. The first
    trend is falling. First valid at index `length`. Source: O. Seban; the rules are those of
    ta.supertrend in Pine Script, whose direction has the other sign. TA-Lib has no such function.

    Raises
    ------
    WickError
        `multiple` is not a number from 0 to 1000.
    """
    times = number("supertrend", "multiple", multiple, 0.0, 1000.0)
    spread = atr(high, low, close, length)
    columns = [high, low, close, spread]
    timeframe = same_timeframe("supertrend", columns)
    return Supertrend(*stateful("supertrend", timeframe, _supertrend, columns, (times,), 4))


def parabolic_sar(high: Column, low: Column, step: float = 0.02, maximum: float = 0.2) -> Column:
    """Parabolic stop and reverse, in price.

    The stop moves by ``factor * (extreme - stop)`` a candle, where the extreme is the trend's
    highest high (lowest low) and the factor grows by `step` with each new extreme, up to `maximum`;
    it never enters the range of the last two candles. A touch turns the trend, and the stop is
    then the old trend's extreme. The first trend is falling if the second candle's low goes
    further down than its high goes up, else rising; its stop is the first candle's high or low.
    First valid at index 1. It remembers its trend for ever, so it depends on where the history
    begins until both histories have turned at the same candle. Source: J. W. Wilder, New Concepts
    in Technical Trading Systems, 1978, which leaves the first trend open. Equals TA-Lib's SAR.

    Raises
    ------
    WickError
        `step` or `maximum` is not a number from 0 to 1.
    """
    numbers = (
        number("parabolic_sar", "step", step, 0.0, 1.0),
        number("parabolic_sar", "maximum", maximum, 0.0, 1.0),
    )
    timeframe = same_timeframe("parabolic_sar", [high, low])
    return stateful("parabolic_sar", timeframe, _parabolic_sar, [high, low], numbers, 7)[0]


@kernel
def _supertrend(high, low, close, spread, multiple, state):
    # state: direction (0 before the first), bands, last close
    n = len(close)
    line, direction = np.empty(n), np.empty(n)
    way, upper, lower, last = state[0], state[1], state[2], state[3]
    for i in range(n):
        if spread[i] != spread[i]:
            way = 0.0
            line[i], direction[i] = np.nan, np.nan
            continue
        middle, reach = (high[i] + low[i]) / 2.0, multiple * spread[i]
        top, bottom = middle + reach, middle - reach
        if way == 0.0:
            way, upper, lower = -1.0, top, bottom
        else:
            upper = top if (top < upper) | (last > upper) else upper
            lower = bottom if (bottom > lower) | (last < lower) else lower
            if way < 0.0:
                way = 1.0 if close[i] > upper else -1.0
            else:
                way = -1.0 if close[i] < lower else 1.0
        last = close[i]
        line[i], direction[i] = lower if way > 0.0 else upper, way
    state[0], state[1], state[2], state[3] = way, upper, lower, last
    return line, direction


@kernel
def _parabolic_sar(high, low, step, maximum, state):
    # A falling trend is a rising one seen upside down, so all but high, low and out are written
    # for a rising one. state: candles since the start (2 is enough), last high and low, side,
    # stop, extreme, factor
    out = np.empty(len(high))
    seen, last_high, last_low = state[0], state[1], state[2]
    side, stop, extreme, factor = state[3], state[4], state[5], state[6]
    slowest = min(step, maximum)
    for i in range(len(high)):
        out[i] = np.nan
        total = high[i] + low[i]
        if total - total != 0.0:
            seen = 0.0
            continue
        if seen == 0.0:
            seen, last_high, last_low = 1.0, high[i], low[i]
            continue
        if seen == 1.0:
            down = last_low - low[i]
            side = -1.0 if (down > 0.0) & (down > high[i] - last_high) else 1.0
            stop = last_low if side > 0.0 else -last_high
            extreme, factor, seen = high[i] if side > 0.0 else -low[i], slowest, 2.0
            last_high, last_low = high[i], low[i]  # the first range does not bound the stop
        top, bottom = (high[i], low[i]) if side > 0.0 else (-low[i], -high[i])
        last_bottom = last_low if side > 0.0 else -last_high
        if bottom <= stop:
            side = -side
            top, bottom = -bottom, -top
            last_bottom = last_low if side > 0.0 else -last_high
            stop = min(-extreme, last_bottom, bottom)
            extreme, factor = top, slowest
            out[i] = side * stop
        else:
            out[i] = side * stop
            if top > extreme:
                extreme, factor = top, min(factor + step, maximum)
        stop = min(stop + factor * (extreme - stop), last_bottom, bottom)
        last_high, last_low = high[i], low[i]
    state[0], state[1], state[2] = seen, last_high, last_low
    state[3], state[4], state[5], state[6] = side, stop, extreme, factor
    return out
