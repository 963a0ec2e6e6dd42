"""How often the panel calls noise an edge, and how large an edge has to be to be found.

``python -m research.statistics.calibration`` prints the tables of docs/overfitting.md.
"""

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from data.symbols import fine_rules, grids_of
from data.synthetic import synthetic_market
from research.statistics.panel import Tried
from research.tuning.asked import Prepared, TuneAsked
from research.tuning.sampling import Sampling
from research.tuning.scoring import Scorer
from research.tuning.search import search
from research.tuning.space import spaces_of
from research.tuning.tune import score_of, search_of
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import no_funding
from strategy.load import Strategy

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


def searched(
    inputs: Inputs, trials: int, seed: int, objective: str = "sharpe", sampler: str = "tpe"
) -> Tried | None:
    """Search as `wick tune` does; None where no trial has the objective."""
    spaces = spaces_of(inputs.strategy)
    asked = TuneAsked(trials=trials, objectives=(objective,), sampler=sampler, seed=seed)
    prepared = Prepared(inputs, (inputs,), spaces, (objective,), (), (0, 0))
    options = {"threads": 1}
    scorer = Scorer([inputs], [one.name for one in spaces], (objective,), threads=1)
    found = search(scorer, Sampling(sampler, spaces, 1, seed), trials)
    if found.best is None:
        return None
    return Tried(
        inputs=inputs,
        spaces=spaces,
        values=found.values,
        scores=found.scores[:, 0],
        days=scorer.table(found.values, days=True).days,
        best=found.best,
        result=run(inputs, scorer.plans[0].params(found.values[found.best])),
        objective=objective,
        score=score_of(prepared, options),
        search=search_of(prepared, asked, options),
        seed=seed,
    )
