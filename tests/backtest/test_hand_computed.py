"""Exact money on candles written by hand: entries, stops, takes, gaps, exits and reversals.

Where nothing else is said: balance 10,000, one percent at risk, tick 0.1, step 0.001, no costs. A
stop distance of 2 then gives 10,000 × 0.01 ÷ 2 = 50 coins.
"""

import numpy as np
import pytest

from backtest.engine import Result
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from tests.backtest.random_markets import refusals_of
from tests.backtest.script import FREE, MINUTE, MONDAY, Bar, bar, run, units

GRID = grid("0.1", "0.001")
COSTS = Costs(fee_rate=0.0005, slippage=0.0001)
CALM = "100 100 100 100"


def only(result: Result) -> np.record:
    """Return the one trade of a result."""
    assert len(result.trades) == 1
    trade: np.record = result.trades[0]
    return trade


def reason(trade: np.record) -> str:
    return EXIT_REASONS[trade["exit_reason"]]


def long_then(
    *after: Bar | None, stop: float = 2.0, take: float = float("nan")
) -> list[Bar | None]:
    """A long decided at the first close and filled at the second open, 100; then some candles."""
    return [bar(CALM, "long", stop, take), bar(CALM), *after]


def short_then(
    *after: Bar | None, stop: float = 2.0, take: float = float("nan")
) -> list[Bar | None]:
    """The same for a short."""
    return [bar(CALM, "short", stop, take), bar(CALM), *after]


def test_an_entry_fills_at_the_next_open_worse_by_slippage_and_by_the_tick() -> None:
    result = run([bar(CALM, "long", 2.0), bar("100 100 100 100")], grids=GRID, costs=COSTS)
    trade = only(result)
    # 100 × 1.0001 = 100.01, up to the tick: 100.1. Stop 100.1 − 2 = 98.1.
    assert (trade["entry_price"], trade["stop"]) == (100.1, 98.1)
    assert (trade["steps"], trade["qty"], trade["risked"]) == (50_000, 50.0, 100.0)
    assert (trade["entry_time"], trade["entry_candle"]) == (MONDAY + MINUTE, 1)
    # It is closed at the last close, 100: with the fee, without slippage.
    assert (trade["exit_price"], reason(trade)) == (100.0, "end")
    # Profit 50 × (100 − 100.1) = −5. Fees 0.0005 × 50 × (100.1 + 100) = 2.5025 + 2.5.
    assert trade["pnl"] == units("-5")
    assert trade["fees"] == units("5.0025")
    # 10,000 − 5 − 5.0025. Before the first fill nothing has happened.
    assert result.equity.tolist() == [10_000.0, 9_989.9975]
    assert trade["slippage"] == pytest.approx(5.0, abs=1e-9)


def test_a_short_entry_fills_lower() -> None:
    trade = only(run([bar(CALM, "short", 2.0), bar(CALM)], grids=GRID, costs=COSTS))
    # 100 × 0.9999 = 99.99, down to the tick: 99.9. Stop 99.9 + 2 = 101.9.
    assert (trade["side"], trade["entry_price"], trade["stop"]) == (-1, 99.9, 101.9)
    # −50 × (100 − 99.9) = −5; 0.0005 × 50 × (99.9 + 100) = 4.9975.
    assert (trade["pnl"], trade["fees"]) == (units("-5"), units("4.9975"))


def test_equity_is_the_wallet_and_the_open_profit_at_each_close() -> None:
    bars = long_then(bar("100 101 99 100.5"), bar("100.5 103 100 102"))
    result = run(bars, grids=GRID, costs=Costs(0.0005, 0.0))
    # Entry 100, fee 2.5; closes 100, 100.5, 102 on 50 coins; the last close pays 0.0005 × 5100.
    assert result.equity.tolist() == [10_000.0, 9_997.5, 10_022.5, 10_094.95]
    assert result.time.tolist() == [MONDAY + k * MINUTE for k in range(4)]


