"""Every shipped strategy decides the same in both worlds, with all that its risk settings do."""

from pathlib import Path

import pytest

from backtest.engine import backtest
from strategy.load import available
from strategy.records import EXIT_REASONS
from tests.research.stretches import compared, made_up

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MINUTES = 720
# Short lengths that speak often, and the exits that this strategy is there to show.
CASES = {
    "rsi_macd_atr": (
        ("risk.trail=0.5", "risk.break_even=0.3", "risk.part_1=0.4", "risk.part_1_share=0.3"),
        {"stop", "trailing", "break_even"},
    ),
    "trend_ema": (
        ("fast=2", "slow=4", "filter=2", "atr=3", "stop=1"),
        {"trailing", "stop"},
    ),
    "breakout_donchian": (
        (
            "channel=4", "roc=2", "speed=0.01", "atr=3", "stop=0.7", "take=2", "risk.time_stop=45",
        ),
        {"stop", "take", "time"},
    ),
    "mean_reversion_bollinger": (
        (
            "length=5", "width=1", "rsi=4", "oversold=45", "atr=3", "stop=2", "risk.cooldown=20",
            "risk.daily_loss_limit=0.01",
        ),
        {"stop", "signal", "daily_limit"},
    ),
    "stoch_roc": (
        ("length=3", "smooth=2", "signal=2", "edge=49", "roc=4", "atr=3", "stop=1"),
        {"stop", "reversal"},
    ),
}  # fmt: skip


def test_every_shipped_strategy_is_compared() -> None:
    assert set(CASES) == set(available())


@pytest.mark.parametrize("name", CASES)
def test_backtest_and_live_stack_decide_the_same(name: str, tmp_path: Path) -> None:
    changes, exits = CASES[name]
    inputs = made_up(tmp_path, MINUTES, SYMBOLS, *changes, "risk.per_trade=0.002", strategy=name)
    result = backtest(
        inputs.strategy,
        inputs.candles,
        params=inputs.params,
        risk=inputs.risk,
        costs=inputs.costs,
        balance=inputs.balance,
        grids=inputs.grids,
    )
    assert exits <= {EXIT_REASONS[trade.exit_reason] for trade in result.trades}
    found = compared(inputs, tmp_path)
    assert found.comparison.first is None
    assert found.comparison.total == 0
    assert found.comparison.compared["orders"] >= 3 * len(result.trades) - len(SYMBOLS)
