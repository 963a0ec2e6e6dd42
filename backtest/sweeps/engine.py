"""Many combinations at once: what they share is computed once, each then jumps from trade to
trade."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import run
from backtest.kernels.swept import NEAR, SUMS, SWEPT
from backtest.sweeps.figures import NOT_TOGETHER, REFUSED, SweepTable
from backtest.sweeps.groups import Codes
from backtest.sweeps.masks import Batch, Stage, batches
from backtest.sweeps.plan import SweepPlan, cores
from backtest.sweeps.units import Worker, units
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.risk import Risk

MEMORY = 512 << 20


def evaluate(
    plan: SweepPlan,
    values: NDArray[np.float64],
    *,
    threads: int | None = None,
    memory: int = MEMORY,
    days: bool = False,
) -> SweepTable:
    """Compute the figures of many combinations.

    Parameters
    ----------
    plan : SweepPlan
    values : float64 (m, axes)
        A combination a row, a value for each axis of the plan.
    threads : int, optional
        All cores otherwise; the result does not depend on it.
    memory : int
        Bytes that shared columns, bits and tables may take together.
    days : bool
        Also keep the equity at the end of each day.

    Returns
    -------
    SweepTable
        In the order of the rows.

    Raises
    ------
    WickError
        A value is not one that its parameter can have.
    """
    values = np.ascontiguousarray(values, np.float64)
    table = SweepTable.blank(len(values), plan.days if days else None)
    _sweep(plan, values, table, threads or cores(), memory, np.empty(0, SWEPT))
    return table


def trades_of(plan: SweepPlan, row: Sequence[float] | NDArray[np.float64]) -> Any:
    """Return the trades of one combination, as the sweep makes them.

    Parameters
    ----------
    row : float64 (axes,)

    Returns
    -------
    record array
        Tabulated combinations have the fields of SWEPT, walked ones those of TRADE, which are more.
    """
    values = np.array(row, np.float64).reshape(1, -1)
    table = SweepTable.blank(1)
    walked = bool(plan.why_walked(*plan.settings(values[0])))
    trades = np.zeros(len(plan.candles.arrays["open_time"]), SWEPT)
    if walked or _sweep(plan, values, table, 1, MEMORY, trades):
        return _run(plan, values[0]).trades
    return trades[trades["side"] != 0]


def _sweep(
    plan: SweepPlan,
    values: NDArray[np.float64],
    table: SweepTable,
    threads: int,
    memory: int,
    trades: Any,
) -> int:
    # How many combinations came near a liquidation and were walked after all.
    codes = Codes(values)
    _check_params(plan, values)
    named = [at for at, axis in enumerate(plan.axes) if "." in axis]
    setting, first = codes.groups(named)
    settings: list[tuple[Risk, Costs] | None] = []
    walked = np.zeros(len(first), bool)
    for at, row in enumerate(first):
        try:
            settings.append(plan.settings(values[row]))
        except WickError:
            settings.append(None)
            continue
        walked[at] = bool(plan.why_walked(*settings[-1]))  # type: ignore[misc]
    known = np.array([one is not None for one in settings], bool)
    table.note[~known[setting]] = NOT_TOGETHER
    plan.memo.budget_bytes = max(memory // 3, 1)
    rows = np.flatnonzero(known[setting] & walked[setting])
    _walk_candles(plan, values, rows, table, threads)
    rows = np.flatnonzero(known[setting] & ~walked[setting])
    if not len(rows):
        return 0
    stage = Stage(plan, values, codes)
    table.note[rows[stage.refused[rows]]] = REFUSED
    rows = rows[~stage.refused[rows]]
    sums: Any = np.zeros(len(values), SUMS).view(np.recarray)
    for batch in batches(stage, rows, setting, settings, memory // 3):
        in_threads(partial(_each, batch.do), batch.tasks, threads)
        left = max(2 * (memory // 3) - batch.nbytes, memory // 3)
        _walk_batch(plan, batch, sums, threads, left, trades.view(np.recarray), table.days)
    times, length = plan.candles.arrays["open_time"], plan.candles.timeframe_ms
    span_ms = int(times[-1]) + length - int(times[0])
    assert plan.ground is not None
    near = sums.note[rows] == NEAR
    known_rows = rows[~near]
    table.fill(
        known_rows, sums[known_rows], plan.inputs.balance, len(plan.ground.ends) - 1, span_ms
    )
    if len(table.days):
        table.days[rows[near]] = np.nan  # of the walk that was given up
    _walk_candles(plan, values, rows[near], table, threads)
    return int(near.sum())


def _each(do: Callable[[Any], None], items: Iterator[Any]) -> None:
    for one in items:
        do(one)


def _check_params(plan: SweepPlan, values: NDArray[np.float64]) -> None:
    # Each value once; the other axes do not matter to it.
    for at, axis in enumerate(plan.axes):
        if "." not in axis:
            for value in np.unique(values[:, at]).tolist():
                plan.inputs.strategy.with_params({axis: value})


def _walk_batch(
    plan: SweepPlan,
    batch: Batch,
    sums: Any,
    threads: int,
    memory: int,
    trades: Any,
    days: NDArray[np.float64],
) -> None:
    work, union = units(plan, batch, threads, memory)

    def run_some(work: Iterator[Any]) -> None:
        _each(Worker(plan, batch, union, sums, trades, days).run, work)

    in_threads(run_some, work, threads)


def _walk_candles(
    plan: SweepPlan,
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
    table: SweepTable,
    threads: int,
) -> None:
    inner = max(threads // max(len(rows), 1), 1)

    def run_some(work: Iterator[Any]) -> None:
        for row in work:
            try:
                result = _run(plan, values[row], inner)
            except RunRefused as refused:
                table.note[row] = 2 if "passed" in refused.message else 1
            except WickError:
                table.note[row] = REFUSED
            else:
                table.fill_one(row, result)

    in_threads(run_some, rows.tolist(), threads)


def _run(plan: SweepPlan, row: NDArray[np.float64], threads: int | None = None) -> Any:
    risk, costs = plan.settings(row)
    inputs = dataclasses.replace(plan.inputs, risk=risk, costs=costs)
    with plan.memo:
        return run(inputs, plan.params(row), threads=threads)


def in_threads(work: Callable[[Iterator[Any]], None], items: Sequence[Any], threads: int) -> None:
    """Share items between threads; an error of any of them is raised here."""
    source, lock = iter(items), threading.Lock()
    errors: list[BaseException] = []

    def each() -> Iterator[Any]:
        while not errors:
            with lock:
                item = next(source, None)
            if item is None:
                return
            yield item

    def start() -> None:
        try:
            work(each())
        except BaseException as error:  # noqa: BLE001 - raised again by who has started it
            errors.append(error)

    others = [threading.Thread(target=start) for _ in range(min(threads, len(items)) - 1)]
    for one in others:
        one.start()
    start()
    for one in others:
        one.join()
    if errors:
        raise errors[0]
