"""How often the panel calls noise an edge, and how large an edge has to be to be found.

``make calibrate`` prints the table of docs/overfitting.md.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from data.symbols import fine_rules, grids_of
from research.statistics.panel import Tried, panel_of
from research.tuning.asked import Prepared, TuneAsked
from research.tuning.sampling import Sampling
from research.tuning.scoring import Scorer
from research.tuning.search import search
from research.tuning.space import spaces_of
from research.tuning.tune import score_of, search_of
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import no_funding
from strategy.load import Strategy, load
from strategy.timeframes import DAY_MS, timeframe_ms

Floats = NDArray[np.float64]
START_MS = 1_640_995_200_000  # 2022-01-01 00:00 UTC
FREE, USUAL = Costs(0.0, 0.0, 0.0), Costs()
STRENGTHS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15)
_FRESH = 1_000_000  # seeds of other markets begin here
_LASTS = 200  # candles that a planted trend lasts on average
_PER_MINUTE = 6e-4  # usual movement of a minute, as a share of the price
_LASTING, _SHAKEN = 0.98, 0.08  # of calm and storm, a candle: their logarithm varies by 0.4


def market(seed: int, days: int, strength: float, timeframe: str = "15m") -> Candles:
    """Draw a random walk with calm and storm, and plant trends into it.

    Between open and close lies a Brownian bridge: high and low are drawn from what its extremes are
    distributed like, so that a stop that is touched was traded at, and without costs no order is
    worth anything. On a path of a few steps a stop would fill better than the path ever went.

    Parameters
    ----------
    strength : float
        How far a trend moves a candle, in standard deviations of its return; up and down take
        turns, each for 200 candles on average. 0 for noise alone.
    """
    length = timeframe_ms(timeframe)
    n = days * DAY_MS // length
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal(n) * _SHAKEN
    storm = np.empty(n)
    now = 0.0
    for at, shock in enumerate(shocks.tolist()):
        storm[at] = now = _LASTING * now + shock
    spread = _PER_MINUTE * np.sqrt(length / 60_000) * np.exp(storm)
    turns = np.cumsum(rng.random(n) < 1.0 / _LASTS)
    way = np.where(turns % 2 == 0, 1.0, -1.0) * rng.choice([-1.0, 1.0])
    moved = spread * (rng.standard_normal(n) + strength * way) - spread**2 / 2.0
    after = np.cumsum(moved)
    before = after - moved
    reach = [np.sqrt(moved**2 - 2.0 * spread**2 * np.log(rng.random(n))) for _ in range(2)]
    logs = {
        "open": before,
        "high": (before + after + reach[0]) / 2.0,
        "low": (before + after - reach[1]) / 2.0,
        "close": after,
    }
    volume = np.floor(1.0 + 1_000.0 * rng.random(n)) / 100.0
    return Candles.from_arrays(
        symbol="SYNTHUSDT",
        market="um",
        timeframe=timeframe,
        open_time=START_MS + length * np.arange(n, dtype=np.int64),
        volume=volume,
        **{name: np.rint(30_000.0 * np.exp(log) * 1e4) / 1e4 for name, log in logs.items()},
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


class Judged(NamedTuple):
    """What the panel said of one search.

    Attributes
    ----------
    score : float
        The winner's Sharpe ratio, a year; NaN where no trial has one.
    fresh : float
        That of its params on another market of the same strength.
    holds : tuple of bool
        The conditions of the verdict, but for the placebo.
    edge : bool
        All of them.
    """

    score: float
    fresh: float
    holds: tuple[bool, ...]
    edge: bool


def trend() -> Strategy:
    """Give a shipped strategy, on candles that two years have few of."""
    return dataclasses.replace(load("trend_ema"), timeframe="15m")


def judged(seed: int, strength: float, costs: Costs, days: int, trials: int) -> Judged:
    """Search in one market, and judge the winner."""
    tried = searched(inputs_of(trend(), market(seed, days, strength), costs), trials, seed)
    if tried is None:
        return Judged(np.nan, np.nan, (False,) * 3, False)
    fresh = inputs_of(trend(), market(_FRESH + seed, days, strength), costs)
    score = float(tried.score(fresh, tried.values[[tried.best]])[0])
    # Three quarters of the time go into placebos, which only matter where all else holds.
    record, _ = panel_of(dataclasses.replace(tried, search=lambda _: -np.inf))
    if record.edge:
        record, _ = panel_of(tried)
    *holds, _ = (one.holds for one in record.conditions)
    return Judged(float(tried.scores[tried.best]), score, tuple(holds), record.edge)


def line(name: str, found: Sequence[Judged]) -> str:
    """Write a row of the table."""
    holds = np.array([one.holds for one in found])
    each = " | ".join(str(count) for count in holds.sum(axis=0).tolist())
    score, fresh = (np.nanmean([one[at] for one in found]) for at in range(2))
    edge = sum(one.edge for one in found)
    return f"| {name} | {score:.2f} | {fresh:.2f} | {each} | **{edge} of {len(found)}** |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=int, default=200, help="markets without an edge")
    parser.add_argument("--edges", type=int, default=20, help="markets of each strength")
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    judged(0, 0.0, USUAL, 60, 50)  # compiles what the workers then have
    rows = [("noise, no costs", 0.0, FREE, asked.noise), ("noise", 0.0, USUAL, asked.noise)]
    rows += [(f"{strength:.2f}", strength, USUAL, asked.edges) for strength in STRENGTHS]
    with ProcessPoolExecutor(asked.workers) as pool:
        for name, strength, costs, count in rows:
            one = partial(
                judged, strength=strength, costs=costs, days=asked.days, trials=asked.trials
            )
            print(line(name, list(pool.map(one, range(count)))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
