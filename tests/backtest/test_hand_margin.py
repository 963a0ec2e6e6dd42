"""Exact liquidations on candles written by hand: at which price, what it costs, and what is left.

Where nothing else is said: balance 10,000, tick 0.1, step 0.001, no costs but the liquidation fee
of 1.25 %. All of the balance is at risk, so a stop distance of 50 gives 200 coins, bought or sold
at 100 at the open of the second candle, with the stop where the balance is used up.
"""

from typing import Any

import numpy as np
import pytest

from backtest.engine import Result
from backtest.record import record_of
from data.symbols import fine_rules
from strategy.dated import SymbolTiers
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.margin import TIER, Marks
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from tests.backtest.random_markets import refusals_of
from tests.backtest.script import MINUTE, MONDAY, Bar, bar, pays, run, units

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
# 0.4 % of the first 50,000 and 1 % of what is more: 50,000 × (0.01 − 0.004) = 300.
ROWS = [(0.0, 50_000.0, 0.004, 0.0, 125.0), (50_000.0, 1e9, 0.01, 300.0, 50.0)]
TIERS = SymbolTiers(np.array(ROWS, TIER))
CROSS = Risk(per_trade=1.0, max_leverage=20.0, leverage=20.0)
ALONE = CROSS._replace(isolated=1)
OPENED = MONDAY + MINUTE


def entered(says: str, *after: Bar | None, stop: float = 50.0) -> list[Bar | None]:
    """Enter at the second open, 100; then some candles."""
    return [bar(CALM, says, stop), bar(CALM), *after]


def held(says: str, *after: Bar | None, risk: Risk = CROSS, stop: float = 50.0) -> Result:
    """Run one position against tiers."""
    bars = entered(says, *after, bar(CALM), stop=stop)
    return run(bars, grids=GRID, risk=risk, tiers=TIERS)


def closed(result: Result) -> tuple[str, float, int, int]:
    """Return how the only trade ended: reason, price, profit and fees in units."""
    (trade,) = result.trades
    reason = EXIT_REASONS[trade["exit_reason"]]
    return reason, float(trade["exit_price"]), int(trade["pnl"]), int(trade["fees"])


def test_a_long_is_liquidated_where_the_wallet_covers_only_its_maintenance() -> None:
    # 10,000 + 200 × (p − 100) = 200 × p × 0.004 at p = 10,000 / 199.2 = 50.2008; sold a tick down.
    result = held("long", bar("100 100 40 45"))
    # 200 × (50.2 − 100) = −9,960. The fee would be 200 × 50.2 × 0.0125 = 125.5; 40 are left.
    assert closed(result) == ("liquidation", 50.2, units("-9960"), units("40"))
    assert result.trades["exit_time"][0] == OPENED + 2 * MINUTE
    assert result.equity.tolist() == [10_000.0, 10_000.0, 0.0, 0.0]


def test_a_short_is_liquidated_above_its_entry() -> None:
    # 10,000 + 200 × (100 − p) = 200 × p × 0.004 at p = 30,000 / 200.8 = 149.4024.
    result = held("short", bar("100 160 100 155"))
    # 200 × (100 − 149.5) = −9,900; 200 × 149.5 × 0.0125 = 373.75 of which 100 are left.
    assert closed(result) == ("liquidation", 149.5, units("-9900"), units("100"))


def test_a_touch_is_enough_and_a_tick_before_it_is_not() -> None:
    assert closed(held("long", bar("100 100 50.2 60")))[0] == "liquidation"
    assert closed(held("long", bar("100 100 50.3 100")))[0] == "end"


