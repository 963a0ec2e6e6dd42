"""Rows of any stored series made few enough to draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.kinds import AGG_TRADES
from data.manifest import Series, read_manifest
from data.store import load_arrays
from strategy.timeframes import DAY_MS, longest_ms

MOST = 2000
MINUTE_MS = 60_000
_ROUND = tuple(
    minutes * MINUTE_MS for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 480, 720, 1440, 4320)
)
_WEEK_MS = 7 * DAY_MS

Columns = dict[str, NDArray[Any]]


def length_for(span_ms: int, base_ms: int) -> int:
    """Return the length of a bar: a round one that the base divides, or else so many bases."""
    least = max(-(-span_ms // MOST), base_ms)
    for length in _ROUND:
        if length >= least and length % base_ms == 0:
            return length
    if _WEEK_MS % base_ms == 0:
        return -(-least // _WEEK_MS) * _WEEK_MS
    return -(-least // base_ms) * base_ms


def bars_of(candles: Mapping[str, NDArray[Any]], length_ms: int) -> Columns:
    """Put candles together to longer ones; windows without any are left out.

    Parameters
    ----------
    candles : mapping of arrays
        open_time, prices and volume, in order.
    length_ms : int
        Of a bar, on the grid of 1970-01-01 00:00 UTC.
    """
    window = candles["open_time"] // length_ms
    starts = np.flatnonzero(np.diff(window, prepend=window[0] - 1))
    ends = np.append(starts[1:], len(window)) - 1
    return {
        "open_time": window[starts] * length_ms,
        "open": candles["open"][starts],
        "high": np.maximum.reduceat(candles["high"], starts),
        "low": np.minimum.reduceat(candles["low"], starts),
        "close": candles["close"][ends],
        "volume": np.add.reduceat(candles["volume"], starts),
    }


def candles_to_draw(store: Path, series: Series) -> tuple[Columns, int]:
    """Read a series of candles, or of trades as candles of a minute, as few enough bars.

    Returns
    -------
    bars : dict of arrays
        As `bars_of`.
    length_ms : int
        Of a bar.
    """
    if series.its_kind is AGG_TRADES:
        files = read_manifest(series.folder(store)).files
        days = [
            bars_of(_as_candles(load_arrays(store, series, f.first_ms, f.last_ms + 1)), MINUTE_MS)
            for f in files
        ]
        candles = {name: np.concatenate([day[name] for day in days]) for name in days[0]}
        base = MINUTE_MS
    else:
        candles = load_arrays(store, series, optional=())
        candles.setdefault("volume", np.zeros(len(candles["open_time"])))
        base = longest_ms(series.timeframe)
    times = candles["open_time"]
    if len(times) <= MOST:
        return candles, base
    length = length_for(int(times[-1] - times[0]) + base, base)
    return bars_of(candles, length), length


def _as_candles(trades: Columns) -> Columns:
    price = trades["price"]
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    return {"open_time": trades["time"], **prices, "volume": trades["qty"]}


def points_of(times: NDArray[np.int64], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return at most `MOST` of the values, each the last of its stretch of time."""
    if len(times) <= MOST:
        return times, values
    length = -(-int(times[-1] - times[0] + 1) // MOST)
    last = np.flatnonzero(np.diff(times // length, append=times[-1] // length + 1))
    return times[last], values[last]
