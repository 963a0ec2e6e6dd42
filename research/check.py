"""All checks of one strategy over one history, two at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from backtest.refusals import refuse_cold
from strategy.candles import Candles
from strategy.contract.cuts import STRETCH, WHOLE, WINDOW, cuts, frames_of, stretches, window_at
from strategy.contract.findings import OUTSIDE, QUIET, REFUSED, WRITTEN, Check, Finding
from strategy.contract.future import same_beginning, scrambled_future
from strategy.contract.outcome import DECISIONS, Outcome, Subject, outcome
from strategy.contract.outside import private_uses, watching
from strategy.contract.parameters import edge_params, unused_params
from strategy.contract.pieces import repeats, same_in_pieces
from strategy.contract.settling import Settling, first_value, settling
from strategy.errors import WickError
from strategy.rules import ENTER_LONG, ENTER_SHORT

Tick = Callable[[], None]
_WINDOW, _CUTS, _HISTORY = ", every bar", ", at cuts", ", whole history"
_FEWER = 4


def _no_tick() -> None:
    pass


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

    Raises
    ------
    WickError
        There are fewer candles than the rules need to hold once.
    """
    text = Check(OUTSIDE, "nothing but candles and params")
    for finding in (*asked_at_load, *private_uses(subject.strategy)):
        text.found.setdefault(finding.said, finding)
    try:
        whole, again = repeats(subject, candles)
    except WickError as error:
        stop = Finding(REFUSED, "indicators", error.message, error.hint)
        return Checked((text, Check(REFUSED, "first run", 1, found={"indicators": stop})))
    if any(finding.kind == WRITTEN for finding in again.findings):
        return Checked((text, again))  # no two runs had the same candles
    with watching(str(subject.strategy.path)) as asked:
        outcome(subject, candles.slice(0, window))
    text.found |= {finding.said: finding for finding in asked}
    text.runs += 1
    refuse_cold(subject.strategy, subject.params, [candles])
    plan = _Plan.of(subject, candles, whole, seed, window)
    checks, settled = _work_off(plan, begin(plan.runs))
    spans = [(span.candles, span.whole) for span in (plan.window, plan.history)]
    entries = int((whole.array(DECISIONS) & (ENTER_LONG | ENTER_SHORT) > 0).sum())
    return Checked(
        (text, again, *checks),
        tuple(settled),
        (*unused_params(subject, spans), *edge_params(subject.strategy), *_quiet(entries, whole)),
        plan.start,
        entries,
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """Candles, what the strategy says of them, and where they are cut."""

    candles: Candles
    whole: Outcome
    lengths: Sequence[int]

    @classmethod
    def of(
        cls, subject: Subject, candles: Candles, start: int, stop: int, lengths: Sequence[int]
    ) -> "_Span":
        part = candles.slice(start, stop)
        return cls(part, outcome(subject, part), lengths)

    def only(self, lengths: Sequence[int]) -> "_Span":
        return _Span(self.candles, self.whole, lengths)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which candles the checks run over.

    Attributes
    ----------
    window : _Span
        The stretch whose every bar is a cut.
    start, front : int
        Where the window's span begins, and how many of its candles only warm it up.
    stretches : list of _Span
        The history's cuts, in stretches that fit the processor's cache.
    history : _Span
        All of it, with a few of the cuts: for what lies further away than a stretch is long.
    """

    subject: Subject
    window: _Span
    start: int
    front: int
    stretches: list[_Span]
    history: _Span
    seed: int

    @classmethod
    def of(
        cls, subject: Subject, candles: Candles, whole: Outcome, seed: int, width: int
    ) -> "_Plan":
        n = len(candles.arrays["open_time"])
        pairs = zip(whole.names, whole.arrays, strict=True)
        warm = max(first_value(array) or 0 for name, array in pairs if name.startswith("Row."))
        # A long warm-up goes in front: else nothing would have a value inside the window.
        front = warm if warm > width // 2 else 0
        start = max(window_at(whole, width) - front, 0)
        stop = min(start + front + width, n)
        window = _Span.of(subject, candles, start, stop, range(front + 1, stop - start + 1))
        places = cuts(candles, frames_of(subject, candles), seed)
        dealt = stretches(places, n, max(STRETCH, 4 * warm))
        few = np.random.default_rng(seed).choice(places, min(WHOLE, len(places)), replace=False)
        return cls(
            subject,
            window,
            start,
            front,
            [_Span.of(subject, candles, *stretch) for stretch in dealt],
            _Span(candles, whole, few.tolist()),
            seed,
        )

    @property
    def runs(self) -> int:
        """About how many runs of the strategy the cuts take."""
        lengths = [len(span.lengths) for _, span in self._spans()]
        return 3 * sum(lengths) - lengths[0] + lengths[0] // _FEWER

    def jobs(self, tick: Tick) -> Iterator[tuple[str, Callable[[], Check]]]:
        """Give all checks with the words that say over what; equal words are one line."""
        for where, span in self._spans():
            its = (self.subject, span.candles, span.whole)
            yield where, partial(same_beginning, *its, span.lengths, tick)
            scrambled = partial(scrambled_future, *its, tick=tick, seed=self.seed)
            yield where, partial(scrambled, lengths=span.lengths)
            # Extreme prices take another path through few strategies: every fourth bar is enough.
            fewer = span.lengths[:: _FEWER if span is self.window else 1]
            yield where, partial(scrambled, lengths=fewer, extreme=True)
        window, history = self.window, self.history
        for where, span, single in (
            (_WINDOW, window, self.front),
            (_HISTORY, history, len(history.whole.arrays[0])),
        ):
            its = (self.subject, span.candles, span.whole)
            yield where, partial(same_in_pieces, *its, self.seed, single, tick)

    def _spans(self) -> Iterator[tuple[str, _Span]]:
        yield _WINDOW, self.window
        for stretch in self.stretches:
            yield _CUTS, stretch
        yield _HISTORY, self.history


def _work_off(plan: _Plan, tick: Tick) -> tuple[list[Check], list[Settling]]:
    history = plan.history
    jobs = list(plan.jobs(tick))
    # Long runs let go of the interpreter's lock and share two cores; short ones would only fight
    # for it, so they come after, alone.
    with ThreadPoolExecutor(2) as pool:
        running = [(where, pool.submit(job)) for where, job in jobs if where != _WINDOW]
        try:
            settled = settling(plan.subject, history.candles, history.whole, plan.seed, tick)
            long = [(where, job.result()) for where, job in running]
        finally:
            for _, job in running:
                job.cancel()
    done = [(where, job()) for where, job in jobs if where == _WINDOW] + long
    lines: dict[tuple[str, str], Check] = {}
    for where, check in done:
        check.title += where
        lines.setdefault((check.kind, check.title), Check(check.kind, check.title)).join(check)
    return sorted(lines.values(), key=lambda check: check.kind), settled


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
