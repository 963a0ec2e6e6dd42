"""Sessions for tests, and the folders they live in."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from data.symbols import SymbolRules
from live.session import FILE, Addresses, Session
from strategy.load import load

MINUTE = 60_000
NOWHERE = Addresses("", "")
START = 1_746_835_200_000  # 2025-05-10 00:00 UTC


def rules(symbol: str, tick: str = "0.1", step: str = "0.001") -> SymbolRules:
    return SymbolRules("um", symbol, tick, step, step, "1000", "5", "2025-05-10")


def make_session(
    symbols: Sequence[str] = ("BTCUSDT",),
    strategy: str = "rsi_macd_atr",
    *,
    addresses: Addresses = NOWHERE,
    risk: dict[str, float] | None = None,
    params: dict[str, Any] | None = None,
    **changes: Any,
) -> Session:
    loaded = load(strategy)
    values: dict[str, Any] = {
        "id": "test",
        "on": "paper",
        "strategy": loaded.path.name,
        "source_hash": loaded.source_hash,
        "market": "um",
        "timeframe": loaded.timeframe,
        "symbols": tuple(symbols),
        "params": loaded.with_params(params or {})._asdict(),
        "risk": loaded.with_risk(risk or {})._asdict(),
        "fee_rate": 0.0005,
        "slippage": 0.0001,
        "balance": 10_000.0,
        "rules": tuple(rules(symbol) for symbol in symbols),
        "first_open_time": START,
        "trade_from": START,
        "created_ms": START,
        "addresses": addresses,
        "redis": "",
        "tag": "0a1b2c",
        "command": ("wick", "live", strategy),
    }
    return Session(**(values | changes))


def write_session(folder: Path, session: Session, strategy: str = "rsi_macd_atr") -> Path:
    (folder / "strategy").mkdir(parents=True)
    (folder / "logs").mkdir()
    shutil.copy(load(strategy).path, folder / "strategy" / session.strategy)
    (folder / FILE).write_bytes(msgspec.json.encode(session))
    return folder
