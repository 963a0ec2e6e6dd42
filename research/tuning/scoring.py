"""Params to scores: many combinations evaluated at once, over one span or over folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs
from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import NOTES, SweepTable
from backtest.sweeps.plan import SweepPlan
from research.tuning.objectives import Constraint
from strategy.metrics import DEFINITIONS, MIN_DAYS, MIN_TRADES

Floats = NDArray[np.float64]
# For what trials share; of a year of minutes twice as much is no faster.
MEMORY = 256 << 20
Evaluate = Callable[..., SweepTable]
# Whether trial `row` shall be given up, given its mean score over the folds so far.
Prune = Callable[[int, int, float], bool]


@dataclass(frozen=True, slots=True)
class Scores:
    """What came of some params.

    Attributes
    ----------
    values : float64 (m, objectives)
        NaN where one has no value; the mean over folds, weighted by their length.
    broken : float64 (m, constraints)
        By how much each constraint is broken on the worst fold, at most 0 where it holds.
    notes : list of str
        Why there is no value, empty where there is one.
    figures : dict of float64 (m,)
        Of the span; of several folds their mean.
    folds : float64 (m, folds)
        The first objective on each fold; NaN where it was not reached or has no value.
    pruned : bool (m,)
    """

    values: Floats
    broken: Floats
    notes: list[str]
    figures: dict[str, Floats]
    folds: Floats
    pruned: NDArray[np.bool_]

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Which of them have values and break nothing."""
        lacking, broken = np.isnan(self.values).sum(axis=1), (self.broken > 0.0).sum(axis=1)
        return (lacking == 0) & (broken == 0)


class Scorer:
    """Params of one strategy over fixed spans.

    Parameters
    ----------
    spans : sequence of Inputs
        Each is a run of its own from its first candle on; their mean counts.
    axes : sequence of str
        Names of the params.
    objectives : sequence of str
    constraints : sequence of Constraint
    evaluate : callable
        `backtest.sweeps.engine.evaluate`, or what stands in for it.
    threads : int, optional
    memory : int
        Bytes that each span's shared columns, bits and tables may take.
    """

    def __init__(
        self,
        spans: Sequence[Inputs],
        axes: Sequence[str],
        objectives: Sequence[str],
        constraints: Sequence[Constraint] = (),
        *,
        evaluate: Evaluate = evaluate,
        threads: int | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.plans = [SweepPlan.of(one, axes) for one in spans]
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._evaluate, self._threads, self._memory = evaluate, threads, memory
        lengths = [len(plan.candles.arrays["open_time"]) for plan in self.plans]
        self.weights = np.array(lengths, np.float64) / sum(lengths)

    def table(self, values: Floats, at: int = 0, *, days: bool = False) -> SweepTable:
        """Evaluate params on one span; see `backtest.sweeps.engine.evaluate`."""
        return self._evaluate(
            self.plans[at], values, threads=self._threads, memory=self._memory, days=days
        )

    def score(self, values: Floats, prune: Prune | None = None) -> Scores:
        """Score params.

        Parameters
        ----------
        values : float64 (m, axes)
        prune : callable, optional
            Asked after each fold but the last for each row that is still in the race.

        Raises
        ------
        WickError
            A value is not one that its param can have.
        """
        m, count = len(values), len(self.plans)
        totals = np.zeros((m, len(self.objectives)))
        broken = np.full((m, len(self.constraints)), -np.inf)
        notes, pruned = [""] * m, np.zeros(m, bool)
        folds = np.full((m, count), np.nan)
        figures: dict[str, Floats] = {}
        there = np.arange(m)
        for at in range(count):
            if not len(there):
                break
            table = self.table(values[there], at)
            its = np.stack([_known(table, key) for key in self.objectives], axis=1)
            folds[there, at] = its[:, 0]
            totals[there] += self.weights[at] * its
            for k, one in enumerate(self.constraints):
                broken[there, k] = np.maximum(broken[there, k], one.broken(table.figures))
            for key, column in table.figures.items():
                figures.setdefault(key, np.zeros(m))[there] += self.weights[at] * column
            without = np.isnan(its).sum(axis=1) > 0
            for row in np.flatnonzero(without).tolist():
                notes[there[row]] = _why(table, row, self.objectives)
            stays = ~without
            if prune is not None and at < count - 1:
                mean = totals[there, 0] / self.weights[: at + 1].sum()
                for row in np.flatnonzero(stays).tolist():
                    if prune(int(there[row]), at, float(mean[row])):
                        stays[row], pruned[there[row]] = False, True
                        notes[there[row]] = f"pruned after {at + 1} of {count} folds"
            if at < count - 1:
                out = there[~stays]
                for column in figures.values():
                    column[out] = np.nan
                there = there[stays]
        ended = np.array([bool(note) for note in notes], bool)
        totals[ended] = np.nan
        return Scores(totals, broken, notes, figures, folds, pruned)


def _known(table: SweepTable, key: str) -> Floats:
    # One with few trades would win by hardly trading.
    values = table.figures[key].copy()
    values[~(table.figures["trades"] >= MIN_TRADES)] = np.nan
    return values


def _why(table: SweepTable, row: int, objectives: Sequence[str]) -> str:
    if table.note[row]:
        return NOTES[table.note[row]]
    trades = int(table.figures["trades"][row])
    if trades < MIN_TRADES:
        return f"needs {MIN_TRADES} trades, has {trades}"
    lacking = next(key for key in objectives if np.isnan(table.figures[key][row]))
    needs: Any = DEFINITIONS[lacking].needs if lacking in DEFINITIONS else ""
    return f"{lacking} needs {MIN_DAYS} days" if "d" in needs else f"{lacking} has no value"
