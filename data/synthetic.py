"""A seeded market for tests, benchmarks and a first look without a network. No real prices."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from strategy.timeframes import timeframe_ms

if TYPE_CHECKING:
    from strategy.candles import Candles

_STEPS = 8  # trades a candle's path is drawn with
_TICKS_PER_UNIT = 10  # a tick of 0.1
_FIRST_PRICE = 30_000.0
_BLOCK = 1_440  # candles over which steps keep one price as their measure
_PER_MINUTE = 6e-4  # usual movement of a minute, as a share of the price
# GARCH(1,1): how much of a surprise lasts, and how much of the present calm or storm.
_SURPRISE, _PERSISTENCE = 0.08, 0.91
_BELL_VARIANCE = (65_536.0**2 - 1) / 3


def synthetic_market(
    seed: int,
    minutes: int,
    start_ms: int,
    timeframe: str = "1m",
    symbol: str = "SYNTHUSDT",
) -> "Candles":
    """Draw a market with calm and stormy hours on a grid of ticks.

    Open, high, low and close of a candle come from one path of trades, and a longer market has the
    same beginning. Only raw PCG64 numbers, which NumPy promises never to change, and + − × ÷ and
    square roots are used, so that a seed gives the same bytes everywhere.

    Parameters
    ----------
    seed : int
        Equal seeds give equal markets.
    minutes : int
        Length in minutes.
    start_ms : int
        Open time of the first candle, UTC milliseconds, on the timeframe's grid.
    timeframe : str
        Length of a candle.
    symbol : str
        Name it goes by; the market is um.
    """
    from strategy.candles import Candles

    length_ms = timeframe_ms(timeframe)
    count = minutes * 60_000 // length_ms
    raw = np.random.PCG64(seed).random_raw(count * (_STEPS + 1)).reshape(count, _STEPS + 1)
    steps = _bell(raw[:, :_STEPS])
    # Whole numbers, so the sum is exact in any order: NumPy's own order depends on the processor.
    one = np.sqrt(_STEPS * _BELL_VARIANCE)
    volatility = _volatility(steps.sum(axis=1) / one)
    spread = _PER_MINUTE * np.sqrt(length_ms / 60_000) * volatility
    path = _path(steps * (spread / one)[:, None])
    ticks_open = np.concatenate(([round(_FIRST_PRICE * _TICKS_PER_UNIT)], path[:-1, -1]))[:count]
    high = np.maximum(path.max(axis=1), ticks_open)
    low = np.minimum(path.min(axis=1), ticks_open)
    dice = raw[:, _STEPS]
    trades = 20.0 + np.floor((dice >> np.uint64(48)).astype(np.float64) / 300.0 * volatility)
    volume = np.floor(trades * ((dice & np.uint64(0xFFFF)).astype(np.float64) + 1.0)) / 100_000
    bought = 0.3 + 0.4 * ((dice >> np.uint64(16)) & np.uint64(0xFFFF)).astype(np.float64) / 65_536
    close = path[:, -1] / _TICKS_PER_UNIT
    return Candles.from_arrays(
        symbol=symbol,
        market="um",
        timeframe=timeframe,
        open_time=start_ms + length_ms * np.arange(count, dtype=np.int64),
        open=ticks_open / _TICKS_PER_UNIT,
        high=high / _TICKS_PER_UNIT,
        low=low / _TICKS_PER_UNIT,
        close=close,
        volume=volume,
        quote_volume=volume * close,
        trades=trades,
        taker_buy=np.floor(volume * bought * 100_000) / 100_000,
    )


def _bell(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Add each number's four 16-bit parts, less their mean: nearly a bell, cut at 3.5 sigma."""
    total = np.full(raw.shape, -2 * 65_535.0)
    for shift in (0, 16, 32, 48):
        total += ((raw >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64)
    return total


def _volatility(shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = 1.0
    variances = []
    for shock in shocks.tolist():
        variances.append(variance)
        variance = (1 - _SURPRISE - _PERSISTENCE) + variance * (
            _SURPRISE * shock * shock + _PERSISTENCE
        )
    return np.sqrt(np.array(variances))


def _path(moves: NDArray[np.float64]) -> NDArray[np.int64]:
    """Add relative moves up to whole ticks, measured by the price at the start of each block."""
    ticks = np.empty(moves.shape, np.int64)
    level = round(_FIRST_PRICE * _TICKS_PER_UNIT)
    for start in range(0, len(moves), _BLOCK):
        block = moves[start : start + _BLOCK]
        walk = np.rint(block * level).astype(np.int64).ravel().cumsum() + level
        # Far below any likely price: a market that never reaches zero.
        walk = np.maximum(walk, 10 * _TICKS_PER_UNIT)
        ticks[start : start + _BLOCK] = walk.reshape(block.shape)
        level = int(walk[-1])
    return ticks
