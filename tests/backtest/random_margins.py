"""Drawn worlds with margin: maintenance tiers, mark prices, and rules that change on the way."""

import dataclasses
import random
from dataclasses import dataclass

import numpy as np

from backtest.engine import Result, backtest
from strategy.dated import RuleChange, SymbolTiers
from strategy.grid import grid
from strategy.margin import LIQUIDATION_FEE, TIER, Marks
from strategy.timeframes import timeframe_ms
from tests.backtest.random_markets import (
    World,
    draw_funded,
    draw_limited,
    draw_slipping,
    draw_world,
    markets_of,
    spread_of,
)
from tests.backtest.script import Bar, scripted
from tests.backtest.slow_margin import SlowMargin, Terms, Tier
from tests.backtest.slow_market import Rules

Prices = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Margined:
    """A world with terms by date and mark prices by position of the candle, a symbol each."""

    world: World
    terms: tuple[tuple[tuple[int, Terms], ...], ...]
    marks: tuple[dict[int, Prices] | None, ...]


def draw_margined(seed: int, length: int, symbols: int) -> Margined:
    """Draw a world whose positions can be liquidated, and often are; but for risk, costs, stops and
    exchange rules it is one of the worlds without margin."""
    rng = random.Random(seed)
    draws = (draw_world, draw_funded, draw_funded, draw_slipping, draw_limited)
    world = rng.choice(draws)(seed, length, symbols)
    if world.limit is not None:
        world = _resting(random.Random(seed + 1), world)
    leverage = rng.choice([1.0, 3.0, 20.0, 50.0])
    risk = world.risk._replace(
        per_trade=rng.choice([0.05, 0.5, 1.0]),
        max_leverage=leverage,
        leverage=max(leverage, rng.choice([3.0, 20.0, 75.0])),
        max_notional=rng.choice([0.0, 0.0, 0.0, 20_000.0]),
        isolated=rng.choice([0, 0, 1]),
    )
    bars = world.bars
    costs = world.costs
    if rng.random() < 0.7:  # stops beyond the liquidation price
        wide = rng.choice([0.02, 0.1, 0.3])
        bars = tuple(tuple(_with_stop(bar, wide) for bar in some) for some in bars)
        # Several positions at a time, long enough for their losses to come together.
        risk = risk._replace(
            per_trade=min(wide * rng.choice([1.0, 3.0, 8.0]), 1.0),
            max_leverage=50.0,
            leverage=rng.choice([50.0, 75.0]),
            daily_loss_limit=0.0,
            daily_loss_flatten=0,
            max_positions=0,
            max_longs=0,
            max_shorts=0,
            max_notional=0.0,
            time_stop=0,
            cooldown=rng.choice([0, 2]),
            isolated=rng.choice([0, 0, 0, 1]),
            part_1=0.1,
            part_1_share=rng.choice([0.1, 0.5]),
        )
        costs = costs._replace(slippage=rng.choice([0.0, 0.0001]))
    world = dataclasses.replace(world, risk=risk, costs=costs, bars=bars)
    end = world.start + length * timeframe_ms(world.timeframe)
    some = rng.random() < 0.9
    terms = tuple(_terms(rng, world, s, end, some) for s in range(symbols))
    marks = tuple(_marks(rng, one) if rng.random() < 0.6 else None for one in world.bars)
    return Margined(world, terms, marks)


def _resting(rng: random.Random, world: World) -> World:
    # Near enough to be touched, by a candle that goes on; wherever the stops are.
    tif = rng.choice([0, 0, 0, 3, 1, 2])
    wait = rng.choice([0, 1, 2, 5]) if tif in (0, 3) else 0
    return dataclasses.replace(
        world,
        risk=world.risk._replace(limit_wait=wait, limit_tif=tif),
        limit=rng.choice([0.0, 0.003, 0.01, 0.1, 0.5, 1.0]),
    )


def _with_stop(bar: Bar | None, share: float) -> Bar | None:
    if bar is None:
        return None
    return dataclasses.replace(bar, stop=bar.close * share, take=bar.close * share)