def test_the_fees_of_a_liquidation_are_the_takers_and_its_own() -> None:
    cheap = TIERS._replace(fee=0.001)
    bars = entered("long", bar("100 100 40 45"), bar(CALM))
    result = run(bars, grids=GRID, risk=CROSS, costs=Costs(0.0001, 0.0), tiers=cheap)
    # 20,000 × 0.0001 = 2 at the entry leave 9,998: (20,000 − 9,998) / 199.2 = 50.2108. Sold at
    # 50.2: 200 × 50.2 × (0.0001 + 0.001) = 1.004 + 10.04.
    assert closed(result) == ("liquidation", 50.2, units("-9960"), units("13.044"))
    assert result.equity[-1] == 26.956


def test_a_candle_that_opens_beyond_the_price_liquidates_at_its_open() -> None:
    result = held("long", bar("50.1 100 50.1 100"))
    assert closed(result) == ("liquidation", 50.1, units("-9980"), units("20"))
    assert result.trades["exit_time"][0] == OPENED + MINUTE


def test_a_loss_beyond_the_collateral_is_the_insurance_funds() -> None:
    # 200 × (45 − 100) = −11,000; taken over where 10,000 are lost: 100 − 10,000 / 200 = 50.
    result = held("long", bar("45 45 40 45"))
    assert closed(result) == ("liquidation", 50.0, units("-10000"), 0)
    assert result.equity[-1] == 0.0


def test_a_stop_before_the_price_fills_first() -> None:
    # Half at risk at 25: 200 coins, stop 75, liquidation at 50.2 as before.
    risk = CROSS._replace(per_trade=0.5)
    assert closed(held("long", bar("100 100 40 45"), risk=risk, stop=25.0))[:2] == ("stop", 75.0)
    assert closed(held("short", bar("100 160 100 160"), risk=risk, stop=25.0))[:2] == (
        "stop",
        125.0,
    )


def test_an_open_beyond_both_the_stop_and_the_price_liquidates() -> None:
    risk = CROSS._replace(per_trade=0.5)
    result = held("long", bar("45 45 45 45"), risk=risk, stop=25.0)
    assert closed(result) == ("liquidation", 50.0, units("-10000"), 0)


def test_the_price_lies_in_the_tier_of_the_notional_at_it() -> None:
    # A stop of 10 gives 1,000 coins; 10,000 + 1,000 × (p − 100) = 1,000 × p × 0.01 − 300 at
    # p = 89,700 / 990 = 90.606, where they are worth more than 50,000.
    assert closed(held("long", bar("100 100 90.7 100"), stop=10.0))[0] == "end"
    assert closed(held("long", bar("100 100 90.6 100"), stop=10.0))[:2] == ("liquidation", 90.6)


def test_the_entrys_own_candle_can_liquidate() -> None:
    bars = [bar(CALM, "long", 50.0), bar("100 100 40 100"), bar(CALM)]
    result = run(bars, grids=GRID, risk=CROSS, tiers=TIERS)
    assert closed(result)[:2] == ("liquidation", 50.2)
    assert result.trades["exit_candle"][0] == 1


# Limits rest 0.005 × 20,000 = 100 from the close; 1,000 / 20,000 = 0.05 coins.
RESTING = Risk(per_trade=1.0, max_leverage=10.0, leverage=100.0, isolated=1)
NO_MAKER = Costs(0.0, 0.0, maker_rate=0.0)
STILL = "60000 60000 60000 60000"


def rested(says: str, candle: str, **more: Any) -> Result:
    """Run an entry that rests for a candle."""
    bars = [bar(STILL, says, 20_000.0, 50_000.0)]
    bars += [bar(candle), bar("60000 60100 59900 60000")]
    return run(
        bars,
        grids=GRID,
        risk=RESTING,
        costs=NO_MAKER,
        balance=1_000.0,
        tiers=TIERS,
        limit=0.005,
        **more,
    )


