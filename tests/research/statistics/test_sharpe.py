"""The figures of Sharpe ratios agree with the papers' examples and with other libraries."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import quantstats
from vectorbt.returns.metrics import approx_exp_max_sharpe, deflated_sharpe_ratio

from research.statistics.sharpe import (
    Moments,
    expected_maximum,
    moments,
    probabilistic,
    ratios,
    track_length,
)
from strategy.metrics.daily import Daily, from_days


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "luck", "chance"),
    [
        (100, -3.0, 10.0, 0.1132, 0.9004),
        (46, -3.0, 10.0, None, 0.9505),
        (88, 0.0, 3.0, None, 0.9505),
    ],
)
def test_the_numerical_example_of_the_deflated_sharpe_ratio(
    trials: int, skew: float, kurtosis: float, luck: float | None, chance: float
) -> None:
    # A daily history of five years, 2.5 a year, the best of trials with a variance of 1/2 a year.
    found = expected_maximum(trials, 0.5 / 250)
    if luck is not None:
        assert round(found, 4) == luck
    its = Moments(1250, 2.5 / math.sqrt(250), skew, kurtosis)
    assert round(probabilistic(its, found), 4) == chance


def test_the_hedge_fund_of_the_probabilistic_sharpe_ratio() -> None:
    # Two years of months at 0.458 a month: the shape of its returns takes the certainty away.
    assert round(probabilistic(Moments(24, 0.458, 0.0, 3.0)), 3) == 0.982
    assert round(probabilistic(Moments(24, 0.458, -2.448, 10.164)), 3) == 0.913


@pytest.mark.parametrize(("periods", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_the_track_record_that_shows_2_a_year_to_be_above_1(periods: int, years: float) -> None:
    its = Moments(0, 2.0 / math.sqrt(periods), 0.0, 3.0)
    found = track_length(its, benchmark=1.0 / math.sqrt(periods))
    assert round(found / periods, 2) == years


def test_the_expected_maximum_is_the_one_of_the_papers_and_of_draws() -> None:
    # Bailey, Borwein, López de Prado and Zhu, "Pseudo-Mathematics and Financial Charlatanism":
    # 1.57 for ten trials, and 45 trials on five years are enough for a ratio of 1.
    assert round(expected_maximum(10, 1.0), 2) == 1.57
    assert round(expected_maximum(45, 1.0 / 5.0), 3) == 1.0
    rng = np.random.default_rng(1)
    for trials in (10, 100, 1000):
        drawn = rng.standard_normal((2_000, trials)).max(axis=1).mean()
        assert expected_maximum(trials, 1.0) == pytest.approx(drawn, abs=0.05)
    assert expected_maximum(1, 1.0) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_other_libraries_find_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(5, 400) * 0.01 + 0.0005
    its = moments(returns)
    # quantstats corrects skew and kurtosis for small samples.
    series: Any = pd.Series(returns)
    assert its.sharpe == pytest.approx(quantstats.stats.sharpe(series, annualize=False))
    corrected = its._replace(skew=series.skew(), kurtosis=series.kurtosis() + 3.0)
    assert probabilistic(corrected) == pytest.approx(quantstats.stats.probabilistic_ratio(series))
    luck = expected_maximum(50, 0.001)
    assert luck == pytest.approx(approx_exp_max_sharpe(0.0, 0.001, 50))
    theirs = deflated_sharpe_ratio(
        est_sharpe=np.array([its.sharpe]),
        var_sharpe=0.001,
        nb_trials=50,
        backtest_horizon=400,
        skew=np.array([its.skew]),
        kurtosis=np.array([its.kurtosis]),
    )
    assert probabilistic(its, luck) == pytest.approx(theirs[0])


@pytest.mark.parametrize("seed", range(5))
def test_a_run_has_the_same_figures(seed: int) -> None:
    returns = np.random.default_rng(seed).standard_normal(90) * 0.02 + 0.004
    figures = from_days(Daily(0, np.cumprod(np.append(1.0, 1.0 + returns)), returns))
    its = moments(returns)
    assert its.sharpe * math.sqrt(365) == pytest.approx(figures["sharpe"])
    assert its.skew == pytest.approx(figures["skew"])
    assert its.kurtosis == pytest.approx(figures["kurtosis"])
    assert probabilistic(its) == pytest.approx(figures["psr"])
    assert track_length(its) == pytest.approx(figures["track_record"])


def test_more_trials_and_shorter_histories_only_lower_the_probability() -> None:
    its = Moments(500, 0.1, -0.5, 6.0)
    chances = [probabilistic(its, expected_maximum(n, 0.001)) for n in (1, 2, 10, 100, 10_000)]
    assert chances == sorted(chances, reverse=True)
    assert probabilistic(its._replace(n=250)) < probabilistic(its)


def test_returns_that_do_not_vary_have_no_ratio() -> None:
    for still in (np.zeros(20), np.full(20, 0.01), np.array([0.01]), np.empty(0)):
        its = moments(still)
        assert math.isnan(its.sharpe)
        assert math.isnan(probabilistic(its))
        assert math.isnan(track_length(its))
    assert math.isnan(track_length(Moments(100, -0.1, 0.0, 3.0)))
    rows = np.array([[0.0, 0.0, 0.0], [0.01, 0.02, 0.03]])
    assert np.isnan(ratios(rows)).tolist() == [True, False]
    assert ratios(rows)[1] == pytest.approx(2.0)
