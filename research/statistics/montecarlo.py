"""The trades of a run in other orders, and drawn anew: how deep it might as well have fallen."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.tune_json import MonteCarloRecord
from research.statistics.bootstrap import block_of, resampled
from strategy.metrics import MIN_TRADES, net

Floats = NDArray[np.float64]
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
DRAWS = 1_000
_CELLS = 1 << 21  # trades at a time: 16 MB


def montecarlo(trades: Any, balance: float, seed: int, draws: int = DRAWS) -> MonteCarloRecord:
    """Shuffle the trades, and draw them anew in blocks.

    A trade counts with what it did to the balance before it, so that the order changes no total
    return. Drawdowns are those of closed trades: inside a trade the account may have been lower.

    Parameters
    ----------
    trades : record array of TRADE
        In the order they were closed.
    balance : float
        At the start.
    seed, draws : int

    Returns
    -------
    MonteCarloRecord
        Quantiles at `LEVELS`; empty with a note for fewer than 10 trades.
    """
    factors = growth_of(net(trades), balance)
    n, block = len(factors), int(block_of(len(factors)))
    if n < MIN_TRADES:
        note = f"needs {MIN_TRADES} trades, has {n}"
        return MonteCarloRecord(0, block, list(LEVELS), [], [], [], note)
    rng = np.random.default_rng(seed)

    def shuffle(rows: int) -> Floats:
        return rng.permuted(np.broadcast_to(factors, (rows, n)), axis=1)

    def draw(rows: int) -> Floats:
        return factors[resampled(n, rows, block, rng)]

    shuffled = np.concatenate([depth for depth, _ in _runs(shuffle, n, draws)])
    depths, ends = map(np.concatenate, zip(*_runs(draw, n, draws), strict=True))
    levels = (np.quantile(one, LEVELS).tolist() for one in (shuffled, depths, ends))
    return MonteCarloRecord(draws, block, list(LEVELS), *levels)


def growth_of(nets: Floats, balance: float) -> Floats:
    """Return by which factor each trade changed the balance before it, at least 0."""
    before = balance + np.concatenate(([0.0], np.cumsum(nets)[:-1]))
    return np.maximum(1.0 + nets / np.maximum(before, 1e-8), 0.0)


def _runs(make: Callable[[int], Floats], n: int, draws: int) -> Iterator[tuple[Floats, Floats]]:
    rows = max(_CELLS // n, 1)
    for done in range(0, draws, rows):
        curve = make(min(rows, draws - done)).cumprod(axis=1)
        peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
        yield (curve / peak - 1.0).min(axis=1), curve[:, -1] - 1.0
