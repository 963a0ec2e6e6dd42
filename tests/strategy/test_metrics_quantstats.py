"""Figures beside quantstats, told of 365 days; where it means something else, a comment says so."""

import datetime
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import quantstats

from strategy.metrics import daily_returns, rolling
from strategy.records import UNIT
from strategy.timeframes import DAY_MS
from tests.strategy.accounts import MONDAY, close, daily, holding


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_quantstats_told_of_365_days(seed: int) -> None:
    draw = np.random.default_rng(seed)
    r = draw.normal(0.001, 0.02, 400)
    equity = 1000.0 * np.cumprod(1.0 + r)
    account = daily(equity.tolist(), (draw.normal(0.0, 5.0, 60)).tolist(), balance=1000.0)
    held = np.cumprod(1.0 + draw.normal(0.0, 0.02, 400)).astype(np.float64)
    account = replace(account, hold=held)
    first = datetime.datetime.fromtimestamp(MONDAY / 1000, datetime.UTC).date()
    index = pd.date_range(first, periods=400)
    series = pd.Series(daily_returns(account.time, account.equity, 1000.0, DAY_MS), index=index)
    curve = holding(account)
    other = pd.Series(curve / np.concatenate(([1.0], curve[:-1])) - 1.0, index=index)
    nets = pd.Series((account.trades.pnl - account.trades.fees - account.trades.funding) / UNIT)
    stats = quantstats.stats
    greeks = stats.greeks(series, other, periods=365)
    details = stats.drawdown_details(stats.to_drawdown_series(series))
    months = stats.monthly_returns(series, eoy=False).to_numpy().ravel()
    n = len(series)
    skew, excess = stats.skew(series), stats.kurtosis(series)
    want = {
        "total_return": stats.comp(series),
        "cagr": stats.cagr(series, periods=365),
        "volatility": stats.volatility(series, periods=365),
        "sharpe": stats.sharpe(series, periods=365),
        "sortino": stats.sortino(series, periods=365),
        "calmar": stats.calmar(series, periods=365),
        "omega": stats.omega(series, periods=365),
        "max_drawdown": stats.max_drawdown(series),
        "drawdown_days": details["days"].max(),
        "mean_drawdown": details["max drawdown"].mean() / 100,
        # It divides by n - 1.
        "ulcer": stats.ulcer_index(series) * math.sqrt((n - 1) / n),
        "best_day": stats.best(series),
        "worst_day": stats.worst(series),
        "best_month": months.max(),
        "worst_month": months.min(),
        # Its value_at_risk is that of a normal distribution; the quantile is pandas'.
        "var": series.quantile(0.05),
        "cvar": stats.conditional_value_at_risk(series, method="historical"),
        "tail_ratio": stats.tail_ratio(series),
        # Its moments are corrected for the sample's size, and 3 is taken off the kurtosis.
        "skew": skew * (n - 2) / math.sqrt(n * (n - 1)),
        "kurtosis": (excess * (n - 2) * (n - 3) / (n - 1) - 6.0) / (n + 1) + 3.0,
        "alpha": greeks["alpha"],
        "beta": greeks["beta"],
        "correlation": series.corr(other),
        # It is not brought to a year.
        "information_ratio": stats.information_ratio(series, other) * math.sqrt(365),
        "win_rate": stats.win_rate(nets, prepare_returns=False),
        "average_win": stats.avg_win(nets, prepare_returns=False),
        "average_loss": stats.avg_loss(nets, prepare_returns=False),
        "payoff": stats.payoff_ratio(nets, prepare_returns=False),
        "kelly": stats.kelly_criterion(nets, prepare_returns=False),
        "win_streak": stats.consecutive_wins(nets, prepare_returns=False),
        "loss_streak": stats.consecutive_losses(nets, prepare_returns=False),
        "profit_factor": nets[nets > 0].sum() / -nets[nets < 0].sum(),
        "best_trade": nets.max(),
        "worst_trade": nets.min(),
    }
    found = account.figures()
    for key, value in want.items():
        assert close(found[key].value, float(value)), key
    # It puts corrected moments into the formula, so it is near, and differs by their correction.
    psr = stats.probabilistic_sharpe_ratio(series, periods=365)
    assert found["psr"].value == pytest.approx(float(psr), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_rolling_ratios_agree_with_quantstats(seed: int) -> None:
    drawn = np.random.default_rng(seed).normal(0.001, 0.02, 90)
    r = pd.Series(drawn, index=pd.date_range("2023-01-01", periods=90))
    stats = quantstats.stats
    sharpe, volatility = rolling(drawn, 30)
    theirs = stats.rolling_sharpe(r, rolling_period=30, periods_per_year=365)
    assert sharpe[29:] == pytest.approx(theirs.dropna().to_numpy(), rel=1e-12)
    theirs = stats.rolling_volatility(r, rolling_period=30, periods_per_year=365)
    assert volatility[29:] == pytest.approx(theirs.dropna().to_numpy(), rel=1e-12)
