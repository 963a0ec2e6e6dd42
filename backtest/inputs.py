"""What a run is made of: strategy, params, risk, costs and candles, as asked for."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtest.detail import detail_of_store
from backtest.engine import Grids, Result, backtest
from backtest.notes import data_notes, detail_notes, end_of, source_notes, span_notes, span_of
from backtest.progress import SymbolsDone
from backtest.signals import Signals, check_threads
from data import runs, store
from data.dates import show_time
from data.fees import fee_notes, rates_of, refuse_both
from data.funding import funding_notes, funding_of_store
from data.manifest import known_market
from data.many import load_many
from data.margin import changes_of, mark_notes, marks_of_store, tiers_of
from data.overrides import BALANCE, Given, costs_of, from_flags, from_toml, share_of_bps
from data.rules.notes import margin_notes, rule_notes
from data.run_json import RunRecord
from data.selection import market_of, only_symbol, refuse_twice
from data.spreads import spread_of_store
from data.symbols import DatedRules, RuleBook, SymbolRules, fine_rules, grids_of
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.fills import DETAIL, Costs
from strategy.funding import Funding, no_funding
from strategy.load import Strategy, load
from strategy.margin import Marks
from strategy.risk import Risk
from strategy.slippage import Spread, spread_notes
from strategy.timeframes import EXCHANGE_TIMEFRAMES, grid_of, timeframe_ms


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None where nothing was said."""

    strategy: str | Strategy
    symbols: tuple[str, ...] | None = None
    market: str | None = None
    timeframe: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    changes: tuple[str, ...] = ()
    params: str | RunRecord | None = None
    balance: float | None = None
    fee_bps: float | None = None
    slippage_bps: float | None = None
    strict: bool = False
    maker_fee_bps: float | None = None
    fees: str | None = None
    threads: int | None = None
    detail: str | None = None
    warm_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a backtest needs, and what a reader of its result should know."""

    strategy: Strategy
    params: Any
    risk: Risk
    costs: Costs
    balance: float
    candles: tuple[Candles, ...]
    rules: tuple[SymbolRules, ...]
    grids: Grids
    funding: tuple[Funding, ...]
    notes: tuple[str, ...]
    source: RunRecord | None
    detail: tuple[Candles | None, ...] = ()
    spreads: tuple[Spread | None, ...] = ()
    terms: tuple[tuple[DatedRules, ...], ...] = ()  # of each symbol: at first, and what changes
    marks: tuple[Marks | None, ...] = ()
    history: tuple[Candles, ...] = ()  # candles, each behind those that only warm indicators up


def gather(
    asked: Asked,
    store_folder: Path,
    runs_folder: Path,
    own: Sequence[Candles] = (),
    own_detail: Sequence[Candles | None] = (),
    done: SymbolsDone | None = None,
) -> Inputs:
    """Load and check all inputs of a run; candles of one's own stand for those of the store.

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit.
    RunRefused
        Candles are missing and `strict` was asked for.
    """
    strategy = load(asked.strategy) if isinstance(asked.strategy, str) else asked.strategy
    source = _source_run(asked.params, runs_folder)
    if source is not None:
        asked = _with_defaults_of(asked, source, span=not own)
    if asked.timeframe is not None:
        timeframe_ms(asked.timeframe)
        strategy = dataclasses.replace(strategy, timeframe=asked.timeframe)
    if not own:
        _known_timeframe(strategy.timeframe, store_folder)
    given = from_flags(asked.changes)
    if source is not None:
        given = given.over(Given(dict(source.params), dict(source.risk), {}))
    elif isinstance(asked.params, str):
        given = given.over(from_toml(asked.params))
    params, risk = strategy.with_params(given.params), strategy.with_risk(given.risk)
    _check_span(asked)
    check_threads(asked.threads)
    read = dataclasses.replace(
        asked, start_ms=asked.start_ms if asked.warm_ms is None else asked.warm_ms
    )
    loaded = _cut(read, own) if own else _candles(read, strategy, store_folder, done)
    candles, history = _warmed(asked, loaded)
    books = {market: RuleBook(store_folder, market) for market in {one.market for one in candles}}
    terms = tuple(_terms(one, source, books[one.market]) for one in candles)
    rules = tuple(its[0].rules for its in terms)
    marks = tuple(_marks(one, its, store_folder) for one, its in zip(candles, terms, strict=True))
    funding = tuple(_funding(one, store_folder) for one in candles)
    costs = _costs(asked, source, given.costs)
    detail: tuple[Candles | None, ...] = tuple(own_detail)
    if costs.intrabar == DETAIL and not detail:
        detail = detail_of_store(store_folder, candles, asked.detail)
    notes = source_notes(asked.start_ms, asked.end_ms, strategy, candles, funding, marks, source)
    notes += detail_notes(candles, detail, source)
    notes += span_notes(asked.start_ms, asked.end_ms, candles)
    notes += data_notes(candles, asked.strict)
    spans = [(int(one.arrays["open_time"][0]), end_of(one)) for one in candles]
    balance = BALANCE if asked.balance is None else asked.balance
    notional = min(risk.max_leverage * balance, risk.max_notional or math.inf)
    notes += rule_notes(books, terms, spans, risk.leverage, notional)
    notes += margin_notes(terms, spans, isolated=risk.isolated != 0)
    for one, dated, seen in zip(candles, terms, marks, strict=True):
        notes += mark_notes(one, seen) if dated[0].margin is not None else []
    for one, its in zip(candles, funding, strict=True):
        notes += funding_notes(one, its) if one.market == "um" else []
    notes += fee_notes(asked.fees)
    spreads: tuple[Spread | None, ...] = ()
    if costs.spread > 0.0:
        spreads = tuple(spread_of_store(store_folder, one) for one in candles)
        notes += spread_notes(costs, candles, spreads)
    return Inputs(
        strategy=strategy,
        params=params,
        risk=risk,
        costs=costs,
        balance=balance,
        candles=candles,
        rules=rules,
        grids=grids_of(rules),
        funding=funding,
        notes=tuple(notes),
        source=source,
        detail=detail,
        spreads=spreads,
        terms=terms,
        marks=marks,
        history=history,
    )


def _warmed(
    asked: Asked, loaded: tuple[Candles, ...]
) -> tuple[tuple[Candles, ...], tuple[Candles, ...]]:
    # Those that are traded on, and with those in front that only warm indicators up.
    if asked.warm_ms is None:
        return loaded, ()
    return _cut(dataclasses.replace(asked, end_ms=None), loaded), loaded


def candles_of(record: RunRecord, folder: Path) -> tuple[Candles, ...]:
    """Load the very candles of a run, one of each symbol.

    Raises
    ------
    WickError
        The store has not all of them any more, or others in their place.
    """
    found = []
    for its in record.data:
        what = f"{its.symbol} {its.timeframe} candles of run {record.id}"
        hint = "fetch or import them again, or make the run again"
        try:
            one = store.load(
                folder,
                its.market,
                its.symbol,
                its.timeframe,
                its.first_ms,
                its.end_ms,
                its.columns,
            )
        except WickError as error:
            raise WickError(f"{folder} has not the {what}: {error.message}", hint) from error
        if one.fingerprint != its.fingerprint:
            raise WickError(f"the {what} have changed in {folder} since", hint)
        found.append(one)
    return tuple(found)


def _known_timeframe(timeframe: str, folder: Path) -> None:
    stored = {one.series.timeframe for one in store.series(folder)}
    if timeframe not in stored and timeframe not in EXCHANGE_TIMEFRAMES:
        grid = grid_of(timeframe)
        twin = [name for name in (*stored, *EXCHANGE_TIMEFRAMES) if grid_of(name) == grid]
        guess = f"{timeframe} is as long as {twin[0]}, which has candles; " if twin else ""
        raise WickError(
            f"unknown timeframe {timeframe!r}: none is stored, and the exchange has none such",
            f"{guess}known: {' '.join(EXCHANGE_TIMEFRAMES)}",
        )


def _terms(candles: Candles, source: RunRecord | None, book: RuleBook) -> tuple[DatedRules, ...]:
    # A run's own rules: it is repeated to the last bit also after the exchange changed them.
    for its in source.data if source else ():
        if (its.market, its.symbol) == (candles.market, candles.symbol):
            return (DatedRules(0, its.rules, its.margin), *its.changes)
    symbol, first_ms = candles.symbol, int(candles.arrays["open_time"][0])
    known = book.rules(symbol, first_ms)
    if known is None:
        first = float(candles.arrays["open"][0])
        return (DatedRules(0, fine_rules(candles.market, symbol, first), None),)
    margin = book.margin(symbol, first_ms)
    return (DatedRules(0, known, margin), *book.changes(symbol, first_ms, end_of(candles)))


def _marks(candles: Candles, terms: Sequence[DatedRules], folder: Path) -> Marks | None:
    if all(one.margin is None for one in terms):
        return None
    return marks_of_store(folder, candles)


def _funding(candles: Candles, folder: Path) -> Funding:
    return funding_of_store(folder, candles) if candles.market == "um" else no_funding()


def _source_run(params: str | RunRecord | None, folder: Path) -> RunRecord | None:
    if not isinstance(params, str):
        return params
    if params.endswith(".toml"):
        return None
    if Path(params).is_file():
        raise WickError(
            f"--params {params} is neither a .toml file nor a run",
            f"call it {Path(params).stem}.toml, with the tables [params], [risk] and [costs]",
        )
    # A folder's name may have a # in it; a run's has none.
    name, mark, rank = params.partition("#")
    found = runs.find(folder, name)
    record = runs.read_record(found)
    if not mark:
        return record
    from backtest.sweeps.picked import picked  # it imports this module

    return picked(record, found, rank)


def _with_defaults_of(asked: Asked, source: RunRecord, *, span: bool) -> Asked:
    series, (first_ms, end_ms) = source.data[0], span_of(source)
    return dataclasses.replace(
        asked,
        symbols=asked.symbols or tuple(one.symbol for one in source.data),
        market=asked.market or series.market,
        timeframe=asked.timeframe or series.timeframe,
        start_ms=first_ms if span and asked.start_ms is None else asked.start_ms,
        end_ms=end_ms if span and asked.end_ms is None else asked.end_ms,
        balance=source.balance if asked.balance is None else asked.balance,
        detail=asked.detail or next((d.detail.timeframe for d in source.data if d.detail), None),
        warm_ms=asked.warm_ms or (series.warm_ms if span and asked.start_ms is None else None),
    )


def _costs(asked: Asked, source: RunRecord | None, given: Mapping[str, Any]) -> Costs:
    # A run's own rates are taken as they are: through basis points and back they could lose a bit.
    known = costs_of(source.all_costs if source else Costs(), given)
    flags = {"--fee-bps": asked.fee_bps, "--maker-fee-bps": asked.maker_fee_bps}
    others = [name for name, bps in flags.items() if bps is not None]
    named = from_flags(asked.changes).costs
    others += [f"--set costs.{name}" for name in ("fee_rate", "maker_rate") if name in named]
    refuse_both(asked.fees, others)
    if asked.fees is not None:
        maker, taker = rates_of(asked.fees)
        known = known._replace(fee_rate=taker, maker_rate=maker)
    return known._replace(
        fee_rate=share_of_bps("--fee-bps", asked.fee_bps, known.fee_rate),
        maker_rate=share_of_bps("--maker-fee-bps", asked.maker_fee_bps, known.maker_rate),
        slippage=share_of_bps("--slippage-bps", asked.slippage_bps, known.slippage),
    )


def run(
    inputs: Inputs,
    params: Any = None,
    *,
    threads: int | None = None,
    done: SymbolsDone | None = None,
    signals: Sequence[Signals] | None = None,
) -> Result:
    """Run one backtest over these inputs, with other params and signals where they are given."""
    return backtest(
        inputs.strategy,
        inputs.candles,
        params=inputs.params if params is None else params,
        risk=inputs.risk,
        costs=inputs.costs,
        balance=inputs.balance,
        grids=inputs.grids,
        funding=inputs.funding,
        detail=inputs.detail or None,
        spreads=inputs.spreads or None,
        threads=threads,
        progress=done.stage("signals", len(inputs.candles)) if done else None,
        tiers=[tiers_of(its[0].margin) for its in inputs.terms] or None,
        marks=inputs.marks or None,
        changes=[changes_of(its[1:]) for its in inputs.terms] or None,
        history=inputs.history or None,
        signals=signals,
    )


def _check_span(asked: Asked) -> None:
    if asked.start_ms is not None and asked.end_ms is not None and asked.start_ms >= asked.end_ms:
        raise WickError(
            f"--from {show_time(asked.start_ms)} is not before --to {show_time(asked.end_ms)}",
            "--from is the first day wanted, --to the first one not wanted any more",
        )
    if asked.warm_ms is not None and (asked.start_ms is None or asked.warm_ms >= asked.start_ms):
        start = "" if asked.start_ms is None else f" {show_time(asked.start_ms)}"
        raise WickError(
            f"--warm-from {show_time(asked.warm_ms)} is not before --from{start}",
            "candles from --warm-from on warm indicators up; trades begin at --from",
        )


def _cut(asked: Asked, given: Sequence[Candles]) -> tuple[Candles, ...]:
    refuse_twice([one.symbol for one in given])
    parts = []
    for one in given:
        times = one.arrays["open_time"]
        low = 0 if asked.start_ms is None else int(np.searchsorted(times, asked.start_ms))
        high = len(times) if asked.end_ms is None else int(np.searchsorted(times, asked.end_ms))
        if low >= high:
            raise WickError(
                f"none of the {len(times):,} candles of {one.symbol} lies in the span asked for",
                "leave start and end out for all of them",
            )
        parts.append(one.slice(low, high))
    return tuple(parts)


def _candles(
    asked: Asked, strategy: Strategy, folder: Path, done: SymbolsDone | None
) -> tuple[Candles, ...]:
    if asked.market is not None:
        known_market(asked.market)
    symbols = asked.symbols or (only_symbol(folder, asked.market, strategy.timeframe),)
    market = asked.market or market_of(folder, symbols[0], strategy.timeframe)
    refuse_twice(symbols)
    return load_many(
        folder,
        market,
        symbols,
        strategy.timeframe,
        asked.start_ms,
        asked.end_ms,
        strategy.optional_fields,
        asked.threads,
        done.stage("reading", len(symbols)) if done else None,
    )
