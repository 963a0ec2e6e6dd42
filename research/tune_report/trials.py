"""The trials of a study as a report draws them: read from the run's folder, and few enough."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.runs import read_table
from data.table import numbers
from data.tune_json import SearchRecord, SpaceRecord

Floats = NDArray[np.float64]
PREFIX = "params_"


@dataclass(frozen=True, slots=True)
class Trials:
    """Every trial of a study.

    Attributes
    ----------
    number : int64 (n,)
    state : array of str (n,)
        complete, pruned, infeasible or failed.
    params : float64 (n, spaces)
        In the order of the spaces; NaN where a trial has none.
    values : float64 (n, objectives)
        NaN where a trial has none.
    """

    number: NDArray[np.int64]
    state: NDArray[np.str_]
    params: Floats
    values: Floats

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Trials that count: complete, with a value of the first objective."""
        made: NDArray[np.bool_] = (self.state == "complete") & np.isfinite(self.values[:, 0])
        return made

    def at(self, number: int) -> int | None:
        """Return the row of a trial, None where there is none such."""
        found = np.flatnonzero(self.number == number)
        return int(found[0]) if len(found) else None


def trials_of(folder: Path, search: SearchRecord) -> Trials | None:
    """Read the trials of a run's folder; None where it keeps none.

    Raises
    ------
    WickError
        The table is damaged.
    """
    path = folder / "trials.parquet"
    if not path.is_file():
        return None
    table = read_table(path)
    return Trials(
        numbers(table, "trial").astype(np.int64),
        np.array(table["state"].to_pylist(), np.str_),
        _columns(table, [PREFIX + one.name for one in search.spaces]),
        _columns(table, [f"value_{name}" for name in search.objectives]),
    )


def neighbours_of(folder: Path, search: SearchRecord) -> tuple[Floats, Floats] | None:
    """Read the points of the plateau: params (n, spaces) and scores (n,); None without any.

    Raises
    ------
    WickError
        The table is damaged.
    """
    path = folder / "neighbours.parquet"
    if not path.is_file():
        return None
    table = read_table(path)
    params = _columns(table, [PREFIX + one.name for one in search.spaces])
    return params, _columns(table, ["score"])[:, 0]


def _columns(table: pa.Table, names: list[str]) -> Floats:
    made = np.full((table.num_rows, len(names)), np.nan)
    for at, name in enumerate(names):
        if name in table.column_names:
            made[:, at] = table[name].cast("float64").fill_null(np.nan).to_numpy()
    return made


def places(spaces: list[SpaceRecord], params: Floats) -> Floats:
    """Return where params lie in their spaces, each from 0 at its low end to 1 at its high end."""
    low = np.array([_scaled(one, one.low) for one in spaces])
    high = np.array([_scaled(one, one.high) for one in spaces])
    scaled = np.column_stack(
        [_scaled(one, params[:, at]) for at, one in enumerate(spaces)] or [np.empty(len(params))]
    )
    width: Floats = np.where(high > low, high - low, 1.0)
    made: Floats = (scaled - low) / width
    return made


def _scaled(space: SpaceRecord, values: Floats | float) -> Floats:
    return np.log(values) if space.log else np.asarray(values, np.float64)


def rising_best(trials: Trials) -> NDArray[np.int64]:
    """Return the rows of the complete trials that were the best of all up to them."""
    rows = np.flatnonzero(trials.complete)
    values = trials.values[rows, 0]
    before = np.maximum.accumulate(np.concatenate(([-np.inf], values)))[:-1]
    better: NDArray[np.int64] = rows[values > before]
    return better


def thinned(rows: NDArray[np.int64], most: int, keep: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most about so many rows, evenly drawn, and those to keep among them.

    >>> thinned(np.arange(100), 4, np.array([7])).tolist()
    [0, 7, 33, 66, 99]
    """
    if len(rows) <= most:
        return rows
    drawn = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return np.union1d(drawn, np.intersect1d(keep, rows))
