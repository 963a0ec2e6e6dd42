"""Exact funding on candles written by hand: who pays at an instant, on which price, and when.

Where nothing else is said: balance 10,000, one percent at risk, tick 0.1, step 0.001, no costs. A
stop distance of 2 then gives 50 coins, bought at 100 at the open of the second candle.
"""

import numpy as np
import pytest

from backtest.engine import Result
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.funding import Funding
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from strategy.timeframes import DAY_MS
from tests.backtest.random_markets import refusals_of
from tests.backtest.script import MINUTE, MONDAY, NAN, WIDE, Bar, bar, pays, run, units

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
HOUR = 60 * MINUTE
OPENED = MONDAY + MINUTE  # the entry


def entered(says: str, *after: Bar | None) -> list[Bar | None]:
    """Enter at the second open, 100; then some candles."""
    return [bar(CALM, says, 2.0), bar(CALM), *after]


def long_paying(*instants: tuple[int, float], bars: int = 3) -> Result:
    """Hold 50 coins through some calm candles."""
    return run(entered("long", *[bar(CALM)] * bars), grids=GRID, funding=pays(*instants))


def only(result: Result) -> np.record:
    """Return the one trade of a result."""
    assert len(result.trades) == 1
    trade: np.record = result.trades[0]
    return trade


def test_a_long_pays_a_positive_rate_after_the_close_at_its_instant() -> None:
    result = long_paying((OPENED + MINUTE, 0.0001))
    # 50 × 100 × 0.0001 = 0.5; the close at that instant is marked before it.
    assert only(result)["funding"] == units("0.5")
    assert result.equity.tolist() == [10_000.0, 10_000.0, 9_999.5, 9_999.5, 9_999.5]
    assert only(result)["pnl"] == only(result)["fees"] == 0


def test_a_short_receives_a_positive_rate() -> None:
    bars = entered("short", *[bar(CALM)] * 2)
    result = run(bars, grids=GRID, funding=pays((OPENED + MINUTE, 0.0001)))
    assert only(result)["funding"] == units("-0.5")
    assert result.equity.tolist() == [10_000.0, 10_000.0, 10_000.5, 10_000.5]


def test_a_negative_rate_goes_the_other_way() -> None:
    assert only(long_paying((OPENED + MINUTE, -0.0075)))["funding"] == units("-37.5")


def test_a_rate_of_zero_moves_nothing() -> None:
    result = long_paying((OPENED + MINUTE, 0.0))
    assert only(result)["funding"] == 0
    assert result.equity.tolist() == [10_000.0] * 5


def test_an_entry_at_the_instant_does_not_pay() -> None:
    assert only(long_paying((OPENED, 0.0001)))["funding"] == 0


def test_an_exit_at_the_instant_pays() -> None:
    bars = entered("long", bar(CALM, "exit_long"), bar(CALM), bar(CALM))
    result = run(bars, grids=GRID, funding=pays((OPENED + 2 * MINUTE, 0.0001)))
    trade = only(result)
    assert (trade["exit_time"], trade["funding"]) == (OPENED + 2 * MINUTE, units("0.5"))
    assert result.equity.tolist() == [10_000.0, 10_000.0, 10_000.0, 9_999.5, 9_999.5]


def test_a_reversal_at_the_instant_pays_on_its_old_side() -> None:
    bars = entered("long", bar(CALM, "short", 2.0), bar(CALM), bar(CALM))
    result = run(bars, grids=GRID, funding=pays((OPENED + 2 * MINUTE, 0.0001)))
    assert result.trades["side"].tolist() == [1, -1]
    assert result.trades["funding"].tolist() == [units("0.5"), 0]


def test_a_stop_that_the_open_at_the_instant_jumps_pays() -> None:
    bars = entered("long", bar("97 97 97 97"), bar(CALM))
    trade = only(run(bars, grids=GRID, funding=pays((OPENED + MINUTE, 0.0001))))
    assert (trade["exit_time"], trade["exit_price"]) == (OPENED + MINUTE, 97.0)
    assert trade["funding"] == units("0.5")  # at the last close, 100


def test_a_position_that_a_stop_has_closed_before_does_not_pay() -> None:
    bars = entered("long", bar("100 100 97 99"), bar(CALM))
    assert only(run(bars, grids=GRID, funding=pays((OPENED + 2 * MINUTE, 0.01))))["funding"] == 0


def test_the_mark_price_counts_where_it_is_known_and_the_last_close_where_not() -> None:
    bars = entered("long", bar("100 101 100 101"), bar("101 101 101 101"), bar(CALM))
    instants = pays((OPENED + MINUTE, 0.0001, 101.37), (OPENED + 2 * MINUTE, 0.0001))
    # 50 × 101.37 × 0.0001 = 0.50685, and 50 × 101 × 0.0001 = 0.505.
    assert only(run(bars, grids=GRID, funding=instants))["funding"] == units("1.01185")


