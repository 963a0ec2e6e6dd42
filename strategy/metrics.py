"""Figures from trades and equity. One definition each: backtest, live, research, dashboard agree.

Returns are taken per UTC day from the equity marked at every candle, a year has 365 days, the
risk-free rate is 0. A ratio from fewer than 10 trades, or one of daily returns from fewer than 14
days, is not shown: it would say nothing. docs/metrics.md is written from `DEFINITIONS`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.kernel import kernel
from strategy.records import EXIT_REASONS, UNIT
from strategy.timeframes import DAY_MS

MIN_TRADES = 10
MIN_DAYS = 14
YEAR_DAYS = 365


class Figure(NamedTuple):
    """One figure as it is shown.

    Attributes
    ----------
    key, label : str
    value : float
        NaN where it is not available.
    unit : str
        share, money, ratio, count, days, minutes or r (multiples of the risk at entry).
    n : int
        How many days or trades it rests on.
    formula : str
    note : str
        Why there is no value, else empty.
    """

    key: str
    label: str
    value: float
    unit: str
    n: int
    formula: str
    note: str = ""


class Definition(NamedTuple):
    """How a figure is called and computed; `counted` says what its n counts."""

    label: str
    unit: str
    counted: str
    formula: str


# In the order of the tables. r are daily returns, E_0 is the balance, E_t the equity at a close.
# fmt: off
DEFINITIONS = {key: Definition(*words) for key, *words in (
    ("total_return", "total return", "share", "days", "last equity / balance - 1"),
    ("hold_return", "buy and hold", "share", "days",
     "mean over symbols of last close / first open - 1"),
    ("cagr", "return a year", "share", "days",
     "(last equity / balance) ^ (365 days / span) - 1"),
    ("volatility", "volatility a year", "share", "days",
     "std(r, ddof=1) * sqrt(365), r daily returns"),
    ("sharpe", "Sharpe", "ratio", "days", "mean(r) / std(r, ddof=1) * sqrt(365)"),
    ("sortino", "Sortino", "ratio", "days", "mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(365)"),
    ("calmar", "Calmar", "ratio", "days", "return a year / |max drawdown|"),
    ("max_drawdown", "max drawdown", "share", "candles",
     "min(E_t / max(E_0 .. E_t) - 1), every candle, E_0 the balance"),
    ("drawdown_days", "longest drawdown", "days", "candles",
     "longest time from a peak to the last close below it"),
    ("trades", "trades", "count", "trades", "closed trades"),
    ("longs", "longs", "count", "trades", "trades that were long"),
    ("win_rate", "win rate", "share", "trades",
     "trades with net > 0 / trades; net = pnl - fees"),
    ("profit_factor", "profit factor", "ratio", "trades", "sum of wins / |sum of losses|, net"),
    ("payoff", "payoff", "ratio", "trades", "mean win / |mean loss|, net"),
    ("expectancy", "expectancy", "money", "trades", "mean(net)"),
    ("expectancy_r", "expectancy in R", "r", "trades", "mean(net / risk at entry)"),
    ("best_trade", "best trade", "money", "trades", "max(net)"),
    ("worst_trade", "worst trade", "money", "trades", "min(net)"),
    ("holding", "mean holding time", "minutes", "trades", "mean(exit time - entry time)"),
    ("exposure", "time in the market", "share", "trades",
     "sum of holding times / (symbols * span)"),
    ("gross", "profit before fees", "money", "trades", "sum of pnl"),
    ("fees", "fees", "money", "trades", "sum of fees"),
    ("slippage", "slippage", "money", "trades",
     "sum of qty * |fill - unslipped price|; part of pnl"),
    ("ambiguous", "stop and take in one candle", "share", "trades",
     "trades whose exit candle touched both / trades; booked as stops"),
    ("open_at_end", "open at the end", "count", "trades",
     "trades closed only because the data ended"),
)}
# fmt: on
NEEDS_DAYS = frozenset({"cagr", "volatility", "sharpe", "sortino", "calmar"})
NEEDS_TRADES = NEEDS_DAYS | {
    "win_rate",
    "profit_factor",
    "payoff",
    "expectancy",
    "expectancy_r",
    "holding",
}
# Why a figure has no value although there are days and trades enough.
_NO_VALUE = {
    "hold_return": "not known",
    "sharpe": "the daily returns do not vary",
    "sortino": "no day with a loss",
    "calmar": "no drawdown",
    "profit_factor": "no losing trade",
    "best_trade": "no trade",
    "worst_trade": "no trade",
    "ambiguous": "no trade",
}
# Daily returns that differ by less than this differ by the rounding of their division.
_NOISE = 1e-14


def figures(
    time: NDArray[np.int64],
    equity: NDArray[np.float64],
    trades: Any,
    balance: float,
    timeframe_ms: int,
    hold_return: float = float("nan"),
    symbols: int = 1,
) -> dict[str, Figure]:
    """Compute every figure of `DEFINITIONS`.

    Parameters
    ----------
    time : int64 (n,)
        Open times of the candles, UTC ms.
    equity : float64 (n,)
        Account value at the close of each.
    trades : record array of TRADE
    balance : float
        At the start.
    timeframe_ms : int
    hold_return : float
        Of holding the symbols instead; NaN if unknown.
    symbols : int
        How many symbols the run had.

    Returns
    -------
    dict of Figure
        By key; the value is NaN and the note says why where a figure cannot be given.
    """
    if len(time) == 0:
        raise ValueError("no candles, so no figures")
    daily = daily_returns(time, equity, balance, timeframe_ms)
    span_ms = int(time[-1]) + timeframe_ms - int(time[0])
    values = _from_equity(time, equity, daily, balance, timeframe_ms, span_ms)
    values["hold_return"] = hold_return
    values.update(_from_trades(trades, span_ms * symbols))
    counts = {"days": len(daily), "trades": len(trades), "candles": len(time)}
    out = {}
    for key, (label, unit, counted, formula) in DEFINITIONS.items():
        value, note = float(values[key]), _too_few(key, counts)
        if not note and not math.isfinite(value):
            note = _NO_VALUE.get(key, "not a finite number")
            if key == "payoff":
                note = "no losing trade" if values["win_rate"] > 0.0 else "no winning trade"
        out[key] = Figure(
            key, label, math.nan if note else value, unit, counts[counted], formula, note
        )
    return out


def daily_returns(
    time: NDArray[np.int64], equity: NDArray[np.float64], balance: float, timeframe_ms: int
) -> NDArray[np.float64]:
    """Return the equity's return per UTC day, from the first open's day to the last close's.

    A candle belongs to the day in which it closes; a close at 00:00 belongs to the day that ends.
    A day in which no candle closes counts as 0. The first day starts from `balance`.
    """
    first = int(time[0]) // DAY_MS
    last = (int(time[-1]) + timeframe_ms - 1) // DAY_MS
    ends = (np.arange(first, last + 1) + 1) * DAY_MS - timeframe_ms
    at = np.searchsorted(time, ends, side="right") - 1
    curve = np.concatenate(([balance], np.where(at < 0, balance, equity[at])))
    with np.errstate(all="ignore"):
        returns: NDArray[np.float64] = curve[1:] / curve[:-1] - 1.0
    return returns


def drawdown(equity: NDArray[np.float64], balance: float) -> NDArray[np.float64]:
    """Return how far each value lies below the highest before it, as a share from -1 to 0."""
    peak = np.maximum(np.maximum.accumulate(equity), balance)
    below: NDArray[np.float64] = equity / peak - 1.0
    return below


def exit_counts(trades: Any) -> dict[str, int]:
    """Count trades by the reason of their exit."""
    counts = np.bincount(trades["exit_reason"], minlength=len(EXIT_REASONS))
    return {name: int(count) for name, count in zip(EXIT_REASONS, counts, strict=True) if name}


def net(trades: Any) -> NDArray[np.float64]:
    """Return each trade's profit after fees in quote currency."""
    out: NDArray[np.float64] = (trades["pnl"] - trades["fees"]) / UNIT
    return out


