"""What a sweep was asked for: its grid and inputs, what its rows rest on, and all of it again."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtest.inputs import Asked, Inputs, gather
from backtest.sweeps import grid as grids
from backtest.sweeps.grid import Grid
from backtest.sweeps.storage import SweepPlanned
from backtest.sweeps.where import condition
from data.run_json import AxisRecord, SweepRecord
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.fills import DETAIL, Costs, checked_costs
from strategy.kernel import SOURCE_HASH
from strategy.risk import Risk, check_values


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
    _refuse_twice(asked, grid)
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


_FEES = {
    "costs.fee_rate": ("fee_bps", "fees"),
    "costs.maker_rate": ("maker_fee_bps", "fees"),
    "costs.slippage": ("slippage_bps",),
}


def _refuse_twice(asked: Asked, grid: Grid) -> None:
    changed = {change.partition("=")[0].strip() for change in asked.changes}
    for name in grid.names:
        flags = [flag for flag in _FEES.get(name, ()) if getattr(asked, flag) is not None]
        if name in changed or flags:
            flag = f"--{flags[0].replace('_', '-')}" if flags else "--set or --intrabar"
            raise WickError(
                f"{name} is an axis of --grid and is given by {flag} too", "leave one of them out"
            )


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
        for value in axis.values.tolist() if dot else ():
            if axis.name.startswith("costs."):
                checked_costs(inputs.costs._replace(**{field: value}))
            else:
                check_values(Risk()._replace(**{field: value}))
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


def whole_axes(grid: Grid, inputs: Inputs) -> tuple[str, ...]:
    """Return the axes whose values are whole numbers."""
    known = known_values(inputs)
    return tuple(name for name in grid.names if isinstance(known[name], int))


def rests_on(inputs: Inputs, grid: Grid, seed: int) -> dict[str, str]:
    """Name everything that the rows depend on, as texts that change with it."""
    found = prints_of(inputs)
    where = grid.where.text if grid.where else ""
    drawn = None if grid.drawn is None else (len(grid.drawn), seed)
    found["the grid"] = _print((grid.names, *(axis.values for axis in grid.axes), where, drawn))
    return found | {"Candlewick itself": SOURCE_HASH}


def prints_of(inputs: Inputs) -> dict[str, str]:
    """Name everything that a run is made of, as texts that change with it."""
    found = {"the strategy's source": inputs.strategy.source_hash}
    for field in dataclasses.fields(inputs):
        if field.name not in ("strategy", "notes", "source"):
            name = {"rules": "exchange rules", "risk": "risk settings"}.get(field.name, field.name)
            found[f"the {name}"] = _print(getattr(inputs, field.name))
    return found


def axis_records(grid: Grid) -> list[AxisRecord]:
    """Return the axes as a record keeps them."""
    return [AxisRecord(axis.name, axis.values.tolist()) for axis in grid.axes]


def grid_again(its: SweepRecord, known: Mapping[str, float], seed: int | None) -> Grid:
    """Make the grid of a finished sweep again."""
    axes = tuple(grids.Axis(one.name, np.array(one.values)) for one in its.axes)
    where = None if its.where is None else condition(its.where, known)
    drawn = None if its.drawn is None else grids.draw(axes, its.drawn, seed or 0)
    return Grid(axes, where, drawn)


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
