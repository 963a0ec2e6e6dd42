"""Which of several touched levels comes first, on candles written by hand.

A long of 50 from 100 with the stop at 98 and, where nothing else is said, the take at 103; balance
10,000, one percent at risk, tick 0.1, step 0.001, no costs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from strategy.candles import Candles
from strategy.dated import SymbolTiers
from strategy.errors import WickError
from strategy.fills import BEST, DETAIL, Costs
from strategy.grid import grid
from strategy.margin import TIER
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from tests.backtest.script import FREE, MINUTE, MONDAY, WIDE, Bar, bar, run

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
BEST_CASE, DETAILED = FREE._replace(intrabar=BEST), FREE._replace(intrabar=DETAIL)
HALF_AT_ONE = WIDE._replace(part_1=0.5, part_1_share=0.5)
SECOND = 1_000


def finer(*prices: str, start: int = MONDAY + 2 * MINUTE, timeframe: str = "20s") -> Candles:
    """Write finer candles as "open high low close volume", the third minute's by default."""
    step = {"20s": 20 * SECOND, "1m": MINUTE}[timeframe]
    rows = np.array([[float(text) for text in one.split()] for one in prices])
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = dict(zip(names, rows.T, strict=True))
    times = start + step * np.arange(len(rows))
    return Candles.from_arrays(
        symbol="AAA", market="um", timeframe=timeframe, open_time=times, **columns
    )


def outcome(
    third: str | Sequence[Bar], costs: Costs, detail: Candles | None = None, **changes: Any
) -> tuple[Any, tuple[float, str, int, int], list[int]]:
    """Run the long over a third candle; give the result, its one trade's exit price, reason, ms
    since the candle's open and ambiguity, and the counts of finer candles."""
    bars = [bar(CALM, "long", 2.0, 3.0), bar(CALM)]
    bars += [bar(third)] if isinstance(third, str) else third
    given = {"risk": WIDE} | changes
    result = run(
        [*bars, bar(CALM)],
        grids=GRID,
        costs=costs,
        detail=None if detail is None else [detail],
        **given,
    )
    assert len(result.trades) == 1
    trade = result.trades[0]
    told = (
        float(trade["exit_price"]),
        EXIT_REASONS[trade["exit_reason"]],
        int(trade["exit_time"]) - MONDAY - 2 * MINUTE,
        int(trade["ambiguous"]),
    )
    return result, told, result.finer[0].tolist()


def test_the_best_case_of_a_candle_with_both_levels_is_the_take() -> None:
    result, told, _ = outcome("100 103 98 100", BEST_CASE)
    assert told == (103.0, "take", MINUTE, 1)
    assert result.equity[-1] == 10_150.0  # 50 × 3; the worst case lost 50 × 2


def test_the_best_case_counts_in_the_entry_candle_too() -> None:
    bars = [bar(CALM, "long", 2.0, 3.0), bar("100 103 98 100"), bar(CALM)]
    trade = run(bars, grids=GRID, costs=BEST_CASE).trades[0]
    assert (trade["exit_price"], trade["exit_candle"], trade["ambiguous"]) == (103.0, 1, 1)


def test_the_best_case_leaves_gaps_and_single_levels_as_they_are() -> None:
    assert outcome("97 104 96 100", BEST_CASE)[1] == (97.0, "stop", 0, 0)
    assert outcome("104 104 96 100", BEST_CASE)[1] == (104.0, "take", 0, 0)
    assert outcome("100 102 98 100", BEST_CASE)[1] == (98.0, "stop", MINUTE, 0)


def test_the_best_case_takes_parts_first_and_then_what_is_reached() -> None:
    # Half, 25, at 100 + 0.5 × 2 = 101. To 103 the rest takes 3 more: (101 + 103) / 2 = 102.
    assert outcome("100 103 98 100", BEST_CASE, risk=HALF_AT_ONE)[1] == (102.0, "take", MINUTE, 1)
    # To 102 only the part is reached, and the rest meets the stop: (101 + 98) / 2 = 99.5.
    assert outcome("100 102 98 100", BEST_CASE, risk=HALF_AT_ONE)[1] == (99.5, "stop", MINUTE, 1)


def test_finer_candles_tell_which_level_came_first() -> None:
    up = finer("100 103 100 103 1", "103 103 98 98 1", "98 100 98 100 1")
    result, told, counts = outcome("100 103 98 100", DETAILED, up)
    assert told == (103.0, "take", 20 * SECOND, 0)
    assert (result.equity[-1], counts) == (10_150.0, [1, 0, 1])
    down = finer("100 100 99 99 1", "99 99 98 98 1", "98 103 98 100 1")
    _, told, counts = outcome("100 103 98 100", DETAILED, down)
    assert (told, counts) == ((98.0, "stop", 40 * SECOND, 0), [1, 0, 1])


def test_a_finer_candle_that_opens_beyond_a_level_fills_at_its_open() -> None:
    # The stop at 98 was never traded: after 99 came 97.5.
    jump = finer("100 100 99 99 1", "97.5 99 97.5 99 1", "99 99 99 99 1")
    _, told, counts = outcome("100 100 97.5 99", DETAILED, jump)
    assert (told, counts) == ((97.5, "stop", 20 * SECOND, 0), [1, 0, 0])


