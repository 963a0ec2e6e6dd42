"""The engine and the slow one agree to the last bit where candles have finer ones inside them."""

import os
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.random_markets import World, assert_agree, run_fast, run_slow

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "300"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.builds(
        draw_detailed,
        seed=st.integers(0, 2**32),
        length=st.integers(1, 90),
        symbols=st.integers(1, 3),
    )
)
def test_both_engines_agree_on_every_assumption_about_the_inside_of_a_candle(world: World) -> None:
    assert_agree(lambda: run_fast(world), run_slow(world))


def test_the_detailed_worlds_reach_every_outcome() -> None:
    seen: Counter[str] = Counter()
    for seed in range(1000):
        world = draw_detailed(seed, 90, 1 + seed % 3)
        slow = run_slow(world)
        walked, intrabar = slow.walked, int(world.costs.intrabar)
        seen["walked"] += walked.walked
        seen["wanting"] += walked.wanting
        seen["resolved"] += walked.resolved
        for trade in slow.trades:
            seen[f"ambiguous {intrabar} {trade.exit_reason} {bool(trade.parts)}"] += trade.ambiguous
            inside = (trade.exit_time - world.start) % slow.timeframe_ms
            seen["inside a candle"] += inside > 0
    wanted = {
        *("walked", "wanting", "resolved", "inside a candle"),
        *("ambiguous 0 stop False", "ambiguous 1 take False", "ambiguous 1 take True"),
        *("ambiguous 1 stop True", "ambiguous 2 stop False", "ambiguous 2 stop True"),
    }
    assert wanted <= {name for name, count in seen.items() if count}
