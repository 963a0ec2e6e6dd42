"""What a strategy's rules say of each symbol: its indicators computed, its rules evaluated."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.search import entry_candles
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.load import Strategy
from strategy.rules import CONDITIONS, reads_of
from strategy.tape import Identity, Key, Tape, exact, memo


class Signals(NamedTuple):
    """What the rules say of one symbol: flags by candle, the entry candles' distances, the trailing
    stop's distance by candle and how far entries rest from the close where there are rules for
    them."""

    flags: NDArray[np.uint8]
    at: NDArray[np.int64]
    stop: NDArray[np.float64]
    take: NDArray[np.float64]
    trail: NDArray[np.float64]
    limit: NDArray[np.float64]
    priority: NDArray[np.float64]


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads below one.

    Raises
    ------
    WickError
        It is.
    """
    if threads is not None and threads < 1:
        raise WickError(f"threads is {threads}, expected 1 or more", "--threads 2")


def all_signals(
    strategy: Strategy,
    every: tuple[Candles, ...],
    params: Any,
    threads: int | None,
    progress: Callable[[], None] | None,
    history: Sequence[Candles],
) -> list[Signals]:
    """Compute the signals of every symbol, several at the same time.

    Parameters
    ----------
    threads : int or None
        How many at once; one a core by default.
    progress : callable or None
        Called whenever a symbol's have been computed.
    history : sequence of Candles
        What indicators read: `every`, with candles from before in front.
    """

    def one_of(candles: Candles, read: Candles) -> Signals:
        found = _behind(signals_of(strategy, read, params), read, candles)
        if progress is not None:
            progress()
        return found

    workers = min(threads or os.cpu_count() or 1, len(every))
    if workers == 1:
        return [one_of(*pair) for pair in zip(every, history, strict=True)]
    with ThreadPoolExecutor(workers) as pool:
        # A memo tape in use is one of the thread it was entered in.
        calls = [partial(one_of, *pair) for pair in zip(every, history, strict=True)]
        jobs = [pool.submit(copy_context().run, call) for call in calls]
        return [job.result() for job in jobs]


def _behind(found: Signals, read: Candles, candles: Candles) -> Signals:
    # Without those of the candles that only warm indicators up.
    warm = len(read.arrays["open_time"]) - len(candles.arrays["open_time"])
    if not warm:
        return found
    first = int(np.searchsorted(found.at, warm))
    return Signals(
        found.flags[warm:],
        found.at[first:] - warm,
        found.stop[first:],
        found.take[first:],
        found.trail[warm:],
        found.limit[first:],
        found.priority[first:],
    )


def signals_of(strategy: Strategy, candles: Candles, params: Any) -> Signals:
    """Compute the indicators and evaluate the rules of one symbol.

    Without a memo tape the history goes through a tape in chunks that stay in the processor's
    cache; a tape gives the same bits for any cutting.
    """
    if candles.timeframe != strategy.timeframe:
        raise WickError(
            f"{strategy.name} decides on {strategy.timeframe} candles, given {candles.timeframe}",
            f"--timeframe {strategy.timeframe}",
        )
    numbers = np.array([float(value) for value in params])
    n = len(candles.arrays["open_time"])
    if memo() is not None:
        return Signals(*_evaluate(strategy, candles, params, numbers, 0))
    tape = Tape(Identity(strategy.source_hash, "", candles.symbol, 0))
    parts = []
    edges = np.linspace(0, n, max(-(-n // _CHUNK), 1) + 1).astype(np.int64).tolist()
    for start, stop in pairwise(edges):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(_evaluate(strategy, chunk, params, numbers, start))
    return Signals(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


# Measured on W: with fewer candles the calls cost more, with more the allocator gives memory back
# to the system and every chunk pays for new pages.
_CHUNK = 110_000


def _evaluate(
    strategy: Strategy, candles: Candles, params: Any, numbers: NDArray[np.float64], start: int
) -> tuple[NDArray[Any], ...]:
    keyed = strategy.keyed_columns(candles, params)
    columns = tuple(values for _, values in keyed)

    def entries() -> tuple[NDArray[Any], ...]:
        flags = strategy.rules.signals(*columns, numbers)
        return flags, entry_candles(flags)

    flags, at = _shared(strategy, candles, params, [key for key, _ in keyed], entries)
    stop, take = strategy.rules.distances(at, *columns, numbers)
    trail = strategy.rules.trails(*columns, numbers)
    limit = strategy.rules.limits(at, *columns, numbers)
    priority = strategy.rules.priorities(at, *columns, numbers)
    return flags, at + start, stop, take, trail, limit, priority


def _shared(
    strategy: Strategy,
    candles: Candles,
    params: Any,
    keys: Sequence[Key | None],
    entries: Callable[[], tuple[NDArray[Any], ...]],
) -> tuple[NDArray[Any], ...]:
    # On a memo tape what conditions say is computed once for all that they read.
    kept, rules = memo(), strategy.rules
    if kept is None:
        return entries()
    reads = reads_of(*(rules.texts[name] for name in CONDITIONS if name in rules.texts))
    its = [key for field, key in zip(rules.fields, keys, strict=True) if field in reads.fields]
    if None in its:
        return entries()
    own = (exact(float(getattr(params, name))) for name in reads.params)
    found = kept.remember(
        ("entries", strategy.source_hash, candles.fingerprint, *own, *its), entries
    )
    # A kernel for arrays that must not be written is another one.
    return tuple(one.copy() for one in found)
