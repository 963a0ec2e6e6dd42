"""Figures of hand-computed accounts, and why some cannot be given."""

import math
from dataclasses import replace

import numpy as np
import pytest

from strategy.metrics import (
    NEEDS_DAYS,
    NEEDS_TRADES,
    daily_returns,
    drawdown,
    exit_counts,
    figures,
)
from strategy.records import BY_END, EXIT_REASONS
from strategy.timeframes import DAY_MS
from tests.strategy.accounts import HOUR, MONDAY, Account, daily, trades_of
from tests.strategy.metrics_page import PAGE, page


def test_hand_computed_figures_of_a_small_account() -> None:
    # 14 days: up 10 %, down 50 %, then flat, then back to the balance on the last day.
    equity = [110.0, 55.0, *[55.0] * 11, 100.0]
    nets = [30.0, -10.0, 20.0, -40.0, 5.0, 0.0, 5.0, -10.0, 10.0, -10.0]
    account = daily(equity, nets)
    r = [0.1, -0.5, *[0.0] * 11, 100.0 / 55.0 - 1.0]
    mean = sum(r) / 14
    spread = math.sqrt(sum((x - mean) ** 2 for x in r) / 13)
    want = {
        "total_return": 0.0,
        "cagr": 0.0,
        "volatility": spread * math.sqrt(365),
        "sharpe": mean / spread * math.sqrt(365),
        "sortino": mean / math.sqrt(0.25 / 14) * math.sqrt(365),
        "calmar": 0.0,
        "max_drawdown": -0.5,
        "drawdown_days": 13.0,  # from the close of day 1 to that of day 14
        "trades": 10.0,
        "win_rate": 0.5,
        "profit_factor": 70.0 / 70.0,
        "payoff": 14.0 / 17.5,  # the trade that came out at 0 is neither a win nor a loss
        "expectancy": 0.0,
        "expectancy_r": 0.0,
        "best_trade": 30.0,
        "worst_trade": -40.0,
        "holding": 60.0,
        "exposure": 10.0 / (14.0 * 24.0),
        "open_at_end": 0.0,
    }
    day = DAY_MS
    want |= {
        "best_day": 100.0 / 55.0 - 1.0,
        "worst_day": -0.5,
        "best_month": 0.0,
        "drawdown_peak": MONDAY + day,
        "drawdown_trough": MONDAY + 2 * day,
        "drawdown_length": 13.0,
        "mean_drawdown": -0.5,
        "ulcer": math.sqrt((12 * 0.25 + (10.0 / 110.0) ** 2) / 14),
        "under_water": 13.0 / 14.0,
        # 0.65 of the way from the lowest of 14 returns to the second lowest.
        "var": -0.5 * 0.35,
        "cvar": -0.5,
        "omega": (0.1 + 100.0 / 55.0 - 1.0) / 0.5,
        "average_win": 14.0,
        "average_loss": -17.5,
        "expectancy_share": 0.0,
        "kelly": 0.5 - 0.5 / 0.8,
        "win_streak": 1.0,
        "loss_streak": 1.0,
        "turnover": 10 * 2.0 * 101.0 / ((110.0 + 12 * 55.0 + 100.0) / 14) * 365 / 14,
        "mae": -0.04,
        "mae_r": -0.4,  # 4 % of 100, where 10 were at risk
        "mfe_r": 0.6,
        "edge_ratio": 1.5,
    }
    found = account.figures()
    for key, value in want.items():
        assert found[key].value == pytest.approx(value, rel=1e-12, abs=1e-14), key
    assert found["drawdown_recovery"].note == found["recovery_days"].note == "not recovered"
    assert found["best_month"].n == 1
    assert found["sharpe"].n == 14
    assert found["max_drawdown"].n == 14
    assert found["win_rate"].n == 10


def test_growth_a_year_counts_the_time_that_passed() -> None:
    account = daily([100.0 * 1.01**k * (1.0 + 0.001 * (k % 2)) for k in range(1, 74)], [1.0] * 10)
    assert account.value("cagr") == pytest.approx((1.01**73 * 1.001) ** 5 - 1.0)
    half = Account(
        MONDAY + HOUR * np.arange(365 * 12), np.linspace(100.0, 110.0, 365 * 12),
        trades_of([1.0] * 10), 100.0, HOUR,
    )  # fmt: skip
    assert half.value("cagr") == pytest.approx(1.1**2 - 1.0)


