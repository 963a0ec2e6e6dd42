"""The overfit panel: everything that is known of how likely a search's winner is luck."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.engine import Result
from backtest.inputs import Inputs
from data.run_record import figures_of
from data.tune_json import IntervalOfRecord, PanelRecord, PlaceboRecord, PlateauRecord
from research.statistics.bootstrap import intervals, returns_of
from research.statistics.entries import entries
from research.statistics.montecarlo import montecarlo
from research.statistics.overfitting import overfit
from research.statistics.placebo import block_for, placebo
from research.statistics.plateau import neighbours, plateau
from research.statistics.sharpe import (
    expected_maximum,
    moments,
    probabilistic,
    ratios,
    track_length,
)
from research.statistics.stability import costs_of, folds_of
from research.statistics.verdict import LEAST, conditions_of
from research.tuning.space import Space
from strategy.metrics import MIN_DAYS, MIN_TRADES
from strategy.metrics.daily import by_day
from strategy.timeframes import DAY_MS, YEAR_DAYS

Floats = NDArray[np.float64]
_T = TypeVar("_T")
PLACEBOS = 3
PARTS = 7 + PLACEBOS  # how often `panel_of` calls its tick


@dataclass(frozen=True, slots=True)
class Tried:
    """A search that has ended.

    Attributes
    ----------
    inputs : Inputs
        Of the searched span.
    spaces : tuple of Space
    values : float64 (n, spaces)
        Every trial of the study, those of earlier processes among them.
    scores : float64 (n,)
        The first objective, larger is better; NaN where a trial has none.
    days : float64 (n, D)
        Equity at the ends of UTC days; NaN rows where a trial has none.
    best : int
        Row of the winner.
    result : Result
        The winner's run on the searched span.
    objective : str
    score : callable
        The objective of rows of params on any inputs: ``score(inputs, values) -> float64 (m,)``.
    search : callable
        The same search on any inputs: ``search(inputs) -> float``, its best score, NaN for none.
    seed : int
    """

    inputs: Inputs
    spaces: tuple[Space, ...]
    values: Floats
    scores: Floats
    days: Floats
    best: int
    result: Result
    objective: str
    score: Callable[[Inputs, Floats], Floats]
    search: Callable[[Inputs], float]
    seed: int


def panel_of(tried: Tried, tick: Callable[[], None] = lambda: None) -> tuple[PanelRecord, pa.Table]:
    """Judge a search; what a sample is too small for is missing and has a note.

    Parameters
    ----------
    tried : Tried
    tick : callable
        Called after each of `PARTS` parts.

    Returns
    -------
    PanelRecord, Table
        The table has the points around the winner: ``params_NAME`` and ``score``.
    """
    result, inputs, winner = tried.result, tried.inputs, tried.values[tried.best]
    length = result.candles[0].timeframe_ms
    equity = by_day(result.time, result.equity, result.balance, length).equity
    balances = np.full((len(tried.days), 1), result.balance)
    # Only those that the search could have chosen.
    returns = returns_of(np.concatenate((balances, tried.days), axis=1))[~np.isnan(tried.scores)]

    def done(part: _T) -> _T:
        tick()
        return part

    sharpe = done(_sharpe(tried, equity, returns))
    crossed = done(overfit(returns))
    around, table = done(_plateau(tried, winner))
    costs = costs_of(inputs, result, tried.score, winner)
    folds = done(folds_of(result))
    randomly = done(entries(inputs, result, tried.seed))
    orders = done(montecarlo(result.trades, result.balance, tried.seed))
    ranges = done(_intervals(result, equity, tried.seed))
    shuffled = _placebo(tried, tick)
    conditions = conditions_of(sharpe.dsr, crossed, around, shuffled)
    record = PanelRecord(
        trials=len(tried.values),
        days=len(equity) - 1,
        **sharpe._asdict(),
        overfit=crossed,
        plateau=around,
        folds=folds,
        costs=costs,
        placebo=shuffled,
        montecarlo=orders,
        entries=randomly,
        intervals=ranges,
        conditions=conditions,
        edge=all(one.holds for one in conditions),
    )
    return record, table


class _Sharpe(NamedTuple):
    # Fields of PanelRecord.
    sharpe_day: float | None
    luck_day: float | None
    psr: float | None
    dsr: float | None
    track_days: float | None


def _sharpe(tried: Tried, equity: Floats, returns: Floats) -> _Sharpe:
    known = len(equity) > MIN_DAYS and len(tried.result.trades) >= MIN_TRADES
    its = moments(returns_of(equity) if known else np.empty(0))
    luck = _luck(returns, len(tried.values))
    found = (
        its.sharpe,
        luck,
        probabilistic(its),
        probabilistic(its, luck),
        track_length(its),
    )
    return _Sharpe(*(None if math.isnan(one) else one for one in found))


def _luck(returns: Floats, trials: int) -> float:
    # All trials count, but only those with a value say how far ratios are apart.
    found = ratios(returns[np.isfinite(returns).all(axis=1)])
    found = found[~np.isnan(found)]
    if len(found) < LEAST:
        return math.nan
    return expected_maximum(trials, float(found.var(ddof=1)))


def _plateau(tried: Tried, winner: Floats) -> tuple[PlateauRecord, pa.Table]:
    points = neighbours(tried.spaces, winner, tried.seed)
    # With its own score beside them: a search over folds has another one.
    *scores, own = tried.score(tried.inputs, np.concatenate((points, winner[None]))).tolist()
    found = np.array(scores, np.float64)
    own = float(tried.scores[tried.best]) if math.isnan(own) else own
    columns = {}
    for at, space in enumerate(tried.spaces):
        kind = np.int64 if space.whole else np.float64
        columns[f"params_{space.name}"] = pa.array(points[:, at].astype(kind))
    table = pa.table({**columns, "score": pa.array(found, from_pandas=True)})
    return plateau(found, own, tried.objective), table


def _intervals(result: Result, equity: Floats, seed: int) -> dict[str, IntervalOfRecord]:
    values = {one.key: one.value for one in figures_of(result)}
    span_ms = int(result.time[-1] - result.time[0]) + result.candles[0].timeframe_ms
    years = span_ms / (YEAR_DAYS * DAY_MS)
    depth = values["max_drawdown"] or 0.0
    return intervals(values, equity, result.trades, years, depth, seed)


def _placebo(tried: Tried, tick: Callable[[], None]) -> PlaceboRecord:
    block, score = block_for(tried.result), float(tried.scores[tried.best])
    shortest = min(len(one.arrays["open_time"]) for one in tried.inputs.candles)
    if shortest < 3 * block:
        note = f"needs {3 * block} candles, has {shortest}"
        return PlaceboRecord(block, [], score, 0, note)
    best = []
    for at in range(PLACEBOS):
        best.append(tried.search(placebo(tried.inputs, block, tried.seed + at)))
        tick()
    found = [one for one in best if not math.isnan(one)]
    lost = PLACEBOS - len(found)
    note = f"in {lost} of {PLACEBOS} shuffled markets no trial had a value" if lost else ""
    return PlaceboRecord(block, found, score, sum(one >= score for one in found), note)
