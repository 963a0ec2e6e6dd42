"""The winner on parts of its span, and with everything that trading costs doubled."""

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from backtest.engine import Result
from backtest.inputs import Inputs, run
from data.run_record import figures_of
from data.tune_json import CostsRecord, FoldRecord
from research.statistics.bootstrap import returns_of
from research.statistics.sharpe import moments
from strategy.errors import WickError
from strategy.fills import Costs, checked_costs
from strategy.metrics.daily import YEAR, by_day
from strategy.timeframes import DAY_MS

FOLDS = 5
DOUBLED = ("fee_rate", "maker_rate", "slippage", "spread", "atr", "impact")


def folds_of(result: Result) -> list[FoldRecord]:
    """Give the figures of five equally long parts of a run, in whole UTC days.

    A trade belongs to the part in which it was closed. Fewer parts where there are fewer days.
    """
    days = by_day(result.time, result.equity, result.balance, result.candles[0].timeframe_ms)
    count = len(days.returns)
    edges = np.unique(np.linspace(0, count, FOLDS + 1).round().astype(np.int64))
    ends = (days.first + edges) * DAY_MS
    # A close at midnight belongs to the day that ends.
    closed = np.searchsorted(np.sort(result.trades.exit_time), ends[1:-1], side="right")
    trades = np.diff([0, *closed.tolist(), len(result.trades)])
    out = []
    for at, (low, high) in enumerate(pairwise(edges.tolist())):
        equity = days.equity[low : high + 1]
        ratio = moments(returns_of(equity)).sharpe * YEAR
        out.append(
            FoldRecord(
                from_ms=int(ends[at]),
                to_ms=int(ends[at + 1]),
                sharpe=None if math.isnan(ratio) else ratio,
                total_return=float(equity[-1] / equity[0] - 1.0) if equity[0] > 0.0 else 0.0,
                trades=int(trades[at]),
            )
        )
    return out


def doubled(costs: Costs) -> Costs:
    """Return costs with fees and whatever makes fills worse times two."""
    return checked_costs(costs._replace(**{name: 2 * getattr(costs, name) for name in DOUBLED}))


def costs_of(
    inputs: Inputs,
    result: Result,
    score: Callable[[Inputs, NDArray[np.float64]], NDArray[np.float64]],
    winner: NDArray[np.float64],
) -> CostsRecord:
    """Run the winner with doubled costs.

    Parameters
    ----------
    score : callable
        The objective of rows of params, on any inputs.
    winner : float64 (spaces,)
    """
    try:
        dearer = dataclasses.replace(inputs, costs=doubled(inputs.costs))
        its = run(dearer, result.params)
    except WickError as error:  # the balance was used up, or no cost may be as high
        return CostsRecord(None, None, None, error.message)
    found = {one.key: one.value for one in figures_of(its)}
    value = float(score(dearer, winner.reshape(1, -1))[0])
    return CostsRecord(
        score=None if math.isnan(value) else value,
        sharpe=found["sharpe"],
        total_return=found["total_return"],
    )
