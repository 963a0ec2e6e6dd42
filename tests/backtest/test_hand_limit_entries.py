"""Exact fills of limit entries on candles written by hand.

Where nothing else is said: balance 10,000, one percent at risk, a stop distance of 2, so 50 coins;
tick 0.1, step 0.001, no costs. Entries rest half a stop distance from the close: a long decided at
100 at 99, with its stop at 97.
"""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from backtest.engine import Result, backtest
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from strategy.risk import CANCELLED, LIMIT_DISTANCE, REFUSALS, Risk
from tests.backtest.random_markets import draw_limited, refusals_of, run_slow
from tests.backtest.script import FREE, MINUTE, MONDAY, WIDE, Bar, bar, run, scripted, units

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
FAR = 50.0  # a take that nothing reaches
MAKER = Costs(0.0005, 0.01, maker_rate=0.0002)


def limited(*bars: Bar | None, costs: Costs = FREE, limit: float = 0.5, **risk: Any) -> Result:
    """Run candles over which entries rest."""
    return run(bars, grids=GRID, costs=costs, limit=limit, risk=WIDE._replace(**risk))


def only(result: Result) -> np.record:
    """Return the one trade of a result."""
    assert len(result.trades) == 1
    trade: np.record = result.trades[0]
    return trade


LONG = bar(CALM, "long", 2.0, FAR)
SHORT = bar(CALM, "short", 2.0, FAR)


def test_a_touched_limit_fills_at_its_price_for_the_makers_fee_without_slippage() -> None:
    trade = only(limited(LONG, bar(CALM), bar("100 101 99 100.5"), bar(CALM), costs=MAKER))
    assert (trade["entry_price"], trade["stop"], trade["maker"]) == (99.0, 97.0, 1)
    # 50 × 99 × 0.0002 = 0.99; closed at the last close, 50 × 100 × 0.0005 = 2.5.
    assert trade["fees"] == units("3.49")
    assert (trade["slippage"], trade["pnl"]) == (0.0, units("50"))
    # Inside the candle: its last millisecond.
    assert trade["entry_time"] == MONDAY + 3 * MINUTE - 1
    assert trade["entry_candle"] == 2


def test_a_short_rests_above_and_fills_in_the_same_way() -> None:
    trade = only(limited(SHORT, bar("100 101 100 100"), costs=MAKER))
    # 50 × 101 × 0.0002 = 1.01, and 50 × 100 × 0.0005 = 2.5.
    assert (trade["entry_price"], trade["stop"], trade["fees"]) == (101.0, 103.0, units("3.51"))


def test_a_limit_is_rounded_to_the_tick_away_from_the_market() -> None:
    bars = [bar(CALM, "long", 2.0, FAR), bar("100 100 90 100")]
    assert only(limited(*bars, limit=0.47))["entry_price"] == 99.0  # 99.06
    bars = [bar(CALM, "short", 2.0, FAR), bar("100 110 100 100")]
    assert only(limited(*bars, limit=0.47))["entry_price"] == 101.0  # 100.94


def test_with_limit_through_a_touch_does_not_fill_but_a_tick_beyond_does() -> None:
    through = FREE._replace(limit_through=1)
    touched, beyond = bar("100 100 99 100"), bar("100 100 98.9 100")
    assert not len(limited(LONG, touched, bar(CALM), costs=through).trades)
    assert only(limited(LONG, touched, beyond, costs=through))["entry_price"] == 99.0


def test_a_limit_that_crosses_on_arrival_takes_but_never_beyond_itself() -> None:
    # Opens at 98.2: 98.2 × 1.01 = 99.182 is beyond 99; 97 × 1.01 = 97.97 is not.
    for opens, fill in (("98.2 98.2 98.2 98.2", 99.0), ("97.5 97.5 97.5 97.5", 98.5)):
        trade = only(limited(LONG, bar(opens), costs=MAKER))
        assert (trade["entry_price"], trade["maker"]) == (fill, 0)
        assert trade["entry_time"] == MONDAY + MINUTE
    # 50 × 98.5 × 0.0005 = 2.4625; closed at 97.5: 2.4375.
    assert trade["fees"] == units("4.9")
    # An open at the limit itself crosses too.
    assert only(limited(LONG, bar("99 99 99 99")))["maker"] == 0


def test_a_gap_through_a_resting_limit_fills_it_at_its_own_price() -> None:
    trade = only(limited(LONG, bar(CALM), bar("98 98 98 98"), costs=MAKER))
    assert (trade["entry_price"], trade["maker"]) == (99.0, 1)
    assert trade["entry_time"] == MONDAY + 2 * MINUTE


def test_a_gap_through_limit_and_stop_is_stopped_at_the_open() -> None:
    trade = only(limited(LONG, bar(CALM), bar("95 96 95 96"), bar(CALM)))
    assert (trade["entry_price"], trade["exit_price"]) == (99.0, 95.0)
    assert trade["entry_time"] == trade["exit_time"] == MONDAY + 2 * MINUTE


