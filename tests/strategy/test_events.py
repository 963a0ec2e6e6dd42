"""Crosses and remembered conditions: what they are, and what is refused."""

from typing import Any, cast

import numpy as np
import pytest

from strategy.column import Column
from strategy.errors import WickError
from strategy.indicators import (
    bars_since,
    crossed_above,
    crossed_below,
    sma,
    value_when,
    where,
)
from strategy.tape import MemoTape
from tests.strategy.market import market

NAN = np.nan


def column(*values: float) -> Column:
    return Column(np.array(values, np.float64), "1m")


def test_a_cross_leaves_equality_or_the_other_side() -> None:
    a = column(1, 2, 3, 2, 2, 3, 3, 1)
    np.testing.assert_array_equal(crossed_above(a, 2).values, [NAN, 0, 1, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(crossed_below(a, 2.0).values, [NAN, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(crossed_below(2, a).values[1:], crossed_above(a, 2).values[1:])


def test_a_nan_now_or_before_is_no_cross() -> None:
    a = column(1, NAN, 3, 1, 3)
    np.testing.assert_array_equal(crossed_above(a, 2).values, [NAN, NAN, NAN, 0, 1])
    np.testing.assert_array_equal(crossed_above(1, column(2, NAN, 0)).values, [NAN] * 3)


def test_neighbouring_doubles_cross() -> None:
    least = np.nextafter(0.0, 1.0)
    assert crossed_above(column(0.0, least), 0.0).values[1] == 1.0
    assert crossed_above(column(1.0, np.nextafter(1.0, 2.0)), 1.0).values[1] == 1.0


def test_a_cross_works_in_where_and_as_a_condition() -> None:
    a = column(1, 3, 1, 1, 3)
    crosses = crossed_above(a, 2) > 0
    np.testing.assert_array_equal(where(crosses, a, -1.0).values, [-1, 3, -1, -1, 3])
    np.testing.assert_array_equal(bars_since(crosses).values, [NAN, 0, 1, 2, 0])


def test_what_is_remembered_goes_on_over_candles_without_a_value() -> None:
    x = column(NAN, 5, NAN, 1, 6, NAN)
    np.testing.assert_array_equal(bars_since(x > 4).values, [NAN, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(value_when(x > 4, -x).values, [NAN, -5, -5, -5, -6, -6])
    np.testing.assert_array_equal(
        value_when(-x < 0, where(x > 5, NAN, x)).values[3:], [1, NAN, NAN]
    )


def test_a_condition_is_computed_once_on_a_memo_tape() -> None:
    memo, candles = MemoTape(), market(1, 50)
    with memo:
        for _ in range(2):
            bars_since(crossed_above(candles.close, sma(candles.close, 5)) > 0)
    assert memo.computed == 6  # sma, difference, cross, comparison, where, bars_since


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda x: bars_since(x), "bars_since was given numbers, expected a condition"),
        (lambda x: bars_since(cast(Any, True)), "bars_since was given bool, expected a condition"),
        (lambda x: value_when(x, x), "value_when was given numbers, expected a condition"),
        (lambda x: value_when(x > 0, x > 0), "value_when was given a condition, expected numbers"),
        (
            lambda x: value_when(x > 0, cast(Any, 1.0)),
            "value_when was given float, expected a column",
        ),
        (lambda x: crossed_above(x > 0, 1), "crossed_above was given a condition"),
        (lambda x: crossed_above(1, 2), "crossed_above was given no column"),
        (lambda x: crossed_below(x, "1"), "crossed_below of a column and str"),
        (lambda x: crossed_below(x, Column(np.ones(3), "5m")), "crossed_below mixes columns of 1m"),
        (lambda x: sma(x > 0, 2), "sma was given a condition, expected numbers"),
    ],
)
def test_conditions_and_numbers_are_not_mixed_up(use: Any, said: str) -> None:
    with pytest.raises(WickError, match=said):
        use(column(1, 2, 3))