def _too_few(key: str, counts: dict[str, int]) -> str:
    days, trades = counts["days"], counts["trades"]
    if key in NEEDS_DAYS and days < MIN_DAYS:
        return f"needs {MIN_DAYS} days, has {days}"
    if key in NEEDS_TRADES and trades < MIN_TRADES:
        return f"needs {MIN_TRADES} trades, has {trades}"
    return ""


def _from_equity(
    time: NDArray[np.int64],
    equity: NDArray[np.float64],
    daily: NDArray[np.float64],
    balance: float,
    timeframe_ms: int,
    span_ms: int,
) -> dict[str, float]:
    n, growth = len(daily), equity[-1] / balance
    deepest, longest_ms = _drawdowns(time, equity, balance, timeframe_ms)
    mean = daily.mean()
    spread = daily.std(ddof=1) if n > 1 else np.float64(0.0)
    downside = np.sqrt(np.mean(np.minimum(daily, 0.0) ** 2))
    year = np.sqrt(YEAR_DAYS)
    with np.errstate(all="ignore"):
        cagr = growth ** (YEAR_DAYS * DAY_MS / span_ms) - 1.0
        return {
            "total_return": growth - 1.0,
            "cagr": cagr,
            "volatility": spread * year,
            "sharpe": mean / spread * year if spread > _NOISE else np.nan,
            "sortino": mean / downside * year if downside > _NOISE else np.nan,
            "calmar": cagr / np.float64(abs(deepest)),
            "max_drawdown": deepest,
            "drawdown_days": longest_ms / DAY_MS,
        }


