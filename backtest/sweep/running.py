"""A sweep from what was asked for to a run: grid, rows part by part, the best combination."""

import contextlib
import dataclasses
import hashlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from backtest.engine import Result
from backtest.inputs import Asked, Inputs, gather, run
from backtest.record import record_of
from backtest.running import compiling
from backtest.sweep import grid as grids
from backtest.sweep.engine import evaluate
from backtest.sweep.figures import NOTES
from backtest.sweep.grid import Grid
from backtest.sweep.plan import SweepPlan
from backtest.sweep.ranking import NOTE, NUMBER, Rows, Summary
from backtest.sweep.storage import SweepPlanned
from backtest.sweep.where import condition
from data.dates import now_ms
from data.run_record import figures_of
from data.run_tables import part_table, trade_table
from data.runs import AxisRecord, Run, RunRecord, SweepRecord
from data.table import arrow, arrow_text, numbers
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.fills import DETAIL, Costs, checked_costs
from strategy.kernel import SOURCE_HASH
from strategy.risk import Risk


@dataclass(frozen=True, slots=True)
class GridAsked:
    """Which combinations were asked for.

    Attributes
    ----------
    grid : tuple of str, or mapping
        As ``--grid`` has it, or a sequence of numbers by name; empty for the strategy's TUNE.
    where : str or None
    random : int or None
        How many to draw.
    seed : int
    """

    grid: tuple[str, ...] | Mapping[str, Any] = ()
    where: str | None = None
    random: int | None = None
    seed: int = 0


def gather_for(
    asked: Asked,
    given: GridAsked,
    store: Path,
    runs: Path,
    own: Sequence[Candles] = (),
    own_detail: Sequence[Candles | None] = (),
) -> tuple[Inputs, Grid]:
    """Gather the inputs of a sweep and make its grid; also the data that only an axis needs.

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit.
    """
    inputs = gather(asked, store, runs, own, own_detail)
    grid = grid_of(given, inputs)
    for name, most, known in (
        ("spread", 0.0, inputs.spreads),
        ("intrabar", DETAIL - 1.0, inputs.detail),
    ):
        axis = next((one for one in grid.axes if one.name == f"costs.{name}"), None)
        if axis is not None and not known and axis.values.max() > most:
            highest = f"costs.{name}={axis.values.max():g}"
            changed = dataclasses.replace(asked, changes=(*asked.changes, highest))
            more = gather(changed, store, runs, own, own_detail)
            inputs = dataclasses.replace(more, costs=inputs.costs)
    return inputs, grid


def grid_of(asked: GridAsked, inputs: Inputs) -> Grid:
    """Make and check the grid for these inputs.

    Raises
    ------
    WickError
        A name, a value, the condition or the number of combinations does not fit.
    """
    known = known_values(inputs)
    if isinstance(asked.grid, Mapping):
        axes = grids.axes_of(asked.grid, known)
    elif asked.grid:
        axes = grids.parse_grid(asked.grid, known)
    else:
        axes = grids.axes_of_tune(inputs.strategy.tune, known, inputs.strategy.name)
    for axis in axes:
        _, dot, field = axis.name.partition(".")
        if dot and axis.name.startswith("costs."):
            for value in axis.values.tolist():
                checked_costs(inputs.costs._replace(**{field: value}))
    where = None if asked.where is None else condition(asked.where, known)
    drawn = None if asked.random is None else grids.draw(axes, asked.random, asked.seed)
    return Grid(axes, where, drawn)


def known_values(inputs: Inputs) -> dict[str, int | float]:
    """Return everything that can be an axis with its value here; an int where it must be whole."""
    found: dict[str, int | float] = dict(inputs.params._asdict())
    for owner, values, defaults in (
        ("risk", inputs.risk, Risk()),
        ("costs", inputs.costs, Costs()),
    ):
        for name, value in values._asdict().items():
            whole = isinstance(getattr(defaults, name), int)
            found[f"{owner}.{name}"] = int(value) if whole else float(value)
    return found


def rests_on(inputs: Inputs, grid: Grid, seed: int) -> dict[str, str]:
    """Name everything that the rows depend on, as texts that change with it."""
    found = {"the strategy's source": inputs.strategy.source_hash}
    for field in dataclasses.fields(inputs):
        if field.name not in ("strategy", "notes", "source"):
            name = {"rules": "exchange rules", "risk": "risk settings"}.get(field.name, field.name)
            found[f"the {name}"] = _print(getattr(inputs, field.name))
    where = grid.where.text if grid.where else ""
    drawn = None if grid.drawn is None else (len(grid.drawn), seed)
    found["the grid"] = _print((grid.names, *(axis.values for axis in grid.axes), where, drawn))
    return found | {"Candlewick itself": SOURCE_HASH}


