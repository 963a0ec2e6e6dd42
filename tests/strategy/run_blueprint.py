"""Run the shipped strategy over a seeded market and print a digest and what Numba's cache did.

``python -m tests.strategy.run_blueprint``: started with the compiler off, and twice.
"""

import hashlib

import numpy as np

from strategy import kernel
from strategy.indicators import gains, momentum
from strategy.load import load
from tests.strategy.market import market


def digest() -> str:
    strategy = load("rsi_macd_atr")
    # Short averages, so that few candles are enough where nothing is compiled.
    params = strategy.params(
        rsi=3, oversold=40.0, overbought=60.0, fast=2, slow=4, signal=2, trend=3
    )
    columns = strategy.columns(market(5, 600, gap_rate=0.02), params)
    numbers = np.array([float(value) for value in params])
    flags = strategy.rules.signals(*columns, numbers)
    assert flags.any(), "the market must give signals"
    stop, take = strategy.rules.distances(np.flatnonzero(flags), *columns, numbers)
    parts = (*columns, flags, stop, take)
    compiled = [strategy.rules.signals, strategy.rules.distances, gains.rsi_kernel, momentum._macd]
    stats = [one.stats for one in compiled if hasattr(one, "stats")]
    hits = sum(sum(one.cache_hits.values()) for one in stats)
    misses = sum(sum(one.cache_misses.values()) for one in stats)
    text = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    return f"{text} hits={hits} misses={misses} cache={'off' if kernel.CACHE_DIR is None else 'on'}"


if __name__ == "__main__":
    print(digest())  # noqa: T201
