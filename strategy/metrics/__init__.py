"""Figures from trades and equity. One definition each: backtest, live, research, dashboard agree.

Returns are taken per UTC day from the equity marked at every candle, a year has 365 days, the
risk-free rate is 0. A ratio from fewer than 10 trades, or one of daily returns from fewer than 14
days, is not shown: it would say nothing. docs/metrics.md is written from `DEFINITIONS`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.metrics.daily import (
    ROLLING_DAYS,
    beside,
    by_day,
    daily_returns,
    day_ends,
    from_days,
    hold_curve,
    monthly_returns,
    rolling,
)
from strategy.metrics.definitions import (
    DEFINITIONS,
    MIN_DAYS,
    MIN_TRADES,
    NEEDS_DAYS,
    NEEDS_TRADES,
    Definition,
    Figure,
)
from strategy.metrics.drawdowns import drawdown, from_candles, from_ends
from strategy.metrics.positions import Leverage, from_leverage, leverage
from strategy.metrics.trades import (
    Group,
    breakdowns,
    exit_counts,
    from_trades,
    net,
    split,
    traded,
)
from strategy.timeframes import DAY_MS, YEAR_DAYS

__all__ = [
    "DEFINITIONS",
    "MIN_DAYS",
    "MIN_TRADES",
    "NEEDS_DAYS",
    "NEEDS_TRADES",
    "ROLLING_DAYS",
    "YEAR_DAYS",
    "Definition",
    "Figure",
    "Group",
    "Leverage",
    "breakdowns",
    "by_day",
    "daily_returns",
    "day_ends",
    "drawdown",
    "exit_counts",
    "figures",
    "hold_curve",
    "leverage",
    "monthly_returns",
    "net",
    "rolling",
    "split",
]
Floats = NDArray[np.float64]


def figures(
    time: NDArray[np.int64],
    equity: Floats,
    trades: Any,
    balance: float,
    timeframe_ms: int,
    hold: Floats | None = None,
    symbols: int = 1,
    followed: Leverage | None = None,
) -> dict[str, Figure]:
    """Compute every figure of `DEFINITIONS`.

    Parameters
    ----------
    time : int64 (n,)
        Open times of the candles, UTC ms.
    equity : float64 (n,)
        Account value at the close of each.
    trades : record array of TRADE
        In the order they were closed.
    balance : float
        At the start.
    timeframe_ms : int
    hold : float64 (days,), optional
        What 1 held in the symbols instead is worth at the end of each UTC day and, for the last,
        of the run; see `day_ends`. Without it nothing is said beside buy and hold.
    symbols : int
        How many symbols the run had.
    followed : Leverage, optional
        From `leverage`; without it those figures are not given, for they take longer than all
        others together.

    Returns
    -------
    dict of Figure
        By key; the value is NaN and the note says why where a figure cannot be given.
    """
    if len(time) == 0:
        raise ValueError("no candles, so no figures")
    days = by_day(time, equity, balance, timeframe_ms)
    months = monthly_returns(days)[1]
    span_ms = int(time[-1]) + timeframe_ms - int(time[0])
    values = (
        from_days(days)
        | from_candles(time, equity, balance, timeframe_ms)
        | from_ends(days.equity)
        | from_leverage(followed)
        | from_trades(trades, span_ms * symbols)
        | _beside(days.returns, hold)
    )
    with np.errstate(all="ignore"):
        growth = equity[-1] / balance
        values["total_return"] = growth - 1.0
        values["cagr"] = growth ** (YEAR_DAYS * DAY_MS / span_ms) - 1.0
        values["calmar"] = values["cagr"] / np.float64(abs(values["max_drawdown"]))
        turned = traded(trades) / days.equity[1:].mean()
        values["turnover"] = turned * (YEAR_DAYS * DAY_MS / span_ms)
    values["best_month"], values["worst_month"] = months.max(), months.min()
    counts = {
        "days": len(days.returns), "months": len(months), "trades": len(trades),
        "candles": len(time),
    }  # fmt: skip
    return {key: _figure(key, float(values[key]), counts, values) for key in DEFINITIONS}


def _beside(returns: Floats, hold: Floats | None) -> dict[str, float]:
    if hold is None:
        keys = (key for key, its in DEFINITIONS.items() if its.group == "Beside buy and hold")
        return dict.fromkeys((*keys, "hold_return"), math.nan)
    b = hold / np.concatenate(([1.0], hold[:-1])) - 1.0
    return {"hold_return": hold[-1] - 1.0, **beside(returns, b)}


def _figure(key: str, value: float, counts: dict[str, int], values: dict[str, float]) -> Figure:
    _, label, unit, counted, needs, formula, without = DEFINITIONS[key]
    days, trades, note = counts["days"], counts["trades"], ""
    if needs == "d t" and days < MIN_DAYS:
        note = f"needs {MIN_DAYS} days, has {days}"
    elif needs and trades < MIN_TRADES:
        note = f"needs {MIN_TRADES} trades, has {trades}"
    elif not math.isfinite(value):
        note = without
        if key in {"payoff", "kelly"}:
            note = "no losing trade" if values["win_rate"] > 0.0 else "no winning trade"
        elif key in {"drawdown_recovery", "recovery_days"} and not values["max_drawdown"] < 0.0:
            note = "no drawdown"
    return Figure(key, label, math.nan if note else value, unit, counts[counted], formula, note)
