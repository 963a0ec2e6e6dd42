"""How firmly a price goes one way: ADX and Aroon."""

from typing import NamedTuple

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.indicators.averages import wilder
from strategy.indicators.calls import whole_lengths
from strategy.indicators.volatility import ranges
from strategy.kernel import kernel


class Adx(NamedTuple):
    """The average directional index and the two directional indicators, 0 to 100."""

    adx: Column
    plus_di: Column
    minus_di: Column


class Aroon(NamedTuple):
    """Aroon up and down, 0 to 100, and up less down."""

    up: Column
    down: Column
    oscillator: Column


def adx(high: Column, low: Column, close: Column, length: int = 14) -> Adx:
    """Average directional index, with Wilder's smoothing.

    A candle's upward movement is ``high - previous high`` where that is positive and more than
    ``previous low - low``, else 0; downward movement mirrors it. ``plus_di = 100 * average upward
    movement / average true range``, ``minus_di`` likewise, and adx is the average of ``100 *
    abs(plus_di - minus_di) / (plus_di + minus_di)``. All averages start from the plain mean of
    `length` values, as in the book. First valid at index `length` (plus_di, minus_di) and 2 *
    length - 1 (adx). Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978.

    TA-Lib starts its sums one value short, so its ADX, PLUS_DI and MINUS_DI agree to 1e-9 only
    after about 24 lengths. A market without any movement gives 0 here in all three; there ADX
    stays as it was.
    """
    lengths = whole_lengths("adx", length=length)
    columns = [high, low, close]
    timeframe = same_timeframe("adx", columns)
    plus, minus, index = stateful("adx", timeframe, _directional, columns, lengths, 7)
    return Adx(wilder(index, length), plus, minus)


def aroon(high: Column, low: Column, length: int = 14) -> Aroon:
    """Aroon: how long ago the highest high and the lowest low were.

    ``up = 100 * (length - candles since the highest high) / length`` over this candle and the
    `length` before it, `down` with the lowest low, ``oscillator = up - down``. Of equal highs or
    lows the newest counts. First valid at index `length`. Source: T. Chande, 1995. Equals TA-Lib's
    AROON and AROONOSC.
    """
    lengths = whole_lengths("aroon", length=length)
    timeframe = same_timeframe("aroon", [high, low])
    size = 2 * (4 + 3 * (int(lengths[0]) + 1))
    return Aroon(*stateful("aroon", timeframe, _aroon, [high, low], lengths, size))


@kernel
def _directional(high, low, close, length, state):
    # state: candles since the start, last high, low and close, averages of up, down and true range
    n = len(close)
    plus_di, minus_di, index = np.empty(n), np.empty(n), np.empty(n)
    spread = ranges(high, low, close, state[3])
    seen, last_high, last_low = state[0], state[1], state[2]
    plus, minus, wide = state[4], state[5], state[6]
    b = 1.0 / length
    a = (length - 1.0) * b
    for i in range(n):
        total = high[i] + low[i] + close[i]
        if total - total != 0.0:
            seen, plus, minus, wide = 0.0, 0.0, 0.0, 0.0
            plus_di[i], minus_di[i], index[i] = np.nan, np.nan, np.nan
            continue
        up, down = high[i] - last_high, last_low - low[i]
        last_high, last_low = high[i], low[i]
        rise = up if (up > down) & (up > 0.0) else 0.0
        fall = down if (down > up) & (down > 0.0) else 0.0
        if seen > length:
            plus = plus * a + rise * b
            minus = minus * a + fall * b
            wide = wide * a + spread[i] * b
        else:
            if seen > 0.0:
                plus, minus, wide = plus + rise, minus + fall, wide + spread[i]
            seen += 1.0
            if seen <= length:
                plus_di[i], minus_di[i], index[i] = np.nan, np.nan, np.nan
                continue
            plus, minus, wide = plus / length, minus / length, wide / length
        plus_di[i] = 100.0 * (plus / wide) if wide > 0.0 else 0.0
        minus_di[i] = 100.0 * (minus / wide) if wide > 0.0 else 0.0
        both = plus + minus
        index[i] = 100.0 * (abs(plus - minus) / both) if both > 0.0 else 0.0
    state[0], state[1], state[2] = seen, last_high, last_low
    state[4], state[5], state[6] = plus, minus, wide
    if n > 0:
        state[3] = close[n - 1]
    return plus_di, minus_di, index


@kernel
def _aroon(high, low, length, state):
    half = len(state) // 2
    up = _extreme_age(high, 1.0, length + 1, state[:half])
    down = _extreme_age(low, -1.0, length + 1, state[half:])
    oscillator = np.empty(len(up))
    for i in range(len(up)):
        up[i] = 100.0 * (length - up[i]) / length
        down[i] = 100.0 * (length - down[i]) / length
        oscillator[i] = up[i] - down[i]
    return up, down, oscillator


@kernel
def _extreme_age(x, side, span, state):
    # How many candles ago the highest of the last `span` values of side * x was, the newest of
    # equals. It is the highest of this block of `span` values so far, or of what the block before
    # still has in the window; no branch depends on a price.
    # state: place in the block, its highest and where, whether a block lies behind; the highest of
    # that one from each place on, and where; this block's values
    out = np.empty(len(x))
    at, best, where, whole = int(state[0]), state[1], state[2], state[3]
    rest, its, block = state[4 : 4 + span], state[4 + span : 4 + 2 * span], state[4 + 2 * span :]
    for i in range(len(x)):
        value = side * x[i]
        if value - value != 0.0:
            at, whole = 0, 0.0
            out[i] = np.nan
            continue
        block[at] = value
        newer = (at == 0) | (value >= best)
        best = value if newer else best
        where = at if newer else where
        at += 1
        if at < span:
            place = where if best >= rest[at] else its[at] - span
            out[i] = at - 1 - place if whole > 0.0 else np.nan
            continue
        out[i] = span - 1 - where
        best = -np.inf
        for j in range(span - 1, -1, -1):
            newer = block[j] > best
            best = block[j] if newer else best
            where = j if newer else where
            rest[j], its[j] = best, where
        at, whole = 0, 1.0
    state[0], state[1], state[2], state[3] = at, best, where, whole
    return out
