"""Every figure of strategy.metrics once more, in plain Python straight from its definition."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import groupby, pairwise
from statistics import NormalDist

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
    funding: int
    slippage: float
    risked: float
    ambiguous: int
    at_end: bool
    qty: float
    entry_price: float
    exit_price: float
    mae: float
    mfe: float

    @property
    def net(self) -> Fraction:
        return Fraction(self.pnl - self.fees - self.funding, 10**8)

    @property
    def r(self) -> Fraction:
        return self.net / Fraction(self.risked)

    @property
    def notional(self) -> Fraction:
        return Fraction(self.qty) * Fraction(self.entry_price)


def slow_day_ends(
    time: Sequence[int], equity: Sequence[float], balance: float, timeframe_ms: int
) -> dict[int, float]:
    """Walk from day to day and take the last equity known at its end."""
    day, last_day = time[0] // DAY_MS, (time[-1] + timeframe_ms - 1) // DAY_MS
    now, out = balance, {}
    while day <= last_day:
        for opened, value in zip(time, equity, strict=True):
            if day * DAY_MS < opened + timeframe_ms <= (day + 1) * DAY_MS:
                now = value
        out[day] = now
        day += 1
    return out


def slow_daily_returns(
    time: Sequence[int], equity: Sequence[float], balance: float, timeframe_ms: int
) -> list[float]:
    """Divide each day's end by the one before."""
    ends = [balance, *slow_day_ends(time, equity, balance, timeframe_ms).values()]
    return [after / before - 1.0 for before, after in pairwise(ends)]


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


def slow_deepest(
    time: Sequence[int], equity: Sequence[float], balance: float, timeframe_ms: int
) -> dict[str, float]:
    """Find the first candle of the deepest fall, then look back for its peak and on for its end."""
    closes = [time[0], *(opened + timeframe_ms for opened in time)]
    curve = [balance, *equity]
    depths = [value / max(curve[: t + 1]) - 1.0 for t, value in enumerate(curve)]
    out = {"under_water": sum(depth < 0.0 for depth in depths) / len(time)}
    at = depths.index(min(depths))
    if depths[at] == 0.0:
        keys = ("peak", "trough", "recovery", "length")
        return out | {f"drawdown_{key}": NAN for key in keys} | {"recovery_days": NAN}
    top = max(curve[: at + 1])
    peak = closes[max(t for t in range(at) if curve[t] == top)]
    back = next((closes[t] for t in range(at, len(curve)) if curve[t] >= top), NAN)
    return out | {
        "drawdown_peak": peak,
        "drawdown_trough": closes[at],
        "drawdown_recovery": back,
        "drawdown_length": ((closes[-1] if math.isnan(back) else back) - peak) / DAY_MS,
        "recovery_days": (back - closes[at]) / DAY_MS,
    }


def slow_months(ends: dict[int, float], balance: float) -> dict[str, float]:
    """Divide the last day's end of each month by that of the month before."""
    last = {}
    for day, value in ends.items():
        last[(date(1970, 1, 1) + timedelta(day)).strftime("%Y-%m")] = value
    curve = [balance, *last.values()]
    return {
        name: after / before - 1.0
        for name, (before, after) in zip(last, pairwise(curve), strict=True)
    }


def slow_hold(
    symbols: Sequence[tuple[Sequence[int], Sequence[float], Sequence[float]]],
    moment: int,
    timeframe_ms: int,
) -> float:
    """Say what 1 spread over (open times, opens, closes) at the first opens is worth."""
    worths = []
    for times, opens, closes in symbols:
        worth = 1.0
        for opened, close in zip(times, closes, strict=True):
            if opened + timeframe_ms <= moment:
                worth = close / opens[0]
        worths.append(worth)
    return math.fsum(worths) / len(worths)


def slow_figures(
    time: Sequence[int],
    equity: Sequence[float],
    trades: Sequence[SlowTrade],
    balance: float,
    timeframe_ms: int,
    symbols: int,
    hold: Sequence[float],
) -> dict[str, float]:
    """Compute every figure but leverage, enough days and trades or not; NaN for x / 0."""
    span = time[-1] + timeframe_ms - time[0]
    ends = slow_day_ends(time, equity, balance, timeframe_ms)
    r = slow_daily_returns(time, equity, balance, timeframe_ms)
    b = [after / before - 1.0 for before, after in pairwise([1.0, *hold])]
    months = slow_months(ends, balance).values()
    deepest, longest = slow_drawdowns(time, equity, balance, timeframe_ms)
    # Short spans overflow; the limit is never shown.
    cagr = math.exp(min(math.log(equity[-1] / balance) * YEAR_MS / span, 700.0)) - 1.0
    turned = sum(
        Fraction(t.qty) * (Fraction(t.entry_price) + Fraction(t.exit_price)) for t in trades
    )
    return {
        "total_return": equity[-1] / balance - 1.0,
        "hold_return": hold[-1] - 1.0,
        "cagr": cagr,
        "calmar": _ratio(cagr, -deepest),
        "best_month": max(months),
        "worst_month": min(months),
        "max_drawdown": deepest,
        "drawdown_days": longest,
        "turnover": float(turned) / (math.fsum(ends.values()) / len(ends)) * YEAR_MS / span,
        **slow_deepest(time, equity, balance, timeframe_ms),
        **_of_returns(r),
        **_of_ends([balance, *ends.values()]),
        **_beside(r, b),
        **_of_trades(trades, symbols * span),
    }