def test_a_limit_that_fills_inside_a_candle_can_be_liquidated_in_it() -> None:
    # 0.05 × 59,900 / 100 = 29.95 are set aside: 59,900 × 0.99 / 0.996 = 59,539.16, a tick down.
    result = rested("long", "60000 60010 50000 60000")
    # 0.05 × (59,539.1 − 59,900) = −18.045; of a fee of 37.21 are 11.905 left.
    assert closed(result) == ("liquidation", 59_539.1, units("-18.045"), units("11.905"))
    assert result.trades["exit_time"][0] == OPENED + MINUTE
    assert closed(rested("long", "60000 60010 59539.2 60000"))[0] == "end"
    # 60,100 × 1.01 / 1.004 = 60,459.16, a tick up: 0.05 × 359.2 = 17.96 of 30.05.
    result = rested("short", "60000 61000 59990 60000")
    assert closed(result) == ("liquidation", 60_459.2, units("-17.96"), units("12.09"))


def test_a_shared_wallet_counts_at_a_fill_inside_a_candle() -> None:
    # 500 coins at 99.9: 2,500 + 500 × (p − 99.9) = 500 × p × 0.004 at p = 47,450 / 498 = 95.2811.
    for low, reason in (("95.3", "end"), ("95.2", "liquidation")):
        bars = [bar(CALM, "long", 5.0, 50.0), bar(f"100 100 {low} 100"), bar(CALM)]
        result = run(
            bars,
            grids=GRID,
            risk=CROSS,
            costs=NO_MAKER,
            balance=2_500.0,
            tiers=TIERS,
            limit=0.005,
        )
        assert closed(result)[0] == reason


def test_the_mark_price_decides_in_the_candle_of_a_limits_fill() -> None:
    seen = marks(STILL, "60000 60000 59600 60000", "")
    assert closed(rested("long", "60000 60010 50000 60000", marks=seen))[0] == "end"
    # The contract never was below its limit: sold there.
    seen = marks(STILL, "60000 60000 59500 60000", "")
    result = rested("long", "60000 60010 59900 60000", marks=seen)
    assert closed(result)[:2] == ("liquidation", 59_900.0)


def test_a_take_in_the_same_candle_comes_second() -> None:
    bars = [bar(CALM, "long", 50.0, 5.0), bar(CALM), bar("100 110 40 100"), bar(CALM)]
    (trade,) = run(bars, grids=GRID, risk=CROSS, tiers=TIERS).trades
    assert (EXIT_REASONS[trade["exit_reason"]], trade["ambiguous"]) == ("liquidation", 1)


def test_an_isolated_position_loses_its_margin_and_no_more() -> None:
    # 20,000 / 20 = 1,000 are set aside: p = (20,000 − 1,000) / 199.2 = 95.3815.
    result = held("long", bar("100 100 95.4 100"), risk=ALONE)
    assert closed(result)[0] == "end"
    result = held("long", bar("100 100 95 95"), risk=ALONE)
    # 200 × (95.3 − 100) = −940; the fee of 238.25 is cut to the 60 that are left.
    assert closed(result) == ("liquidation", 95.3, units("-940"), units("60"))
    assert result.equity[-1] == 9_000.0
    result = held("long", bar("90 100 90 95"), risk=ALONE)
    # 1,000 are lost at 100 − 1,000 / 200 = 95.
    assert closed(result) == ("liquidation", 95.0, units("-1000"), 0)
    assert result.equity[-1] == 9_000.0


def test_funding_comes_out_of_an_isolated_margin() -> None:
    # 200 × 100 × 0.02 = 400 leave 600: p = 19,400 / 199.2 = 97.3896.
    for low, reason in (("97.4", "end"), ("97.3", "liquidation")):
        bars = entered("long", bar(f"100 100 {low} 100"), bar(CALM))
        funding = pays((OPENED + MINUTE, 0.02))
        result = run(bars, grids=GRID, risk=ALONE, tiers=TIERS, funding=funding)
        assert closed(result)[0] == reason


