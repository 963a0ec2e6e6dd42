"""What the script of a tune report draws, as numbers: as many as an eye tells apart.

Plotly reads tags in its texts, so names go out escaped.
"""

import math
from html import escape
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.run_json import RunRecord
from data.tune_json import PanelRecord, SearchRecord, SpaceRecord
from research.tune_report.trials import Floats, Trials, places, rising_best, thinned
from strategy.metrics import DEFINITIONS

HISTORY_MOST, SLICE_MOST, LINES_MOST, CLOUD_MOST = 1_500, 400, 150, 250
# Of many params those that matter most.
SLICES, PAIRED, AXES = 12, 4, 8
# The share of the best trials that is always drawn.
BEST_SHARE = 0.02
GRID = 25
# A place of a map speaks for trials this near, in parts of the range; Gaussian weights within.
NEAR, WIDTH = 0.12, 0.05
# An outlier must not press all others into one line: this share lies below the axis.
BELOW = 0.03


def search_data(search: SearchRecord, trials: Trials) -> dict[str, Any]:
    """Gather history, slices, maps of pairs, lines over all params and the front."""
    names = [escape(one.name) for one in search.spaces]
    shares = {escape(name): share for name, share in search.importance.items()}
    order = sorted(range(len(names)), key=lambda at: -shares.get(names[at], 0.0))
    chosen = [at for at in order if search.spaces[at].high > search.spaces[at].low]
    winner = trials.at(search.winner)
    return {
        "objectives": [_about(name) for name in search.objectives],
        "low": _low_end(trials),
        "winner": None if winner is None else {
            "params": dict(zip(names, _plain(trials.params[winner]), strict=True)),
            "value": _plain(trials.values[winner])[0],
            "trial": search.winner,
        },
        "history": _history(trials, winner),
        "importance": {
            names[at]: shares[names[at]] for at in reversed(order) if names[at] in shares
        },
        "slices": [_slice(search.spaces[at], trials, at) for at in chosen[:SLICES]],
        "pairs": [_pair(search.spaces, trials, *two) for two in combinations(chosen[:PAIRED], 2)],
        "lines": _lines(search.spaces, trials, chosen[:AXES]),
        "front": _front(search, trials),
    }  # fmt: skip


def panel_data(panel: PanelRecord) -> dict[str, Any]:
    """Gather what the parts of the panel draw."""
    return {
        "folds": [[one.from_ms, one.to_ms, one.sharpe] for one in panel.folds],
        "logits": panel.overfit.logits,
        "placebo": {"best": panel.placebo.best, "score": panel.placebo.score},
        "montecarlo": {
            "levels": panel.montecarlo.levels,
            "shuffled": panel.montecarlo.shuffled,
            "drawn": panel.montecarlo.drawn,
        },
        "entries": {
            "levels": panel.entries.levels,
            "random": panel.entries.random,
            "found": panel.entries.total_return,
        },
    }


def plateau_data(panel: PanelRecord, scores: Floats, score: float | None) -> dict[str, Any]:
    """Gather the scores of the neighbours, best first."""
    known = np.sort(scores[np.isfinite(scores)])[::-1]
    kept = thinned(np.arange(len(known)), SLICE_MOST, np.empty(0, np.int64))
    return {
        "rank": (kept + 1).tolist(),
        "score": _plain(known[kept]),
        "least": panel.plateau.least,
        "winner": score,
    }


def walk_data(record: RunRecord) -> dict[str, Any]:
    """Gather the windows of a walk-forward and the params over them."""
    walk = record.walk
    assert walk is not None
    names = [name for name in record.params if any(name in one.params for one in walk.windows)]
    spans = sorted({one.test for one in walk.windows})
    return {
        "spans": spans,
        # Where a span was tested more than once, the account went through one of these.
        "windows": [
            {"end": one.test[1], "sharpe": one.sharpe, "total_return": one.total_return}
            for one in walk.windows
        ] if len(spans) == len(walk.windows) else [],
        "params": {
            escape(name): values
            for name in names
            if len(set(values := [one.params.get(name) for one in walk.windows])) > 1
        },
    }  # fmt: skip


def _about(name: str) -> dict[str, str]:
    known = DEFINITIONS.get(name)
    return {
        "label": escape(known.label if known else name),
        "unit": known.unit if known else "ratio",
    }


def _low_end(trials: Trials) -> float | None:
    values = trials.values[trials.complete, 0]
    if not len(values):
        return None
    low, high = np.quantile(values, [BELOW, 1.0])
    return float(low - 0.15 * (high - low))


def _best(trials: Trials) -> NDArray[np.int64]:
    rows = np.flatnonzero(trials.complete)
    count = max(20, math.ceil(BEST_SHARE * len(rows)))
    best: NDArray[np.int64] = rows[np.argsort(-trials.values[rows, 0], kind="stable")[:count]]
    return best


