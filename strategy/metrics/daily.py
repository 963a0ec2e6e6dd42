"""Figures from daily returns, alone and beside those of buying and holding."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.metrics.sums import spread_of
from strategy.timeframes import DAY_MS, YEAR_DAYS

Floats = NDArray[np.float64]
YEAR = math.sqrt(YEAR_DAYS)
# Returns that differ by less than this differ by the rounding of their division.
NOISE = 1e-14
# Of the normal distribution: 97.5 % and 95 % lie below.
_Z_TWO_SIDED, _Z_ONE_SIDED = 1.959963984540054, 1.6448536269514722
ROLLING_DAYS = 30


class Daily(NamedTuple):
    """Equity by UTC day.

    Attributes
    ----------
    first : int
        The first day, counted from 1970.
    equity : float64 (days + 1,)
        The balance, then the equity at the end of each day.
    returns : float64 (days,)
    """

    first: int
    equity: Floats
    returns: Floats


def by_day(time: NDArray[np.int64], equity: Floats, balance: float, timeframe_ms: int) -> Daily:
    """Take the equity at the end of each UTC day, from the first open's day to the last close's.

    A candle belongs to the day in which it closes; a close at 00:00 belongs to the day that ends.
    A day in which no candle closes ends as the one before. The first day starts from `balance`.
    """
    ends = day_ends(time, timeframe_ms)
    at = _last_closed(time, ends, timeframe_ms)
    curve = np.concatenate(([balance], np.where(at < 0, balance, equity[at])))
    return Daily(int(time[0]) // DAY_MS, curve, _changes(curve))


def day_ends(time: NDArray[np.int64], timeframe_ms: int) -> NDArray[np.int64]:
    """Return the UTC ms at which each day of a run ends, from the first open's day on."""
    first = int(time[0]) // DAY_MS
    last = (int(time[-1]) + timeframe_ms - 1) // DAY_MS
    return (np.arange(first, last + 1) + 1) * DAY_MS


