"""Orders that take time to arrive, on candles written by hand.

Where nothing else is said: candles of a second, orders that take 1,500 ms, so that what is decided
at the close of candle 0 meets the open of candle 3; balance 10,000, one percent at risk, a stop
distance of 2, so 50 coins; tick 0.1, step 0.001, no costs.
"""

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.engine import Result
from backtest.sweeps.plan import SweepPlan
from strategy.dated import SymbolTiers
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.margin import TIER
from strategy.records import EXIT_REASONS, UNIT
from strategy.risk import Risk
from tests.backtest.late_markets import draw_late, draw_late_margined
from tests.backtest.random_margins import Margined, run_fast_margined, run_slow_margined
from tests.backtest.random_markets import World, assert_equal, run_fast, run_slow
from tests.backtest.script import MONDAY, WIDE, Bar, bar, run, units
from tests.backtest.slow_engine import SlowEngine
from tests.backtest.sweeps import assert_same, inputs_of

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "400"))
LATE, MARGINED = (
    st.builds(
        draw,
        seed=st.integers(0, 2**32),
        length=st.integers(1, 90),
        symbols=st.integers(1, 3),
    )
    for draw in (draw_late, draw_late_margined)
)
GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
ENTRY = [bar(CALM, "long", 2.0), bar(CALM), bar(CALM)]


def late(*bars: Bar | None, latency: float = 1_500, **more: Any) -> Result:
    """Run candles of a second."""
    costs = Costs(0.0, 0.0, latency_ms=latency)
    return run(bars, grids=GRID, costs=costs, timeframe="1s", **more)


def told(result: Result) -> list[tuple[int, int, float, str]]:
    """Return of each trade the second of entry and of exit, the exit's price and reason."""
    return [
        (
            (int(one["entry_time"]) - MONDAY) // 1_000,
            (int(one["exit_time"]) - MONDAY) // 1_000,
            float(one["exit_price"]),
            EXIT_REASONS[one["exit_reason"]],
        )
        for one in result.trades
    ]


@pytest.mark.parametrize(("latency", "second"), [(1, 2), (1_000, 2), (1_001, 3), (2_000, 3)])
def test_a_market_order_fills_at_the_first_open_at_or_after_its_arrival(
    latency: float, second: int
) -> None:
    # Decided at 00:00:01.000.
    prices = [bar(f"{at} {at} {at} {at}") for at in (101, 102, 103, 104)]
    result = late(bar(CALM, "long", 50.0), *prices, latency=latency)
    assert told(result)[0][0] == second
    assert result.trades["entry_price"][0] == 100.0 + second


def test_where_that_candle_is_missing_the_next_stored_one_fills() -> None:
    assert told(late(*ENTRY, None, None, bar(CALM), bar(CALM)))[0][0] == 5


def test_an_exit_takes_its_time_too_and_the_first_reason_stands() -> None:
    bars = [*ENTRY, bar(CALM, "exit_long"), bar(CALM, "exit_long"), bar("99 99 99 99", "short")]
    result = late(*bars, bar("101 101 101 101"), bar(CALM), bar(CALM))
    # Decided at the close of candle 3, there at the open of candle 6: 50 × 1.
    assert told(result) == [(3, 6, 101.0, "signal")]
    assert result.trades["pnl"].tolist() == [units("50")]


def test_a_stop_is_not_there_before_its_own_way() -> None:
    # Filled at second 3, so the stop of 98 is there from second 4.5 on: the candle of second 5.
    bars = [*ENTRY, bar("100 100 90 99"), bar("99 99 91 99"), bar("99 99 98 99")]
    assert told(late(*bars, bar(CALM)))[0] == (3, 6, 98.0, "stop")
    # Nothing hides the fall from the excursions.
    assert late(*bars, bar(CALM)).trades["mae"][0] == -0.1


