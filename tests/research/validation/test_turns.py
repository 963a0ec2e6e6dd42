"""Searches that go on by turns: at the same time where they wait, one after the other elsewhere."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import SweepTable
from research.tuning.scoring import Evaluate
from research.validation.turns import by_turns
from research.validation.walkforward import walk
from strategy.errors import RunRefused
from tests.research.tuning.test_tune import inputs
from tests.research.validation.test_walkforward import ASKED, ROLLING


def test_as_many_wait_at_once_as_may_and_one_thinks_at_a_time() -> None:
    met, thinking = threading.Barrier(3, timeout=30.0), threading.Lock()

    def wait(_: int) -> SweepTable:
        met.wait()  # goes on when three are here
        raise ArithmeticError

    def search(number: int) -> Callable[[Evaluate], int]:
        def its(evaluate: Evaluate) -> int:
            for _ in range(20):
                assert thinking.acquire(blocking=False)
                thinking.release()
                with pytest.raises(ArithmeticError):
                    evaluate(number)
            return number

        return its

    assert by_turns([search(number) for number in range(6)], wait, 3) == list(range(6))


def test_what_goes_wrong_in_one_ends_all_and_is_what_is_said() -> None:
    let_go, done = threading.Event(), []

    def search(number: int) -> Callable[[Evaluate], None]:
        def its(evaluate: Evaluate) -> None:
            evaluate(number)
            if number == 1:
                let_go.set()
                raise RunRefused("no more", "stop")
            evaluate(number)
            done.append(number)

        return its

    def wait(number: int) -> Any:
        if number == 0:
            assert let_go.wait(30.0)

    with pytest.raises(RunRefused, match="no more"):
        by_turns([search(number) for number in range(4)], wait, 2)
    assert done == []


def test_windows_searched_at_once_are_those_searched_one_by_one() -> None:
    busy, most = [], []

    def counted(*given: Any, **options: Any) -> SweepTable:
        busy.append(1)
        most.append(len(busy))
        try:
            return evaluate(*given, **options)
        finally:
            busy.pop()

    told: list[tuple[int, int]] = []
    one, four = (
        walk(
            inputs(),
            ROLLING,
            ASKED,
            evaluate=counted,
            at_once=at_once,
            tell=lambda *n: told.append(n),
        )
        for at_once in (1, 4)
    )
    assert one.windows == four.windows
    assert np.array_equal(one.result.trades, four.result.trades)
    assert one.result.equity.tobytes() == four.result.equity.tobytes()
    assert max(most) > 1
    assert told.count((4, 48)) >= 2
