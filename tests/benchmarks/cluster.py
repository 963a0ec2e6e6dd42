"""Sweeps on workers of Ray beside the same with threads: time, processor time, start."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from backtest.inputs import Inputs
from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from research.cluster.joining import joined
from research.cluster.pool import Job, Pool
from tests.benchmarks.grids import AXES, Combos, drawn, hundred_thousand, inputs_of, thousand
from tests.benchmarks.section import Rows, Section
from tests.benchmarks.workload import STRATEGY, Market

ROUNDS, PARTS = 5, 12
TEXT = """- Each row is the same combinations in twelve parts, as `wick sweep` cuts them: one after
  the other in this process with one or two threads, or on one or two workers that `--cluster auto`
  starts; planning included. All four by turns, {rounds} times; medians.
- Processor time is that of all processes, Ray's own too. *against a thread* is the median, over
  turns, of how much more of it one thread took: other work on the machine moves it little.
- Start: {join:.1f} s until workers can be asked, {first:.1f} s for the first block of each, which
  imports, and takes {columns:.0f} MiB of columns. Both are once a command."""

Sides = dict[str, tuple[float, float]]


def section(markets: list[Market], folder: Path) -> Section:
    """Measure all of it, on the first market."""
    market = markets[0]
    inputs = inputs_of(STRATEGY, market.store, market.market, market.symbol)
    whole, (its, few) = hundred_thousand(), drawn(240)
    walked = np.column_stack([thousand()[::16], np.full(63, 1.0), np.full(63, 0.5)])
    kinds = {
        "grid": (AXES, whole[::5]),
        "random": (its, few),
        "walked": ((*AXES, "risk.part_1", "risk.part_1_share"), walked),
    }
    rows: Rows = []
    figures: dict[str, Any] = {}
    evaluate(SweepPlan.of(inputs, AXES), whole[:32])  # kernels are compiled
    began = time.perf_counter()
    with joined("auto", 2) as pool:
        figures["join"] = time.perf_counter() - began
        began, plan = time.perf_counter(), SweepPlan.of(inputs, AXES)
        pool.evaluate(plan, whole[:32])
        figures["first"] = time.perf_counter() - began
        figures["columns"] = sum(one.nbytes for one in plan.candles.arrays.values()) / 2**20
        one_worker = Pool(pool._ray, most=1)
        for name, (axes, combos) in kinds.items():
            turns = [_turn(inputs, axes, combos, pool, one_worker) for _ in range(ROUNDS + 1)]
            figures[name] = turns[1:]  # kernels are loaded at their first call
            rows += _rows(name, combos, turns[1:])
    head = (
        "sweep of W",
        "on",
        "combinations",
        "a second",
        "a processor's second",
        "against a thread",
    )
    known = {key: figures[key] for key in ("join", "first", "columns")}
    text = TEXT.format(rounds=ROUNDS, **known)
    return Section("Many machines", [(head, rows)], text, [], figures)


def _turn(
    inputs: Inputs, axes: Sequence[str], combos: Combos, pool: Pool, one_worker: Pool
) -> Sides:
    parts = np.array_split(combos, PARTS)

    def threads(count: int) -> Callable[[], None]:
        def run() -> None:
            plan = SweepPlan.of(inputs, axes)
            for part in parts:
                evaluate(plan, part, threads=count)

        return run

    def workers(its: Pool) -> Callable[[], None]:
        def run() -> None:
            plan = SweepPlan.of(inputs, axes)
            jobs = (Job(at, plan, part) for at, part in enumerate(parts))
            assert len(dict(its.stream(jobs, PARTS))) == PARTS

        return run

    return {
        "1 thread": _timed(threads(1)),
        "1 worker": _timed(workers(one_worker)),
        "2 threads": _timed(threads(2)),
        "2 workers": _timed(workers(pool)),
    }


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return seconds, and those of all processors."""
    before, began = _processors_s(), time.perf_counter()
    work()
    return time.perf_counter() - began, _processors_s() - before


def _processors_s() -> float:
    mine = psutil.Process(os.getpid())
    total = sum(mine.cpu_times()[:2])
    for child in mine.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return float(total)


def _rows(name: str, combos: Combos, turns: list[Sides]) -> Rows:
    rows: Rows = []
    for side in turns[0]:
        seconds = statistics.median(turn[side][0] for turn in turns)
        processors = statistics.median(turn[side][1] for turn in turns)
        ratio = statistics.median(turn["1 thread"][1] / turn[side][1] for turn in turns)
        count = len(combos)
        rows.append(
            (
                name,
                side,
                f"{count:,}",
                f"{count / seconds:,.0f}",
                f"{count / processors:,.0f}",
                f"{ratio:.2f}",
            )
        )
    return rows