def test_a_candle_that_goes_on_to_the_stop_stops_the_position_it_has_filled() -> None:
    trade = only(limited(LONG, bar("100 100 97 100"), bar(CALM), costs=MAKER))
    # 97 × 0.99 = 96.03, down to the tick.
    assert (trade["entry_price"], trade["exit_price"]) == (99.0, 96.0)
    assert EXIT_REASONS[trade["exit_reason"]] == "stop"
    assert (trade["ambiguous"], trade["entry_candle"], trade["exit_candle"]) == (0, 1, 1)
    assert trade["exit_time"] == MONDAY + 2 * MINUTE


def test_the_take_in_the_candle_of_the_fill_needs_the_close_beyond_it() -> None:
    near = bar(CALM, "long", 2.0, 1.0)  # take at 100
    # The high of 101 may have come before the fill.
    trade = only(limited(near, bar("100 101 99 99.5"), bar("99.5 99.5 99.5 99.5")))
    assert EXIT_REASONS[trade["exit_reason"]] == "end"
    trade = only(limited(near, bar("100 101 99 100.5"), bar("99.5 99.5 99.5 99.5")))
    assert (EXIT_REASONS[trade["exit_reason"]], trade["exit_price"]) == ("take", 100.0)
    # Both for certain: the stop, and marked.
    trade = only(limited(near, bar("100 101 97 100.5"), bar(CALM)))
    assert (EXIT_REASONS[trade["exit_reason"]], trade["ambiguous"]) == ("stop", 1)


def test_the_extremes_of_the_candle_of_the_fill_are_what_came_after_it() -> None:
    trade = only(limited(LONG, bar("100 105 98 99.5"), bar("99.5 99.5 99.5 99.5")))
    # Down to 98 and up to the last close: -1 ÷ 99 and 0.5 ÷ 99.
    assert (trade["mae"], trade["mfe"]) == (-1.0 / 99.0, 0.5 / 99.0)


def test_post_only_refuses_what_would_cross_and_rests_otherwise() -> None:
    crossed = limited(LONG, bar("99 99 99 99"), bar("99 99 90 99"), limit_tif=3)
    assert refusals_of(crossed) == {(0, "post only limit would have crossed"): 1}
    assert only(limited(LONG, bar("100 100 99 100"), limit_tif=3))["maker"] == 1


@pytest.mark.parametrize("tif", [1, 2])
def test_immediate_or_cancel_and_fill_or_kill_never_rest(tif: int) -> None:
    missed = limited(LONG, bar("100 100 90 100"), bar("90 90 90 90"), limit_tif=tif)
    assert refusals_of(missed) == {(0, "limit not filled at once"): 1}
    assert only(limited(LONG, bar("99 99 99 99"), limit_tif=tif))["maker"] == 0


def test_an_entry_expires_after_limit_wait_closes() -> None:
    touch = bar("100 100 99 100")
    # Decided at the first close; the second is the first that it waits for.
    assert only(limited(LONG, bar(CALM), touch, limit_wait=2))["entry_price"] == 99.0
    late = limited(LONG, bar(CALM), bar(CALM), touch, limit_wait=2)
    assert refusals_of(late) == {(0, "limit expired"): 1}
    assert only(limited(LONG, *[bar(CALM)] * 30, touch))["entry_candle"] == 31


def test_a_new_signal_of_its_side_moves_the_limit() -> None:
    again = bar("104 104 104 104", "long", 2.0, FAR)
    result = limited(LONG, again, bar("104 104 103 104"))
    assert only(result)["entry_price"] == 103.0
    assert refusals_of(result) == {(0, "limit cancelled by a later decision"): 1}


def test_an_opposite_signal_takes_its_place_and_an_exit_signal_ends_it() -> None:
    result = limited(LONG, bar(CALM, "short", 2.0, FAR), bar("100 101 99 100"))
    assert (only(result)["side"], only(result)["entry_price"]) == (-1, 101.0)
    assert refusals_of(result) == {(0, "limit cancelled by a later decision"): 1}
    result = limited(LONG, bar(CALM, "exit_long"), bar("100 100 90 100"))
    assert not len(result.trades)
    assert refusals_of(result) == {(0, "limit cancelled by a later decision"): 1}
    # The other side's exit rule and a conflict say nothing to it.
    for words in ("exit_short", "long short"):
        assert len(limited(LONG, bar(CALM, words, 2.0, FAR), bar("100 100 99 100")).trades) == 1


def test_the_daily_loss_limit_cancels_what_rests_also_without_a_candle() -> None:
    # AAA loses 100, a hundredth, in the third candle, in which BBB has none.
    loses = [bar(CALM, "long", 2.0, FAR), bar("98 98 98 98"), bar("97 97 90 97"), bar(CALM)]
    waits = [bar(CALM, "long", 2.0, FAR), bar(CALM), None, bar("100 100 99 100")]
    risk = WIDE._replace(daily_loss_limit=0.005)
    result = run(loses, waits, grids=GRID, limit=0.5, risk=risk)
    assert [trade["symbol"] for trade in result.trades] == [0]
    assert refusals_of(result) == {(1, "limit cancelled by a later decision"): 1}