def _last_closed(
    open_time: NDArray[np.int64], moments: NDArray[np.int64], timeframe_ms: int
) -> NDArray[np.int64]:
    # The position of the last candle that has closed at each moment, -1 where there is none.
    n = len(open_time)
    if open_time[-1] - open_time[0] == (n - 1) * timeframe_ms:  # no gap: nothing to look for
        return np.clip((moments - open_time[0]) // timeframe_ms - 1, -1, n - 1)
    return np.searchsorted(open_time, moments - timeframe_ms, side="right") - 1


def daily_returns(
    time: NDArray[np.int64], equity: Floats, balance: float, timeframe_ms: int
) -> Floats:
    """Return the equity's return per UTC day; see `by_day`."""
    return by_day(time, equity, balance, timeframe_ms).returns


def monthly_returns(days: Daily) -> tuple[NDArray[np.int64], Floats]:
    """Return the UTC months, counted from January 1970, and the return of each."""
    day = np.arange(days.first, days.first + len(days.returns)).astype("datetime64[D]")
    month = day.astype("datetime64[M]").astype(np.int64)
    ends = np.append(np.flatnonzero(month[1:] != month[:-1]), len(month) - 1)
    curve = days.equity[np.concatenate(([0], ends + 1))]
    return month[ends], _changes(curve)


def _changes(curve: Floats) -> Floats:
    # An account that was liquidated can end at nothing: from then on nothing changes.
    with np.errstate(all="ignore"):
        return np.where(curve[:-1] == 0.0, 0.0, curve[1:] / curve[:-1] - 1.0)


def rolling(returns: Floats, window: int = ROLLING_DAYS) -> tuple[Floats, Floats]:
    """Return Sharpe and volatility a year of the last `window` days, for each day.

    NaN for the first ``window - 1`` days, and for the Sharpe where returns do not vary.
    """
    sharpe, volatility = np.full((2, len(returns)), np.nan)
    if len(returns) >= window:
        seen = np.lib.stride_tricks.sliding_window_view(returns, window)
        spread = seen.std(axis=1, ddof=1)
        varies = np.where(spread > NOISE, spread, np.nan)
        sharpe[window - 1 :] = seen.mean(axis=1) / varies * YEAR
        volatility[window - 1 :] = spread * YEAR
    return sharpe, volatility


def from_days(days: Daily) -> dict[str, float]:
    """Compute the figures of daily returns; NaN where one divides by nothing."""
    r, n = days.returns, len(days.returns)
    mean, second, downside = spread_of(r)
    away = r - mean
    square = away * away
    spread = math.sqrt(second / (n - 1)) if n > 1 else 0.0
    gained = np.maximum(r, 0.0)
    lost = gained - r
    ordered = np.sort(r)
    low, high = _twentieth(ordered, 1), _twentieth(ordered, 19)
    beyond = np.searchsorted(ordered, low, side="right")
    skew = kurtosis = math.nan
    if spread > NOISE:
        skew = np.dot(square, away) / n / (second / n) ** 1.5
        kurtosis = np.dot(square, square) / n / (second / n) ** 2
    total_lost = lost.sum()
    return {
        "volatility": spread * YEAR,
        "sortino": mean / downside * YEAR if downside > NOISE else math.nan,
        "omega": gained.sum() / total_lost if total_lost > NOISE else math.nan,
        "best_day": ordered[-1],
        "worst_day": ordered[0],
        "var": low,
        "cvar": ordered[:beyond].sum() / beyond,
        "skew": skew,
        "kurtosis": kurtosis,
        "tail_ratio": abs(high) / abs(low) if low != 0.0 else math.nan,
        "stability": _stability(days.equity[1:]),
        **_sharpe(mean / spread if spread > NOISE else math.nan, skew, kurtosis, n),
    }


def _sharpe(s: float, skew: float, kurtosis: float, n: int) -> dict[str, float]:
    # s is of one day. The error is that of Mertens (2002); chance and track record are those of
    # Bailey and Lopez de Prado, "The Sharpe ratio efficient frontier" (2012).
    wide = 1.0 - skew * s + (kurtosis - 1.0) / 4.0 * s * s
    error = math.sqrt(wide / (n - 1)) if n > 1 and wide >= 0.0 else math.nan
    chance = 0.5 * (1.0 + math.erf(s / error / math.sqrt(2.0))) if error > 0.0 else math.nan
    return {
        "sharpe": s * YEAR,
        "sharpe_low": (s - _Z_TWO_SIDED * error) * YEAR,
        "sharpe_high": (s + _Z_TWO_SIDED * error) * YEAR,
        "psr": chance,
        "track_record": 1.0 + wide * (_Z_ONE_SIDED / s) ** 2 if s > 1e-9 else math.nan,
    }


def _twentieth(ordered: Floats, k: int) -> float:
    # The quantile k / 20; the division is exact where it falls on a value.
    at = k * (len(ordered) - 1) / 20
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


def _stability(equity: Floats) -> float:
    if not equity.min() > 0.0:
        return math.nan
    # Logarithms of what is near 1 lose digits, those of differences do not.
    log = np.log1p((equity - equity[0]) / equity[0])
    x = np.arange(len(log)) - (len(log) - 1) / 2.0
    y = log - log.sum() / len(log)
    moved = np.dot(y, y)
    return float(np.dot(x, y) ** 2 / (np.dot(x, x) * moved)) if moved > NOISE**2 else math.nan


def beside(r: Floats, b: Floats) -> dict[str, float]:
    """Compute the figures of daily returns `r` beside those of buying and holding, `b`."""
    n = len(r)
    x, y, active = b - b.sum() / n, r - r.sum() / n, r - b
    varies, moves = math.sqrt(np.dot(x, x)), math.sqrt(np.dot(y, y))
    known = varies > NOISE
    together = float(np.dot(x, y))
    beta = together / varies**2 if known else math.nan
    tracking = active.std(ddof=1) if n > 1 else 0.0
    up, down = b > 0.0, b < 0.0
    return {
        "beta": beta,
        "alpha": (r.sum() - beta * b.sum()) / n * YEAR_DAYS,
        "correlation": together / (varies * moves) if known and moves > NOISE else math.nan,
        "information_ratio": active.sum() / n / tracking * YEAR if tracking > NOISE else math.nan,
        "up_capture": r[up].sum() / b[up].sum() if up.any() else math.nan,
        "down_capture": r[down].sum() / b[down].sum() if down.any() else math.nan,
    }


def hold_curve(
    open_time: NDArray[np.int64],
    opens: Floats,
    closes: Floats,
    moments: NDArray[np.int64],
    timeframe_ms: int,
) -> Floats:
    """Return what 1 put into a symbol at its first open is worth at each moment.

    Parameters
    ----------
    open_time, opens, closes : array (n,)
        The symbol's candles.
    moments : int64 (m,)
        UTC ms; a candle that closes then counts already.

    Returns
    -------
    float64 (m,)
        1 before the first candle closes, the last close known after a gap; NaN without candles.
    """
    if len(open_time) == 0:
        return np.full(len(moments), np.nan)
    at = _last_closed(open_time, moments, timeframe_ms)
    curve: Floats = np.where(at < 0, 1.0, closes[at] / opens[0])
    return curve
