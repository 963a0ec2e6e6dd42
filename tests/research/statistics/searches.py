"""Small searches that the panel is tried on."""

from functools import cache

from research.statistics.panel import Tried
from tests.calibration import USUAL, inputs_of, market, searched, trend


@cache
def small_search(strength: float = 0.1, days: int = 120, trials: int = 30) -> Tried:
    """Search in a market with trends."""
    found = searched(inputs_of(trend(), market(1, days, strength), USUAL), trials, 1)
    assert found is not None
    return found
