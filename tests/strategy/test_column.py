"""Columns: what may be done with them equals NumPy, all else is refused with a hint."""

import copy
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategy.column import Column
from strategy.errors import WickError
from strategy.indicators import atr, ema, maximum, minimum, previous, sma, sqrt, where
from strategy.tape import MemoTape, inside_indicators
from tests.strategy.market import market, same_bits

LIVE = "live, only the newest candle is there"
X = np.array([3.0, -1.0, np.nan, 0.0, 2.5])
Y = np.array([1.0, 2.0, 3.0, 0.0, np.inf])


def column(values: np.ndarray = X, timeframe: str = "1m") -> Column:
    return Column(values, timeframe)


REFUSED: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "index": (lambda x: x[-1], "a column cannot be indexed", "previous(x, n)"),
    "slice": (lambda x: x[1:], "a column cannot be indexed", "previous(x, n)"),
    "mask": (lambda x: x[x > 1], "a column cannot be indexed", "previous(x, n)"),
    "len": (len, f"len() cannot be used inside indicators(): {LIVE}", "previous(x, n)"),
    "values": (
        lambda x: x.values,
        f".values cannot be used inside indicators(): {LIVE}",
        "previous(x, n)",
    ),
    "array": (np.asarray, "turning a column into an array cannot be used", "previous(x, n)"),
    "bool": (lambda x: 1 if x > 2 else 0, "a column has no single truth value", "& and |"),
    "and": (lambda x: x > 1 and x < 2, "a column has no single truth value", "& and |"),
    "not": (lambda x: not x, "a column has no single truth value", "& and |"),
    "chained": (lambda x: 1 < x < 2, "a column has no single truth value", "& and |"),
    "loop": (lambda x: [v for v in x], "a column cannot be looped over", "indicator"),  # noqa: C416
    "sum": (sum, "a column cannot be looped over", "indicator"),
    "max": (max, "a column cannot be looped over", "indicator"),
    "in": (lambda x: 3.0 in x, "a column cannot be looped over", "indicator"),
    "float": (float, "a column is not a single number", "whole column"),
    "math": (math.sqrt, "a column is not a single number", "whole column"),
    "mean": (np.mean, "numpy.mean cannot be applied to a column", "indicator"),
    "where": (lambda x: np.where(x > 1, x, 0.0), "numpy.where cannot be applied", "indicator"),
    "diff": (np.diff, "numpy.diff cannot be applied to a column", "indicator"),
    "np.sqrt": (np.sqrt, "numpy.sqrt cannot be applied to a column", "sqrt()"),
    "np.exp": (np.exp, "numpy.exp cannot be applied to a column", "indicator"),
    "reduce": (np.add.reduce, "numpy.add cannot be applied to a column", "indicator"),
    "cumsum": (np.add.accumulate, "numpy.add cannot be applied to a column", "indicator"),
    "==": (lambda x: x == 1.0, "columns cannot be compared with ==", "<= and >="),
    "!=": (lambda x: x != 1.0, "columns cannot be compared with !=", "< and >"),
    "method": (lambda x: x.shift(1), "a column has no 'shift'", "strategy.indicators"),
    "pandas": (lambda x: x.rolling(3).mean(), "a column has no 'rolling'", "strategy.indicators"),
    "text": (lambda x: x + "1", "+ of a column and str", "a column or a number"),
    "list": (lambda x: x * [1.0], "* of a column and list", "a column or a number"),
    "None": (lambda x: x > None, "> of a column and NoneType", "a column or a number"),
    "an array": (lambda x: x - X, "- of a column and ndarray", "a column or a number"),
    "an array before": (lambda x: X - x, "- of a column and ndarray", "a column or a number"),
    "condition": (lambda x: ema(x > 1, 2), "ema was given a condition, expected numbers", "where("),
    "sum of conditions": (lambda x: (x > 1) + (x < 0), "+ was given a condition", "where("),
    "minus condition": (lambda x: -(x > 1), "neg was given a condition", "where("),
    "& of numbers": (lambda x: x & x, "& was given numbers, expected a condition", "parentheses"),
    "| of a number": (lambda x: (x > 1) | 1, "| was given numbers", "parentheses"),
    "where of numbers": (lambda x: where(x, 1.0, 0.0), "where was given numbers", "parentheses"),
    "indicator of a list": (
        lambda x: ema(cast(Any, [1.0]), 2),
        "ema was given list, expected a column",
        "c.",
    ),
    "indicator of an array": (
        lambda x: ema(cast(Any, X), 2),
        "ema was given ndarray, expected",
        "c.close",
    ),
    "no column": (lambda x: minimum(1.0, 2.0), "minimum was given no column", "pass a column"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_inside_indicators_this_is_refused_with_a_sentence_and_a_hint(name: str) -> None:
    use, said, hint = REFUSED[name]
    with inside_indicators(), pytest.raises(WickError) as error:
        use(column())
    assert said in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    "use",
    [
        len,
        lambda c: c.open_time,
        lambda c: c.resample("5m").open_time,
    ],
)
def test_candles_do_not_tell_their_number_or_times_inside_indicators(use: Any) -> None:
    candles = market(1, 20)
    use(candles)
    with inside_indicators(), pytest.raises(WickError, match=r"cannot be used inside indicators"):
        use(candles)


