"""Sizes, limits and refusals on candles written by hand.

Where nothing else is said: balance 10,000, one percent at risk, tick 0.1, step 0.001, no costs.
"""

import math

import pytest

from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from tests.backtest.random_markets import refusals_of
from tests.backtest.script import FREE, MINUTE, MONDAY, NAN, WIDE, Bar, bar, run

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
REST = bar(CALM)
HOUR = 60 * MINUTE


def qty_of(stop: float, risk: Risk, *, rules: tuple[str, ...] = (), costs: Costs = FREE) -> float:
    """Return the quantity of a long from 100, or 0.0 if it was refused."""
    record = grid("0.1", "0.001", *rules)
    result = run([bar(CALM, "long", stop), REST], grids=record, risk=risk, costs=costs)
    return float(result.trades[0]["qty"]) if len(result.trades) else 0.0


def why_not(*bars: Bar | None, risk: Risk, rules: tuple[str, ...] = (), take: bool = False) -> str:
    """Return the one reason for which the one entry was refused."""
    result = run(bars, grids=grid("0.1", "0.001", *rules), risk=risk, take=take)
    assert len(result.trades) == 0
    assert result.refused.sum() == 1
    return next(iter(refusals_of(result)))[1]


def test_the_size_is_the_risked_share_over_the_stop_distance_in_whole_steps() -> None:
    # 10,000 × 0.01 ÷ (3 × 0.001) = 33,333.3 steps.
    assert qty_of(3.0, WIDE) == 33.333


def test_a_size_that_is_whole_but_for_rounding_keeps_its_last_step() -> None:
    # 10,000 × 0.01 ÷ (0.1 × 0.1) is 10,000 steps of 0.1; in floats it is 9,999.999999999998.
    assert 0.01 * 10_000 / (0.1 * 0.1) < 10_000
    bars = [bar(CALM, "long", 0.1), REST]
    assert run(bars, grids=grid("0.1", "0.1"), risk=WIDE).trades["steps"].tolist() == [10_000]


def test_the_size_is_capped_by_leverage_at_the_price_with_slippage() -> None:
    # One wallet at 100 × 1.0001, on the tick 100.1: 10,000 ÷ (100.1 × 0.001) = 99,900.1 steps.
    risk = Risk(per_trade=0.01, max_leverage=1.0)
    assert qty_of(0.5, risk, costs=Costs(0.0, 0.0001)) == 99.9


def test_the_size_is_capped_by_notional() -> None:
    # 500 ÷ (100 × 0.001) = 5,000 steps.
    assert qty_of(0.5, WIDE._replace(max_notional=500.0)) == 5.0


def test_the_size_is_capped_by_the_largest_market_order() -> None:
    assert qty_of(2.0, WIDE, rules=("0", "12.3456")) == 12.345


def test_a_size_under_the_least_quantity_is_refused() -> None:
    entry = bar(CALM, "long", 2.0)  # 50 coins
    assert qty_of(2.0, WIDE, rules=("50",)) == 50.0
    assert why_not(entry, REST, risk=WIDE, rules=("50.0001",)) == "size under the symbol's minimum"


def test_a_size_under_the_least_notional_is_refused() -> None:
    # 5,000 at the last close.
    assert qty_of(2.0, WIDE, rules=("0", "0", "5000")) == 50.0
    reason = why_not(bar(CALM, "long", 2.0), REST, risk=WIDE, rules=("0", "0", "5000.01"))
    assert reason == "size under the symbol's minimum"


@pytest.mark.parametrize("stop", [0.0, NAN, 0.0999, -2.0, math.inf])
def test_a_stop_distance_that_is_no_distance_is_refused(stop: float) -> None:
    reason = why_not(bar(CALM, "long", stop), REST, risk=WIDE)
    assert reason == "stop or take distance under one tick"


@pytest.mark.parametrize("take", [0.0, NAN, 0.0999, -2.0, math.inf])
def test_a_take_distance_that_is_no_distance_is_refused(take: float) -> None:
    reason = why_not(bar(CALM, "long", 2.0, take), REST, risk=WIDE, take=True)
    assert reason == "stop or take distance under one tick"


def test_a_distance_of_one_tick_is_enough() -> None:
    assert qty_of(0.1, WIDE) == 1000.0


