"""Runs drawn from a seed, and a process that saves some: python -m tests.data.run_folders …"""

import sys
import time as clock
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from data import runs
from data.run_json import (
    SCHEMA,
    DataRecord,
    FigureRecord,
    FundingRecord,
    GroupRecord,
    RunRecord,
    StrategyRecord,
    TuneRecord,
)
from data.run_tables import result_hash, trade_table
from data.runs import Run, run_id, save
from data.symbols import SymbolRules
from strategy.records import TRADE

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NOON = 1_709_294_400_000  # 2024-03-01 12:00 UTC


def drawn_trades(seed: int, count: int) -> Any:
    """Draw trade records with every field in use."""
    draw = np.random.default_rng(seed)
    trades: Any = np.zeros(count, TRADE).view(np.recarray)
    for name in TRADE.names or ():
        whole = TRADE[name].kind == "i"
        trades[name] = draw.integers(0, 1000, count) if whole else draw.lognormal(0.0, 3.0, count)
    trades.symbol, trades.side = draw.integers(0, 2, count), draw.choice([-1, 1], count)
    trades.entry_time = NOON + 60_000 * np.sort(draw.integers(0, 9999, count))
    trades.exit_time = trades.entry_time + 60_000 * draw.integers(0, 99, count)
    trades.exit_candle = trades.entry_candle + draw.integers(0, 99, count)
    trades.pnl = draw.integers(-(10**13), 10**13, count)
    trades.fees = draw.integers(0, 10**11, count)
    trades.funding = draw.integers(-(10**11), 10**11, count)
    trades.exit_reason = draw.integers(1, 6, count)
    # A record array has methods of its own, and take is one of them.
    trades["take"] = np.where(draw.random(count) < 0.5, trades["take"], 0.0)
    trades.reversal, trades.ambiguous = draw.integers(0, 2, (2, count))
    return trades


def drawn_curve(seed: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw times and equity."""
    draw = np.random.default_rng(seed)
    return NOON + 60_000 * np.arange(count), 10_000.0 + np.cumsum(draw.normal(0.0, 7.0, count))


def record(created_ms: int = NOON, **changes: Any) -> RunRecord:
    """Describe a run; every field has a value of its own."""
    figures = [
        FigureRecord("sharpe", "Sharpe", 0.1 + 0.2, "ratio", 365, "mean / std", ""),
        FigureRecord("payoff", "payoff", None, "ratio", 3, "mean / mean", "needs 10 trades, has 3"),
    ]
    data = [
        DataRecord(
            symbol,
            "um",
            "1m",
            NOON,
            NOON + 60_000,
            candles=1,
            missing=0,
            columns=["open_time", "open", "high", "low", "close", "volume"],
            fingerprint="f" * 64,
            rules=SymbolRules("um", symbol, "0.10", "0.001", "0.001", "120", "100", "2024-01-01"),
            funding=FundingRecord(3, 2, NOON + 1, NOON + 2, "c" * 64),
        )
        for symbol in SYMBOLS
    ]
    plain = RunRecord(
        schema=SCHEMA,
        kernels="b" * 16,
        id=run_id(created_ms, "backtest", "rsi_macd_atr", SYMBOLS),
        kind="backtest",
        created_ms=created_ms,
        version="0.1.0",
        command=["backtest", "rsi_macd_atr"],
        strategy=StrategyRecord("rsi_macd_atr", "strategy/rsi_macd_atr.py", "a" * 64),
        params={"rsi": 14, "stop": 1e-300, "take": 2.0 / 3.0},
        risk={"per_trade": 0.01},
        fee_rate=0.0005,
        slippage=1e-4,
        balance=10_000.0,
        seed=7,
        data=data,
        figures=figures,
        refused={"position limit": 3},
        exits={"stop": 2},
        notes=["BTCUSDT: spot candles stand in for futures"],
        result_hash=result_hash(drawn_trades(1, 3), drawn_curve(1, 9)[1]),
        tune=TuneRecord("sharpe", 200, "tpe", 1, 2, 3, 0.1, figures, "b" * 64),
        breakdowns={"side": [GroupRecord("long", 3, -1.5, None, None)]},
        months={"2024-03": 0.1 + 0.2},
    )
    return msgspec.structs.replace(plain, **changes)


def saved(folder: Path, one: RunRecord, seed: int = 1, trades: int = 3) -> Run:
    """Save a run with drawn trades and equity."""
    table = trade_table(drawn_trades(seed, trades), SYMBOLS)
    trials = {"trials": table.select(["qty", "r"])}
    return save(folder, one, table, *drawn_curve(seed, 9), extra=trials)


def _stop_at(stage: str) -> None:
    # Say that the stage is reached and wait there for ever.
    def wait() -> None:
        sys.stdout.write(f"at {stage}\n")
        sys.stdout.flush()
        clock.sleep(600)

    write, rename = runs.write_table, Path.rename

    def slow_write(table: Any, path: Path) -> None:
        write(table, path)
        if path.name == stage:
            wait()

    def slow_rename(path: Path, target: Path) -> Path:
        if stage == "rename":
            wait()
        return rename(path, target)

    runs.write_table = slow_write
    Path.rename = slow_rename  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    folder, count, stage = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _stop_at(stage)
    for _ in range(count):
        saved(folder, record())