def test_a_part_takes_its_share_of_the_funding_along() -> None:
    # Half is taken at 105. The rest keeps half of 1,000 less 400: p = 9,700 / 99.6 = 97.39,
    # as without the part. With all of the 400 it would be 99.4.
    parted = ALONE._replace(part_1=0.1, part_1_share=0.5)
    for low, reason in (("97.4", "end"), ("97.3", "liquidation")):
        bars = entered("long", bar("100 105 100 100"), bar(f"100 100 {low} 100"), bar(CALM))
        funding = pays((OPENED + MINUTE, 0.02))
        result = run(bars, grids=GRID, risk=parted, tiers=TIERS, funding=funding)
        assert closed(result)[0] == reason
        assert result.trades["funding"][0] == units("400")


def test_an_isolated_margin_is_not_free_for_others() -> None:
    # 9,000 are free after one of 1,000: a second of 200,000 at 20 needs 10,000.
    big = [bar(CALM), bar(CALM, "long", 5.0), bar(CALM), bar(CALM)]
    risk = ALONE._replace(max_leverage=20.0)
    tiers = [SymbolTiers(np.array([(0.0, 1e9, 0.004, 0.0, 125.0)], TIER))] * 2
    result = run(entered("long", bar(CALM), bar(CALM)), big, grids=GRID, risk=risk, tiers=tiers)
    # 20 wallets less 20,000 leave 180,000, which need exactly the 9,000.
    assert result.trades["qty"].tolist() == [200.0, 1_800.0]
    falls = entered("long", bar(CALM), bar("99 99 99 99"), bar("99 99 99 99"))
    late = [bar(CALM)] * 2 + [bar(CALM, "long", 5.0), bar("100.1 100.1 100.1 100.1"), bar(CALM)]
    result = run(falls, late, grids=GRID, risk=risk, tiers=tiers)
    assert refusals_of(result) == {(1, "margin at the fill"): 1}  # 1,800 × 100.1 / 20 = 9,009


@pytest.mark.parametrize("risk", [ALONE, CROSS])
def test_the_fee_of_an_entry_has_to_be_free_beside_its_margin(risk: Risk) -> None:
    # 2,000 coins at 100: 200,000 / 20 = 10,000 are all there is, and the fee is 100.
    risk = risk._replace(max_leverage=20.0)
    costs = Costs(0.0005, 0.0)
    tiers = SymbolTiers(np.array([(0.0, 1e9, 0.004, 0.0, 125.0)], TIER))
    result = run(entered("long", bar(CALM), stop=5.0), grids=GRID, risk=risk, tiers=tiers)
    assert result.trades["qty"].tolist() == [2_000.0]
    result = run(
        entered("long", bar(CALM), stop=5.0), grids=GRID, risk=risk, costs=costs, tiers=tiers
    )
    assert refusals_of(result) == {(0, "margin at the fill"): 1}
    # 1,980 coins: 9,900 and 99 of 10,000 are free; 1 is left, all the position can lose is 9,900.
    less = risk._replace(max_leverage=19.8)
    result = run(
        entered("long", bar("90 90 90 90"), stop=5.0),
        grids=GRID,
        risk=less,
        costs=costs,
        tiers=tiers,
    )
    reason = EXIT_REASONS[result.trades["exit_reason"][0]]
    lost = {1: 9_900.0, 0: 9_901.0}[int(risk.isolated)]
    assert (reason, result.equity[-1]) == ("liquidation", 9_901.0 - lost)
    # Without tiers nothing is liquidated, and only the margin is asked for.
    result = run(entered("long", bar(CALM), stop=5.0), grids=GRID, risk=risk, costs=costs)
    assert result.trades["qty"].tolist() == [2_000.0]


