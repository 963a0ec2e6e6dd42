"""The search itself: trials asked for in batches, scored together, and kept."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from research.tuning.sampling import Asked, Sampling
from research.tuning.scoring import Scorer, Scores
from research.tuning.study import Study

COMPLETE, PRUNED, INFEASIBLE, FAILED = "complete", "pruned", "infeasible", "failed"
_GIVEN_UP = "given up"
_UNPRUNED = 10  # whole trials, before one is compared with their median


@dataclass(frozen=True, slots=True)
class Told:
    """How far a search is: trials done, and the best value of the first objective, None as long as
    there is none."""

    done: int
    best: float | None


class Trials:
    """All trials of a search in the order of their numbers.

    Attributes
    ----------
    values : float64 (n, spaces)
        Their params.
    scores : float64 (n, objectives)
        NaN for those that are not complete.
    states, notes : list of str
        One of COMPLETE, PRUNED, INFEASIBLE, FAILED; and why it is not complete.
    """

    def __init__(self, trials: Sequence[FrozenTrial], sampling: Sampling) -> None:
        count = len(sampling.study.directions)
        self.values = sampling.numbers([one.params for one in trials])
        self.states = [_state(one) for one in trials]
        self.notes = [str(one.user_attrs.get("note", "")) for one in trials]
        self.scores = np.full((len(trials), count), np.nan)
        for row, (one, state) in enumerate(zip(trials, self.states, strict=True)):
            if state == COMPLETE:
                self.scores[row] = one.values

    def __len__(self) -> int:
        return len(self.states)

    @property
    def best(self) -> int | None:
        """The complete trial with the largest first objective, the earliest of equal ones; of
        several objectives it lies on the front. None where there is none."""
        front = self.front()
        return max(front, key=lambda row: (self.scores[row, 0], -row), default=None)

    def front(self) -> list[int]:
        """Return the complete trials that no other one is at least as good as in all objectives,
        and better in one."""
        first = self.scores[:, 0]
        rows = np.flatnonzero(~np.isnan(first))
        if self.scores.shape[1] == 1:
            return [int(np.nanargmax(first))] if len(rows) else []
        found = []
        for row in rows.tolist():
            others, own = self.scores[rows], self.scores[row]
            if not ((others >= own).all(axis=1) & (others > own).any(axis=1)).any():
                found.append(row)
        return found


def search(
    scorer: Scorer,
    sampling: Sampling,
    trials: int,
    *,
    study: Study | None = None,
    tell: Callable[[Told], None] = lambda _: None,
) -> Trials:
    """Try params until there are so many trials, those of earlier and other processes counted.

    Parameters
    ----------
    scorer : Scorer
    sampling : Sampling
        Fresh.
    trials : int
        A grid may have fewer.
    study : Study, optional
        Where trials are kept; in memory only otherwise.
    tell : callable
        Called before the first and after each batch.

    Raises
    ------
    StorageGone
        The study cannot be kept any more; all but the last batch is.
    WickError
        A value is not one that its param can have.
    """
    known = _Known(sampling, study)
    while True:
        known.read()
        told = known.told()
        tell(told)
        asked = sampling.ask(trials - told.done) if told.done < trials else []
        if not asked:
            return Trials(known.all, sampling)
        rows = sampling.numbers([one.params for one in asked])
        prune = (
            _Pruning(sampling) if len(scorer.plans) > 1 and len(scorer.objectives) == 1 else None
        )
        scores = scorer.score(rows, prune)
        known.add(
            [
                sampling.tell(one, _trial(sampling, one, scores, at, scorer, f"{known.mark}{at}"))
                for at, one in enumerate(asked)
            ]
        )


class _Known:
    """Trials in a study and in the sampler's memory, which has each once."""

    def __init__(self, sampling: Sampling, study: Study | None) -> None:
        self._sampling, self._study = sampling, study
        self._own: set[str] = set()
        self._seen = 0
        self.all: list[FrozenTrial] = []

    @property
    def mark(self) -> str:
        """A word for the trials of the next batch that no other process uses at this time."""
        stream = self._study.stream if self._study else ""
        return f"{stream}:{len(self.all)}:"

    def read(self) -> None:
        """Take in what others have added."""
        if self._study is None:
            return
        self.all = self._study.trials()
        for one in self.all[self._seen :]:
            if one.user_attrs.get("by") not in self._own:
                self._sampling.study.add_trial(one)
        self._seen = len(self.all)

    def add(self, trials: list[FrozenTrial]) -> None:
        """Keep one's own."""
        self._own |= {one.user_attrs["by"] for one in trials}
        if self._study is None:
            self.all.extend(trials)
        else:
            self._study.add(trials)

    def told(self) -> Told:
        """Say how far it is."""
        complete = (one.values[0] for one in self.all if _state(one) == COMPLETE)
        return Told(len(self.all), max(complete, default=None))


def _trial(
    sampling: Sampling, asked: Asked, scores: Scores, at: int, scorer: Scorer, mark: str
) -> FrozenTrial:
    note, several = scores.notes[at], scores.values.shape[1] > 1
    texts = [one.text for one in scorer.constraints]
    broken = dict(zip(texts, scores.broken[at].tolist(), strict=True))
    if note:
        # A single objective learns from what has no value, too: Optuna counts it as the worst.
        state = TrialState.FAIL if several else TrialState.PRUNED
        values, broken = None, {}
    else:
        state, values = TrialState.COMPLETE, scores.values[at].tolist()
        note = ", ".join(f"not {text}" for text, by in broken.items() if by > 0.0)
    steps = {} if several else dict(enumerate(_running(scores.folds[at], scorer.weights)))
    return optuna.create_trial(
        state=state,
        values=values,
        params=asked.params,
        distributions=sampling.distributions,
        user_attrs={"note": note, "by": mark, _GIVEN_UP: bool(scores.pruned[at])},
        intermediate_values=steps if len(scorer.plans) > 1 else None,
        constraints=broken,
    )


def _running(folds: NDArray[np.float64], weights: NDArray[np.float64]) -> list[float]:
    there = int((~np.isnan(folds)).cumprod().sum())
    total = np.cumsum(folds[:there] * weights[:there])
    out: list[float] = (total / np.cumsum(weights[:there])).tolist()
    return out


class _Pruning:
    """Whether a trial of a batch falls behind the median of those that went through all folds."""

    def __init__(self, sampling: Sampling) -> None:
        self._study = sampling.study
        self._pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED)

    def __call__(self, row: int, fold: int, mean: float) -> bool:
        trial = optuna.create_trial(
            state=TrialState.RUNNING, intermediate_values={fold: mean}, params={}, distributions={}
        )
        return self._pruner.prune(self._study, trial)


def _state(trial: FrozenTrial) -> str:
    if trial.state == TrialState.COMPLETE:
        return INFEASIBLE if any(by > 0.0 for by in trial.constraints.values()) else COMPLETE
    return PRUNED if trial.user_attrs.get(_GIVEN_UP) else FAILED


def importance(sampling: Sampling) -> dict[str, float]:
    """Return each param's share in the variance of the first objective; empty where that cannot
    be told."""
    complete = [one for one in sampling.study.get_trials(deepcopy=False) if _state(one) == COMPLETE]
    if len(complete) < 2 * len(sampling.spaces) + 2:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it says so where all would be equal
            found: Any = optuna.importance.get_param_importances(
                sampling.study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                # It looks for what makes a target small.
                target=(lambda one: -one.values[0]) if len(sampling.study.directions) > 1 else None,
            )
    except (ValueError, RuntimeError, UserWarning):
        return {}
    return {name: float(share) for name, share in found.items()}