def test_every_payment_is_rounded_by_itself() -> None:
    # 50 × 100 × 3e-13 = 1.5e-9: nothing, however often.
    result = long_paying(*((OPENED + k * MINUTE, 3e-13) for k in range(1, 4)))
    assert only(result)["funding"] == 0


def test_the_last_close_of_a_run_pays_nothing() -> None:
    instant = OPENED + 4 * MINUTE
    assert only(long_paying((instant, 0.01)))["funding"] == 0
    assert only(long_paying((instant, 0.01), bars=4))["funding"] == units("50")


def test_instants_before_and_after_the_candles_find_no_position() -> None:
    result = long_paying((MONDAY - DAY_MS, 0.01), (MONDAY, 0.01), (MONDAY + DAY_MS, 0.01))
    assert only(result)["funding"] == 0


def test_instants_in_a_gap_are_paid_at_the_last_close_before_what_waits_is_filled() -> None:
    bars = entered("long", bar("100 101 100 101", "exit_long"), *[None] * 9, bar("99 99 99 99"))
    instants = ((OPENED + k * MINUTE, rate) for k, rate in ((4, 0.0001), (5, -0.0002), (9, 0.0003)))
    result = run([*bars, bar(CALM)], grids=GRID, funding=pays(*instants))
    # 50 × 101 × 0.0002 in all.
    assert only(result)["funding"] == units("1.01")
    assert only(result)["exit_price"] == 99.0
    assert result.equity.tolist() == [10_000.0, 10_000.0, 10_050.0, 9_948.99, 9_948.99]


def daily(says: str, *after: Bar, funding: Funding) -> np.record:
    """Enter at the second day's open and return the trade."""
    bars = [bar(CALM, says, 2.0), *after]
    return only(run(bars, grids=GRID, funding=funding, timeframe="1d"))


def test_an_instant_inside_a_candle_is_paid_by_who_entered_at_its_open() -> None:
    instants = pays((MONDAY + DAY_MS + 8 * HOUR, 0.0001))
    # The stop in that candle comes after it, and its close is not known yet: 50 × 100 × 0.0001.
    trade = daily("long", bar("100 103 97 103"), bar(CALM), funding=instants)
    assert (EXIT_REASONS[trade["exit_reason"]], trade["funding"]) == ("stop", units("0.5"))


def test_an_instant_inside_a_candle_is_not_paid_by_who_left_at_its_open() -> None:
    instants = pays(*((MONDAY + 2 * DAY_MS + hour * HOUR, 0.0001) for hour in (0, 8, 16)))
    trade = daily("long", bar(CALM, "exit_long"), bar(CALM), bar(CALM), funding=instants)
    assert trade["funding"] == units("0.5")  # that of the open alone


def test_a_day_pays_at_each_instant_whatever_the_interval() -> None:
    hours = (0, 8, 16, 20, 21, 22, 23, 24)
    instants = pays(*((MONDAY + DAY_MS + hour * HOUR, 0.0001) for hour in hours))
    trade = daily("long", bar("100 101 100 101"), bar(CALM), funding=instants)
    # Six inside the entry's day at 100, then one at its close, 101.
    assert trade["funding"] == units("3.505")


def test_what_a_partial_take_has_closed_does_not_pay() -> None:
    risk = WIDE._replace(part_1=0.5, part_1_share=0.4)
    bars = entered("long", bar("100 101 100 100"), bar(CALM), bar(CALM))
    instants = pays((OPENED + MINUTE, 0.0001), (OPENED + 2 * MINUTE, 0.0001))
    trade = only(run(bars, grids=GRID, risk=risk, funding=instants))
    assert (trade["parts"], trade["funding"]) == (1, units("0.8"))  # 50 coins, then 30


def test_the_next_decision_sizes_from_what_is_left() -> None:
    def steps_of_the_other(minute: int) -> int:
        other = [bar(CALM), *[bar(CALM, "long", 2.0) if k == minute else bar(CALM) for k in (1, 2)]]
        bars = entered("long", bar(CALM))
        each = (pays((OPENED + MINUTE, 0.02)), None)
        result = run([*bars, bar(CALM)], [*other, bar(CALM)], grids=GRID, funding=each)
        return int(result.trades["steps"][result.trades["symbol"] == 1][0])

    # 50 × 100 × 0.02 = 100 of 10,000. A decision at the instant itself does not know of it.
    assert (steps_of_the_other(1), steps_of_the_other(2)) == (50_000, 49_500)


def test_each_symbol_pays_its_own_funding() -> None:
    bars = entered("long", bar(CALM), bar(CALM))
    each = (None, pays((OPENED + MINUTE, 0.0001)), pays((OPENED + MINUTE, 0.0002)))
    result = run(bars, bars, bars, grids=GRID, funding=each)
    paid = dict(zip(result.trades["symbol"].tolist(), result.trades["funding"], strict=True))
    assert paid == {0: 0, 1: units("0.5"), 2: units("1")}
    assert result.equity[-1] == 9_998.5