def _terms(
    rng: random.Random, world: World, s: int, end: int, some: bool
) -> tuple[tuple[int, Terms], ...]:
    rules, out = world.rules[s], []
    times = {rng.randrange(world.start, end + 1) for _ in range(rng.choice([0, 0, 1, 3]))}
    for time in [0, *sorted(times)]:
        if time and rng.random() < 0.8:
            rules = Rules(
                tick=rng.choice([rules.tick, "0.0001", "0.01"]),
                step=rng.choice(["0.001", "0.1", "1", "0.025"]),
                min_qty=rng.choice(["0", "0.1", "3"]),
                max_qty=rng.choice(["0", "50"]),
                min_notional=rng.choice(["0", "5"]),
            )
        tiers = _tiers(rng, world.balance) if some and rng.random() < 0.9 else None
        fee = rng.choice([0.0, 0.0125, 0.05]) if tiers else LIQUIDATION_FEE
        out.append((time, Terms(rules, tiers, fee)))
    return tuple(out)


def _tiers(rng: random.Random, balance: float) -> tuple[Tier, ...]:
    cap, rate, amount, leverage = 0.0, 0.0, 0.0, 125.0
    out = []
    for _ in range(rng.choice([1, 2, 4])):
        floor, cap = cap, (cap or balance * rng.choice([0.1, 1.0, 10.0])) * rng.choice([2.0, 5.0])
        more = rng.choice([0.004, 0.004, 0.01, 0.1])
        rate, amount = rate + more, amount + floor * more
        out.append(Tier(floor, cap, rate, amount, leverage))
        leverage = max(leverage * rng.choice([0.2, 0.5, 0.8]), 1.0)
    return tuple(out)


def _marks(rng: random.Random, bars: tuple[Bar | None, ...]) -> dict[int, Prices]:
    width, known = rng.choice([0.0, 0.001, 0.001, 0.05]), rng.choice([0.5, 1.0])
    out = {}
    for at, bar in enumerate(bars):
        if bar is None or rng.random() > known:
            continue
        o, c = (max(x * (1.0 + rng.gauss(0.0, width)), x / 10) for x in (bar.open, bar.close))
        high, low = (x * (1.0 + rng.gauss(0.0, width)) for x in (bar.high, bar.low))
        out[at] = (o, max(o, c, high), max(min(o, c, low), min(o, c) / 10), c)
    return out


def run_fast_margined(drawn: Margined) -> Result:
    """Run the engine of the product over a world with margin."""
    world = drawn.world
    grids = [_grid(its[0][1].rules) for its in drawn.terms]
    return backtest(
        scripted(world.timeframe, take=world.take, trail=world.trail, limit=world.limit),
        world.candles,
        risk=world.risk,
        costs=world.costs,
        balance=world.balance,
        grids=np.concatenate(grids).view(np.recarray),
        funding=world.funding or None,
        detail=world.detail,
        spreads=[spread_of(each) for each in world.spreads] or None,
        tiers=[symbol_tiers(its[0][1]) for its in drawn.terms],
        marks=[None if marks is None else _as_arrays(world, marks) for marks in drawn.marks],
        changes=[
            [RuleChange(time, _grid(one.rules), symbol_tiers(one)) for time, one in its[1:]]
            for its in drawn.terms
        ],
    )


def run_slow_margined(drawn: Margined) -> SlowMargin:
    """Run the slow engine over a world with margin."""
    world, length = drawn.world, timeframe_ms(drawn.world.timeframe)
    marks = [
        {world.start + at * length: prices for at, prices in (its or {}).items()}
        for its in drawn.marks
    ]
    engine = SlowMargin(
        markets_of(world),
        world.risk,
        world.costs,
        world.balance,
        length,
        terms=[list(its) for its in drawn.terms],
        marks_of=marks,
    )
    engine.run()
    return engine


def _grid(rules: Rules) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return grid(rules.tick, rules.step, rules.min_qty, rules.max_qty, rules.min_notional)


def symbol_tiers(terms: Terms) -> SymbolTiers | None:
    """Give terms as the engine takes them."""
    if terms.tiers is None:
        return None
    rows = [(one.floor, one.cap, one.rate, one.amount, one.leverage) for one in terms.tiers]
    return SymbolTiers(np.array(rows, TIER), terms.fee)


def _as_arrays(world: World, marks: dict[int, Prices]) -> Marks:
    times = [world.start + at * timeframe_ms(world.timeframe) for at in marks]
    rows = np.array(list(marks.values())).reshape(-1, 4)
    columns = (np.ascontiguousarray(rows[:, k]) for k in range(4))
    return Marks(np.array(times, np.int64), *columns)