def _of_returns(r: Sequence[float]) -> dict[str, float]:
    n, mean = len(r), math.fsum(r) / len(r)
    moments = [math.fsum((x - mean) ** k for x in r) / n for k in range(5)]
    spread = math.sqrt(moments[2] * n / (n - 1)) if n > 1 else NAN
    downside = math.sqrt(math.fsum(min(x, 0.0) ** 2 for x in r) / n)
    day = _ratio(mean, spread)
    skew, kurtosis = _ratio(moments[3], moments[2] ** 1.5), _ratio(moments[4], moments[2] ** 2)
    wide = 1.0 - skew * day + (kurtosis - 1.0) / 4.0 * day**2
    error = math.sqrt(wide / (n - 1)) if n > 1 and wide >= 0.0 else NAN
    low, high = _quantile(r, Fraction(1, 20)), _quantile(r, Fraction(19, 20))
    normal, year = NormalDist(), math.sqrt(365)
    tail = [x for x in r if x <= low]
    return {
        "best_day": max(r),
        "worst_day": min(r),
        "volatility": spread * year,
        "sharpe": day * year,
        "sharpe_low": (day - normal.inv_cdf(0.975) * error) * year,
        "sharpe_high": (day + normal.inv_cdf(0.975) * error) * year,
        "psr": NAN if math.isnan(error) else normal.cdf(day / error),
        "track_record": 1.0 + wide * (normal.inv_cdf(0.95) / day) ** 2 if day > 1e-9 else NAN,
        "sortino": _ratio(mean, downside) * year,
        "omega": _ratio(math.fsum(max(x, 0.0) for x in r), math.fsum(max(-x, 0.0) for x in r)),
        "var": low,
        "cvar": math.fsum(tail) / len(tail),
        "skew": skew,
        "kurtosis": kurtosis,
        "tail_ratio": _ratio(abs(high), abs(low)),
    }


def _of_ends(curve: Sequence[float]) -> dict[str, float]:
    depths = [value / max(curve[: t + 1]) - 1.0 for t, value in enumerate(curve)][1:]
    lows = [min(part) for below, part in groupby(depths, lambda depth: depth < 0.0) if below]
    log = [math.log1p((value - curve[1]) / curve[1]) for value in curve[1:]]
    middle, mean = (len(log) - 1) / 2.0, math.fsum(log) / len(log)
    moved = math.fsum((y - mean) ** 2 for y in log)
    together = math.fsum((x - middle) * (y - mean) for x, y in enumerate(log))
    along = math.fsum((x - middle) ** 2 for x in range(len(log)))
    return {
        "mean_drawdown": _ratio(math.fsum(lows), len(lows)),
        "ulcer": math.sqrt(math.fsum(depth**2 for depth in depths) / len(depths)),
        "stability": _ratio(together**2, along * moved),
    }


def _beside(r: Sequence[float], b: Sequence[float]) -> dict[str, float]:
    n = len(r)
    mean_r, mean_b = math.fsum(r) / n, math.fsum(b) / n
    cov = math.fsum((x - mean_r) * (y - mean_b) for x, y in zip(r, b, strict=True))
    var_r, var_b = (
        math.fsum((x - mean) ** 2 for x in xs) for xs, mean in ((r, mean_r), (b, mean_b))
    )
    beta = _ratio(cov, var_b)
    active = [x - y for x, y in zip(r, b, strict=True)]
    mean = math.fsum(active) / n
    tracking = math.sqrt(math.fsum((x - mean) ** 2 for x in active) / (n - 1)) if n > 1 else NAN
    up = [(x, y) for x, y in zip(r, b, strict=True) if y > 0.0]
    down = [(x, y) for x, y in zip(r, b, strict=True) if y < 0.0]
    return {
        "alpha": (mean_r - beta * mean_b) * 365,
        "beta": beta,
        "correlation": _ratio(cov, math.sqrt(var_r * var_b)),
        "information_ratio": _ratio(mean, tracking) * math.sqrt(365),
        "up_capture": _ratio(math.fsum(x for x, _ in up), math.fsum(y for _, y in up)),
        "down_capture": _ratio(math.fsum(x for x, _ in down), math.fsum(y for _, y in down)),
    }


