"""A tuning: params searched on one span, the winner run on it, the hold-out left closed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.refusals import refuse_cold
from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import NOTES, REFUSED, SweepTable
from backtest.sweeps.plan import SweepPlan
from research.tuning.asked import (
    Prepared,
    TuneAsked,
    folds_of,
    prepare,
    rests_on,
    study_name,
)
from research.tuning.sampling import Sampling
from research.tuning.scoring import MEMORY, Evaluate, Floats, Scorer
from research.tuning.search import INFEASIBLE, Told, Trials, importance, search
from research.tuning.storage import check_storage
from research.tuning.study import Study
from strategy.errors import RunRefused, WickError
from strategy.metrics import NEEDS_DAYS


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    prepared : Prepared
    study, storage : str
        Where the trials are kept, empty for in memory.
    trials : Trials
        All of the study.
    table : SweepTable
        Every trial on the whole searched span, and its days.
    row : int
        The winner's.
    params : NamedTuple
        Its params.
    result : Result
        Its run on the searched span.
    importance : dict of float
    """

    prepared: Prepared
    study: str
    storage: str
    trials: Trials
    table: SweepTable
    row: int
    params: Any
    result: Result
    importance: dict[str, float]


def tune(
    inputs: Inputs,
    asked: TuneAsked,
    studies: Path | None = None,
    *,
    evaluate: Evaluate = evaluate,
    threads: int | None = None,
    memory: int = MEMORY,
    tell: Callable[[Told], None] = lambda _: None,
) -> Tuned:
    """Search the strategy's TUNE space before the split, and run the winner there.

    Parameters
    ----------
    inputs : Inputs
        Candles of both spans; params not in TUNE keep their values.
    studies : Path, optional
        Folder of studies; without it trials are kept in memory only.
    evaluate, threads, memory
        See `research.tuning.scoring.Scorer`.
    tell : callable
        Called as the search proceeds.

    Raises
    ------
    WickError
        A setting or TUNE does not fit, the searched span is too short, or the study is of
        something else.
    RunRefused
        No trial gave a value that keeps all constraints, or the study's storage is gone.
    """
    check_storage(asked.storage)
    prepared = prepare(inputs, asked)
    refuse_cold(prepared.inputs.strategy, prepared.inputs.params, prepared.inputs.candles)
    options: dict[str, Any] = {"evaluate": evaluate, "threads": threads, "memory": memory}
    sampling = Sampling(asked.sampler, prepared.spaces, len(prepared.objectives), asked.seed)
    name, storage = "", ""
    if studies is None:
        trials = _search(prepared, asked, sampling, None, tell, options)
    else:
        rests = rests_on(prepared, asked)
        name = study_name(prepared, asked, rests)
        with Study(name, asked.storage, studies, len(prepared.objectives)) as study:
            _check_same(study, rests)
            sampling = Sampling(
                asked.sampler, prepared.spaces, len(prepared.objectives), asked.seed, study.stream
            )
            trials = _search(prepared, asked, sampling, study, tell, options)
            storage = study.where
            if trials.best is None and INFEASIBLE not in trials.states:
                study.discard()
    best = trials.best
    if best is None:
        raise _without(trials, prepared)
    scorer = Scorer([prepared.inputs], _names(prepared), prepared.objectives, **options)
    table = scorer.table(trials.values, days=True)
    params = scorer.plans[0].params(trials.values[best])
    return Tuned(
        prepared,
        name,
        storage,
        trials,
        table,
        best,
        params,
        run(prepared.inputs, params),
        importance(sampling),
    )


def score_of(prepared: Prepared, options: Mapping[str, Any]) -> Callable[[Inputs, Floats], Floats]:
    """Return what gives params their first objective on any inputs, NaN where it has none or a
    constraint is broken."""

    def score(inputs: Inputs, values: Floats) -> Floats:
        scorer = Scorer(
            [inputs], _names(prepared), prepared.objectives[:1], prepared.constraints, **options
        )
        found = scorer.score(values)
        out: Floats = np.where(found.feasible, found.values[:, 0], np.nan)
        return out

    return score


def search_of(
    prepared: Prepared, asked: TuneAsked, options: Mapping[str, Any]
) -> Callable[[Inputs], float]:
    """Return what makes the same search over other candles, with as many trials as there are, and
    gives its best first objective."""

    def again(inputs: Inputs) -> float:
        its = replace(prepared, inputs=inputs, folds=folds_of(inputs, asked.folds))
        sampling = Sampling(asked.sampler, its.spaces, len(its.objectives), asked.seed)
        trials = _search(its, asked, sampling, None, lambda _: None, options)
        return float("nan") if trials.best is None else float(trials.scores[trials.best, 0])

    return again


def _names(prepared: Prepared) -> list[str]:
    return [one.name for one in prepared.spaces]


def _search(
    prepared: Prepared,
    asked: TuneAsked,
    sampling: Sampling,
    study: Study | None,
    tell: Callable[[Told], None],
    options: Mapping[str, Any],
) -> Trials:
    names = _names(prepared)
    scorer = Scorer(prepared.folds, names, prepared.objectives, prepared.constraints, **options)
    return search(scorer, sampling, asked.trials, study=study, tell=tell)


def _check_same(study: Study, rests: Mapping[str, str]) -> None:
    known = study.rests_on()
    if not known:
        study.begin(rests)
        return
    changed = sorted(name for name in known | dict(rests) if known.get(name) != rests.get(name))
    if changed:
        raise WickError(
            f"study {study.name} was begun with something else; changed since:"
            f" {', '.join(changed)}",
            "put it back to go on, or begin another one with --study NAME, which does not count the"
            f" {len(study.trials()):,} tries of this one: luck does",
        )


def _without(trials: Trials, prepared: Prepared) -> RunRefused:
    count, objective = len(trials), prepared.objectives[0]
    infeasible = trials.states.count(INFEASIBLE)
    if infeasible:
        row = len(trials) - 1 - trials.states[::-1].index(INFEASIBLE)
        return RunRefused(
            f"none of {count} trials keeps all constraints; {infeasible} had a value, the last one"
            f" of them: {trials.notes[row]}",
            "loosen --constraint, or widen TUNE",
        )
    lacking = next((note for note in trials.notes[::-1] if note), "")
    if lacking == NOTES[REFUSED]:
        lacking = _refusal(trials, prepared)
    hint = "look at TUNE, or take a longer span before --split"
    if "trades" in lacking:
        hint = (
            "let the rules hold more often: wider ranges in TUNE, or a longer span before --split"
        )
    elif objective in NEEDS_DAYS and "days" in lacking:
        hint = "take a longer span before --split, or --objective total_return"
    return RunRefused(f"none of {count} trials gave a {objective}; the last one: {lacking}", hint)


def _refusal(trials: Trials, prepared: Prepared) -> str:
    row = len(trials) - 1 - trials.notes[::-1].index(NOTES[REFUSED])
    plan = SweepPlan.of(prepared.inputs, _names(prepared))
    try:
        run(prepared.inputs, plan.params(trials.values[row]))
    except WickError as error:
        return error.message
    return NOTES[REFUSED]
