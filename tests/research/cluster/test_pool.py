"""Blocks go out, tables come back, in whatever order and with whatever worker's death; on a
stand-in for Ray that works in this process."""

import dataclasses
import gc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from research.cluster.pool import Job, Pool
from research.cluster.travel import owner_of
from strategy.errors import WickError
from tests.research.cluster.plans import AXES, bytes_of, plan_of, values_of


class Died(Exception):
    """What Ray raises for a worker that is gone."""


class TaskFailed(Died):
    """What Ray raises for an error of the code."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class StandIn:
    """As much of Ray as the pool uses: the last block sent is done first."""

    exceptions = SimpleNamespace(RayError=Died, RayTaskError=TaskFailed)

    def __init__(self, cpus: float = 2.0, deaths: int = 0) -> None:
        self.cpus, self.deaths = cpus, deaths
        self.columns = 0
        self.open: list[Any] = []
        self.most_open, self.sent, self.cancelled = 0, 0, 0

    def remote(self, **_: Any) -> Any:
        def wrap(function: Any) -> Any:
            def send(*arguments: Any) -> Any:
                self.sent += 1
                ref = SimpleNamespace(run=lambda: function(*arguments))
                self.open.append(id(ref))
                self.most_open = max(self.most_open, len(self.open))
                return _Ref(ref)

            return SimpleNamespace(remote=send)

        return wrap

    def put(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            self.columns += 1
            return value.copy()  # the store's own memory
        return value

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": self.cpus}}, {"Alive": False, "Resources": {}}]

    def wait(self, refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        assert timeout > 0
        return [refs[-1]], refs[:-1]

    def get(self, ref: Any) -> Any:
        self.open.pop()
        if self.deaths:
            self.deaths -= 1
            raise Died("The worker died.\nand much more")
        return ref.its.run()

    def cancel(self, ref: Any, force: bool) -> None:
        assert force
        self.cancelled += 1


class _Ref:
    def __init__(self, its: Any) -> None:
        self.its = its


def test_order_and_number_of_workers_change_nothing() -> None:
    plan, values = plan_of(3), values_of(150)
    want = bytes_of(evaluate(plan, values, days=True))
    for cpus in (1.0, 2.0, 7.0):
        ray = StandIn(cpus)
        assert bytes_of(Pool(ray).evaluate(plan, values, days=True)) == want
        assert ray.sent == min(2 * cpus, 150 // 16)


def test_what_indicators_have_read_comes_back() -> None:
    plan = plan_of(2)
    Pool(StandIn()).evaluate(plan, values_of(4))
    assert plan.reads == {"channel", "roc", "atr"}


def test_no_combination_is_no_row() -> None:
    table = Pool(StandIn()).evaluate(plan_of(2), np.empty((0, len(AXES))))
    assert len(table.note) == 0


@pytest.mark.parametrize("deaths", [1, 3])
def test_a_dead_workers_block_is_computed_again(deaths: int) -> None:
    plan, values = plan_of(2), values_of(40)
    ray = StandIn(deaths=deaths)
    assert bytes_of(Pool(ray).evaluate(plan, values)) == bytes_of(evaluate(plan, values))
    assert ray.sent == 2 + deaths


def test_a_block_that_kills_every_worker_ends_in_one_sentence() -> None:
    ray = StandIn(deaths=99)
    with pytest.raises(WickError, match="4 workers died over the same 20 combinations: The worker"):
        Pool(ray).evaluate(plan_of(2), values_of(40))
    assert (ray.sent, ray.cancelled) == (5, 1)


@pytest.mark.parametrize(
    ("cause", "kind", "says"),
    [
        (ZeroDivisionError("here"), ZeroDivisionError, "here"),
        (RuntimeError("The remote function failed to import on"), WickError, "a worker cannot"),
    ],
)
def test_an_error_of_the_code_is_raised_as_it_is(
    cause: Exception, kind: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(_: Any) -> Any:
        raise TaskFailed(cause)

    ray = StandIn()
    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(kind, match=says):
        Pool(ray).evaluate(plan_of(2), values_of(40))


def test_a_refused_value_is_refused_as_without_a_cluster() -> None:
    with pytest.raises(WickError, match="channel is nan"):
        Pool(StandIn()).evaluate(plan_of(2), np.full((1, len(AXES)), np.nan))


def test_windows_of_one_history_send_its_columns_once() -> None:
    plan, values = plan_of(40), values_of(20, walked=0.0)
    candles = plan.candles
    ray = StandIn()
    pool = Pool(ray)
    plans = []
    for start in range(0, 40, 10):
        window = candles.slice(start * 1440, (start + 10) * 1440)
        inputs = dataclasses.replace(plan.inputs, candles=(window,))
        plans.append(SweepPlan.of(inputs, AXES))
    jobs = [Job(at, one, values) for at, one in enumerate(plans)]
    found = dict(pool.stream(jobs, len(jobs)))
    for at, one in enumerate(plans):
        assert bytes_of(found[at]) == bytes_of(evaluate(one, values))
    assert ray.columns == len({id(owner_of(one)) for one in candles.arrays.values()})
    del plans, jobs, plan, candles, window, inputs, one
    gc.collect()
    assert not pool._columns


def test_blocks_wait_until_a_worker_is_near() -> None:
    plan, values = plan_of(2), values_of(8)
    asked: list[int] = []

    def jobs() -> Any:
        for at in range(30):
            asked.append(at)
            yield Job(at, plan, values)

    ray = StandIn(1.0)
    stream = Pool(ray).stream(jobs(), 30)
    next(stream)
    assert len(asked) == 2
    stream.close()
    assert ray.cancelled == 1
    assert len(list(Pool(StandIn(4.0), most=1).stream(jobs(), 30))) == 30
    assert ray.most_open == 2


def test_threads_share_the_places_for_blocks() -> None:
    plans, values = [plan_of(2) for _ in range(6)], values_of(80)
    want = bytes_of(evaluate(plans[0], values))
    ray = StandIn(4.0)
    pool = Pool(ray, most=3)
    assert [pool.at_once(count) for count in (8, 40, 160)] == [3, 2, 1]
    with ThreadPoolExecutor(len(plans)) as threads:
        tables = list(threads.map(lambda plan: pool.evaluate(plan, values), plans))
    assert [bytes_of(table) for table in tables] == [want] * len(plans)
    assert 1 < ray.most_open <= 3
    assert pool._taken == 0


def test_a_cluster_without_a_processor_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = StandIn()
    now = [0.0]
    monkeypatch.setattr("research.cluster.pool.time.monotonic", lambda: now[0])

    def wait(refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        ray.cpus, now[0] = 0.0, now[0] + timeout
        return [], refs

    ray.wait = wait  # type: ignore[method-assign]
    with pytest.raises(WickError, match="for 60 s no machine"):
        Pool(ray).evaluate(plan_of(2), values_of(4))
    assert now[0] < 70
