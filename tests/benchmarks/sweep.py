"""Sweeps of workload W: combinations a second, peak memory, and the same strategy one by one."""

import itertools
import resource
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from backtest.sweep import SweepPlan, evaluate
from data.run_record import figures_of
from strategy.candles import Candles
from strategy.funding import no_funding
from strategy.grid import fine_grid
from strategy.load import load
from tests.benchmarks.workload import BALANCE, COSTS, PARAMS, RISK, STRATEGY

AXES = ("rsi", "oversold", "overbought", "fast", "slow", "stop", "take")
Grid = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep took."""

    combinations: int
    seconds: float
    cpu_seconds: float
    trades: float  # mean of a combination
    peak_mib: float  # of the process so far

    @property
    def per_second(self) -> float:
        """Combinations a second."""
        return self.combinations / self.seconds


def grid_1k() -> Grid:
    """Return 5 × 5 × 4 × 5 × 2 combinations."""
    macd = ((8, 17), (12, 26), (16, 34), (10, 30))
    return _grid((7, 10, 14, 18, 21), (20, 25, 30, 35, 40), macd, (1, 1.5, 2, 2.5, 3), (3, 4.5))


def grid_100k() -> Grid:
    """Return 10 × 10 × 20 × 10 × 5 combinations."""
    macd = tuple(itertools.product((8, 10, 12, 14, 16), (20, 26, 30, 36)))
    stops, takes = np.linspace(1.0, 5.5, 10), np.linspace(2.0, 6.0, 5)
    return _grid(range(5, 15), np.linspace(15.0, 42.0, 10), macd, stops, takes)


def _grid(rsi: Any, oversold: Any, macd: Any, stop: Any, take: Any) -> Grid:
    every = itertools.product(rsi, oversold, macd, stop, take)
    return np.array([(r, low, 100 - low, *m, s, t) for r, low, m, s, t in every], np.float64)


def inputs_of(candles: Candles) -> Inputs:
    """Give W over these candles as a run's inputs."""
    strategy = load(STRATEGY)
    return Inputs(
        strategy=strategy,
        params=strategy.with_params(PARAMS),
        risk=strategy.with_risk(RISK),
        costs=COSTS,
        balance=BALANCE,
        candles=(candles,),
        rules=(),
        grids=fine_grid(float(candles.arrays["open"][0])),
        funding=(no_funding(),),
        notes=(),
        source=None,
    )


def sweep(inputs: Inputs, grid: Grid, *, threads: int | None = None) -> Swept:
    """Sweep from inputs in memory to figures; nothing is kept from before."""
    start, cpu = time.perf_counter(), time.process_time()
    table = evaluate(SweepPlan.of(inputs, AXES), grid, threads=threads)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Swept(len(grid), seconds, cpu, float(np.nanmean(table.figures["trades"])), peak)


def one_by_one(inputs: Inputs, grid: Grid) -> float:
    """Run some combinations one by one and return how many it makes a second."""
    plan = SweepPlan.of(inputs, AXES)
    start = time.perf_counter()
    for row in grid:
        figures_of(run(inputs, plan.params(row)))
    return len(grid) / (time.perf_counter() - start)


def warm(inputs: Inputs) -> None:
    """Compile or load what a sweep needs."""
    evaluate(SweepPlan.of(inputs, AXES), grid_1k()[:2])
