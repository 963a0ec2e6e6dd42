"""Whether an account of a sweep is large enough for an entry."""

import numpy as np

from backtest.kernels.exits import CLOSE, COARSE, FINE
from strategy.account import fee_of
from strategy.fills import MOST_EXTRA
from strategy.kernel import borrowing, part
from strategy.records import UNIT
from strategy.risk import APPROVED, steps_of


@part
def is_spent(risk, g, flat):
    """Say whether a flat account is too small for any entry, whatever the price and the stop: as
    long as it makes no trade, that will not change."""
    return risk.max_leverage * flat < g.min_notional * (1.0 - 1e-6)


@borrowing
def next_affordable(ground, signals, words, risk, costs, g, flat, signal):
    """Return the first entry signal from one on for which a flat account is not surely too small.

    An account that has come down to one step may be refused thousands of times before it enters
    again, and neither its exit nor its size has to be known for that.
    """
    at, spots, prices, blocks = signals.at, signals.spots, ground.prices, ground.blocks
    last, coarse = len(prices) - 1, len(prices) // FINE
    least = g.step * g.min_steps * (1.0 - 1e-6)
    # What an entry is estimated at is hardly below a share of the close.
    share = 1.0 - costs.slippage - (MOST_EXTRA if len(words.ahead) > 0 else 0.0)
    dearest = (risk.max_leverage * flat / least + 2.0 * g.tick) / share
    widest = risk.per_trade * flat / least
    while at[signal] < last:
        j = np.int64(at[signal])
        b = j // COARSE
        if (b + 1) * COARSE <= last and blocks[coarse + b, 2] > dearest:
            signal = np.int64(signals.firsts[((b + 1) * COARSE) >> 6])
        elif prices[j, CLOSE] > dearest or words.stop[spots[signal] >> 1] > widest:
            signal += 1
        else:
            break
    return signal


@part
def lacks_margin(notional, leverage, free):
    """Say whether a fill's notional needs more margin than there is."""
    # The division, which decides, only where it could.
    return notional > free * leverage * (1.0 - 1e-9) and notional / leverage > free


@part
def lacks_all(qty, price, fee_rate, leverage, free):
    """Say whether an entry needs more margin, and fee at a rate beside it (0 for none), than there
    is."""
    if fee_rate == 0.0:
        return lacks_margin(qty * price, leverage, free)
    # 1e-8 is more than the fee's rounding.
    notional = qty * price
    if notional * (1.0 + fee_rate * leverage) <= (free * (1.0 - 1e-9) - 1e-8) * leverage:
        return False
    return notional / leverage + fee_of(fee_rate, qty, price) / UNIT > free


@part
def steps_at(one, risk, g, wallet):
    """Return the steps of an entry that a wallet (units) allows, 0 where it is refused."""
    if one.candle == 0 or not wallet > 0:
        return np.int64(0)
    steps, why = steps_of(risk, g, wallet / UNIT, 0.0, one.estimate, one.stop)
    return np.int64(steps) if why == APPROVED else np.int64(0)
