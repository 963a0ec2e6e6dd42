"""Worlds whose candles are made of finer ones, drawn from a seed."""

import dataclasses
import random

from strategy.timeframes import timeframe_ms
from tests.backtest.random_markets import World, draw_limited, draw_world
from tests.backtest.script import Bar
from tests.backtest.slow_market import FinerCandle

_FINER = {
    "1m": ("30s", "20s", "10s"),
    "4h": ("2h", "1h", "30m"),
    "12h": ("6h", "4h", "1h"),
    "1d": ("12h", "8h", "3h"),
}


def draw_detailed(seed: int, length: int, symbols: int) -> World:
    """Draw a world with finer candles, some missing and some that disagree; its words, rules and
    settings are those of `draw_world`, or of `draw_limited`."""
    draw = draw_limited if seed % 3 == 0 else draw_world
    world, rng = draw(seed, length, symbols), random.Random(seed)
    timeframe = rng.choice(_FINER[world.timeframe])
    quiet, lost, other = (rng.choice([0.0, 0.0, 0.1, 0.4]) for _ in range(3))
    count = timeframe_ms(world.timeframe) // timeframe_ms(timeframe)
    every: list[tuple[Bar | None, ...]] = []
    finer: list[tuple[FinerCandle, ...]] = []
    for bars in world.bars:
        made: list[Bar | None] = []
        inside: list[FinerCandle] = []
        for at, bar in enumerate(bars):
            if bar is None:
                made.append(None)
                continue
            begin = world.start + at * timeframe_ms(world.timeframe)
            its = _inside(rng, bar, begin, timeframe_ms(timeframe), count, quiet)
            made.append(_base(bar, its) if rng.random() >= other else bar)
            inside += [one for one in its if rng.random() >= lost / count]
        every.append(tuple(made))
        finer.append(tuple(inside) if rng.random() < 0.9 else ())
    intrabar = rng.choice([0, 1, 2, 2, 2]) if any(finer) else rng.choice([0, 1])
    return dataclasses.replace(
        world,
        bars=tuple(every),
        finer=tuple(finer),
        finer_timeframe=timeframe,
        costs=world.costs._replace(intrabar=intrabar),
    )


def _inside(
    rng: random.Random, bar: Bar, begin: int, step: int, count: int, quiet: float
) -> list[FinerCandle]:
    marks = (bar.open, bar.high, bar.low, bar.close)
    out: list[FinerCandle] = []
    last = bar.open
    for at in range(count):
        time = begin + at * step
        if rng.random() < quiet:
            out.append(FinerCandle(time, last, last, last, last, 0.0))
            continue
        first = last if rng.random() < 0.7 else rng.choice(marks)
        prices = [first, *(rng.choice(marks) for _ in range(rng.choice([0, 0, 1, 1, 2])))]
        last = prices[-1]
        out.append(FinerCandle(time, first, max(prices), min(prices), last, 1.0))
    return out


def _base(bar: Bar, inside: list[FinerCandle]) -> Bar:
    traded = [one for one in inside if one.volume > 0.0]
    if not traded:
        return bar
    return dataclasses.replace(
        bar,
        open=traded[0].open,
        high=max(one.high for one in traded),
        low=min(one.low for one in traded),
        close=traded[-1].close,
    )
