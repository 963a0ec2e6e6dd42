"""Every figure of strategy.metrics once more, in plain Python straight from its definition."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

NAN = math.nan
DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class SlowTrade:
    """What the figures need of a trade; money in units of 1e-8."""

    side: int
    entry_time: int
    exit_time: int
    pnl: int
    fees: int
    slippage: float
    risked: float
    ambiguous: int
    at_end: bool

    @property
    def net(self) -> Fraction:
        return Fraction(self.pnl - self.fees, 10**8)


def slow_daily_returns(
    time: Sequence[int], equity: Sequence[float], balance: float, timeframe_ms: int
) -> list[float]:
    """Walk from day to day and take the last equity known at its end."""
    day, last_day = time[0] // DAY_MS, (time[-1] + timeframe_ms - 1) // DAY_MS
    before, out = balance, []
    while day <= last_day:
        now = before
        for opened, value in zip(time, equity, strict=True):
            if day * DAY_MS < opened + timeframe_ms <= (day + 1) * DAY_MS:
                now = value
        out.append(now / before - 1.0)
        before, day = now, day + 1
    return out


def slow_drawdowns(
    time: Sequence[int], equity: Sequence[float], balance: float, timeframe_ms: int
) -> tuple[float, float]:
    """Look back from each candle at the highest value before it; the deepest fall and the days."""
    curve = [balance, *equity]
    closes = [time[0], *(opened + timeframe_ms for opened in time)]
    deepest, longest = 0.0, 0
    for t, value in enumerate(curve):
        peak = max(curve[: t + 1])
        since = max(closes[k] for k in range(t + 1) if curve[k] == peak)
        deepest = min(deepest, value / peak - 1.0)
        longest = max(longest, closes[t] - since)
    return deepest, longest / DAY_MS


def slow_figures(
    time: Sequence[int],
    equity: Sequence[float],
    trades: Sequence[SlowTrade],
    balance: float,
    timeframe_ms: int,
    symbols: int,
) -> dict[str, float]:
    """Compute every figure, enough days and trades or not; NaN for x / 0."""
    r = slow_daily_returns(time, equity, balance, timeframe_ms)
    span = time[-1] + timeframe_ms - time[0]
    deepest, longest = slow_drawdowns(time, equity, balance, timeframe_ms)
    mean = math.fsum(r) / len(r)
    spread = NAN
    if len(r) > 1:
        spread = math.sqrt(math.fsum((x - mean) ** 2 for x in r) / (len(r) - 1))
    downside = math.sqrt(math.fsum(min(x, 0.0) ** 2 for x in r) / len(r))
    # Short spans overflow; the limit is never shown.
    cagr = math.exp(min(math.log(equity[-1] / balance) * YEAR_MS / span, 700.0)) - 1.0
    wins = [trade.net for trade in trades if trade.net > 0]
    losses = [-trade.net for trade in trades if trade.net < 0]
    nets = [trade.net for trade in trades]
    held = [Fraction(trade.exit_time - trade.entry_time) for trade in trades]
    return {
        "total_return": equity[-1] / balance - 1.0,
        "cagr": cagr,
        "volatility": spread * math.sqrt(365),
        "sharpe": _ratio(mean, spread) * math.sqrt(365),
        "sortino": _ratio(mean, downside) * math.sqrt(365),
        "calmar": _ratio(cagr, -deepest),
        "max_drawdown": deepest,
        "drawdown_days": longest,
        "trades": len(trades),
        "longs": sum(trade.side > 0 for trade in trades),
        "win_rate": _ratio(len(wins), len(trades)),
        "profit_factor": _ratio(sum(wins), sum(losses)),
        "payoff": _ratio(_mean(wins), _mean(losses)),
        "expectancy": _mean(nets),
        "expectancy_r": _mean([trade.net / Fraction(trade.risked) for trade in trades]),
        "best_trade": float(max(nets, default=NAN)),
        "worst_trade": float(min(nets, default=NAN)),
        "holding": _mean(held) / 60_000,
        "exposure": float(sum(held) / (symbols * span)),
        "gross": float(Fraction(sum(trade.pnl for trade in trades), 10**8)),
        "fees": float(Fraction(sum(trade.fees for trade in trades), 10**8)),
        "slippage": math.fsum(trade.slippage for trade in trades),
        "ambiguous": _ratio(sum(trade.ambiguous for trade in trades), len(trades)),
        "open_at_end": sum(trade.at_end for trade in trades),
    }


def _mean(values: Sequence[Fraction]) -> float:
    return float(sum(values) / len(values)) if values else NAN


def _ratio(above: float | Fraction, below: float | Fraction) -> float:
    return float(above / below) if below != 0 else NAN
