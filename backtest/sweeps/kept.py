"""A sweep whose rows are all there becomes a run with a report, and such a run is read again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from backtest.inputs import Inputs
from backtest.record import run_with
from backtest.sweeps import alone
from backtest.sweeps.asked import axis_records, grid_again, rests_on
from backtest.sweeps.grid import Grid
from backtest.sweeps.heatmap import write_sweep_report
from backtest.sweeps.ranking import Summary, summarize
from backtest.sweeps.storage import SCHEMA, Parts, SweepPlanned, begin, held, remove
from data.dates import now_ms
from data.run_json import RunRecord
from data.runs import Run, check_writable, publish, run_id
from strategy.errors import WickError

TOP = 20


def finish(
    inputs: Inputs,
    grid: Grid,
    planned: SweepPlanned,
    parts: Parts,
    summary: Summary,
    method: Sequence[str],
    pair: tuple[str, str] | None = None,
) -> Run:
    """Run the best combination, describe the sweep, draw its maps, and give its folder its name.

    Raises
    ------
    RunRefused
        No combination has a result, or the folder cannot be written.
    """
    best = alone.best_run(inputs, grid, parts.rows, summary)
    record = alone.sweep_record(
        inputs, grid, best, summary, method, name=planned.id, created_ms=planned.created_ms,
        command=planned.command, seed=planned.seed,
    )  # fmt: skip
    path = parts.folder / "report.html"
    write_sweep_report(record, parts.rows, grid, summary, path, pair)
    runs = parts.folder.parent
    run = run_with(runs, record, best[0])
    tables = {} if run.parts is None else {"parts": run.parts}
    return publish(runs, parts.folder, run, None, tables)


def planned_of(
    inputs: Inputs,
    grid: Grid,
    part: int,
    seed: int,
    name: str | None,
    command: Sequence[str] = (),
    asked: Mapping[str, Any] | None = None,
) -> SweepPlanned:
    """Describe a sweep that begins now; `part` is how many places of the grid make a part."""
    symbols, created_ms = tuple(one.symbol for one in inputs.candles), now_ms()
    return SweepPlanned(
        schema=SCHEMA,
        id=name or run_id(created_ms, "sweep", inputs.strategy.name, symbols),
        created_ms=created_ms,
        command=list(command),
        asked=dict(asked or {}),
        axes=axis_records(grid),
        where=grid.where.text if grid.where else None,
        drawn=None if grid.drawn is None else len(grid.drawn),
        seed=seed,
        part=part,
        rests_on=rests_on(inputs, grid, seed),
    )


def keep(
    inputs: Inputs,
    grid: Grid,
    tables: Sequence[pa.Table],
    method: Sequence[str],
    objective: str,
    seed: int,
    runs: Path,
    name: str | None,
) -> Path:
    """Keep a sweep whose rows are in memory as a run, and return its folder.

    Raises
    ------
    RunRefused
        The folder cannot be written, or no combination has a result.
    """
    check_writable(runs)
    summary = summarize(lambda: tables, grid, objective, TOP)
    planned = planned_of(inputs, grid, max(map(len, tables)), seed, name)
    parts = Parts(begin(runs, planned, inputs.strategy.source))
    with held(parts.folder):
        for at, table in enumerate(tables):
            parts.write(at, table)
        try:
            return finish(inputs, grid, planned, parts, summary, method).folder
        except alone.NoResult:
            remove(parts.folder)
            raise


def grid_of(record: RunRecord) -> Grid:
    """Return the grid of a finished sweep.

    Raises
    ------
    WickError
        The run is no sweep.
    """
    if record.sweep is None:
        raise WickError(f"run {record.id} is no sweep", "wick sweep makes one")
    known: dict[str, float] = dict(record.params)
    known |= {f"risk.{name}": value for name, value in record.risk.items()}
    known |= {f"costs.{name}": value for name, value in record.all_costs._asdict().items()}
    return grid_again(record.sweep, known, record.seed)


def write_report_of(run: Run, path: Path) -> Path:
    """Write the report of a finished sweep.

    Raises
    ------
    WickError
        The run is no sweep, or its rows are damaged.
    RunRefused
        The file cannot be written.
    """
    grid, rows = grid_of(run.record), Parts(run.folder).rows
    assert run.record.sweep is not None
    summary = summarize(rows, grid, run.record.sweep.objective, TOP)
    return write_sweep_report(run.record, rows, grid, summary, path)
