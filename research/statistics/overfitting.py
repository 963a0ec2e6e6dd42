"""How often the best trial of one half of the days is a poor one on the other half.

Combinatorially symmetric cross-validation: Bailey, Borwein, López de Prado and Zhu, "The
Probability of Backtest Overfitting", Journal of Computational Finance 20 (2017).
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.tune_json import OverfitRecord
from strategy.metrics.daily import NOISE

Floats = NDArray[np.float64]
_BLOCKS_MAX, _BLOCKS_MIN, _BLOCK_DAYS_MIN = 16, 6, 5
# Of an array of splits × trials, 64 kB: it stays in the cache, and products of this size are not
# shared between threads, which took four times the processor's time.
_CELLS = 1 << 13
_TIE = 1e-12  # ratios that differ by less differ by rounding


class Splits(NamedTuple):
    """What became of the best trial of each way to halve the days.

    Attributes
    ----------
    inside, outside : float64 (splits,)
        Its Sharpe ratio a day in sample and out of sample.
    rank : float64 (splits,)
        Its relative rank out of sample, above 0 for the worst and below 1 for the best.
    """

    inside: Floats
    outside: Floats
    rank: Floats


def overfit(returns: Floats) -> OverfitRecord:
    """Estimate the probability that the search overfits.

    Parameters
    ----------
    returns : float64 (trials, days)
        Trials without returns (NaN), that never traded or that repeat another one are left out.
    """
    known = returns[np.isfinite(returns).all(axis=1)]
    known = np.unique(known[np.ptp(known, axis=1) > NOISE], axis=0) if known.size else known
    trials, days = known.shape
    blocks = blocks_of(days)
    note = ""
    if trials < 2:
        note = f"needs 2 trials that trade and differ, has {trials}"
    elif not blocks:
        note = f"needs {_BLOCKS_MIN * _BLOCK_DAYS_MIN} days, has {days}"
    if note:
        return OverfitRecord(None, blocks, 0, trials, None, [], note)
    found = splits(known, blocks)
    logits = np.log(found.rank / (1.0 - found.rank))
    return OverfitRecord(
        pbo=float((logits <= _TIE).mean()),
        blocks=blocks,
        splits=len(logits),
        trials=trials,
        loss=float((found.outside < 0.0).mean()),
        logits=np.quantile(logits, np.arange(101) / 100).tolist(),
    )


def blocks_of(days: int) -> int:
    """Return into how many blocks so many days are cut: an even number of blocks of at least five
    days, at most 16; 0 where they do not give 6."""
    most = min(days // _BLOCK_DAYS_MIN, _BLOCKS_MAX)
    return most - most % 2 if most >= _BLOCKS_MIN else 0


def splits(returns: Floats, blocks: int) -> Splits:
    """Halve the days in every way, and look what became of the best trial.

    Parameters
    ----------
    returns : float64 (trials, days)
        Where a trial's returns do not vary in a half, its ratio there is 0.
    blocks : int
        Of equal length; the first days that are left over are not looked at.

    Returns
    -------
    Splits
        Where several trials are best in sample, their mean counts out of sample.
    """
    trials, days = returns.shape
    length = days // blocks
    parts = returns[:, days - blocks * length :].reshape(trials, blocks, length)
    sums, squares = parts.sum(axis=2).T.copy(), (parts * parts).sum(axis=2).T.copy()
    out = []
    for mask in _masks(blocks, max(_CELLS // trials, 1)):
        halves = [
            _ratios(half @ sums, half @ squares, length * blocks // 2)
            for half in (mask, 1.0 - mask)
        ]
        out += [_judged(*halves), _judged(*halves[::-1])]
    return Splits(*(np.concatenate(column) for column in zip(*out, strict=True)))


def _masks(blocks: int, rows: int) -> Iterator[Floats]:
    # Of each pair of complements only the half with the first block: both are one split.
    rest = list(combinations(range(1, blocks), blocks // 2 - 1))
    for start in range(0, len(rest), rows):
        some = np.array(rest[start : start + rows])
        mask = np.zeros((len(some), blocks))
        mask[:, 0] = 1.0
        np.put_along_axis(mask, some, 1.0, axis=1)
        yield mask


def _ratios(total: Floats, square: Floats, n: int) -> Floats:
    mean = total / n
    variance = (square - total * mean) / (n - 1)
    varies = variance > NOISE**2
    return np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def _judged(inside: Floats, outside: Floats) -> tuple[Floats, Floats, Floats]:
    best = inside.max(axis=1, keepdims=True)
    picked = inside >= best - _TIE
    its = ((outside * picked).sum(axis=1) / picked.sum(axis=1))[:, None]
    below, equal = outside < its - _TIE, np.abs(outside - its) <= _TIE
    rank = below.sum(axis=1) + (equal.sum(axis=1) + 1) / 2
    return best[:, 0], its[:, 0], rank / (inside.shape[1] + 1)
