"""Large values that have gone and equal prices must not leave their rounding behind."""

import math

import numpy as np
import pytest

from strategy import indicators
from strategy.column import Column
from strategy.errors import WickError
from tests.strategy.market import market


def columns(*arrays: np.ndarray) -> list[Column]:
    return [Column(np.asarray(array, np.float64), "1m") for array in arrays]


def test_a_long_history_leaves_no_rounding_in_on_balance_volume() -> None:
    draw = np.random.default_rng(1)
    steps = draw.choice([-1.0, 1.0], 100_000)
    close, volume = 1e6 + np.cumsum(steps), draw.random(100_000) * 10.0 ** draw.integers(-8, 9)
    volume[:50] *= 1e9
    found = indicators.obv(*columns(close, volume)).values
    signed = volume * np.r_[1.0, steps[1:]]
    for at in (10, 1_000, 99_999):
        assert found[at] == pytest.approx(math.fsum(signed[: at + 1]), rel=1e-15, abs=0.0)


def test_a_volume_that_has_left_the_window_leaves_nothing_behind() -> None:
    price = np.r_[np.full(30, 3.0), np.linspace(0.1, 0.2, 30)]
    volume = np.r_[np.full(30, 1e15 / 3.0), np.full(30, 0.1)]
    high, low, close, traded = columns(price, price, price, volume)
    vwap = indicators.rolling_vwap(high, low, close, traded, 7).values
    for at in range(36, 60):
        assert vwap[at] == pytest.approx(price[at - 6 : at + 1].mean(), rel=1e-15)
    flow = indicators.mfi(high, low, close, traded, 7).values
    np.testing.assert_array_equal(flow[37:], 100.0)


def test_a_window_without_volume_has_no_average_and_no_flow_either_way() -> None:
    price = np.linspace(1.0, 2.0, 40) / 3.0
    volume = np.r_[np.full(20, 0.1), np.zeros(20)]
    high, low, close, traded = columns(price, price, price, volume)
    assert np.isnan(indicators.rolling_vwap(high, low, close, traded, 5).values[24:]).all()
    np.testing.assert_array_equal(indicators.mfi(high, low, close, traded, 5).values[24:], 50.0)


def test_prices_that_differ_by_rounding_alone_are_equal() -> None:
    # The same three prices in another order: their sums as doubles are not the same.
    thirds = np.array([[0.1, 0.7, 0.3], [0.7, 0.3, 0.1], [0.3, 0.1, 0.7]] * 10).T
    assert len(set((thirds[0] + thirds[1] + thirds[2]).tolist())) > 1
    high, low, close = columns(*thirds)
    np.testing.assert_array_equal(indicators.cci(high, low, close, 6).values[5:], 0.0)
    (volume,) = columns(np.ones(30))
    np.testing.assert_array_equal(indicators.mfi(high, low, close, volume, 6).values[6:], 50.0)


@pytest.mark.parametrize("length", [1, 3, 7])
def test_rounding_does_not_leave_0_to_100(length: int) -> None:
    for seed in range(20):
        c = market(seed, 300)
        found = [
            indicators.mfi(c.high, c.low, c.close, c.volume, length),
            *indicators.adx(c.high, c.low, c.close, length)[1:],
            *indicators.aroon(c.high, c.low, length)[:2],
        ]
        for column in found:
            assert np.nanmin(column.values) >= 0.0
            assert np.nanmax(column.values) <= 100.0


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "3", None, True])
def test_a_number_out_of_range_is_refused(bad: object) -> None:
    c = market(1, 5)
    with pytest.raises(
        WickError, match=r"supertrend: multiple is .*, expected a number from 0 to 1000"
    ):
        indicators.supertrend(c.high, c.low, c.close, 3, bad)  # type: ignore[arg-type]
    with pytest.raises(WickError, match=r"parabolic_sar: maximum is .*, expected a number"):
        indicators.parabolic_sar(c.high, c.low, 0.02, bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [0, 14.0, None])
def test_lengths_are_checked_before_memory_is_made_for_them(bad: object) -> None:
    c = market(1, 5)
    for call in (
        lambda: indicators.adx(c.high, c.low, c.close, bad),  # type: ignore[arg-type]
        lambda: indicators.aroon(c.high, c.low, bad),  # type: ignore[arg-type]
        lambda: indicators.cci(c.high, c.low, c.close, bad),  # type: ignore[arg-type]
        lambda: indicators.mfi(c.high, c.low, c.close, c.volume, bad),  # type: ignore[arg-type]
        lambda: indicators.rolling_vwap(c.high, c.low, c.close, c.volume, bad),  # type: ignore[arg-type]
    ):
        with pytest.raises(WickError, match=r"length is .*, expected a whole number from 1"):
            call()
