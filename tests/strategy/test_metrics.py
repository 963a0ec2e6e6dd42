"""Figures beside a slow twin, quantstats and hand-computed cases."""

import datetime
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import quantstats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategy.metrics import (
    DEFINITIONS,
    MIN_DAYS,
    MIN_TRADES,
    NEEDS_DAYS,
    NEEDS_TRADES,
    daily_returns,
    drawdown,
    exit_counts,
    figures,
)
from strategy.records import BY_END, BY_STOP, EXIT_REASONS, TRADE, UNIT
from strategy.timeframes import DAY_MS, timeframe_ms
from tests.strategy.metrics_page import PAGE, page
from tests.strategy.slow_metrics import SlowTrade, slow_daily_returns, slow_figures

MONDAY = 1_672_617_600_000  # 2023-01-02 00:00 UTC
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Account:
    """Equity and trades as a run leaves them."""

    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    trades: Any
    balance: float
    timeframe_ms: int

    def figures(self, symbols: int = 1) -> Any:
        return figures(
            self.time, self.equity, self.trades, self.balance, self.timeframe_ms, 0.5, symbols
        )

    def value(self, key: str) -> float:
        found: float = self.figures()[key].value
        return found

    def note(self, key: str) -> str:
        found: str = self.figures()[key].note
        return found


def trades_of(nets: list[float], fee: float = 0.0, minutes: int = 60) -> Any:
    """Make one trade an hour with these profits after fees; each risked 10."""
    out: Any = np.zeros(len(nets), TRADE).view(np.recarray)
    out.entry_time = MONDAY + HOUR * np.arange(len(nets))
    out.exit_time = out.entry_time + minutes * 60_000
    out.pnl = [round((net + fee) * UNIT) for net in nets]
    out.fees = round(fee * UNIT)
    out.risked, out.side, out.exit_reason = 10.0, 1, BY_STOP
    return out


def daily(equity: list[float], nets: list[float], balance: float = 100.0) -> Account:
    """Make an account with one candle a day."""
    time = MONDAY + DAY_MS * np.arange(len(equity))
    return Account(time, np.array(equity), trades_of(nets), balance, DAY_MS)


def drawn(seed: int, frame: str, candles: int, trades: int) -> Account:
    """Draw an account with gaps, flat stretches, ties and either many or no losses."""
    draw = np.random.default_rng(seed)
    length = timeframe_ms(frame)
    gaps = np.where(draw.random(candles) < 0.1, draw.integers(1, 40, candles), 0)
    start = MONDAY + int(draw.integers(0, 2000)) * length
    time = start + length * (np.arange(candles) + np.cumsum(gaps))
    size = draw.choice([0.0, 1e-5, 0.003, 0.1])
    moves = draw.normal(0.0, size, candles) * (draw.random(candles) < draw.choice([0.1, 0.9]))
    balance = float(draw.choice([100.0, 12_345.67]))
    equity = np.round(balance * np.exp(np.cumsum(moves)), draw.choice([2, 8])) + 0.01
    out: Any = np.zeros(trades, TRADE).view(np.recarray)
    entry = draw.integers(0, candles, trades)
    out.entry_time = time[entry]
    out.exit_time = out.entry_time + length * draw.integers(0, 50, trades)
    low = draw.choice([-1, 0, 1]) * 10**9
    out.pnl = draw.choice([0, 1, 10**6], trades) * draw.integers(low, low + 10**9, trades) // 10**5
    out.fees = draw.choice([0, 123_456]) * draw.integers(0, 9, trades)
    out.slippage, out.risked = draw.random(trades), 0.5 + draw.random(trades)
    out.side, out.exit_reason = draw.choice([-1, 1], trades), draw.integers(1, 6, trades)
    out.ambiguous = draw.integers(0, 2, trades)
    return Account(time, equity, out, balance, length)


accounts = st.builds(
    drawn,
    st.integers(0, 2**32),
    st.sampled_from(["1m", "7m", "1h", "4h", "1d", "3d", "1w"]),
    st.integers(1, 90),
    st.sampled_from([0, 1, 9, 10, 11, 40]),
)


def close(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) <= 1e-12 * max(1.0, abs(theirs))


@settings(max_examples=150, deadline=None)
@given(accounts, st.integers(1, 3))
def test_every_figure_equals_its_slow_twin_or_is_not_available_for_a_reason(
    account: Account, symbols: int
) -> None:
    plain = [
        SlowTrade(
            int(t.side), int(t.entry_time), int(t.exit_time), int(t.pnl), int(t.fees),
            float(t.slippage), float(t.risked), int(t.ambiguous), t.exit_reason == BY_END,
        )
        for t in account.trades
    ]  # fmt: skip
    twin = slow_figures(
        account.time.tolist(), account.equity.tolist(), plain, account.balance,
        account.timeframe_ms, symbols,
    )  # fmt: skip
    found = account.figures(symbols)
    assert list(found) == list(DEFINITIONS)
    assert found.pop("hold_return").value == 0.5
    assert found.keys() == twin.keys()
    for key, figure in found.items():
        if not figure.note:
            assert close(figure.value, twin[key]), (key, figure, twin[key])
            continue
        assert math.isnan(figure.value)
        few = "needs" in figure.note
        days = len(daily_returns(account.time, account.equity, 1.0, account.timeframe_ms))
        assert few == (
            (key in NEEDS_DAYS and days < MIN_DAYS)
            or (key in NEEDS_TRADES and len(plain) < MIN_TRADES)
        )
        assert few or math.isnan(twin[key]), (key, figure, twin[key])


