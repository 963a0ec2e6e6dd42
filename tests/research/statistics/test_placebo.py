"""A placebo has the moves of a market and none of its order."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.inputs import run
from data.symbols import fine_rules, grids_of
from data.synthetic import synthetic_market
from research.statistics.placebo import BLOCK_MAX, block_for, placebo, shuffled
from strategy.candles import Candles
from strategy.funding import Funding
from strategy.grid import grid
from strategy.load import load
from tests.calibration import START_MS, USUAL, inputs_of, market, trend

NAMES = ("open", "high", "low", "close")


def part(candles: Candles, keep: np.ndarray) -> Candles:
    """Leave candles out."""
    arrays = {name: array[keep] for name, array in candles.arrays.items()}
    return Candles.from_arrays(
        symbol="OTHERUSDT", market=candles.market, timeframe=candles.timeframe, **arrays
    )


def fine(*every: Candles) -> np.ndarray:
    return grids_of([fine_rules(one.market, one.symbol, 30_000.0) for one in every])


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 400))
def test_moves_and_volumes_are_those_of_the_market_in_blocks(
    seed: int, block: int, length: int
) -> None:
    candles = synthetic_market(seed, length, START_MS)
    (found,) = shuffled([candles], fine(candles), block, seed)
    before, after = candles.arrays, found.arrays
    assert after.keys() == before.keys()
    assert np.array_equal(after["open_time"], before["open_time"])
    moves, others = (np.diff(np.log(one["close"])) for one in (before, after))
    assert np.sort(others) == pytest.approx(np.sort(moves), abs=1e-8)
    assert after["close"][-1] == pytest.approx(before["close"][-1], rel=1e-6)
    # Which candle came to which place: no two have the same volumes and moves.
    places = [
        int(np.argmin(np.abs(before["quote_volume"][1:] - volume) + np.abs(moves - move)))
        for volume, move in zip(after["quote_volume"][1:], others, strict=True)
    ]
    assert sorted(places) == list(range(length - 1))
    ids = before["open_time"][1:] // 60_000 // block
    breaks = sum(b != a + 1 for a, b in pairwise(places))
    assert breaks <= len(np.unique(ids)) - 1
    for name in ("open", "high", "low"):
        was = before[name][1:] / before["close"][:-1]
        is_ = after[name][1:] / after["close"][:-1]
        assert is_ == pytest.approx(was[places], rel=1e-7)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["0.5", "0.025", "400", "20000"]))
def test_prices_lie_on_ticks_and_stay_above_0(seed: int, tick: str) -> None:
    candles = synthetic_market(seed, 300, START_MS)
    (found,) = shuffled([candles], grid(tick), 7, seed)
    for name in NAMES:
        count = found.arrays[name][1:] / float(tick)
        assert count == pytest.approx(np.rint(count), abs=1e-9)
        assert count.min() >= 0.99


def test_symbols_are_shuffled_in_the_same_order_whatever_they_lack() -> None:
    whole = synthetic_market(3, 600, START_MS)
    gaps = np.random.default_rng(1).random(600) < 0.8
    gaps[0] = True
    late = np.arange(600) >= 200
    every = [whole, part(whole, gaps), part(whole, late)]
    first, second, third = shuffled(every, fine(*every), 10, 4)
    order = [float(v) for v in first.arrays["quote_volume"]]
    for other in (second, third):
        theirs = [float(v) for v in other.arrays["quote_volume"][1:]]
        known = set(theirs)
        assert [v for v in order[1:] if v in known] == theirs


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    candles = synthetic_market(3, 600, START_MS)
    first, again, other = (
        shuffled([candles], fine(candles), 10, seed)[0].fingerprint for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_trend_is_gone_and_the_spread_of_moves_is_not() -> None:
    trending = market(5, 90, 0.4)
    (found,) = shuffled([trending], fine(trending), 5, 1)

    def lagged(candles: Candles) -> float:
        sums = np.diff(np.log(candles.arrays["close"]))[: 96 * 89].reshape(-1, 12).sum(axis=1)
        return float(np.corrcoef(sums[1:], sums[:-1])[0, 1])

    assert lagged(trending) > 0.4
    assert abs(lagged(found)) < 0.1


def test_blocks_are_short_beside_the_trades() -> None:
    result = run(inputs_of(trend(), market(1, 60, 0.0), USUAL))
    held = np.median(result.trades.exit_candle - result.trades.entry_candle)
    assert block_for(result) == int(held // 4) > 1
    long = result.trades.copy()
    long.exit_time += 10**12
    none = result.trades[:0]
    for trades in (long, none):
        other = type(result)(
            **{f: getattr(result, f) for f in result.__slots__} | {"trades": trades}
        )
        assert block_for(other) == BLOCK_MAX


def test_what_belongs_to_the_real_prices_is_left_out_and_warming_up_stays() -> None:
    whole = market(1, 30, 0.0)
    candles = whole.slice(500, len(whole))
    given_ = inputs_of(load("trend_ema"), candles, USUAL._replace(spread=1.0, intrabar=2))
    funding = Funding(np.array([START_MS]), np.array([0.1]), np.array([1.0]))
    given_ = dataclasses.replace(given_, funding=(funding,), history=(whole,), detail=(whole,))
    found = placebo(given_, 5, 1)
    assert len(found.funding[0].time) == 0
    assert (found.detail, found.marks, found.spreads) == ((), (), ())
    assert (found.costs.spread, found.costs.intrabar) == (0.0, 0)
    assert found.costs.fee_rate == given_.costs.fee_rate
    for name in ("open_time", *NAMES):
        assert np.array_equal(found.history[0].arrays[name][:500], whole.arrays[name][:500])
        assert np.array_equal(found.history[0].arrays[name][500:], found.candles[0].arrays[name])
