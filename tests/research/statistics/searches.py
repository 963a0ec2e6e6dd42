"""Small searches that the panel is tried on."""

import dataclasses
from functools import cache

from research.statistics.panel import Tried
from strategy.load import Strategy, load
from tests.calibration import USUAL, inputs_of, market, searched


@cache
def trend() -> Strategy:
    """Give a shipped strategy, on candles that a year has few of."""
    return dataclasses.replace(load("trend_ema"), timeframe="15m")


@cache
def small_search(strength: float = 0.1, days: int = 120, trials: int = 30) -> Tried:
    """Search in a market with trends."""
    found = searched(inputs_of(trend(), market(1, days, strength), USUAL), trials, 1)
    assert found is not None
    return found
