"""The workers of a cluster: blocks of combinations go out, figures come back."""

import itertools
import threading
import time
import uuid
import weakref
from collections.abc import Generator, Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.sweeps.engine import MEMORY
from backtest.sweeps.figures import SweepTable
from backtest.sweeps.options import LEAST_MEMORY
from backtest.sweeps.plan import SweepPlan
from data.terminal import counted
from research.cluster.travel import packed
from research.cluster.worker import Refused, compute
from strategy.errors import WickError

# What a block's combinations share is made anew for each block, so it is never cut smaller.
_FEWEST = 16
_MOST_TRIES = 4
_AHEAD = 2  # blocks for each worker, so that none waits for the next
_LOOK_S, _PATIENCE_S = 2.0, 60.0


class Job(NamedTuple):
    """Combinations of one plan: a part of a grid, a batch of trials, one window of several.

    Attributes
    ----------
    key : hashable
        Names the result.
    values : float64 (m, axes)
    """

    key: Hashable
    plan: SweepPlan
    values: NDArray[np.float64]


class Block(NamedTuple):
    """Some combinations of a job; `at` is its place among those of the job, of `pieces`."""

    job: Job
    values: NDArray[np.float64]
    at: int
    pieces: int
    tried: int


class Pool:
    """Workers behind a connection to Ray, for one thread or several.

    Parameters
    ----------
    ray : module
    most : int, optional
        Blocks at the same time; as many as there are processors otherwise.
    """

    def __init__(self, ray: Any, most: int | None = None) -> None:
        self._ray, self._most = ray, most
        self._compute = ray.remote(num_cpus=1, max_retries=0)(compute)
        self._plans: weakref.WeakKeyDictionary[SweepPlan, tuple[str, Any, list[Any]]]
        self._plans = weakref.WeakKeyDictionary()
        self._columns: dict[int, Any] = {}
        self._free, self._taken = threading.Condition(), 0  # of all streams
        self._looked_s, self._alive_s, self._workers, self._widest = -_LOOK_S, 0.0, 1, 1

    def at_once(self, combinations: int) -> int:
        """Return how many evaluations of so many combinations keep all workers at work."""
        room = self._room()
        return -(-room // self._pieces(combinations, room))

    def evaluate(
        self,
        plan: SweepPlan,
        values: NDArray[np.float64],
        *,
        threads: int | None = None,
        memory: int = MEMORY,
        days: bool = False,
    ) -> SweepTable:
        """Compute the figures of many combinations; see `backtest.sweeps.engine.evaluate`.

        Parameters
        ----------
        threads : int, optional
            Not looked at: every worker has one.
        memory : int
            Bytes that shared columns, bits and tables may take on each machine.

        Raises
        ------
        WickError
            A value is not one that its parameter can have, or the cluster fails.
        """
        ((_, table),) = self.stream([Job(0, plan, values)], 1, memory=memory, days=days)
        return table

    def stream(
        self, jobs: Iterable[Job], count: int, *, memory: int = MEMORY, days: bool = False
    ) -> Generator[tuple[Any, SweepTable]]:
        """Compute many jobs, and yield each one's key and table as soon as it is done.

        Parameters
        ----------
        jobs : iterable of Job
            Read as far as there are workers for them.
        count : int
            How many there are: few are cut into more blocks.
        memory : int
            Bytes for each machine.

        Raises
        ------
        WickError
            As `evaluate`.
        """
        blocks = self._blocks(jobs, count)
        running: dict[Any, Block] = {}
        tables: dict[Hashable, list[SweepTable | None]] = {}
        try:
            while True:
                self._fill(running, blocks, days, memory)
                if not running:
                    return
                for ref in self._ray.wait(list(running), timeout=_LOOK_S)[0]:
                    block = running.pop(ref)
                    try:
                        table = self._fetch(ref, block)
                    finally:
                        self._give_back(1)
                    if table is None:
                        blocks = itertools.chain([block._replace(tried=block.tried + 1)], blocks)
                        continue
                    its = tables.setdefault(block.job.key, [None] * block.pieces)
                    its[block.at] = table
                    whole = [one for one in its if one is not None]
                    if len(whole) == block.pieces:
                        del tables[block.job.key]
                        yield block.job.key, _joined(whole)
        finally:
            self._give_back(len(running))
            for ref in running:
                with suppress(Exception):
                    self._ray.cancel(ref, force=True)

    def _fill(
        self, running: dict[Any, Block], blocks: Iterator[Block], days: bool, memory: int
    ) -> None:
        # Several threads may wait here, each for its own blocks.
        with self._free:
            while True:
                if self._taken >= self._room():
                    if running:
                        return
                    self._free.wait(_LOOK_S)
                elif (block := next(blocks, None)) is not None:
                    running[self._send(block, days, memory)] = block
                    self._taken += 1
                else:
                    return

    def _give_back(self, blocks: int) -> None:
        with self._free:
            self._taken -= blocks
            self._free.notify_all()

    def _blocks(self, jobs: Iterable[Job], count: int) -> Iterator[Block]:
        for job in jobs:
            pieces = self._pieces(len(job.values), -(-self._room() // max(count, 1)))
            for at, values in enumerate(np.array_split(job.values, pieces)):
                yield Block(job, np.ascontiguousarray(values, np.float64), at, pieces, 1)

    @staticmethod
    def _pieces(combinations: int, wanted: int) -> int:
        return max(min(wanted, combinations // _FEWEST), 1)

    def _send(self, block: Block, days: bool, memory: int) -> Any:
        plan = block.job.plan
        if plan not in self._plans:
            refs: list[Any] = []
            numbers: dict[int, int] = {}

            def column(owner: NDArray[Any]) -> int:
                if id(owner) not in numbers:
                    numbers[id(owner)] = len(refs)
                    refs.append(self._put(owner))
                return numbers[id(owner)]

            sent = packed(plan, column)
            self._plans[plan] = uuid.uuid4().hex, self._ray.put(sent), refs
        key, sent, refs = self._plans[plan]
        share = max(memory // self._widest, LEAST_MEMORY)
        return self._compute.remote(key, sent, block.values, days, share, *refs)

    def _put(self, owner: NDArray[Any]) -> Any:
        # Windows and folds of one history lie in the same arrays: these go out once.
        if id(owner) not in self._columns:
            self._columns[id(owner)] = self._ray.put(owner.reshape(-1).view(np.uint8))
            weakref.finalize(owner, self._columns.pop, id(owner), None)
        return self._columns[id(owner)]

    def _fetch(self, ref: Any, block: Block) -> SweepTable | None:
        # None where the worker has died over it.
        errors = self._ray.exceptions
        try:
            done = self._ray.get(ref)
        except errors.RayTaskError as error:
            if "function failed to import" not in str(error.cause):
                raise error.cause from None
            raise WickError(
                "a worker cannot import Candlewick",
                "install it on every machine, in the Python that ray start is called with",
            ) from error
        except errors.RayError as error:
            if block.tried < _MOST_TRIES:
                return None
            first, *_ = [*str(error).splitlines(), ""]
            raise WickError(
                f"{counted(block.tried, 'worker')} died over the same"
                f" {counted(len(block.values), 'combination')}: {first.rstrip('.')}",
                "give each less memory (--memory 512MiB), look into Ray's logs on the machines, and"
                " give the command again",
            ) from error
        if isinstance(done, Refused):
            raise done.raised()
        block.job.plan.reads |= done.reads
        table: SweepTable = done.table
        return table

    def _room(self) -> int:
        self._look()
        return self._most or _AHEAD * self._workers

    def _look(self) -> None:
        # Machines come and go.
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return
        each = [int(one["Resources"].get("CPU", 0)) for one in self._ray.nodes() if one["Alive"]]
        if any(each):
            self._alive_s, self._workers, self._widest = now_s, sum(each), max(each)
        elif self._looked_s >= 0.0 and now_s - self._alive_s > _PATIENCE_S:
            raise WickError(
                f"for {_PATIENCE_S:.0f} s no machine of the cluster has had a processor for work",
                "ray start --address=HOST:PORT on one, and give the command again",
            )
        self._looked_s = now_s


def _joined(tables: list[SweepTable]) -> SweepTable:
    first, *_ = tables
    names = [one.name for one in fields(SweepTable) if one.name != "figures"]
    arrays = {name: np.concatenate([getattr(one, name) for one in tables]) for name in names}
    figures = {key: np.concatenate([one.figures[key] for one in tables]) for key in first.figures}
    return SweepTable(figures=figures, **arrays)
