"""Combinations of a sweep whose money hardly decides which trades happen."""

import dataclasses
import math
import random

import numpy as np

from backtest.inputs import Inputs
from backtest.sweeps.engine import trades_of
from backtest.sweeps.plan import SweepPlan
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.grid import grid
from strategy.risk import Risk
from tests.backtest.random_markets import draw_world
from tests.backtest.script import Bar, candles_of
from tests.backtest.sweeps import assert_same, inputs_of


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