def test_the_first_peak_is_the_balance() -> None:
    account = daily([90.0, 95.0, 99.0], [])
    assert account.value("max_drawdown") == 90.0 / 100.0 - 1.0
    assert account.value("drawdown_days") == 3.0
    assert drawdown(account.equity, 100.0).tolist() == [x / 100.0 - 1.0 for x in (90.0, 95.0, 99.0)]


def test_a_drawdown_that_recovers_lasts_until_the_last_close_below_the_peak() -> None:
    account = daily([100.0, 120.0, 110.0, 119.0, 120.0, 115.0, 130.0], [])
    assert account.value("drawdown_days") == 2.0
    assert account.value("max_drawdown") == 110.0 / 120.0 - 1.0


def test_drawdowns_are_those_of_the_candles_and_not_of_the_days() -> None:
    time = MONDAY + HOUR * np.arange(48)
    equity = np.full(48, 100.0)
    equity[30] = 40.0
    assert Account(time, equity, trades_of([]), 100.0, HOUR).value("max_drawdown") == -0.6


def test_a_candle_that_closes_at_midnight_belongs_to_the_day_that_ends() -> None:
    time = MONDAY + HOUR * np.array([22, 23, 24, 25])
    returns = daily_returns(time, np.array([100.0, 110.0, 121.0, 132.0]), 100.0, HOUR)
    assert returns.tolist() == [110.0 / 100.0 - 1.0, 132.0 / 110.0 - 1.0]


def test_a_span_that_ends_at_midnight_has_no_day_after_it() -> None:
    time = MONDAY + HOUR * np.arange(48)
    assert len(daily_returns(time, np.full(48, 1.0), 1.0, HOUR)) == 2
    assert len(daily_returns(time[:-1], np.full(47, 1.0), 1.0, HOUR)) == 2
    assert len(daily_returns(time[1:], np.full(47, 1.0), 1.0, HOUR)) == 2


def test_days_without_candles_count_as_zero() -> None:
    time = MONDAY + DAY_MS * np.array([0, 3, 4])
    returns = daily_returns(time, np.array([110.0, 121.0, 121.0]), 100.0, DAY_MS)
    assert returns.tolist() == [110.0 / 100.0 - 1.0, 0.0, 0.0, 121.0 / 110.0 - 1.0, 0.0]


def test_a_weekly_candle_moves_the_day_on_which_it_closes() -> None:
    returns = daily_returns(np.array([MONDAY]), np.array([110.0]), 100.0, 7 * DAY_MS)
    assert returns.tolist() == [0.0] * 6 + [110.0 / 100.0 - 1.0]


def test_ratios_need_ten_trades_and_those_of_days_fourteen_days() -> None:
    moves = [100.0 + (-1.0) ** k for k in range(14)]
    wins = [1.0, -2.0] * 5
    missing = {key for key in NEEDS_TRADES if daily(moves, wins).note(key)}
    assert missing == {"track_record", "fees_share", "slippage_share"}  # nothing was gained
    few = daily(moves, wins[:-1])
    assert {few.note(key) for key in NEEDS_TRADES} == {"needs 10 trades, has 9"}
    short = daily(moves[:-1], wins)
    assert {short.note(key) for key in NEEDS_DAYS} == {"needs 14 days, has 13"}
    missing = {key for key in NEEDS_TRADES - NEEDS_DAYS if short.note(key)}
    assert missing == {"fees_share", "slippage_share"}


