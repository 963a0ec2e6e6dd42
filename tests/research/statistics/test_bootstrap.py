"""Resampled histories keep what they should, and their intervals hold what they promise."""

import math
from typing import Any

import numpy as np
import pytest

from data.tune_json import IntervalOfRecord
from research.statistics.bootstrap import (
    block_of,
    from_nets,
    from_returns,
    intervals,
    resampled,
    returns_of,
)
from research.statistics.montecarlo import LEVELS, growth_of, montecarlo
from strategy.metrics.daily import Daily, from_days
from strategy.metrics.trades import from_trades
from strategy.records import TRADE, UNIT


def trades_of(nets: list[float]) -> Any:
    trades: Any = np.zeros(len(nets), TRADE).view(np.recarray)
    trades.pnl = np.round(np.array(nets) * UNIT).astype(np.int64)
    trades.risked, trades.qty, trades.entry_price = 50.0, 1.0, 100.0
    return trades


def width(found: IntervalOfRecord) -> float:
    assert found.low is not None and found.high is not None
    return found.high - found.low


def test_blocks_go_on_and_have_the_mean_length_asked_for() -> None:
    at = resampled(50, 4_000, 5.0, np.random.default_rng(1))
    assert at.shape == (4_000, 50)
    goes_on = (at[:, 1:] - at[:, :-1]) % 50 == 1
    # A new block begins by chance where the last one would have gone on in 1 of 50 cases.
    assert (~goes_on).mean() == pytest.approx(1 / 5 * 49 / 50, abs=0.005)
    assert np.bincount(at.ravel()) / at.size == pytest.approx(1 / 50, abs=0.002)


def test_a_history_drawn_in_its_own_order_has_its_own_figures() -> None:
    rng = np.random.default_rng(2)
    returns = rng.standard_normal(60) * 0.02
    equity = 1_000.0 * np.cumprod(np.append(1.0, 1.0 + returns))
    assert returns_of(equity) == pytest.approx(returns)
    want = from_days(Daily(0, equity, returns))
    found = from_returns(returns[None], 60 / 365)
    for key in ("sharpe", "sortino", "omega", "volatility"):
        assert found[key][0] == pytest.approx(want[key])
    assert found["cagr"][0] == pytest.approx((equity[-1] / 1_000.0) ** (365 / 60) - 1.0)
    trades = trades_of((rng.standard_normal(40) * 10.0).tolist())
    nets = trades.pnl / UNIT
    want = from_trades(trades, 1)
    for key, value in from_nets(nets[None], trades.risked[None]).items():
        assert value[0] == pytest.approx(want[key]), key


def test_the_interval_of_the_sharpe_ratio_holds_the_truth_as_often_as_it_says() -> None:
    held, n, true = 0, 250, 0.1
    for seed in range(60):
        returns = np.random.default_rng(seed).normal(true * 0.01, 0.01, n)
        equity = np.cumprod(np.append(1.0, 1.0 + returns))
        found = intervals({}, equity, trades_of([1.0, -1.0] * 10), n / 365, -0.1, seed)["sharpe"]
        assert found.low is not None and found.high is not None
        held += found.low <= true * math.sqrt(365) <= found.high
    # 95 %, less three standard errors of 60 draws, less what percentiles are known to lack.
    assert held / 60 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 60) - 0.02


def test_an_interval_is_about_as_wide_as_theory_has_it() -> None:
    returns = np.random.default_rng(3).normal(0.001, 0.01, 1_000)
    equity = np.cumprod(np.append(1.0, 1.0 + returns))
    nets = np.random.default_rng(4).normal(1.0, 10.0, 500).tolist()
    found = intervals({"sharpe": 1.5}, equity, trades_of(nets), 1_000 / 365, -0.1, 1)
    assert found["sharpe"].value == 1.5
    assert (found["sharpe"].level, found["sharpe"].n) == (0.95, 1_000)
    wide = 2 * 1.96 * math.sqrt(365 / 1_000)
    assert width(found["sharpe"]) == pytest.approx(wide, rel=0.15)
    wide = 2 * 1.96 * np.std(nets) / math.sqrt(500)
    assert width(found["expectancy"]) == pytest.approx(wide, rel=0.15)
    assert found == intervals({"sharpe": 1.5}, equity, trades_of(nets), 1_000 / 365, -0.1, 1)


@pytest.mark.parametrize("days", [0, 1, 2, 13])
@pytest.mark.parametrize("trades", [0, 1, 9])
def test_small_samples_have_no_interval_but_a_note(days: int, trades: int) -> None:
    equity = np.cumprod(np.append(1.0, np.full(days, 1.01)))
    found = intervals({}, equity, trades_of([1.0] * trades), max(days, 1) / 365, 0.0, 1)
    assert {"sharpe", "calmar", "profit_factor", "expectancy"} <= found.keys()
    assert all(one.low is None and one.note for one in found.values())


def test_what_no_trade_bounds_has_no_upper_end() -> None:
    equity = np.cumprod(np.append(1.0, 1.0 + np.random.default_rng(5).normal(0, 0.01, 50)))
    found = intervals({}, equity, trades_of([5.0] * 30 + [-1.0]), 50 / 365, -0.1, 1)
    assert found["profit_factor"].high is None
    assert found["profit_factor"].low is not None
    assert "bounds" in found["profit_factor"].note


def test_shuffling_changes_drawdowns_and_not_the_end() -> None:
    nets = np.random.default_rng(6).normal(2.0, 60.0, 300)
    factors = growth_of(nets, 10_000.0)
    assert np.prod(factors) == pytest.approx(1.0 + nets.sum() / 10_000.0)
    found = montecarlo(trades_of(nets.tolist()), 10_000.0, 1)
    assert found.levels == list(LEVELS)
    for column in (found.shuffled, found.drawn, found.ending):
        assert column == sorted(column)
        assert len(column) == len(LEVELS)
    assert -1.0 < found.shuffled[0] < found.shuffled[-1] < 0.0
    # Histories drawn anew end differently, around where this one ended.
    assert found.ending[0] < nets.sum() / 10_000.0 < found.ending[-1]
    assert found.drawn[0] < found.shuffled[0]
    assert found == montecarlo(trades_of(nets.tolist()), 10_000.0, 1)


def test_a_drawdown_worked_by_hand_lies_within_the_shuffled_ones() -> None:
    # Nine gains and one loss of a tenth: whatever the order, the drawdown is that loss.
    nets, balance = [], 1_000.0
    for factor in (1.1, 1.1, 1.1, 0.9, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1):
        nets.append(balance * (factor - 1.0))
        balance *= factor
    found = montecarlo(trades_of(nets), 1_000.0, 1)
    assert found.shuffled == pytest.approx([-0.1] * len(LEVELS))
    assert found.block == block_of(10) == 2


def test_too_few_trades_and_an_account_that_ended_at_nothing_are_no_error() -> None:
    assert montecarlo(trades_of([1.0] * 9), 1_000.0, 1).note == "needs 10 trades, has 9"
    assert montecarlo(trades_of([]), 1_000.0, 1).shuffled == []
    broke = montecarlo(trades_of([10.0] * 10 + [-1_100.0]), 1_000.0, 1)
    assert broke.shuffled == pytest.approx([-1.0] * len(LEVELS))
