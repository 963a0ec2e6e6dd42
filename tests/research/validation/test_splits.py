"""No candle is searched and judged at once, and every one that shall be judged is."""

from itertools import pairwise
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.validation.splits import Split, cpcv, k_fold, paths, walk_forward
from research.validation.walkforward import WalkAsked, splits_of
from strategy.errors import WickError
from strategy.timeframes import DAY_MS

START = 1_672_531_200_000


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def check(splits: list[Split], purge: int, embargo: int) -> None:
    for split in splits:
        assert split.train
        assert all(low < high for low, high in (*split.train, *split.test))
        for low, high in split.test:
            assert not any(overlap((low - purge, high + embargo), one) for one in split.train)


@given(
    days=st.integers(3, 900),
    train=st.integers(1, 400),
    test=st.integers(1, 200),
    anchored=st.booleans(),
)
def test_windows_follow_each_other_up_to_the_end(
    days: int, train: int, test: int, anchored: bool
) -> None:
    end = START + days * DAY_MS + 7 * 60_000
    if train + test > days:
        with pytest.raises(WickError, match="have no room for a window"):
            walk_forward(START, end, train * DAY_MS, test * DAY_MS, anchored=anchored)
        return
    splits = walk_forward(START, end, train * DAY_MS, test * DAY_MS, anchored=anchored)
    check(splits, 0, 0)
    tests = [split.test[0] for split in splits]
    assert tests[-1][1] == end
    assert all(before[1] == after[0] for before, after in pairwise(tests))
    assert tests[0][0] - START < (train + test) * DAY_MS
    for split in splits:
        (low, high), (start, stop) = split.train[0], split.test[0]
        assert high == start
        assert stop - start == test * DAY_MS
        assert low == (START if anchored else start - train * DAY_MS)
        assert low >= START


@given(
    groups=st.integers(3, 9),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 3),
    data=st.data(),
)
def test_groups_are_left_out_of_training_with_their_margins(
    groups: int, purge: int, embargo: int, data: st.DataObject
) -> None:
    tests = data.draw(st.integers(1, groups // 2))
    end = START + groups * 20 * DAY_MS + 5 * 3_600_000
    margins = purge * DAY_MS, embargo * DAY_MS
    splits = cpcv(START, end, groups, tests, *margins)
    check(splits, *margins)
    assert len(splits) == comb(groups, tests)
    assert all(edge % DAY_MS == 0 for split in splits for low, _ in split.test for edge in [low])
    whole = end - START
    for split in splits:
        used = sum(high - low for low, high in (*split.train, *split.test))
        assert whole - tests * sum(margins) <= used <= whole
    ways = paths(splits)
    assert len(ways) == comb(groups - 1, tests - 1)
    spans = sorted({span for split in splits for span in split.test})
    assert (spans[0][0], spans[-1][1]) == (START, end)
    seen = set()
    for way in ways:
        for span, at in zip(spans, way, strict=True):
            assert span in splits[at].test
            assert (span, at) not in seen
            seen.add((span, at))
    assert len(seen) == len(splits) * tests


def test_k_fold_tests_each_group_once() -> None:
    splits = k_fold(START, START + 60 * DAY_MS, 6, DAY_MS, 2 * DAY_MS)
    assert [split.test for split in splits] == [
        ((START + at * 10 * DAY_MS, START + (at + 1) * 10 * DAY_MS),) for at in range(6)
    ]
    assert splits[2].train == (
        (START, START + 19 * DAY_MS), (START + 32 * DAY_MS, START + 60 * DAY_MS)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (WalkAsked("sliding"), "unknown --scheme 'sliding'"),
        (WalkAsked("kfold", train_ms=DAY_MS), "--train means nothing with --scheme kfold"),
        (WalkAsked(groups=6), "--groups means nothing with --scheme rolling"),
        (WalkAsked("kfold", test_groups=2), "--test-groups means nothing with --scheme kfold"),
        (WalkAsked("kfold", groups=2), "--groups is 2, expected 3 to 24"),
        (WalkAsked("cpcv", test_groups=4), "--test-groups is 4, expected 1 to 3"),
        (WalkAsked("cpcv", embargo_ms=99 * DAY_MS), "leave nothing of 60 days for training"),
        (WalkAsked(train_ms=59 * DAY_MS, test_ms=2 * DAY_MS), "have no room for a window"),
    ],
)
def test_a_cut_that_cannot_be_made_is_refused(asked: WalkAsked, message: str) -> None:
    with pytest.raises(WickError, match=message):
        splits_of(asked, START, START + 60 * DAY_MS)
