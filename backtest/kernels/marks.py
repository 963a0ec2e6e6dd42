"""The curve of a position between two candles, looked at one by one only where it may matter."""

import numpy as np

from backtest.kernels.exits import COARSE, FINE
from strategy.account import MOST
from strategy.kernel import kernel


@kernel
def hold_marks(
    series, a, b, wallet, held, entry, lowest, highest, exact, limit, opening, peak, deepest
):
    """Follow the equity over the closes from candle a to before b, of one UTC day and without a
    booking.

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
    bad : float
        The first equity that ends the run, NaN if none does.
    peak, deepest : float
    lost : bool
        The daily limit was reached.
    """
    while True:
        worst, best = (lowest, highest) if held > 0.0 else (highest, lowest)
        low, high = wallet + held * (worst - entry), wallet + held * (best - entry)
        lost = limit > 0.0 and opening - low >= limit * opening
        if low > 0.0 and high < MOST and (exact or not lost):
            if high <= peak:
                depth = low / peak - 1.0
                if depth >= deepest:
                    return np.nan, peak, deepest, lost
                if exact:
                    return np.nan, peak, depth, lost
            elif exact and low / high - 1.0 >= deepest:
                return np.nan, high, deepest, lost
        if exact:
            break
        lowest, highest = _extremes(series, a, b)
        exact = True
    low = np.inf
    for i in range(a, b):
        value = wallet + held * (series.c[i] - entry)
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


@kernel
def _extremes(series, i, end):
    least, most, c = np.inf, -np.inf, series.c
    while i < end:
        if i % COARSE == 0 and i + COARSE <= end:
            b = i // COARSE
            least, most = min(least, series.coarse[b, 2]), max(most, series.coarse[b, 3])
            i += COARSE
        elif i % FINE == 0 and i + FINE <= end:
            b = i // FINE
            least, most = min(least, series.fine[b, 2]), max(most, series.fine[b, 3])
            i += FINE
        else:
            least, most = min(least, c[i]), max(most, c[i])
            i += 1
    return least, most
