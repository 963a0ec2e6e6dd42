"""What is tried next: Optuna's samplers, asked for many trials at once."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_gamma_multiobjective
from optuna.trial import FrozenTrial, TrialState

from research.tuning.space import Space
from strategy.errors import WickError

optuna.logging.set_verbosity(optuna.logging.ERROR)
SAMPLERS = ("tpe", "nsga2", "qmc", "grid", "random")
# Asked for and evaluated together. More share more columns, and learn later from each other.
BATCH = 40
_STARTUP = 40  # trials that are drawn before an estimate is made of them
_CANDIDATES = 24  # of which the most promising one becomes a trial, as Optuna has it
# Enough for a density of trials that were not good; of all of them it would take ever longer.
_MOST_ABOVE = 400
_MOST_GRID = 1_000_000
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def distributions_of(spaces: Sequence[Space]) -> dict[str, BaseDistribution]:
    """Return spaces as Optuna knows them."""
    return {one.name: _distribution(one) for one in spaces}


def _distribution(one: Space) -> BaseDistribution:
    if one.choices:
        return CategoricalDistribution(
            [int(value) if one.whole else value for value in one.choices]
        )
    if one.whole:
        low, high, step = int(one.low), int(one.high), max(int(one.step), 1)
        # Optuna takes no range that its step does not end on.
        return IntDistribution(
            low, high if one.log else low + (high - low) // step * step, log=one.log,
            step=1 if one.log else step,
        )  # fmt: skip
    if not one.step:
        return FloatDistribution(one.low, one.high, log=one.log)
    return FloatDistribution(one.low, float(one.values()[-1]), step=one.step)


class Asked(NamedTuple):
    """A trial to be evaluated: its params by name, and Optuna's own record where a sampler needs
    it."""

    params: dict[str, Any]
    trial: Any = None


class Sampling:
    """A sampler over some spaces; what it has seen lies in a study in memory.

    Parameters
    ----------
    kind : str
        One of `SAMPLERS`.
    spaces : sequence of Space
    objectives : int
        How many, each to be maximised.
    seed : int
    stream : str
        Another one for each process at work on one study.

    Raises
    ------
    WickError
        A grid is wanted of a space without steps, or of too many combinations.
    """

    def __init__(
        self, kind: str, spaces: Sequence[Space], objectives: int, seed: int, stream: str = ""
    ) -> None:
        self.kind, self.spaces = kind, tuple(spaces)
        self.distributions = distributions_of(spaces)
        self._seed, self._stream = seed, [seed, *stream.encode()]
        self._grid = _combinations(self.spaces) if kind == "grid" else None
        self.study = optuna.create_study(directions=["maximize"] * objectives)

    def ask(self, most: int) -> list[Asked]:
        """Return the next trials up to the end of their batch; of a grid there may be none left.

        They depend on the seed and on the trials before the batch, not on where a process before
        was stopped; only nsga2 looks at all that there are.
        """
        done = len(self.study.get_trials(deepcopy=False))
        start = done // BATCH * BATCH
        count = min(most, start + BATCH - done)
        seed = int(np.random.SeedSequence([*self._stream, start]).generate_state(1)[0])
        if self.kind == "nsga2":
            self.study.sampler = optuna.samplers.NSGAIISampler(seed=seed)
            asked = [self.study.ask(self.distributions) for _ in range(count)]
            return [Asked(one.params, one) for one in asked]
        if self.kind == "qmc":
            return self._spread(done, count)
        if self.kind == "grid":
            return self._next(count)
        before = self.study.get_trials(deepcopy=False)[:start]
        finished = [one for one in before if one.state in _FINISHED]
        if self.kind == "random" or len(finished) < _STARTUP:
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
            batch = [Asked(study.ask(self.distributions).params) for _ in range(BATCH)]
        else:
            batch = self._promising(finished, BATCH, seed)
        return batch[done - start :][:count]

    def _promising(self, finished: list[Any], count: int, seed: int) -> list[Asked]:
        # Optuna fits its estimate anew for every trial, which takes longer than the trial once
        # there are a thousand: here one estimate draws the candidates of them all.
        sampler: Any = optuna.samplers.TPESampler(seed=seed, constant_liar=False)
        space = {name: one for name, one in self.distributions.items() if not one.single()}
        fixed = {name: _only(one) for name, one in self.distributions.items() if one.single()}
        if not space:
            return [Asked(dict(fixed))] * count
        several = len(self.study.directions) > 1
        gamma = default_gamma_multiobjective if several else default_gamma
        below, above = _split_trials(self.study, finished, gamma(len(finished)))
        if len(above) > _MOST_ABOVE:
            chosen = np.random.default_rng(seed).choice(len(above), _MOST_ABOVE, replace=False)
            above = [above[at] for at in np.sort(chosen).tolist()]
        low = sampler._build_parzen_estimator(self.study, space, below, handle_below=True)
        high = sampler._build_parzen_estimator(self.study, space, above, handle_below=False)
        drawn = low.sample(sampler._rng.rng, _CANDIDATES * count)
        gain = sampler._compute_acquisition_func(drawn, low, high).reshape(count, _CANDIDATES)
        best = gain.argmax(axis=1) + _CANDIDATES * np.arange(count)
        return [
            Asked(
                fixed
                | {name: d.to_external_repr(drawn[name][at].item()) for name, d in space.items()}
            )
            for at in best.tolist()
        ]

    def _spread(self, done: int, count: int) -> list[Asked]:
        from scipy.stats import qmc

        engine = qmc.Sobol(len(self.spaces), rng=self._seed)
        if done:
            engine.fast_forward(done)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # balanced at powers of two only
            places = engine.random(count)
        return [
            Asked({one.name: _at(one, share) for one, share in zip(self.spaces, row, strict=True)})
            for row in places.tolist()
        ]

    def _next(self, count: int) -> list[Asked]:
        assert self._grid is not None
        values = [one.values() for one in self.spaces]
        known = {
            tuple(self.numbers([one.params])[0]) for one in self.study.get_trials(deepcopy=False)
        }
        order = np.random.default_rng(self._seed).permutation(int(np.prod(self._grid)))
        found: list[Asked] = []
        for place in order.tolist():
            at = np.unravel_index(place, self._grid)
            row = [float(its[k]) for its, k in zip(values, at, strict=True)]
            if tuple(row) not in known:
                pairs = zip(self.spaces, row, strict=True)
                found.append(Asked({one.name: _typed(one, value) for one, value in pairs}))
                if len(found) == count:
                    break
        return found

    def tell(self, asked: Asked, trial: FrozenTrial) -> FrozenTrial:
        """Take in what became of a trial, and return it with what the sampler noted beside it."""
        if asked.trial is None:
            self.study.add_trial(trial)
            return trial
        for name, value in trial.constraints.items():
            asked.trial.set_constraint(name, value)
        for name, value in trial.user_attrs.items():
            asked.trial.set_user_attr(name, value)
        return self.study.tell(asked.trial, trial.values, state=trial.state)

    def numbers(self, params: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
        """Return params as rows of numbers in the order of the spaces."""
        rows = [[float(one[space.name]) for space in self.spaces] for one in params]
        return np.array(rows, np.float64).reshape(len(params), len(self.spaces))


def _combinations(spaces: Sequence[Space]) -> tuple[int, ...]:
    sizes = []
    for one in spaces:
        places = None if one.log else one.places()
        if places is None:
            raise WickError(
                f"--sampler grid: TUNE[{one.name!r}] has no step",
                f'"{one.name}": ({one.low:g}, {one.high:g}, STEP) in TUNE, or --sampler qmc',
            )
        sizes.append(places)
    total = int(np.prod(sizes, dtype=object))
    if total > _MOST_GRID:
        raise WickError(
            f"--sampler grid: TUNE has {total:,} combinations, at most {_MOST_GRID:,} can be tried",
            "take larger steps in TUNE, or --sampler tpe",
        )
    return tuple(sizes)


def _at(one: Space, share: float) -> Any:
    # Each value of a space with steps gets an equal part of 0 to 1.
    if one.log:
        value = math.exp(math.log(one.low) + share * (math.log(one.high) - math.log(one.low)))
        value = min(max(value, one.low), one.high)
        return _typed(one, round(value) if one.whole else value)
    places = one.places()
    if places is None:
        return one.low + share * (one.high - one.low)
    return _typed(one, float(one.values()[min(int(share * places), places - 1)]))


def _typed(one: Space, value: float) -> Any:
    return int(value) if one.whole else value


def _only(distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    return distribution.low
