"""Figures of drawn accounts beside a slow twin, and what must hold of them whatever is drawn."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.metrics import (
    DEFINITIONS,
    MIN_DAYS,
    MIN_TRADES,
    NEEDS_DAYS,
    NEEDS_TRADES,
    breakdowns,
    by_day,
    daily_returns,
    drawdown,
    figures,
    hold_curve,
    leverage,
    monthly_returns,
    rolling,
)
from strategy.records import BY_END, EXIT_REASONS, PART
from strategy.timeframes import DAY_MS
from tests.strategy.accounts import MONDAY, Account, accounts, close, holding, trades_of
from tests.strategy.slow_metrics import (
    SlowTrade,
    slow_daily_returns,
    slow_day_ends,
    slow_figures,
    slow_hold,
    slow_leverage,
    slow_months,
)

LEVERAGE = ("gross_leverage", "gross_leverage_max", "net_leverage", "net_leverage_max")
MINUTE = 60_000


@settings(max_examples=150, deadline=None)
@given(accounts, st.integers(1, 3))
def test_every_figure_equals_its_slow_twin_or_is_not_available_for_a_reason(
    account: Account, symbols: int
) -> None:
    plain = [
        SlowTrade(
            int(t.side), int(t.entry_time), int(t.exit_time), int(t.pnl), int(t.fees),
            int(t.funding), float(t.slippage), float(t.risked), int(t.ambiguous),
            t.exit_reason == BY_END, float(t.qty), float(t.entry_price), float(t.exit_price),
            float(t.mae), float(t.mfe),
        )
        for t in account.trades
    ]  # fmt: skip
    twin = slow_figures(
        account.time.tolist(), account.equity.tolist(), plain, account.balance,
        account.timeframe_ms, symbols, holding(account).tolist(),
    )  # fmt: skip
    found = account.figures(symbols)
    assert list(found) == list(DEFINITIONS)
    assert {found.pop(key).note for key in LEVERAGE} == {"positions were not followed"}
    assert found.keys() == twin.keys()
    for key, figure in found.items():
        if not figure.note:
            # A mean daily return near 0 has few digits, and this one divides by its square.
            scale = 1e-9 if key == "track_record" else 1e-12
            assert close(figure.value, twin[key], scale), (key, figure, twin[key])
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
@given(accounts, st.sampled_from([2, 3, 1024]))
def test_scaling_all_money_scales_money_and_leaves_shares_and_ratios(
    account: Account, factor: int
) -> None:
    trades = account.trades.copy()
    for name in ("pnl", "fees", "funding", "risked", "slippage", "qty"):
        trades[name] = trades[name] * factor
    grown = Account(
        account.time, account.equity * factor, trades, account.balance * factor,
        account.timeframe_ms, account.hold,
    )  # fmt: skip
    before, after = account.figures(), grown.figures()
    returns = daily_returns(account.time, account.equity, account.balance, account.timeframe_ms)
    for key, figure in before.items():
        assert figure.note == after[key].note
        if not figure.note:
            want = figure.value * (factor if figure.unit == "money" else 1.0)
            scale = 1e-9
            if key == "track_record":
                # It divides by the square of the mean daily return, which is known to 1e-16 or so.
                scale += 1e-14 / abs(statistics.fmean(returns))
            assert after[key].value == pytest.approx(want, rel=scale, abs=1e-9), key


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_turning_every_trade_around_turns_only_sides(account: Account) -> None:
    trades = account.trades.copy()
    trades.side = -trades.side
    turned = replace(account, trades=trades).figures()
    for key, figure in account.figures().items():
        if key == "longs":
            assert figure.value + turned[key].value == len(trades)
        else:
            assert repr(turned[key]) == repr(figure)


@settings(max_examples=60, deadline=None)
@given(accounts, st.integers(0, 2**32))
def test_the_order_of_trades_matters_to_streaks_alone(account: Account, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(account.trades).view(np.recarray)
    other = replace(account, trades=mixed).figures()
    for key, figure in account.figures().items():
        assert other[key].note == figure.note
        if not figure.note and not key.endswith("streak"):
            assert other[key].value == pytest.approx(figure.value, rel=1e-9, abs=1e-9), key


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_holding_as_the_account_did_is_a_beta_of_one(account: Account) -> None:
    days = by_day(account.time, account.equity, account.balance, account.timeframe_ms)
    found = replace(account, hold=days.equity[1:] / account.balance).figures()
    for key in ("beta", "correlation", "up_capture", "down_capture"):
        assert found[key].note or found[key].value == pytest.approx(1.0, rel=1e-6), key
    assert found["alpha"].note or found["alpha"].value == pytest.approx(0.0, abs=1e-6)
    assert found["information_ratio"].note


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_what_figures_say_of_each_other_holds(account: Account) -> None:
    value = {key: its.value for key, its in account.figures().items() if not its.note}

    def known(*keys: str) -> bool:
        return all(key in value for key in keys)

    if known("psr"):
        assert value["sharpe_low"] <= value["sharpe"] <= value["sharpe_high"]
        assert (value["psr"] > 0.5) == (value["sharpe"] > 0.0) or value["psr"] == 0.5
    if known("psr", "track_record"):
        days = account.figures()["psr"].n
        assert (value["psr"] >= 0.95) == (value["track_record"] <= days)
    if known("var"):
        assert value["worst_day"] <= value["cvar"] <= value["var"] <= value["best_day"]
    if known("kurtosis"):
        assert value["kurtosis"] >= 1.0 + value["skew"] ** 2 - 1e-9  # Pearson's inequality
    if known("mean_drawdown"):
        assert value["max_drawdown"] <= value["mean_drawdown"] < 0.0
        assert value["ulcer"] <= -value["max_drawdown"] + 1e-12
    if known("drawdown_recovery"):
        assert value["drawdown_peak"] < value["drawdown_trough"] < value["drawdown_recovery"]
        assert value["recovery_days"] < value["drawdown_length"]
    if known("drawdown_length"):
        step = account.timeframe_ms / DAY_MS * 42  # the recovery's candle, behind gaps or not
        assert value["drawdown_length"] <= value["drawdown_days"] + step
    if known("win_rate", "kelly", "profit_factor"):
        assert value["win_streak"] <= value["trades"] * value["win_rate"] + 1e-9
        assert value["win_streak"] + value["loss_streak"] <= value["trades"]
    if known("stability"):
        assert 0.0 <= value["stability"] <= 1.0 + 1e-12
    assert 0.0 <= value["under_water"] <= 1.0


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_months_equal_a_walk_over_the_days_and_multiply_to_the_whole(account: Account) -> None:
    days = by_day(account.time, account.equity, account.balance, account.timeframe_ms)
    months, returns = monthly_returns(days)
    ends = slow_day_ends(
        account.time.tolist(), account.equity.tolist(), account.balance, account.timeframe_ms
    )
    names = months.astype("datetime64[M]").astype(str).tolist()
    assert dict(zip(names, returns.tolist(), strict=True)) == slow_months(ends, account.balance)
    whole = account.equity[-1] / account.balance
    assert np.prod(1.0 + returns) == pytest.approx(whole, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120), st.integers(0, 40))
def test_a_rolling_ratio_is_the_ratio_of_the_window(seed: int, n: int, window: int) -> None:
    window += 2
    r = np.random.default_rng(seed).normal(0.0, 0.01, n)
    r[: n // 3] = 0.001
    sharpe, volatility = rolling(r, window)
    for i in range(n):
        if i < window - 1:
            assert np.isnan([sharpe[i], volatility[i]]).all()
            continue
        part = r[i - window + 1 : i + 1].tolist()
        mean, spread = statistics.fmean(part), statistics.stdev(part)
        assert close(volatility[i], spread * math.sqrt(365))
        if spread > 1e-12:
            assert close(sharpe[i], mean / spread * math.sqrt(365), 1e-9)
        else:
            assert np.isnan(sharpe[i])


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


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 3), st.integers(0, 12))
def test_leverage_asks_at_every_close_which_trades_are_open(
    seed: int, minutes: int, symbols: int, count: int
) -> None:
    draw = np.random.default_rng(seed)
    times = [
        MONDAY + MINUTE * np.flatnonzero(np.append(draw.random(minutes) < 0.8, True))
        for _ in range(symbols)
    ]
    time = np.unique(np.concatenate(times))
    prices = [draw.lognormal(3.0, 0.1, len(one)) for one in times]
    equity = draw.lognormal(5.0, 0.1, len(time))
    trades = trades_of([1.0] * count)
    trades.symbol, trades.side = draw.integers(0, symbols, count), draw.choice([-1, 1], count)
    trades.qty = draw.random(count)
    for trade in trades:
        ends = sorted(draw.integers(0, len(times[trade.symbol]), 2).tolist())
        trade.entry_candle, trade.exit_candle = ends
    parts = np.zeros(0, PART).view(np.recarray)
    found = leverage(time, equity, trades, parts, [*zip(times, prices, strict=True)])
    gross, net = slow_leverage(
        time.tolist(),
        equity.tolist(),
        [(int(t.symbol), t.side * t.qty, int(t.entry_candle), int(t.exit_candle)) for t in trades],
        [(a.tolist(), b.tolist()) for a, b in zip(times, prices, strict=True)],
    )
    assert found.gross.tolist() == pytest.approx(gross, rel=1e-12, abs=1e-12)
    assert found.net.tolist() == pytest.approx(net, rel=1e-12, abs=1e-12)
    assert (np.abs(found.net) <= found.gross + 1e-12).all()
    told = figures(time, equity, trades, 100.0, MINUTE, followed=found)
    assert told["gross_leverage"].value == pytest.approx(sum(gross) / len(time))
    assert told["net_leverage"].value == pytest.approx(sum(net) / len(time))
    assert told["gross_leverage_max"].value == pytest.approx(max(gross))
    assert told["net_leverage_max"].value == pytest.approx(max(map(abs, net)))
    # A symbol without a trade, or without a candle, changes nothing.
    more = leverage(
        time,
        equity,
        trades,
        parts,
        [*zip(times, prices, strict=True), (time, equity), (time[:0],) * 2],
    )
    assert more.gross.tobytes() == found.gross.tobytes()
    assert more.net.tobytes() == found.net.tobytes()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_holding_is_worth_the_last_close_over_the_first_open(seed: int, minutes: int) -> None:
    draw = np.random.default_rng(seed)
    times = MONDAY + MINUTE * np.flatnonzero(np.append(draw.random(minutes) < 0.7, True))
    opens, closes = draw.lognormal(3.0, 0.1, (2, len(times)))
    moments = MONDAY + MINUTE * np.arange(-2, minutes + 5)
    found = hold_curve(times, opens, closes, moments, MINUTE)
    symbol = (times.tolist(), opens.tolist(), closes.tolist())
    assert found.tolist() == [slow_hold([symbol], at, MINUTE) for at in moments.tolist()]
    assert found[-1] == closes[-1] / opens[0]
    assert np.isnan(hold_curve(times[:0], opens[:0], closes[:0], moments, MINUTE)).all()


@settings(max_examples=60, deadline=None)
@given(accounts)
def test_breakdowns_count_every_trade_once_and_are_figures_of_their_own(account: Account) -> None:
    trades = account.trades
    trades.symbol = trades.entry_time // MINUTE % 3
    found = breakdowns(trades, ("A", "B", "C"))
    assert list(found) == ["side", "exit_reason", "symbol", "hour"]
    for kind, groups in found.items():
        assert sum(its.n for its in groups) == len(trades)
        for its in groups:
            mine = {
                "side": trades.side == (1 if its.name == "long" else -1),
                "exit_reason": np.array(
                    [EXIT_REASONS[at] == its.name for at in trades.exit_reason]
                ),
                "symbol": np.array(["ABC"[at] == its.name for at in trades.symbol]),
                "hour": np.array([at // 3_600_000 % 24 for at in trades.entry_time])
                == (int(its.name) if kind == "hour" else -1),
            }[kind]
            alone = replace(account, trades=trades[mine]).figures()
            assert its.n == alone["trades"].value
            assert its.net == pytest.approx(
                alone["gross"].value - alone["fees"].value - alone["funding"].value, abs=1e-6
            )
            for ours, key in ((its.win_rate, "win_rate"), (its.expectancy_r, "expectancy_r")):
                assert ours == pytest.approx(alone[key].value, rel=1e-12, nan_ok=True)
