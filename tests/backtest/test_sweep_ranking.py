"""Rows of a sweep are ranked, counted and grouped as plain Python does it."""

import math
import statistics
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.sweeps import ranking
from backtest.sweeps.grid import Grid, parse_grid
from backtest.sweeps.ranking import grouped, rising, summarize

AXES = parse_grid(["a=0:4:1,b=0|1|2"], {"a": 1.0, "b": 1.0})
VALUES = st.one_of(st.just(math.nan), st.integers(-3, 3).map(float))
TRADES = st.sampled_from([0.0, 9.0, 10.0, 50.0])
ROWS = st.lists(st.tuples(VALUES, TRADES), min_size=15, max_size=15)
Drawn = list[tuple[float, float]]


def tables(rows: Drawn, cut: int) -> Callable[[], list[pa.Table]]:
    values, trades = (np.array(column) for column in zip(*rows, strict=True))
    whole = pa.table({
        "combination": np.arange(len(rows)), "sharpe": values, "volatility": values,
        "trades": trades, "note": ["broke" if math.isnan(value) else "" for value in values],
    })  # fmt: skip
    return lambda: [whole.slice(at, cut) for at in range(0, len(rows), cut)]


def key(row: tuple[float, float], sign: int) -> tuple[int, float]:
    value, trades = row
    if math.isnan(value):
        return 2, 0.0
    return int(trades < 10), -value * sign


@given(ROWS, st.integers(1, 15), st.integers(1, 15), st.sampled_from(["sharpe", "volatility"]))
def test_the_top_is_that_of_a_plain_sort_whatever_the_parts(
    rows: Drawn, cut: int, top: int, objective: str
) -> None:
    sign = -1 if objective == "volatility" else 1
    found = summarize(tables(rows, cut), Grid(AXES), objective, top)
    order = sorted(range(15), key=lambda at: (key(rows[at], sign), at))
    assert found.top["combination"].to_pylist() == order[:top]
    valued = [at for at in order if not math.isnan(rows[at][0])]
    assert found.best.get(objective) == (valued[0] if valued else None)
    assert found.rows == 15
    assert found.few_trades == sum(trades < 10 for _, trades in rows)
    without = sum(math.isnan(value) for value, _ in rows)
    assert found.without == ({"broke": without} if without else {})


@given(ROWS, st.integers(1, 15))
def test_marginals_are_median_and_best_of_the_rows_with_a_value(rows: Drawn, cut: int) -> None:
    found = summarize(tables(rows, cut), Grid(AXES), "sharpe", 1).marginals
    assert [one.value for one in found] == [0, 1, 2, 3, 4, 0, 1, 2]
    for at, one in enumerate(found):
        chosen = [
            row for n, (row, _) in enumerate(rows) if (n // 3 == at if at < 5 else n % 3 == at - 5)
        ]
        known = [value for value in chosen if not math.isnan(value)]
        assert one.n == len(known)
        if known:
            assert one.median == statistics.median(known)
            assert one.best == max(known)
        else:
            assert math.isnan(one.median)
            assert math.isnan(one.best)


@given(st.lists(st.tuples(st.integers(0, 5), VALUES), max_size=40))
def test_groups_without_a_value_have_none(rows: list[tuple[int, float]]) -> None:
    groups = np.array([group for group, _ in rows], np.int32)
    values = np.array([value for _, value in rows], np.float64)
    found = grouped(groups, 6, values, -1, rising(values))
    for at in range(6):
        known = [value for group, value in rows if group == at and not math.isnan(value)]
        assert found.n[at] == len(known)
        assert np.isnan(found.median[at]) == np.isnan(found.best[at]) == (not known)
        if known:
            assert found.median[at] == statistics.median(known)
            assert found.best[at] == min(known)


def test_medians_of_very_many_rows_rest_on_a_sample_that_is_the_same_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    axes = parse_grid(["a=0:999:1,b=0:9:1"], {"a": 1.0, "b": 1.0})
    rows = [(float(at % 10), 50.0) for at in range(10_000)]
    monkeypatch.setattr(ranking, "MOST_SAMPLED", 2_000)
    found = [summarize(tables(rows, 1_000), Grid(axes), "sharpe", 3) for _ in range(2)]
    assert 1_800 < found[0].sampled < 2_200
    assert [one.n for one in found[0].marginals] == [one.n for one in found[1].marginals]
    assert [one.median for one in found[0].marginals[-10:]] == [float(b) for b in range(10)]
    assert found[0].top["combination"].to_pylist() == [9, 19, 29]