def test_a_stop_that_arrives_beyond_the_market_fills_at_that_open() -> None:
    bars = [*ENTRY, bar("100 100 90 95"), bar("95 96 94 96"), bar("96 99 95 99")]
    # 50 × (96 − 100).
    result = late(*bars, bar(CALM))
    assert told(result)[0] == (3, 5, 96.0, "stop")
    assert result.trades["pnl"].tolist() == [units("-200")]


def test_a_take_that_arrives_beyond_the_market_fills_at_that_open() -> None:
    bars = [bar(CALM, "long", 2.0, 3.0), *ENTRY[1:], bar("100 104 100 104"), bar("104 104 102 104")]
    assert told(late(*bars, bar("105 105 105 105"), bar(CALM)))[0] == (3, 5, 105.0, "take")


def test_until_a_moved_stop_arrives_the_old_one_stands() -> None:
    # The close of candle 4 moves the stop from 98 to 103 − 2 = 101, that of candle 5 to 102.
    bars = [*ENTRY, bar(CALM), bar("100 103 100 103"), bar("103 104 103 104")]
    after = [bar("104 104 98.1 103"), bar("103 103 101.5 103"), bar("103 103 101.9 103")]
    result = late(*bars, *after, bar(CALM), risk=WIDE._replace(trail=1.0))
    # 101 is there from candle 7 on, 102 from candle 8 on.
    assert told(result)[0] == (3, 9, 102.0, "trailing")
    assert result.trades["last_stop"].tolist() == [102.0]
    result = late(*bars, bar("104 104 98 103"), bar(CALM), risk=WIDE._replace(trail=1.0))
    assert told(result)[0] == (3, 7, 98.0, "stop")
    assert result.trades["last_stop"].tolist() == [98.0]


def test_an_exit_that_finds_no_position_is_dropped_and_a_reversal_goes_on_alone() -> None:
    bars = [*ENTRY, bar(CALM), bar(CALM), bar(CALM, "short", 4.0), bar("100 100 97 99")]
    result = late(*bars, bar(CALM), bar("99 99 99 99"), bar(CALM), bar(CALM))
    # Decided at second 6; the stop of 98 is met within candle 6, the short is there in candle 8.
    assert told(result) == [(3, 7, 98.0, "stop"), (8, 11, 100.0, "end")]
    assert result.trades["reversal"].tolist() == [0, 1]


def test_an_entry_on_its_way_is_not_decided_anew() -> None:
    bars = [bar(CALM, "long", 2.0), bar(CALM, "long", 4.0), bar(CALM, "short", 4.0), bar(CALM)]
    result = late(*bars, bar(CALM))
    assert (len(result.trades), result.trades["qty"][0]) == (1, 50.0)


def test_a_limit_rests_from_its_arrival_on_and_its_candle_has_no_stop() -> None:
    # At 99 from candle 3 on; it fills as candle 4 ends, so its stop of 97 is there in candle 7.
    bars = [bar(CALM, "long", 2.0, 50.0), bar("100 100 90 100"), bar("100 100 90 100")]
    bars += [bar(CALM), *[bar("100 100 96 100")] * 3, bar("98 98 97 98"), bar(CALM)]
    result = late(*bars, limit=0.5)
    assert told(result) == [(4, 8, 97.0, "stop")]
    assert result.trades["maker"].tolist() == [1]
    assert result.trades["mae"][0] == (96.0 - 99.0) / 99.0


def test_what_has_not_arrived_at_the_end_is_dropped() -> None:
    assert not len(late(*ENTRY).trades)
    result = late(*ENTRY, bar(CALM, "exit_long"), bar("101 101 101 101"))
    assert told(result) == [(3, 5, 101.0, "end")]


