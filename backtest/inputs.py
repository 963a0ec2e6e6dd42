"""What a run is made of: strategy, params, risk, costs and candles, from flags, a TOML file or an earlier run."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtest.engine import Grids
from data import runs, store
from data.quality import holes
from data.symbols import SymbolRules, rules_for
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.load import Strategy, load
from strategy.risk import Risk
from strategy.timeframes import timeframe_ms

BALANCE = 10_000.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None where nothing was said."""

    strategy: str
    symbols: tuple[str, ...] | None = None
    market: str | None = None
    timeframe: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    changes: tuple[str, ...] = ()
    params: str | None = None
    balance: float | None = None
    fee_bps: float | None = None
    slippage_bps: float | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a backtest needs, and what a reader of its result should know."""

    strategy: Strategy
    params: Any
    risk: Risk
    costs: Costs
    balance: float
    candles: tuple[Candles, ...]
    rules: tuple[SymbolRules | None, ...]
    grids: Grids
    notes: tuple[str, ...]
    source: runs.RunRecord | None


def gather(asked: Asked, store_folder: Path, runs_folder: Path) -> Inputs:
    """Load and check all inputs of a run.

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit.
    RunRefused
        Candles are missing and `strict` was asked for.
    """
    strategy = load(asked.strategy)
    source = _source_run(asked.params, runs_folder)
    if source is not None:
        asked = _with_defaults_of(asked, source)
    if asked.timeframe is not None:
        timeframe_ms(asked.timeframe)
        strategy = dataclasses.replace(strategy, timeframe=asked.timeframe)
    if source is not None:
        given_params, given_risk = dict(source.params), dict(source.risk)
    else:
        given_params, given_risk = _from_toml(asked.params)
    more_params, more_risk = _changes(asked.changes)
    params = strategy.with_params(given_params | more_params)
    risk = strategy.with_risk(given_risk | more_risk)
    candles = _candles(asked, strategy, store_folder)
    rules = tuple(rules_for(one.market, one.symbol) for one in candles)
    notes = [*_notes(strategy, source), *_data_notes(candles, rules, asked.strict)]
    return Inputs(
        strategy=strategy,
        params=params,
        risk=risk,
        costs=_costs(asked, source),
        balance=BALANCE if asked.balance is None else asked.balance,
        candles=candles,
        rules=rules,
        grids=grids_of(rules),
        notes=tuple(notes),
        source=source,
    )


def grids_of(rules: Sequence[SymbolRules | None]) -> Grids:
    """Return the engine's grids from the exchange's rules; a fine one where none are known."""
    records = [
        grid(one.tick_size, one.step_size, one.min_qty, one.max_qty, one.min_notional)
        if one
        else grid()
        for one in rules
    ]
    return np.concatenate(records).view(np.recarray)


def _source_run(params: str | None, runs_folder: Path) -> runs.RunRecord | None:
    if params is None or params.endswith(".toml"):
        return None
    return runs.read_record(runs.find(runs_folder, params))


def _with_defaults_of(asked: Asked, source: runs.RunRecord) -> Asked:
    first = source.data[0]
    return dataclasses.replace(
        asked,
        symbols=asked.symbols or tuple(one.symbol for one in source.data),
        market=asked.market or first.market,
        timeframe=asked.timeframe or first.timeframe,
        start_ms=min(one.first_ms for one in source.data)
        if asked.start_ms is None
        else asked.start_ms,
        end_ms=max(one.end_ms for one in source.data) if asked.end_ms is None else asked.end_ms,
        balance=source.balance if asked.balance is None else asked.balance,
    )


def _from_toml(params: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    if params is None:
        return {}, {}
    path = Path(params)
    if not path.is_file():
        raise WickError(f"there is no params file {params}", "wick backtest … --params my.toml")
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WickError(f"{params} is not TOML: {error}", "a line reads: rsi = 14") from error
    unknown = content.keys() - {"params", "risk"}
    if unknown or not all(isinstance(table, dict) for table in content.values()):
        raise WickError(
            f"{params} has {', '.join(sorted(unknown)) or 'values outside a table'}",
            "it may hold the tables [params] and [risk]",
        )
    return content.get("params", {}), content.get("risk", {})


def _changes(changes: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    params, risk = {}, {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name or not value:
            raise WickError(
                f"--set {change} is not name=value", "--set rsi=21 or --set risk.per_trade=0.02"
            )
        owner, dot, field = name.partition(".")
        if dot and owner == "risk":
            risk[field] = value
        else:
            params[name] = value
    return params, risk


def _costs(asked: Asked, source: runs.RunRecord | None) -> Costs:
    # A run's own rates are taken as they are: through basis points and back they could lose a bit.
    known = Costs(source.fee_rate, source.slippage) if source else Costs()
    return Costs(
        _share("--fee-bps", asked.fee_bps, known.fee_rate),
        _share("--slippage-bps", asked.slippage_bps, known.slippage),
    )


def _share(flag: str, bps: float | None, otherwise: float) -> float:
    if bps is None:
        return otherwise
    if not 0.0 <= bps < 1_000.0:
        raise WickError(f"{flag} is {bps}, expected 0 to 1000", f"{flag} 5")
    return bps / 1e4


def _candles(asked: Asked, strategy: Strategy, folder: Path) -> tuple[Candles, ...]:
    if asked.start_ms is not None and asked.end_ms is not None and asked.start_ms >= asked.end_ms:
        raise WickError(
            "--from is not before --to", "--from is the first day, --to the first not wanted"
        )
    market = asked.market or "um"
    symbols = asked.symbols or (_only_symbol(folder, asked.market, strategy.timeframe),)
    if asked.market is None:
        market = _market_of(folder, symbols[0], strategy.timeframe)
    if len(set(symbols)) != len(symbols):
        raise WickError(f"a symbol is named twice in {','.join(symbols)}", "name each once")
    return tuple(
        store.load(folder, market, symbol, strategy.timeframe, asked.start_ms, asked.end_ms)
        for symbol in symbols
    )


def _only_symbol(folder: Path, market: str | None, timeframe: str) -> str:
    stored = [
        s.series
        for s in store.series(folder)
        if s.series.timeframe == timeframe and market in (None, s.series.market)
    ]
    names = sorted({series.symbol for series in stored})
    if not names:
        raise WickError(
            f"no {timeframe} candles are stored in {folder}",
            "wick data fetch BTCUSDT --from 2023-01-01, or wick data import PATH",
        )
    if len(names) > 1:
        raise WickError(
            f"{len(names)} symbols are stored, which one is meant?",
            f"--symbols {names[0]} or --symbols {','.join(names[:3])}",
        )
    return names[0]


def _market_of(folder: Path, symbol: str, timeframe: str) -> str:
    # Futures are what this is for; where only spot is stored of a symbol, there is nothing to confuse.
    markets = {
        s.series.market
        for s in store.series(folder)
        if s.series.symbol == symbol and s.series.timeframe == timeframe
    }
    return "spot" if markets == {"spot"} else "um"


def _notes(strategy: Strategy, source: runs.RunRecord | None) -> list[str]:
    if source is not None and source.strategy.source_hash != strategy.source_hash:
        return [f"{strategy.name} has changed since run {source.id}"]
    return []


def _data_notes(
    candles: Sequence[Candles], rules: Sequence[SymbolRules | None], strict: bool
) -> list[str]:
    notes = []
    for one, its in zip(candles, rules, strict=True):
        missing = sum(gap.count for gap in holes(one.arrays["open_time"], one.timeframe_ms))
        if missing and strict:
            raise RunRefused(
                f"{one.symbol} {one.timeframe} has {missing} missing candles and --strict was asked for",
                f"wick data check {one.symbol}",
            )
        if missing:
            notes.append(
                f"{one.symbol}: {missing} candles are missing (wick data check {one.symbol})"
            )
        if its is None:
            notes.append(f"{one.symbol}: no exchange rules known, a fine grid is used")
        if one.market == "spot":
            notes.append(f"{one.symbol}: spot candles stand in for futures")
    return notes