def test_an_unknown_field_names_the_known_ones() -> None:
    with pytest.raises(WickError, match="1m candles of BTCUSDT have no field 'closes'") as error:
        _ = market(1, 5).closes
    assert error.value.hint == "known: open, high, low, close, volume"


@pytest.mark.parametrize("use", [lambda a, b: a + b, lambda a, b: a < b, minimum])
def test_two_timeframes_do_not_mix(use: Any) -> None:
    with pytest.raises(WickError, match=r"mixes columns of 1m and 5m") as error:
        use(column(), column(timeframe="5m"))
    assert error.value.hint == "align the higher timeframe first: m5.align(column)"


def test_an_indicator_refuses_columns_of_two_timeframes_or_lengths() -> None:
    with pytest.raises(WickError, match="atr mixes columns of 1m and 5m"):
        atr(column(), column(), column(timeframe="5m"), 2)
    with pytest.raises(WickError, match="atr mixes columns of 3 and 5 candles"):
        atr(column(), column(), column(X[:3]), 2)


ALLOWED: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "+": (lambda x, y: x + y, np.add),
    "-": (lambda x, y: x - y, np.subtract),
    "*": (lambda x, y: x * y, np.multiply),
    "/": (lambda x, y: x / y, np.true_divide),
    "<": (lambda x, y: x < y, np.less),
    "<=": (lambda x, y: x <= y, np.less_equal),
    ">": (lambda x, y: x > y, np.greater),
    ">=": (lambda x, y: x >= y, np.greater_equal),
    "minimum": (minimum, np.minimum),
    "maximum": (maximum, np.maximum),
    "negative": (lambda x, y: -x, lambda x, y: np.negative(x)),
    "abs": (lambda x, y: abs(x), lambda x, y: np.abs(x)),
    "sqrt": (lambda x, y: sqrt(x), lambda x, y: np.sqrt(x)),
    "where": (lambda x, y: where(x > y, x, y), lambda x, y: np.where(x > y, x, y)),
    "&": (lambda x, y: (x > y) & (x < 5.0), lambda x, y: (x > y) & (x < 5.0)),
    "|": (lambda x, y: (x > y) | (x < 5.0), lambda x, y: (x > y) | (x < 5.0)),
}
floats = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize("name", ALLOWED)
@settings(max_examples=30, deadline=None)
@given(x=arrays(np.float64, 6, elements=floats), y=arrays(np.float64, 6, elements=floats), k=floats)
def test_what_is_allowed_equals_numpy(name: str, x: np.ndarray, y: np.ndarray, k: float) -> None:
    ours, theirs = ALLOWED[name]
    with inside_indicators():
        found = [ours(column(x), column(y)), ours(column(x), k)]
        if name not in ("negative", "abs", "sqrt", "where", "&", "|"):
            found += [ours(k, column(y)), ours(np.float64(k), column(y))]
    with np.errstate(all="ignore"):
        wanted = [theirs(x, y), theirs(x, k), theirs(k, y), theirs(k, y)]
    for result, expected in zip(found, wanted, strict=False):
        np.testing.assert_array_equal(result.values, expected)
        assert result.timeframe == "1m"


def test_a_whole_number_is_a_number_and_numpy_numbers_work_on_both_sides() -> None:
    for two in (2, 2.0, np.float64(2), np.int64(2), np.float32(2)):
        for made in (column() * two, two * column()):
            np.testing.assert_array_equal(made.values, X * 2)
        np.testing.assert_array_equal(cast(Column, two > column()).values, X < 2)


@pytest.mark.parametrize("use", [len, lambda x: x.values, np.asarray])
def test_outside_indicators_the_numbers_can_be_taken_out(use: Any) -> None:
    use(column())
    with pytest.raises(WickError, match="cannot be indexed"):
        column()[0]


def test_a_column_tells_what_it_is_and_is_no_key() -> None:
    assert repr(column()) == "Column(1m, 5 values)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(column())
    assert same_bits(copy.copy(column()).values, X)


def test_the_memo_tells_operations_operands_and_constants_apart() -> None:
    candles = market(2, 50)
    close, high = candles.arrays["close"], candles.arrays["high"]
    with MemoTape() as memo:
        made = [
            (candles.close - candles.high, close - high),
            (candles.high - candles.close, high - close),
            (candles.close - 1.0, close - 1.0),
            (1.0 - candles.close, 1.0 - close),
            (candles.close + 0.0, close + 0.0),
            (candles.close * -0.0, close * -0.0),
            (candles.close * 0.0, close * 0.0),
            (candles.close * 0, close * 0.0),
            (where(candles.close > 1000.0, 1.0, 0.0), np.where(close > 1000.0, 1.0, 0.0)),
            (where(candles.close > 1000.0, 0.0, 1.0), np.where(close > 1000.0, 0.0, 1.0)),
            (previous(candles.close) - sma(candles.close, 1), None),
        ]
        computed = memo.computed
        assert same_bits((candles.close - candles.high)._values, close - high)
        assert memo.computed == computed
    for result, expected in made:
        if expected is not None:
            assert same_bits(result._values, expected)


@pytest.mark.parametrize("look", ["arrays", "open_time", "slice"])
def test_candles_do_not_show_their_arrays_inside_indicators(look: str) -> None:
    candles = market(3, 20)
    with inside_indicators(), pytest.raises(WickError, match=LIVE):
        candles.slice(0, 1) if look == "slice" else getattr(candles, look)
    assert len(candles.arrays["close"]) == 20
