"""Each window's winner is searched on its training span alone, and run with the balance before."""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.inputs import run
from backtest.portfolio import portfolio_of
from backtest.record import record_of, run_with
from backtest.spans import part_of
from research.tuning.asked import TuneAsked
from research.validation.splits import walk_forward
from research.validation.walkforward import WalkAsked, Walked, splits_of, walk
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.records import UNIT
from strategy.timeframes import DAY_MS
from tests.research.tuning.test_tune import START, inputs, market

ASKED = TuneAsked(12, ("total_return",))
ROLLING = WalkAsked(train_ms=10 * DAY_MS, test_ms=4 * DAY_MS)


@pytest.fixture(scope="module")
def walked() -> Walked:
    return walk(inputs(), ROLLING, ASKED)


def test_each_score_is_that_of_a_run_on_the_training_span_alone(walked: Walked) -> None:
    for window in walked.windows:
        ((low, high),) = window.train
        score = run(part_of(inputs(), low, high), walked.result.params._replace(**window.params))
        assert score.equity[-1] / 10_000.0 - 1.0 == window.score


def test_the_test_span_does_not_change_the_search(walked: Walked) -> None:
    (one,) = inputs().candles
    arrays = {name: array.copy() for name, array in one.arrays.items()}
    at = int(np.searchsorted(arrays["open_time"], walked.windows[0].test[0]))
    for name in ("open", "high", "low", "close"):
        arrays[name][at:] *= 1.5
    other = Candles(one.symbol, one.market, one.timeframe, arrays)
    again = walk(inputs(other), ROLLING, ASKED)
    assert again.windows[0].params == walked.windows[0].params
    assert again.windows[0].score == walked.windows[0].score


def test_the_windows_make_one_curve_on_one_balance(walked: Walked) -> None:
    result = walked.result
    splits = walk_forward(START, START + 26 * DAY_MS, 10 * DAY_MS, 4 * DAY_MS, anchored=False)
    assert len(walked.windows) == len(splits) == 4
    assert len(result.time) == len(result.equity) == 16 * 1440
    assert (np.diff(result.time) == 60_000).all()
    balance = 10_000.0
    for window in walked.windows:
        params = result.params._replace(**window.params)
        part = dataclasses.replace(part_of(inputs(), *window.test), balance=balance)
        alone = run(part, params)
        inside = (result.time >= window.test[0]) & (result.time < window.test[1])
        assert result.equity[inside].tobytes() == alone.equity.tobytes()
        balance = float(alone.equity[-1])
    net = (result.trades.pnl - result.trades.fees - result.trades.funding).sum() / UNIT
    assert result.equity[-1] == pytest.approx(10_000.0 + net, abs=1e-6)
    times = walked.inputs.candles[0].arrays["open_time"]
    assert (times[result.trades.entry_candle] == result.trades.entry_time).all()
    assert result.params._asdict() == walked.windows[-1].params


def test_the_stitched_run_can_be_kept(walked: Walked) -> None:
    whole = walked.inputs
    record = record_of(
        walked.result,
        kind="walkforward",
        created_ms=0,
        command=(),
        rules=whole.rules,
        history=whole.history,
    )
    assert record.data[0].first_ms == walked.windows[0].test[0]
    assert record.data[0].warm_ms == START
    assert record.figure("trades").value == len(walked.result.trades)


def test_the_stitched_run_becomes_a_portfolio(walked: Walked) -> None:
    result = walked.result
    record = record_of(
        result, kind="walkforward", created_ms=0, command=(), rules=walked.inputs.rules
    )
    portfolio = portfolio_of(run_with(Path(), record, result), walked.inputs.candles)
    assert len(portfolio.trades.records) == len(result.trades) > 0
    assert np.allclose(portfolio.value().to_numpy(), result.equity, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("length", ["train_ms", "test_ms"])
def test_a_window_without_a_length_is_refused(length: str) -> None:
    none: dict[str, Any] = {length: 0}
    asked = dataclasses.replace(ROLLING, **none)
    with pytest.raises(WickError, match=f"--{length[:-3]} is no length of time"):
        splits_of(asked, START, START + 26 * DAY_MS)


def test_thousands_of_windows_are_refused() -> None:
    shown = "--test makes 4,608 windows, each with a search of its own, expected at most 1,000"
    with pytest.raises(WickError, match=shown):
        splits_of(WalkAsked(train_ms=10 * DAY_MS, test_ms=5 * 60_000), START, START + 26 * DAY_MS)


@pytest.mark.parametrize("scheme", ["anchored", "kfold", "cpcv"])
def test_every_scheme_covers_what_it_judges(scheme: str) -> None:
    groups = {"groups": 4} if scheme != "anchored" else {"train_ms": 10 * DAY_MS}
    found = walk(inputs(), WalkAsked(scheme, **groups), ASKED)
    tested = [one.test for one in found.windows]
    spans = sorted(set(tested))
    assert spans[-1][1] == START + 26 * DAY_MS
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert len(found.result.time) == (spans[-1][1] - spans[0][0]) // 60_000
    assert len(found.paths) == (3 if scheme == "cpcv" else 0)
    assert len(tested) == {"anchored": 8, "kfold": 4, "cpcv": 12}[scheme]
    if scheme != "anchored":
        assert spans[0][0] == START


def test_several_symbols_walk_on_one_balance() -> None:
    given = inputs(market(), market(8, "ETHUSDT"))
    result = walk(given, WalkAsked(train_ms=10 * DAY_MS, test_ms=8 * DAY_MS), ASKED).result
    assert set(result.trades.symbol) == {0, 1}
    for at, one in enumerate(result.candles):
        its = result.trades[result.trades.symbol == at]
        assert (one.arrays["open_time"][its.entry_candle] == its.entry_time).all()


def test_a_window_in_which_nothing_was_found_trades_nothing() -> None:
    (one,) = inputs().candles
    arrays = {name: array.copy() for name, array in one.arrays.items()}
    for name in ("open", "high", "low", "close"):
        arrays[name][: 10 * 1440] = 20_000.0  # a market asleep
    quiet = inputs(Candles(one.symbol, one.market, one.timeframe, arrays))
    found = walk(quiet, ROLLING, ASKED)
    first = found.windows[0]
    assert (first.params, first.score, first.trades) == ({}, None, 0)
    assert first.note == "no trial had a value, so nothing was traded"
    assert (found.result.equity[: 4 * 1440] == 10_000.0).all()
    assert found.windows[-1].trades > 0


def test_a_walk_in_which_nothing_was_found_is_refused() -> None:
    with pytest.raises(RunRefused, match="none of 4 searches of 12 trials gave a total_return"):
        walk(inputs(space={"oversold": (0.5, 1.0), "overbought": [99.0]}), ROLLING, ASKED)


def test_a_walk_repeats_itself() -> None:
    first, again = (walk(inputs(), ROLLING, ASKED) for _ in range(2))
    assert first.windows == again.windows
    assert first.result.equity.tobytes() == again.result.equity.tobytes()