def test_a_stop_or_take_at_or_below_zero_is_refused() -> None:
    reason = "stop or take level not positive"
    assert why_not(bar(CALM, "long", 100.0), REST, risk=WIDE) == reason
    assert why_not(bar(CALM, "short", 2.0, 100.0), REST, risk=WIDE, take=True) == reason


def test_the_far_side_may_be_any_distance_away() -> None:
    assert len(run([bar(CALM, "short", 150.0), REST], grids=GRID).trades) == 1
    assert len(run([bar(CALM, "long", 2.0, 150.0), REST], grids=GRID).trades) == 1


def test_a_level_that_turns_out_not_positive_at_the_fill_is_refused_there() -> None:
    bars = (bar(CALM, "long", 60.0), bar("50 50 50 50"))
    assert why_not(*bars, risk=WIDE) == "stop or take level not positive"


def test_a_price_that_rounds_to_nothing_is_refused() -> None:
    # One tick is the price: sold 1 % lower it would be zero.
    last = bar("0.1 0.1 0.1 0.1", "short", 0.1)
    result = run([last, last], grids=GRID, costs=Costs(0.0, 0.01))
    assert refusals_of(result) == {(0, "stop or take level not positive"): 2}


def test_margin_that_no_longer_suffices_at_the_fill_is_a_refusal() -> None:
    # 100 coins at 100 are one wallet; at 101 they need 10,100.
    risk = Risk(per_trade=0.01, max_leverage=1.0, leverage=1.0)
    entry = bar(CALM, "long", 0.5)
    assert why_not(entry, bar("101 101 101 101"), risk=risk) == "margin at the fill"
    assert len(run([entry, REST], grids=GRID, risk=risk).trades) == 1


def test_open_losses_and_the_margin_of_others_count_at_the_fill() -> None:
    # AAA holds 50 coins from 100 and stands at 99: it needs 4,950 and has lost 50. At a leverage of
    # 1 that leaves 10,000 − 50 − 4,950 = 5,000 for BBB: exactly 50 coins at 100.
    risk = Risk(per_trade=0.01, max_leverage=1.0, leverage=1.0)
    first = [bar(CALM, "long", 2.0), bar("100 100 99 99"), bar("99 99 99 99")]
    for at, filled in (("100 100 100 100", 1), ("100.1 100.1 100.1 100.1", 0)):
        second = [REST, bar(CALM, "long", 2.0), bar(at)]
        result = run(first, second, grids=GRID, risk=risk)
        assert sum(result.trades["symbol"] == 1) == filled
        assert refusals_of(result) == ({} if filled else {(1, "margin at the fill"): 1})


def test_each_approval_leaves_less_leverage_to_the_next_symbol() -> None:
    # AAA takes 0.6 of a wallet, BBB would take as much and gets 0.4, nothing is left for CCC.
    risk = Risk(per_trade=0.006, max_leverage=1.0)
    entry = [bar(CALM, "long", 1.0), REST]
    result = run(entry, entry, entry, grids=GRID, risk=risk)
    assert [(t["symbol"], t["qty"]) for t in result.trades] == [(0, 60.0), (1, 40.0)]
    assert refusals_of(result) == {(2, "leverage limit"): 1}


def test_a_reversal_has_the_room_of_the_position_it_closes() -> None:
    # 100 coins are the whole room, and may become 100 coins short.
    risk = Risk(per_trade=0.01, max_leverage=1.0)
    bars = [bar(CALM, "long", 1.0), REST, bar(CALM, "short", 1.0), REST]
    assert run(bars, grids=GRID, risk=risk).trades["qty"].tolist() == [100.0, 100.0]


def test_a_reversal_that_waits_for_its_candle_keeps_its_room_reserved() -> None:
    # AAA holds 20 coins and is to reverse into 80, but its next candle is missing.
    risk = Risk(per_trade=0.01, max_leverage=1.0)
    first = [bar(CALM, "long", 5.0), REST, bar(CALM, "short", 1.25), None, REST]
    second = [REST, REST, REST, bar(CALM, "long", 1.0), REST]
    result = run(first, second, grids=GRID, risk=risk)
    assert [(t["symbol"], t["qty"]) for t in result.trades] == [(0, 20.0), (0, 80.0), (1, 20.0)]


