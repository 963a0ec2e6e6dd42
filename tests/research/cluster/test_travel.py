"""A plan that has travelled is the plan that was sent, and its columns went once."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backtest.spans import part_of
from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from research.cluster import travel, worker
from research.cluster.travel import Sent, Versions, packed, unpacked
from strategy.errors import RunRefused, WickError
from strategy.timeframes import DAY_MS
from tests.backtest.random_margins import draw_margined
from tests.backtest.sweeps import SETTINGS, draw_settings, margined_inputs
from tests.research.cluster.plans import AXES, bytes_of, plan_of, values_of


def sent(plan: SweepPlan) -> tuple[Sent, list[NDArray[np.uint8]]]:
    """Send a plan as Ray would: through bytes, and its columns as memory that is read-only."""
    owners: list[NDArray[Any]] = []

    def column(owner: NDArray[Any]) -> int:
        owners.append(owner)
        return len(owners) - 1

    message = pickle.loads(pickle.dumps(packed(plan, column)))
    return message, [np.frombuffer(one.tobytes(), np.uint8) for one in owners]


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_computes_the_same_on_the_other_side(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(travel, "_LEAST", 1)
    drawn = draw_margined(seed, 400, 1 + seed % 2)
    plan = SweepPlan.of(margined_inputs(drawn), SETTINGS)
    values = draw_settings(seed, 12, has_trail=plan.inputs.strategy.has_trail)
    message, columns = sent(plan)
    assert columns
    there = unpacked(message, columns)
    assert bytes_of(evaluate(there, values)) == bytes_of(evaluate(plan, values))
    assert there.says() == plan.says()


def test_columns_are_read_where_they_lie() -> None:
    plan = plan_of(6)
    message, columns = sent(plan)
    assert len(message.inputs) < 20_000
    for name, array in unpacked(message, columns).candles.arrays.items():
        assert any(np.shares_memory(array, one) for one in columns)
        assert array.tobytes() == plan.candles.arrays[name].tobytes()


def test_a_window_travels_with_what_warms_it_up() -> None:
    whole, values = plan_of(12), values_of(30)
    first = int(whole.candles.arrays["open_time"][0])
    window = part_of(whole.inputs, first + 5 * DAY_MS, first + 9 * DAY_MS)
    plan = SweepPlan.of(window, AXES)
    there = unpacked(*sent(plan))
    assert bytes_of(evaluate(there, values, days=True)) == bytes_of(
        evaluate(plan, values, days=True)
    )


def test_a_strategy_travels_as_its_text(tmp_path: Path) -> None:
    text = (Path(travel.__file__).parents[2] / "strategy" / "breakout_donchian.py").read_text()
    path = tmp_path / "mine.py"
    path.write_text(text)
    plan = plan_of(2, str(path))
    message, columns = sent(plan)
    path.unlink()
    its, mine = unpacked(message, columns).inputs.strategy, plan.inputs.strategy
    assert (its.source_hash, its.path, its.name) == (mine.source_hash, path, "mine")
    values = values_of(20)
    assert bytes_of(evaluate(unpacked(message, columns), values)) == bytes_of(
        evaluate(plan, values)
    )


def test_a_worker_with_another_version_refuses() -> None:
    message, columns = sent(plan_of(2))
    other = message._replace(versions=Versions.here()._replace(numpy="2.0.0"))
    with pytest.raises(WickError, match=r"a worker has numpy \S+ instead of 2\.0\.0"):
        unpacked(other, columns)


def test_a_worker_keeps_its_last_plans_and_answers_with_refusals() -> None:
    message, columns = sent(plan_of(2))
    first = worker.compute("a", message, values_of(3), False, 1 << 24, *columns)
    kept = worker._plans["a"]
    assert isinstance(first, worker.Done)
    for name in ("a", "b", "a", "c"):
        worker.compute(name, message, values_of(3), False, 1 << 24, *columns)
    assert list(worker._plans) == ["a", "c"]
    assert worker._plans["a"] is kept
    wrong = worker.compute("a", message, np.full((1, len(AXES)), np.nan), False, 1 << 24, *columns)
    assert isinstance(wrong, worker.Refused)
    assert type(wrong.raised()) is WickError
    assert "channel is nan" in str(wrong.raised())
    assert type(wrong._replace(of_run=True).raised()) is RunRefused
