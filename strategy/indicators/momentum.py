"""How fast and how far a price goes: RSI, MACD, stochastic oscillator, rate of change."""

from typing import Any, NamedTuple

import numpy as np

from strategy.column import Column, same_timeframe, stateful
from strategy.errors import WickError
from strategy.indicators.averages import sma
from strategy.indicators.calls import one, whole_lengths
from strategy.indicators.gains import rsi_kernel
from strategy.indicators.past import finite_from, with_past
from strategy.indicators.rolling import extreme
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


def rsi(x: Column, length: int = 14) -> Column:
    """Relative strength index, 0 to 100, with Wilder's smoothing.

    ``100 * gain / (gain + loss)``; gain and loss start from the plain mean of the first `length`
    changes and go on as ``(before * (length - 1) + now) / length``. First valid at index `length`.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. Equals TA-Lib's RSI,
    except that a market without any change gives 50 here (no strength either way) and 0 there.
    """
    return one("rsi", rsi_kernel, [x], length, state_size=4)


def roc(x: Column, length: int = 10) -> Column:
    """Rate of change in percent over `length` candles: ``100 * (x / x before - 1)``.

    First valid at index `length`. Equals TA-Lib's ROC; a zero in the past gives inf or NaN here and
    0 there.
    """
    return one("roc", _roc, [x], length, state_size=1, per_value=1)


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
    lengths = whole_lengths("macd", fast=fast, slow=slow, signal=signal)
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
    lengths = whole_lengths("stochastic", length=length, smooth=smooth, signal=signal)
    columns = [high, low, close]
    return _smoothed("stochastic", _raw_stochastic, columns, lengths)


def stoch_rsi(
    x: Column, length: int = 14, window: int = 14, smooth: int = 3, signal: int = 3
) -> Stochastic:
    """Stochastic RSI: where the RSI stands between its own lowest and highest value.

    Raw K is ``100 * (r - lowest) / (highest - lowest)`` over `window` values of ``r = rsi(x,
    length)``; k is its mean over `smooth`, d the mean of k over `signal`. First valid at length +
    window + smooth - 2 (k) and that + signal - 1 (d). Source: T. Chande and S. Kroll, The New
    Technical Trader, 1994. With `smooth` 1 it equals TA-Lib's STOCHRSI with a simple average,
    except that an RSI without range gives 50 here (neither high nor low); a range below 1e-9, which
    is rounding while the price stands still, is none.
    """
    lengths = whole_lengths("stoch_rsi", window=window, smooth=smooth, signal=signal)
    strength = rsi(x, length)
    return _smoothed("stoch_rsi", _raw_stoch_rsi, [strength], lengths)


def _smoothed(
    name: str, function: Any, columns: list[Column], lengths: tuple[int, ...]
) -> Stochastic:
    length, smooth, signal = lengths
    raw = one(name, function, columns, length, 6, per_value=2)
    k = sma(raw, smooth)
    return Stochastic(k, sma(k, signal))


@kernel
def _roc(x, length, state):
    joined, filled = with_past(x, state)
    out = np.empty(len(x))
    for i in range(len(x)):
        j = filled + i
        out[i] = 100.0 * (x[i] / joined[j - length] - 1.0) if j >= length else np.nan
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
        done, quick, lazy, mean = _macd_pieces(
            x[i:], (qa, qb, la, lb, sa, sb), quick, lazy, mean, line[i:], smooth[i:], histogram[i:]
        )
        i += done
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
def _raw_stochastic(high, low, close, length, state):
    return _place(high, low, close, length, 0.0, state)


@kernel
def _raw_stoch_rsi(x, length, state):
    return _place(x, x, x, length, 1e-9, state)


@kernel
def _macd_pieces(x, factors, quick, lazy, mean, line, smooth, histogram):
    # The plain loop of _macd in four pieces side by side, as averages.smooth does with one average
    # and for the same reason. Returns how many values are done, none if a guess was not met.
    qa, qb, la, lb, sa, sb = factors
    piece, early = finite_from(x, 0, len(x)) // 4, int(64.0 / min(qb, lb) + 64.0 / sb)
    if piece <= 2 * early:
        return 0, quick, lazy, mean
    x1, x2, x3 = x[piece:], x[2 * piece :], x[3 * piece :]
    line1, line2, line3 = line[piece:], line[2 * piece :], line[3 * piece :]
    smooth1, smooth2, smooth3 = smooth[piece:], smooth[2 * piece :], smooth[3 * piece :]
    bars1, bars2, bars3 = histogram[piece:], histogram[2 * piece :], histogram[3 * piece :]
    q0, q1, q2, q3 = quick, quick, quick, quick
    l0, l1, l2, l3 = lazy, lazy, lazy, lazy
    m0, m1, m2, m3 = mean, mean, mean, mean
    for i in range(piece - early, piece):
        q1, q2, q3 = q1 * qa + x[i] * qb, q2 * qa + x1[i] * qb, q3 * qa + x2[i] * qb
        l1, l2, l3 = l1 * la + x[i] * lb, l2 * la + x1[i] * lb, l3 * la + x2[i] * lb
        m1, m2, m3 = m1 * sa + (q1 - l1) * sb, m2 * sa + (q2 - l2) * sb, m3 * sa + (q3 - l3) * sb
    guesses = (q1, q2, q3, l1, l2, l3, m1, m2, m3)
    for i in range(piece):
        q0, q1 = q0 * qa + x[i] * qb, q1 * qa + x1[i] * qb
        q2, q3 = q2 * qa + x2[i] * qb, q3 * qa + x3[i] * qb
        l0, l1 = l0 * la + x[i] * lb, l1 * la + x1[i] * lb
        l2, l3 = l2 * la + x2[i] * lb, l3 * la + x3[i] * lb
        v0, v1, v2, v3 = q0 - l0, q1 - l1, q2 - l2, q3 - l3
        m0, m1, m2, m3 = m0 * sa + v0 * sb, m1 * sa + v1 * sb, m2 * sa + v2 * sb, m3 * sa + v3 * sb
        line[i], line1[i], line2[i], line3[i] = v0, v1, v2, v3
        smooth[i], smooth1[i], smooth2[i], smooth3[i] = m0, m1, m2, m3
        histogram[i], bars1[i], bars2[i], bars3[i] = v0 - m0, v1 - m1, v2 - m2, v3 - m3
    if guesses != (q0, q1, q2, l0, l1, l2, m0, m1, m2) or m3 - m3 != 0.0:
        return 0, quick, lazy, mean
    return 4 * piece, q3, l3, m3


@kernel
def _place(high, low, close, length, least, state):
    past = len(state) // 2
    bottom = extreme(low, length, -1.0, state[:past])
    top = extreme(high, length, 1.0, state[past:])
    out = np.empty(len(close))
    for i in range(len(close)):
        # Both answers, so that nothing branches and four candles are divided at once.
        spread = top[i] - bottom[i]
        place = 100.0 * (close[i] - bottom[i]) / spread
        without_range = 50.0 + 0.0 * (spread + close[i])  # NaN stays NaN
        out[i] = place if spread > least else without_range
    return out
