"""One combination of a sweep by itself, and the sweep as the run of its best one."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.record import record_with, run_with
from backtest.sweeps.asked import axis_records
from backtest.sweeps.figures import NOT_TOGETHER, NOTES, REFUSED
from backtest.sweeps.grid import Grid
from backtest.sweeps.ranking import NOTE, NUMBER, Rows, Summary
from data.dates import now_ms
from data.run_json import RunRecord, SweepRecord
from data.run_record import figures_of
from data.runs import Run
from data.table import numbers
from data.terminal import counted
from strategy.errors import RunRefused, WickError
from strategy.fills import checked_costs


def inputs_of(inputs: Inputs, names: Sequence[str], values: Sequence[float]) -> Inputs:
    """Return the inputs of one combination.

    Raises
    ------
    WickError
        The values do not go together.
    """
    changed: dict[str, dict[str, Any]] = {"": {}, "risk": {}, "costs": {}}
    for name, value in zip(names, values, strict=True):
        owner, _, field = name.rpartition(".")
        changed[owner][field] = value
    params = inputs.strategy.with_params(inputs.params._asdict() | changed[""])
    costs = checked_costs(inputs.costs._replace(**changed["costs"]))
    risk = inputs.risk._replace(**changed["risk"])
    return dataclasses.replace(inputs, params=params, risk=risk, costs=costs)


def row_of(rows: Iterable[pa.Table], number: int) -> dict[str, Any]:
    """Return the row of a combination.

    Raises
    ------
    WickError
        There is none of this number.
    """
    for table in rows:
        at = np.flatnonzero(numbers(table, NUMBER) == number)
        if len(at):
            found: dict[str, Any] = table.slice(int(at[0]), 1).to_pylist()[0]
            return found
    raise WickError(f"the sweep has no combination {number:,}", "the top table names them")


def run_of(inputs: Inputs, grid: Grid, rows: Iterable[pa.Table], number: int, runs: Path) -> Run:
    """Run one combination by itself, as a run that is not kept.

    Raises
    ------
    WickError
        There is none of this number, or it has no result.
    """
    row = row_of(rows, number)
    its = inputs_of(inputs, grid.names, [row[name] for name in grid.names])
    result = run(its)
    record = record_with(result, its, kind="backtest", created_ms=now_ms())
    return run_with(runs, record, result)


class NoResult(RunRefused):
    """No combination of a sweep has a result."""


def first_without(inputs: Inputs, grid: Grid, rows: Rows) -> list[str]:
    """Say why the first combination that is refused is, for its params and for its settings."""
    told = []
    for note in (NOTES[REFUSED], NOTES[NOT_TOGETHER]):
        its = (table.filter(pc.equal(table[NOTE], note)) for table in rows())
        first = next((table.slice(0, 1).to_pylist()[0] for table in its if len(table)), None)
        if first is None:
            continue
        values = [first[name] for name in grid.names]
        try:
            run(inputs_of(inputs, grid.names, values))
        except WickError as error:
            named = ", ".join(f"{n} {v:g}" for n, v in zip(grid.names, values, strict=True))
            told.append(
                f"combination {first[NUMBER]:,} ({named}) is the first without a result because"
                f" {note}: {error.message}; --where leaves such ones out"
            )
    return told


def best_run(
    inputs: Inputs, grid: Grid, rows: Rows, summary: Summary
) -> tuple[Result, int, list[str]]:
    """Run the best combination by itself; also its number, and what a reader should know.

    Raises
    ------
    RunRefused
        No combination has a result.
    """
    number = summary.best.get(summary.objective, summary.best.get("total_return"))
    if number is None:
        most = next(iter(summary.without), "no reason is known")
        why = "".join(f"; {one}" for one in first_without(inputs, grid, rows))
        raise NoResult(
            f"none of {counted(summary.rows, 'combination')} has a result; most often: {most}{why}",
            "look at the grid, or run one of them with wick backtest and --set",
        )
    row = row_of(rows(), number)
    result = run(inputs_of(inputs, grid.names, [row[name] for name in grid.names]))
    told = first_without(inputs, grid, rows)
    if summary.objective not in summary.best:
        told.append(f"no combination has a {summary.objective}: the best total return is shown")
    for its in figures_of(result):
        key, known = its.key, math.nan if its.value is None else its.value
        if key in row and not np.array_equal(known, row[key], equal_nan=True):
            told.append(f"{key} of combination {number:,} is {row[key]} here, {known} run alone")
    return result, number, told


def sweep_record(
    inputs: Inputs,
    grid: Grid,
    best: tuple[Result, int, list[str]],
    summary: Summary,
    method: Sequence[str],
    *,
    name: str | None,
    created_ms: int,
    command: Sequence[str],
    seed: int,
) -> RunRecord:
    """Describe a finished sweep as the run of its best combination."""
    result, number, told = best
    record = record_with(
        result,
        inputs,
        kind="sweep",
        created_ms=created_ms,
        command=command,
        behind=told,
        seed=None if grid.drawn is None else seed,
        name=name,
    )
    return msgspec.structs.replace(
        record,
        sweep=SweepRecord(
            objective=summary.objective,
            axes=axis_records(grid),
            where=grid.where.text if grid.where else None,
            drawn=None if grid.drawn is None else len(grid.drawn),
            combinations=summary.rows,
            left_out=grid.places - summary.rows,
            few_trades=summary.few_trades,
            without=summary.without,
            number=number,
            best=summary.best,
            method=list(method),
        ),
    )
