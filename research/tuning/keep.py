"""A tuning from its inputs to a run that is kept, with its panel and its report."""

import contextlib
import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from backtest.inputs import Inputs
from backtest.record import record_with, run_with
from backtest.spans import span_of
from backtest.sweeps.asked import prints_of
from backtest.sweeps.engine import evaluate
from backtest.sweeps.show import figure
from data.dates import now_ms
from data.run_json import RunRecord, TuneRecord
from data.runs import Run, keep
from data.tune_json import HoldoutRecord, PanelRecord, SearchRecord, SpaceRecord
from research.progress import bars, progress
from research.statistics.panel import PARTS, Tried, panel_of
from research.tuning.asked import Prepared, TuneAsked, rests_on
from research.tuning.scoring import MEMORY, Evaluate
from research.tuning.search import COMPLETE, FAILED, INFEASIBLE, PRUNED, Told
from research.tuning.storage import redacted
from research.tuning.study import tried_beside
from research.tuning.tune import Tuned, score_of, search_of, tune
from strategy.errors import Stopped
from strategy.metrics import DEFINITIONS

STUDIES = ".studies"  # among the runs


def run_tune(
    inputs: Inputs,
    runs: Path,
    asked: TuneAsked,
    *,
    name: str | None = None,
    command: Sequence[str] = (),
    notes: Sequence[str] = (),
    evaluate: Evaluate = evaluate,
    threads: int | None = None,
    memory: int = MEMORY,
) -> Run:
    """Tune with a progress bar, judge what was found, and keep the winner as a run.

    Raises
    ------
    WickError
        As `research.tuning.tune.tune`.
    Stopped
        By Ctrl-C; the trials that are done stay in the study.
    """
    options: dict[str, Any] = {"evaluate": evaluate, "threads": threads, "memory": memory}
    done = 0

    # What a strategy prints is no result.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            with _searching(inputs.strategy.name, asked) as shown:

                def tell(told: Told) -> None:
                    nonlocal done
                    done = told.done
                    shown(told)

                tuned = tune(inputs, asked, runs / STUDIES, tell=tell, **options)
            panel, neighbours = _judged(tuned, asked, options)
        except KeyboardInterrupt as stop:
            if not done:
                raise
            raise Stopped(
                f"stopped with {done:,} of {asked.trials:,} trials done",
                "the same command goes on with them",
            ) from stop
    told = [*notes, *_beside(tuned, runs / STUDIES)]
    record = _record(tuned, asked, panel, redacted(command, asked.storage), told, name)
    extra = {"trials": trial_table(tuned), "neighbours": neighbours}
    return keep(runs, run_with(runs, record, tuned.result), inputs.strategy.source, extra)


def _judged(
    tuned: Tuned, asked: TuneAsked, options: dict[str, Any]
) -> tuple[PanelRecord, pa.Table]:
    prepared = tuned.prepared
    tried = Tried(
        inputs=prepared.inputs,
        spaces=prepared.spaces,
        values=tuned.trials.values,
        scores=tuned.trials.scores[:, 0],
        days=tuned.table.days,
        best=tuned.row,
        result=tuned.result,
        objective=prepared.objectives[0],
        score=score_of(prepared, options),
        search=search_of(prepared, replace(asked, trials=len(tuned.trials)), options),
        seed=_seed_of(prepared, asked),
    )
    with progress("how likely it is luck", PARTS) as tick:
        return panel_of(tried, tick)


def _beside(tuned: Tuned, studies: Path) -> list[str]:
    candles = prints_of(tuned.prepared.inputs)["the candles"]
    others, trials = tried_beside(studies, tuned.study, candles)
    if not others or not trials:
        return []
    told = "another study" if others == 1 else f"{others} other studies"
    return [
        f"{told} tried {trials:,} params on these candles; the figures of luck do not count them"
    ]


def _seed_of(prepared: Prepared, asked: TuneAsked) -> int:
    # Of what the study rests on: nobody can draw the verdict again with another --seed.
    rests = sorted(rests_on(prepared, asked).items())
    return int.from_bytes(hashlib.sha256(repr(rests).encode()).digest()[:4], "little")


def _record(
    tuned: Tuned,
    asked: TuneAsked,
    panel: PanelRecord,
    command: Sequence[str],
    notes: Sequence[str],
    name: str | None,
) -> RunRecord:
    prepared, trials = tuned.prepared, tuned.trials
    train = prepared.inputs
    record = record_with(
        tuned.result,
        train,
        kind="tune",
        created_ms=now_ms(),
        command=command,
        before=notes,
        seed=asked.seed,
        name=name,
    )
    states = {state: trials.states.count(state) for state in (COMPLETE, PRUNED, INFEASIBLE, FAILED)}
    return msgspec.structs.replace(
        record,
        tune=TuneRecord(
            objective=prepared.objectives[0],
            trials=len(trials),
            sampler=asked.sampler,
            train_from_ms=span_of(train.candles)[0],
            split_ms=prepared.holdout[0],
            test_to_ms=prepared.holdout[1],
            best_value=float(trials.scores[tuned.row, 0]),
            search=SearchRecord(
                study=tuned.study,
                storage=tuned.storage,
                objectives=list(prepared.objectives),
                constraints=[one.text for one in prepared.constraints],
                spaces=[
                    SpaceRecord(*one[:5], choices=list(one.choices), whole=one.whole)
                    for one in prepared.spaces
                ],
                winner=tuned.row,
                front=trials.front(),
                importance=tuned.importance,
                folds=asked.folds,
                **states,
            ),
            panel=panel,
            holdout=HoldoutRecord(*prepared.holdout),
        ),
    )


def trial_table(tuned: Tuned) -> pa.Table:
    """Return every trial with its params, objectives and figures of the whole searched span."""
    prepared, trials = tuned.prepared, tuned.trials
    columns = {"trial": pa.array(np.arange(len(trials)))}
    columns["state"] = pa.array(trials.states)
    for at, space in enumerate(prepared.spaces):
        kind = np.int64 if space.whole else np.float64
        columns[f"params_{space.name}"] = pa.array(trials.values[:, at].astype(kind))
    for at, objective in enumerate(prepared.objectives):
        columns[f"value_{objective}"] = pa.array(trials.scores[:, at], from_pandas=True)
    for key, column in tuned.table.figures.items():
        columns[key] = pa.array(column, from_pandas=True)
    columns["note"] = pa.array(trials.notes)
    return pa.table(columns)


@contextlib.contextmanager
def _searching(strategy: str, asked: TuneAsked) -> Iterator[Callable[[Told], None]]:
    with bars("{task.fields[best]}") as bar:
        task = bar.add_task(f"search of {strategy}", total=asked.trials, best="")
        objective = asked.objectives[0]
        label = DEFINITIONS[objective].label

        def shown(told: Told) -> None:
            value = math.nan if told.best is None else told.best
            best = "" if told.best is None else f"best {label} {figure(objective, value)}"
            bar.update(task, completed=told.done, best=best)

        yield shown
