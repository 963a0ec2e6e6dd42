"""Where a history is cut into training and test spans."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from data.dates import show_time
from strategy.errors import WickError
from strategy.timeframes import DAY_MS

_MOST = 1_000
Span = tuple[int, int]  # UTC ms, from and before


class Split(NamedTuple):
    """What is searched on, and what it is judged on; no candle is in both.

    Attributes
    ----------
    train, test : tuple of Span
        Each in the order of time.
    """

    train: tuple[Span, ...]
    test: tuple[Span, ...]


def walk_forward(first: int, end: int, train: int, test: int, *, anchored: bool) -> list[Split]:
    """Cut a history into windows whose test spans follow each other up to its end.

    Parameters
    ----------
    first, end : int
        UTC ms.
    train, test : int
        Lengths in ms.
    anchored : bool
        Training begins with the history and grows; otherwise it is `train` long and moves along.

    Raises
    ------
    WickError
        A length is none, or there is no room for one window, or for too many.
    """
    for flag, length in (("--train", train), ("--test", test)):
        if length <= 0:
            raise WickError(f"{flag} is no length of time", f"{flag} 30d")
    count = (end - first - train) // test
    if count < 1:
        raise WickError(
            f"{_days(end - first)} days, {show_time(first)} to {show_time(end)}, have no room for a"
            f" window of {_days(train)} days of training and {_days(test)} of test",
            "shorter --train and --test, or a longer span",
        )
    if count > _MOST:
        raise WickError(
            f"--test makes {count:,} windows, each with a search of its own, expected at most"
            f" {_MOST:,}",
            "a longer --test",
        )
    starts = [end - (count - at) * test for at in range(count)]
    return [
        Split(((first if anchored else start - train, start),), ((start, start + test),))
        for start in starts
    ]


def k_fold(first: int, end: int, groups: int, purge: int, embargo: int) -> list[Split]:
    """Cut a history into equal groups, each of them tested once by a search on the others.

    What lies less than `purge` before a test span or less than `embargo` behind it is left out of
    training: López de Prado (2018), Advances in Financial Machine Learning, chapter 7.

    Raises
    ------
    WickError
        Too few groups, or nothing is left for training.
    """
    return cpcv(first, end, groups, 1, purge, embargo)


def cpcv(first: int, end: int, groups: int, tests: int, purge: int, embargo: int) -> list[Split]:
    """Cut a history into equal groups, and test every choice of some of them by a search on the
    others: combinatorial purged cross-validation.

    López de Prado (2018), chapter 12.

    Raises
    ------
    WickError
        Too few or too many groups, or nothing is left for training.
    """
    if not 3 <= groups <= 24:
        raise WickError(f"--groups is {groups}, expected 3 to 24", "--groups 6")
    if not 1 <= tests <= groups // 2:
        raise WickError(
            f"--test-groups is {tests}, expected 1 to {groups // 2}, half of {groups} groups",
            "--test-groups 2",
        )
    spans = list(pairwise(_edges(first, end, groups)))
    found = []
    for chosen in combinations(range(groups), tests):
        test = tuple(spans[at] for at in chosen)
        train = _without(first, end, test, purge, embargo)
        if not train:
            raise WickError(
                f"--purge and --embargo leave nothing of {_days(end - first)} days for training",
                "smaller ones, or fewer --groups",
            )
        found.append(Split(train, test))
    return found


def paths(splits: Sequence[Split]) -> list[list[int]]:
    """Return the paths through combinatorial splits: for each span of the history, in order, the
    split that judges it. Every path covers the whole history, no split judges a span twice.

    Returns
    -------
    list of lists of int
        ``paths[k][g]`` is the split whose params are run on group ``g`` in path ``k``.
    """
    groups = sorted({span for split in splits for span in split.test})
    judges = [[at for at, split in enumerate(splits) if span in split.test] for span in groups]
    return [list(path) for path in zip(*judges, strict=True)]


def _edges(first: int, end: int, groups: int) -> list[int]:
    # At midnight UTC where groups are longer than a few days: no day of equity is cut in two.
    grain = DAY_MS if end - first >= 4 * groups * DAY_MS else 1
    inner = [first + round((end - first) * at / groups) for at in range(1, groups)]
    return [first, *(edge // grain * grain for edge in inner), end]


def _without(
    first: int, end: int, test: Sequence[Span], purge: int, embargo: int
) -> tuple[Span, ...]:
    # What is left of the history between the test spans with their margins.
    found, start = [], first
    for low, high in test:
        if low - purge > start:
            found.append((start, low - purge))
        start = max(start, high + embargo)
    if start < end:
        found.append((start, end))
    return tuple(found)


def _days(length_ms: int) -> str:
    return f"{length_ms / DAY_MS:.4g}"
