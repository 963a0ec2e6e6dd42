"""Worlds in which a share of the volume bounds what fills, drawn from a seed."""

import dataclasses
import random

from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.late_markets import draw_late, draw_late_margined
from tests.backtest.random_margins import Margined, draw_margined
from tests.backtest.random_markets import World, draw_slipping, without_parts
from tests.backtest.script import Bar
from tests.backtest.slow_market import Rules


def draw_capped(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose fills are bounded; but for that it is one of `draw_slipping`, `draw_late`
    or `draw_detailed`, whose entries never rest."""
    rng = random.Random(seed)
    draw = rng.choice([draw_slipping, draw_slipping, draw_late, draw_detailed])
    world = draw(seed, length, symbols)
    rules = tuple(_bounded(rng, one) for one in world.rules)
    balance = rng.choice([10_000.0, 1_234_567.89])
    return _capped(rng, dataclasses.replace(world, rules=rules, balance=balance))


def draw_capped_margined(seed: int, length: int, symbols: int) -> Margined:
    """Draw a world with margin whose fills are bounded."""
    rng = random.Random(seed)
    drawn = rng.choice([draw_margined, draw_margined, draw_late_margined])(seed, length, symbols)
    terms = tuple(
        tuple((time, dataclasses.replace(one, rules=_bounded(rng, one.rules))) for time, one in its)
        for its in drawn.terms
    )
    world = dataclasses.replace(drawn.world, rules=tuple(its[0][1].rules for its in terms))
    return dataclasses.replace(drawn, world=_capped(rng, world), terms=terms)


def _bounded(rng: random.Random, rules: Rules) -> Rules:
    # Positions of the size of the volumes, which are about 1.
    return dataclasses.replace(
        rules,
        step=rng.choice(["0.001", "0.025", "0.1"]),
        min_qty=rng.choice(["0", "0", "0.1"]),
        max_qty=rng.choice(["0.4", "2", "2", "20"]),
    )


def _capped(rng: random.Random, world: World) -> World:
    world = without_parts(world)
    costs = world.costs._replace(
        volume_share=rng.choice([0.01, 0.1, 0.3, 1.0]),
        impact=rng.choice([0.0, 0.0, 1e-6, 1e-3]),
        intrabar=rng.choice([world.costs.intrabar, world.costs.intrabar, 1]),
        limit_through=0,
    )
    risk = world.risk._replace(limit_wait=0, limit_tif=0)
    loud = rng.choice([0.0, 0.5, 0.9])
    bars = tuple(tuple(_with_volume(rng, bar, loud) for bar in some) for some in world.bars)
    return dataclasses.replace(world, bars=bars, risk=risk, costs=costs, limit=None)


def _with_volume(rng: random.Random, bar: Bar | None, share: float) -> Bar | None:
    # Within what the strategy hears as the same words.
    if bar is None or rng.random() >= share:
        return bar
    volumes = ((0.0, 0.003, 0.02, 0.1, 0.45), (0.6, 1.3), (1.6, 2.4), (3.0, 5.0, 70.0))
    said = ("long" in bar.says) + 2 * ("short" in bar.says)
    return dataclasses.replace(bar, volume=rng.choice(volumes[said]))
