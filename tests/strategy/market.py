"""Seeded candles for the tests of this package: a walk with flat stretches and gaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.tape import Identity

MONDAY = 1_672_617_600_000  # 2023-01-02 00:00 UTC
MINUTE = 60_000
IDENTITY = Identity("source", "params", "BTCUSDT", MONDAY)
FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Bars:
    """Fields of candles, as arrays, lists or single numbers; they may hold what real candles never
    do (NaN)."""

    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any

    @classmethod
    def of(cls, candles: Candles) -> "Bars":
        """Copy the arrays of candles."""
        return cls(*(candles.arrays[name].copy() for name in FIELDS))

    @classmethod
    def still(cls, values: NDArray[np.float64]) -> "Bars":
        """Take one array for every field."""
        return cls(*(values.copy() for _ in FIELDS))

    def fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in FIELDS)

    @property
    def open_time(self) -> list[int]:
        """Minutes without a gap, from a Monday on."""
        return [MONDAY + MINUTE * i for i in range(len(self.close))]

    def candles(self) -> Candles:
        """Turn arrays into candles, unchecked, as an indicator asks for them."""
        arrays = {name: np.ascontiguousarray(getattr(self, name), np.float64) for name in FIELDS}
        times = {"open_time": np.array(self.open_time, np.int64)}
        return Candles("BTCUSDT", "um", "1m", times | arrays)

    def lists(self) -> "Bars":
        """Turn arrays into lists, as a twin asks for them."""
        return Bars(*(x.tolist() for x in self.fields()))

    def one_by_one(self) -> list["Bars"]:
        """Take lists apart into candles."""
        return [Bars(*values) for values in zip(*self.fields(), strict=True)]


def market(seed: int, n: int, *, gap_rate: float = 0.0, start: int = MONDAY) -> Candles:
    """Draw n candles of one minute; at about `gap_rate` of them up to 20 are missing before."""
    draw = np.random.default_rng(seed)
    steps = np.where(draw.random(n) < 0.2, 0, draw.integers(-30, 31, n))
    close = (100_000 + np.cumsum(steps)) / 100.0
    opened = np.concatenate([[1000.0], close[:-1]])[:n]
    high = np.maximum(opened, close) + draw.integers(0, 10, n) / 100.0
    low = np.minimum(opened, close) - draw.integers(0, 10, n) / 100.0
    missing = np.where(draw.random(n) < gap_rate, draw.integers(1, 21, n), 0)
    return Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="1m",
        open_time=start + MINUTE * (np.arange(n) + np.cumsum(missing)),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=draw.integers(0, 1000, n) / 7.0,
    )


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Say whether two arrays are equal bit for bit, NaN included."""
    return a.shape == b.shape and bool((a.view(np.uint64) == b.view(np.uint64)).all())
