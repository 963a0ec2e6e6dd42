"""A walk-forward from its inputs to a run that is kept."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from backtest.inputs import Inputs
from backtest.record import record_with, run_with
from backtest.spans import span_of
from backtest.sweeps.engine import evaluate
from data.dates import now_ms
from data.runs import Run, keep
from data.tune_json import WalkRecord
from research.progress import bars
from research.tuning.asked import TuneAsked
from research.tuning.scoring import Evaluate
from research.validation.walkforward import WalkAsked, splits_of, walk


def run_walk(
    inputs: Inputs,
    runs: Path,
    how: WalkAsked,
    asked: TuneAsked,
    *,
    name: str | None = None,
    command: Sequence[str] = (),
    evaluate: Evaluate = evaluate,
    threads: int | None = None,
    at_once: int = 1,
) -> Run:
    """Walk with a progress bar, and keep the stitched run.

    Raises
    ------
    WickError
        As `research.validation.walkforward.walk`.
    """
    count = len(splits_of(how, *span_of(inputs.candles)))
    words = f"{how.scheme} walk of {inputs.strategy.name}"
    # What a strategy prints is no result.
    with contextlib.redirect_stdout(sys.stderr), bars("{task.fields[window]}") as shown:
        task = shown.add_task(words, total=count * asked.trials, window="")

        def tell(done: int, trials: int) -> None:
            shown.update(task, completed=trials, window=f"{done} of {count} windows")

        walked = walk(
            inputs, how, asked, evaluate=evaluate, threads=threads, at_once=at_once, tell=tell
        )
    whole, result = walked.inputs, walked.result
    record = record_with(
        result,
        whole,
        kind="walkforward",
        created_ms=now_ms(),
        command=command,
        seed=asked.seed,
        name=name,
    )
    purge, embargo = how.margins
    record = msgspec.structs.replace(
        record,
        walk=WalkRecord(
            scheme=how.scheme,
            objective=asked.objectives[0],
            trials=asked.trials,
            windows=walked.windows,
            purge_ms=purge,
            embargo_ms=embargo,
            efficiency=walked.efficiency,
            paths=walked.paths,
        ),
    )
    return keep(runs, run_with(runs, record, result), inputs.strategy.source)
