"""The engine and the slow one agree to the last bit where a share of the volume bounds what fills.

WICK_TEST_EXAMPLES=20000 asks for more than the usual number of worlds.
"""

import dataclasses
import os
from collections import Counter, defaultdict

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest.engine import Result
from strategy.errors import RunRefused
from strategy.records import EXIT_REASONS
from strategy.risk import REFUSALS, VOLUME
from tests.backtest.capped_markets import draw_capped, draw_capped_margined
from tests.backtest.random_margins import Margined, run_fast_margined, run_slow_margined
from tests.backtest.random_markets import World, assert_agree, run_fast, run_slow
from tests.backtest.script import volume_of
from tests.backtest.slow_market import Rules
from tests.backtest.sweeps import assert_same, inputs_of

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "500"))
CAPPED, MARGINED = (
    st.builds(
        draw, seed=st.integers(0, 2**32), length=st.integers(1, 90), symbols=st.integers(1, 3)
    )
    for draw in (draw_capped, draw_capped_margined)
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(CAPPED)
def test_both_engines_fill_the_same_slices(world: World) -> None:
    assert_agree(lambda: run_fast(world), run_slow(world))


@settings(max_examples=EXAMPLES, deadline=None)
@given(MARGINED)
def test_both_engines_fill_the_same_slices_where_positions_are_liquidated(drawn: Margined) -> None:
    assert_agree(lambda: run_fast_margined(drawn), run_slow_margined(drawn))


def solvent(world: World) -> Result:
    """Run a world, or leave it if its account goes broke."""
    try:
        return run_fast(world)
    except RunRefused:
        assume(False)
        raise


@settings(max_examples=EXAMPLES // 5, deadline=None)
@given(CAPPED)
def test_no_candle_fills_more_than_its_share_and_money_is_conserved(world: World) -> None:
    result = solvent(world)
    trades, parts = result.trades, result.parts
    fills: defaultdict[tuple[int, int], int] = defaultdict(int)
    for trade in trades:
        fills[trade.symbol, trade.entry_candle] += trade.steps
        if trade.parts == 0 and EXIT_REASONS[trade.exit_reason] != "end":
            fills[trade.symbol, trade.exit_candle] += trade.steps
    for part in parts:
        last = part.candle == trades.exit_candle[part.trade]
        if not (last and EXIT_REASONS[trades.exit_reason[part.trade]] == "end"):
            fills[part.symbol, part.candle] += part.steps
    for (symbol, candle), steps in fills.items():
        volume = volume_of([bar for bar in world.bars[symbol] if bar is not None][candle])
        share = world.costs.volume_share * volume
        assert steps * float(world.rules[symbol].step) <= share * (1 + 1e-9)
    booked = int((trades["pnl"] - trades["fees"] - trades["funding"]).sum())
    assert np.float64(round(world.balance * 10**8) + booked) / 1e8 == result.equity[-1]


@settings(max_examples=EXAMPLES // 5, deadline=None)
@given(CAPPED)
def test_a_share_that_nothing_reaches_changes_nothing(world: World) -> None:
    # One step a trade, and no candle without volume.
    rules = tuple(Rules(one.tick, "0.001", max_qty="0.001") for one in world.rules)
    bars = tuple(
        tuple(one and dataclasses.replace(one, volume=volume_of(one) or 0.4) for one in some)
        for some in world.bars
    )
    whole = dataclasses.replace(
        world, rules=rules, bars=bars, costs=world.costs._replace(volume_share=0.0)
    )
    capped = dataclasses.replace(whole, costs=world.costs._replace(volume_share=1.0))
    ours, theirs = solvent(whole), solvent(capped)
    assert ours.trades.tobytes() == theirs.trades.tobytes()
    assert ours.equity.tobytes() == theirs.equity.tobytes()
    assert ours.refused.tolist() == theirs.refused.tolist()


def test_a_sweep_with_a_share_equals_its_single_runs() -> None:
    for seed in range(8):
        world = draw_capped(seed, 90, 1)
        world = dataclasses.replace(world, costs=world.costs._replace(intrabar=seed % 2))
        values = [(share, size) for share in (0.0, 0.05, 0.5) for size in (0.001, 0.02)]
        assert_same(inputs_of(world), ("costs.volume_share", "risk.per_trade"), np.array(values))


def test_the_drawn_worlds_reach_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        world = draw_capped(seed, 90, 1 + seed % 3)
        slow = run_slow(world)
        seen["refused"] += sum(n for (_, why), n in slow.refused.items() if why == REFUSALS[VOLUME])
        for trade in slow.trades:
            cut = trade.parts > 0
            seen[f"rest of {trade.exit_reason}"] += cut
            seen["in many slices"] += trade.parts > 4
            seen["ambiguous"] += cut and trade.ambiguous
            seen["late"] += cut and world.costs.latency_ms > 0
            seen["on finer candles"] += cut and world.costs.intrabar == 2
            seen["with impact"] += cut and world.costs.impact > 0
            seen["pays funding"] += cut and trade.funding != 0
    margined: Counter[str] = Counter()
    for seed in range(400):
        slow = run_slow_margined(draw_capped_margined(seed, 90, 1 + seed % 3))
        for trade in slow.trades:
            if trade.exit_reason == "liquidation" and trade.parts:
                margined["liquidated"] += 1
                margined["and ambiguous"] += trade.ambiguous
    wanted = ("stop", "take", "signal", "reversal", "time", "trailing", "break_even", "end")
    assert {f"rest of {why}" for why in wanted} < set(seen)
    assert all(count >= 2 for name, count in seen.items() if name != "rest of daily_limit"), seen
    assert margined["liquidated"] >= 5
