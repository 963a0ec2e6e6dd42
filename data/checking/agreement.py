"""Whether two stored timeframes of one symbol tell the same story."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.dates import show_time
from data.kinds import KLINES
from data.manifest import Series
from data.store import load_arrays
from data.table import PRICES
from strategy.timeframes import MONTH, timeframe_ms, timeframe_offset_ms

# Sums of doubles depend on their order: 8 digits of a month of volumes are the same in any.
_SUMS = 1e-8

Columns = Mapping[str, NDArray[np.float64]]


def disagreements(store: Path, found: Sequence[Series]) -> dict[Series, list[str]]:
    """Compare candles with finer ones summed up to their length, and say where they differ.

    Windows that lack a finer candle are left out. Where the first finer candle is silent, its
    carried open may differ from the exchange's, which opens at the first price traded, and so may a
    high or low that this open is.
    """
    notes: dict[Series, list[str]] = {}
    candles = [s for s in found if s.kind == KLINES.name and s.timeframe != MONTH]
    for long in candles:
        for fine in candles:
            if _fits(fine, long):
                notes.setdefault(long, []).extend(_compared(store, fine, long))
    return notes


def _fits(fine: Series, long: Series) -> bool:
    if (fine.market, fine.symbol) != (long.market, long.symbol):
        return False
    a, b = timeframe_ms(fine.timeframe), timeframe_ms(long.timeframe)
    shift = timeframe_offset_ms(long.timeframe) - timeframe_offset_ms(fine.timeframe)
    return a < b and b % a == 0 and shift % a == 0


def _compared(store: Path, fine: Series, long: Series) -> list[str]:
    a, b = load_arrays(store, fine), load_arrays(store, long)
    summed, silent_first = _summed(a, fine.timeframe, long.timeframe)
    _, in_a, in_b = np.intersect1d(
        summed["open_time"], b["open_time"], assume_unique=True, return_indices=True
    )
    left = {name: values[in_a] for name, values in summed.items()}
    right = {name: b[name][in_b] for name in left}
    wrong = _differ(left, right, silent_first[in_a])
    if not wrong.any():
        return []
    row = int(np.argmax(wrong))
    name = next(n for n in (*PRICES, "volume") if not _same(n, left[n][row], right[n][row]))
    count = int(np.count_nonzero(wrong))
    text = (
        f"{count:,} of {len(wrong):,} {long.timeframe} candles differ{'s' * (count == 1)} from"
        f" {fine.timeframe} summed up, first {show_time(int(left['open_time'][row]))} UTC:"
        f" {name} {right[name][row]:,.10g}, of {fine.timeframe} {left[name][row]:,.10g}"
    )
    return [text]


def _summed(a: Columns, fine: str, long: str) -> tuple[dict[str, NDArray], NDArray[np.bool_]]:  # type: ignore[type-arg]
    length, offset = timeframe_ms(long), timeframe_offset_ms(long)
    window = (a["open_time"] - offset) // length
    starts = np.flatnonzero(np.diff(window, prepend=window[0] - 1))
    counts = np.diff(np.append(starts, len(window)))
    ends = starts + counts - 1
    found = {
        "open_time": window[starts] * length + offset,
        "open": a["open"][starts],
        "high": np.maximum.reduceat(a["high"], starts),
        "low": np.minimum.reduceat(a["low"], starts),
        "close": a["close"][ends],
        "volume": np.add.reduceat(a["volume"], starts),
    }
    whole = counts == length // timeframe_ms(fine)
    silent = (a["volume"][starts] == 0) & (found["volume"] > 0)
    return {name: values[whole] for name, values in found.items()}, silent[whole]


def _differ(summed: Columns, stored: Columns, silent_first: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wrong = ~(_same("close", summed["close"], stored["close"]))
    wrong |= ~_same("volume", summed["volume"], stored["volume"])
    carried = summed["open"]
    wrong |= (carried != stored["open"]) & ~silent_first
    for name, outer in (("high", np.maximum), ("low", np.minimum)):
        with_open = outer(stored[name], carried)
        expected = np.where(silent_first, with_open, stored[name])
        wrong |= summed[name] != expected
    return wrong


def _same(name: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    if name == "volume":
        return np.asarray(np.isclose(a, b, rtol=_SUMS, atol=_SUMS))
    return np.asarray(a == b)
