"""Where a history is cut: at seeded places, around closes of higher candles, around gaps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.outcome import DECISIONS, Outcome, Subject, outcome
from strategy.errors import WickError
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.tape import Identity, Tape
from strategy.timeframes import timeframe_ms

WINDOW = 5_000
SEEDED = 200
STRETCH = 1 << 16
WHOLE = 8
_USUAL = ("5m", "15m", "1h", "4h", "1d", "1w")
_PER_KIND = 4


def cuts(candles: Candles, frames: tuple[str, ...], seed: int) -> tuple[int, ...]:
    """Choose lengths at which a history is cut: seeded ones and those around boundaries.

    A window of a higher timeframe closes with the candle before the first of the next window. The
    cut is placed before that closing candle, behind it, and behind the next one.
    """
    draw = np.random.default_rng(seed)
    times = candles.arrays["open_time"]
    n = len(times)
    places = [draw.integers(1, n + 1, min(SEEDED, n))]
    for frame in frames:
        opens = np.searchsorted(times, candles.resample(frame).open_time)
        places += _around(opens, draw)
    places += _around(np.flatnonzero(np.diff(times) != candles.timeframe_ms) + 1, draw)
    every = np.unique(np.concatenate(places))
    return tuple(int(cut) for cut in every if 1 <= cut <= n)


class Stretch(NamedTuple):
    """Candles from start to stop, and the lengths, counted from start, at which they are cut."""

    start: int
    stop: int
    lengths: tuple[int, ...]


def stretches(places: Sequence[int], n: int, longest: int) -> list[Stretch]:
    """Deal the cuts of a history out to overlapping stretches of it.

    A run over a year leaves the processor's cache and costs twenty times one over a stretch. Each
    cut lies in the later half of its stretch, or in the first one.

    Parameters
    ----------
    places : sequence of int
        Cuts of the history.
    n : int
        Candles of the history.
    longest : int
        Candles of a stretch.
    """
    half = longest // 2
    dealt: dict[int, list[int]] = {}
    for place in places:
        start = max((place - 1) // half - 1, 0) * half
        dealt.setdefault(start, []).append(place - start)
    return [Stretch(at, min(at + longest, n), tuple(cuts)) for at, cuts in sorted(dealt.items())]


def _around(opens: NDArray[np.int64], draw: np.random.Generator) -> list[NDArray[np.int64]]:
    if not len(opens):
        return []
    chosen = draw.choice(opens, min(_PER_KIND, len(opens)), replace=False)
    return [chosen - 1, chosen, chosen + 1]


def frames_of(subject: Subject, candles: Candles) -> tuple[str, ...]:
    """Return the higher timeframes that a strategy builds, and the usual ones its base allows."""
    tape = Tape(Identity("", "", candles.symbol, 0))
    with tape.reading(candles.open_time):
        outcome(subject, candles)
    own = {call.timeframe for call in tape._calls if call.function == "resample"}
    known = []
    for frame in sorted({*_USUAL, *own}, key=timeframe_ms):
        try:
            candles.slice(0, 1).resample(frame)
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
