"""Every bar of a stretch: what is said before anything later is given, and with others behind it.

A file that says of a candle, before it was given any later one, what it says with the whole history
has not used a later one. So one copy of it, loaded anew, reads the stretch candle by candle, as
live. From the memory it has in front of a candle, another copy reads that candle and strangers
behind it: what it says of the candle must be the same again, whatever follows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.contract.findings import BEGINNING, FUTURE, Check
from strategy.contract.future import Tick, beginning, noisy, tell_apart, with_other_future
from strategy.contract.outcome import Rows, Span
from strategy.errors import WickError
from strategy.tape import Identity, Tape

STRANGERS = 64
FEWER = 4


@dataclass(slots=True)
class _Reading:
    """One way of reading every `step`-th bar, and what was said of each."""

    check: Check
    how: str
    step: int = 1
    rows: list[Rows] = field(default_factory=list)
    stopped: bool = False

    def read(self, tape: Tape, run: Callable[[Candles], Rows], chunk: Candles) -> None:
        self.check.runs += 1
        try:
            with tape.reading(chunk.open_time):
                rows = run(chunk)
        except WickError as error:
            self.check.stops(error, int(chunk.open_time[0]), self.how)
            self.stopped = True
        else:
            self.rows.append(tuple([array[:1] for array in rows]))

    def hold(self, span: Span, bars: range, run: Callable[[Span, int], Rows]) -> Check:
        if self.rows:
            joined = tuple(np.concatenate(arrays) for arrays in zip(*self.rows, strict=True))
            at = slice(bars.start, bars.start + self.step * len(self.rows), self.step)
            self.check.hold(joined, span, at, self.how)
        tell_apart(self.check, span, np.arange(len(span.times) + 1), run)
        return self.check


class _Strangers:
    """The candles of a span, each with strangers behind it."""

    def __init__(self, candles: Candles, noise: dict[str, NDArray[Any]]) -> None:
        self._candles = candles
        self._arrays = {"open_time": candles.open_time}
        self._arrays |= {name: noise[name].copy() for name in candles.arrays if name in noise}

    def behind(self, at: int) -> Candles:
        """Give a candle and strangers; places must rise, since what is behind one is left."""
        given = self._candles.arrays
        for name, array in self._arrays.items():
            array[at] = given[name][at]
        chunk = {name: array[at : at + 1 + STRANGERS] for name, array in self._arrays.items()}
        return Candles(self._candles.symbol, self._candles.market, self._candles.timeframe, chunk)


def every_bar(span: Span, bars: range, seed: int, tick: Tick) -> list[Check]:
    """Read a span bar by bar, each with nothing, other and extreme candles behind it.

    Parameters
    ----------
    bars : range
        Of candles one behind the other; what comes before them is read as one piece. Extreme
        candles stand behind every fourth: they take another path through few strategies.
    """
    subject, candles = span.subject, span.candles
    alone = _Reading(Check(BEGINNING, "history ends early"), "before any later candle is given")
    others = [
        _Reading(Check(FUTURE, "future scrambled"), "when other candles follow"),
        _Reading(Check(FUTURE, "extreme future"), "when extreme candles follow", FEWER),
    ]
    strangers = [_Strangers(candles, noisy(candles, seed, extreme)) for extreme in (False, True)]
    blind = subject.anew()
    tape = Tape(Identity(subject.strategy.source_hash, "", candles.symbol, int(span.times[0])))
    if bars.start:
        with tape.reading(span.times[: bars.start]):
            blind.rows(candles.slice(0, bars.start))
    for at in bars:
        for one, behind in zip(others, strangers, strict=True):
            if not one.stopped and (at - bars.start) % one.step == 0:
                one.read(tape.fork(), subject.rows, behind.behind(at))
        alone.read(tape, blind.rows, candles.slice(at, at + 1))
        tick()
        if alone.stopped:
            break
    return [
        alone.hold(span, bars, beginning),
        *(
            one.hold(span, bars, partial(with_other_future, seed=seed, extreme=extreme))
            for one, extreme in zip(others, (False, True), strict=True)
        ),
    ]
