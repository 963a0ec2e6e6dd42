"""Memory lies in indicators alone: pieces give what the whole gives, and so does a second run."""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.findings import (
    BEGINNING,
    CHUNKS,
    FUTURE,
    HINTS,
    REPEAT,
    WRITTEN,
    Check,
    Finding,
)  # fmt: skip
from strategy.contract.future import Tick, beginning, others_behind, tell_apart
from strategy.contract.outcome import Rows, Span, Subject
from strategy.errors import WickError
from strategy.tape import Identity, Tape

_LARGE, _SMALL = 32, 256


def first_run(subject: Subject, candles: Candles) -> tuple[Span, Check]:
    """Run a strategy over all candles; also find out whether it changes them.

    Raises
    ------
    WickError
        The strategy stops with an error.
    """
    before = {name: array.copy() for name, array in candles.arrays.items()}
    span = Span.of(subject, candles.slice(0, len(before["open_time"])))
    check = Check(REPEAT, "two runs")
    check.runs = 1
    for name, array in before.items():
        apart = array != candles.arrays[name]
        if apart.any():
            said = f"indicators() changes {name} of the candles it is given"
            time = int(before["open_time"][apart.argmax()])
            check.found[name] = Finding(WRITTEN, name, said, HINTS[WRITTEN], time)
    return span, check


def same_again(check: Check, span: Span) -> None:
    """Run it once more."""
    again = span.candles.slice(0, len(span.times))
    check.compare(
        lambda: span.subject.rows(again), span, slice(0, len(span.times)), "in a second run"
    )


def same_in_pieces(span: Span, seed: int, tick: Tick) -> Check:
    """Read a history in random pieces: few large ones, and many small ones in a tenth of it."""
    check = Check(CHUNKS, "read in pieces")
    n = len(span.times)
    draw = np.random.default_rng(seed)
    begin = int(draw.integers(0, n - n // 10))
    few = draw.integers(0, n + 1, min(_LARGE, n))
    many = begin + draw.integers(0, n // 10 + 1, min(_SMALL, n))
    edges = _edges(np.append(few, many), n)
    run = partial(in_pieces, span.subject, span.candles, edges)
    check.compare(run, span, slice(0, n), "read in random pieces")
    tick()
    return check


def same_at_cuts(span: Span, places: NDArray[np.int64], seed: int, tick: Tick) -> list[Check]:
    """Read a history from cut to cut: as it is, by a module that has seen no candle, and with other
    candles behind every cut.

    What is said in front of a cut is said before the candles behind it are given, and must be what
    the strategy says of the whole.
    """
    early = Check(BEGINNING, "history ends early")
    how = "before the next candles are given"
    found = [_at_cuts(early, span, span.subject.anew(), places, how)]
    for title, kind, extreme in (
        ("future scrambled", "other", False),
        ("extreme future", "extreme", True),
    ):
        tick()
        check = Check(FUTURE, title)
        found.append(check)
        try:
            mixed = Span.of(span.subject, others_behind(span.candles, places, seed, extreme))
        except WickError as error:
            check.stops(error, int(span.times[-1]), f"with {kind} candles in between")
            continue
        how = f"before the {kind} candles behind it are given"
        _at_cuts(check, mixed, span.subject, places, how)
    tick()
    return found


def _at_cuts(
    check: Check, span: Span, reader: Subject, places: NDArray[np.int64], how: str
) -> Check:
    n = len(span.times)
    edges = _edges(places, n)
    check.compare(partial(in_pieces, reader, span.candles, edges), span, slice(0, n), how)
    check.runs = len(edges) - 1
    tell_apart(check, span, edges, beginning)
    return check


def _edges(places: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.unique(np.concatenate(([0, n], places)))


def in_pieces(subject: Subject, candles: Candles, edges: NDArray[np.int64]) -> Rows:
    """Run a strategy through a tape that reads the candles from edge to edge.

    Raises
    ------
    WickError
        The strategy stops with an error, or its calls do not repeat.
    """
    first = int(candles.arrays["open_time"][0])
    tape = Tape(Identity(subject.strategy.source_hash, "", candles.symbol, first))
    parts = []
    for start, stop in pairwise(edges.tolist()):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(subject.rows(chunk))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
