"""Trades to candles: one kernel that can stop after any trade and go on."""

import math

import numpy as np

from strategy.kernel import kernel

# Rows of the candles it gives.
OPEN_TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, QUOTE_VOLUME, TRADES, TAKER_BUY = range(9)
# Columns of the sums in a state: whole units, and units of 1e-8 beyond them.
_VOLUME, _QUOTE, _BUY = 5, 7, 9
_COUNT = 11
_SIZE = 12
_UNIT = 100_000_000
# A double below it holds whole numbers with room for the error of a product.
_EXACT = 2.0**51


def fresh_state():
    """Return the state before the first trade, float64 (12,): no window is open."""
    state = np.zeros(_SIZE)
    state[0] = np.nan
    return state


@kernel
def tumble(time, price, qty, count, buyer_maker, length_ms, offset_ms, until_ms, state):
    """Make candles of trades; any cutting of the trades into pieces gives the same bits.

    A candle's open is its first trade. One without trades is flat at the close before it and has
    no volume, as the exchange writes its own. Trades of price or quantity 0 are left out. A trade
    stamped before the running candle counts into it.

    Sums are taken in whole 1e-8, so that they are the exchange's decimals to the last digit:
    doubles of up to fifteen significant digits are read as the decimals they were written as.

    Parameters
    ----------
    time : int64 (n,)
        UTC milliseconds, in order.
    price, qty : float64 (n,)
    count : int64 (n,)
        Single trades in each.
    buyer_maker : bool (n,)
        The taker sold.
    length_ms, offset_ms : int
        Length of a candle, and where the grid is anchored, in ms after 1970-01-01.
    until_ms : int
        Candles that close by then are given; no later piece may hold an earlier trade.
    state : float64 (12,)
        From `fresh_state`, or as an earlier call left it.

    Returns
    -------
    candles : float64 (9, k)
        `OPEN_TIME` to `TAKER_BUY`; quantities in the base but `QUOTE_VOLUME`.
    left_out : int
        Trades of price or quantity 0.
    """
    n = len(time)
    i, left_out = 0, 0
    while i < n and not (price[i] > 0.0 and qty[i] > 0.0):
        i += 1
        left_out += 1
    window = state[0]
    if math.isnan(window) and i < n:
        window = _opens(time[i], length_ms, offset_ms)
    latest = until_ms
    for j in range(i, n):
        latest = max(latest, time[j])
    last = _opens(latest, length_ms, offset_ms)
    most = 0 if math.isnan(window) else max(0, (last - np.int64(window)) // length_ms)
    out = np.empty((9, most))
    k = 0
    while i < n:
        p, q = price[i], qty[i]
        if not (p > 0.0 and q > 0.0):
            left_out += 1
            i += 1
            continue
        opens = _opens(time[i], length_ms, offset_ms)
        if math.isnan(state[0]):
            state[0] = opens
        while state[0] < opens:
            k = _close(state, length_ms, out, k)
        if state[_COUNT] == 0.0:
            state[1] = state[2] = state[3] = p
        state[2] = max(state[2], p)
        state[3] = min(state[3], p)
        state[4] = p
        _add(state, _VOLUME, q)
        _add(state, _QUOTE, p * q)
        if not buyer_maker[i]:
            _add(state, _BUY, q)
        state[_COUNT] += count[i]
        i += 1
    while state[0] + length_ms <= until_ms:
        k = _close(state, length_ms, out, k)
    return out[:, :k], left_out


@kernel
def _opens(time_ms, length_ms, offset_ms):
    return (time_ms - offset_ms) // length_ms * length_ms + offset_ms


@kernel
def _close(state, length_ms, out, k):
    """Write the running candle down and open the next one at its close."""
    out[OPEN_TIME, k] = state[0]
    out[OPEN, k] = state[1]
    out[HIGH, k] = state[2]
    out[LOW, k] = state[3]
    out[CLOSE, k] = state[4]
    out[VOLUME, k] = _decimal(state, _VOLUME)
    out[QUOTE_VOLUME, k] = _decimal(state, _QUOTE)
    out[TRADES, k] = state[_COUNT]
    out[TAKER_BUY, k] = _decimal(state, _BUY)
    state[0] += length_ms
    state[1] = state[2] = state[3] = state[4]
    state[_VOLUME:] = 0.0
    return k + 1


@kernel
def _add(state, at, value):
    """Add a decimal: whole units and units of 1e-8 apart, since no double holds both."""
    whole = math.floor(value)
    # Of a large value the last of eight decimals would be noise.
    unit = 1e8
    while value * unit > _EXACT and unit > 1.0:
        unit /= 10.0
    units = np.rint((value - whole) * unit) * (1e8 / unit)
    state[at] += whole
    state[at + 1] += units
    if state[at + 1] >= 1e8:
        state[at] += 1.0
        state[at + 1] -= 1e8


@kernel
def _decimal(state, at):
    """Return the double nearest to a sum."""
    units = state[at] * 1e8 + state[at + 1]
    # Exact below 2**53, and one correct rounding by the division. Above, the sum of both parts is
    # off by less than half a digit of the result, and only that is rounded.
    if units < 9e15:
        return units / 1e8
    return state[at] + state[at + 1] / 1e8
