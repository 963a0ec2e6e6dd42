"""Prices and what was traded at them: on-balance volume, money flow index, VWAP over a window."""

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.calls import whole_lengths
from strategy.indicators.oscillators import ROUNDING
from strategy.kernel import kernel


def obv(close: Column, volume: Column) -> Column:
    """On-balance volume: the volume of candles that closed higher less that of those that closed
    lower.

    An equal close adds nothing. It begins with the first candle's volume, and anew behind a NaN.
    First valid at index 0. Its height depends on where the history begins, so only differences mean
    something. What the running sum rounds off is carried along, so that a long history is as exact
    as a short one. Source: J. Granville, New Key to Stock Market Profits, 1963. Equals TA-Lib's
    OBV, but for the rounding that gathers there.
    """
    timeframe = same_timeframe("obv", [close, volume])
    return stateful("obv", timeframe, _obv, [close, volume], (), 4)[0]


def mfi(high: Column, low: Column, close: Column, volume: Column, length: int = 14) -> Column:
    """Money flow index, 0 to 100.

    A candle's flow is ``(high + low + close) / 3 * volume``: up if that price is higher than the
    candle before, down if lower, neither if equal but for rounding (1e-13 of the price). ``100 * up
    / (up + down)`` over the last `length` flows. First valid at index `length`. Source: G. Quong
    and A. Soudack, 1989. Equals TA-Lib's MFI, except that a window without any flow gives 50 here
    (no strength either way) and 0 there.
    """
    lengths = whole_lengths("mfi", length=length)
    columns = [high, low, close, volume]
    size = 6 + 4 * int(lengths[0])
    return stateful("mfi", same_timeframe("mfi", columns), _mfi, columns, lengths, size)[0]


def rolling_vwap(
    high: Column, low: Column, close: Column, volume: Column, length: int = 20
) -> Column:
    """Volume-weighted average price of the last `length` candles.

    ``sum((high + low + close) / 3 * volume) / sum(volume)``; NaN where nothing was traded in the
    whole window. First valid at index length - 1. TA-Lib has no such function.
    """
    lengths = whole_lengths("rolling_vwap", length=length)
    columns = [high, low, close, volume]
    timeframe, size = same_timeframe("rolling_vwap", columns), 4 + 4 * int(lengths[0])
    return stateful("rolling_vwap", timeframe, _rolling_vwap, columns, lengths, size)[0]


@kernel
def _obv(close, volume, state):
    # state: whether a candle was there, last close, sum, what the sum has rounded off
    out = np.empty(len(close))
    begun, last, total, lost = state[0], state[1], state[2], state[3]
    for i in range(len(close)):
        both = close[i] + volume[i]
        if both - both != 0.0:
            begun = 0.0
            out[i] = np.nan
            continue
        if begun == 0.0:
            begun, total, lost = 1.0, volume[i], 0.0
        else:
            more = volume[i] * ((close[i] > last) * 1.0 - (close[i] < last) * 1.0)
            before = total
            total = before + more
            added = total - before
            lost += (before - (total - added)) + (more - added)
        last = close[i]
        out[i] = total + lost
    state[0], state[1], state[2], state[3] = begun, last, total, lost
    return out


@kernel
def _mfi(high, low, close, volume, length, state):
    # state: whether a candle was there, its price, then those of the sums
    n = len(close)
    up, down = np.empty(n), np.empty(n)
    begun, last = state[0], state[1]
    for i in range(n):
        price = (high[i] + low[i] + close[i]) / 3.0
        flow = price * volume[i]
        change, least = price - last, ROUNDING * abs(price)
        up[i] = flow * (change > least)
        down[i] = flow * (change < -least)
        if begun == 0.0:
            up[i] = np.nan
        begun = 1.0 if flow - flow == 0.0 else 0.0
        last = price
    state[0], state[1] = begun, last
    _sum_windows(up, down, length, state[2:])
    for i in range(n):
        both = up[i] + down[i]
        up[i] = 50.0 if both == 0.0 else 100.0 * (up[i] / both)
    return up


@kernel
def _rolling_vwap(high, low, close, volume, length, state):
    money, traded = np.empty(len(close)), volume.copy()
    for i in range(len(close)):
        money[i] = (high[i] + low[i] + close[i]) / 3.0 * volume[i]
    _sum_windows(money, traded, length, state)
    for i in range(len(close)):
        money[i] /= traded[i]
    return money


@kernel
def _sum_windows(x, y, length, state):
    # Put the sum of the last `length` values in the place of each value, in two series: the sum of
    # this block of `length` so far, and of what the block before still has in the window. Nothing
    # is subtracted, so a large value that has left leaves no rounding behind, and a window of zeros
    # sums to zero. Two series at a time, since each addition waits for the one before; in place,
    # since fresh memory costs more than the sums.
    # state: place in the block, its sums, whether a block lies behind; then for each series the
    # sums of that one from each place on, and this block's values
    at, x_sum, y_sum, whole = int(state[0]), state[1], state[2], state[3]
    x_rest, x_block = state[4 : 4 + length], state[4 + length : 4 + 2 * length]
    y_rest, y_block = state[4 + 2 * length : 4 + 3 * length], state[4 + 3 * length :]
    for i in range(len(x)):
        both = x[i] + y[i]
        if both - both != 0.0:
            at, x_sum, y_sum, whole = 0, 0.0, 0.0, 0.0
            x[i], y[i] = np.nan, np.nan
            continue
        x_block[at], y_block[at] = x[i], y[i]
        x_sum, y_sum = x_sum + x[i], y_sum + y[i]
        at += 1
        if at < length:
            x[i] = x_sum + x_rest[at] if whole > 0.0 else np.nan
            y[i] = y_sum + y_rest[at]
            continue
        x[i], y[i] = x_sum, y_sum
        x_sum, y_sum = 0.0, 0.0
        for j in range(length - 1, -1, -1):
            x_sum, y_sum = x_sum + x_block[j], y_sum + y_block[j]
            x_rest[j], y_rest[j] = x_sum, y_sum
        at, x_sum, y_sum, whole = 0, 0.0, 0.0, 1.0
    state[0], state[1], state[2], state[3] = at, x_sum, y_sum, whole
