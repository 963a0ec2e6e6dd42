"""No look into the future: ending the history, or changing what follows, moves nothing before.

Here the strategy runs without a tape, from the first candle, and nothing but the candles differs:
slow, and independent of everything else. What goes quicker through a tape is proven in
`strategy.contract.bars` and `strategy.contract.pieces`, and brought here where it finds something.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.findings import BEGINNING, CHUNKS, FUTURE, HINTS, STOPS, Check
from strategy.contract.outcome import Rows, Span

Tick = Callable[[], None]
BEHIND, REACH = 16, 1 << 16
_DRAWN = 4_999  # no whole number of minutes, hours or days comes back to the same place
_TITLES = {False: "future scrambled", True: "extreme future"}


def same_beginning(span: Span, lengths: Sequence[int], tick: Tick) -> Check:
    """Run the strategy on beginnings of a history: each must say what the whole says up to there.

    Parameters
    ----------
    lengths : sequence of int
        Candles in each beginning.
    tick : callable
        Called after each run.
    """
    check = Check(BEGINNING, "history ends early")
    for length in lengths:
        how = f"with {length:,} candles"
        check.compare(partial(beginning, span, length), span, slice(0, length), how)
        tick()
    return check


def scrambled_future(
    span: Span, lengths: Sequence[int], tick: Tick, seed: int, extreme: bool
) -> Check:
    """Replace all that follows a candle by noise: nothing at it or before may move.

    Parameters
    ----------
    lengths : sequence of int
        How many candles stay, for each run.
    seed : int
        Of the noise.
    extreme : bool
        Prices and volumes a thousand times too large or too small instead of plausible ones.
    """
    check = Check(FUTURE, _TITLES[extreme])
    for length in lengths:
        how = f"when the candles from {length:,} on are others"
        run = partial(with_other_future, span, length, seed, extreme)
        check.compare(run, span, slice(0, length), how)
        tick()
    return check


def beginning(span: Span, length: int) -> Rows:
    """Run the strategy on the first candles alone."""
    return span.subject.rows(span.candles.slice(0, length))


def with_other_future(span: Span, length: int, seed: int, extreme: bool) -> Rows:
    """Run the strategy on the first candles and noise behind them; give the rows of the first."""
    candles = span.candles
    noise = noisy(candles.slice(length, length + REACH), seed + length, extreme)
    arrays = {
        name: np.concatenate((array[:length], noise[name])) if name in noise else array
        for name, array in candles.arrays.items()
    }
    arrays["open_time"] = span.times[: len(arrays["close"])]
    mixed = Candles(candles.symbol, candles.market, candles.timeframe, arrays)
    return tuple(array[:length] for array in span.subject.rows(mixed))


def tell_apart(
    check: Check, span: Span, edges: NDArray[np.int64], run: Callable[[Span, int], Rows]
) -> None:
    """Tell findings of a tape's reading that come from the future from those of a wrong memory.

    Each is tried again without a tape, by a copy that has seen nothing later, cut at the first edge
    behind its candle. Where nothing differs then, it was not the future that was seen.

    Parameters
    ----------
    edges : int64 array
        Where the tape's pieces ended.
    run : callable
        Gives the rows of a span's first candles, with another future or none.
    """
    if not check.found:
        return
    blind = replace(span, subject=span.subject.anew())
    for where, one in sorted(check.found.items(), key=lambda found: found[1].time):
        at = np.searchsorted(span.times, one.time)
        cut = int(edges[edges > at][0])
        alone = Check(check.kind, check.title)
        alone.compare(partial(run, blind, cut), span, slice(0, cut), f"cut behind {cut:,} candles")
        if where not in alone.found and (where != STOPS or not alone.found):
            hint = one.hint if where == STOPS else HINTS[CHUNKS]
            check.found[where] = replace(one, kind=CHUNKS, hint=hint)
        check.found = alone.found | check.found


def others_behind(candles: Candles, places: NDArray[np.int64], seed: int, extreme: bool) -> Candles:
    """Put other candles behind every cut, and at the end of the history."""
    n = len(candles.arrays["open_time"])
    starts = np.append(places, n - BEHIND)
    at = np.unique(starts[:, None] + np.arange(BEHIND))
    at = at[(at >= 0) & (at < n)]
    few = {name: array[at] for name, array in candles.arrays.items()}
    noise = noisy(Candles(candles.symbol, candles.market, candles.timeframe, few), seed, extreme)
    arrays = {name: array.copy() for name, array in candles.arrays.items()}
    for name, array in noise.items():
        arrays[name][at] = array
    return Candles(candles.symbol, candles.market, candles.timeframe, arrays)


def noisy(candles: Candles, seed: int, extreme: bool) -> dict[str, NDArray[Any]]:
    """Draw other candles for the same times: valid ones, within 5 % or within a factor of 1000."""
    draw = np.random.default_rng(seed)
    n = len(candles.arrays["open_time"])

    def spread(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.resize(drawn, n)  # to draw for a year takes longer than to run over it

    def uniform(low: float, high: float) -> NDArray[np.float64]:
        return spread(draw.uniform(low, high, min(n, _DRAWN)))

    def factor() -> NDArray[np.float64]:
        if extreme:
            return spread(10.0 ** draw.uniform(-3, 3, min(n, _DRAWN)))
        return uniform(0.95, 1.05)

    noise = {
        name: array * (factor() if extreme else uniform(0.0, 2.0))
        for name, array in candles.arrays.items()
        if name not in ("open_time", "open", "high", "low", "close")
    }
    opened, close = (candles.arrays[name] * factor() for name in ("open", "close"))
    noise["open"], noise["close"] = opened, close
    noise["high"] = np.maximum(opened, close) * uniform(1.0, 1.01)
    noise["low"] = np.minimum(opened, close) * uniform(0.99, 1.0)
    return noise
