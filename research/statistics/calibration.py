"""How often the panel calls noise an edge, and how large an edge has to be to be found.

``python -m research.statistics.calibration`` prints the tables of docs/overfitting.md.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from data.symbols import fine_rules, grids_of
from data.synthetic import synthetic_market
from research.statistics.panel import Tried
from research.tuning.space import Space, spaces_of
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import no_funding
from strategy.load import Strategy
from strategy.metrics.daily import by_day

Floats = NDArray[np.float64]
START_MS = 1_640_995_200_000  # 2022-01-01 00:00 UTC
FREE, USUAL = Costs(0.0, 0.0, 0.0), Costs()
_LASTS = 200  # candles that a planted trend lasts on average


def market(seed: int, days: int, strength: float, timeframe: str = "15m") -> Candles:
    """Draw a market of noise, with trends planted into it.

    Parameters
    ----------
    strength : float
        How far a trend moves a candle, in standard deviations of a candle's return; up and down
        take turns, each for 200 candles on average. 0 for noise alone.
    """
    noise = synthetic_market(seed, days * 1_440, START_MS, timeframe)
    if not strength:
        return noise
    arrays = dict(noise.arrays)
    close = arrays["close"]
    rng = np.random.default_rng(seed)
    turns = rng.random(len(close)) < 1.0 / _LASTS
    way = np.where(np.cumsum(turns) % 2 == 0, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    spread = float(np.diff(np.log(close)).std())
    factor = np.exp(np.cumsum(way * strength * spread))
    for name in ("open", "high", "low", "close"):
        arrays[name] = np.maximum(np.rint(arrays[name] * factor * 10.0), 1.0) / 10.0
    return Candles.from_arrays(
        symbol=noise.symbol, market=noise.market, timeframe=timeframe, **arrays
    )


def inputs_of(strategy: Strategy, candles: Candles, costs: Costs) -> Inputs:
    """Give candles as a run's inputs, with a grid that does not matter."""
    rules = (fine_rules(candles.market, candles.symbol, float(candles.arrays["close"][0])),)
    return Inputs(
        strategy=strategy,
        params=strategy.params(),
        risk=strategy.risk,
        costs=costs,
        balance=10_000.0,
        candles=(candles,),
        rules=rules,
        grids=grids_of(rules),
        funding=(no_funding(),),
        notes=(),
        source=None,
    )


def searched(inputs: Inputs, trials: int, seed: int, objective: str = "sharpe") -> Tried | None:
    """Search at random; None where no trial has the objective."""
    spaces = spaces_of(inputs.strategy)
    values = _drawn(spaces, trials, seed)
    scores = _score(inputs, values, objective=objective, spaces=spaces)
    if np.isnan(scores).all():
        return None
    plan = SweepPlan.of(inputs, [one.name for one in spaces])
    best = int(np.nanargmax(scores))
    length = inputs.candles[0].timeframe_ms
    results = [run(inputs, plan.params(row)) for row in values]
    days = [by_day(its.time, its.equity, its.balance, length).equity[1:] for its in results]
    return Tried(
        inputs=inputs,
        spaces=spaces,
        values=values,
        scores=scores,
        days=np.array(days),
        best=best,
        result=results[best],
        objective=objective,
        score=partial(_score, objective=objective, spaces=spaces),
        search=partial(_best, trials=trials, seed=seed, objective=objective),
        seed=seed,
    )


def _drawn(spaces: Sequence[Space], trials: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return np.column_stack([_of(one, rng, trials) for one in spaces])


def _of(space: Space, rng: np.random.Generator, trials: int) -> Floats:
    if space.places() is not None:
        return rng.choice(space.values(), trials)
    if space.log:
        return np.exp(rng.uniform(np.log(space.low), np.log(space.high), trials))
    return rng.uniform(space.low, space.high, trials)


def _score(inputs: Inputs, values: Floats, *, objective: str, spaces: Sequence[Space]) -> Floats:
    plan = SweepPlan.of(inputs, [one.name for one in spaces])
    return evaluate(plan, values, threads=1).figures[objective]


def _best(inputs: Inputs, *, trials: int, seed: int, objective: str) -> float:
    spaces = spaces_of(inputs.strategy)
    scores = _score(inputs, _drawn(spaces, trials, seed), objective=objective, spaces=spaces)
    return float(np.nanmax(scores)) if not np.isnan(scores).all() else float("nan")
