"""Several runs one after the other, on one balance, as one run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.engine import Result
from backtest.inputs import Inputs
from strategy.errors import RunRefused


def stitched(whole: Inputs, parts: Sequence[Result]) -> Result:
    """Join runs over parts that follow each other without a gap.

    Parameters
    ----------
    whole : Inputs
        Over all of the parts; its params are those that the result has.
    parts : sequence of Result
        Each began with the account that the one before ended with.

    Returns
    -------
    Result
        One equity curve; positions end and begin anew between the parts.
    """
    trades, closed = [], []
    offset = np.zeros(len(whole.candles), np.int64)
    count = 0
    for part in parts:
        its: Any = part.trades.copy()
        for name in ("entry_candle", "exit_candle"):
            its[name] += offset[its["symbol"]]
        its_parts: Any = part.parts.copy()
        its_parts["candle"] += offset[its_parts["symbol"]]
        its_parts["trade"] += count
        trades.append(its)
        closed.append(its_parts)
        count += len(its)
        offset += [len(one.arrays["open_time"]) for one in part.candles]
    return Result(
        strategy=whole.strategy,
        params=whole.params,
        risk=whole.risk,
        costs=whole.costs,
        balance=whole.balance,
        candles=whole.candles,
        grids=whole.grids,
        trades=np.concatenate(trades).view(np.recarray),
        time=np.concatenate([part.time for part in parts]),
        equity=np.concatenate([part.equity for part in parts]),
        refused=np.sum([part.refused for part in parts], axis=0),
        parts=np.concatenate(closed).view(np.recarray),
        funding=tuple(
            one.within(int(its.arrays["open_time"][0]), int(its.arrays["open_time"][-1]) + step)
            for one, its in zip(whole.funding, whole.candles, strict=True)
            if (step := its.timeframe_ms)
        ),
        finer=np.sum([part.finer for part in parts], axis=0),
    )


def out_of_sample(error: RunRefused, window: int) -> RunRefused:
    """Say in which window a run was refused."""
    return RunRefused(f"out of sample, window {window}: {error.message}", error.hint)
