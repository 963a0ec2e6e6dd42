"""Cross-validation agrees with a slow twin, with a published run and with what it must find."""

import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from research.statistics.overfitting import blocks_of, overfit, splits

Floats = NDArray[np.float64]


def slow(returns: Floats, blocks: int) -> list[tuple[float, float, float]]:
    """Halve the days in every way, one after the other."""
    trials, days = returns.shape
    length = days // blocks
    cut = returns[:, days - length * blocks :]
    out = []
    for chosen in combinations(range(blocks), blocks // 2):
        here = np.repeat([at in chosen for at in range(blocks)], length)
        inside, outside = ([_sharpe(row[part]) for row in cut] for part in (here, ~here))
        best = max(inside)
        its = [o for i, o in zip(inside, outside, strict=True) if i >= best - 1e-12]
        mean = sum(its) / len(its)
        below = sum(o < mean - 1e-12 for o in outside)
        equal = sum(abs(o - mean) <= 1e-12 for o in outside)
        out.append((best, mean, (below + (equal + 1) / 2) / (trials + 1)))
    return out


def _sharpe(returns: Floats) -> float:
    spread = returns.std(ddof=1)
    return float(returns.mean() / spread) if spread > 1e-14 else 0.0


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from([4, 6]), st.integers(0, 3))
def test_the_fast_way_finds_what_the_slow_one_does(
    seed: int, trials: int, blocks: int, more: int
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((trials, blocks * 5 + more)) * 0.01
    # Trials that are equal, or do nothing, for a part of the days.
    returns[0, : blocks * 2] = 0.0
    returns[-1, blocks * 2 :] = returns[trials // 2, blocks * 2 :]
    fast = np.array(splits(returns, blocks)).T
    twin = np.array(slow(returns, blocks))
    assert fast.shape == twin.shape == (math.comb(blocks, blocks // 2), 3)
    order, other = (np.lexsort(np.round(one, 9).T) for one in (fast, twin))
    assert fast[order] == pytest.approx(twin[other], abs=1e-9)


def test_a_matrix_worked_by_hand() -> None:
    # Four blocks of two days, three trials; in each block a trial earns a ± 1.
    means = np.array([[4, 4, -4, -4], [1, 1, 1, 1], [-4, -4, 4, 4]])
    returns = (means[:, :, None] + np.array([1.0, -1.0])).reshape(3, 8)
    found = splits(returns, 4)
    # Halves {1, 2} and {3, 4}: the first or the last trial is best and then the worst, rank 1 of
    # 3. The other four halves: the steady trial is best in sample and out of sample, rank 3.
    assert sorted(found.rank.tolist()) == [0.25, 0.25, 0.75, 0.75, 0.75, 0.75]
    assert sorted(np.round(found.outside * math.sqrt(4 / 3), 12).tolist()) == [-4, -4, 1, 1, 1, 1]


def test_the_published_run_of_the_pbo_package_is_found_again() -> None:
    # CRAN's pbo 1.3.5, vignette: set.seed(765), 100 trials of 2,400 days that all have the mean 0,
    # 8 blocks, a free rate of 3 % a year. It prints p_bo 1, p_loss 1, adjusted R² 0.97 and, as
    # "slope", the intercept -0.003046 of the line through the ratios of both halves.
    returns = _normal(765, 240_000).reshape(100, 2_400)
    returns *= 252**-0.5 / returns.std(axis=1, ddof=1, keepdims=True)
    returns -= returns.mean(axis=1, keepdims=True) + 0.03 / 252
    found = splits(returns, 8)
    assert (found.rank <= 0.5).mean() == 1.0
    assert (found.outside < 0.0).mean() == 1.0
    slope, intercept = np.polyfit(found.outside, found.inside, 1)
    assert intercept == pytest.approx(-0.003046, abs=5e-7)
    left = found.inside - slope * found.outside - intercept
    n = len(left)
    fit = 1.0 - left.var() / found.inside.var()
    assert round(1.0 - (1.0 - fit) * (n - 1) / (n - 2), 2) == 0.97


def _normal(seed: int, n: int) -> Floats:
    """Draw as R's rnorm does after set.seed: Mersenne Twister, turned round by inversion."""
    for _ in range(50):
        seed = (69_069 * seed + 1) % 2**32
    state = []
    for _ in range(625):
        seed = (69_069 * seed + 1) % 2**32
        state.append(seed)
    twister = np.random.MT19937()
    twister.state = {
        "bit_generator": "MT19937",
        "state": {"key": np.array(state[1:], np.uint32), "pos": 624},
    }
    u = (twister.random_raw(2 * n) * 2.3283064365386963e-10).reshape(n, 2)
    big = 134_217_728
    normal = NormalDist()
    both = ((big * u[:, 0]).astype(np.int64) + u[:, 1]) / big
    return np.array([normal.inv_cdf(one) for one in both.tolist()])


def test_noise_is_overfitted_half_of_the_time_and_a_dominating_trial_never() -> None:
    found = []
    for seed in range(20):
        returns = np.random.default_rng(seed).standard_normal((30, 96)) * 0.01
        pbo = overfit(returns).pbo
        assert pbo is not None
        found.append(pbo)
        returns[7] += 0.02
        assert overfit(returns).pbo == 0.0
    assert np.mean(found) == pytest.approx(0.5, abs=0.12)


def test_trials_that_repeat_or_rest_change_nothing() -> None:
    rng = np.random.default_rng(3)
    returns = rng.standard_normal((12, 100)) * 0.01
    plain = overfit(returns)
    more = np.concatenate((returns, returns[:5], np.zeros((3, 100)), np.full((2, 100), np.nan)))
    assert overfit(more[rng.permutation(len(more))]) == plain
    assert plain.trials == 12
    assert (plain.blocks, plain.splits) == (16, 12_870)


def test_the_logits_are_quantiles() -> None:
    found = overfit(np.random.default_rng(4).standard_normal((20, 64)) * 0.01)
    assert found.blocks == 12
    assert len(found.logits) == 101
    assert found.logits == sorted(found.logits)
    assert found.pbo == pytest.approx(np.mean(np.array(found.logits) <= 0.0), abs=0.02)


def test_short_histories_have_fewer_blocks_and_then_none() -> None:
    assert [blocks_of(days) for days in (0, 29, 30, 39, 40, 79, 80, 5000)] == [
        0, 0, 6, 6, 8, 14, 16, 16,
    ]  # fmt: skip
    rng = np.random.default_rng(5)
    assert overfit(rng.standard_normal((5, 29))).note == "needs 30 days, has 29"
    one = overfit(np.tile(rng.standard_normal(90), (4, 1)))
    assert (one.pbo, one.note) == (None, "needs 2 trials that trade and differ, has 1")
    for empty in (np.empty((0, 90)), np.empty((4, 0))):
        assert overfit(empty).pbo is None
