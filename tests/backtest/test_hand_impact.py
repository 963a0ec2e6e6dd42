"""Exact slippage by volume on candles written by hand.

A bar's volume is 1 where it says long, 3 where it says long and short, else 0; a position is deaf
to both. Where nothing else is said: balance 10,000, one percent at risk, a stop distance of 2, so
50 coins; tick 0.1, step 0.001, no other costs.
"""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.random_markets import assert_equal, draw_impacted, run_fast, run_slow
from tests.backtest.script import MINUTE, MONDAY, WIDE, Bar, bar, run

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
COSTS = Costs(0.0, 0.001, impact=0.0003)


def only(*bars: Bar | None, costs: Costs = COSTS, limit: float | None = None) -> np.record:
    """Run candles and return their one trade."""
    result = run(bars, grids=GRID, costs=costs, limit=limit)
    assert len(result.trades) == 1
    trade: np.record = result.trades[0]
    return trade


def test_a_market_order_moves_the_price_by_its_share_of_the_volume() -> None:
    bars = [bar(CALM, "long", 2.0), bar(CALM, "long short"), bar(CALM, "exit_long")]
    trade = only(*bars, bar(CALM, "long"), bar(CALM))
    # 0.001 + 0.0003 × 50 ÷ 3 = 0.006: 100.6. Then 0.001 + 0.0003 × 50 ÷ 1 = 0.016: 98.4.
    assert (trade["entry_price"], trade["exit_price"]) == (100.6, 98.4)
    assert trade["slippage"] == pytest.approx(50 * (0.6 + 1.6), abs=1e-9)


def test_a_stop_and_a_take_move_the_price_too() -> None:
    bars = [bar(CALM, "long", 2.0, 4.0), bar(CALM, "long short")]
    # Stop at 98.6, 98.6 × (1 - 0.016) = 97.0224; take at 104.6: 102.9264.
    assert only(*bars, bar("100 100 90 95", "long"))["exit_price"] == 97.0
    assert only(*bars, bar("100 110 100 105", "long"))["exit_price"] == 102.9


def test_nothing_fills_in_a_candle_without_volume_and_the_order_waits() -> None:
    bars = [bar(CALM, "long", 2.0), bar("101 101 101 101"), bar("102 102 102 102", "long short")]
    bars += [bar(CALM, "exit_long"), bar(CALM), bar("103 103 103 103", "long"), bar(CALM)]
    trade = only(*bars)
    # 102 × 1.006 = 102.612, up to the tick; 103 × 0.984 = 101.352, down to it.
    assert (trade["entry_price"], trade["exit_price"]) == (102.7, 101.3)
    assert trade["entry_time"] == MONDAY + 2 * MINUTE
    assert trade["exit_time"] == MONDAY + 5 * MINUTE
    assert EXIT_REASONS[trade["exit_reason"]] == "signal"


def test_a_stop_is_not_triggered_where_nothing_traded() -> None:
    bars = [bar(CALM, "long", 2.0), bar(CALM, "long short"), bar("98 98 98 98"), bar(CALM, "long")]
    trade = only(*bars, bar("96 96 96 96", "long"))
    # The stop of 98.6 meets the open of 96: 96 × 0.984 = 94.464.
    assert (trade["exit_time"], trade["exit_price"]) == (MONDAY + 4 * MINUTE, 94.4)
    assert trade["mae"] == (94.4 - 100.6) / 100.6


def test_a_resting_limit_does_not_fill_where_nothing_traded() -> None:
    bars = [bar(CALM, "long", 2.0, 50.0), bar("100 100 90 100"), bar("100 100 90 100")]
    assert not len(run(bars, grids=GRID, costs=COSTS, limit=0.5).trades)


def test_a_limit_that_crosses_moves_the_price_up_to_itself() -> None:
    bars = [bar(CALM, "long", 2.0, 50.0), bar("98 98 98 98", "long short")]
    # 98 × 1.006 = 98.588, up to the tick; with four times the impact 99.2 is beyond 99.
    assert only(*bars, limit=0.5)["entry_price"] == 98.6
    assert only(*bars, costs=COSTS._replace(impact=0.0012), limit=0.5)["entry_price"] == 99.0


def test_all_that_depends_on_the_candle_is_at_most_half_the_price() -> None:
    bars = [bar(CALM, "long", 2.0), bar(CALM, "long"), bar(CALM)]
    # 0.001 + 0.5, whatever the volume: 150.1.
    assert only(*bars, costs=COSTS._replace(impact=1.0))["entry_price"] == 150.1


def test_the_size_does_not_know_the_volume_to_come() -> None:
    risk = WIDE._replace(per_trade=1.0, max_notional=10_000.0)
    bars = [bar(CALM, "long", 2.0), bar(CALM, "long"), bar(CALM)]
    # 10,000 ÷ 100.1 = 99.9000.
    assert run(bars, grids=GRID, costs=COSTS, risk=risk).trades[0]["qty"] == 99.9


def test_the_drawn_worlds_reach_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(150):
        slow = run_slow(draw_impacted(seed, 90, 1 + seed % 3))
        for trade in slow.trades:
            market = slow.markets[trade.symbol]
            candle = market.candles[trade.entry_candle]
            before = market.candles[trade.entry_candle - 1]
            seen["a resting entry" if trade.maker else "an entry"] += 1
            seen["an entry waited"] += not trade.maker and before.volume == 0
            seen["an exit"] += trade.exit_reason != "end"
            impact = slow.costs.impact * trade.qty / candle.volume
            seen["moved"] += 1e-4 < impact < 0.1
            seen["at most"] += impact > 0.5
            inside = range(trade.entry_candle + 1, trade.exit_candle)
            silent = [market.candles[at] for at in inside if market.candles[at].volume == 0]
            beyond = [one for one in silent if trade.side * (one.close - trade.stop) <= 0]
            seen["no trigger in silence"] += bool(beyond)
    assert len(seen) == 7
    assert all(count >= 5 for count in seen.values()), seen


def test_both_engines_agree_where_finer_candles_meet_volumes() -> None:
    trades = 0
    for seed in range(90):
        world = draw_detailed(seed, 60, 1 + seed % 2)
        costs = world.costs._replace(impact=10.0 ** (seed % 9 - 7))
        world = dataclasses.replace(world, costs=costs)
        slow = run_slow(world)
        if slow.broke is None:
            assert_equal(run_fast(world), slow)
            trades += len(slow.trades)
    assert trades > 100
