"""Indicators: each one loop over candles that can stop and go on.

Every function takes columns and returns columns. The same compiled loop runs over a whole history
and over one live candle; what it must remember lies in a small array of numbers kept by the tape.
Leading NaN of an input are skipped; a NaN or an infinity further on starts an average anew, while
`previous`, `roc` and `stochastic` have no value as long as they look at a NaN. Values that are not
warm are NaN.
"""

from typing import Any, NamedTuple

import numpy as np

from strategy import tape
from strategy.column import Column, elementwise, same_timeframe, stateful
from strategy.errors import WickError
from strategy.kernel import kernel


class Macd(NamedTuple):
    """The three columns of MACD."""

    line: Column
    signal: Column
    histogram: Column


class Stochastic(NamedTuple):
    """The two columns of the stochastic oscillator, 0 to 100."""

    k: Column
    d: Column


def sma(x: Column, length: int) -> Column:
    """Simple moving average: the mean of the last `length` values.

    First valid at index length - 1. The running sum is taken anew every `length` values, so
    rounding does not pile up. Equals TA-Lib's SMA.
    """
    return _one("sma", _sma, [x], length, state_size=4 + length)


def ema(x: Column, length: int) -> Column:
    """Exponential moving average with factor 2 / (length + 1), started from the mean of the first
    `length` values.

    First valid at index length - 1. Equals TA-Lib's EMA; pandas' ewm(adjust=False) starts from the
    first value and meets it only after some lengths.
    """
    return _one("ema", _ema, [x], length, state_size=2)


def rsi(x: Column, length: int = 14) -> Column:
    """Relative strength index, 0 to 100, with Wilder's smoothing.

    ``100 * gain / (gain + loss)``; gain and loss start from the plain mean of the first `length`
    changes and go on as ``(before * (length - 1) + now) / length``. First valid at index `length`.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's RSI,
    except that a market without any change gives 50 here (no strength either way) and 0 there.
    """
    return _one("rsi", _rsi, [x], length, state_size=4)


def atr(high: Column, low: Column, close: Column, length: int = 14) -> Column:
    """Average true range, in price, with Wilder's smoothing.

    True range is ``max(high, previous close) - min(low, previous close)``, from the second candle
    on; its average starts from the plain mean of the first `length`. First valid at index `length`.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's ATR.
    """
    return _one("atr", _atr, [high, low, close], length, state_size=3)


def roc(x: Column, length: int = 10) -> Column:
    """Rate of change in percent over `length` candles: ``100 * (x / x before - 1)``.

    First valid at index `length`. Equals TA-Lib's ROC; a zero in the past gives inf or NaN here and
    0 there.
    """
    return _one("roc", _roc, [x], length, state_size=1 + length)


