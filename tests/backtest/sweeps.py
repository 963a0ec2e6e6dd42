"""Sweeps compared with the same combinations run one by one."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from backtest.sweeps.engine import evaluate, trades_of
from backtest.sweeps.figures import NOTES, SweepTable
from backtest.sweeps.plan import SweepPlan
from data.rest.listings import Bracket
from data.run_record import figures_of
from data.symbols import DatedRules, MarginRules, SymbolRules
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.funding import no_funding
from strategy.grid import grid
from strategy.load import Strategy, load
from strategy.margin import Marks
from strategy.metrics import by_day
from strategy.risk import Risk
from strategy.slippage import Spread
from strategy.timeframes import timeframe_ms
from tests.backtest.random_margins import Margined
from tests.backtest.random_markets import World, draw_risk
from tests.backtest.script import scripted
from tests.backtest.slow_margin import Terms

SETTINGS = tuple(f"risk.{name}" for name in Risk._fields)
SETTINGS += ("costs.fee_rate", "costs.slippage", "costs.atr", "costs.spread", "costs.intrabar")


def inputs_of(world: World, strategy: Strategy | None = None) -> Inputs:
    """Give a drawn world as a run's inputs."""
    if strategy is None:
        strategy = scripted(world.timeframe, take=world.take, trail=world.trail)
    records = [
        grid(one.tick, one.step, one.min_qty, one.max_qty, one.min_notional) for one in world.rules
    ]
    candles = tuple(world.candles)
    funding = world.funding or [None] * len(candles)
    return Inputs(
        strategy=strategy,
        params=strategy.params(),
        risk=world.risk,
        costs=world.costs,
        balance=world.balance,
        candles=candles,
        rules=(),
        grids=np.concatenate(records).view(np.recarray),
        funding=tuple(no_funding() if one is None else one for one in funding),
        notes=(),
        source=None,
        spreads=tuple(_spread(one, at) for at, one in enumerate(candles)),
    )


def margined_inputs(drawn: Margined) -> Inputs:
    """Give a world with the tiers and rules that its symbols begin with, and its mark prices."""
    first = [its[0][1] for its in drawn.terms]
    rules = cast(SymbolRules, None)  # only those of later changes are read from here
    records = [
        grid(one.tick, one.step, one.min_qty, one.max_qty, one.min_notional)
        for one in (terms.rules for terms in first)
    ]
    return dataclasses.replace(
        inputs_of(drawn.world),
        terms=tuple((DatedRules(0, rules, _margin(one)),) for one in first),
        marks=tuple(_marks(drawn.world, one) for one in drawn.marks),
        grids=np.concatenate(records).view(np.recarray),
    )


def _marks(world: World, marks: Mapping[int, tuple[float, ...]] | None) -> Marks | None:
    if marks is None:
        return None
    times = [world.start + at * timeframe_ms(world.timeframe) for at in marks]
    rows = np.array(list(marks.values())).reshape(-1, 4)
    return Marks(np.array(times, np.int64), *np.ascontiguousarray(rows.T))


def _margin(terms: Terms) -> MarginRules | None:
    if terms.tiers is None:
        return None
    brackets = tuple(
        Bracket(str(one.floor), str(one.cap), str(one.rate), str(one.amount), int(one.leverage))
        for one in terms.tiers
    )
    return MarginRules(brackets, str(terms.fee), None)


def _spread(candles: Candles, seed: int) -> Spread | None:
    rng, times = np.random.default_rng(seed), candles.arrays["open_time"]
    at = np.flatnonzero(rng.random(len(times)) < 0.3)
    return Spread(times[at] + 1_000, rng.random(len(at)) * 0.002)


