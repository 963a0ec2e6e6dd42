"""Where a history is cut: at seeded places, around closes of higher candles, around gaps."""

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.outcome import DECISIONS, Outcome, Subject
from strategy.errors import WickError
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.tape import Identity, Tape
from strategy.timeframes import grid_of, month_numbers, month_opens

WINDOW = 5_000
SEEDED = 200
_USUAL = ("3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
_PER_KIND = 4


def cuts(candles: Candles, frames: tuple[str, ...], seed: int) -> NDArray[np.int64]:
    """Choose lengths at which a history is cut: seeded ones and those around boundaries.

    A window of a higher timeframe closes with the candle before the first of the next window. The
    cut is placed before that closing candle, behind it, and behind the next one.
    """
    draw = np.random.default_rng(seed)
    times = candles.arrays["open_time"]
    n = len(times)
    places = [draw.integers(1, n + 1, min(SEEDED, n))]
    for frame in frames:
        places += _around(_opens(times, frame), times, draw)
    gaps = times[1:][np.diff(times) != candles.timeframe_ms]
    places += _around(gaps, times, draw)
    every = np.unique(np.concatenate(places))
    return every[(every >= 1) & (every <= n)]


def _opens(times: NDArray[np.int64], frame: str) -> NDArray[np.int64]:
    # Of every window that begins inside the history, finished at its end or not.
    length, offset = grid_of(frame)
    if not length:
        first, last = month_numbers(times[[0, -1]])
        return month_opens(np.arange(first + 1, last + 1))
    first, last = (times[[0, -1]] - offset) // length
    return np.arange(first + 1, last + 1) * length + offset


def _around(
    opens: NDArray[np.int64], times: NDArray[np.int64], draw: np.random.Generator
) -> list[NDArray[np.int64]]:
    if not len(opens):
        return []
    chosen = draw.choice(opens, min(_PER_KIND, len(opens)), replace=False)
    first = np.searchsorted(times, chosen)
    return [first - 1, first, first + 1]


def frames_of(subject: Subject, candles: Candles) -> tuple[str, ...]:
    """Return the higher timeframes that a strategy builds, and the usual ones its base allows."""
    few = candles.slice(0, 1)
    tape = Tape(Identity("", "", candles.symbol, 0))
    with tape.reading(few.open_time):
        subject.rows(few)
    own = {call.timeframe for call in tape._calls if call.function == "resample"}
    known = []
    for frame in sorted({*_USUAL, *own}):
        try:
            few.resample(frame)
        except WickError:  # not a multiple of the base
            continue
        if frame != candles.timeframe:
            known.append(frame)
    return tuple(known)


def window_at(whole: Outcome, length: int) -> int:
    """Return where the stretch of this length with the most entries begins."""
    entries = (whole.array(DECISIONS) & (ENTER_LONG | ENTER_SHORT)) > 0
    total = np.concatenate(([0], np.cumsum(entries)))
    if len(total) <= length:
        return 0
    return int(np.argmax(total[length:] - total[:-length]))
