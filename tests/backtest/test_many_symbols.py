"""Many symbols on one balance: what each instant costs must not change what it decides."""

import dataclasses
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backtest.engine import Result, backtest
from backtest.joining import join, timeline_of
from backtest.kernels.queue import pop, push
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.load import load
from strategy.tape import MemoTape
from tests.backtest.random_markets import (
    assert_agree,
    draw_portfolio,
    draw_ranked,
    run_fast,
    run_slow,
)
from tests.backtest.script import MINUTE, MONDAY

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500")) // 5
PORTFOLIOS, RANKED = (
    st.builds(
        draw,
        seed=st.integers(0, 2**32),
        length=st.integers(1, 60),
        symbols=st.integers(4, 12),
    )
    for draw in (draw_portfolio, draw_ranked)
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(PORTFOLIOS | RANKED)
def test_both_engines_agree_on_many_symbols_that_begin_and_end_at_different_times(
    world: Any,
) -> None:
    assert_agree(lambda: run_fast(world), run_slow(world))


def _market(seed: int) -> Candles:
    # With holes, and neither beginning nor ending with the others.
    made = synthetic_market(seed, 4_000 + 500 * seed, MONDAY + 300 * seed * MINUTE)
    rng = np.random.default_rng(seed)
    kept = rng.random(len(made.open_time)) > 0.01 * seed
    arrays: dict[str, Any] = {name: values[kept] for name, values in made.arrays.items()}
    return Candles.from_arrays(symbol=f"S{seed}USDT", market="um", timeframe="1m", **arrays)


def _bits(result: Result) -> tuple[bytes, ...]:
    return tuple(
        array.tobytes()
        for array in (result.trades, result.parts, result.equity, result.time, result.refused)
    )


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    strategy = load("rsi_macd_atr")
    params = strategy.with_params({"oversold": 35, "overbought": 65, "stop": 2, "take": 3})
    candles = [_market(seed) for seed in range(5)]
    done: list[int] = []
    results = [
        backtest(strategy, candles, params=params, threads=threads, progress=lambda: done.append(1))
        for threads in (1, 2, 7, None)
    ]
    assert len(results[0].trades) > 30
    assert len({_bits(result) for result in results}) == 1
    assert len(done) == 4 * 5
    with MemoTape() as memo:
        assert _bits(backtest(strategy, candles, params=params)) == _bits(results[0])
    assert memo.computed > 0


def test_what_conditions_say_is_shared_on_a_memo_tape_where_they_read_the_same() -> None:
    strategy, calls = load("rsi_macd_atr"), []

    def counting(*arguments: Any) -> Any:
        calls.append(1)
        return strategy.rules.signals(*arguments)

    counted = dataclasses.replace(
        strategy, rules=dataclasses.replace(strategy.rules, signals=counting)
    )
    candles = [_market(seed) for seed in range(2)]
    with MemoTape():
        for oversold, stop in ((35, 2), (35, 4), (30, 4), (30, 2)):
            params = strategy.with_params({"oversold": oversold, "stop": stop})
            shared = backtest(counted, candles, params=params)
            assert len(shared.trades) > 0
            with MemoTape():
                assert _bits(shared) == _bits(backtest(strategy, candles, params=params))
    assert len(calls) == 2 * len(candles)


def test_candles_that_lie_one_behind_the_other_give_the_same_result_without_a_copy() -> None:
    strategy = load("breakout_donchian")
    candles = [_market(seed) for seed in range(3)]
    whole = {
        name: np.concatenate([one.arrays[name] for one in candles]) for name in candles[0].arrays
    }
    edges = np.cumsum([0, *(len(one.open_time) for one in candles)]).tolist()
    joined = [
        Candles(one.symbol, "um", "1m", {name: array[a:b] for name, array in whole.items()})
        for one, a, b in zip(candles, edges, edges[1:], strict=False)
    ]
    assert np.shares_memory(join([one.arrays["open"] for one in joined]), whole["open"])
    assert _bits(backtest(strategy, joined)) == _bits(backtest(strategy, candles))


def test_arrays_are_joined_in_order_wherever_they_lie() -> None:
    whole = np.arange(10.0)
    for parts in (
        [whole[:4], whole[4:]],
        [whole[2:4], whole[4:9]],
        [whole[4:], whole[:4]],
        [whole[:4], whole[5:]],
        [whole[:4].copy(), whole[4:]],
        [whole],
    ):
        assert join(parts).tolist() == np.concatenate(parts).tolist()


@given(st.lists(st.sets(st.integers(0, 400), max_size=40), min_size=1, max_size=5))
def test_the_timeline_is_the_union_of_all_times(times: list[set[int]]) -> None:
    arrays = [MINUTE * np.array(sorted(one), np.int64) for one in times]
    assert timeline_of(arrays, MINUTE).tolist() == np.unique(np.concatenate(arrays)).tolist()


@pytest.mark.parametrize("starts", [(0, 0), (0, 3), (3, 0), (0, 100), (0, 100_000)])
def test_the_timeline_of_gapless_histories_is_their_union(starts: tuple[int, int]) -> None:
    arrays: list[NDArray[np.int64]] = [MINUTE * np.arange(one, one + 50) for one in starts]
    assert timeline_of(arrays, MINUTE).tolist() == np.unique(np.concatenate(arrays)).tolist()


@given(st.lists(st.integers(0, 9), max_size=40))
def test_the_queue_gives_the_earliest_first_and_symbols_of_one_time_in_order(
    due: list[int],
) -> None:
    times, symbols = np.empty((2, len(due) + 1), np.int64)
    for s in reversed(range(len(due))):
        push(times, symbols, len(due) - 1 - s, due[s], s)
    taken = [int(pop(times, symbols, size)) for size in range(len(due), 0, -1)]
    assert taken == sorted(range(len(due)), key=lambda s: (due[s], s))


def test_less_than_one_thread_is_refused() -> None:
    with pytest.raises(WickError, match="threads is 0, expected 1 or more"):
        backtest(load("rsi_macd_atr"), _market(1), threads=0)
