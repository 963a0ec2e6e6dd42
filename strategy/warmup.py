"""How many candles a strategy's indicators need before every one has a value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.load import Strategy
from strategy.timeframes import grid_of


def warm_up(strategy: Strategy, params: Any, most: int = 1 << 17) -> int:
    """Measure how many candles the indicators need until every one has a value, on a made-up quiet
    market.

    Returns
    -------
    int
        The count from a history that begins at 00:00 UTC on a Monday, the second of a month, whose
        first whole months are as long as months get; `most` if it is more.
    """
    count = min(1 << 10, most)
    while True:
        columns = strategy.columns(_waves(strategy.timeframe, count), params)
        ready = first_warm(columns)
        if ready < count:
            return ready + 1
        if count == most:
            return most
        count = min(4 * count, most)


def first_warm(columns: Sequence[NDArray[np.float64]]) -> int:
    """Return the first candle at which no column is NaN, or their length where there is none."""
    if not columns:
        return 0
    first = 0
    for values in columns:
        warm = ~np.isnan(values)
        if not warm.any():
            return len(values)
        first = max(first, int(warm.argmax()))
    return first


def _waves(timeframe: str, count: int) -> Candles:
    length, offset = grid_of(timeframe)
    wave = 100.0 + np.sin(np.arange(count) / 7.0)
    monday = 1_530_489_600_000  # 2018-07-02
    return Candles.from_arrays(
        symbol="WARMUP",
        market="um",
        timeframe=timeframe,
        open_time=monday - (monday - offset) % length + np.arange(count) * length,
        open=wave,
        high=wave + 0.5,
        low=wave - 0.5,
        close=wave + 0.1,
        volume=np.full(count, 10.0),
        quote_volume=np.full(count, 1000.0),
        trades=np.full(count, 10.0),
        taker_buy=np.full(count, 5.0),
    )
