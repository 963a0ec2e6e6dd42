"""The engine and the slow one agree to the last bit where positions are liquidated, brackets bound
them and rules change.

WICK_TEST_EXAMPLES=20000 asks for more than the usual number of worlds.
"""

import dataclasses
import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.errors import RunRefused
from strategy.records import UNIT
from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.random_margins import (
    Margined,
    draw_margined,
    run_fast_margined,
    run_slow_margined,
)
from tests.backtest.random_markets import assert_equal
from tests.backtest.slow_margin import Terms

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "500"))
WORLDS = st.builds(
    draw_margined,
    seed=st.integers(0, 2**32),
    length=st.integers(1, 90),
    symbols=st.integers(1, 3),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(WORLDS)
def test_both_engines_liquidate_the_same_positions_at_the_same_prices(drawn: Margined) -> None:
    slow = run_slow_margined(drawn)
    if slow.broke is not None:
        with pytest.raises(RunRefused):
            run_fast_margined(drawn)
        return
    fast = run_fast_margined(drawn)
    assert_equal(fast, slow)
    net = sum(fast.trades.pnl) - sum(fast.trades.fees) - sum(fast.trades.funding)
    # Nothing is open at the end, so the equity is the wallet: to the last unit where it is exact.
    left = round(drawn.world.balance * UNIT) + int(net)
    assert fast.equity[-1] == left / UNIT


def test_both_engines_count_the_candles_in_which_the_mark_price_hides_the_finer_ones() -> None:
    wanting = 0
    for seed in range(400):
        drawn = draw_margined(seed, 60, 1 + seed % 2)
        world = draw_detailed(seed, 60, 1 + seed % 2)
        sizes = ("per_trade", "max_leverage", "leverage", "max_notional", "isolated")
        given = {name: getattr(drawn.world.risk, name) for name in sizes}
        world = dataclasses.replace(world, risk=world.risk._replace(**given))
        drawn = Margined(world, drawn.terms, tuple(None for _ in drawn.marks))
        slow = run_slow_margined(drawn)
        if slow.broke is None:
            assert_equal(run_fast_margined(drawn), slow)
            plain = dataclasses.replace(
                drawn, terms=tuple(_without_tiers(its) for its in drawn.terms)
            )
            wanting += slow.walked.wanting > run_slow_margined(plain).walked.wanting
    assert wanting > 10


def _without_tiers(terms: tuple[tuple[int, Terms], ...]) -> tuple[tuple[int, Terms], ...]:
    return tuple((time, dataclasses.replace(one, tiers=None)) for time, one in terms)


def test_the_worlds_reach_every_way_to_be_liquidated_and_every_change_of_rules() -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        drawn = draw_margined(seed, 90, 1 + seed % 3)
        slow = run_slow_margined(drawn)
        seen += slow.seen
        seen["used up"] += slow.broke is not None
        seen["went on with nothing"] += any(value == 0.0 for _, value in slow.marks[:-1])
        seen["refused by a bracket"] += any("bracket" in why for _, why in slow.refused)
        for trade in slow.trades:
            if trade.exit_reason == "liquidation":
                seen["isolated" if drawn.world.risk.isolated else "cross"] += 1
                seen["long" if trade.side > 0 else "short"] += 1
                seen["in the entry's candle"] += trade.exit_candle == trade.entry_candle
                seen["beside a take"] += trade.ambiguous
                seen["after a part"] += trade.parts > 0
                seen["in profit"] += trade.pnl > 0
                seen["with funding"] += trade.funding != 0
    assert len(seen) == 25
    assert all(count >= 3 for count in seen.values()), seen
