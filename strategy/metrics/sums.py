"""Sums in the order of their terms, so that whoever computes a figure gets the same bits."""

import numpy as np

from strategy.kernel import borrowing, kernel


@borrowing
def total(x):
    """Return the sum of an array in the order of its values."""
    out = 0.0
    for value in x:
        out += value
    return out


@kernel
def wins_and_losses(nets):
    """Return how many amounts are above and below 0, and the sum of either, without sign."""
    wins, losses, gained, paid = 0, 0, 0.0, 0.0
    for net in nets:
        if net > 0:
            wins, gained = wins + 1, gained + net
        elif net < 0:
            losses, paid = losses + 1, paid - net
    return wins, losses, gained, paid


@borrowing
def spread_of(returns):
    """Return the mean, the sum of squares around it and the mean square of what lies below 0."""
    n = len(returns)
    mean = total(returns) / n
    second, below = 0.0, 0.0
    for r in returns:
        away = r - mean
        second += away * away
        if r < 0.0:
            below += r * r
    return mean, second, np.sqrt(below / n)