def test_a_touched_stop_fills_at_its_level() -> None:
    trade = only(run(long_then(bar("100 100 98 99")), grids=GRID))
    assert (trade["exit_price"], reason(trade), trade["ambiguous"]) == (98.0, "stop", 0)
    assert trade["pnl"] == units("-100")  # what was to be risked
    # The candle opened two minutes after the start and its close is when it is known.
    assert (trade["exit_time"], trade["exit_candle"]) == (MONDAY + 3 * MINUTE, 2)


def test_a_stop_one_tick_away_from_the_low_does_not_fill() -> None:
    assert reason(only(run(long_then(bar("100 100 98.1 99")), grids=GRID))) == "end"


def test_a_touched_stop_pays_slippage_and_fee() -> None:
    trade = only(run(long_then(bar("100 100 97 99")), grids=GRID, costs=COSTS))
    # Entry 100.1, stop 98.1; 98.1 × 0.9999 = 98.09019, down to 98.0.
    assert trade["exit_price"] == 98.0
    # 50 × (98 − 100.1) = −105; 0.0005 × 50 × (100.1 + 98) = 4.9525.
    assert (trade["pnl"], trade["fees"]) == (units("-105"), units("4.9525"))


def test_a_touched_stop_of_a_short_fills_at_its_level() -> None:
    trade = only(run(short_then(bar("100 102 100 101")), grids=GRID))
    assert (trade["exit_price"], reason(trade)) == (102.0, "stop")
    assert trade["pnl"] == units("-100")


def test_a_touched_take_fills_at_its_level() -> None:
    trade = only(run(long_then(bar("100 103 99 101"), take=3.0), grids=GRID))
    assert (trade["take"], trade["exit_price"], reason(trade)) == (103.0, 103.0, "take")
    assert trade["pnl"] == units("150")
    # Lowest and highest since the entry are those of whole candles and of the fills.
    assert (trade["mae"], trade["mfe"]) == (0.0, 0.03)


def test_a_touched_take_of_a_short_fills_at_its_level_with_slippage() -> None:
    bars = short_then(bar("100 100 96 97"), take=3.0)
    trade = only(run(bars, grids=GRID, costs=COSTS))
    # Entry 99.9, take 96.9; bought back at 96.9 × 1.0001 = 96.90969, up to 97.0.
    assert (trade["take"], trade["exit_price"]) == (96.9, 97.0)
    # 50 × (99.9 − 97) = 145; 0.0005 × 50 × (99.9 + 97) = 4.9225.
    assert (trade["pnl"], trade["fees"]) == (units("145"), units("4.9225"))


def test_stop_and_take_in_one_candle_are_the_stop_and_counted_as_ambiguous() -> None:
    trade = only(run(long_then(bar("100 103 98 100"), take=3.0), grids=GRID))
    assert (trade["exit_price"], reason(trade), trade["ambiguous"]) == (98.0, "stop", 1)
    trade = only(run(short_then(bar("100 102 97 100"), take=3.0), grids=GRID))
    assert (trade["exit_price"], reason(trade), trade["ambiguous"]) == (102.0, "stop", 1)


def test_an_open_beyond_the_stop_fills_at_the_open() -> None:
    trade = only(run(long_then(bar("95 104 94 100"), take=3.0), grids=GRID))
    # The take at 103 was touched later: no doubt which came first.
    assert (trade["exit_price"], reason(trade), trade["ambiguous"]) == (95.0, "stop", 0)
    assert trade["pnl"] == units("-250")
    assert trade["exit_time"] == MONDAY + 2 * MINUTE  # at the open


def test_an_open_beyond_the_take_fills_at_the_open() -> None:
    trade = only(run(long_then(bar("105 106 90 100"), take=3.0), grids=GRID))
    assert (trade["exit_price"], reason(trade), trade["ambiguous"]) == (105.0, "take", 0)
    assert trade["pnl"] == units("250")


def test_an_open_exactly_at_the_stop_fills_there() -> None:
    trade = only(run(short_then(bar("102 103 99 100")), grids=GRID))
    assert (trade["exit_price"], trade["exit_time"]) == (102.0, MONDAY + 2 * MINUTE)


