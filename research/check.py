"""All checks of one strategy over one history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backtest.refusals import refuse_cold
from strategy.candles import Candles
from strategy.contract.bars import every_bar
from strategy.contract.cuts import WINDOW, cuts, frames_of, window_at
from strategy.contract.findings import OUTSIDE, QUIET, REFUSED, STOPS, WRITTEN, Check, Finding
from strategy.contract.future import Tick, same_beginning, scrambled_future
from strategy.contract.outcome import DECISIONS, Outcome, Span, Subject
from strategy.contract.outside import private_uses, watching
from strategy.contract.parameters import at_ends, edge_params, unused_params
from strategy.contract.pieces import first_run, same_again, same_at_cuts, same_in_pieces
from strategy.contract.settling import Settling, first_value, settling
from strategy.errors import WickError
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.warmup import first_warm

_WINDOW, _CUTS, _HISTORY, _START = ", every bar", ", at cuts", ", whole history", ", from the start"
_TUNE = ", at ends of TUNE"
_FEW, _SOME, _FEWEST, _ENDS = 64, 4, 2, 8
# Ends with the checks of bars, and with those at cuts.
Longest = Callable[[Tick], tuple[list[Check], list[Check]]]


def _no_tick() -> None:
    pass


def _here(plan: "Plan") -> Longest:
    return partial(plan.longest, plan.bars)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks of one strategy over one history came to.

    Attributes
    ----------
    checks : tuple of Check
        In the order in which they are shown.
    settling : tuple of Settling
        How long each value needs.
    warnings : tuple of Finding
        Params that do nothing, ranges that fit badly, candles without an entry.
    start : int
        Position at which the stretch begins whose every bar was checked.
    entries : int
        Candles with an entry, in the whole history.
    """

    checks: tuple[Check, ...]
    settling: tuple[Settling, ...] = ()
    warnings: tuple[Finding, ...] = ()
    start: int = 0
    entries: int = 0

    @property
    def findings(self) -> list[Finding]:
        """All of them; empty where the strategy holds what it must."""
        return [finding for check in self.checks for finding in check.findings]


def check_strategy(
    subject: Subject,
    candles: Candles,
    asked_at_load: list[Finding],
    seed: int = 0,
    begin: Callable[[int], Tick] = lambda _: _no_tick,
    window: int = WINDOW,
    begin_longest: "Callable[[Plan], Longest]" = _here,
) -> Checked:
    """Run every check; the later ones are left out where the first run already fails.

    Parameters
    ----------
    asked_at_load : list of Finding
        What the file asked of the outside while it was loaded.
    begin : callable
        Called once with about how many runs there will be; gives what is called after each.
    window : int
        Candles of the stretch whose every bar is a cut.
    begin_longest : callable
        Begins with the checks that take longest, and gives what ends with them.

    Raises
    ------
    WickError
        There are fewer candles than the rules need to hold once.
    """
    text = Check(OUTSIDE, "nothing but candles and params")
    for finding in (*asked_at_load, *private_uses(subject.strategy)):
        text.found.setdefault(finding.said, finding)
    try:
        history, again = first_run(subject, candles)
    except WickError as error:
        stop = Finding(REFUSED, STOPS, error.message, error.hint)
        return Checked((text, Check(REFUSED, "first run", 1, found={STOPS: stop})))
    if any(finding.kind == WRITTEN for finding in again.findings):
        return Checked((text, again))  # no two runs had the same candles
    columns = [history.whole.array(f"Row.{name}") for name in subject.strategy.rules.fields]
    if first_warm(columns) == len(history.times):
        refuse_cold(subject.strategy, subject.params, [candles])
    try:
        with watching(str(subject.strategy.path)) as asked:
            subject.rows(candles.slice(0, window))
        text.found |= {finding.said: finding for finding in asked}
        text.runs += 1
        return _all_others(text, again, history, seed, begin, window, begin_longest)
    except WickError as error:  # the first run had none
        again.stops(error, -1, "in a later run")
        return Checked((text, again))


