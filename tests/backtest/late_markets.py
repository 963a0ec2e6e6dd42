"""Worlds of short candles whose orders take time to arrive, drawn from a seed."""

import dataclasses
import random
from collections.abc import Callable

from strategy.timeframes import timeframe_ms
from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.random_margins import Margined, draw_margined
from tests.backtest.random_markets import World, draw_funded, draw_impacted, draw_limited
from tests.backtest.script import MINUTE, MONDAY
from tests.backtest.slow_market import Instant

Scaled = Callable[[int], int]


def draw_late(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose orders take time to arrive; but for that, and for its times, it is one of
    `draw_funded`, `draw_limited`, `draw_impacted` or `draw_detailed`."""
    rng = random.Random(seed)
    draw = rng.choice([draw_funded, draw_limited, draw_impacted, draw_detailed])
    world = draw(seed, length, symbols)
    if not world.trail and rng.random() < 0.3:
        risk = world.risk._replace(trail=rng.choice([0.1, 0.5]), trail_after=0.0, time_stop=0)
        world = dataclasses.replace(world, risk=risk)
    return _hurried(rng, world, length)[0]


def draw_late_margined(seed: int, length: int, symbols: int) -> Margined:
    """Draw one of `draw_margined` whose orders take time to arrive."""
    rng, drawn = random.Random(seed), draw_margined(seed, length, symbols)
    world, scaled = _hurried(rng, drawn.world, length)
    # Of several that fall on one instant the last is left.
    terms = tuple(
        tuple({scaled(time) if time else 0: one for time, one in its}.items())
        for its in drawn.terms
    )
    return dataclasses.replace(drawn, world=world, terms=terms)


def _hurried(rng: random.Random, world: World, length: int) -> tuple[World, Scaled]:
    # The same candles in less time, and whatever is between them to scale.
    timeframe = rng.choice(["100ms", "1s", "12s"])
    if world.finer:
        timeframe = "12s"
    old, step = timeframe_ms(world.timeframe), timeframe_ms(timeframe)
    start = MONDAY - rng.randrange(0, length + 1) * step
    latency = rng.choice([1, step // 2, step, step + 1, 3 * step, rng.randrange(1, 4 * step)])

    def scaled(time: int) -> int:
        return start + (time - world.start) * step // old

    finer_ms = timeframe_ms(world.finer_timeframe) * step // old if world.finer else 0
    hurried = dataclasses.replace(
        world,
        costs=world.costs._replace(latency_ms=latency),
        timeframe=timeframe,
        start=start,
        instants=tuple(_at_minutes(each, scaled) for each in world.instants),
        spreads=tuple(tuple((scaled(time), half) for time, half in each) for each in world.spreads),
        finer=tuple(
            tuple(dataclasses.replace(one, time=scaled(one.time)) for one in each)
            for each in world.finer
        ),
        finer_timeframe=f"{finer_ms}ms" if finer_ms else "",
    )
    return hurried, scaled


def _at_minutes(each: tuple[Instant, ...], scaled: Scaled) -> tuple[Instant, ...]:
    # Funding falls on whole minutes; of several in one the last is left.
    by_minute = {}
    for one in each:
        time = scaled(one.time) // MINUTE * MINUTE
        by_minute[time] = dataclasses.replace(one, time=time)
    return tuple(by_minute.values())