def test_positions_that_share_the_wallet_are_liquidated_together() -> None:
    # 75.2: 10,000 − 2 × 200 × 24.8 = 80, and 2 × 200 × 75.2 × 0.004 = 120.32 are demanded.
    fall = bar("75.2 75.2 75.2 75.2")
    bars = entered("long", fall, fall)
    result = run(bars, bars, grids=GRID, risk=CROSS, tiers=[TIERS, TIERS])
    reasons = [EXIT_REASONS[why] for why in result.trades["exit_reason"]]
    assert reasons == ["liquidation", "liquidation"]
    # The first one's fee of 188 takes the 80 that are left.
    assert result.trades["fees"].tolist() == [units("80"), 0]
    assert result.trades["pnl"].tolist() == [units("-4960"), units("-4960")]


def test_a_position_is_kept_if_it_is_safe_without_the_first() -> None:
    # A fee of 200 × 75.2 × 0.0001 = 1.504 leaves 78.496, and the second needs 60.16.
    fall = bar("75.2 75.2 75.2 75.2")
    cheap = TIERS._replace(fee=0.0001)
    bars = entered("long", fall, fall)
    result = run(bars, bars, grids=GRID, risk=CROSS, tiers=[cheap, cheap])
    assert result.trades["symbol"].tolist() == [0, 1]
    assert [EXIT_REASONS[why] for why in result.trades["exit_reason"]] == ["liquidation", "end"]
    assert result.equity[-1] == 78.496


def test_losses_that_come_together_inside_a_candle_liquidate_at_its_close() -> None:
    # With the other at its open of 100, each is safe down to (20,000 − 9,920) / 199.2 = 50.6.
    bars = entered("long", bar("100 100 75.2 75.2"), bar(CALM))
    result = run(bars, bars, grids=GRID, risk=CROSS, tiers=[TIERS, TIERS])
    assert result.trades["exit_price"].tolist() == [75.2, 75.2]
    assert result.trades["exit_time"].tolist() == [OPENED + 2 * MINUTE] * 2


def test_a_symbol_without_a_candle_is_valued_at_its_last_mark_and_stays() -> None:
    gone = [bar(CALM, "long", 50.0), bar(CALM), None, bar("60 60 60 60"), bar(CALM)]
    bars = entered("long", bar("50.6 50.6 50.6 50.6"), bar("60 60 60 60"), bar(CALM))
    result = run(bars, gone, grids=GRID, risk=CROSS, tiers=[TIERS, TIERS])
    # 10,000 − 9,880 = 120; 40.48 + 80 = 120.48 are demanded. Then the other one at 60 is alone
    # with nothing.
    assert result.trades["symbol"].tolist() == [0, 1]
    assert result.trades["exit_time"].tolist() == [OPENED + MINUTE, OPENED + 2 * MINUTE]
    assert result.trades["exit_price"].tolist() == [50.6, 100.0]


def marks(*prices: str) -> Marks:
    """Write mark price candles, one a minute; "" for one that is not known."""
    known = [(MONDAY + at * MINUTE, one.split()) for at, one in enumerate(prices) if one]
    rows = np.array([[float(x) for x in one] for _, one in known])
    times = np.array([time for time, _ in known], np.int64)
    return Marks(times, *(np.ascontiguousarray(rows[:, k]) for k in range(4)))


def test_the_mark_price_decides_and_the_contract_gives_the_price() -> None:
    bars = entered("long", bar("100 100 60 100"), bar(CALM))
    seen = marks(CALM, CALM, "100 100 50 100", "")
    result = run(bars, grids=GRID, risk=CROSS, tiers=TIERS, marks=seen)
    # The contract never was at 50.2; 200 × (60 − 100) = −8,000 and 200 × 60 × 0.0125 = 150.
    assert closed(result) == ("liquidation", 60.0, units("-8000"), units("150"))
    bars = entered("long", bar("100 100 45 100"), bar(CALM))
    seen = marks(CALM, CALM, "100 100 60 100", "")
    result = run(bars, grids=GRID, risk=CROSS, tiers=TIERS, marks=seen)
    assert closed(result)[:2] == ("stop", 50.0)


