"""A slice of what docs/overfitting.md says of noise and of planted edges."""

from functools import partial

import numpy as np
import pytest

from backtest.inputs import run
from tests.calibration import FREE, USUAL, inputs_of, judged, line, market, trend


def test_noise_is_no_edge_and_a_strong_trend_is_one() -> None:
    one = partial(judged, days=365, trials=60)
    noise = [one(seed, strength=0.0, costs=USUAL) for seed in range(4)]
    assert not any(its.edge for its in noise)
    strong = [one(seed, strength=0.2, costs=USUAL) for seed in range(3)]
    assert sum(its.edge for its in strong) >= 2
    assert np.mean([its.fresh for its in strong]) > 2.0 > np.mean([its.fresh for its in noise])
    assert line("strong", strong).startswith("| strong | ")


def test_no_order_is_worth_anything_in_noise_without_costs() -> None:
    ends = []
    for seed in range(40):
        inputs = inputs_of(trend(), market(seed, 120, 0.0), FREE)
        ends.append(run(inputs).equity[-1] / inputs.balance - 1.0)
    assert abs(np.mean(ends)) < 3.0 * np.std(ends) / np.sqrt(len(ends))


def test_candles_of_a_drawn_market_move_as_they_should() -> None:
    arrays = market(3, 365, 0.0).arrays
    moves = np.diff(np.log(arrays["close"]))
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.02
    calm = np.corrcoef(np.abs(moves[1:]), np.abs(moves[:-1]))[0, 1]
    assert calm > 0.05
    # The mean range of a Brownian motion is √(8 ÷ π) of its standard deviation; storms are evened
    # out by what each candle is wide.
    reach = np.log(arrays["high"] / arrays["low"])
    wide = np.log(arrays["close"] / arrays["open"])
    assert reach.mean() / np.abs(wide).mean() == pytest.approx(2.0, rel=0.02)
