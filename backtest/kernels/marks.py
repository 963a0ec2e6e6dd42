"""The curve of a position between two candles, looked at one by one only where it may matter."""

import numpy as np

from backtest.kernels.exits import CLOSE, COARSE, FINE
from strategy.account import MOST
from strategy.kernel import borrowing, part


@part
def certain(wallet, held, entry, lowest, highest, exact, limit, opening, peak, deepest):
    """Say what the equity does over closes of one UTC day and without a booking, from what the
    closes lie between.

    Parameters
    ----------
    wallet : float
        Without the position's profit.
    held : float
        Quantity, signed.
    lowest, highest : float
        What the closes lie between; the very extremes if `exact`.
    limit, opening : float
        Daily loss limit (0 for none) and the equity that the day began with.
    peak, deepest : float
        Highest equity and deepest fall below it so far.

    Returns
    -------
    known : bool
        The rest is known; else the closes have to be looked at.
    peak, deepest : float
    lost : bool
        The daily limit is reached.
    """
    worst, best = (lowest, highest) if held > 0.0 else (highest, lowest)
    low, high = wallet + held * (worst - entry), wallet + held * (best - entry)
    lost = limit > 0.0 and opening - low >= limit * opening
    if low > 0.0 and high < MOST and (exact or not lost):
        if high <= peak:
            depth = low / peak - 1.0
            if depth >= deepest:
                return True, peak, deepest, lost
            if exact:
                return True, peak, depth, lost
        elif exact and low / high - 1.0 >= deepest:
            return True, high, deepest, lost
    return False, peak, deepest, lost


@borrowing
def follow(prices, blocks, a, b, wallet, held, entry, limit, opening, peak, deepest):
    """Look at the closes from candle a to before b; see `certain`.

    Returns
    -------
    bad : float
        The first equity that ends the run, NaN if none does.
    peak, deepest : float
    lost : bool
    """
    lowest, highest = _extremes(prices, blocks, a, b)
    known, top, depth, lost = certain(
        wallet, held, entry, lowest, highest, True, limit, opening, peak, deepest
    )
    if known:
        return np.nan, top, depth, lost
    low = np.inf
    for i in range(a, b):
        value = wallet + held * (prices[i, CLOSE] - entry)
        if not 0.0 < value < MOST:
            return value, peak, deepest, lost
        if value < peak:
            low = min(low, value)
        else:
            if low < np.inf:
                deepest = min(deepest, low / peak - 1.0)
            peak, low = value, np.inf
    if low < np.inf:
        deepest = min(deepest, low / peak - 1.0)
    return np.nan, peak, deepest, lost


@borrowing
def _extremes(prices, blocks, i, end):
    least, most, coarse = np.inf, -np.inf, len(prices) // FINE
    while i < end:
        if i % FINE != 0 or i + FINE > end:
            least, most = min(least, prices[i, CLOSE]), max(most, prices[i, CLOSE])
            i += 1
            continue
        if i % COARSE == 0 and i + COARSE <= end:
            b = coarse + i // COARSE
            i += COARSE
        else:
            b = i // FINE
            i += FINE
        least, most = min(least, blocks[b, 2]), max(most, blocks[b, 3])
    return least, most
