"""From what a backtest or a live session gave to the record that its run folder keeps."""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.quality import holes
from data.runs import (
    SCHEMA,
    DataRecord,
    FigureRecord,
    RunRecord,
    StrategyRecord,
    result_hash,
)
from data.symbols import SymbolRules
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.kernel import SOURCE_HASH
from strategy.load import Strategy
from strategy.metrics import exit_counts, figures
from strategy.risk import Risk


class Outcome(Protocol):
    """What ran, and what came out.

    Attributes
    ----------
    balance : float
        Quote currency at the start.
    candles : tuple of Candles
        One per symbol, in configured order.
    trades : record array of TRADE
        In the order they were closed.
    time, equity : array (n,)
        UTC ms of the opens of the candles at whose close a decision was taken, and the account
        value at that close.
    """

    @property
    def strategy(self) -> Strategy: ...
    @property
    def params(self) -> Any: ...
    @property
    def risk(self) -> Risk: ...
    @property
    def costs(self) -> Costs: ...
    @property
    def balance(self) -> float: ...
    @property
    def candles(self) -> tuple[Candles, ...]: ...
    @property
    def trades(self) -> Any: ...
    @property
    def time(self) -> NDArray[np.int64]: ...
    @property
    def equity(self) -> NDArray[np.float64]: ...


def figures_of(outcome: Outcome) -> list[FigureRecord]:
    """Compute the figures; NaN becomes a missing value with its note."""
    found = figures(
        outcome.time,
        outcome.equity,
        outcome.trades,
        outcome.balance,
        outcome.candles[0].timeframe_ms,
        float(np.mean([_hold(one, int(outcome.time[0])) for one in outcome.candles])),
        len(outcome.candles),
    )
    return [
        FigureRecord(f.key, f.label, None if math.isnan(f.value) else f.value, *f[3:])
        for f in found.values()
    ]


def run_record(
    outcome: Outcome,
    *,
    kind: str,
    name: str,
    created_ms: int,
    command: Sequence[str],
    rules: Sequence[SymbolRules],
    refused: Mapping[str, int],
    notes: Sequence[str] = (),
    seed: int | None = None,
) -> RunRecord:
    """Describe an outcome completely: what ran, on which data and rules, and what came out.

    Parameters
    ----------
    name : str
        The run's id.
    rules : sequence of SymbolRules
        One per symbol, in order.
    refused : mapping
        Entries refused, by reason.
    """
    strategy = outcome.strategy
    return RunRecord(
        schema=SCHEMA,
        id=name,
        kind=kind,
        created_ms=created_ms,
        version=_version(),
        kernels=SOURCE_HASH,
        command=list(command),
        strategy=StrategyRecord(strategy.name, _shown(strategy.path), strategy.source_hash),
        params={name: _plain(value) for name, value in outcome.params._asdict().items()},
        risk={name: float(value) for name, value in outcome.risk._asdict().items()},
        fee_rate=outcome.costs.fee_rate,
        slippage=outcome.costs.slippage,
        balance=outcome.balance,
        seed=seed,
        data=[
            _data(one, its, int(outcome.time[0]))
            for one, its in zip(outcome.candles, rules, strict=True)
        ],
        figures=figures_of(outcome),
        refused=dict(refused),
        exits=exit_counts(outcome.trades),
        notes=list(notes),
        result_hash=result_hash(outcome.trades, outcome.equity),
    )


def _hold(candles: Candles, start_ms: int) -> float:
    # A live session has candles from before its first decision, to warm up with.
    first = int(np.searchsorted(candles.arrays["open_time"], start_ms))
    if first == len(candles.arrays["open_time"]):
        return math.nan
    return float(candles.arrays["close"][-1] / candles.arrays["open"][first] - 1.0)


def _data(candles: Candles, rules: SymbolRules, start_ms: int) -> DataRecord:
    times, length = candles.arrays["open_time"], candles.timeframe_ms
    empty = not len(times)  # a symbol that was silent all through a live session
    return DataRecord(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=candles.timeframe,
        first_ms=start_ms if empty else int(times[0]),
        end_ms=start_ms if empty else int(times[-1]) + length,
        candles=len(times),
        missing=sum(gap.count for gap in holes(times, candles.timeframe)),
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
