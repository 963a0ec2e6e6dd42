"""A batch cut into pieces of work: combinations that share a few tables of exits."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.abreast import ACCOUNTS, BOOK, LANES
from backtest.kernels.bits import UNION, candles_of, count_before
from backtest.kernels.exits import EXIT
from backtest.kernels.lanes import CHUNK, FOUND
from backtest.kernels.rows import Room, Rows, unite, walk_rows
from backtest.kernels.signals import FAR, Signals
from backtest.kernels.swept import WALK
from backtest.sweeps.groups import Ids
from backtest.sweeps.masks import Batch
from backtest.sweeps.plan import SweepPlan
from strategy.fills import Costs
from strategy.records import POSITION
from strategy.risk import Risk
from strategy.slippage import slippage_columns

# From so many combinations a table on it pays to keep several and to make each set of rules once
# for all of them. Measured on W: 87 ns a trade with four, half of the lanes, 70 with eight, 69 with
# sixteen.
_MANY, _MOST_TABLES = 8, 2 * LANES


class Unit(NamedTuple):
    """Positions in the batch, in the order they are walked; exits `first` to before `stop`."""

    at: Ids
    first: int
    stop: int


class Union(NamedTuple):
    """The entry candles of several sets of rules together.

    Attributes
    ----------
    sets : int64 (m,)
        Which sets.
    words : uint64 (w,)
        A candle a bit.
    places : int64 (k,)
        The candles.
    """

    sets: Ids
    words: NDArray[np.uint64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, batch: Batch, sets: Ids, stack: Any, bits: Any, n: int) -> "Union":
        """Unite sets of rules; `stack` and `bits` are written to."""
        unite(batch.conditions, sets, stack, bits, n)
        words = bits[UNION].copy()
        return cls(sets, words, candles_of(words, count_before(bits)))


def units(
    plan: SweepPlan, batch: Batch, threads: int, memory: int
) -> tuple[list[Unit], Union | None]:
    """Cut a batch so that every thread has work and its tables fit into a number of bytes; with
    the union of all its rules where tables are shared."""
    groups, rows = int(batch.exits.max()) + 1, len(batch.rows)
    tables, union = 1, None
    if rows >= _MANY * groups:
        n, w = len(plan.candles.arrays["open_time"]), batch.conditions.words.shape[1]
        stack, bits = np.empty((plan.parsed.depth, w), np.uint64), np.empty((6, w), np.uint64)
        union = Union.of(batch, np.unique(batch.mask), stack, bits, n)
        each = 2 * max(len(union.places), 1) * (EXIT.itemsize + np.dtype(np.int32).itemsize)
        tables = tables_of(groups, max(min(memory // (threads * each), _MOST_TABLES), 1), threads)
    order = np.lexsort((batch.exits, batch.mask, batch.exits // tables))
    edges = np.searchsorted(batch.exits[order] // tables, np.arange(-(-groups // tables) + 1))
    pieces = max(-(-threads // max(len(edges) - 1, 1)), 1)
    out: list[Unit] = []
    for at, (low, high) in enumerate(pairwise(edges.tolist())):
        stop = min((at + 1) * tables, groups)
        parts = np.array_split(order[low:high], min(pieces, high - low))
        out += [Unit(part.astype(np.int64), at * tables, stop) for part in parts]
    return out, union


def records(kind: Any, rows: Any) -> Any:
    """Write NamedTuples of numbers as records; what is None becomes zeros."""
    out: Any = np.zeros(len(rows), [(name, np.float64) for name in kind._fields])
    for at, row in enumerate(rows):
        if row is not None:
            out[at] = tuple(row)
    return out.view(np.recarray)


def _aligned(shape: tuple[int, ...], kind: Any, value: int = 0) -> Any:
    """Return records or numbers that begin where a line of the processor's cache does. NumPy's
    begin 16 bytes behind, which puts each record of 64 bytes into two lines."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    raw = np.zeros(size + 64, np.uint8)
    at = -raw.ctypes.data % 64
    out: Any = raw[at : at + size].view(kind).reshape(shape)
    if value:
        out[...] = value
    return out


