"""The curve of a position between two candles, looked at one by one only where it may matter."""

import numpy as np

from backtest.kernels.exits import CLOSE, COARSE, FINE, HIGH, LOW
from strategy.account import MOST
from strategy.kernel import borrowing, part
from strategy.margin import liquidation_price

# Who compares products instead of quotients leaves this much to their rounding.
_SLACK = 1e-12
_NEAR = 1e-6  # of a liquidation price: far more than rounding could do


@part
def certain(wallet, held, entry, lowest, highest, exact, limit, opening, peak, low, deepest):
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
    peak, low, deepest : float
        Highest equity so far, the lowest since then that may matter, and the deepest fall below
        the peaks before.

    Returns
    -------
    known : bool
        The rest is known; else the closes have to be looked at.
    peak, low, deepest : float
    lost : bool
        The daily limit is reached.
    """
    worst, best = (lowest, highest) if held > 0.0 else (highest, lowest)
    least, most = wallet + held * (worst - entry), wallet + held * (best - entry)
    lost = limit > 0.0 and opening - least >= limit * opening
    if least > 0.0 and most < MOST and (exact or not lost):
        if most <= peak:
            if exact or least >= low or least >= peak * (1.0 + deepest) * (1.0 + _SLACK):
                return True, peak, min(low, least) if exact else low, deepest, lost
        elif exact and least >= most * (1.0 + deepest) * (1.0 + _SLACK):
            return True, most, np.inf, deeper(deepest, low, peak), lost
    return False, peak, low, deepest, lost


@part
def deeper(deepest, low, peak):
    """Return the deeper one of a fall and of that from a peak to the lowest equity after it, which
    is infinite where there is none."""
    return min(deepest, low / peak - 1.0)


@borrowing
def follow(prices, blocks, a, b, wallet, held, entry, limit, opening, peak, low, deepest):
    """Look at the closes from candle a to before b; see `certain`.

    Returns
    -------
    bad : float
        The first equity that ends the run, NaN if none does.
    peak, low, deepest : float
    lost : bool
    """
    lowest, highest = _extremes(prices, blocks, a, b)
    known, top, bottom, depth, lost = certain(
        wallet, held, entry, lowest, highest, True, limit, opening, peak, low, deepest
    )
    if known:
        return np.nan, top, bottom, depth, lost
    for i in range(a, b):
        value = wallet + held * (prices[i, CLOSE] - entry)
        if not 0.0 < value < MOST:
            return value, peak, low, deepest, lost
        if value < peak:
            low = min(low, value)
        else:
            deepest = deeper(deepest, low, peak)
            peak, low = value, np.inf
    return np.nan, peak, low, deepest, lost


@borrowing
def is_near(ground, side, qty, entry, collateral, e, x):
    """Say whether a position comes so near to its liquidation, from candle e to x, that it could be
    liquidated.

    Parameters
    ----------
    collateral : float
        The least that the wallet held meanwhile.
    """
    level = liquidation_price(side, qty, entry, collateral, ground.tiers, 0)
    marks, blocks, coarse = ground.marks, ground.mark_blocks, len(ground.marks) // FINE
    i, low, high = e, np.inf, -np.inf
    while i <= x:
        if i % FINE != 0 or i + FINE > x:
            low, high = min(low, marks[i, LOW]), max(high, marks[i, HIGH])
            i += 1
            continue
        if i % COARSE == 0 and i + COARSE <= x:
            b = coarse + i // COARSE
            i += COARSE
        else:
            b = i // FINE
            i += FINE
        low, high = min(low, blocks[b, 0]), max(high, blocks[b, 1])
    if side > 0:
        return not low > level * (1.0 + _NEAR)
    return not high < level * (1.0 - _NEAR)


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
