"""Intervals of figures, from histories drawn anew in blocks of the days and trades there were.

The stationary bootstrap of Politis and Romano, Journal of the American Statistical Association 89
(1994): blocks of random lengths keep what neighbouring days have to do with each other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.tune_json import IntervalOfRecord
from strategy.metrics import MIN_DAYS, MIN_TRADES, NEEDS_DAYS, net
from strategy.metrics.daily import NOISE
from strategy.timeframes import YEAR_DAYS

Floats = NDArray[np.float64]
LEVEL, DRAWS = 0.95, 1_000
_CELLS = 1 << 21  # drawn values at a time: 16 MB


def resampled(n: int, draws: int, block: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw positions of histories of n values, in blocks of random length that go on at the
    beginning when they reach the end.

    Parameters
    ----------
    block : float
        Their mean length.

    Returns
    -------
    int64 (draws, n)
    """
    begins = rng.random((draws, n)) < 1.0 / block
    begins[:, 0] = True
    starts = rng.integers(0, n, (draws, n))
    at = np.arange(n)
    since = np.maximum.accumulate(np.where(begins, at, 0), axis=1)
    return (np.take_along_axis(starts, since, axis=1) + at - since) % n


def block_of(n: int) -> float:
    """Return the mean length of blocks for n values: their cube root, which grows as the best
    length does."""
    return max(1.0, round(n ** (1 / 3)))


def intervals(
    values: Mapping[str, float | None],
    equity: Floats,
    trades: Any,
    years: float,
    depth: float,
    seed: int,
) -> dict[str, IntervalOfRecord]:
    """Give figures their intervals.

    Parameters
    ----------
    values : mapping
        The figures as they are, by key.
    equity : float64 (days + 1,)
        The balance, then the equity at the ends of days.
    trades : record array of TRADE
    years : float
        Length of the span.
    depth : float
        The max drawdown of all candles, which those of the ends of days are stretched to.
    seed : int

    Returns
    -------
    dict
        Of the keys of `from_returns` and `from_nets`.
    """
    rng = np.random.default_rng(seed)
    returns = returns_of(equity)
    shallow = float((equity / np.maximum.accumulate(equity) - 1.0).min())
    stretch = depth / shallow if shallow < 0.0 else 1.0
    nets, risked = net(trades), np.asarray(trades["risked"])
    days, count = len(returns), len(nets)

    def of_days(at: NDArray[np.int64]) -> dict[str, Floats]:
        return from_returns(returns[at], years, stretch)

    def of_trades(at: NDArray[np.int64]) -> dict[str, Floats]:
        return from_nets(nets[at], risked[at])

    found = {}
    for n, figures in ((days, of_days), (count, of_trades)):
        for key, column in _drawn(n, figures, rng).items():
            found[key] = _interval(key, values.get(key), column, n, days, count)
    return found


def returns_of(equity: Floats) -> Floats:
    """Return the changes of equity along the last axis; 0 where nothing was left."""
    before = equity[..., :-1]
    return np.where(before > 0.0, equity[..., 1:] / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)


def from_returns(r: Floats, years: float, stretch: float = 1.0) -> dict[str, Floats]:
    """Compute the figures of daily returns, float64 (m, days), a history a row."""
    curve = np.cumprod(1.0 + r, axis=1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
    depth = np.maximum((curve / peak - 1.0).min(axis=1) * stretch, -1.0)
    with np.errstate(all="ignore"):
        mean, spread = r.mean(axis=1), r.std(axis=1, ddof=1)
        lost = np.maximum(-r, 0.0)
        downside = np.sqrt((lost * lost).mean(axis=1))
        cagr = curve[:, -1] ** (1.0 / years) - 1.0
        year = np.sqrt(YEAR_DAYS)
        return {
            "cagr": cagr,
            "sharpe": mean / np.where(spread > NOISE, spread, np.nan) * year,
            "sortino": mean / np.where(downside > NOISE, downside, np.nan) * year,
            "calmar": cagr / np.where(depth < 0.0, -depth, np.nan),
            "omega": np.maximum(r, 0.0).sum(axis=1) / lost.sum(axis=1),
            "volatility": spread * year,
            "max_drawdown": depth,
        }


def from_nets(nets: Floats, risked: Floats) -> dict[str, Floats]:
    """Compute the figures of trades, float64 (m, trades), a history a row."""
    n = nets.shape[1]
    with np.errstate(all="ignore"):
        r = nets / risked
        won, lost = np.maximum(nets, 0.0).sum(axis=1), np.maximum(-nets, 0.0).sum(axis=1)
        wins, losses = (nets > 0.0).sum(axis=1), (nets < 0.0).sum(axis=1)
        rate, payoff = wins / n, (won / wins) / (lost / losses)
        return {
            "win_rate": rate,
            "profit_factor": won / lost,
            "payoff": payoff,
            "expectancy": nets.mean(axis=1),
            "expectancy_r": r.mean(axis=1),
            "sqn": np.sqrt(n) * r.mean(axis=1) / r.std(axis=1, ddof=1),
            "kelly": rate - (1.0 - rate) / payoff,
        }


def _drawn(
    n: int, figures: Callable[[NDArray[np.int64]], dict[str, Floats]], rng: np.random.Generator
) -> dict[str, Floats]:
    # Without anything to draw from there are still the names.
    rows = min(max(_CELLS // max(n, 1), 1), DRAWS) if n > 1 else 0
    parts = [
        figures(resampled(n, min(rows, DRAWS - done), block_of(n), rng))
        for done in range(0, DRAWS if rows else 0, max(rows, 1))
    ] or [figures(np.zeros((0, 2), np.int64))]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _interval(
    key: str, value: float | None, column: Floats, n: int, days: int, trades: int
) -> IntervalOfRecord:
    note = ""
    if key in NEEDS_DAYS and days < MIN_DAYS:
        note = f"needs {MIN_DAYS} days, has {days}"
    elif trades < MIN_TRADES:
        note = f"needs {MIN_TRADES} trades, has {trades}"
    column = column[~np.isnan(column)]
    if not note and len(column) < DRAWS / 2:
        note = "most resampled histories have none"
    if note:
        return IntervalOfRecord(value, None, None, LEVEL, n, note)
    # No quantile of NumPy's: it computes with neighbours, and a figure may be infinite.
    outside = round((1.0 - LEVEL) / 2.0 * len(column))
    low, high = np.sort(column)[[outside, -1 - outside]].tolist()
    if not np.isfinite(high):
        return IntervalOfRecord(value, low, None, LEVEL, n, "no resampled history bounds it")
    return IntervalOfRecord(value, low, high, LEVEL, n)