def _from_trades(trades: Any, span_ms: int) -> dict[str, float]:
    nets = net(trades)
    wins, losses = nets[nets > 0.0], nets[nets < 0.0]
    held = trades["exit_time"] - trades["entry_time"]
    count = len(trades)
    won, lost = wins.sum(), np.abs(losses.sum())
    with np.errstate(all="ignore"):
        return {
            "trades": count,
            "longs": np.count_nonzero(trades["side"] > 0),
            "win_rate": len(wins) / np.float64(count),
            "profit_factor": won / lost,
            "payoff": (won / len(wins)) / (lost / len(losses)),
            "expectancy": nets.sum() / count,
            "expectancy_r": (nets / trades["risked"]).sum() / count,
            "best_trade": nets.max(initial=-np.inf),
            "worst_trade": nets.min(initial=np.inf),
            "holding": held.sum() / np.float64(count) / 60_000.0,
            "exposure": held.sum() / span_ms,
            "gross": trades["pnl"].sum() / UNIT,
            "fees": trades["fees"].sum() / UNIT,
            "slippage": trades["slippage"].sum(),
            "ambiguous": trades["ambiguous"].sum() / np.float64(count),
            "open_at_end": np.count_nonzero(trades["exit_reason"] == EXIT_REASONS.index("end")),
        }


@kernel
def _drawdowns(time, equity, balance, timeframe_ms):
    # Deepest fall below the highest value so far, and the longest time spent below one, ms.
    # It divides once a drawdown and not once a candle: a quarter of the time.
    peak, low, since = balance, balance, time[0]
    deepest, longest = 0.0, np.int64(0)
    for i in range(len(equity)):
        e = equity[i]
        if e < peak:
            low = min(low, e)
            continue
        if low < peak:
            deepest = min(deepest, low / peak - 1.0)
            longest = max(longest, time[i - 1] + timeframe_ms - since)
        peak, low, since = e, e, time[i] + timeframe_ms
    if low < peak:
        deepest = min(deepest, low / peak - 1.0)
        longest = max(longest, time[len(time) - 1] + timeframe_ms - since)
    return deepest, longest
