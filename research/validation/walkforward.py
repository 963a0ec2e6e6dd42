"""Walk-forward and cross-validation: searched on some spans, judged on others, again and again."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.joining import timeline_of
from backtest.refusals import refuse_cold
from backtest.spans import part_of, span_of
from backtest.sweeps.engine import evaluate
from data.run_record import figures_of
from data.tune_json import WindowRecord
from research.tuning.asked import TuneAsked, check_asked
from research.tuning.objectives import constraints_of, objectives_of
from research.tuning.sampling import Sampling
from research.tuning.scoring import MEMORY, Evaluate, Scorer
from research.tuning.search import search
from research.tuning.space import spaces_of
from research.validation.splits import Span, Split, cpcv, k_fold, paths, walk_forward
from research.validation.stitched import out_of_sample, stitched
from research.validation.turns import by_turns
from strategy.errors import RunRefused, WickError, did_you_mean
from strategy.metrics import MIN_DAYS
from strategy.metrics.daily import NOISE, YEAR, by_day
from strategy.records import PART, TRADE
from strategy.risk import REFUSALS
from strategy.timeframes import DAY_MS

SCHEMES = ("rolling", "anchored", "kfold", "cpcv")
_TRAIN_SHARE, _TEST_SHARE = 0.4, 0.1
_GROUPS, _TEST_GROUPS = 6, 2


@dataclass(frozen=True, slots=True)
class WalkAsked:
    """How a history shall be cut; None where nothing was said.

    Attributes
    ----------
    scheme : str
        One of `SCHEMES`.
    train_ms, test_ms : int, optional
        Of rolling and anchored windows; 40 % and 10 % of the history by default.
    groups, test_groups : int, optional
        Of kfold and cpcv; 6, and of cpcv 2 of them.
    purge_ms, embargo_ms : int, optional
        Of kfold and cpcv; a day each by default.
    """

    scheme: str = "rolling"
    train_ms: int | None = None
    test_ms: int | None = None
    groups: int | None = None
    test_groups: int | None = None
    purge_ms: int | None = None
    embargo_ms: int | None = None

    @property
    def margins(self) -> tuple[int, int]:
        """Purge and embargo; none where test spans only follow."""
        if self.scheme in ("rolling", "anchored"):
            return 0, 0
        purge, embargo = self.purge_ms, self.embargo_ms
        return DAY_MS if purge is None else purge, DAY_MS if embargo is None else embargo


@dataclass(frozen=True, slots=True)
class Walked:
    """What came of a walk-forward or a cross-validation.

    Attributes
    ----------
    result : Result
        The test spans one after the other on one balance; of cpcv those of its first path. Its
        params are those of the last search.
    inputs : Inputs
        Over the test spans.
    windows : list of WindowRecord
    efficiency : float or None
        Annual return out of sample ÷ mean annual return of the winners in sample.
    paths : list of float or None
        Annual Sharpe ratio of each path of cpcv.
    """

    result: Result
    inputs: Inputs
    windows: list[WindowRecord]
    efficiency: float | None
    paths: list[float | None]


def splits_of(asked: WalkAsked, first: int, end: int) -> list[Split]:
    """Cut a history as it was asked for.

    Raises
    ------
    WickError
        The scheme is unknown, a length belongs to another one or is no length, or there is no room.
    """
    if asked.scheme not in SCHEMES:
        raise WickError(f"unknown --scheme {asked.scheme!r}", did_you_mean(asked.scheme, SCHEMES))
    walks = asked.scheme in ("rolling", "anchored")
    own = {
        "--train": (asked.train_ms, walks),
        "--test": (asked.test_ms, walks),
        "--groups": (asked.groups, not walks),
        "--test-groups": (asked.test_groups, asked.scheme == "cpcv"),
        "--purge": (asked.purge_ms, not walks),
        "--embargo": (asked.embargo_ms, not walks),
    }
    for flag, (value, fits) in own.items():
        if value is not None and not fits:
            raise WickError(
                f"{flag} means nothing with --scheme {asked.scheme}", "leave it out, or --help"
            )
    if not walks:
        groups = _GROUPS if asked.groups is None else asked.groups
        if asked.scheme == "kfold":
            return k_fold(first, end, groups, *asked.margins)
        tests = _TEST_GROUPS if asked.test_groups is None else asked.test_groups
        return cpcv(first, end, groups, tests, *asked.margins)
    length = end - first
    train = _share(length, _TRAIN_SHARE) if asked.train_ms is None else asked.train_ms
    test = _share(length, _TEST_SHARE) if asked.test_ms is None else asked.test_ms
    return walk_forward(first, end, train, test, anchored=asked.scheme == "anchored")


def _share(length_ms: int, share: float) -> int:
    # Whole days where there are any, so that days of equity are whole, too.
    part = round(length_ms * share)
    return part // DAY_MS * DAY_MS or part // 60_000 * 60_000


@dataclass(frozen=True, slots=True)
class _Found:
    """The winner of one search; None where no trial gave a value."""

    params: Any
    score: float | None
    cagr: float


def walk(
    inputs: Inputs,
    how: WalkAsked,
    asked: TuneAsked,
    *,
    evaluate: Evaluate = evaluate,
    threads: int | None = None,
    memory: int = MEMORY,
    at_once: int = 1,
    tell: Callable[[int, int], None] = lambda *_: None,
) -> Walked:
    """Search on the training spans of each split, and run its winner on the test spans.

    Parameters
    ----------
    inputs : Inputs
        The whole history; nothing of a test span is shown to the search that it judges, but what
        indicators remember of it behind an embargo.
    how : WalkAsked
    asked : TuneAsked
        Of each search, whose trials are kept in memory only.
    at_once : int
        Searches at the same time, where `evaluate` can be called by several threads.
    tell : callable
        Called with the searches that are done, and the trials of all.

    Raises
    ------
    WickError
        A setting, TUNE or the cut does not fit, or the history is too short.
    RunRefused
        No search gave a value, or the balance was used up out of sample.
    """
    check_asked(asked)
    spaces = spaces_of(inputs.strategy)
    objectives, constraints = objectives_of(asked.objectives), constraints_of(asked.constraints)
    first, end = span_of(inputs.candles)
    splits = splits_of(how, first, end)
    refuse_cold(inputs.strategy, inputs.params, inputs.candles)
    names = [one.name for one in spaces]
    trials = [0] * len(splits)

    def told(at: int, count: int) -> None:
        trials[at] = count
        tell(sum(one == asked.trials for one in trials), sum(trials))

    def searched(at: int, evaluate: Evaluate) -> _Found:
        spans = [part_of(inputs, *span) for span in splits[at].train]
        _check_candles(spans, splits[at])
        scorer = Scorer(
            spans, names, objectives, constraints,
            evaluate=evaluate, threads=threads, memory=memory,
        )  # fmt: skip
        sampling = Sampling(asked.sampler, spaces, len(objectives), asked.seed, str(at))
        its = search(scorer, sampling, asked.trials, tell=lambda so_far: told(at, so_far.done))
        found = _found(scorer, its.values, its.best, its.scores[:, 0])
        told(at, asked.trials)  # a grid may have fewer
        return found

    searches = [partial(searched, at) for at in range(len(splits))]
    found = by_turns(searches, evaluate, min(at_once, len(splits)))
    if all(one.params is None for one in found):
        raise RunRefused(
            f"none of {len(splits)} searches of {asked.trials} trials gave a {objectives[0]}",
            "longer training spans, a wider TUNE, or --objective total_return",
        )
    return _judged(inputs, splits, found, how.scheme)


def _found(
    scorer: Scorer, values: NDArray[np.float64], best: int | None, scores: NDArray[np.float64]
) -> _Found:
    if best is None:
        return _Found(None, None, math.nan)
    row = values[best]
    cagr = float(scorer.score(row[None, :]).figures["cagr"][0])
    return _Found(scorer.plans[0].params(row), float(scores[best]), cagr)


def _judged(
    inputs: Inputs, splits: Sequence[Split], found: Sequence[_Found], scheme: str
) -> Walked:
    windows: list[WindowRecord] = []
    alone: dict[tuple[int, Span], Result] = {}
    for at, split in enumerate(splits):
        for span in split.test:
            result = _tested(inputs, span, found[at], inputs.balance, len(windows) + 1)
            alone[at, span] = result
            windows.append(_window(split, span, found[at], result))
    ways = paths(splits)
    groups = sorted({span for split in splits for span in split.test})
    whole = part_of(inputs, groups[0][0], groups[-1][1])
    last = next(one.params for one in reversed(found) if one.params is not None)
    whole = dataclasses.replace(whole, params=last)
    parts, balance = [], inputs.balance
    for number, (span, at) in enumerate(zip(groups, ways[0], strict=True), 1):
        parts.append(_tested(inputs, span, found[at], balance, number))
        balance = float(parts[-1].equity[-1])
    result = stitched(whole, parts)
    sharpes = [
        _sharpe([alone[at, span] for span, at in zip(groups, way, strict=True)]) for way in ways
    ]
    return Walked(
        result,
        whole,
        sorted(windows, key=lambda one: one.test),
        _efficiency(result, found),
        sharpes if scheme == "cpcv" else [],
    )


def _tested(inputs: Inputs, span: Span, found: _Found, balance: float, number: int) -> Result:
    part = dataclasses.replace(part_of(inputs, *span), balance=balance)
    if found.params is None:  # nothing was found, so nothing is traded
        return _idle(part)
    try:
        return run(part, found.params)
    except RunRefused as error:
        raise out_of_sample(error, number) from error


def _idle(part: Inputs) -> Result:
    each = [one.arrays["open_time"] for one in part.candles]
    times = timeline_of(each, part.candles[0].timeframe_ms)
    return Result(
        part.strategy,
        part.params,
        part.risk,
        part.costs,
        part.balance,
        part.candles,
        part.grids,
        np.empty(0, TRADE).view(np.recarray),
        times,
        np.full(len(times), part.balance),
        np.zeros((len(each), len(REFUSALS)), np.int64),
        np.empty(0, PART).view(np.recarray),
        part.funding,
        np.zeros((len(each), 3), np.int64),
    )


def _window(split: Split, span: Span, found: _Found, result: Result) -> WindowRecord:
    figures = {one.key: one.value for one in figures_of(result)}
    params = {} if found.params is None else found.params._asdict()
    return WindowRecord(
        train=list(split.train),
        test=span,
        params=params,
        score=found.score,
        sharpe=figures["sharpe"],
        total_return=figures["total_return"] or 0.0,
        max_drawdown=figures["max_drawdown"] or 0.0,
        trades=len(result.trades),
        note="" if found.params is not None else "no trial had a value, so nothing was traded",
    )


def _efficiency(result: Result, found: Sequence[_Found]) -> float | None:
    known = [one.cagr for one in found if not math.isnan(one.cagr)]
    outside = next(one.value for one in figures_of(result) if one.key == "cagr")
    if not known or outside is None or (inside := float(np.mean(known))) <= 0.0:
        return None
    return outside / inside


def _sharpe(results: Sequence[Result]) -> float | None:
    days = np.concatenate(
        [
            by_day(one.time, one.equity, one.balance, one.candles[0].timeframe_ms).returns
            for one in results
        ]
    )
    spread = float(days.std(ddof=1)) if len(days) > 1 else 0.0
    if len(days) < MIN_DAYS or spread <= NOISE:
        return None
    return float(days.mean()) / spread * YEAR


def _check_candles(spans: Sequence[Inputs], split: Split) -> None:
    for part in spans:
        if not all(len(one.arrays["open_time"]) > 1 for one in part.candles):
            raise WickError(
                f"a training span, {split.train}, has no candles of some symbol",
                "a longer history, or fewer groups",
            )
