"""From what a backtest or a live session gave to the record that its run folder keeps."""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.quality import holes
from data.run_json import (
    SCHEMA,
    DataRecord,
    DetailRecord,
    FigureRecord,
    FundingRecord,
    GroupRecord,
    IntervalRecord,
    MarksRecord,
    RunRecord,
    StrategyRecord,
)
from data.run_tables import result_hash
from data.symbols import DatedRules, SymbolRules
from strategy.candles import OPTIONAL_FIELDS, Candles
from strategy.fills import Costs
from strategy.funding import Funding
from strategy.kernel import SOURCE_HASH
from strategy.load import Strategy
from strategy.margin import Marks
from strategy.metrics import (
    breakdowns,
    by_day,
    day_ends,
    exit_counts,
    figures,
    hold_curve,
    leverage,
    monthly_returns,
)
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
    parts : record array of PART
        Every exit of trades that were closed in parts.
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
    def parts(self) -> Any: ...
    @property
    def trades(self) -> Any: ...
    @property
    def time(self) -> NDArray[np.int64]: ...
    @property
    def equity(self) -> NDArray[np.float64]: ...


def figures_of(outcome: Outcome, *, follow: bool = False) -> list[FigureRecord]:
    """Compute the figures; NaN becomes a missing value with its note.

    Parameters
    ----------
    follow : bool
        Also those that follow the positions from candle to candle, which take longer than all
        others together.
    """
    time, candles = outcome.time, outcome.candles
    length = candles[0].timeframe_ms
    followed = None
    if follow:
        prices = [(one.arrays["open_time"], one.arrays["close"]) for one in candles]
        followed = leverage(time, outcome.equity, outcome.trades, outcome.parts, prices)
    hold = hold_value(candles, int(time[0]), day_ends(time, length))
    found = figures(
        time,
        outcome.equity,
        outcome.trades,
        outcome.balance,
        length,
        hold,
        len(candles),
        followed,
    )
    return [FigureRecord(f.key, f.label, _known(f.value), *f[3:]) for f in found.values()]


def hold_value(
    candles: Sequence[Candles], start_ms: int, moments: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what 1, spread evenly over the symbols at the start and held, is worth at moments."""
    curves = []
    for one in candles:
        arrays = one.arrays
        # A live session has candles from before its first decision, to warm up with.
        first = int(np.searchsorted(arrays["open_time"], start_ms))
        times, opens, closes = (arrays[name][first:] for name in ("open_time", "open", "close"))
        curves.append(hold_curve(times, opens, closes, moments, one.timeframe_ms))
    mean: NDArray[np.float64] = np.mean(curves, axis=0)
    return mean


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
    funding: Sequence[Funding | None] = (),
    detail: Sequence[Candles | None] = (),
    interval: IntervalRecord | None = None,
    terms: Sequence[Sequence[DatedRules]] = (),
    marks: Sequence[Marks | None] = (),
    history: Sequence[Candles | None] = (),
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
    funding : sequence of Funding
        What could be booked, one per symbol; empty for none at all.
    detail : sequence of Candles
        Finer candles that were used, one per symbol; empty for none at all.
    interval : IntervalRecord, optional
        Between what its ambiguous candles leave it.
    terms : sequence of sequences of DatedRules
        What each symbol began with and what changed, where margin and changes were known to the
        run.
    marks : sequence of Marks
        Mark prices, one per symbol; empty for none at all.
    history : sequence of Candles
        One per symbol: its candles with those in front that only warmed indicators up; empty for
        none.
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
        costs={name: float(value) for name, value in outcome.costs._asdict().items()},
        balance=outcome.balance,
        seed=seed,
        data=[
            _data(one, its, int(outcome.time[0]), paid, finer, dated, seen, read)
            for one, its, paid, finer, dated, seen, read in zip(
                outcome.candles,
                rules,
                funding or [None] * len(rules),
                detail or [None] * len(rules),
                terms or [()] * len(rules),
                marks or [None] * len(rules),
                history or [None] * len(rules),
                strict=True,
            )
        ],
        figures=figures_of(outcome, follow=True),
        refused=dict(refused),
        exits=exit_counts(outcome.trades),
        notes=list(notes),
        result_hash=result_hash(outcome.trades, outcome.equity),
        breakdowns=_breakdowns(outcome),
        months=_months(outcome),
        interval=interval,
    )


def _breakdowns(outcome: Outcome) -> dict[str, list[GroupRecord]]:
    symbols = [one.symbol for one in outcome.candles]
    found = breakdowns(outcome.trades, symbols)
    return {
        kind: [
            GroupRecord(its.name, its.n, its.net, _known(its.win_rate), _known(its.expectancy_r))
            for its in groups
        ]
        for kind, groups in found.items()
    }


def _months(outcome: Outcome) -> dict[str, float]:
    length = outcome.candles[0].timeframe_ms
    months, returns = monthly_returns(by_day(outcome.time, outcome.equity, outcome.balance, length))
    names = months.astype("datetime64[M]").astype(str)
    return dict(zip(names.tolist(), returns.tolist(), strict=True))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _data(
    candles: Candles,
    rules: SymbolRules,
    start_ms: int,
    funding: Funding | None,
    detail: Candles | None,
    terms: Sequence[DatedRules],
    marks: Marks | None,
    history: Candles | None,
) -> DataRecord:
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
        funding=funding_record(funding),
        detail=detail_record(detail),
        margin=terms[0].margin if terms else None,
        changes=list(terms[1:]),
        marks=marks_record(candles, marks),
        warm_ms=None if history is None else int(history.arrays["open_time"][0]),
        warm_fingerprint=None if history is None else history.fingerprint,
        prices=_prices(candles),
    )


def _prices(candles: Candles) -> str:
    # Two strategies that read other columns of the same candles can be compared by it.
    plain = {name: its for name, its in candles.arrays.items() if name not in OPTIONAL_FIELDS}
    if len(plain) == len(candles.arrays):
        return ""
    return Candles(candles.symbol, candles.market, candles.timeframe, plain).fingerprint


def marks_record(candles: Candles, marks: Marks | None) -> MarksRecord | None:
    """Name exact mark price candles; None where there are none."""
    if marks is None:
        return None
    known = int(np.count_nonzero(marks.rows_of(candles.arrays["open_time"]) >= 0))
    return MarksRecord(known, marks.fingerprint)


def funding_record(funding: Funding | None) -> FundingRecord | None:
    """Name exact funding instants; None where there are none."""
    if funding is None or not len(funding.time):
        return None
    return FundingRecord(
        instants=len(funding.time),
        marked=int(np.count_nonzero(~np.isnan(funding.price))),
        first_ms=int(funding.time[0]),
        last_ms=int(funding.time[-1]),
        fingerprint=funding.fingerprint,
    )


def detail_record(detail: Candles | None) -> DetailRecord | None:
    """Name exact finer candles; None where there are none."""
    if detail is None:
        return None
    return DetailRecord(detail.timeframe, len(detail.arrays["open_time"]), detail.fingerprint)


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