def macd(x: Column, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Moving average convergence and divergence: line, signal line, and their difference.

    ``line = ema(x, fast) - ema(x, slow)``, ``signal = ema(line, signal)``, ``histogram = line -
    signal``. Every average starts from the mean of its own first values. The line is first valid at
    index slow - 1, signal and histogram at slow + signal - 2. TA-Lib seeds the fast average later;
    the two agree to 1e-9 of the price after about 110 candles at the default lengths.

    Raises
    ------
    WickError
        `fast` is not shorter than `slow`.
    """
    if fast >= slow:
        raise WickError(
            f"macd: fast is {fast}, expected less than slow ({slow})",
            "choose a shorter fast length",
        )
    lengths = _lengths("macd", fast=fast, slow=slow, signal=signal)
    timeframe = same_timeframe("macd", [x])
    return Macd(*stateful("macd", timeframe, _macd, [x], lengths, 5))


def stochastic(
    high: Column, low: Column, close: Column, length: int = 14, smooth: int = 3, signal: int = 3
) -> Stochastic:
    """Stochastic oscillator: where the close stands between the lowest low and the highest high.

    Raw K is ``100 * (close - lowest) / (highest - lowest)`` over `length` candles; k is its mean
    over `smooth`, d the mean of k over `signal`. First valid at length + smooth - 2 (k) and that +
    signal - 1 (d). Source: G. Lane. Equals TA-Lib's STOCH with simple averages, except that a
    market without range gives 50 here (neither high nor low) and 0 there.
    """
    lengths = _lengths("stochastic", length=length, smooth=smooth, signal=signal)
    columns = [high, low, close]
    timeframe = same_timeframe("stochastic", columns)
    raw = stateful("stochastic", timeframe, _raw_stochastic, columns, lengths[:1], 2 + 2 * length)[
        0
    ]
    k = sma(raw, smooth)
    return Stochastic(k, sma(k, signal))


def previous(x: Column, n: int = 1) -> Column:
    """The value `n` candles ago, NaN included. First valid at index `n`."""
    return _one("previous", _previous, [x], n, state_size=1 + n)


def sqrt(x: Column) -> Column:
    """Square root, value by value; NaN below zero."""
    return elementwise("sqrt", np.sqrt, x)


def minimum(a: Any, b: Any) -> Column:
    """The smaller of two, value by value; NaN if one is NaN."""
    return elementwise("minimum", np.minimum, a, b)


def maximum(a: Any, b: Any) -> Column:
    """The larger of two, value by value; NaN if one is NaN."""
    return elementwise("maximum", np.maximum, a, b)


def where(condition: Column, a: Any, b: Any) -> Column:
    """`a` where the condition holds, else `b`, value by value."""
    return elementwise("where", np.where, condition, a, b)


def _one(name: str, function: Any, columns: list[Column], length: int, state_size: int) -> Column:
    lengths = _lengths(name, length=length)
    timeframe = same_timeframe(name, columns)
    return stateful(name, timeframe, function, columns, lengths, state_size)[0]


def _lengths(name: str, **lengths: Any) -> tuple[tape.Scalar, ...]:
    for word, value in lengths.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 1 <= value <= 100_000:
            raise WickError(
                f"{name}: {word} is {value!r}, expected a whole number from 1 to 100000",
                "--set another one, or mend Params: a length is an int such as 14",
            )
    return tuple(int(value) for value in lengths.values())


@kernel
def _smooth(x, begin, a, b, value, out):
    # out[i] = out[i - 1] * a + x[i] * b from `begin` up to a NaN; returns the position behind and
    # the last value. Each value waits six cycles for the one before, so four pieces run side by
    # side; the later ones begin early, from a guess, which is soon forgotten to the last bit. Where
    # it is not, the plain loop does it again: the result is always the plain loop's.
    n = len(out)
    piece, early = (n - begin) // 4, int(64.0 / b)
    if piece > 2 * early:
        x0, o0 = x[begin:], out[begin:]
        x1, o1 = x0[piece:], o0[piece:]
        x2, o2 = x1[piece:], o1[piece:]
        x3, o3 = x2[piece:], o2[piece:]
        v0, v1, v2, v3 = value, value, value, value
        for i in range(piece - early, piece):
            v1, v2, v3 = v1 * a + x0[i] * b, v2 * a + x1[i] * b, v3 * a + x2[i] * b
        guess1, guess2, guess3 = v1, v2, v3
        for i in range(piece):
            v0, v1 = v0 * a + x0[i] * b, v1 * a + x1[i] * b
            v2, v3 = v2 * a + x2[i] * b, v3 * a + x3[i] * b
            o0[i], o1[i], o2[i], o3[i] = v0, v1, v2, v3
        if v0 == guess1 and v1 == guess2 and v2 == guess3 and v3 - v3 == 0.0:
            begin += 4 * piece
            value = v3
    for i in range(begin, n):
        value = value * a + x[i] * b
        if value - value != 0.0:  # NaN or infinite
            out[i] = np.nan
            return i + 1, np.nan
        out[i] = value
    return n, value


@kernel
def _ema(x, length, state):
    n, i = len(x), 0
    out = np.empty(n)
    seen, value = state[0], state[1]
    b = 2.0 / (length + 1.0)
    a = 1.0 - b
    while i < n:
        while i < n and seen < length:  # the mean of the first values
            if x[i] - x[i] == 0.0:
                value += x[i]
                seen += 1.0
            else:
                seen, value = 0.0, 0.0
            out[i] = np.nan
            if seen == length:
                value /= length
                out[i] = value
            i += 1
        i, value = _smooth(x, i, a, b, value, out)
        if value != value:  # a NaN came in: start anew behind it
            seen, value = 0.0, 0.0
    state[0], state[1] = seen, value
    return out


@kernel
def _rsi(x, length, state):
    n, i = len(x), 0
    out = np.empty(n)
    seen, last, gain, loss = state[0], state[1], state[2], state[3]
    b = 1.0 / length
    a = (length - 1.0) * b
    while i < n:
        while i < n and seen <= length:  # `length` changes need one value more
            out[i] = np.nan
            if x[i] - x[i] != 0.0:
                seen, gain, loss = 0.0, 0.0, 0.0
            else:
                if seen > 0.0:
                    gain += max(x[i] - last, 0.0)
                    loss += max(last - x[i], 0.0)
                last = x[i]
                seen += 1.0
                if seen > length:
                    gain /= length
                    loss /= length
                    total = gain + loss
                    out[i] = 100.0 * gain / total if total > 0.0 else 50.0
            i += 1
        while i < n:
            change = x[i] - last
            if change - change != 0.0:
                out[i] = np.nan
                seen, gain, loss = 0.0, 0.0, 0.0
                i += 1
                break
            last = x[i]
            gain = gain * a + max(change, 0.0) * b
            loss = loss * a + max(-change, 0.0) * b
            total = gain + loss
            out[i] = 100.0 * gain / total if total > 0.0 else 50.0
            i += 1
    state[0], state[1], state[2], state[3] = seen, last, gain, loss
    return out


@kernel
def _true_range(high, low, close, last):
    out = np.empty(len(close))
    for i in range(len(close)):
        before = close[i - 1] if i > 0 else last
        # max and min may drop a NaN, so the inputs are looked at themselves
        total = high[i] + low[i] + close[i]
        out[i] = max(high[i], before) - min(low[i], before) if total - total == 0.0 else np.nan
    return out


@kernel
def _atr(high, low, close, length, state):
    n, i = len(close), 0
    out = np.empty(n)
    seen, value = state[0], state[2]
    spread = _true_range(high, low, close, state[1])
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
        i, value = _smooth(spread, i, a, b, value, out)
        if value != value:  # a NaN came in: start anew behind it
            seen, value = 0.0, 0.0
    state[0], state[2] = seen, value
    if n > 0:
        state[1] = close[n - 1]
    return out


@kernel
def _macd(x, fast, slow, signal, state):
    n, i = len(x), 0
    line, smooth, histogram = np.empty(n), np.empty(n), np.empty(n)
    seen, quick, lazy, lines, mean = state[0], state[1], state[2], state[3], state[4]
    qb, lb, sb = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
    qa, la, sa = 1.0 - qb, 1.0 - lb, 1.0 - sb
    while i < n:
        while i < n and lines < signal:
            line[i], smooth[i], histogram[i] = np.nan, np.nan, np.nan
            if x[i] - x[i] != 0.0:
                seen, quick, lazy, lines, mean = 0.0, 0.0, 0.0, 0.0, 0.0
                i += 1
                continue
            quick = quick + x[i] if seen < fast else quick * qa + x[i] * qb
            lazy = lazy + x[i] if seen < slow else lazy * la + x[i] * lb
            seen += 1.0
            if seen == fast:
                quick /= fast
            if seen == slow:
                lazy /= slow
            if seen >= slow:
                line[i] = quick - lazy
                mean += line[i]
                lines += 1.0
                if lines == signal:
                    mean /= signal
                    smooth[i], histogram[i] = mean, line[i] - mean
            i += 1
        while i < n:
            quick = quick * qa + x[i] * qb
            lazy = lazy * la + x[i] * lb
            value = quick - lazy
            mean = mean * sa + value * sb
            line[i], smooth[i], histogram[i] = value, mean, value - mean
            i += 1
            if mean - mean != 0.0:
                line[i - 1], smooth[i - 1], histogram[i - 1] = np.nan, np.nan, np.nan
                seen, quick, lazy, lines, mean = 0.0, 0.0, 0.0, 0.0, 0.0
                break
    state[0], state[1], state[2], state[3], state[4] = seen, quick, lazy, lines, mean
    return line, smooth, histogram


@kernel
def _with_past(x, state):
    # Put the remembered values before the new ones. state[0] counts how many of state[1:] are
    # filled.
    room = len(state) - 1
    filled = int(state[0])
    joined = np.empty(filled + len(x))
    for i in range(filled):
        joined[i] = state[1 + i]
    for i in range(len(x)):
        joined[filled + i] = x[i]
    keep = min(room, len(joined))
    for i in range(keep):
        state[1 + i] = joined[len(joined) - keep + i]
    state[0] = float(keep)
    return joined, filled


@kernel
def _sma(x, length, state):
    # state: values since the start, running sum, sum of the current block, past values
    joined, filled = _with_past(x, state[3:])
    out = np.empty(len(x))
    seen, total, block = int(state[0]), state[1], state[2]
    left = length - seen % length
    for i in range(len(x)):
        if x[i] - x[i] != 0.0:
            seen, left, total, block = 0, length, 0.0, 0.0
            out[i] = np.nan
            continue
        if seen >= length:
            total -= joined[filled + i - length]
        total += x[i]
        block += x[i]
        seen += 1
        left -= 1
        if left == 0:  # the block is the whole window: drop the rounding gathered so far
            total, block, left = block, 0.0, length
        out[i] = total / length if seen >= length else np.nan
    state[0], state[1], state[2] = float(seen), total, block
    return out


@kernel
def _roc(x, length, state):
    joined, filled = _with_past(x, state)
    out = np.empty(len(x))
    for i in range(len(x)):
        j = filled + i
        out[i] = 100.0 * (x[i] / joined[j - length] - 1.0) if j >= length else np.nan
    return out


@kernel
def _previous(x, length, state):
    joined, filled = _with_past(x, state)
    out = np.empty(len(x))
    for i in range(len(x)):
        j = filled + i
        out[i] = joined[j - length] if j >= length else np.nan
    return out


@kernel
def _raw_stochastic(high, low, close, length, state):
    past = len(state) // 2
    joined_low, filled = _with_past(low, state[:past])
    joined_high, _ = _with_past(high, state[past:])
    lowest, highest = _lowest(joined_low, length), -_lowest(-joined_high, length)
    out = np.empty(len(close))
    for i in range(len(close)):
        j = filled + i
        if j < length - 1:
            out[i] = np.nan
            continue
        spread = highest[j] - lowest[j]
        if spread > 0.0:
            out[i] = 100.0 * (close[i] - lowest[j]) / spread
        else:
            out[i] = 50.0 + 0.0 * (spread + close[i])  # NaN stays NaN
    return out


@kernel
def _lowest(x, length):
    # Lowest of the last `length` values, NaN if one is NaN; right from index length - 1 on. A span
    # of two is the lower of two spans of one, and so on: a few passes, backwards so that they need
    # no second array, and with | instead of `or` so that they need no branch.
    out, span = x.copy(), 1
    while span < length:
        more = min(span, length - span)
        for i in range(len(x) - 1, more - 1, -1):
            now, before = out[i], out[i - more]
            out[i] = now if (now < before) | (now != now) else before
        span += more
    return out