def test_a_position_whose_stop_is_on_its_way_can_be_liquidated() -> None:
    tiers = SymbolTiers(np.array([(0.0, 1e9, 0.004, 0.0, 125.0)], TIER))
    risk = Risk(per_trade=1.0, max_leverage=20.0, leverage=20.0)
    bars = [bar(CALM, "long", 50.0), bar(CALM), bar(CALM), bar("100 100 40 45"), bar(CALM)]
    # 10,000 + 200 × (p − 100) = 200 × p × 0.004 at p = 50.2008, as without a latency.
    result = late(*bars, bar(CALM), risk=risk, tiers=tiers)
    assert told(result) == [(3, 4, 50.2, "liquidation")]
    assert result.trades["last_stop"].tolist() == [50.0]


def test_candles_of_a_minute_and_latencies_out_of_range_are_refused() -> None:
    with pytest.raises(WickError, match="latency_ms is 50, which candles of 1m do not") as refusal:
        run([bar(CALM)], costs=Costs(latency_ms=50.0))
    assert "wick data tumble" in refusal.value.hint
    for wrong in (0.5, 60_000.0, -1.0):
        with pytest.raises(WickError, match=r"costs\.latency_ms is .*, expected a whole number"):
            late(bar(CALM), latency=wrong)


@settings(max_examples=EXAMPLES, deadline=None)
@given(LATE)
def test_both_engines_agree_where_orders_take_time(world: World) -> None:
    _compare(world, run_slow(world))


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(MARGINED)
def test_both_engines_agree_where_orders_take_time_and_positions_are_liquidated(
    drawn: Margined,
) -> None:
    _compare(drawn, run_slow_margined(drawn))


def _compare(drawn: World | Margined, slow: SlowEngine) -> None:
    def fast() -> Result:
        return run_fast(drawn) if isinstance(drawn, World) else run_fast_margined(drawn)

    if slow.broke is not None:
        with pytest.raises(RunRefused):
            fast()
        return
    result = fast()
    assert_equal(result, slow)
    trades = result.trades
    booked = int((trades["pnl"] - trades["fees"] - trades["funding"]).sum())
    assert result.equity[-1] == np.float64(round(result.balance * UNIT) + booked) / UNIT


def test_the_drawn_worlds_reach_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        slow = run_slow(draw_late(seed, 90, 1 + seed % 3))
        latency, length = slow.latency_ms, slow.timeframe_ms
        for trade in slow.trades:
            candles = slow.markets[trade.symbol].candles
            waited = trade.entry_time - candles[trade.entry_candle - 1].time - length
            held = candles[trade.entry_candle : trade.exit_candle]
            unguarded = [one for one in held if one.time < trade.entry_time + latency]
            worst = min((trade.side * (one.low if trade.side > 0 else one.high) for one in held),
                        default=0.0)  # fmt: skip
            stopped = trade.exit_reason in ("stop", "trailing", "break_even") and not trade.ordered
            seen["a resting entry" if trade.maker else "an entry"] += 1
            seen["a gap before the entry"] += waited > latency
            seen["a level passed unguarded"] += bool(unguarded) and worst < trade.side * trade.stop
            seen["a stop at its arrival"] += (
                stopped and trade.exit_time == candles[trade.exit_candle].time
            )
            seen["a moved stop"] += stopped and trade.last_stop != trade.stop
            seen["an ordered exit"] += trade.ordered
            seen["in parts"] += trade.parts > 0
        seen += slow.late
        seen["finer candles"] += slow.walked.walked > 0
    assert len(seen) == 11
    assert all(count >= 5 for count in seen.values()), seen


def test_a_sweep_over_latencies_gives_the_trades_of_single_runs() -> None:
    world = draw_late(49, 400, 1)
    assert (world.timeframe, world.limit) == ("1s", None)
    axes = ("costs.latency_ms", "risk.per_trade")
    rows = np.array([(a, b) for a in (0.0, 200.0, 2_500.0) for b in (0.01, 0.02)])
    inputs = inputs_of(world)
    assert any("latency" in said for said in SweepPlan.of(inputs, axes).says())
    table = assert_same(inputs, axes, rows)
    assert len(set(table.figures["equity"].tolist())) > 2
