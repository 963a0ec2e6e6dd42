"""How far a price swings: true range, bands and channels, realized volatility."""

from typing import NamedTuple

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.averages import ema, sma, smooth
from strategy.indicators.by_value import logarithms
from strategy.indicators.calls import number, one, whole_lengths
from strategy.indicators.rolling import rolling_max, rolling_min, rolling_std
from strategy.kernel import kernel
from strategy.timeframes import DAY_MS, YEAR_DAYS, timeframe_ms


class Bands(NamedTuple):
    """The three columns of a band or channel around a price."""

    upper: Column
    middle: Column
    lower: Column


def true_range(high: Column, low: Column, close: Column) -> Column:
    """True range, in price: ``max(high, previous close) - min(low, previous close)``.

    First valid at index 1. No value at a candle with a NaN or an infinity, nor after such a close.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's TRANGE.
    """
    columns = [high, low, close]
    timeframe = same_timeframe("true_range", columns)
    return stateful("true_range", timeframe, _true_range, columns, (), 2)[0]


def atr(high: Column, low: Column, close: Column, length: int = 14) -> Column:
    """Average true range, in price, with Wilder's smoothing.

    True range is ``max(high, previous close) - min(low, previous close)``, from the second candle
    on; its average starts from the plain mean of the first `length`. First valid at index `length`.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's ATR.
    """
    return one("atr", _atr, [high, low, close], length, state_size=3)


def bollinger(x: Column, length: int = 20, multiple: float = 2.0) -> Bands:
    """Bollinger bands: `sma` over `length`, and `multiple` standard deviations above and below.

    The deviation is `rolling_std`, that of the population. First valid at index length - 1. A NaN
    or an infinity starts them anew. Source: J. Bollinger, Bollinger on Bollinger Bands, 2001.
    Equals TA-Lib's BBANDS with a simple average.
    """
    width = number("bollinger", "multiple", multiple, 0.0, 1000.0) * rolling_std(x, length)
    middle = sma(x, length)
    return Bands(middle + width, middle, middle - width)


def keltner(
    high: Column,
    low: Column,
    close: Column,
    length: int = 20,
    multiple: float = 2.0,
    atr_length: int = 10,
) -> Bands:
    """Keltner channel: `ema` of the close over `length`, and `multiple` average true ranges above
    and below.

    The range is `atr` over `atr_length`, with Wilder's smoothing. The middle is first valid at
    index length - 1, the bands where `atr` is valid too, at index `atr_length`. A NaN or an
    infinity starts the averages it is in anew. This is L. Raschke's form, which charts show today;
    C. Keltner's own (How To Make Money in Commodities, 1960) took simple averages of typical price
    and range over 10 days. TA-Lib has none.
    """
    whole_lengths("keltner", length=length, atr_length=atr_length)
    times = number("keltner", "multiple", multiple, 0.0, 1000.0)
    middle = ema(close, length)
    width = times * atr(high, low, close, atr_length)
    return Bands(middle + width, middle, middle - width)


def donchian(high: Column, low: Column, length: int = 20) -> Bands:
    """Donchian channel: the highest high and the lowest low of the last `length` candles, and the
    middle between them.

    This candle is included, so its close is never outside; a breakout is a close above the channel
    as it was a candle ago: ``close > previous(donchian(high, low).upper)``. First valid at index
    length - 1. A NaN or an infinity starts the side it is in anew. TA-Lib has none but MAX and MIN,
    which these equal.
    """
    upper, lower = rolling_max(high, length), rolling_min(low, length)
    return Bands(upper, (upper + lower) / 2.0, lower)


def realized_volatility(x: Column, length: int = 30) -> Column:
    """Standard deviation of the last `length` log returns, as a fraction a year: 0.6 is 60 %.

    The sample's deviation (divided by length - 1) of ``log(x / x before)``, times the square root
    of the candles in 365 days, by the column's timeframe. `length` is at least 2. First valid at
    index `length`. A return over missing candles counts as one. A NaN, an infinity or a value not
    above 0 starts it anew. Source: J. Hull, Options, Futures, and Other Derivatives, chapter on
    the Black-Scholes-Merton model. TA-Lib has none.
    """
    (n,) = whole_lengths("realized_volatility", least=2, length=length)
    returns = one("log_returns", _log_returns, [x], 1, state_size=2)
    year = YEAR_DAYS * DAY_MS / timeframe_ms(x.timeframe)
    return rolling_std(returns, n) * float(np.sqrt(year * n / (n - 1)))


@kernel
def _log_returns(x, length, state):
    ratio = np.empty(len(x))
    for i in range(len(x)):
        before = x[i - 1] if i > 0 else state[1]
        known = i > 0 or state[0] > 0.0
        # A ratio of two negative numbers is no growth.
        ratio[i] = x[i] / before if known and before > 0.0 else np.nan
    if len(x) > 0:
        state[0], state[1] = 1.0, x[-1]
    return logarithms(ratio)


@kernel
def _true_range(high, low, close, state):
    out = ranges(high, low, close, state[1])
    for i in range(len(close)):
        before = close[i - 1] if i > 0 else state[1]
        known = i > 0 or state[0] > 0.0
        out[i] = out[i] if known and before - before == 0.0 else np.nan
    if len(close) > 0:
        state[0], state[1] = 1.0, close[-1]
    return out


@kernel
def _atr(high, low, close, length, state):
    n, i = len(close), 0
    out = np.empty(n)
    seen, value = state[0], state[2]
    spread = ranges(high, low, close, state[1])
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
def ranges(high, low, close, last):
    out = np.empty(len(close))
    for i in range(len(close)):
        before = close[i - 1] if i > 0 else last
        # max and min may drop a NaN, so the inputs are looked at themselves
        total = high[i] + low[i] + close[i]
        out[i] = max(high[i], before) - min(low[i], before) if total - total == 0.0 else np.nan
    return out