@settings(max_examples=100, deadline=None)
@given(accounts)
def test_daily_returns_equal_a_walk_from_day_to_day(account: Account) -> None:
    ours = daily_returns(account.time, account.equity, account.balance, account.timeframe_ms)
    theirs = slow_daily_returns(
        account.time.tolist(), account.equity.tolist(), account.balance, account.timeframe_ms
    )
    assert ours.tolist() == theirs


@settings(max_examples=100, deadline=None)
@given(accounts)
def test_the_deepest_drawdown_is_the_lowest_point_of_the_drawdown_curve(account: Account) -> None:
    curve = drawdown(account.equity, account.balance)
    assert ((curve >= -1.0) & (curve <= 0.0)).all()
    assert account.value("max_drawdown") == min(curve.min(), 0.0)
    span = account.time[-1] + account.timeframe_ms - account.time[0]
    assert 0.0 <= account.value("drawdown_days") <= span / DAY_MS


@settings(max_examples=100, deadline=None)
@given(accounts, st.sampled_from([0.5, 2.0, 1024.0, 3.7]))
def test_scaling_all_money_leaves_shares_and_ratios(account: Account, factor: float) -> None:
    trades = account.trades.copy()
    trades.pnl, trades.fees = trades.pnl * 3, trades.fees * 3
    trades.risked = trades.risked * 3.0
    grown = Account(
        account.time, account.equity * factor, trades, account.balance * factor,
        account.timeframe_ms,
    )  # fmt: skip
    before, after = account.figures(), grown.figures()
    for key, figure in before.items():
        if figure.unit == "money" and key != "slippage" and not figure.note:
            assert close(after[key].value, 3.0 * figure.value)
            continue
        assert figure.note == after[key].note
        if not figure.note:
            assert after[key].value == pytest.approx(figure.value, rel=1e-9, abs=1e-9), key


@settings(max_examples=60, deadline=None)
@given(accounts, st.integers(1, 50))
def test_more_candles_only_deepen_and_lengthen_drawdowns(account: Account, more: int) -> None:
    cut = max(1, len(account.time) - more)
    part = Account(
        account.time[:cut], account.equity[:cut], account.trades, account.balance,
        account.timeframe_ms,
    )  # fmt: skip
    assert account.value("max_drawdown") <= part.value("max_drawdown")
    assert account.value("drawdown_days") >= part.value("drawdown_days")


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
    found = account.figures()
    for key, value in want.items():
        assert found[key].value == pytest.approx(value, rel=1e-12, abs=1e-14), key
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
    assert not any(daily(moves, wins).note(key) for key in NEEDS_TRADES)
    few = daily(moves, wins[:-1])
    assert {few.note(key) for key in NEEDS_TRADES} == {"needs 10 trades, has 9"}
    short = daily(moves[:-1], wins)
    assert {short.note(key) for key in NEEDS_DAYS} == {"needs 14 days, has 13"}
    assert not any(short.note(key) for key in NEEDS_TRADES - NEEDS_DAYS)


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
    for key in ("trades", "longs", "gross", "fees", "slippage", "exposure", "open_at_end"):
        assert found[key].value == 0.0, key
    for key in ("best_trade", "worst_trade", "ambiguous"):
        assert found[key].note == "no trade", key
    assert found["expectancy"].note == "needs 10 trades, has 0"
    assert found["total_return"].value == found["max_drawdown"].value == 0.0


def test_buy_and_hold_is_passed_through_or_not_known() -> None:
    account = daily([100.0] * 3, [])
    assert account.value("hold_return") == 0.5
    found = figures(account.time, account.equity, account.trades, 100.0, DAY_MS)
    assert found["hold_return"].note == "not known"


def test_no_candles_are_a_bug_of_the_caller() -> None:
    empty = np.empty(0)
    with pytest.raises(ValueError, match="no candles"):
        figures(empty.astype(np.int64), empty, trades_of([]), 100.0, DAY_MS)


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


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_quantstats_told_of_365_days(seed: int) -> None:
    draw = np.random.default_rng(seed)
    r = draw.normal(0.001, 0.02, 400)
    equity = 1000.0 * np.cumprod(1.0 + r)
    account = daily(equity.tolist(), (draw.normal(0.0, 5.0, 60)).tolist(), balance=1000.0)
    first = datetime.datetime.fromtimestamp(MONDAY / 1000, datetime.UTC).date()
    series = pd.Series(
        daily_returns(account.time, account.equity, 1000.0, DAY_MS),
        index=pd.date_range(first, periods=400),
    )
    nets = pd.Series((account.trades.pnl - account.trades.fees) / UNIT)
    stats = quantstats.stats
    want = {
        "total_return": stats.comp(series),
        "cagr": stats.cagr(series, periods=365),
        "volatility": stats.volatility(series, periods=365),
        "sharpe": stats.sharpe(series, periods=365),
        "sortino": stats.sortino(series, periods=365),
        "calmar": stats.calmar(series, periods=365),
        "max_drawdown": stats.max_drawdown(series),
        "drawdown_days": stats.drawdown_details(stats.to_drawdown_series(series))["days"].max(),
        "win_rate": stats.win_rate(nets, prepare_returns=False),
        "payoff": stats.payoff_ratio(nets, prepare_returns=False),
        "profit_factor": nets[nets > 0].sum() / -nets[nets < 0].sum(),
        "best_trade": nets.max(),
        "worst_trade": nets.min(),
    }
    found = account.figures()
    for key, value in want.items():
        assert found[key].value == pytest.approx(float(value), rel=1e-9), key


def test_the_page_of_definitions_says_what_the_code_does() -> None:
    command = "python -m tests.strategy.metrics_page"
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/metrics.md is old: {command}"
