"""What must hold of the shipped strategies themselves, with their indicators and risk settings."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.engine import Result, backtest
from data.run_tables import result_hash
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.grid import grid
from strategy.load import available, load

ROOT = Path(__file__).parents[2]
START_MS = 1_672_531_200_000
# Short enough that each trades several times in two days.
SHORT: dict[str, dict[str, float]] = {
    "breakout_donchian": {"channel": 4, "roc": 2, "speed": 0.05, "atr": 3, "stop": 1, "take": 3},
    "mean_reversion_bollinger": {"length": 5, "width": 1, "rsi": 5, "oversold": 45, "atr": 3},
    "rsi_macd_atr": {
        "rsi": 5, "oversold": 45, "overbought": 55, "fast": 3, "slow": 6, "signal": 3, "trend": 5,
        "atr": 5, "stop": 3, "take": 5,
    },
    "stoch_roc": {"length": 3, "smooth": 1, "edge": 90, "roc": 2, "atr": 3, "stop": 1},
    "trend_ema": {"fast": 2, "slow": 4, "filter": 2, "atr": 3, "stop": 1},
}  # fmt: skip


def fingerprints() -> list[str]:
    """Run every strategy on two days; its name, number of trades and a hash of its result."""
    market = synthetic_market(3, 2_880, START_MS)
    out = []
    for name in available():
        strategy = load(name)
        result = backtest(strategy, market, params=strategy.with_params(SHORT[name]))
        digest = result_hash(result.trades, result.equity)
        out.append(f"{name} {len(result.trades)} {len(result.parts)} {digest}")
    return out


def test_every_shipped_strategy_trades_the_same_with_the_compiler_off() -> None:
    here = fingerprints()
    code = f"from {__name__} import fingerprints; print(*fingerprints(), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == here
    assert found.stderr == ""
    assert all(int(line.split()[1]) >= 5 for line in here)


TOP = 65_536.0  # twice a price that lies between all prices and their mirror images
# Under p → TOP − p differences change their sign and nothing else: RSI and the stochastic become
# 100 less themselves, averages and bands TOP less themselves, MACD its negative, ATR stays. A rate
# of change does not, since it is measured in prices; but its sign turns, which is all that
# stoch_roc asks for, and breakout_donchian is given a speed that any breakout has. trend_ema is
# long only and has no mirror image.
SYMMETRIC: dict[str, dict[str, float]] = {
    "breakout_donchian": {"speed": -1e9},
    "mean_reversion_bollinger": {},
    "rsi_macd_atr": {"oversold": 30, "overbought": 70, "stop": 4, "take": 6},
    "stoch_roc": {},
}


def on_quarters(candles: Candles, *, mirrored: bool) -> Candles:
    """Round prices to quarters, on which sums and differences are exact; turn them if asked."""
    prices = {
        name: np.round(candles.arrays[name] * 4) / 4 for name in ("open", "high", "low", "close")
    }
    if mirrored:
        turned = {"open": "open", "high": "low", "low": "high", "close": "close"}
        prices = {name: TOP - prices[other] for name, other in turned.items()}
    return Candles.from_arrays(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=candles.timeframe,
        open_time=candles.arrays["open_time"],
        volume=candles.arrays["volume"],
        **prices,
    )


def free_run(name: str, candles: Candles) -> Result:
    """Run without fees and slippage, and risk so little that no cap in money binds."""
    strategy = load(name)
    caps = {"per_trade": 0.0005, "max_leverage": 125.0, "leverage": 125.0}
    return backtest(
        strategy,
        candles,
        params=strategy.with_params(SYMMETRIC[name]),
        risk=strategy.with_risk(caps),
        costs=Costs(0.0, 0.0),
        grids=grid("0.25", "0.00000001").view(np.recarray),
    )


def check_mirror(name: str, candles: Candles) -> Any:
    """Compare a market's trades with those of its mirror image; return them."""
    there = free_run(name, on_quarters(candles, mirrored=False))
    back = free_run(name, on_quarters(candles, mirrored=True))
    for field in (
        "entry_time exit_time qty stop pnl exit_reason reversal ambiguous parts risked"
    ).split():
        ours, theirs = there.trades[field], back.trades[field]
        assert ours.tolist() == (TOP - theirs if field == "stop" else theirs).tolist(), field
    assert there.trades["side"].tolist() == (-back.trades["side"]).tolist()
    assert there.trades["entry_price"].tolist() == (TOP - back.trades["entry_price"]).tolist()
    assert there.equity.tobytes() == back.equity.tobytes()
    assert there.refused.tolist() == back.refused.tolist()
    assert set(there.trades["side"].tolist()) == {-1, 1}
    return there.trades


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_shipped_strategy_trades_a_mirrored_market_the_other_way(name: str) -> None:
    assert len(check_mirror(name, synthetic_market(7, 60_000, START_MS))) > 30


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_shipped_strategy_trades_a_mirrored_real_year_the_other_way(
    name: str, real_year: Candles
) -> None:
    assert len(check_mirror(name, real_year)) > 300
