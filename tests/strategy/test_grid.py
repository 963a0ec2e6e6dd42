"""Prices are whole ticks and quantities whole steps; as floats they equal the decimal text's."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.errors import WickError
from strategy.grid import grid, price_at, qty_of, ticks_down, ticks_up

# The first call compiles.
quick = settings(deadline=None)

TEXTS = ["0.00000001", "0.0001", "0.001", "0.025", "0.01", "0.10", "0.5", "0.25", "1", "5", "10"]


def record(tick: str = "0.1", step: str = "0.1", **limits: str) -> Any:
    """Return one record with fields as attributes, as kernels read it."""
    return grid(tick, step, **limits).view(np.recarray)[0]


@quick
@given(st.sampled_from(TEXTS), st.integers(0, 10**12))
def test_a_level_is_the_float_of_its_decimal_text(tick: str, ticks: int) -> None:
    text = str(Decimal(tick) * ticks)
    assert price_at(ticks, record(tick)) == float(text)
    assert qty_of(ticks, record(step=tick)) == float(text)


def test_a_level_is_not_the_product_of_floats() -> None:
    assert 3 * 0.1 != 0.3
    assert price_at(3, record("0.1")) == 0.3


@quick
@given(st.sampled_from(TEXTS), st.integers(1, 10**6))
def test_a_price_on_the_grid_stays_where_it_is(tick: str, ticks: int) -> None:
    # Whatever its division by the tick gives: 0.3 / 0.1 is 2.9999999999999996.
    price = float(str(Decimal(tick) * ticks))
    assert ticks_down(price, record(tick)) == ticks
    assert ticks_up(price, record(tick)) == ticks


@quick
@given(st.sampled_from(TEXTS), st.integers(1, 10**6), st.floats(1e-6, 1 - 1e-6))
def test_a_price_between_two_ticks_goes_to_the_asked_side(
    tick: str, ticks: int, part: float
) -> None:
    price = (ticks + part) * float(tick)
    assert ticks_down(price, record(tick)) == ticks
    assert ticks_up(price, record(tick)) == ticks + 1


def test_a_billionth_of_a_tick_is_forgiven_and_more_is_not() -> None:
    g = record("1")
    assert (ticks_down(7 - 0.9e-9, g), ticks_up(7 + 0.9e-9, g)) == (7, 7)
    assert (ticks_down(7 - 1.1e-9, g), ticks_up(7 + 1.1e-9, g)) == (6, 8)


def test_below_zero_rounding_goes_the_same_ways() -> None:
    assert (ticks_down(-0.25, record("0.1")), ticks_up(-0.25, record("0.1"))) == (-3, -2)


@pytest.mark.parametrize(
    ("step", "least", "most", "steps"),
    [
        ("0.001", "0.001", "1000", (1, 1_000_000)),
        ("0.001", "0.0015", "0.0025", (2, 2)),  # limits between two steps
        ("0.001", "0", "0", (1, 2**53)),
        ("0.025", "0.1", "0", (4, 2**53)),  # 1/40
        ("5", "12", "0", (3, 2**53 // 5)),
        ("1E+1", "0", "100", (1, 10)),
    ],
)
def test_limits_are_counted_in_whole_steps(
    step: str, least: str, most: str, steps: tuple[int, int]
) -> None:
    g = record(step=step, min_qty=least, max_qty=most)
    assert (g["min_steps"], g["max_steps"]) == steps


def test_the_largest_count_of_steps_is_still_exact() -> None:
    g = record(step="0.3")
    steps = int(g["max_steps"])
    assert qty_of(steps, g) == float(Decimal("0.3") * steps)


def test_least_notional_is_kept_as_a_float() -> None:
    assert record(min_notional="5.10")["min_notional"] == 5.1


@pytest.mark.parametrize("text", ["0", "-0.1", "", "abc", "NaN", "sNaN", "Infinity", "1/3"])
def test_a_tick_or_step_that_is_no_positive_decimal_is_refused(text: str) -> None:
    for name in ("tick", "step"):
        with pytest.raises(WickError) as error:
            grid(**{name: text})
        assert error.value.message == f"{name} is {text!r}, expected a positive decimal"
        assert error.value.hint == "such as 0.10"


@pytest.mark.parametrize("price", [1e18, 1e300, -1e18])
@pytest.mark.parametrize("tick", ["0.1", "0.00000001"])
def test_a_level_far_off_stays_far_off_on_its_side(price: float, tick: str) -> None:
    g: Any = grid(tick).view(np.recarray)[0]
    for ticks in (ticks_down(price, g), ticks_up(price, g)):
        assert abs(ticks) == pytest.approx(9e15)
        assert (ticks > 0) == (price > 0)
