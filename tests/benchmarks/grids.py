"""Sweeps on Candlewick's side, each in a process of its own.

python -m tests.benchmarks.grids KIND STORE MARKET SYMBOL [COUNT]
"""

import itertools
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Asked, Inputs, gather, run
from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from tests.benchmarks.workload import COSTS, END, PARAMS, RISK, START, STRATEGY, day_ms

Combos = NDArray[np.float64]
AXES = ("rsi", "oversold", "overbought", "fast", "slow", "stop", "take")
MACDS = ((8, 17), (12, 26), (16, 34), (10, 30))
TREND_AXES = ("fast", "slow", "stop", "atr")


def thousand() -> Combos:
    """Return W's grid of 1,000 combinations."""
    return _grid((7, 10, 14, 18, 21), (20, 25, 30, 35, 40), MACDS, (1, 1.5, 2, 2.5, 3), (3, 4.5))


def hundred_thousand() -> Combos:
    """Return a grid of 100,000 of the same kind."""
    macds = [(fast, slow) for fast in (8, 10, 12, 14, 16) for slow in (20, 26, 32, 38)]
    stops, takes = np.linspace(1.0, 3.25, 10).tolist(), (2.0, 3.0, 4.0, 5.0, 6.0)
    return _grid(range(5, 25, 2), np.linspace(15, 37.5, 10).tolist(), macds, stops, takes)


def _grid(
    rsis: Iterable[float],
    levels: Iterable[float],
    macds: Iterable[tuple[float, float]],
    stops: Iterable[float],
    takes: Iterable[float],
) -> Combos:
    rows = [
        (rsi, low, 100.0 - low, fast, slow, stop, take)
        for rsi, low, (fast, slow), stop, take in itertools.product(
            rsis, levels, macds, stops, takes
        )
    ]
    return np.array(rows, np.float64)


def drawn(count: int) -> tuple[tuple[str, ...], Combos]:
    """Return combinations that share next to nothing, as a random search makes them."""
    rng = np.random.default_rng(1)
    low, fast = rng.uniform(20, 40, count), rng.integers(5, 20, count)
    columns = (
        rng.integers(5, 40, count), low, 100.0 - low, fast, fast + rng.integers(5, 30, count),
        rng.integers(5, 15, count), rng.integers(20, 200, count), rng.integers(5, 40, count),
        rng.uniform(1, 3, count), rng.uniform(2, 6, count),
    )  # fmt: skip
    axes = ("rsi", "oversold", "overbought", "fast", "slow", "signal", "trend", "atr", "stop")
    return (*axes, "take"), np.stack(columns, axis=1).astype(np.float64)


def trends() -> Combos:
    """Return 1,000 combinations of trend_ema, whose stop trails."""
    product = itertools.product(range(4, 24, 2), range(30, 80, 5), np.linspace(1, 5, 5), (7, 14))
    return np.array(list(product), np.float64)


def inputs_of(strategy: str, store: Path, market: str, symbol: str) -> Inputs:
    """Gather a year for a strategy, W's settings where it is W."""
    changes: tuple[str, ...] = ()
    if strategy == STRATEGY:
        changes = tuple(f"{name}={value}" for name, value in PARAMS.items())
        changes += tuple(f"risk.{name}={value}" for name, value in RISK.items())
    asked = Asked(
        strategy,
        (symbol,),
        market,
        start_ms=day_ms(START),
        end_ms=day_ms(END),
        changes=changes,
        fee_bps=COSTS.fee_rate * 1e4,
        slippage_bps=COSTS.slippage * 1e4,
    )
    return gather(asked, store, store / "runs")


def swept(inputs: Inputs, axes: tuple[str, ...], combos: Combos) -> dict[str, Any]:
    """Time a whole sweep, from candles in memory to a table of figures."""
    evaluate(SweepPlan.of(inputs, axes), combos[:2])  # kernels are loaded at their first call
    began = time.perf_counter()
    table = evaluate(SweepPlan.of(inputs, axes), combos)
    seconds = time.perf_counter() - began
    trades = float(np.nanmean(table.figures["trades"]))
    return {"seconds": seconds, "combinations": len(combos), "trades": trades}


def one_by_one(
    inputs: Inputs, axes: tuple[str, ...], combos: Combos, count: int = 20
) -> dict[str, Any]:
    """Time single runs of some of the combinations, spread over all; for all it is counted up."""
    plan = SweepPlan.of(inputs, axes)
    rows = combos[:: max(len(combos) // count, 1)]
    run(inputs, plan.params(rows[0]))
    began = time.perf_counter()
    for row in rows:
        run(inputs, plan.params(row))
    return {"seconds": (time.perf_counter() - began) / len(rows) * len(combos)}


def main() -> None:
    """Measure one kind and print it as JSON."""
    kind, store, market, symbol = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    strategy = "trend_ema" if kind == "trends" else STRATEGY
    inputs = inputs_of(strategy, Path(store), market, symbol)
    axes, combos = {
        "thousand": lambda: (AXES, thousand()),
        "hundred_thousand": lambda: (AXES, hundred_thousand()),
        "random": lambda: drawn(400),
        "trends": lambda: (TREND_AXES, trends()),
    }[kind]()
    combos = combos[:: max(len(combos) // count, 1)] if count else combos
    found: dict[str, Any] = swept(inputs, axes, combos)
    if kind == "trends":
        found["one_by_one"] = one_by_one(inputs, axes, combos)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
