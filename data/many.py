"""Candles of many symbols into memory, one symbol behind the other."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.manifest import Series, known_market, read_manifest
from data.store import load_arrays
from data.table import OPTIONAL
from strategy.timeframes import longest_ms

if TYPE_CHECKING:
    from strategy.candles import Candles

JOINED = ("open_time", "open", "high", "low", "close")


def load_many(
    store: Path,
    market: str,
    symbols: Sequence[str],
    timeframe: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    optional: Sequence[str] = OPTIONAL,
    threads: int | None = None,
    progress: Callable[[], None] | None = None,
) -> "tuple[Candles, ...]":
    """Read stored candles of several symbols, their times and prices into one array a field.

    A backtest of them needs no copy then.

    Parameters
    ----------
    store, market, timeframe, start_ms, end_ms, optional
        As `data.store.load` takes them.
    threads : int, optional
        Symbols read at the same time; one a core by default.
    progress : callable, optional
        Called whenever a symbol has been read.

    Raises
    ------
    WickError
        As `data.store.load`, for the first symbol of which something is missing.
    """
    from strategy.candles import Candles

    known_market(market)
    longest_ms(timeframe)
    wanted = [Series(market, symbol, timeframe) for symbol in symbols]
    places = np.cumsum([0, *(_most_rows(store, one, start_ms, end_ms) for one in wanted)])
    # Untouched pages cost nothing.
    joined = {
        name: np.empty(places[-1], np.int64 if name == "open_time" else float) for name in JOINED
    }

    def read(at: int) -> dict[str, NDArray[Any]]:
        into = {name: joined[name][places[at] : places[at + 1]] for name in JOINED}
        arrays = load_arrays(store, wanted[at], start_ms, end_ms, optional, into)
        if progress is not None:
            progress()
        return arrays

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        loaded = list(pool.map(read, range(len(wanted))))
    _close_up(loaded, joined)
    return tuple(
        Candles.from_arrays(symbol=one.symbol, market=market, timeframe=timeframe, **arrays)
        for one, arrays in zip(wanted, loaded, strict=True)
    )


def _most_rows(store: Path, wanted: Series, start_ms: int | None, end_ms: int | None) -> int:
    return sum(
        f.rows
        for f in read_manifest(wanted.folder(store)).files
        if (end_ms is None or f.first_ms < end_ms) and (start_ms is None or f.last_ms >= start_ms)
    )


def _close_up(loaded: list[dict[str, NDArray[Any]]], joined: dict[str, NDArray[Any]]) -> None:
    # Where the first or last month is cut, or had fewer rows, the next symbol moves up.
    at = 0
    for arrays in loaded:
        length = len(arrays["open_time"])
        for name in JOINED:
            target = joined[name][at : at + length]
            if target.ctypes.data != arrays[name].ctypes.data:
                target[:] = arrays[name]
                arrays[name] = target
        at += length
