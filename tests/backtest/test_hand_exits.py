"""Stops that move, takes in parts, age and cooldown, on candles written by hand.

A long of 50 from 100 with the stop at 98: balance 10,000, one percent at risk, tick 0.1, step
0.001, no costs. It enters at the open of the second candle.
"""

from typing import Any

import pytest

from strategy.grid import grid
from strategy.records import EXIT_REASONS
from tests.backtest.random_markets import refusals_of
from tests.backtest.script import MINUTE, MONDAY, WIDE, bar, run, units

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"


def long_over(*prices: str, take: float = float("nan"), **risk: Any) -> Any:
    """Run the long over candles from its entry candle on and return its trade."""
    bars = [bar(CALM, "long", 2.0, take), *map(bar, prices)]
    result = run(bars, grids=GRID, risk=WIDE._replace(**risk))
    assert len(result.trades) == 1
    return result.trades[0]


def told(trade: Any) -> tuple[float, str, int]:
    """Give the exit's price, reason and candle, counted from the signal's."""
    reason = EXIT_REASONS[trade["exit_reason"]]
    return float(trade["exit_price"]), reason, int(trade["exit_candle"])


def test_a_trailing_stop_follows_the_best_price_at_closes() -> None:
    # Half a stop distance, 1, below the best price, 103: at the close of the third candle the stop
    # goes to 102, whose low of 100 came before. The fourth touches it.
    trade = long_over(CALM, "100 103 100 102.5", "102.5 102.5 101.5 102", trail=0.5)
    assert told(trade) == (102.0, "trailing", 3)
    assert (trade["pnl"], trade["stop"], trade["last_stop"]) == (units("100"), 98.0, 102.0)


def test_a_trailing_stop_that_the_close_has_passed_closes_at_the_next_open() -> None:
    # From 103 it would lie at 102, above the close of 101.5, where no stop can be placed.
    trade = long_over(CALM, "100 103 100 101.5", "101.2 102.5 101 102", trail=0.5)
    assert told(trade) == (101.2, "trailing", 3)
    assert trade["ordered"] == 1


def test_a_trailing_stop_waits_until_enough_is_gained() -> None:
    # Two stop distances are 4: the best price of 103 is not enough, that of 104 is.
    prices = (CALM, "100 103 100 102.5", "102.5 104 101.5 103.5", "103.5 103.5 102 102")
    assert told(long_over(*prices, trail=0.5, trail_after=2.0)) == (103.0, "trailing", 4)


def test_a_stop_goes_to_the_entry_once_one_stop_distance_is_gained() -> None:
    trade = long_over(CALM, "100 102 100 101", "101 101 99 100", break_even=1.0)
    assert told(trade) == (100.0, "break_even", 3)
    assert trade["pnl"] == 0


def test_a_position_that_is_old_enough_closes_at_the_next_open() -> None:
    # Two closes: that of the entry candle and that of the next one.
    trade = long_over(CALM, "100 101 100 101", "101.5 102 101 102", time_stop=2.0)
    assert told(trade) == (101.5, "time", 3)


@pytest.mark.parametrize(
    ("last", "price", "reason", "pnl"),
    [
        # 25 at 101; the rest at the stop, 98: 25 × 1 − 25 × 2, on the mean 99.5.
        ("101 101 98 99", 99.5, "stop", "-25"),
        # Or at the take, 103: 25 × 1 + 25 × 3, on the mean 102.
        ("101 103 101 102", 102.0, "take", "100"),
    ],
)
def test_a_part_is_taken_at_half_a_stop_distance_and_the_rest_goes_on(
    last: str, price: float, reason: str, pnl: str
) -> None:
    risk = {"part_1": 0.5, "part_1_share": 0.5}
    trade = long_over(CALM, "100 101 100 101", last, take=3.0, **risk)
    assert told(trade) == (price, reason, 3)
    assert (trade["pnl"], trade["parts"]) == (units(pnl), 1)


def test_a_loss_keeps_its_symbol_out_for_so_many_closes() -> None:
    # Stopped in the third candle: its close and the next one are two; the fifth may enter.
    says = [bar("100 100 98 98", "long", 2.0), *[bar("98 98 98 98", "long", 2.0)] * 3]
    bars = [bar(CALM, "long", 2.0), bar(CALM), *says]
    result = run(bars, grids=GRID, risk=WIDE._replace(cooldown=2))
    assert refusals_of(result) == {(0, "cooldown"): 2}
    assert result.trades["entry_time"].tolist() == [MONDAY + MINUTE, MONDAY + 5 * MINUTE]
