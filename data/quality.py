"""What can be wrong with candles: gaps, disorder, impossible values, silent stretches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.table import PRICES
from strategy.timeframes import MONTH, grid_of, month_numbers, month_opens, timeframe_ms

# Milliseconds of the year 2286, microseconds of 1970: no candle lies between.
MICROSECONDS_ABOVE = 10**13
# A market in which fewer than this share of candles is without trades is not silent for ten candles
# in a row by chance: ALGO futures of 2024-09 (1 % silent) never are, outages of the exchange in BTC
# and FIL last 14 to 74 minutes.
LIQUID_SHARE = 0.05
SILENT_CANDLES = 10


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing candles: the first and last open time that are not there, and how many."""

    first_missing: int
    last_missing: int
    count: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be a candle, and why."""

    row: int
    why: str


def holes(open_time: NDArray[np.int64], timeframe: str) -> list[Gap]:
    """Find the missing candles inside a series.

    Parameters
    ----------
    open_time : int64 array
        UTC milliseconds, increasing.
    timeframe : str
        Of these candles.
    """
    if timeframe == MONTH:
        months = month_numbers(open_time)
        after = np.flatnonzero(np.diff(months) > 1)
        first, last = month_opens(months[after] + 1), month_opens(months[after + 1] - 1)
        counts = np.diff(months)[after] - 1
    else:
        length = timeframe_ms(timeframe)
        steps = np.diff(open_time)
        after = np.flatnonzero(steps > length)
        first, last = open_time[after] + length, open_time[after + 1] - length
        counts = steps[after] // length - 1
    return [
        Gap(*found) for found in zip(first.tolist(), last.tolist(), counts.tolist(), strict=True)
    ]


def first_fault(columns: dict[str, NDArray[Any]], timeframe: str) -> Fault | None:
    """Find the first row that cannot be a candle, whatever the order of the rows.

    Parameters
    ----------
    columns : dict of arrays
        open_time in UTC milliseconds, open, high, low, close, and volume where there is one.
    timeframe : str
        What the candles are said to be.
    """
    time = columns["open_time"]
    o, h, l, c = (columns[name] for name in PRICES)  # noqa: E741
    # A mark price has none.
    v = columns.get("volume", np.zeros(len(time)))
    length, offset = grid_of(timeframe)
    if length:
        off_grid, grid = (time - offset) % length != 0, f"on the grid of {length} ms"
    else:
        off_grid, grid = month_opens(month_numbers(time)) != time, "the beginning of a UTC month"

    def _row(i: int, count: int = 5) -> str:
        return " ".join(str(values[i]) for values in (o, h, l, c, v)[:count])

    checks: list[tuple[NDArray[np.bool_], Callable[[int], str]]] = [
        (time > MICROSECONDS_ABOVE, lambda i: f"open_time {time[i]} is in microseconds"),
        (
            off_grid,
            lambda i: f"open_time {time[i]} is not {grid}",
        ),
        (
            ~np.isfinite(o + h + l + c + v),
            lambda i: f"open, high, low, close, volume {_row(i)}: a value is no finite number",
        ),
        (
            np.minimum(np.minimum(o, h), np.minimum(l, c)) <= 0,
            lambda i: f"open, high, low, close {_row(i, 4)}: a price is not above zero",
        ),
        (v < 0, lambda i: f"volume {v[i]:g} is below zero"),
        (h < l, lambda i: f"high {h[i]} is below low {l[i]}"),
        (
            (o > h) | (o < l) | (c > h) | (c < l),
            lambda i: f"open {o[i]} or close {c[i]} lies outside low {l[i]} and high {h[i]}",
        ),
    ]
    worst: Fault | None = None
    for bad, why in checks:
        row = int(np.argmax(bad)) if len(bad) else 0
        if len(bad) and bad[row] and (worst is None or row < worst.row):
            worst = Fault(row, why(row))
    return worst


def silent_stretches(volume: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Find long runs without a trade in a market that usually trades, as (first row, length)."""
    silent = volume == 0
    if not silent.any() or silent.mean() >= LIQUID_SHARE:
        return []
    edges = np.diff(np.concatenate(([0], silent.view(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        (int(a), int(b - a)) for a, b in zip(starts, ends, strict=True) if b - a >= SILENT_CANDLES
    ]
