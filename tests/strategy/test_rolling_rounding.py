"""Windows keep their digits: next to large values, after them, and in noise on a large price."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from strategy import indicators
from strategy.column import Column
from strategy.errors import WickError
from strategy.indicators.by_value import logarithms
from strategy.indicators.rolling import moments
from tests.strategy.market import market

LENGTH = 10


def values_of(function: Callable[..., Column], x: np.ndarray, *numbers: float) -> np.ndarray:
    return np.asarray(function(Column(x, "1m"), *numbers).values)


def exact_std(window: np.ndarray) -> float:
    exact = [Fraction(v) for v in window.tolist()]
    middle = sum(exact) / len(exact)
    variance = sum((v - middle) ** 2 for v in exact) / len(exact)
    return math.sqrt(variance)


@pytest.mark.parametrize("length", [5, 20, 500])
def test_the_deviation_of_small_noise_on_a_large_price_keeps_its_digits(length: int) -> None:
    x = 1e5 + 1e-3 * np.random.default_rng(3).standard_normal(1500)
    found = values_of(indicators.rolling_std, x, length)
    expected = [exact_std(x[at - length + 1 : at + 1]) for at in range(length - 1, 1500)]
    np.testing.assert_allclose(found[length - 1 :], expected, rtol=1e-14)


@pytest.mark.parametrize("start", [0, 3, 9])
def test_a_huge_value_that_has_left_the_window_leaves_no_trace(start: int) -> None:
    quiet = np.random.default_rng(4).standard_normal(60)
    x = quiet.copy()
    x[start : start + 4] = [1e15, -3e15, 2e15, 1e12]
    gone = start + 3 + LENGTH
    for function in (
        indicators.rolling_std,
        indicators.wma,
        indicators.linear_regression_slope,
        indicators.rolling_max,
        indicators.rolling_min,
    ):
        with_it, without = (values_of(function, each, LENGTH) for each in (x, quiet))
        np.testing.assert_allclose(with_it[gone:], without[gone:], rtol=1e-13, atol=1e-15)


def test_a_rolling_sum_is_rid_of_a_huge_value_within_two_windows() -> None:
    x = np.concatenate([np.full(25, 1e15), np.full(40, 0.1)])
    np.testing.assert_allclose(values_of(indicators.rolling_sum, x, LENGTH)[-20:], 1.0, rtol=1e-15)


def test_equal_values_have_no_deviation_at_all_even_after_others() -> None:
    x = np.concatenate([1e5 * np.random.default_rng(5).random(25), np.full(40, 1000.07)])
    assert (values_of(indicators.rolling_std, x, LENGTH)[25 + LENGTH - 1 :] == 0.0).all()
    assert (values_of(indicators.zscore, x, LENGTH)[25 + LENGTH - 1 :] == 0.0).all()


def test_the_mean_of_the_moments_is_the_simple_average() -> None:
    close = market(6, 400).close
    mean = moments(close, 20)[0].values
    np.testing.assert_allclose(mean, indicators.sma(close, 20).values, rtol=1e-14)


def test_a_percentile_has_the_bits_of_numpys() -> None:
    x = np.random.default_rng(7).standard_normal(300)
    for percent in (0.0, 12.5, 33.3, 50.0, 99.0, 100.0):
        found = values_of(indicators.rolling_percentile, x, 24, percent)
        expected = [np.percentile(x[at - 23 : at + 1], percent) for at in range(23, 300)]
        np.testing.assert_array_equal(found[23:], expected)


def test_a_strength_that_moves_by_rounding_only_stands_in_the_middle() -> None:
    # While a price stands still its RSI does too, but for the last bits of two averages.
    x = np.concatenate([1000.0 + np.random.default_rng(8).standard_normal(60), np.full(60, 1000.0)])
    strength = indicators.rsi(Column(x, "1m")).values[-30:]
    assert 0.0 < np.ptp(strength) < 1e-9
    assert (indicators.stoch_rsi(Column(x, "1m")).k.values[-30:] == 50.0).all()


def test_a_logarithm_has_the_bits_of_the_c_library() -> None:
    draw = np.random.default_rng(9)
    x = np.exp(np.concatenate([draw.normal(0.0, 1e-3, 60_000), draw.normal(0.0, 20.0, 60_000)]))
    expected = np.array([math.log(v) for v in x.tolist()])
    assert (logarithms(x).view(np.uint64) == expected.view(np.uint64)).all()
    odd = np.array([0.0, -1.0, math.nan, math.inf, 1.0])
    np.testing.assert_array_equal(logarithms(odd), [math.nan, math.nan, math.nan, math.inf, 0.0])


def test_realized_volatility_knows_how_many_candles_a_year_has() -> None:
    draw = np.random.default_rng(10)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.6 / math.sqrt(365.0), 4000)))
    daily = indicators.realized_volatility(Column(close, "1d"), 3000).values
    hourly = indicators.realized_volatility(Column(close, "1h"), 3000).values
    assert daily[-1] == pytest.approx(0.6, rel=0.03)
    np.testing.assert_allclose(hourly, daily * math.sqrt(24.0), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda c: indicators.wma(c.close, 0), "wma: length is 0, expected a whole number"),
        (lambda c: indicators.hull(c.close, 1), "hull: length is 1, .* from 2 to 100000"),
        (lambda c: indicators.linear_regression_slope(c.close, 1), "slope: length is 1, .* from 2"),
        (
            lambda c: indicators.realized_volatility(c.close, 1),
            "volatility: length is 1, .* from 2",
        ),
        (
            lambda c: indicators.bollinger(c.close, 20, True),
            "bollinger: multiple is True, expected",
        ),
        (
            lambda c: indicators.bollinger(c.close, 20, math.nan),
            "multiple is nan, expected a number",
        ),
        (
            lambda c: indicators.keltner(c.high, c.low, c.close, multiple=-1),
            "keltner: multiple is -1",
        ),
        (
            lambda c: indicators.rolling_percentile(c.close, 9, 101),
            "percent is 101, expected a number from 0 to 100",
        ),
    ],
)
def test_a_number_out_of_range_is_refused(call: Callable[..., object], said: str) -> None:
    with pytest.raises(WickError, match=said):
        call(market(1, 5))