def _of_trades(trades: Sequence[SlowTrade], span: int) -> dict[str, float]:
    wins = [trade.net for trade in trades if trade.net > 0]
    losses = [-trade.net for trade in trades if trade.net < 0]
    nets = [trade.net for trade in trades]
    held = [Fraction(trade.exit_time - trade.entry_time) for trade in trades]
    gross = Fraction(sum(trade.pnl for trade in trades), 10**8)
    fees = Fraction(sum(trade.fees for trade in trades), 10**8)
    slippage = sum((Fraction(trade.slippage) for trade in trades), Fraction(0))
    before: Fraction = max(Fraction(0), gross + slippage)
    rate, payoff = _ratio(len(wins), len(trades)), _ratio(_mean(wins), _mean(losses))
    rs = [trade.r for trade in trades]
    mean_r = sum(rs) / len(rs) if rs else Fraction(0)
    spread = NAN
    if len(rs) > 1:
        spread = math.sqrt(sum((x - mean_r) ** 2 for x in rs) / (len(rs) - 1))
    maes, mfes = [Fraction(t.mae) for t in trades], [Fraction(t.mfe) for t in trades]
    in_r = [t.notional / Fraction(t.risked) for t in trades]
    return {
        "trades": len(trades),
        "longs": sum(trade.side > 0 for trade in trades),
        "win_rate": rate,
        "profit_factor": _ratio(sum(wins), sum(losses)),
        "payoff": payoff,
        "average_win": _mean(wins),
        "average_loss": -_mean(losses),
        "expectancy": _mean(nets),
        "expectancy_share": _mean([trade.net / trade.notional for trade in trades]),
        "expectancy_r": _mean(rs),
        "sqn": _ratio(math.sqrt(len(rs)) * float(mean_r), spread),
        "kelly": rate - _ratio(1.0 - rate, payoff),
        "win_streak": _streak([net > 0 for net in nets]),
        "loss_streak": _streak([net < 0 for net in nets]),
        "best_trade": float(max(nets, default=NAN)),
        "worst_trade": float(min(nets, default=NAN)),
        "holding": _mean(held) / 60_000,
        "exposure": float(sum(held) / span),
        "mae": _mean(maes),
        "mfe": _mean(mfes),
        "mae_r": _mean([x * scale for x, scale in zip(maes, in_r, strict=True)]),
        "mfe_r": _mean([x * scale for x, scale in zip(mfes, in_r, strict=True)]),
        "edge_ratio": _ratio(sum(mfes), abs(float(sum(maes)))),
        "gross": float(gross),
        "fees": float(fees),
        "funding": float(Fraction(sum(trade.funding for trade in trades), 10**8)),
        "slippage": float(slippage),
        "fees_share": _ratio(fees, before),
        "slippage_share": _ratio(slippage, before),
        "ambiguous": _ratio(sum(trade.ambiguous for trade in trades), len(trades)),
        "open_at_end": sum(trade.at_end for trade in trades),
    }


def slow_leverage(
    time: Sequence[int],
    equity: Sequence[float],
    trades: Sequence[tuple[int, float, int, int]],
    candles: Sequence[tuple[Sequence[int], Sequence[float]]],
) -> tuple[list[float], list[float]]:
    """Ask at every close which trades (symbol, signed qty, first and last candle) are open."""
    gross, net = [], []
    for opened, value in zip(time, equity, strict=True):
        longs = shorts = 0.0
        for s, qty, entry, exit_ in trades:
            times, closes = candles[s]
            if times[entry] <= opened < times[exit_]:
                last = max(i for i in range(len(times)) if times[i] <= opened)
                longs += max(qty, 0.0) * closes[last]
                shorts += max(-qty, 0.0) * closes[last]
        gross.append((longs + shorts) / value)
        net.append((longs - shorts) / value)
    return gross, net


def _quantile(values: Sequence[float], share: Fraction) -> float:
    ordered, at = sorted(values), share * (len(values) - 1)
    below = math.floor(at)
    above = min(below + 1, len(values) - 1)
    return ordered[below] + float(at - below) * (ordered[above] - ordered[below])


def _streak(hits: Sequence[bool]) -> int:
    return max((len(list(part)) for hit, part in groupby(hits) if hit), default=0)


def _mean(values: Sequence[Fraction]) -> float:
    return float(sum(values) / len(values)) if values else NAN


def _ratio(above: float | Fraction, below: float | Fraction) -> float:
    return float(above / below) if below != 0 else NAN
