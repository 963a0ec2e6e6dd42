"""How far a price is from where it usually is: CCI."""

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.calls import whole_lengths
from strategy.indicators.past import with_past
from strategy.kernel import kernel

# Three decimals that add up to the same may differ by some 1e-16 of it as doubles.
ROUNDING = 1e-13


def cci(high: Column, low: Column, close: Column, length: int = 20) -> Column:
    """Commodity channel index: the distance from the mean in units of the usual distance.

    ``(price - mean) / (0.015 * mean of abs(price - mean))``, where price is ``(high + low + close)
    / 3``, mean the one over the last `length` prices, and the lower mean that over the same prices;
    0 if they are all equal but for rounding (1e-13 of the price). First valid at index length - 1.
    NaN as long as it looks at a NaN. Each value is made from its own window alone, which takes
    `length` steps, live too. Source: D. Lambert, Commodities, October 1980. Equals TA-Lib's CCI.
    """
    lengths = whole_lengths("cci", length=length)
    timeframe = same_timeframe("cci", [high, low, close])
    return stateful("cci", timeframe, _cci, [high, low, close], lengths, 1 + int(lengths[0]))[0]


@kernel
def _cci(high, low, close, length, state):
    price = np.empty(len(close))
    for i in range(len(close)):
        price[i] = (high[i] + low[i] + close[i]) / 3.0
    joined, filled = with_past(price, state[: 1 + length])
    out = np.empty(len(close))
    cold = min(max(length - 1 - filled, 0), len(out))
    out[:cold] = np.nan
    # Lag by lag over some candles at once, which a processor does four or eight at a time; a sum
    # over one candle's window would wait for each addition. Each window is summed newest first.
    for begin in range(cold, len(out), 512):
        stop = min(begin + 512, len(out))
        _index(joined[: filled + stop], length, out[begin:stop])
    return out


@kernel
def _index(x, length, out):
    # Distances from the newest price instead of prices: equal prices then have a mean of exactly 0.
    n = len(out)
    newest = x[len(x) - n :]
    mean, spread = newest - newest, np.empty(n)  # 0, but NaN where the newest is
    for lag in range(1, length):
        old = x[len(x) - n - lag :]
        for i in range(n):
            mean[i] += old[i] - newest[i]
    for i in range(n):
        mean[i] /= length
        spread[i] = abs(mean[i])
    for lag in range(1, length):
        old = x[len(x) - n - lag :]
        for i in range(n):
            spread[i] += abs((old[i] - newest[i]) - mean[i])
    for i in range(n):
        usual = spread[i] / length
        equal = usual <= ROUNDING * abs(newest[i])
        out[i] = 0.0 if equal else -mean[i] / (0.015 * usual)
