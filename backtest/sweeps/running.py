"""The rows of a sweep, computed part by part."""

import contextlib
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.inputs import Inputs
from backtest.running import compiling
from backtest.sweeps.asked import whole_axes
from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import NOTES, SweepTable
from backtest.sweeps.grid import Grid
from backtest.sweeps.plan import SweepPlan
from backtest.sweeps.ranking import NOTE, NUMBER
from data.table import arrow, arrow_text
from strategy.account import check_balance
from strategy.errors import WickError

Part = tuple[int, NDArray[np.float64]]
# Of a plan, the numbers of parts with their combinations, and how many there are: the figures of
# each part as soon as they are known, in any order.
Many = Callable[[SweepPlan, Iterator[Part], int], Iterator[tuple[int, SweepTable]]]
_MOST_TRIED = 1_000  # settings of a grid, in search of some that go together


def one_by_one(threads: int, memory: int) -> Many:
    """Return what computes one part after the other in this process, with so many bytes."""

    def many(plan: SweepPlan, parts: Iterator[Part], _: int) -> Iterator[tuple[int, SweepTable]]:
        for at, values in parts:
            yield at, evaluate(plan, values, threads=threads, memory=memory)

    return many


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


def check_first(plan: SweepPlan, grid: Grid) -> None:
    """Refuse a sweep of which every combination is wrong in the same way.

    Raises
    ------
    WickError
        The balance is out of range, a setting is wrong whatever the values of the axes, or
        `indicators` fails whatever they are.
    """
    check_balance(plan.inputs.balance)
    _check_settings(plan, grid)
    starts = range(0, grid.places, 1 << 18)
    first = next(its for at in starts if len(its := grid.numbers(at, at + (1 << 18))))
    plan.check(grid.values(first[:1])[0])


def _check_settings(plan: SweepPlan, grid: Grid) -> None:
    axes = [axis.values.tolist() if "." in axis.name else [math.nan] for axis in grid.axes]
    wrong: WickError | None = None
    for row in itertools.islice(itertools.product(*axes), _MOST_TRIED):
        try:
            plan.settings(np.array(row))
        except WickError as error:
            wrong = wrong or error
        else:
            return
    if wrong is not None and math.prod(map(len, axes)) <= _MOST_TRIED:
        raise wrong


def parts_of(
    plan: SweepPlan,
    grid: Grid,
    size: int,
    wanted: Sequence[int],
    whole: Sequence[str],
    many: Many,
) -> Iterator[tuple[int, pa.Table]]:
    """Compute parts of a sweep, each as a table of its combinations, their values and figures.

    Parameters
    ----------
    size : int
        Places in a part.
    wanted : sequence of int
        Which parts, from 0.
    whole : sequence of str
        The axes whose values are whole numbers.
    many : callable
        Computes them.
    """
    open_parts: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def values_of() -> Iterator[Part]:
        for at in wanted:
            its = grid.numbers(at * size, (at + 1) * size)
            open_parts[at] = its, grid.values(its)
            yield at, open_parts[at][1]

    for at, table in many(plan, values_of(), len(wanted)):
        its, values = open_parts.pop(at)
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
        check_first(plan, grid)
        size = part_size(grid.places, bool(plan.why_walked(inputs.risk, inputs.costs)))
        wanted, whole = range(-(-grid.places // size)), whole_axes(grid, inputs)
        parts = parts_of(plan, grid, size, wanted, whole, one_by_one(threads, memory))
        return [table for _, table in parts], plan.says()