def test_the_position_limit_goes_by_configured_order() -> None:
    risk = WIDE._replace(max_positions=2)
    entry = [bar(CALM, "long", 2.0), REST]
    result = run(entry, entry, entry, grids=GRID, risk=risk)
    assert result.trades["symbol"].tolist() == [0, 1]
    assert refusals_of(result) == {(2, "position limit"): 1}
    result = run([REST, REST], entry, entry, grids=GRID, risk=risk)
    assert result.trades["symbol"].tolist() == [1, 2]


def test_a_slot_freed_by_an_exit_counts_from_the_next_instant() -> None:
    risk = WIDE._replace(max_positions=1)
    first = [bar(CALM, "long", 2.0), REST, bar(CALM, "exit_long"), REST, REST]
    early = [REST, REST, bar(CALM, "long", 2.0), REST, REST]
    late = [REST, REST, REST, bar(CALM, "long", 2.0), REST]
    for order in ((first, early), (early, first)):
        result = run(*order, grids=GRID, risk=risk)
        assert len(result.trades) == 1
        assert list(refusals_of(result).values()) == [1]
    result = run(first, late, grids=GRID, risk=risk)
    assert [(t["symbol"], t["entry_candle"]) for t in result.trades] == [(0, 1), (1, 4)]


def test_a_slot_freed_by_a_stop_is_free_at_that_close() -> None:
    risk = WIDE._replace(max_positions=1)
    first = [bar(CALM, "long", 2.0), REST, bar("100 100 98 99"), REST]
    second = [REST, REST, bar(CALM, "long", 2.0), REST]
    for order in ((first, second), (second, first)):
        assert len(run(*order, grids=GRID, risk=risk).trades) == 2


def test_a_reversal_keeps_its_own_slot() -> None:
    bars = [bar(CALM, "long", 2.0), REST, bar(CALM, "short", 2.0), REST]
    result = run(bars, grids=GRID, risk=WIDE._replace(max_positions=1))
    assert [EXIT_REASONS[why] for why in result.trades["exit_reason"]] == ["reversal", "end"]
    assert refusals_of(result) == {}


def test_a_reversal_takes_no_slot_from_the_next_symbol() -> None:
    first = [bar(CALM, "long", 2.0), REST, bar(CALM, "short", 2.0), REST]
    second = [REST, REST, bar(CALM, "long", 2.0), REST]
    result = run(first, second, grids=GRID, risk=WIDE._replace(max_positions=2))
    assert result.trades["symbol"].tolist() == [0, 0, 1]


def test_an_entry_that_waits_for_its_candle_holds_a_slot() -> None:
    risk = WIDE._replace(max_positions=1)
    first = [bar(CALM, "long", 2.0), None, REST]
    second = [REST, bar(CALM, "long", 2.0), REST]
    result = run(first, second, grids=GRID, risk=risk)
    assert result.trades["symbol"].tolist() == [0]
    assert refusals_of(result) == {(1, "position limit"): 1}


# Three closes a day: 08:00, 16:00 and 00:00, which belongs to the day that ends.


def test_the_daily_limit_blocks_until_the_day_changes() -> None:
    entry = bar(CALM, "long", 10.0)  # 10 coins
    lost = bar("100 100 90 95", "long", 10.0)  # stopped out: 100 of 10,000 lost
    bars = [entry, lost, entry, entry, REST]
    risk = WIDE._replace(daily_loss_limit=0.01)
    result = run(bars, grids=GRID, risk=risk, timeframe="8h")
    # Blocked at 16:00 and at 00:00; the decision of the next day's 08:00 is free again.
    assert refusals_of(result) == {(0, "daily loss limit"): 2}
    assert result.trades["entry_time"].tolist() == [MONDAY + 8 * HOUR, MONDAY + 32 * HOUR]


def test_the_daily_limit_needs_the_whole_share() -> None:
    entry, lost = bar(CALM, "long", 10.0), bar("100 100 90 95", "long", 10.0)
    risk = WIDE._replace(daily_loss_limit=0.0101)
    result = run([entry, lost, REST], grids=GRID, risk=risk, timeframe="8h")
    assert refusals_of(result) == {}


def test_the_daily_limit_counts_open_losses_and_stays_though_they_are_won_back() -> None:
    holding = [bar(CALM, "long", 10.0), bar("100 100 95 95"), bar("95 120 95 120"), REST, REST]
    other = [REST, bar(CALM, "long", 10.0), bar(CALM, "long", 10.0), bar(CALM, "long", 10.0), REST]
    risk = WIDE._replace(daily_loss_limit=0.005)  # 10 coins × 5 = 50 of 10,000
    result = run(holding, other, grids=GRID, risk=risk, timeframe="8h")
    # Refused at 16:00 and at 00:00, though the account is far above by then. From 120 to 100 the
    # next day loses 200 of 10,200 by 08:00.
    assert refusals_of(result) == {(1, "daily loss limit"): 3}