def test_what_rests_holds_its_slot_and_its_notional() -> None:
    other = [bar(CALM), LONG, bar("99 99 99 99"), bar(CALM)]
    calm = [LONG, *[bar(CALM)] * 3]
    result = run(calm, other, grids=GRID, limit=0.5, risk=WIDE._replace(max_positions=1))
    assert refusals_of(result) == {(1, "position limit"): 1}
    # 0.75 wallets in all, 50 × 99 = 4,950 of 7,500 held back: 2,550 ÷ 99 = 25.757 coins.
    result = run(calm, other, grids=GRID, limit=0.5, risk=WIDE._replace(max_leverage=0.75))
    assert only(result)["qty"] == 25.757


def test_the_size_is_bounded_by_the_limit_and_not_by_slippage() -> None:
    # 10,000 ÷ 99 = 101.0101, with the entry at a share of 1 at risk.
    result = limited(LONG, bar("100 100 99 100"), costs=MAKER, per_trade=1.0, max_notional=10_000.0)
    assert only(result)["qty"] == 101.01


def test_margin_is_asked_for_at_the_fill() -> None:
    # AAA falls by 10 a coin on 75.757 coins before BBB's limit of 90 is touched.
    risk = WIDE._replace(per_trade=1.0, max_leverage=1.5, leverage=1.5, max_notional=7_500.0)
    losing = [bar(CALM, "long", 20.0, FAR), bar("100 100 89 89"), bar("89 89 79.5 80"), bar(CALM)]
    waits = [bar(CALM, "long", 20.0, FAR), bar("100 100 91 100"), bar("100 100 90 100"), bar(CALM)]
    result = run(losing, waits, grids=GRID, limit=0.5, risk=risk)
    assert refusals_of(result) == {(1, "margin at the fill"): 1}


def test_a_reversal_closes_at_the_open_and_rests_on_the_other_side() -> None:
    bars = [LONG, bar("99 99 99 99"), bar(CALM, "short", 2.0, FAR), bar("100 101 100 101")]
    first, second = limited(*bars, bar(CALM)).trades
    assert (EXIT_REASONS[first["exit_reason"]], first["exit_price"]) == ("reversal", 100.0)
    assert (second["side"], second["entry_price"], second["reversal"]) == (-1, 101.0, 1)


def test_a_distance_below_zero_is_refused_and_zero_rests_at_the_close() -> None:
    result = limited(LONG, bar(CALM), limit=-0.1)
    assert refusals_of(result) == {(0, "limit distance below zero"): 1}
    assert only(limited(LONG, bar("101 101 100 101"), limit=0.0))["entry_price"] == 100.0


def test_settings_of_limits_need_the_rule() -> None:
    for name, value in (("limit_wait", 3), ("limit_tif", 1)):
        with pytest.raises(WickError, match=rf"risk\.{name} is {value}, but no entry rests"):
            run([LONG], risk=WIDE._replace(**{name: value}))
    with pytest.raises(WickError, match=r"costs\.limit_through is 1, but scripted has no rule"):
        run([LONG], costs=FREE._replace(limit_through=1))
    with pytest.raises(WickError, match=r"with risk\.limit_tif=1 no entry rests"):
        limited(LONG, limit_wait=3, limit_tif=1)
    with pytest.raises(WickError, match=r"risk\.limit_tif is 4, expected 0"):
        limited(LONG, limit_tif=4)


def test_the_drawn_worlds_reach_every_case() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        slow = run_slow(draw_limited(seed, 90, 1 + seed % 3))
        seen.update(why for _, why in slow.refused)
        for trade in slow.trades:
            market = slow.markets[trade.symbol]
            candle = market.candles[trade.entry_candle]
            inside = trade.entry_time != candle.time
            seen["inside" if inside else "gap" if trade.maker else "crossed"] += 1
            if inside and trade.exit_candle == trade.entry_candle:
                seen[f"inside, then {trade.exit_reason}"] += 1
                seen["inside, ambiguous"] += trade.ambiguous
                seen["inside, in parts"] += trade.parts > 0
            seen["reversal"] += trade.reversal
    wanted = {*REFUSALS[LIMIT_DISTANCE : CANCELLED + 1], "margin at the fill", "daily loss limit"}
    wanted |= {"inside", "gap", "crossed", "inside, then stop", "inside, then take", "reversal"}
    wanted |= {"inside, ambiguous", "inside, in parts"}
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}


def test_money_is_kept_with_resting_entries() -> None:
    bars: list[Bar | None] = []
    for at in range(40):
        price = 100 + 3 * np.sin(at)
        words = ("long", "", "short", "")[at % 4]
        low, high = round(price - 2, 1), round(price + 2, 1)
        mid = round(price, 1)
        bars.append(Bar(mid, high, low, mid, (words,) if words else (), 2.0, 3.0))
    result = backtest(
        scripted(limit=0.5),
        run(bars, limit=0.5).candles,
        risk=Risk(),
        costs=MAKER,
        grids=GRID.view(np.recarray),
    )
    net = (result.trades["pnl"] - result.trades["fees"] - result.trades["funding"]).sum()
    assert len(result.trades) > 5
    assert result.equity[-1] == (units("10000") + net) / 1e8
