"""Exchange rules that change inside a run, on candles written by hand: when a symbol takes them."""

import pytest

from backtest.engine import Result
from strategy.dated import RuleChange
from strategy.errors import WickError
from strategy.grid import grid
from strategy.risk import Risk
from tests.backtest.script import MINUTE, MONDAY, Bar, bar, run

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"

# A coarser grid: whole coins and prices in halves.
COARSE = grid("0.5", "1")
HALF = Risk(per_trade=0.01, max_leverage=20.0, leverage=20.0)


def changing(*bars: Bar | None, at: int) -> Result:
    """Run bars whose rules become coarse at a close, the n-th."""
    changes = [[RuleChange(MONDAY + at * MINUTE, COARSE)]]
    return run(list(bars), grids=GRID, risk=HALF, changes=changes)


def test_a_change_of_rules_counts_from_the_first_decision_at_it() -> None:
    # 100 at risk ÷ a stop of 3.3 are 30.303 coins, or 30 whole ones with the stop at 96.5.
    bars = [bar(CALM), bar(CALM, "long", 3.3), bar(CALM), bar(CALM)]
    for at, qty, stop in ((1, 30.0, 96.5), (2, 30.0, 96.5), (3, 30.303, 96.7)):
        (trade,) = changing(*bars, at=at).trades
        assert (trade["qty"], trade["stop"]) == (qty, stop)


def test_an_order_that_waits_or_a_position_keeps_its_rules() -> None:
    bars = [
        bar(CALM, "long", 3.3),
        bar(CALM),
        bar(CALM, "exit_long"),
        bar(CALM, "long", 3.3),  # the position is closed at this open
        bar(CALM),
        bar(CALM),
    ]
    for at in (2, 3, 4):
        first, second = changing(*bars, at=at).trades
        assert (first["qty"], first["stop"], first["steps"]) == (30.303, 96.7, 30_303)
        assert (second["qty"], second["stop"], second["steps"]) == (30.0, 96.5, 30)


def test_a_reversal_takes_its_new_side_on_the_old_rules() -> None:
    bars = [bar(CALM, "long", 3.3), bar(CALM), bar(CALM, "short", 3.3), bar(CALM), bar(CALM)]
    result = changing(*bars, at=2)
    assert result.trades["qty"].tolist() == [30.303, 30.303]


def test_only_trades_after_a_change_differ() -> None:
    bars = [bar(CALM, "long", 3.3), bar("100 100 96 96"), *[bar(CALM)] * 2] * 3
    before = run(bars, grids=GRID, risk=HALF).trades
    after = changing(*bars, at=6).trades
    assert len(before) == len(after) == 3
    assert before[:2].tobytes() == after[:2].tobytes()
    assert before[2].tobytes() != after[2].tobytes()
    assert (after[2]["qty"], after[2]["steps"]) == (29.0, 29)


def test_parts_keep_the_quantity_of_their_grid() -> None:
    risk = HALF._replace(part_1=0.5, part_1_share=0.5)
    rising = bar("100 102 100 100")
    bars = [bar(CALM, "long", 3.3), rising, bar(CALM, "exit_long"), bar(CALM)]
    result = run(
        [*bars, *bars],
        grids=GRID,
        risk=risk,
        changes=[[RuleChange(MONDAY + 4 * MINUTE, COARSE)]],
    )
    assert result.parts["qty"].tolist() == [15.151, 15.152, 15.0, 15.0]


def test_changes_out_of_order_are_refused() -> None:
    twice = [[RuleChange(MONDAY, COARSE)] * 2]
    with pytest.raises(WickError, match="not one after the other"):
        run([bar(CALM)], grids=GRID, changes=twice)
