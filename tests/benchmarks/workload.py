"""Workload W: one strategy over a year of 1m candles, on Candlewick's side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtest.engine import Result, backtest
from data.files.importer import Labels, import_file
from data.manifest import Series
from data.run_record import figures_of
from data.store import load as load_candles
from data.store import load_arrays
from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.load import Strategy, load
from strategy.risk import Risk
from strategy.tape import Identity, Tape

REAL_FILE = "BTCUSDT-spot-1m-20220101-20231231.parquet"
START, END = "2023-01-01", "2024-01-01"
SEED = 5
STRATEGY = "rsi_macd_atr"
PARAMS = {
    "rsi": 14,
    "oversold": 30.0,
    "overbought": 70.0,
    "fast": 12,
    "slow": 26,
    "signal": 9,
    "trend": 50,
    "atr": 14,
    "stop": 2.0,
    "take": 3.0,
}
# No daily limit: it would end most days of W at noon, and vectorbt has none.
RISK = {"per_trade": 0.01, "max_leverage": 3.0, "daily_loss_limit": 0.0}
COSTS = Costs(fee_rate=0.0005, slippage=0.0001)
# A size is a share of the wallet, so W loses ever less money and does not use the balance up.
BALANCE = 10_000.0


@dataclass(frozen=True, slots=True)
class Market:
    """A year of candles in a store of its own."""

    name: str
    store: Path
    market: str
    symbol: str

    def candles(self) -> Candles:
        """Load the year."""
        return load_candles(
            self.store, self.market, self.symbol, "1m", day_ms(START), day_ms(END), optional=()
        )

    def read(self) -> None:
        """Read all its columns from the store."""
        load_arrays(self.store, Series(self.market, self.symbol, "1m"))


def day_ms(day: str) -> int:
    """Return the UTC milliseconds at which a day begins."""
    return int(np.datetime64(day, "ms").astype(np.int64))


def markets(folder: Path, klines: Path) -> list[Market]:
    """Fill stores with a seeded year and, where its file is there, with the real one."""
    made = Market("a seeded market", folder / "seeded", "um", "SYNTHUSDT")
    minutes = (day_ms(END) - day_ms(START)) // 60_000
    save(made.store, synthetic_market(SEED, minutes, day_ms(START)), f"seed {SEED}")
    if not (klines / REAL_FILE).is_file():
        return [made]
    real = Market("BTCUSDT spot 2023", folder / "real", "spot", "BTCUSDT")
    year = Labels(start_ms=day_ms(START), end_ms=day_ms(END))
    import_file(real.store, klines / REAL_FILE, year, day_ms("2026-01-01"))
    return [real, made]


class Candlewick:
    """W through the public functions: candles in, trades and figures out."""

    def __init__(self, candles: Candles) -> None:
        self.candles = candles
        self.strategy: Strategy = load(STRATEGY)
        self.params: Any = self.strategy.with_params(PARAMS)
        self.risk: Risk = self.strategy.with_risk(RISK)

    def result(self) -> Result:
        """Run W."""
        return backtest(
            self.strategy,
            self.candles,
            params=self.params,
            risk=self.risk,
            costs=COSTS,
            balance=BALANCE,
        )

    def run(self) -> int:
        """Run W with its figures and return how many trades it made."""
        result = self.result()
        figures_of(result)
        return len(result.trades)

    def step(self, warm: int) -> Any:
        """Return a function that gives W one more candle, behind the first `warm` ones."""
        tape = Tape(Identity(self.strategy.source_hash, "", self.candles.symbol, 0))
        numbers = np.array([float(value) for value in self.params])
        history = self.candles.slice(0, warm)
        with tape.reading(history.open_time):
            self.strategy.columns(history, self.params)
        at = iter(range(warm, len(self.candles)))

        def one() -> None:
            start = next(at)
            candle = self.candles.slice(start, start + 1)
            with tape.reading(candle.open_time):
                columns = self.strategy.columns(candle, self.params)
            self.strategy.rules.signals(*columns, numbers)

        return one
