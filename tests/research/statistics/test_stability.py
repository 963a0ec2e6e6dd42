"""Parts of a span, doubled costs and random entries."""

import dataclasses

import numpy as np
import pytest

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.signals import all_signals
from data.run_tables import result_hash
from data.synthetic import synthetic_market
from research.statistics.entries import DRAWS, _anywhere, entries
from research.statistics.stability import costs_of, doubled, folds_of
from strategy.fills import Costs
from strategy.load import load
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.timeframes import DAY_MS
from tests.calibration import START_MS, USUAL, inputs_of, market, trend
from tests.research.statistics.searches import small_search


def two_symbols() -> tuple[Inputs, Result]:
    """Run a strategy that enters both sides on two symbols at once."""
    one = inputs_of(load("rsi_macd_atr"), synthetic_market(1, 12_000, START_MS), USUAL)
    other = synthetic_market(2, 10_000, START_MS + 3_600_000, symbol="OTHERUSDT")
    inputs = dataclasses.replace(
        one,
        candles=(*one.candles, other),
        rules=one.rules * 2,
        grids=np.concatenate((one.grids, one.grids)).view(np.recarray),
        funding=one.funding * 2,
        params=one.params._replace(oversold=40.0, overbought=60.0, stop=4.0, take=8.0),
    )
    return inputs, run(inputs)


def test_the_parts_make_up_the_whole() -> None:
    result = small_search().result
    folds = folds_of(result)
    assert len(folds) == 5
    assert sum(one.trades for one in folds) == len(result.trades)
    grown = np.prod([1.0 + one.total_return for one in folds])
    assert grown == pytest.approx(result.equity[-1] / result.balance)
    assert folds[0].from_ms == START_MS
    assert [one.to_ms for one in folds[:-1]] == [one.from_ms for one in folds[1:]]
    assert {one.to_ms - one.from_ms for one in folds} == {24 * DAY_MS}
    for one in folds:
        inside = (result.trades.exit_time > one.from_ms) & (result.trades.exit_time <= one.to_ms)
        assert one.trades == inside.sum()


def test_a_span_of_two_days_has_two_parts() -> None:
    inputs = inputs_of(trend(), market(1, 2, 0.0), USUAL)
    params = inputs.params._replace(fast=2, slow=4, filter=2)
    folds = folds_of(run(inputs, params))
    assert [(one.to_ms - one.from_ms) // DAY_MS for one in folds] == [1, 1]
    assert all(one.sharpe is None for one in folds)


def test_all_that_makes_trading_dearer_is_doubled_and_nothing_else() -> None:
    costs = Costs(0.0005, 0.0001, 0.0002, 1.0, 0.1, 2.0, 0.5, 0.0, 1, 1)
    assert doubled(costs) == Costs(0.001, 0.0002, 0.0004, 2.0, 0.2, 4.0, 0.5, 0.0, 1, 1)
    tried = small_search()
    found = costs_of(tried.inputs, tried.result, tried.score, tried.values[tried.best])
    dear = dataclasses.replace(tried.inputs, costs=Costs(0.001, 0.0002, 0.0004))
    want = run(dear, tried.result.params)
    assert found.total_return == want.equity[-1] / want.balance - 1.0
    assert found.score == found.sharpe
    assert found.note == ""


def test_an_account_that_doubled_costs_use_up_is_told() -> None:
    tried = small_search()
    risk = tried.inputs.risk._replace(per_trade=1.0, max_leverage=125.0, leverage=125.0)
    reckless = dataclasses.replace(tried.inputs, risk=risk, costs=Costs(0.04, 0.0))
    found = costs_of(reckless, tried.result, tried.score, tried.values[tried.best])
    assert (found.score, found.total_return) == (None, None)
    assert "the balance was used up" in found.note


def test_costs_that_cannot_be_doubled_are_told() -> None:
    tried = small_search()
    dear = dataclasses.replace(tried.inputs, costs=Costs(0.06, 0.0))
    found = costs_of(dear, tried.result, tried.score, tried.values[tried.best])
    assert found.total_return is None
    assert "costs.fee_rate is 0.12" in found.note


def test_a_run_on_given_signals_is_the_run_on_its_own() -> None:
    inputs, result = two_symbols()
    signals = all_signals(inputs.strategy, inputs.candles, inputs.params, 1, None, inputs.candles)
    again = run(inputs, signals=signals)
    assert result_hash(again.trades, again.equity) == result_hash(result.trades, result.equity)
    # Entries at random take their distances from the same columns.
    entering = np.uint8(ENTER_LONG | ENTER_SHORT)
    for s, one in enumerate(signals):
        whole = _anywhere(inputs, result, inputs.candles[s], s).signals
        assert np.array_equal(whole.flags, one.flags & ~entering)
        assert np.array_equal(whole.stop[one.at], one.stop, equal_nan=True)
        assert np.array_equal(whole.take[one.at], one.take, equal_nan=True)


def test_random_entries_are_about_as_many_on_several_symbols_and_sides() -> None:
    inputs, result = two_symbols()
    found = entries(inputs, result, 1, draws=40)
    assert found.note == ""
    assert found.draws == 40
    assert found.random == sorted(found.random)
    assert found.p is not None and 1 / 41 <= found.p <= 1.0
    assert found == entries(inputs, result, 1, draws=40)
    assert found != entries(inputs, result, 2, draws=40)


def test_warming_up_changes_no_random_entry_but_at_the_beginning() -> None:
    whole = market(1, 60, 0.2)
    inputs = inputs_of(trend(), whole.slice(1_000, len(whole)), USUAL)
    warm = dataclasses.replace(inputs, history=(whole,))
    result = run(warm)
    one, other = (
        _anywhere(inputs, result, read, 0).signals.stop for read in (inputs.candles[0], whole)
    )
    assert np.isnan(one).any()
    assert not np.isnan(other).any()
    assert one[-1] == pytest.approx(other[-1])
    assert entries(warm, result, 1, draws=5).draws == 5


def test_trends_are_entered_better_than_at_random_and_a_coin_is_not() -> None:
    tried = small_search(0.2)
    found = entries(tried.inputs, tried.result, 1)
    assert found.p == 1 / (DRAWS + 1)
    # What has been drawn like the random ones lies anywhere among them.
    ranks = []
    for seed in range(8):
        inputs = inputs_of(trend(), market(20 + seed, 120, 0.0), USUAL)
        result = run(inputs)
        p = entries(inputs, result, seed, draws=40).p
        assert p is not None
        ranks.append(p)
    assert 0.2 < np.mean(ranks) < 0.8


def test_too_few_trades_have_no_random_ones_beside_them() -> None:
    inputs = inputs_of(trend(), market(1, 4, 0.0), USUAL)
    found = entries(inputs, run(inputs), 1)
    assert (found.draws, found.random, found.p) == (0, [], None)
    assert found.note.startswith("needs 10 trades, has ")
