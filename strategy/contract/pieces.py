"""Memory lies in indicators alone: pieces give what the whole gives, and so does a second run."""

from functools import partial

import numpy as np

from strategy.candles import Candles
from strategy.contract.findings import CHUNKS, HINTS, REPEAT, WRITTEN, Check, Finding
from strategy.contract.future import Tick
from strategy.contract.outcome import Outcome, Subject, in_pieces, outcome


def repeats(subject: Subject, candles: Candles) -> tuple[Outcome, Check]:
    """Run a strategy twice over all candles; also return what it says.

    Raises
    ------
    WickError
        The first run stops with an error.
    """
    before = {name: array.copy() for name, array in candles.arrays.items()}
    n = len(before["open_time"])
    whole = outcome(subject, candles.slice(0, n))
    check = Check(REPEAT, "two runs")
    check.runs = 1
    for name, array in before.items():
        if array.tobytes() != candles.arrays[name].tobytes():
            at = int((array != candles.arrays[name]).argmax())
            said = f"indicators() changes {name} of the candles it is given"
            time = int(before["open_time"][at])
            check.found[name] = Finding(WRITTEN, name, said, HINTS[WRITTEN], time)
    check.compare(
        lambda: outcome(subject, candles.slice(0, n)),
        whole,
        n,
        before["open_time"],
        "in a second run",
    )
    return whole, check


def same_in_pieces(
    subject: Subject, candles: Candles, whole: Outcome, seed: int, single_from: int, tick: Tick
) -> Check:
    """Read a history candle by candle from a position on, and in random pieces twice.

    Parameters
    ----------
    single_from : int
        What comes before is read as one piece.
    """
    check = Check(CHUNKS, "read in pieces")
    times = candles.arrays["open_time"]
    n = len(times)
    draw = np.random.default_rng(seed)
    ways = {"in random pieces": _edges(draw, n, 64), "in other random pieces": _edges(draw, n, 512)}
    if single_from < n:
        ways["candle by candle"] = sorted({0, *range(single_from, n + 1)})
    for how, edges in ways.items():
        check.compare(partial(in_pieces, subject, candles, edges), whole, n, times, f"read {how}")
        tick()
    return check


def _edges(draw: np.random.Generator, n: int, count: int) -> list[int]:
    return sorted({0, n, *draw.integers(0, n + 1, min(count, n)).tolist()})