def draw_settings(seed: int, count: int, *, has_trail: bool) -> NDArray[np.float64]:
    """Draw rows of values for the axes SETTINGS."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        fee, slip = rng.choice([0.0, 0.0005, 0.01]), rng.choice([0.0, 0.0001, 0.02])
        risk = draw_risk(rng, has_trail=has_trail)
        if rng.random() < 0.7:
            risk = risk._replace(part_1=0, part_1_share=0, part_2=0, part_2_share=0)
            risk = risk._replace(daily_loss_flatten=0)
        more = [rng.choice([0, 0, 0.1]), rng.choice([0, 0, 1]), rng.choice([0, 0, 1])]
        rows.append([*map(float, risk), fee, slip, *more])
    return np.array(rows)


def assert_same(
    inputs: Inputs, axes: Sequence[str], values: NDArray[np.float64], **options: Any
) -> SweepTable:
    """Compare a sweep with single runs: figures, days, trades and refusals, bit for bit."""
    plan = SweepPlan.of(inputs, axes)
    table = evaluate(plan, values, days=True, **options)
    for at, row in enumerate(values):
        try:
            risk, costs = plan.settings(row)
        except WickError:
            assert NOTES[table.note[at]] == "these settings do not go together"
            continue
        try:
            result = run(dataclasses.replace(inputs, risk=risk, costs=costs), plan.params(row))
        except RunRefused as refused:
            said = NOTES[table.note[at]]
            assert said and said.split()[2] in refused.message, (said, refused.message)
            assert all(np.isnan(column[at]) for column in table.figures.values())
            assert np.isnan(table.days[at]).all()
            continue
        assert table.note[at] == 0, (at, NOTES[table.note[at]])
        trades = trades_of(plan, row)
        assert len(trades) == len(result.trades), at
        for name in trades.dtype.names:
            assert trades[name].tobytes() == result.trades[name].tobytes(), (at, name)
        want = {one.key: one.value for one in figures_of(result)} | {"equity": result.equity[-1]}
        for key, column in table.figures.items():
            value = np.nan if want[key] is None else want[key]
            assert np.array_equal(column[at], value, equal_nan=True), (at, key, column[at], value)
        length = result.candles[0].timeframe_ms
        days = by_day(result.time, result.equity, result.balance, length).equity[1:]
        assert table.days[at].tobytes() == days.tobytes(), at
    return table


_COLUMNS = (
    "rsi(c.close, p.a)",
    "c.close - ema(c.close, p.b)",
    "c.close / sma(c.close, p.a) - 1.0",
    "roc(c.close, p.b)",
    "high.align(high.close - ema(high.close, p.a))",
    "c.close - c.open",
)


def draw_strategy(seed: int, folder: Path) -> Strategy:
    """Write a strategy of random rules over random indicators, and load it."""
    rng = random.Random(seed)
    chosen = rng.sample(_COLUMNS, 3)
    names = ("enter_long", "enter_short", "exit_long", "exit_short")
    there = [*names[: rng.randint(1, 2)], *(name for name in names[2:] if rng.random() < 0.5)]
    rules = {name: _condition(rng, 2) for name in there}
    rules["stop_distance"] = rng.choice(["p.stop * x.atr", "p.stop * x.atr + 0.5 * abs(x.u)"])
    if rng.random() < 0.7:
        rules["take_distance"] = "x.atr * p.take"
    if rng.random() < 0.3:
        rules["trail_distance"] = "x.atr * (p.stop + 1)"
    texts = [
        f"@rule\ndef {name}(x: Row, p: Params) -> float:\n    return {text}\n"
        for name, text in rules.items()
    ]
    source = f"""from typing import NamedTuple
from strategy.candles import Candles
from strategy.indicators import atr, ema, roc, rsi, sma
from strategy.risk import Risk
from strategy.slippage import Spread
from strategy.rules import rule
TIMEFRAME = "1m"
class Params(NamedTuple):
    a: int = 5
    b: int = 9
    level: float = 0.0
    stop: float = 1.5
    take: float = 2.5
class Row(NamedTuple):
    u: float
    v: float
    w: float
    atr: float
def indicators(c: Candles, p: Params) -> Row:
    high = c.resample("5m")
    x = {chosen[0]}
    if p.a > 6:  # branching on params is allowed
        x = x + p.b
    return Row(u=x, v={chosen[1]}, w={chosen[2]}, atr=atr(c.high, c.low, c.close, 4))
{chr(10).join(texts)}
RISK = Risk()
"""
    path = folder / f"drawn_{seed}.py"
    path.write_text(source)
    return load(str(path))


def _condition(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.7:
        joined = rng.choice(["&", "|"])
        return f"({_condition(rng, depth - 1)} {joined} {_condition(rng, depth - 1)})"
    left = rng.choice(["x.u", "x.v", "x.w", "x.u - x.v", "-x.w", "x.v / x.w", "abs(x.w) * 2"])
    right = rng.choice(["p.level", "0.1", "x.u", "p.level / 0.0", "p.a / (x.u - x.u)"])
    return f"({left} {rng.choice(['<', '<=', '>', '>='])} {right})"
