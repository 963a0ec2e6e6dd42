"""Fills of one order on one candle: against the trader, gap before touch, stop before take."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.fills import (
    NOT_FILLED,
    STOP_FILLED,
    TAKE_FILLED,
    resting_fill,
    slipped,
    stop_level,
    take_level,
)
from strategy.grid import grid

# The first call compiles.
quick = settings(deadline=None)

TENTH: Any = grid("0.1").view(np.recarray)[0]
SIDES = st.sampled_from([1, -1])
PRICES = st.floats(1.0, 1e6)


@quick
@given(PRICES, SIDES, st.floats(0.0, 0.1))
def test_a_fill_is_never_better_than_the_price(price: float, side: int, slip: float) -> None:
    fill = slipped(price, side, slip, TENTH)
    # A billionth of a tick is forgiven, so that prices on the grid stay there.
    assert side * (fill - price) >= -1.1e-10 - 1e-15 * price
    assert side * (fill - price) <= slip * price + 0.1 + 1e-9 * price


@quick
@given(st.integers(1, 10**7), SIDES)
def test_without_slippage_a_price_on_the_grid_fills_at_itself(ticks: int, side: int) -> None:
    assert slipped(ticks / 10, side, 0.0, TENTH) == ticks / 10


@quick
@given(PRICES, st.floats(0.1, 1e3), SIDES)
def test_levels_are_at_least_a_distance_away(fill: float, distance: float, side: int) -> None:
    forgiven = 1.1e-10 + 1e-15 * fill
    stop = stop_level(fill, distance, side, TENTH)
    take = take_level(fill, distance, side, TENTH)
    assert distance - forgiven <= side * (fill - stop) <= distance + 0.1 + forgiven
    assert distance - forgiven <= side * (take - fill) <= distance + 0.1 + forgiven


LONG = (1, 98.0, 103.0)
SHORT = (-1, 102.0, 97.0)


@pytest.mark.parametrize(
    ("position", "candle", "expected"),
    [
        (LONG, (100, 102.9, 98.1), (NOT_FILLED, math.nan, False, False)),
        (LONG, (100, 101, 98), (STOP_FILLED, 98.0, False, False)),
        (LONG, (100, 103, 99), (TAKE_FILLED, 103.0, False, False)),
        (LONG, (100, 103, 98), (STOP_FILLED, 98.0, False, True)),
        (LONG, (97, 110, 90), (STOP_FILLED, 97.0, True, False)),
        (LONG, (98, 98, 98), (STOP_FILLED, 98.0, True, False)),
        (LONG, (104, 110, 90), (TAKE_FILLED, 104.0, True, False)),
        (SHORT, (100, 101.9, 97.1), (NOT_FILLED, math.nan, False, False)),
        (SHORT, (100, 102, 99), (STOP_FILLED, 102.0, False, False)),
        (SHORT, (100, 101, 97), (TAKE_FILLED, 97.0, False, False)),
        (SHORT, (100, 102, 97), (STOP_FILLED, 102.0, False, True)),
        (SHORT, (103, 110, 90), (STOP_FILLED, 103.0, True, False)),
        (SHORT, (96, 110, 90), (TAKE_FILLED, 96.0, True, False)),
    ],
)
def test_an_open_beyond_a_level_decides_before_a_touch(
    position: tuple[int, float, float],
    candle: tuple[float, float, float],
    expected: tuple[int, float, bool, bool],
) -> None:
    found = resting_fill(*position, *map(float, candle))
    np.testing.assert_equal(tuple(found), expected)


@quick
@given(SIDES, st.lists(PRICES, min_size=3, max_size=3))
def test_without_a_take_nothing_but_the_stop_fills(side: int, prices: list[float]) -> None:
    low, o, high = sorted(prices)
    which, _, _, ambiguous = resting_fill(side, 500.0, 0.0, o, high, low)
    assert which in (NOT_FILLED, STOP_FILLED)
    assert not ambiguous
