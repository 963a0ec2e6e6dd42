"""Combinations of a sweep whose money hardly decides which trades happen."""

import dataclasses
import itertools
import math
import os
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.inputs import Inputs
from backtest.sweeps.engine import trades_of
from backtest.sweeps.plan import SweepPlan
from backtest.sweeps.units import tables_of
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.grid import grid
from strategy.risk import Risk
from tests.backtest.random_markets import draw_world
from tests.backtest.script import Bar, candles_of
from tests.backtest.sweeps import assert_same, inputs_of

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500"))


def waves(seed: int, length: int) -> Candles:
    """Make prices that go up and down slowly, with a signal at every fifth candle."""
    rng, bars = random.Random(seed), []
    for at in range(length):
        last = round(100.0 + 30.0 * math.sin(at / 300.0) + rng.gauss(0.0, 0.3), 2)
        high, low = last + round(rng.random(), 2), last - round(rng.random(), 2)
        says = (rng.choice(["long", "short"]),) if rng.random() < 0.2 else ()
        stop, take = rng.choice([0.5, 1.0, 1.0, 40.0]), rng.choice([1.0, 2.0, 3.0])
        bars.append(Bar(last, high, low, last, says, stop, take))
    return candles_of(bars)


def plain_inputs(candles: Candles, *, balance: float, step: str, costs: Costs) -> Inputs:
    """Give candles as inputs without anything that pays, waits or limits."""
    inputs = inputs_of(dataclasses.replace(draw_world(1, 1, 1), take=True, trail=False))
    return dataclasses.replace(
        inputs,
        candles=(candles,),
        balance=balance,
        risk=Risk(daily_loss_limit=0.0),
        costs=costs,
        grids=grid("0.01", step, "0", "0", "0"),
        spreads=(None,),
    )


def test_an_account_too_small_for_most_prices_enters_again_where_one_falls() -> None:
    inputs = plain_inputs(waves(3, 6_000), balance=400.0, step="1", costs=Costs(0.001, 0.0))
    axes = ("risk.per_trade", "risk.max_leverage", "costs.slippage", "costs.atr")
    rows = [
        (a, b, c, d) for a in (0.01, 0.5) for b in (0.9, 3.0) for c in (0, 0.02) for d in (0, 1)
    ]
    assert_same(inputs, axes, np.array(rows, np.float64), threads=1)
    trades = trades_of(SweepPlan.of(inputs, axes), rows[0])
    assert np.diff(trades["entry_candle"]).max() > 1_000  # it waits for a price that it can pay


@settings(max_examples=EXAMPLES // 50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 600))
def test_combinations_side_by_side_equal_their_single_runs(seed: int, length: int) -> None:
    world = draw_world(seed, length, 1)
    world = dataclasses.replace(world, risk=Risk(daily_loss_limit=0.0, leverage=50.0))
    axes = ("half", "risk.per_trade", "risk.max_leverage", "risk.time_stop", "costs.fee_rate")
    choices = ((0.5, 1.5), (0.01, 1.0), (1.0, 50.0), (0.0, 3.0), (0.0, 0.002))
    # With the same rules stand 16 rows, more than go side by side.
    assert_same(inputs_of(world), axes, np.array([*itertools.product(*choices)]), threads=1)


def test_curves_and_days_of_long_runs_side_by_side_are_those_of_single_runs() -> None:
    inputs = plain_inputs(waves(5, 9_000), balance=1e4, step="0.001", costs=Costs(0.0002, 0.0))
    axes = ("risk.per_trade", "risk.time_stop", "costs.fee_rate")
    rows = [*itertools.product((0.001, 0.02), (0.0, 200.0), (0.0, 0.0002, 0.001))]
    table = assert_same(inputs, axes, np.array(rows), threads=1)
    assert (table.figures["trades"] > 100).all()
    assert (table.figures["max_drawdown"] < 0.0).all()


@given(st.integers(1, 500), st.integers(1, 16), st.integers(1, 8))
def test_tables_fit_their_room_and_units_are_shared_by_all_threads(
    groups: int, most: int, threads: int
) -> None:
    tables = tables_of(groups, most, threads)
    assert 1 <= tables <= most
    assert -(-groups // tables) >= min(threads, groups) // 2