def test_figures_that_divide_by_nothing_say_what_is_missing() -> None:
    flat, moving = [100.0] * 20, [100.0 + (-1.0) ** k for k in range(20)]
    still = daily(flat, [1.0] * 10)
    assert still.note("sharpe") == "the daily returns do not vary"
    assert still.note("sortino") == "no day with a loss"
    assert still.note("calmar") == "no drawdown"
    assert still.value("volatility") == 0.0
    assert still.note("profit_factor") == "no losing trade"
    assert still.note("payoff") == "no losing trade"
    lost = daily(moving, [-1.0] * 10)
    assert lost.note("payoff") == "no winning trade"
    assert lost.value("profit_factor") == 0.0
    assert lost.value("win_rate") == 0.0
    even = daily(moving, [0.0] * 10)
    assert even.note("profit_factor") == "no losing trade"
    assert even.note("payoff") == "no winning trade"


def test_a_steady_gain_has_no_sharpe_though_rounding_makes_it_vary() -> None:
    account = daily([100.0 * 1.001**k for k in range(1, 40)], [1.0] * 10)
    assert account.note("sharpe") == "the daily returns do not vary"
    assert account.note("sortino") == "no day with a loss"
    assert account.value("cagr") == pytest.approx(1.001**365 - 1.0)


def test_without_a_trade_counts_and_sums_are_zero_and_the_rest_says_so() -> None:
    found = daily([100.0] * 20, []).figures()
    for key in (
        "trades",
        "longs",
        "gross",
        "fees",
        "funding",
        "slippage",
        "exposure",
        "open_at_end",
    ):
        assert found[key].value == 0.0, key
    for key in ("best_trade", "worst_trade", "ambiguous"):
        assert found[key].note == "no trade", key
    assert found["expectancy"].note == "needs 10 trades, has 0"
    assert found["total_return"].value == found["max_drawdown"].value == 0.0


def test_buy_and_hold_is_passed_through_or_not_known() -> None:
    account = replace(daily([100.0] * 3, []), hold=np.array([1.0, 1.2, 1.5]))
    assert account.value("hold_return") == 0.5
    found = replace(daily([100.0, 101.0] * 7, [1.0] * 10), hold=None).figures()
    assert found["hold_return"].note == "not known"
    assert found["beta"].note == "buy and hold is not known, or does not vary"
    assert found["up_capture"].note == "no day on which holding gained"


def test_no_candles_are_a_bug_of_the_caller() -> None:
    empty = np.empty(0)
    with pytest.raises(ValueError, match="no candles"):
        figures(empty.astype(np.int64), empty, trades_of([]), 100.0, DAY_MS)


def test_funding_is_in_net_but_neither_in_gross_nor_in_fees() -> None:
    account = daily([100.0] * 20, [])
    trades = trades_of([2.0] * 5 + [1.0] * 5)
    trades.funding[:5], trades.funding[5:] = 50_000_000, 150_000_000
    found = figures(account.time, account.equity, trades, 100.0, DAY_MS)
    assert (found["gross"].value, found["fees"].value, found["funding"].value) == (15.0, 0.0, 10.0)
    assert (found["expectancy"].value, found["win_rate"].value) == (0.5, 0.5)
    assert found["profit_factor"].value == 3.0
    trades.funding = -50_000_000  # received
    found = figures(account.time, account.equity, trades, 100.0, DAY_MS)
    assert (found["funding"].value, found["expectancy"].value) == (-5.0, 2.0)


def test_fees_are_in_net_but_not_in_gross() -> None:
    account = daily([100.0] * 20, [])
    trades = trades_of([2.0] * 5 + [-1.0] * 5, fee=0.25, minutes=30)
    trades.exit_reason[-1] = BY_END
    found = figures(account.time, account.equity, trades, 100.0, DAY_MS)
    assert found["gross"].value == 7.5
    assert found["fees"].value == 2.5
    assert found["expectancy"].value == 0.5
    assert found["expectancy_r"].value == pytest.approx(0.05, rel=1e-15)
    assert found["holding"].value == 30.0
    assert found["open_at_end"].value == 1.0
    counts = exit_counts(trades)
    assert list(counts) == list(EXIT_REASONS[1:])
    assert {why: count for why, count in counts.items() if count} == {"stop": 9, "end": 1}


def test_the_page_of_definitions_says_what_the_code_does() -> None:
    command = "python -m tests.strategy.metrics_page"
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/metrics.md is old: {command}"
