"""How the objective holds around the winner: a lonely peak is noise that happened to fit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.tune_json import PlateauRecord
from research.tuning.space import Space

Floats = NDArray[np.float64]
POINTS = 64
_TENTHS = 10
_NEUTRAL = {"profit_factor": 1.0, "omega": 1.0, "payoff": 1.0}  # where nothing is gained or lost
_DEPTHS = ("max_drawdown",)  # below 0, and the nearer the better


def neighbours(spaces: Sequence[Space], winner: Floats, seed: int, points: int = POINTS) -> Floats:
    """Return points around the winner, as it could have been searched.

    A step of a param is a tenth of its range (of its logarithm, if it is searched so; of the number
    of choices), but at least one step of its own and at least 1 for whole numbers. First stand the
    points one step off in one param, then random ones of the box of one step around the winner.

    Parameters
    ----------
    spaces : sequence of Space
    winner : float64 (spaces,)
    seed : int
    points : int
        In all; fewer where the box has no more.

    Returns
    -------
    float64 (m, spaces)
        Without the winner and without repetitions.
    """
    count = len(spaces)
    steps = np.repeat(np.eye(count), 2, axis=0) * np.tile([-1.0, 1.0], count)[:, None]
    rng = np.random.default_rng(seed)
    moves = np.concatenate((steps, rng.uniform(-1.0, 1.0, (20 * points, count))))
    places = [_moved(one, winner[at], moves[:, at]) for at, one in enumerate(spaces)]
    found = np.column_stack(places)
    found = found[(found != winner).any(axis=1)]
    first = np.unique(found, axis=0, return_index=True)[1]
    return found[np.sort(first)[:points]]


def plateau(scores: Floats, winner: float, objective: str) -> PlateauRecord:
    """Count how many neighbours hold half of what the winner has.

    Parameters
    ----------
    scores : float64 (points,)
        NaN where a neighbour has no score, which does not hold.
    winner : float
        Its score.
    objective : str
        Half is counted from where nothing is gained or lost: 1 for a profit factor, 0 for others. A
        drawdown may be twice as deep.
    """
    neutral = _NEUTRAL.get(objective, 0.0)
    if objective in _DEPTHS:
        least, holding = 2.0 * winner, scores >= 2.0 * winner
    else:
        least = neutral + max(winner - neutral, 0.0) / 2.0
        holding = (scores >= least) & (scores > neutral)
    count = int(holding.sum())
    known = int((~np.isnan(scores)).sum())
    return PlateauRecord(len(scores), known, count, least, count / max(len(scores), 1))


def _moved(space: Space, value: float, by: Floats) -> Floats:
    if space.choices:
        ordered = np.unique(space.choices)
        at = int(np.argmin(np.abs(ordered - value)))
        reach = max(round(len(ordered) / _TENTHS), 1)
        return ordered[np.clip(at + _whole(by * reach), 0, len(ordered) - 1)]
    low, high = space.low, space.high
    if space.log:
        moved = value * (high / low) ** (by / _TENTHS)
    else:
        moved = value + by * (high - low) / _TENTHS
    step = space.step or float(space.whole)
    if step:
        reach = max(round((high - low) / _TENTHS / step), 1)
        last = int((high - low) / step + 1e-9)
        at = round((value - low) / step)
        to = at + _whole(by * reach)
        if space.log:  # the same number of steps would be far at one end and near at the other
            to = np.rint((moved - low) / step).astype(np.int64)
            to = np.where(to == at, at + _whole(by), to)
        to = np.clip(to, 0, last)
        # The winner's own value to the last bit, however it was computed.
        return np.where(to == at, value, low + step * to)
    return np.clip(moved, low, high)


def _whole(by: Floats) -> NDArray[np.int64]:
    return np.rint(by).astype(np.int64)
