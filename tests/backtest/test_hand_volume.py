"""Fills bounded by a share of the candle's volume, on candles written by hand.

Where nothing else is said: a tenth of the volume may fill, balance 10,000, one percent at risk, a
stop distance of 2, so 50 coins; tick 0.1, step 0.001, no costs. A candle with a volume of 3 or more
says long and short, which enters nothing; one that says long has a volume of 1.
"""

from typing import Any

import numpy as np
import pytest

from backtest.engine import Result
from backtest.notes import volume_notes
from strategy.dated import SymbolTiers
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.margin import TIER
from strategy.records import EXIT_REASONS
from strategy.risk import CONFLICT, VOLUME, Risk
from tests.backtest.random_markets import finer_candles
from tests.backtest.script import MINUTE, MONDAY, NAN, WIDE, Bar, bar, pays, run, units
from tests.backtest.slow_market import FinerCandle

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
COSTS = Costs(0.0, 0.0, volume_share=0.1)
SILENT = bar(CALM)


def traded(prices: str, volume: float, says: str = "long short", stop: float = NAN) -> Bar:
    """Write a candle with a volume of its own, which has to fit its words."""
    o, h, l, c = (float(text) for text in prices.split())  # noqa: E741
    return Bar(o, h, l, c, tuple(says.split()), stop, volume=volume)


ASKS = bar(CALM, "long", 2.0)
ENTRY = [ASKS, traded(CALM, 1_000)]


def capped(*bars: Bar | None, costs: Costs = COSTS, grids: Any = GRID, **more: Any) -> Result:
    """Run candles."""
    return run(bars, costs=costs, grids=grids, **more)


def only(*bars: Bar | None, **more: Any) -> np.record:
    """Run candles and return their one trade."""
    result = capped(*bars, **more)
    assert len(result.trades) == 1
    trade: np.record = result.trades[0]
    return trade


