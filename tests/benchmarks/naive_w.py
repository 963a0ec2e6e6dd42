"""Workload W as one would write it without a library: pandas for averages, a loop over candles.

pandas' averages start from the first value and not from a mean, so the first candles differ.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[Any]
FEE, SLIP = 0.0005, 0.0001


def columns(arrays: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return RSI, ATR, MACD's histogram and the close above the average, by candle."""
    index = pd.to_datetime(arrays["open_time"], unit="ms")
    close, high, low = (pd.Series(arrays[name], index) for name in ("close", "high", "low"))
    change = close.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    rsi = 100 * gain / (gain + loss)
    before = close.shift()
    ranges = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(
        axis=1
    )
    atr = ranges.ewm(alpha=1 / 14, adjust=False).mean()
    close5 = close.resample("5min", label="right").last().dropna()
    line = close5.ewm(span=12, adjust=False).mean() - close5.ewm(span=26, adjust=False).mean()
    histogram = line - line.ewm(span=9, adjust=False).mean()
    close15 = close.resample("15min", label="right").last().dropna()
    above = close15 - close15.ewm(span=50, adjust=False).mean()
    ends = index + pd.Timedelta(minutes=1)  # a window is known from the close of its last candle
    return (
        rsi.to_numpy(),
        atr.to_numpy(),
        histogram.reindex(ends, method="ffill").to_numpy(),
        above.reindex(ends, method="ffill").to_numpy(),
    )


def run(arrays: dict[str, Array]) -> int:
    """Run W with its figures and return how many trades it made."""
    rsi, atr, histogram, above = columns(arrays)
    open_, high, low, close = (arrays[name] for name in ("open", "high", "low", "close"))
    wallet, entry, qty, stop, take = 10_000.0, 0.0, 0.0, 0.0, 0.0
    equity, results = np.empty(len(close)), []
    order = 0
    for i in range(len(close)):
        if order != 0:
            entry = open_[i] * (1 + SLIP * order)
            distance = 2 * atr[i - 1]
            qty = order * min(0.01 * wallet / distance, 3 * wallet / entry)
            stop, take = entry - order * distance, entry + 1.5 * order * distance
            wallet -= FEE * abs(qty) * entry
            began, order = wallet, 0
        if qty != 0.0:
            side = 1 if qty > 0 else -1
            price = 0.0
            if (open_[i] - stop) * side <= 0 or (open_[i] - take) * side >= 0:
                price = open_[i]
            elif low[i] <= stop if side > 0 else high[i] >= stop:
                price = stop
            elif high[i] >= take if side > 0 else low[i] <= take:
                price = take
            if price > 0.0:
                price *= 1 - SLIP * side
                wallet += qty * (price - entry) - FEE * abs(qty) * price
                results.append(wallet - began)
                qty = 0.0
        equity[i] = wallet + qty * (close[i] - entry)
        if qty == 0.0 and i >= 2_999 and i + 1 < len(close):
            if rsi[i] < 30 and histogram[i] > 0 and above[i] > 0:
                order = 1
            elif rsi[i] > 70 and histogram[i] < 0 and above[i] < 0:
                order = -1
    _figures(pd.Series(equity, pd.to_datetime(arrays["open_time"], unit="ms")), np.array(results))
    return len(results)


def _figures(equity: "pd.Series[float]", results: Array) -> dict[str, float]:
    days = equity.resample("1D").last().dropna().pct_change().dropna()
    return {
        "total_return": equity.iloc[-1] / equity.iloc[0] - 1,
        "max_drawdown": (equity / equity.cummax() - 1).min(),
        "sharpe": days.mean() / days.std() * 365**0.5,
        "sortino": days.mean() / days[days < 0].std() * 365**0.5,
        "win_rate": float((results > 0).mean()),
        "profit_factor": results[results > 0].sum() / -results[results < 0].sum(),
    }
