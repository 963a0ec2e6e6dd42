"""From a backtest's result to the record that a run folder keeps."""

import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from backtest.engine import Result
from data.quality import holes
from data.runs import (
    SCHEMA,
    DataRecord,
    FigureRecord,
    RunRecord,
    StrategyRecord,
    result_hash,
    run_id,
)
from data.symbols import SymbolRules
from strategy.candles import Candles
from strategy.kernel import SOURCE_HASH
from strategy.metrics import exit_counts, figures
from strategy.risk import REFUSALS


def figures_of(result: Result) -> list[FigureRecord]:
    """Compute the figures of a result; NaN becomes a missing value with its note."""
    holds = [one.arrays["close"][-1] / one.arrays["open"][0] - 1.0 for one in result.candles]
    found = figures(
        result.time,
        result.equity,
        result.trades,
        result.balance,
        result.candles[0].timeframe_ms,
        float(np.mean(holds)),
        len(result.candles),
    )
    return [
        FigureRecord(f.key, f.label, None if math.isnan(f.value) else f.value, *f[3:])
        for f in found.values()
    ]


def record_of(
    result: Result,
    *,
    kind: str,
    created_ms: int,
    command: Sequence[str],
    rules: Sequence[SymbolRules],
    notes: Sequence[str] = (),
    seed: int | None = None,
    name: str | None = None,
) -> RunRecord:
    """Describe a result completely: what ran, on which data and rules, and what came out."""
    strategy = result.strategy
    return RunRecord(
        schema=SCHEMA,
        id=name or run_id(created_ms, kind, strategy.name, result.symbols),
        kind=kind,
        created_ms=created_ms,
        version=_version(),
        kernels=SOURCE_HASH,
        command=list(command),
        strategy=StrategyRecord(strategy.name, _shown(strategy.path), strategy.source_hash),
        params={name: _plain(value) for name, value in result.params._asdict().items()},
        risk={name: float(value) for name, value in result.risk._asdict().items()},
        fee_rate=result.costs.fee_rate,
        slippage=result.costs.slippage,
        balance=result.balance,
        seed=seed,
        data=[_data(one, its) for one, its in zip(result.candles, rules, strict=True)],
        figures=figures_of(result),
        refused=refusals(result),
        exits=exit_counts(result.trades),
        notes=list(notes),
        result_hash=result_hash(result.trades, result.equity),
    )


def refusals(result: Result) -> dict[str, int]:
    """Count refused entries by reason, over all symbols."""
    totals = result.refused.sum(axis=0)
    return {name: int(n) for name, n in zip(REFUSALS, totals, strict=True) if n}


def _data(candles: Candles, rules: SymbolRules) -> DataRecord:
    times, length = candles.arrays["open_time"], candles.timeframe_ms
    return DataRecord(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=candles.timeframe,
        first_ms=int(times[0]),
        end_ms=int(times[-1]) + length,
        candles=len(times),
        missing=sum(gap.count for gap in holes(times, length)),
        columns=list(candles.arrays),
        fingerprint=candles.fingerprint,
        rules=rules,
    )


def _plain(value: float) -> float:
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _shown(path: Path) -> str:
    # A shipped strategy, or a file below here, must not carry the machine's folders along.
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _version() -> str:
    try:
        return version("candlewick")
    except PackageNotFoundError:
        return "source"
