"""A part of a run's candles, with indicators that know what lies before it."""

import dataclasses

import numpy as np
from msgspec import structs

from backtest.inputs import Inputs
from data.symbols import DatedRules, grids_of
from strategy.candles import Candles


def part_of(inputs: Inputs, start_ms: int, end_ms: int) -> Inputs:
    """Narrow a run to the candles that open from one moment on and before another one.

    Indicators go on reading the candles before; nothing of those behind is left. Exchange rules
    begin as they are at the start.

    Parameters
    ----------
    start_ms, end_ms : int
        UTC ms. A symbol may have no candle between them.
    """
    read = inputs.history or inputs.candles
    bounds = [np.searchsorted(one.arrays["open_time"], (start_ms, end_ms)).tolist() for one in read]
    terms = tuple(_from(its, start_ms) for its in inputs.terms)
    rules = tuple(its[0].rules for its in terms) or inputs.rules
    warm = any(start for start, _ in bounds)
    return dataclasses.replace(
        inputs,
        candles=tuple(one.slice(*pair) for one, pair in zip(read, bounds, strict=True)),
        history=tuple(one.slice(0, stop) for one, (_, stop) in zip(read, bounds, strict=True))
        if warm
        else (),
        rules=rules,
        grids=grids_of(rules) if terms else inputs.grids,
        terms=terms,
    )


def span_of(candles: tuple[Candles, ...]) -> tuple[int, int]:
    """Return when the first of several symbols' candles opens, and the last one closes, UTC ms."""
    times = [one.arrays["open_time"] for one in candles]
    first = min(int(its[0]) for its in times if len(its))
    last = max(int(its[-1]) for its in times if len(its))
    return first, last + candles[0].timeframe_ms


def _from(terms: tuple[DatedRules, ...], start_ms: int) -> tuple[DatedRules, ...]:
    before = [at for at, one in enumerate(terms) if one.at_ms <= start_ms]
    first = max(before, default=0)
    return (structs.replace(terms[first], at_ms=0), *terms[first + 1 :])