def test_where_the_mark_price_is_not_known_the_contract_stands_in() -> None:
    bars = entered("long", bar("100 100 40 100"), bar(CALM))
    result = run(bars, grids=GRID, risk=CROSS, tiers=TIERS, marks=marks(CALM, CALM, "", CALM))
    assert closed(result)[:2] == ("liquidation", 50.2)


@pytest.mark.parametrize("wrong", ["100 99 98 98.5", "100 100 0 100", "100 inf 100 100"])
def test_mark_prices_that_are_no_candle_are_refused_by_position(wrong: str) -> None:
    with pytest.raises(WickError, match="mark price candle 1 of AAA is wrong"):
        run(entered("long"), grids=GRID, tiers=TIERS, marks=marks(CALM, wrong))


def test_a_bracket_bounds_the_notional_by_the_leverage_that_is_set() -> None:
    bars = entered("long", bar(CALM), stop=1.0)
    risk = CROSS._replace(max_leverage=50.0, leverage=75.0)
    result = run(bars, grids=GRID, risk=risk, tiers=TIERS)
    assert result.trades["qty"].tolist() == [500.0]  # 50,000 at 100
    result = run(bars, grids=GRID, risk=risk._replace(leverage=50.0), tiers=TIERS)
    assert result.trades["qty"].tolist() == [5_000.0]  # 50 wallets


@pytest.mark.parametrize(("least", "leverage"), [("50001", 75.0), ("0", 125.0)])
def test_an_entry_that_no_bracket_allows_is_refused(least: str, leverage: float) -> None:
    rows = np.array([(0.0, 50_000.0, 0.004, 0.0, 75.0), (50_000.0, 1e9, 0.01, 300.0, 50.0)], TIER)
    risk = CROSS._replace(max_leverage=50.0, leverage=leverage)
    one = grid("0.1", "0.001", "0", "0", least)
    result = run(
        entered("long", bar(CALM), stop=1.0), grids=one, risk=risk, tiers=SymbolTiers(rows)
    )
    assert refusals_of(result) == {(0, "leverage bracket under the symbol's minimum"): 1}


def test_an_account_with_nothing_left_goes_on_without_trading() -> None:
    later = [bar(CALM, "long", 50.0), bar(CALM), bar(CALM)]
    result = run(entered("long", bar("45 45 40 45"), *later), grids=GRID, risk=CROSS, tiers=TIERS)
    assert refusals_of(result) == {(0, "no balance"): 1}
    assert result.equity.tolist() == [10_000.0, 10_000.0, 0.0, 0.0, 0.0, 0.0]


def test_the_figures_of_an_account_with_nothing_left_are_no_accident() -> None:
    bars = entered("long", bar("45 45 40 45"), *[bar(CALM)] * 5)
    result = run(bars, grids=GRID, risk=CROSS, tiers=TIERS, timeframe="12h")
    rules = [fine_rules("um", "AAA", 100.0)]
    record = record_of(result, kind="backtest", created_ms=0, command=[], rules=rules)
    keys = ("total_return", "worst_day", "best_day", "max_drawdown", "gross_leverage_max")
    assert [record.figure(key).value for key in keys] == [-1.0, -1.0, 0.0, -1.0, 2.0]
    assert (record.exits["liquidation"], record.months) == (1, {"2023-01": -1.0})


def test_without_tiers_a_used_up_balance_still_ends_the_run() -> None:
    with pytest.raises(RunRefused, match="the balance was used up"):
        run(entered("long", bar("45 45 40 45"), bar(CALM)), grids=GRID, risk=CROSS)


def test_tiers_that_leave_a_gap_are_refused() -> None:
    for rows in (ROWS[1:], [ROWS[0], (60_000.0, 1e9, 0.01, 0.0, 1.0)], []):
        with pytest.raises(WickError, match="are wrong"):
            run(entered("long"), grids=GRID, tiers=SymbolTiers(np.array(rows, TIER)))
