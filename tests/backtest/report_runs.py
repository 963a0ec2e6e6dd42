"""Small real runs for the tests of the report: a made-up market and a script of entries."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from backtest.engine import backtest
from backtest.record import record_of
from data.run_json import TuneRecord
from data.run_record import figures_of
from data.run_tables import result_hash, trade_table
from data.runs import Run, save
from data.symbols import fine_rules
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.timeframes import DAY_MS
from tests.backtest.script import MONDAY, WIDE, pays, scripted

LONG, SHORT = 1.0, 2.0


def market(
    minutes: int,
    every: int = 0,
    *,
    seed: int = 1,
    symbol: str = "SYNTHUSDT",
    distance: float = 40.0,
) -> Candles:
    """Draw a market whose every n-th candle says long or short by turns; 0 for never."""
    made = synthetic_market(seed, minutes, MONDAY, symbol=symbol).arrays
    says = np.zeros(minutes)
    if every:
        at = np.arange(every, minutes, every)
        says[at] = np.where(np.arange(len(at)) % 2 == 0, LONG, SHORT)
    arrays = {name: made[name] for name in ("open_time", "open", "high", "low", "close")}
    return Candles.from_arrays(
        symbol=symbol,
        market="um",
        timeframe="1m",
        volume=says,
        trades=np.zeros(minutes),
        quote_volume=np.full(minutes, distance),
        taker_buy=np.full(minutes, 1.5 * distance),
        **arrays,
    )


def report_run(
    folder: Path,
    candles: Sequence[Candles],
    *,
    notes: Sequence[str] = (),
    name: str | None = None,
    tuned: bool = False,
    funded: bool = False,
) -> Run:
    """Backtest the script over the candles and keep the run; tuned adds an out-of-sample part,
    funded makes every position pay each hour."""
    hours = range(MONDAY, MONDAY + 30 * DAY_MS, 3_600_000)
    result = backtest(
        scripted(),
        candles,
        risk=WIDE._replace(per_trade=0.002),
        costs=Costs(),
        funding=[pays(*((hour, 0.0001) for hour in hours)) if funded else None] * len(candles),
    )
    record = record_of(
        result,
        kind="tune" if tuned else "backtest",
        created_ms=MONDAY,
        command=["backtest", "scripted"],
        rules=[fine_rules(one.market, one.symbol, 100.0) for one in candles],
        notes=notes,
        name="made",
    )
    if name is not None:
        strategy = msgspec.structs.replace(record.strategy, name=name)
        record = msgspec.structs.replace(record, strategy=strategy)
    if tuned:
        test = backtest(scripted(), market(3_000, 900, seed=9), risk=WIDE)
        end_ms = record.data[0].end_ms
        tune = TuneRecord(
            objective="sharpe",
            trials=60,
            sampler="tpe",
            train_from_ms=record.data[0].first_ms,
            split_ms=end_ms,
            test_to_ms=end_ms + 3_000 * 60_000,
            best_value=1.5,
            out_of_sample=figures_of(test, follow=True),
            out_of_sample_hash=result_hash(test.trades, test.equity),
        )
        record = msgspec.structs.replace(record, tune=tune)
    table = trade_table(result.trades, result.symbols)
    return save(folder, record, table, result.time, result.equity)