def test_stop_and_take_live_in_the_entry_candle() -> None:
    trade = only(run([bar(CALM, "long", 2.0), bar("100 100 97 99")], grids=GRID))
    assert (trade["exit_price"], trade["exit_candle"]) == (98.0, 1)
    trade = only(run([bar(CALM, "short", 2.0, 3.0), bar("100 101 96 99")], grids=GRID))
    assert (trade["exit_price"], reason(trade)) == (97.0, "take")


def test_a_stop_beyond_the_open_of_its_entry_candle_fills_at_that_open() -> None:
    # Bought at 100 × 1.03 = 103, stop 101: above the open, at a price the market may never have. It
    # fills at the open, 100 × 0.97 = 97, and not at its level, 101 × 0.97 = 97.97 → 97.9.
    bars = [bar(CALM, "long", 2.0), bar("100 102 99 102")]
    trade = only(run(bars, grids=GRID, costs=Costs(0.0, 0.03)))
    assert (trade["entry_price"], trade["stop"], trade["exit_price"]) == (103.0, 101.0, 97.0)
    assert trade["exit_time"] == trade["entry_time"] == MONDAY + MINUTE


def test_levels_are_rounded_away_from_the_market() -> None:
    # Distances 2.05 and 3.05 on ticks of 0.1: 97.95 → 97.9 and 103.05 → 103.1, mirrored for shorts.
    trade = only(run(long_then(stop=2.05, take=3.05), grids=GRID))
    assert (trade["stop"], trade["take"]) == (97.9, 103.1)
    trade = only(run(short_then(stop=2.05, take=3.05), grids=GRID))
    assert (trade["stop"], trade["take"]) == (102.1, 96.9)


def test_a_signal_exit_fills_at_the_next_open() -> None:
    bars = long_then(bar("100 102 100 101", "exit_long"), bar("101 101.5 101 101.2"))
    trade = only(run(bars, grids=GRID, costs=COSTS))
    # 101 × 0.9999 = 100.9899, down to 100.9; 50 × (100.9 − 100.1) = 40.
    assert (trade["exit_price"], reason(trade), trade["pnl"]) == (100.9, "signal", units("40"))
    assert (trade["exit_time"], trade["exit_candle"]) == (MONDAY + 3 * MINUTE, 3)


def test_an_exit_rule_of_the_other_side_does_nothing() -> None:
    assert reason(only(run(long_then(bar(CALM, "exit_short"), bar(CALM)), grids=GRID))) == "end"


def test_a_stop_in_the_candle_after_an_exit_signal_is_gone_at_the_open() -> None:
    bars = long_then(bar(CALM, "exit_long"), bar("99 99 90 91"))
    assert only(run(bars, grids=GRID))["exit_price"] == 99.0


def test_exit_and_same_side_entry_in_one_row_only_exit() -> None:
    bars = long_then(bar(CALM, "exit_long long", 2.0), bar(CALM), bar(CALM))
    result = run(bars, grids=GRID)
    assert reason(only(result)) == "signal"
    assert refusals_of(result) == {}


def test_an_entry_signal_of_the_open_side_is_nothing_at_all() -> None:
    result = run(long_then(bar(CALM, "long", 1.0), bar(CALM)), grids=GRID)
    assert only(result)["steps"] == 50_000
    assert refusals_of(result) == {}


def test_a_reversal_closes_and_opens_at_one_open_sized_from_the_wallet_at_the_decision() -> None:
    bars = long_then(bar("100 111 100 110", "short", 4.0), bar("110 110 110 110"))
    result = run(bars, grids=GRID, costs=COSTS)
    first, second = result.trades
    # Long from 100.1, fee 2.5025, so the wallet at the decision is 9,997.4975 whatever the profit:
    # 9,997.4975 × 0.01 ÷ (4 × 0.001) = 24,993.74 steps.
    assert second["steps"] == 24_993
    # 110 × 0.9999 = 109.989, down to 109.9, for both: 50 × 9.8 = 490.
    assert (first["exit_price"], second["entry_price"]) == (109.9, 109.9)
    assert (reason(first), first["pnl"]) == ("reversal", units("490"))
    assert first["exit_time"] == second["entry_time"] == MONDAY + 3 * MINUTE
    assert (first["reversal"], second["reversal"], second["side"]) == (0, 1, -1)