def test_a_profit_smaller_than_its_funding_is_a_loss_that_rests() -> None:
    up = "100.1 100.1 100.1 100.1"
    bars = entered("long", bar(up, "exit_long"), bar(up, "long", 2.0), bar(CALM), bar(CALM))

    def refusals(rate: float) -> dict[tuple[int, str], int]:
        risk, instants = WIDE._replace(cooldown=3), pays((OPENED + MINUTE, rate))
        return refusals_of(run(bars, grids=GRID, risk=risk, funding=instants))

    # The profit is 5; 50 × 100 × 0.001 takes all of it, 0.0011 more.
    assert refusals(0.001) == {}
    assert refusals(0.0011) == {(0, "cooldown"): 1}


@pytest.mark.parametrize(
    ("instant", "decided", "refused"),
    [
        (MONDAY - MINUTE, MONDAY, 1),
        (MONDAY - MINUTE, MONDAY + MINUTE, 0),
        (MONDAY, MONDAY, 0),
        (MONDAY, MONDAY + MINUTE, 1),
    ],
)
def test_funding_at_midnight_counts_for_the_day_that_begins(
    instant: int, decided: int, refused: int
) -> None:
    start = MONDAY - 3 * MINUTE
    closes = [start + k * MINUTE for k in range(1, 7)]
    held = [bar(CALM, "long" if k == 0 else "", 2.0) for k in range(6)]
    other = [bar(CALM, "long" if close == decided else "", 2.0) for close in closes]
    # 100 of 10,000 are the limit.
    risk, each = WIDE._replace(daily_loss_limit=0.01), (pays((instant, 0.02)), None)
    result = run(held, other, grids=GRID, risk=risk, start=start, funding=each)
    assert refusals_of(result).get((1, "daily loss limit"), 0) == refused


def test_funding_can_use_the_balance_up() -> None:
    risk = Risk(per_trade=1.0, max_leverage=10.0)
    bars = [bar(CALM, "long", 0.1), *[bar(CALM)] * 3]
    with pytest.raises(RunRefused, match="the balance was used up at 2023-01-02 00:03 UTC after 0"):
        run(bars, grids=GRID, risk=risk, funding=pays((OPENED + MINUTE, 0.1)))


def test_payments_of_which_a_few_would_not_fit_into_the_wallet_end_the_run() -> None:
    # 125 wallets of 1e9 short, and an hour that pays each minute half of their worth: 4e10 is the
    # most that is booked at once, and three times that would no longer be a positive int64.
    risk, bars = Risk(per_trade=1.0, max_leverage=125.0, leverage=125.0), [bar(CALM, "short", 0.1)]
    minutes = pays(*((MONDAY + HOUR + k * MINUTE, 0.5) for k in range(1, 60)))
    with pytest.raises(RunRefused, match=r"the equity passed 4e\+10 .* after 0 trades"):
        run(
            [*bars, *[bar(CALM)] * 3],
            grids=GRID,
            risk=risk,
            balance=1e9,
            timeframe="1h",
            funding=minutes,
        )


def test_fees_and_funding_both_leave_the_wallet() -> None:
    bars = entered("long", bar(CALM), bar(CALM))
    funding = pays((OPENED + MINUTE, 0.0001))
    result = run(bars, grids=GRID, costs=Costs(0.0005, 0.0), funding=funding)
    assert (only(result)["fees"], only(result)["funding"]) == (units("5"), units("0.5"))
    assert result.equity[-1] == 9_994.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (pays((OPENED, 0.1), (OPENED, 0.1)), "position 1 is wrong: time 1672617660000, rate 0.1"),
        (pays((OPENED + 1, 0.1)), "position 0 is wrong: time 1672617660001"),
        (pays((OPENED, NAN)), "position 0 is wrong: time 1672617660000, rate nan"),
        (pays((OPENED, 0.1, 0.0)), "price 0.0"),
        (pays((OPENED, 0.1, np.inf)), "price inf"),
        (pays((OPENED, 0.1))._replace(rate=np.zeros(2)), "has 1 times, 2 rates and 1 prices"),
    ],
)
def test_wrong_funding_is_refused_by_name_and_position(wrong: Funding, said: str) -> None:
    with pytest.raises(WickError) as refusal:
        run([bar(CALM)] * 3, grids=GRID, funding=wrong)
    assert said in refusal.value.message
    assert "funding of AAA" in refusal.value.message


def test_funding_is_given_for_each_symbol() -> None:
    with pytest.raises(WickError, match="1 fundings for 2 symbols"):
        run([bar(CALM)], [bar(CALM)], funding=pays((OPENED, 0.1)))
