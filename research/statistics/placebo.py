"""Markets in which nothing can be foreseen: the same moves in another order."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backtest.engine import Grids, Result
from backtest.inputs import Inputs
from strategy.candles import Candles
from strategy.fills import DETAIL, WORST
from strategy.funding import no_funding

BLOCK_MAX = 20  # candles
_SHARE = 4  # of the winner's usual holding time


def block_for(result: Result) -> int:
    """Choose the length of blocks, in candles: a quarter of the run's median holding time, at most
    20.

    What a strategy foresees within a block survives the shuffling, so a block has to be short
    beside a trade; the longer it is, the more of calm and storm it keeps.
    """
    trades = result.trades
    if not len(trades):
        return BLOCK_MAX
    held = np.median(trades.exit_time - trades.entry_time) / result.candles[0].timeframe_ms
    return int(min(max(held / _SHARE, 1), BLOCK_MAX))


def placebo(inputs: Inputs, block: int, seed: int) -> Inputs:
    """Give a run's inputs with shuffled candles.

    Funding, mark prices, maintenance tiers, book data and finer candles belong to the prices that
    were and are left out; candles that only warm indicators up stay as they are.
    """
    candles = shuffled(inputs.candles, inputs.grids, block, seed)
    history = tuple(
        _behind(before, one) for before, one in zip(inputs.history, candles, strict=False)
    )
    case = inputs.costs.intrabar
    costs = inputs.costs._replace(spread=0.0, intrabar=WORST if case == DETAIL else case)
    terms = tuple((msgspec.structs.replace(its[0], margin=None),) for its in inputs.terms)
    return dataclasses.replace(
        inputs,
        candles=candles,
        history=history,
        costs=costs,
        terms=terms,
        funding=tuple(no_funding() for _ in candles),
        marks=(),
        spreads=(),
        detail=(),
    )


def shuffled(every: Sequence[Candles], grids: Grids, block: int, seed: int) -> tuple[Candles, ...]:
    """Put blocks of candles into another order and chain them anew.

    What is kept of a candle is its open, high, low and close against the close before it, and its
    volumes; each history keeps its times, its first close and, but for rounding to ticks, its last.
    Blocks are spans of time, the same ones in the same order for all symbols.

    Parameters
    ----------
    every : sequence of Candles
    grids : array of GRID
        Whose ticks the prices lie on.
    block : int
        Candles.
    seed : int
    """
    return tuple(_shuffled(one, its, block, seed) for one, its in zip(every, grids, strict=True))


def _shuffled(candles: Candles, grid: Any, block: int, seed: int) -> Candles:
    arrays = candles.arrays
    times, close = arrays["open_time"], arrays["close"]
    if len(times) < 2:
        return candles
    # The first candle stays: there is no close before it.
    of_block = times[1:] // (block * candles.timeframe_ms)
    order = np.argsort(_keys(of_block, seed), kind="stable") + 1
    after = np.cumprod((close[1:] / close[:-1])[order - 1])
    before = close[0] * np.concatenate(([1.0], after[:-1]))
    tick_mul, tick_div = float(grid["tick_mul"]), float(grid["tick_div"])

    def ticks(price: NDArray[np.float64]) -> NDArray[np.float64]:
        count = np.maximum(np.rint(price * tick_div / tick_mul), 1.0)
        return count * tick_mul / tick_div

    out = {"open_time": times}
    for name, array in arrays.items():
        if name in ("open", "high", "low", "close"):
            moved = ticks(array[order] / close[order - 1] * before)
        elif name != "open_time":
            moved = array[order]
        else:
            continue
        out[name] = np.concatenate((array[:1], moved))
    # Rounding keeps the order of a candle's prices, but products of floats can lose it before.
    highest = np.maximum(np.maximum(out["open"], out["close"]), out["low"])
    out["high"] = np.maximum(out["high"], highest)
    out["low"] = np.minimum(out["low"], np.minimum(out["open"], out["close"]))
    return Candles.from_arrays(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=candles.timeframe,
        **{name: out[name] for name in arrays},
    )


def _keys(blocks: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    # A number for each block that depends on it and the seed alone (splitmix64, Steele, Lea and
    # Flood 2014), so that symbols of different histories agree.
    start = np.random.default_rng(seed).integers(0, 2**63, dtype=np.uint64)
    x = (blocks.astype(np.uint64) + start) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _behind(before: Candles, candles: Candles) -> Candles:
    warm = len(before.arrays["open_time"]) - len(candles.arrays["open_time"])
    return Candles.from_arrays(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=candles.timeframe,
        **{
            name: np.concatenate((array[:warm], candles.arrays[name]))
            for name, array in before.arrays.items()
        },
    )