def test_an_exit_and_the_opposite_entry_in_one_row_reverse() -> None:
    bars = short_then(bar(CALM, "exit_short long", 4.0), bar(CALM))
    first, second = run(bars, grids=GRID).trades
    assert (reason(first), second["side"], second["qty"]) == ("reversal", 1, 25.0)


def test_a_refused_reversal_still_closes() -> None:
    result = run(long_then(bar(CALM, "short", 0.0), bar(CALM)), grids=GRID)
    assert reason(only(result)) == "reversal"
    assert refusals_of(result) == {(0, "stop or take distance under one tick"): 1}


def test_both_entry_rules_at_once_open_nothing_and_are_counted_as_conflict() -> None:
    both = bar(CALM, "long short", 2.0)
    result = run([both, both, bar(CALM)], grids=GRID)
    assert len(result.trades) == 0
    assert refusals_of(result) == {(0, "both entry rules true"): 2}


def test_a_conflict_does_not_stop_an_exit_and_does_not_reverse() -> None:
    bars = long_then(bar(CALM, "long short", 2.0), bar(CALM, "long short exit_long"), bar(CALM))
    result = run(bars, grids=GRID)
    assert (reason(only(result)), only(result)["exit_candle"]) == ("signal", 4)
    assert refusals_of(result) == {(0, "both entry rules true"): 2}


def test_the_close_of_the_exit_candle_may_signal_again() -> None:
    bars = long_then(bar("100 100 98 99", "long", 1.0), bar("99 99 99 99"))
    first, second = run(bars, grids=GRID).trades
    assert (first["exit_candle"], second["entry_candle"]) == (2, 3)
    assert second["steps"] == 99_000  # 9,900 × 0.01 ÷ (1 × 0.001)


def test_where_the_next_candle_is_missing_the_next_stored_open_fills() -> None:
    bars = [
        bar(CALM, "long", 2.0),
        None,
        None,
        bar("101 101 101 101", "exit_long"),
        None,
        bar("103 103 103 103"),
    ]
    trade = only(run(bars, grids=GRID))
    assert (trade["entry_price"], trade["exit_price"]) == (101.0, 103.0)
    assert (trade["entry_time"], trade["exit_time"]) == (MONDAY + 3 * MINUTE, MONDAY + 5 * MINUTE)
    assert (trade["entry_candle"], trade["exit_candle"]) == (1, 2)  # stored ones are counted


def test_an_order_of_the_last_close_is_never_filled() -> None:
    result = run([bar(CALM), bar(CALM, "long", 2.0)], grids=GRID)
    assert len(result.trades) == 0
    assert refusals_of(result) == {}


def test_a_run_without_money_left_names_the_close_at_which_it_was_gone() -> None:
    # 10 wallets long: 1,000 coins from 100; the candle that opens at 80 costs 20,000.
    bars = long_then(bar("80 80 80 80"), stop=0.1)
    risk = Risk(per_trade=1.0, max_leverage=10.0)
    with pytest.raises(RunRefused) as refusal:
        run(bars, grids=GRID, risk=risk)
    assert refusal.value.message == (
        "the balance was used up at 2023-01-02 00:03 UTC after 1 trade (equity -10000.00)"
    )
    assert refusal.value.hint == (
        "lower risk.per_trade or risk.max_leverage, or change the strategy"
    )


def test_without_a_signal_nothing_happens() -> None:
    result = run([bar(CALM)] * 5, grids=GRID, costs=FREE)
    assert len(result.trades) == 0
    assert result.equity.tolist() == [10_000.0] * 5