def tables_of(groups: int, most: int, threads: int) -> int:
    """Return how many tables of exits each unit has: as many units for every thread, and of these
    the fewest rounds of lanes, then the fewest units."""
    least = -(-groups // (most * threads)) * threads
    sizes = [-(-groups // count) for count in range(least, groups + threads, threads)]
    return min(sizes, key=lambda tables: (-(-groups // tables) * -(-tables // LANES), -tables))


class Worker:
    """One thread at work on a batch, with its own memory."""

    def __init__(
        self,
        plan: SweepPlan,
        batch: Batch,
        union: Union | None,
        sums: Any,
        trades: Any,
        curves: NDArray[np.float64],
    ) -> None:
        self.plan, self.batch, self.sums, self.trades = plan, batch, sums, trades
        self.curves = curves
        self.union = union
        self.risks = records(Risk, [one and one[0] for one in batch.settings])
        self.costs = records(Costs, [one and one[1] for one in batch.settings])
        self.grids = plan.grids([one and one[0] for one in batch.settings])
        assert plan.ground is not None
        w, days = batch.conditions.words.shape[1], len(plan.ground.ends) - 1
        self.n = len(plan.ground.prices)
        self.bits = np.empty((6, w), np.uint64)
        self.stack = np.empty((plan.parsed.depth, w), np.uint64)
        self.marks, self.returns = np.empty((LANES, days)), np.empty(days)
        self.p: Any = np.zeros(1, POSITION).view(np.recarray)
        self.tables: Any = np.zeros((0, 0), EXIT).view(np.recarray)
        self.stamps = np.zeros(0, np.int64)
        self._sets: Ids = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)
        self._lists, self._firsts = np.zeros((3, FAR + 1), np.int32), np.zeros(w, np.int32)
        self.lanes: Any = np.zeros(LANES, WALK).view(np.recarray)
        # Lanes without a combination calculate too, so with nothing that divides by 0.
        self.accounts: Any = _aligned((1,), ACCOUNTS, 1).view(np.recarray)
        self.accounts["count"] = 0
        self.books: Any = _aligned((CHUNK,), BOOK, 1).view(np.recarray)
        self.found: Any = np.zeros((LANES, CHUNK), FOUND).view(np.recarray)

    def run(self, unit: Unit) -> None:
        """Walk the combinations of a unit."""
        batch = self.batch
        mask = batch.mask[unit.at]
        self._unite(np.unique(mask))
        room = self._room(unit)
        rows = Rows(
            batch.rows[unit.at],
            mask,
            batch.exits[unit.at] - unit.first,
            batch.setting[unit.at],
        )
        walk_rows(
            self.plan.ground,
            batch.conditions,
            rows,
            self.risks,
            self.costs,
            self.grids,
            room,
            self.sums,
            self.trades,
            self.curves,
        )

    def _unite(self, sets: Ids) -> None:
        if np.array_equal(sets, self._sets):
            return
        self._sets = sets
        if self.union is None or not np.array_equal(sets, self.union.sets):
            self.union = Union.of(self.batch, sets, self.stack, self.bits, self.n)
        self.bits[UNION], self._places = self.union.words, self.union.places
        count_before(self.bits)
        self._lists = np.zeros((3, len(self._places) + FAR + 1), np.int32)

    def _room(self, unit: Unit) -> Room:
        count, places = unit.stop - unit.first, len(self._places)
        if self.tables.shape[1] < count or len(self.tables) < 2 * places:
            self.tables = _aligned((2 * places, count), EXIT).view(np.recarray)
            self.stamps = np.zeros(count, np.int64)
        self.stamps += 1
        take = places if self.plan.inputs.strategy.has_take else 0
        trail = self.n if self.plan.inputs.strategy.has_trail else 0
        slip = self.n if self._slips(unit) else 0
        widths = (places, take, trail, slip, slip)
        words = tuple(np.empty((count, width)) for width in widths)
        for at, found in self._words(unit, slip > 0):
            for column, its in zip(words, found, strict=True):
                column[at] = its
        return Room(
            self.bits,
            self.stack,
            Signals(self._lists[0], self._lists[1], self._lists[2], self._firsts),
            self.marks,
            self.returns,
            self.p,
            self.lanes,
            self.accounts,
            self.books,
            self.found,
            self.tables,
            _aligned((2 * places, count), np.int32, -1),
            self.stamps,
            *words,
        )

    def _slips(self, unit: Unit) -> bool:
        its = self.costs[np.unique(self.batch.setting[unit.at])]
        return bool(((its["spread"] > 0.0) | (its["atr"] > 0.0)).any())

    def _words(
        self, unit: Unit, slips: bool
    ) -> Iterator[tuple[int, tuple[NDArray[np.float64], ...]]]:
        # The first combination of each exit stands for all.
        exits, first = np.unique(self.batch.exits[unit.at], return_index=True)
        rules = self.plan.inputs.strategy.rules
        for which, at in zip(exits.tolist(), first.tolist(), strict=True):
            row = int(self.batch.rows[unit.at[at]])
            columns = self.batch.columns(row)
            params = self.plan.numbers(self.batch.stage.values[row])
            numbers = np.array([float(params[name]) for name in self.plan.inputs.params._fields])
            stop, take = rules.distances(self._places, *columns, numbers)
            slip, ahead = np.empty(0), np.empty(0)
            if slips:
                one = self.batch.settings[self.batch.setting[unit.at[at]]]
                assert one is not None
                spread = next(iter(self.plan.inputs.spreads), None)
                slip, ahead = slippage_columns(one[1], self.plan.candles, spread)
            trail = rules.trails(*columns, numbers)
            yield which - unit.first, (stop, take, trail, slip, ahead)
