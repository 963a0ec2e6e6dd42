"""What a tuning was asked for, and all that its trials rest on."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backtest.inputs import Asked, Inputs
from backtest.spans import part_of, span_of
from backtest.sweeps.asked import prints_of
from data.dates import show_time
from research.tuning.objectives import Constraint, constraints_of, objectives_of
from research.tuning.sampling import SAMPLERS
from research.tuning.space import Space, spaces_of
from strategy.errors import WickError, did_you_mean
from strategy.kernel import SOURCE_HASH
from strategy.timeframes import DAY_MS

MOST_TRIALS = 1_000_000
_TEST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class TuneAsked:
    """How a search shall be made.

    Attributes
    ----------
    trials : int
        In all, those of earlier processes on the same study counted.
    objectives, constraints : tuple of str
    sampler : str
        One of `SAMPLERS`.
    seed : int
    folds : int
        Parts of the span; a trial's value is its mean over them.
    split_ms : int, optional
        Where the hold-out begins, UTC ms; its last 30 % by default.
    study, storage : str, optional
        Name and URL of where trials are kept.
    """

    trials: int = 200
    objectives: tuple[str, ...] = ("sharpe",)
    constraints: tuple[str, ...] = ()
    sampler: str = "tpe"
    seed: int = 0
    folds: int = 1
    split_ms: int | None = None
    study: str | None = None
    storage: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A search that was checked.

    Attributes
    ----------
    inputs : Inputs
        The searched span; the hold-out is not in it.
    folds : tuple of Inputs
        What each trial is run on.
    spaces, objectives, constraints : tuple
    holdout : (int, int)
        UTC ms, from and to.
    """

    inputs: Inputs
    folds: tuple[Inputs, ...]
    spaces: tuple[Space, ...]
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    holdout: tuple[int, int]


def pinned(inputs: Inputs, asked: Asked) -> Inputs:
    """Take params out of TUNE that were set by hand: they keep that value.

    Raises
    ------
    WickError
        None is left.
    """
    names = {change.partition("=")[0].strip() for change in asked.changes}
    tune = inputs.strategy.tune
    left = {name: space for name, space in tune.items() if name not in names}
    if tune and not left:
        raise WickError(
            f"--set gives every param of TUNE a value: {', '.join(tune)}",
            "leave one of them out, or wick backtest",
        )
    return replace(inputs, strategy=replace(inputs.strategy, tune=left))


def check_asked(asked: TuneAsked) -> None:
    """Refuse settings that no search can be made with, whatever the strategy.

    Raises
    ------
    WickError
        One of them is unknown or out of range, or two constraints cannot hold together.
    """
    if not 1 <= asked.trials <= MOST_TRIALS:
        raise WickError(f"--trials is {asked.trials}, expected 1 to {MOST_TRIALS}", "--trials 200")
    objectives_of(asked.objectives)
    constraints_of(asked.constraints)
    if asked.sampler not in SAMPLERS:
        raise WickError(
            f"unknown --sampler {asked.sampler!r}", did_you_mean(asked.sampler, SAMPLERS)
        )
    if not 0 <= asked.seed < 2**32:
        raise WickError(f"--seed is {asked.seed}, expected 0 to {2**32 - 1}", "--seed 1")
    if not 1 <= asked.folds <= 100:
        raise WickError(f"--folds is {asked.folds}, expected 1 to 100", "--folds 5")
    if asked.study is not None and not re.fullmatch(r"\w[\w.-]{0,99}", asked.study):
        raise WickError(
            f"--study {asked.study!r} cannot name a study",
            "up to 100 letters, digits, - _ and ., such as my-first",
        )


def prepare(inputs: Inputs, asked: TuneAsked) -> Prepared:
    """Cut the hold-out off, and read what shall be searched.

    Raises
    ------
    WickError
        A setting, TUNE, or the split does not fit.
    """
    check_asked(asked)
    spaces = spaces_of(inputs.strategy)
    first, end = span_of(inputs.candles)
    split_ms = default_split_ms(first, end) if asked.split_ms is None else asked.split_ms
    _check_split(inputs, split_ms)
    train = part_of(inputs, first, split_ms)
    return Prepared(
        train,
        folds_of(train, asked.folds),
        spaces,
        objectives_of(asked.objectives),
        constraints_of(asked.constraints),
        (split_ms, end),
    )


def default_split_ms(first_ms: int, end_ms: int) -> int:
    """Return where the last 30 % begin, at midnight UTC where the span is long enough for that."""
    split_ms = first_ms + round((end_ms - first_ms) * (1.0 - _TEST_SHARE))
    midnight_ms = split_ms // DAY_MS * DAY_MS
    return midnight_ms if midnight_ms > first_ms else split_ms // 60_000 * 60_000


def folds_of(inputs: Inputs, count: int) -> tuple[Inputs, ...]:
    """Cut a span into equally long parts, each with warm indicators.

    Raises
    ------
    WickError
        One of them has no candle.
    """
    if count == 1:
        return (inputs,)
    first, end = span_of(inputs.candles)
    edges = [first + round((end - first) * at / count) for at in range(count + 1)]
    parts = tuple(part_of(inputs, *edges[at : at + 2]) for at in range(count))
    for part in parts:
        if not all(len(one.arrays["open_time"]) > 1 for one in part.candles):
            raise WickError(
                f"--folds {count} leaves a part without candles", "fewer --folds, or a longer span"
            )
    return parts


def _check_split(inputs: Inputs, split_ms: int) -> None:
    for one in inputs.candles:
        times = one.arrays["open_time"]
        at = int(times.searchsorted(split_ms))
        if not 0 < at < len(times):
            which = "hold-out" if at else "searched span"
            first, last = show_time(int(times[0])), show_time(int(times[-1]))
            raise WickError(
                f"split at {show_time(split_ms)}, the {which} has no {one.symbol} candles;"
                f" they are {first} to {last} (UTC)",
                "choose a --split between them, or another --from and --to",
            )


def rests_on(prepared: Prepared, asked: TuneAsked) -> dict[str, str]:
    """Name everything that a trial's value depends on beside its own params."""
    found = prints_of(prepared.inputs)
    searched = {one.name for one in prepared.spaces}
    params = prepared.inputs.params._asdict()
    found["the params"] = repr({n: v for n, v in params.items() if n not in searched})
    found["TUNE"] = repr(prepared.spaces)
    found["the objectives"] = repr(prepared.objectives)
    found["the constraints"] = repr(sorted(one.text for one in prepared.constraints))
    found["the number of folds"] = repr(asked.folds)
    found["the hold-out"] = repr(prepared.holdout)
    found["the sampler"] = asked.sampler
    found["the seed"] = repr(asked.seed)
    return found | {"Candlewick itself": SOURCE_HASH}


def study_name(prepared: Prepared, asked: TuneAsked, rests: Mapping[str, str]) -> str:
    """Name a study so that the same command finds it again, also after an edit of the strategy."""
    if asked.study is not None:
        return asked.study
    moving = ("the strategy's source", "TUNE", "Candlewick itself")
    fixed = [value for name, value in sorted(rests.items()) if name not in moving]
    digest = hashlib.sha256("\n".join(fixed).encode())
    symbols = prepared.inputs.candles
    more = f"+{len(symbols) - 1}" if len(symbols) > 1 else ""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in prepared.inputs.strategy.name)
    return f"{plain[:40]}-{symbols[0].symbol}{more}-{digest.hexdigest()[:8]}"