def part_size(places: int, walked: bool) -> int:
    """Return how many places of a grid make a part, more of them where each takes less time.

    Parameters
    ----------
    walked : bool
        Each combination walks through the candles.
    """
    # What combinations share is made anew for each part: 60 ms of a year of minutes.
    fewest, most, parts = (64, 1_024, 48) if walked else (1_024, 16_384, 12)
    return int(np.clip(-(-places // parts), fewest, most))


def parts_of(
    plan: SweepPlan,
    grid: Grid,
    size: int,
    wanted: Iterable[int],
    whole: Sequence[str],
    *,
    threads: int,
    memory: int,
) -> Iterator[tuple[int, pa.Table]]:
    """Compute parts of a sweep, each as a table of its combinations, their values and figures.

    Parameters
    ----------
    size : int
        Places in a part.
    wanted : iterable of int
        Which parts, from 0.
    whole : sequence of str
        The axes whose values are whole numbers.
    threads, memory : int
        For the engine; bytes.
    """
    for at in wanted:
        its = grid.numbers(at * size, (at + 1) * size)
        values = grid.values(its)
        table = evaluate(plan, values, threads=threads, memory=memory)
        columns = {NUMBER: arrow(its)}
        for name, column in zip(grid.names, values.T, strict=True):
            columns[name] = arrow(column.astype(np.int64) if name in whole else column)
        columns |= {key: arrow(one) for key, one in table.figures.items()}
        columns[NOTE] = arrow_text(NOTES, table.note)
        yield at, pa.table(columns)


def all_parts(
    inputs: Inputs, grid: Grid, threads: int, memory: int
) -> tuple[list[pa.Table], list[str]]:
    """Compute a whole sweep in memory; also how it was computed."""
    with compiling(), contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no result
        plan = SweepPlan.of(inputs, grid.names)
        size = part_size(grid.places, bool(plan.why_walked(inputs.risk, inputs.costs)))
        wanted, whole = range(-(-grid.places // size)), whole_axes(grid, inputs)
        parts = parts_of(plan, grid, size, wanted, whole, threads=threads, memory=memory)
        return [table for _, table in parts], plan.says()


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
    record = record_of(
        result, kind="backtest", created_ms=now_ms(), command=(), rules=its.rules, notes=its.notes
    )
    trades = trade_table(result.trades, result.symbols)
    closed = part_table(result.parts, result.trades, result.symbols)
    return Run(runs / record.id, record, trades, result.time, result.equity, closed)


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
        raise RunRefused(
            f"none of {summary.rows:,} combinations has a result; most often: {most}",
            "look at the grid, or run one of them with wick backtest and --set",
        )
    row = row_of(rows(), number)
    result = run(inputs_of(inputs, grid.names, [row[name] for name in grid.names]))
    told = []
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
    record = record_of(
        result,
        kind="sweep",
        created_ms=created_ms,
        command=command,
        rules=inputs.rules,
        notes=(*inputs.notes, *told),
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


def axis_records(grid: Grid) -> list[AxisRecord]:
    """Return the axes as a record keeps them."""
    return [AxisRecord(axis.name, axis.values.tolist()) for axis in grid.axes]


def grid_again(its: SweepRecord, known: Mapping[str, float], seed: int | None) -> Grid:
    """Make the grid of a finished sweep again."""
    axes = tuple(grids.Axis(one.name, np.array(one.values)) for one in its.axes)
    where = None if its.where is None else condition(its.where, known)
    drawn = None if its.drawn is None else grids.draw(axes, its.drawn, seed or 0)
    return Grid(axes, where, drawn)


def whole_axes(grid: Grid, inputs: Inputs) -> tuple[str, ...]:
    """Return the axes whose values are whole numbers."""
    known = known_values(inputs)
    return tuple(name for name in grid.names if isinstance(known[name], int))


def grid_asked_again(planned: SweepPlanned) -> GridAsked:
    """Return which combinations a sweep that began was asked for."""
    axes = {axis.name: axis.values for axis in planned.axes}
    return GridAsked(axes, planned.where, planned.drawn, planned.seed)


def asked_again(asked: Mapping[str, Any]) -> Asked:
    """Read what was asked for from its fields."""
    fields = dict(asked)
    for name in ("symbols", "changes"):
        if fields.get(name) is not None:
            fields[name] = tuple(fields[name])
    return Asked(**fields)


def asked_fields(asked: Asked) -> dict[str, Any]:
    """Return what was asked for as fields, the strategy's file by its whole path."""
    fields = dataclasses.asdict(asked)
    if str(asked.strategy).endswith(".py"):
        fields["strategy"] = str(Path(str(asked.strategy)).resolve())
    return fields


def _print(value: Any) -> str:
    # Whatever a run is made of: a change of it changes the text.
    if (known := getattr(value, "fingerprint", None)) is not None:
        return str(known)
    if isinstance(value, tuple):
        return " ".join(map(_print, value))
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return repr(value)