@pytest.mark.parametrize(("close", "refused"), [("139.5", 1), ("139.6", 0)])
def test_the_day_opens_with_the_equity_at_midnight(close: str, refused: int) -> None:
    # 10 coins from 100 stand at 150 at 00:00: the day opens with 10,500, and one percent is 105.
    held = [
        bar(CALM, "long", 10.0),
        bar("100 150 100 150"),
        bar("150 150 150 150"),
        bar(f"150 150 {close} {close}"),
        bar(f"{close} {close} {close} {close}"),
    ]
    other = [REST, REST, REST, bar(CALM, "long", 10.0), REST]
    risk = WIDE._replace(daily_loss_limit=0.01)
    result = run(held, other, grids=GRID, risk=risk, timeframe="8h")
    assert int(result.refused.sum()) == refused
    assert len(result.trades) == 2 - refused


def test_where_midnight_is_missing_the_day_opens_with_the_last_mark_before() -> None:
    held = [
        bar(CALM, "long", 10.0),
        bar("100 150 100 150"),  # 16:00, the last close before midnight
        None,
        bar("150 150 139.5 139.5"),
        bar("139 139 139 139"),
    ]
    other = [REST, REST, None, bar(CALM, "long", 10.0), REST]
    risk = WIDE._replace(daily_loss_limit=0.01)
    result = run(held, other, grids=GRID, risk=risk, timeframe="8h")
    assert refusals_of(result) == {(1, "daily loss limit"): 1}


def test_the_daily_limit_lets_exits_through() -> None:
    bars = [bar(CALM, "long", 10.0), bar("100 100 95 95", "exit_long"), bar("96 96 96 96")]
    risk = WIDE._replace(daily_loss_limit=0.001)
    trade = run(bars, grids=GRID, risk=risk, timeframe="8h").trades[0]
    assert (EXIT_REASONS[trade["exit_reason"]], trade["exit_price"]) == ("signal", 96.0)


def test_a_symbol_without_candles_keeps_its_last_close() -> None:
    # 50 coins from 100, last seen at 101; the other symbol's candles go on.
    gone = [bar(CALM, "long", 2.0), bar("100 101 100 101"), None, None, bar("99 99 99 99")]
    result = run(gone, [REST] * 5, grids=GRID)
    assert result.equity.tolist() == [10_000.0, 10_050.0, 10_050.0, 10_050.0, 9_950.0]


def test_a_symbol_whose_data_ends_early_is_closed_there_and_frees_its_slot() -> None:
    # A is bought at 100 and its data ends at 101: closed with reason end at that close. B's signal
    # of that very close is still refused, A's slot counts until then; the one after is taken.
    one = Risk(per_trade=0.01, max_leverage=10.0, max_positions=1)
    first = [bar(CALM, "long", 5.0), bar("100 101 99 101"), None, None, None]
    second = [REST, bar(CALM, "long", 5.0), bar(CALM, "long", 5.0), REST, REST]
    result = run(first, second, grids=GRID, risk=one)
    assert refusals_of(result) == {(1, "position limit"): 1}
    ended, taken = result.trades[:2]
    assert (ended["symbol"], ended["exit_price"]) == (0, 101.0)
    assert EXIT_REASONS[ended["exit_reason"]] == "end"
    assert ended["exit_time"] == MONDAY + 2 * MINUTE
    assert (taken["symbol"], taken["entry_time"]) == (1, MONDAY + 3 * MINUTE)


def test_equity_beyond_what_any_market_could_fill_ends_the_run() -> None:
    # 9e9 at 100 × leverage: one candle from 100 to 1000 makes it 8e12, too much for units of 1e-8.
    wild = Risk(per_trade=1.0, max_leverage=100.0, leverage=125.0)
    bars = [bar(CALM, "long", 1.0), bar("100 1000 100 1000"), REST]
    with pytest.raises(RunRefused, match=r"the equity passed 4e\+10 at 2023-01-02 00:02 UTC"):
        run(bars, grids=grid("0.1", "0.001"), risk=wild, balance=9e9)
