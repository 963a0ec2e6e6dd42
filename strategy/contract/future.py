"""No look into the future: ending the history, or changing what follows, moves nothing before."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.findings import BEGINNING, FUTURE, Check
from strategy.contract.outcome import Outcome, Subject, outcome

Tick = Callable[[], None]


def same_beginning(
    subject: Subject, candles: Candles, whole: Outcome, lengths: Sequence[int], tick: Tick
) -> Check:
    """Run the strategy on beginnings of a history: each must say what the whole says up to there.

    Parameters
    ----------
    whole : Outcome
        Of all the candles.
    lengths : sequence of int
        Candles in each beginning.
    tick : callable
        Called after each run.
    """
    check = Check(BEGINNING, "history ends early")
    times = candles.arrays["open_time"]
    for length in lengths:
        check.compare(
            partial(outcome, subject, candles.slice(0, length)),
            whole,
            length,
            times,
            f"with {length:,} candles",
        )
        tick()
    return check


def scrambled_future(
    subject: Subject,
    candles: Candles,
    whole: Outcome,
    lengths: Sequence[int],
    tick: Tick,
    *,
    seed: int = 0,
    extreme: bool = False,
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
    check = Check(FUTURE, "extreme future" if extreme else "future scrambled")
    times = candles.arrays["open_time"]
    noise = noisy(candles, seed, extreme)
    arrays = {name: array.copy() for name, array in candles.arrays.items()}
    scrambled = Candles(candles.symbol, candles.market, candles.timeframe, arrays)
    kept = len(times)
    # From the last cut to the first, so that each run only adds noise to that of the one before.
    for length in sorted(lengths, reverse=True):
        for name, array in noise.items():
            arrays[name][length:kept] = array[length:kept]
        kept = length
        check.compare(
            partial(outcome, subject, scrambled.slice(0, len(times))),
            whole,
            length,
            times,
            f"when the candles from {length:,} on are others",
        )
        tick()
    return check


def noisy(candles: Candles, seed: int, extreme: bool) -> dict[str, NDArray[Any]]:
    """Draw other candles for the same times: valid ones, within 5 % or within a factor of 1000."""
    draw = np.random.default_rng(seed)
    n = len(candles.arrays["open_time"])

    def factor() -> NDArray[np.float64]:
        return 10.0 ** draw.uniform(-3, 3, n) if extreme else draw.uniform(0.95, 1.05, n)

    noise = {
        name: array * (factor() if extreme else draw.uniform(0.0, 2.0, n))
        for name, array in candles.arrays.items()
        if name != "open_time"
    }
    opened, close = (candles.arrays[name] * factor() for name in ("open", "close"))
    reach = draw.uniform(0.0, 0.01, (2, n))
    noise["open"], noise["close"] = opened, close
    noise["high"] = np.maximum(opened, close) * (1.0 + reach[0])
    noise["low"] = np.minimum(opened, close) * (1.0 - reach[1])
    return noise