def slices(result: Result) -> list[tuple[int, float, float]]:
    """Return of each part the minute, the coins and the price."""
    return [
        ((int(one["time"]) - MONDAY) // MINUTE, float(one["qty"]), float(one["price"]))
        for one in result.parts
    ]


def test_an_entry_fills_as_far_as_the_share_goes_and_the_rest_is_dropped() -> None:
    bars = [ASKS, traded(CALM, 300), traded(CALM, 1_000), traded("98 98 97 97", 1_000)]
    result = capped(*bars, SILENT, costs=COSTS._replace(fee_rate=0.001))
    trade = result.trades[0]
    assert (trade.qty, trade.steps, trade.risked) == (30.0, 30_000, 60.0)
    # 30 × (98 - 100), all of what was risked; fees of 30 × 100 and 30 × 98 at a thousandth.
    assert (trade.pnl, trade.fees) == (units("-60"), units("5.94"))
    assert trade.pnl / 1e8 / trade.risked == -1.0
    assert (trade.parts, len(result.parts), len(result.trades)) == (0, 0, 1)
    assert result.equity[-1] == 10_000.0 - 60.0 - 5.94


def test_an_entry_under_the_least_quantity_is_refused() -> None:
    bars = [ASKS, traded(CALM, 300), SILENT]
    for rules, count in ((grid("0.1", "0.001", "30"), 1), (grid("0.1", "0.001", "30.001"), 0)):
        result = capped(*bars, grids=rules)
        assert len(result.trades) == count
        assert result.refused[0, VOLUME] == 1 - count
    # 0.4 × 0.002 is less than a step of 0.001.
    bars = [ASKS, traded(CALM, 0.4, ""), SILENT]
    result = capped(*bars, costs=COSTS._replace(volume_share=0.002))
    assert (len(result.trades), result.refused[0, VOLUME]) == (0, 1)


def test_a_stop_fills_over_three_candles() -> None:
    bars = [*ENTRY, traded("100 100 97.5 98", 200), traded("97 110 90 97", 250)]
    result = capped(*bars, traded("99 99 99 99", 300), traded(CALM, 300), SILENT)
    assert slices(result) == [(3, 20.0, 98.0), (3, 25.0, 97.0), (4, 5.0, 99.0)]
    (trade,) = result.trades
    # (20 × 98 + 25 × 97 + 5 × 99) ÷ 50 = 97.6.
    assert (trade.exit_price, trade.pnl) == (97.6, units("-120"))
    assert (trade.exit_time, trade.exit_candle) == (MONDAY + 4 * MINUTE, 4)
    assert (EXIT_REASONS[trade.exit_reason], trade.ordered, trade.parts) == ("stop", 0, 2)
    assert result.parts.trade.tolist() == [0, 0, 0]
    # It lived through the candle in which its rest could not be closed.
    assert (trade.mae, trade.mfe) == (-0.1, 0.1)
    # At the close of minute 3 five coins are left: 10,000 - 40 - 75 + 5 × (97 - 100).
    assert result.equity[2:5].tolist() == [10_000 - 40 - 30 * 2, 10_000 - 115 - 15, 9_880.0]


def test_an_exit_by_rule_goes_on_at_the_next_opens_as_one_that_was_ordered() -> None:
    bars = [*ENTRY, traded(CALM, 0.4, "exit_long"), traded("101 101 101 101", 200)]
    result = capped(*bars, traded("102 102 102 102", 400), SILENT)
    assert slices(result) == [(3, 20.0, 101.0), (4, 30.0, 102.0)]
    (trade,) = result.trades
    assert (EXIT_REASONS[trade.exit_reason], trade.ordered) == ("signal", 1)
    assert trade.pnl == units("80")


def test_all_fills_of_a_candle_share_its_volume() -> None:
    # The entry takes all of it, so that the stop it meets in its candle finds nothing.
    bars = [ASKS, traded("100 100 97 97", 300), traded("96 96 96 96", 1_000), SILENT]
    result = capped(*bars)
    (trade,) = result.trades
    assert (trade.qty, trade.exit_price, trade.parts) == (30.0, 96.0, 0)
    assert (EXIT_REASONS[trade.exit_reason], trade.ordered) == ("stop", 0)
    assert trade.exit_time == MONDAY + 2 * MINUTE
    # Of 60, 10 are left.
    bars[1] = traded("100 100 97 97", 600)
    assert slices(capped(*bars)) == [(2, 10.0, 98.0), (2, 40.0, 96.0)]


def test_while_a_rest_closes_there_is_no_stop_no_take_and_no_word_of_the_rules() -> None:
    bars = [bar(CALM, "long", 2.0, 4.0), traded(CALM, 1_000)]
    bars += [traded("100 100 97.5 98", 200), traded("98 110 90 98", 2.0, "short", 2.0)]
    result = capped(*bars, traded("98 98 98 98", 100), traded("98 98 98 98", 1_000), SILENT)
    assert slices(result) == [
        (3, 20.0, 98.0),
        (3, 0.2, 98.0),
        (4, 10.0, 98.0),
        (5, 19.8, 98.0),
    ]
    assert len(result.trades) == 1
    # Both at once, at the closes of minutes 1, which has a position, and 5, which is flat again.
    assert (result.refused[0, CONFLICT], result.refused.sum()) == (2, 2)


def test_a_reversal_is_refused_where_the_position_is_not_flat_at_that_open() -> None:
    turns = bar(CALM, "short", 2.0)
    result = capped(*ENTRY, turns, traded(CALM, 499), traded(CALM, 1_000), SILENT)
    assert slices(result) == [(3, 49.9, 100.0), (4, 0.1, 100.0)]
    assert len(result.trades) == 1
    assert EXIT_REASONS[result.trades[0].exit_reason] == "reversal"
    assert result.refused[0, VOLUME] == 1


def test_a_reversal_enters_with_what_the_closing_leg_leaves() -> None:
    turns = bar(CALM, "short", 2.0)
    result = capped(*ENTRY, turns, traded(CALM, 600), SILENT)
    assert result.trades.qty.tolist() == [50.0, 10.0]
    assert result.trades.side.tolist() == [1, -1]
    assert result.trades.reversal.tolist() == [0, 1]
    assert (len(result.parts), result.refused[0, VOLUME]) == (0, 0)


def test_in_a_candle_without_volume_entry_and_rest_wait() -> None:
    later = [SILENT, traded("101 101 101 101", 1_000)]
    assert only(ASKS, *later, SILENT)["entry_price"] == 101.0
    bars = [*ENTRY, traded("100 100 97.5 98", 200), SILENT, traded("97 97 97 97", 400)]
    assert slices(capped(*bars, SILENT)) == [(3, 20.0, 98.0), (4, 30.0, 97.0)]
    # A stop that is touched where a step is more than the share is triggered and fills later.
    bars = [*ENTRY, traded("100 100 97.5 98", 0.0001, ""), traded(CALM, 500), SILENT]
    trade = only(*bars, costs=COSTS)
    assert (trade["exit_price"], EXIT_REASONS[trade["exit_reason"]]) == (100.0, "stop")


def test_the_end_of_the_candles_closes_all() -> None:
    bars = [*ENTRY, traded("100 100 97.5 97.5", 200)]
    result = capped(*bars)
    assert slices(result) == [(3, 20.0, 98.0), (3, 30.0, 97.5)]
    assert EXIT_REASONS[result.trades[0].exit_reason] == "end"
    assert result.equity[-1] == 10_000 - 40 - 75


def test_a_liquidation_takes_all_and_cancels_the_rest() -> None:
    tiers = SymbolTiers(np.array([(0.0, 1e9, 0.01, 0.0, 125.0)], TIER), 0.0)
    risk = WIDE._replace(per_trade=0.5)
    # Of 2,500 coins 2,469.96 are left and 9,944.92 in the wallet:
    # 9,944.92 + 2,469.96 × (p - 100) = 2,469.96 × p ÷ 100 at 96.94, down to the tick.
    bars = [ASKS, traded(CALM, 1e5), traded("100 100 98 98", 200), traded("98 98 98 98", 0.4, "")]
    bars += [traded("98.5 98.5 90 95", 100), SILENT]
    result = capped(*bars, risk=risk, tiers=tiers)
    assert [EXIT_REASONS[one] for one in result.trades.exit_reason] == ["liquidation"]
    assert slices(result) == [
        (3, 20.0, 98.0),
        (3, 0.04, 98.0),
        (4, 10.0, 98.5),
        (5, 2_469.96, 96.9),
    ]


def test_each_slice_pushes_the_price_by_its_own_quantity() -> None:
    bars = [*ENTRY, traded("100 100 97.5 98", 200), traded(CALM, 1_000), SILENT]
    result = capped(*bars, costs=COSTS._replace(impact=0.1))
    # Entry: 100 × (1 + 0.1 × 50 ÷ 1,000) = 100.5, so the stop lies at 98.5. 20 of 200 lose a
    # hundredth there, 97.515; 30 of 1,000 lose 0.003, 99.7.
    assert result.trades[0].entry_price == 100.5
    assert slices(result) == [(3, 20.0, 97.5), (3, 30.0, 99.7)]


def test_what_is_left_pays_funding() -> None:
    bars = [*ENTRY, traded("100 100 98 98", 200), traded("98 98 98 98", 100), SILENT, SILENT]
    at = MONDAY + 4 * MINUTE
    # 50 less 20 less 10: 20 × 98 × 0.01.
    assert only(*bars, funding=pays((at, 0.01)))["funding"] == units("19.6")


def test_a_rest_that_stop_and_take_had_begun_is_ambiguous() -> None:
    bars = [bar(CALM, "long", 2.0, 4.0), traded(CALM, 1_000), traded("100 105 97 98", 200)]
    bars += [traded(CALM, 1_000), SILENT]
    assert only(*bars)["ambiguous"] == 1
    best = capped(*bars, costs=COSTS._replace(intrabar=1))
    assert slices(best) == [(3, 20.0, 104.0), (3, 30.0, 100.0)]
    assert EXIT_REASONS[best.trades[0].exit_reason] == "take"
    assert best.trades[0].ambiguous == 1


def test_finer_candles_have_the_share_of_their_base_candle() -> None:
    bars = [bar(CALM, "long", 2.0, 4.0), traded(CALM, 1_000), traded("100 105 97 98", 200)]
    bars += [traded(CALM, 1_000), SILENT]
    begin = MONDAY + 2 * MINUTE
    inside = [
        FinerCandle(begin, 100.0, 105.0, 100.0, 104.0, 1.0),
        FinerCandle(begin + 30_000, 104.0, 104.0, 97.0, 98.0, 1.0),
    ]
    detail = [finer_candles(inside, "30s", "AAA")]
    result = capped(*bars, costs=COSTS._replace(intrabar=2), detail=detail)
    assert slices(result) == [(2, 20.0, 104.0), (3, 30.0, 100.0)]
    assert result.trades[0].ambiguous == 0
    assert result.finer.tolist() == [[1, 0, 1]]


def test_with_a_latency_the_rest_is_at_the_exchange_already() -> None:
    late = COSTS._replace(latency_ms=1_500)
    asks, calm = bar(CALM, "long", 2.0), traded(CALM, 1_000)
    bars = [asks, calm, calm, calm, calm, calm, traded("100 100 97.5 98", 200)]
    bars += [traded("97 97 97 97", 400), SILENT]
    result = capped(*bars, costs=late, timeframe="1s")
    times = [(int(one.time) - MONDAY) // 1_000 for one in result.parts]
    assert (times, result.parts.price.tolist()) == ([7, 7], [98.0, 97.0])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"risk": Risk(part_1=1.0, part_1_share=0.5)}, r"partial takes \(risk\.part_1\)"),
        ({"risk": Risk(part_2=1.0, part_2_share=0.5)}, r"partial takes \(risk\.part_2\)"),
        ({"limit": 0.5}, r"entries that rest \(the rule limit_distance\)"),
    ],
)
def test_what_does_not_go_with_a_share_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(WickError, match=said) as refused:
        capped(ASKS, **more)
    assert refused.value.message.startswith("costs.volume_share is 0.1, which does not go with ")
    assert "--set costs.volume_share=0" in refused.value.hint


def test_a_run_says_how_small_its_trades_are() -> None:
    # 1 coin of the 50 that were asked for: 2 at risk of 10,000.
    (note,) = volume_notes(capped(ASKS, traded(CALM, 10), SILENT))
    assert note == (
        "costs.volume_share=0.1: half of the trades risk 0.0002 of the equity or less,"
        " risk.per_trade is 0.01; 0 of 1 exits took more than one candle"
    )
    assert volume_notes(run(ENTRY, grids=GRID)) == []


def test_a_share_beyond_all_of_the_volume_is_refused() -> None:
    with pytest.raises(WickError, match=r"^costs\.volume_share is 1\.5, expected from 0 to 1\n"):
        capped(ASKS, costs=Costs(volume_share=1.5))
    assert len(capped(*ENTRY, SILENT, costs=Costs(volume_share=1.0)).trades) == 1