def _all_others(
    text: Check,
    again: Check,
    history: Span,
    seed: int,
    begin: Callable[[int], Tick],
    window: int,
    begin_longest: "Callable[[Plan], Longest]",
) -> Checked:
    plan = Plan.of(history, seed, window)
    tick = begin(plan.runs)
    longest = begin_longest(plan)
    same_again(again, history)
    ends, stops = plan.at_ends(tick)
    settled = settling(history, seed, tick)
    unused = unused_params(history.subject, [plan.window, history])
    checks = plan.work_off(tick, longest)
    flags = history.whole.array(DECISIONS)
    entries = int((flags & (ENTER_LONG | ENTER_SHORT) > 0).sum())
    return Checked(
        (text, again, *checks, *ends),
        tuple(settled),
        (*unused, *edge_params(history.subject), *stops, *_quiet(entries, history.whole)),
        plan.start,
        entries,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """Which candles the checks run over.

    Attributes
    ----------
    history : Span
        All of them.
    places : int64 array
        Where the history is cut.
    window : Span
        The stretch whose every bar is a cut.
    start, front : int
        Where the window begins, and how many of its candles only warm it up.
    """

    history: Span
    places: NDArray[np.int64]
    window: Span
    start: int
    front: int
    seed: int

    @classmethod
    def of(cls, history: Span, seed: int, width: int) -> "Plan":
        subject, candles, whole = history.subject, history.candles, history.whole
        n = len(history.times)
        pairs = zip(whole.names, whole.arrays, strict=True)
        warm = max(first_value(array) or 0 for name, array in pairs if name.startswith("Row."))
        # A long warm-up goes in front: else nothing would have a value inside the window.
        front = warm if warm > width // 2 else 0
        start = max(window_at(whole, width) - front, 0)
        stop = min(start + front + width, n)
        window = Span.of(subject, candles.slice(start, stop))
        places = cuts(candles, frames_of(subject, candles), seed)
        return cls(history, places, window, start, front, seed)

    @property
    def bars(self) -> range:
        """Bars of the window that are read one by one."""
        return range(self.front, len(self.window.times))

    @property
    def _lengths(self) -> range:
        return range(self.front + 1, len(self.window.times) + 1)

    @property
    def runs(self) -> int:
        """About how often progress is told."""
        return len(self.bars) + 3 * _FEW + _SOME + 2 * _FEWEST + 12

    def longest(self, bars: range, tick: Tick) -> tuple[list[Check], list[Check]]:
        """Do the checks that take longest: some bars of the window, and the history at its cuts."""
        return (
            every_bar(self.window, bars, self.seed, tick),
            same_at_cuts(self.history, self.places, self.seed, tick),
        )

    def work_off(self, tick: Tick, longest: Longest) -> list[Check]:
        """Do all others, and wait for the longest; equal titles are one line."""
        draw = np.random.default_rng(self.seed)
        window, history, seed = self.window, self.history, self.seed
        few = _some(draw, self._lengths, _FEW)
        some = _some(draw, self.places, _SOME)
        start = [
            check
            for span, lengths, others in ((window, few, few), (history, some, some[:_FEWEST]))
            for check in (
                same_beginning(span, lengths, tick),
                scrambled_future(span, others, tick, seed, False),
                scrambled_future(span, others, tick, seed, True),
            )
        ]
        pieces = [same_in_pieces(span, seed, tick) for span in (window, history)]
        bars, places = longest(tick)
        done = {
            _WINDOW: [*bars, pieces[0]],
            _CUTS: places,
            _HISTORY: [pieces[1]],
            _START: start,
        }
        lines: dict[tuple[str, str], Check] = {}
        for where, checks in done.items():
            for check in checks:
                check.title += where
                line = Check(check.kind, check.title)
                lines.setdefault((check.kind, check.title), line).join(check)
        return sorted(lines.values(), key=lambda check: check.kind)

    def at_ends(self, tick: Tick) -> tuple[list[Check], list[Finding]]:
        """Try the ends of TUNE, where there is one."""
        lengths = _some(np.random.default_rng(self.seed), self._lengths, _ENDS)
        check, stops = at_ends(self.window.subject, self.window, lengths, tick)
        check.title += _TUNE
        return [check] if check.runs else [], stops


def _some(draw: np.random.Generator, of: Sequence[int] | NDArray[np.int64], most: int) -> list[int]:
    chosen: list[int] = draw.choice(of, min(most, len(of)), replace=False).tolist()
    return sorted(chosen)


def _quiet(entries: int, whole: Outcome) -> list[Finding]:
    """Say what could not be compared: columns without a value, sizes without an entry."""
    count = len(whole.arrays[0])
    found = [
        Finding(
            QUIET,
            name,
            f"{name} has no value on any of {count:,} candles",
            "take more candles: nothing of it was compared",
        )
        for name, array in zip(whole.names, whole.arrays, strict=True)
        if name.startswith("Row.") and first_value(array) is None
    ]
    if not entries:
        said = f"no entry rule holds on any of {count:,} candles"
        hint = "take more candles, or let the rules hold more often with --set: sizes need an entry"
        found.append(Finding(QUIET, "entries", said, hint))
    return found