def test_both_levels_inside_one_finer_candle_are_the_stop_and_stay_ambiguous() -> None:
    both = finer("100 100 99 99 1", "99 103 98 100 1", "100 100 100 100 1")
    _, told, counts = outcome("100 103 98 100", DETAILED, both)
    assert (told, counts) == ((98.0, "stop", 40 * SECOND, 1), [1, 0, 0])


def test_parts_fill_on_finer_candles_in_their_order() -> None:
    # 25 at 101 in the first 20 seconds, the rest at the stop in the last: (101 + 98) / 2 = 99.5.
    path = finer("100 101 100 101 1", "101 101 99 99 1", "99 99 98 99 1")
    result, told, counts = outcome("100 101 98 99", DETAILED, path, risk=HALF_AT_ONE)
    assert (told, counts) == ((99.5, "stop", MINUTE, 0), [1, 0, 1])
    times = (result.parts["time"] - MONDAY - 2 * MINUTE).tolist()
    assert times == [20 * SECOND, MINUTE]


@pytest.mark.parametrize(
    "there",
    [
        finer("100 103 100 103 1", "103 103 98 98 1"),  # the last is missing
        finer("100 102 100 102 1", "102 102 98 98 1", "98 100 98 100 1"),  # short of the high
        finer("100 104 100 103 1", "103 103 98 98 1", "98 100 98 100 1"),  # beyond it
        finer("101 103 100 103 1", "103 103 98 98 1", "98 100 98 100 1"),  # another open
        finer("100 103 100 103 0", "103 103 98 98 0", "98 100 98 100 0"),  # nothing traded
        finer(CALM + " 1", CALM + " 1", CALM + " 1", start=MONDAY),  # of another minute
    ],
)
def test_where_finer_candles_lack_or_disagree_the_worst_case_stands_in(there: Candles) -> None:
    _, told, counts = outcome("100 103 98 100", DETAILED, there)
    assert (told, counts) == ((98.0, "stop", MINUTE, 1), [0, 1, 0])


def test_a_silent_finer_candle_triggers_nothing() -> None:
    # It carries 97 over from before the minute, whose first trade was at 100.
    path = finer("97 97 97 97 0", "100 103 100 103 1", "103 103 99 99 1")
    _, told, counts = outcome("100 103 99 99", DETAILED, path)
    assert (told, counts) == ((103.0, "take", 40 * SECOND, 0), [1, 0, 0])


def test_a_candle_that_may_liquidate_is_matched_whole_and_counted() -> None:
    # 2,000 coins: 10,000 + 2,000 × (p − 100) = 2,000 × p × 0.004 at p = 190,000 / 1,992 = 95.38.
    up = finer("100 103 100 103 1", "103 103 94 94 1", "94 100 94 100 1")
    assert outcome("100 103 94 100", DETAILED, up)[1] == (103.0, "take", 20 * SECOND, 0)
    tiers = SymbolTiers(np.array([(0.0, 1e9, 0.004, 0.0, 125.0)], TIER))
    risk = Risk(per_trade=1.0, max_leverage=20.0, leverage=20.0)
    _, told, counts = outcome("100 103 94 100", DETAILED, up, risk=risk, tiers=tiers)
    assert (told, counts) == ((98.0, "stop", MINUTE, 1), [0, 1, 0])


def test_an_open_beyond_a_level_needs_no_finer_candles() -> None:
    elsewhere = finer(CALM + " 1", start=MONDAY)
    _, told, counts = outcome("97 104 96 100", DETAILED, elsewhere)
    assert (told, counts) == ((97.0, "stop", 0, 0), [0, 0, 0])


def test_excursions_count_whole_candles_of_the_base_timeframe() -> None:
    # The part fills in the third minute, whose low of 98.5 counts whole; the end comes at 100.
    path = finer("100 101 100 101 1", "101 101 98.5 98.5 1", "98.5 100 98.5 100 1")
    result, _, _ = outcome("100 101 98.5 100", DETAILED, path, risk=HALF_AT_ONE)
    assert result.trades[0]["mae"] == -1.5 / 100
    assert result.trades[0]["mfe"] == 1.0 / 100


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        (None, "costs.intrabar is 2 (detail), but there are no finer candles"),
        ([None], "costs.intrabar is 2 (detail), but there are no finer candles"),
        ([None, None], "finer candles of 2 symbols for 1"),
        ([finer(CALM + " 1", timeframe="1m")], "1m candles do not lie inside the 1m ones of AAA"),
    ],
)
def test_finer_candles_that_do_not_fit_are_refused(detail: Any, message: str) -> None:
    bars = [bar(CALM, "long", 2.0, 3.0), bar(CALM)]
    with pytest.raises(WickError) as refusal:
        run(bars, grids=GRID, costs=DETAILED, detail=detail)
    assert refusal.value.message == message


def test_without_the_option_finer_candles_change_nothing() -> None:
    up = finer("100 103 100 103 1", "103 103 98 98 1", "98 100 98 100 1")
    assert outcome("100 103 98 100", FREE, up)[1] == (98.0, "stop", MINUTE, 1)
