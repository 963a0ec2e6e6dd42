"""How likely a Sharpe ratio is luck, given its length, its shape and how many were tried.

Bailey and López de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012), and
"The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting and Non-Normality",
Journal of Portfolio Management 40 (2014). All ratios are of one period, here a day.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.metrics.daily import NOISE

Floats = NDArray[np.float64]
_NORMAL = NormalDist()


class Moments(NamedTuple):
    """What is known of a series of returns.

    Attributes
    ----------
    n : int
    sharpe : float
        Mean ÷ standard deviation (ddof 1) of one period; NaN where returns do not vary.
    skew, kurtosis : float
        0 and 3 for a normal distribution.
    """

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: Floats) -> Moments:
    """Compute the moments of returns, float64 (n,); all NaN where they do not vary."""
    n = len(returns)
    spread = float(returns.std(ddof=1)) if n > 1 else 0.0
    if not spread > NOISE:
        return Moments(n, math.nan, math.nan, math.nan)
    mean = float(returns.mean())
    z = (returns - mean) / returns.std()
    return Moments(n, mean / spread, float((z**3).mean()), float((z**4).mean()))


def ratios(returns: Floats) -> Floats:
    """Compute the Sharpe ratio of each row of returns, float64 (m, n); NaN where one does not
    vary."""
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    spread = returns.std(axis=1, ddof=1)
    return returns.mean(axis=1) / np.where(spread > NOISE, spread, np.nan)


def probabilistic(its: Moments, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio lies above a benchmark.

    Equation 11 of the paper of 2012; NaN where there is no ratio.
    """
    error = _error(its)
    return _NORMAL.cdf((its.sharpe - benchmark) / error) if error > 0.0 else math.nan


def expected_maximum(trials: int, variance: float) -> float:
    """Return what the best Sharpe ratio of many trials without any skill is expected to be.

    Equation 1 of the paper of 2014; 0 for a single trial.

    Parameters
    ----------
    trials : int
        All that were tried.
    variance : float
        Of their Sharpe ratios.
    """
    if trials < 2:
        return 0.0
    first, second = (_NORMAL.inv_cdf(1.0 - 1.0 / (trials * by)) for by in (1.0, math.e))
    return math.sqrt(variance) * ((1.0 - np.euler_gamma) * first + np.euler_gamma * second)


def track_length(its: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Return how many periods it takes to show a Sharpe ratio above a benchmark.

    Equation 13 of the paper of 2012; NaN where the ratio is not above it.
    """
    ahead = its.sharpe - benchmark
    if not ahead > 1e-9:
        return math.nan
    return 1.0 + _shape(its) * (_NORMAL.inv_cdf(confidence) / ahead) ** 2


def _shape(its: Moments) -> float:
    s = its.sharpe
    return 1.0 - its.skew * s + (its.kurtosis - 1.0) / 4.0 * s * s


def _error(its: Moments) -> float:
    wide = _shape(its)
    return math.sqrt(wide / (its.n - 1)) if its.n > 1 and wide > 0.0 else math.nan