def _history(trials: Trials, winner: int | None) -> dict[str, Any]:
    best = rising_best(trials)
    keep = best if winner is None else np.append(best, winner)
    shown = thinned(np.arange(len(trials.number)), HISTORY_MOST, keep)
    return {
        "trial": trials.number[shown].tolist(),
        "state": trials.state[shown].tolist(),
        "value": _plain(trials.values[shown, 0]),
        "best": [trials.number[best].tolist(), _plain(trials.values[best, 0])],
        "last": int(trials.number[-1]) if len(trials.number) else 0,
        "all": len(shown) == len(trials.number),
    }


def _slice(space: SpaceRecord, trials: Trials, at: int) -> dict[str, Any]:
    shown = thinned(np.flatnonzero(trials.complete), SLICE_MOST, _best(trials))
    return {
        "name": escape(space.name),
        "log": space.log,
        "ends": [space.low, space.high],
        "choices": space.choices,
        "x": _plain(trials.params[shown, at]),
        "y": _plain(trials.values[shown, 0]),
        "trial": trials.number[shown].tolist(),
    }


def _pair(spaces: list[SpaceRecord], trials: Trials, across: int, up: int) -> dict[str, Any]:
    rows = np.flatnonzero(trials.complete)
    two = places([spaces[across], spaces[up]], trials.params[rows][:, [across, up]])
    cloud = thinned(np.arange(len(rows)), CLOUD_MOST, np.searchsorted(rows, _best(trials)))
    return {
        "x": escape(spaces[across].name), "y": escape(spaces[up].name),
        "log": [spaces[across].log, spaces[up].log],
        "xs": _plain(_ticks(spaces[across])), "ys": _plain(_ticks(spaces[up])),
        "z": [_plain(line) for line in smoothed(two, trials.values[rows, 0])],
        "cloud": [_plain(trials.params[rows[cloud], at]) for at in (across, up)],
    }  # fmt: skip


def smoothed(points: Floats, values: Floats) -> Floats:
    """Return the mean of values near each place of a square grid.

    Parameters
    ----------
    points : float64 (n, 2)
        From 0 to 1, across and up.
    values : float64 (n,)

    Returns
    -------
    float64 (GRID, GRID)
        Up and across; NaN where no point is near.
    """
    ends = np.linspace(0.0, 1.0, GRID)
    total, weight = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    near = np.zeros((GRID, GRID), np.bool_)
    # Along each axis apart: a weight of both is the product of two.
    for begin in range(0, len(points), 2_000):
        part = slice(begin, begin + 2_000)
        far = [ends[:, None] - points[part, at] for at in (0, 1)]
        x, y = (np.exp(-0.5 * (one / WIDTH) ** 2) for one in far)
        total += (y * values[part]) @ x.T
        weight += y @ x.T
        inside = [(np.abs(one) <= NEAR).astype(np.float64) for one in far]
        near |= inside[1] @ inside[0].T > 0
    made: Floats = np.where(near & (weight > 0), total / np.where(weight > 0, weight, 1.0), np.nan)
    return made


def _ticks(space: SpaceRecord) -> Floats:
    if space.log:
        return np.geomspace(space.low, space.high, GRID)
    return np.linspace(space.low, space.high, GRID)


def _lines(spaces: list[SpaceRecord], trials: Trials, chosen: list[int]) -> dict[str, Any]:
    shown = thinned(np.flatnonzero(trials.complete), LINES_MOST, _best(trials)[: LINES_MOST // 3])
    shown = shown[np.argsort(trials.values[shown, 0], kind="stable")]
    its = [spaces[at] for at in chosen]
    return {
        "names": [escape(one.name) for one in its],
        "ends": [[one.low, one.high] for one in its],
        "places": [_plain(line) for line in places(its, trials.params[shown][:, chosen])],
        "value": _plain(trials.values[shown, 0]),
    }


def _front(search: SearchRecord, trials: Trials) -> dict[str, Any] | None:
    if len(search.objectives) < 2:
        return None
    on = np.array([row for number in search.front if (row := trials.at(number)) is not None], int)
    shown = thinned(np.flatnonzero(trials.complete), HISTORY_MOST, on)
    behind = np.setdiff1d(shown, on)
    return {
        name: {"trial": trials.number[rows].tolist(),
               "values": [_plain(column) for column in trials.values[rows].T]}
        for name, rows in (("on", on), ("behind", behind))
    }  # fmt: skip


def _plain(values: NDArray[Any]) -> list[float | None]:
    # As exact as an eye needs; JSON has no NaN.
    return [float(f"{x:.6g}") if math.isfinite(x) else None for x in values.tolist()]
