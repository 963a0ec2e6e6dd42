"""From combinations to comparisons as bits, each distinct one once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.rows import Conditions
from backtest.sweeps.conditions import Comparing
from backtest.sweeps.groups import Codes, Ids, distinct
from backtest.sweeps.plan import EXIT_SETTINGS, SweepPlan
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.risk import Risk

Column = NDArray[np.float64]


class Task(NamedTuple):
    """What is made of one call of `indicators`, so that its columns can go.

    Attributes
    ----------
    row : int
        A combination that has these columns.
    bits : list of (int, int, int)
        Place among the batch's words, comparison, and the combination whose params it takes.
    kept : list of (int, int)
        Columns that distances are made of: number of its key, and field of the rules.
    """

    row: int
    bits: list[tuple[int, int, int]]
    kept: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Combinations whose comparisons are kept at the same time.

    Attributes
    ----------
    stage : Stage
    rows, mask, exits, setting : int64 (k,)
        Which combinations these are, their distinct set of rules, their distinct exits, and
        settings.
    conditions : Conditions
        Without bits until every task is done.
    settings : sequence of (Risk, Costs), or None
    tasks : list of Task
    kept : dict
        Columns that distances are made of, by the number of their key.
    """

    stage: "Stage"
    rows: Ids
    mask: Ids
    exits: Ids
    setting: Ids
    conditions: Conditions
    settings: Sequence[tuple[Risk, Costs] | None]
    tasks: list[Task]
    kept: dict[int, Column] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """What its bits and the columns it keeps take."""
        return self.conditions.words.nbytes + sum(one.nbytes for one in self.kept.values())

    def do(self, task: Task) -> None:
        """Compute the columns of one set of params, and keep what the batch needs of them."""
        stage, plan = self.stage, self.stage.plan
        columns = plan.columns(plan.params(stage.values[task.row]))
        by_field = dict(zip(plan.inputs.strategy.rules.fields, columns, strict=True))
        comparing = Comparing(self.conditions.words, stage.n)
        for place, which, row in task.bits:
            comparison, params = plan.parsed.comparisons[which], plan.numbers(stage.values[row])
            comparing.add(place, comparison.or_equal, *comparison.values(by_field, params))
        comparing.run()
        for number, at in task.kept:
            self.kept[number] = columns[at]

    def columns(self, row: int) -> list[Column]:
        """Return the columns of a combination in the order of the rules' fields; those that no
        distance reads are stood in for."""
        stage = self.stage
        numbers = stage.keys[stage.columns[row]]
        return [
            self.kept[int(numbers[at])] if at in stage.kept else stage.nothing
            for at in range(len(numbers))
        ]


def batches(
    stage: "Stage",
    rows: Ids,
    setting: Ids,
    settings: Sequence[tuple[Risk, Costs] | None],
    memory: int,
) -> Iterator[Batch]:
    """Cut combinations, none of them refused, into batches whose comparisons and columns fit into
    a number of bytes."""
    plan, codes = stage.plan, stage.codes
    # In the order of what indicators read, so that columns are asked for one after the other.
    params = [name for one in plan.parsed.comparisons for name in one.reads.params]
    mask, first = codes.groups(plan.axes_of(params), stage.columns)
    own = np.unique(mask[rows])
    start = 0
    while start < len(own):
        needs = _Needs(stage, memory)
        stop = start
        while stop < len(own) and needs.add(int(first[own[stop]])):
            stop += 1
        some = rows[np.isin(mask[rows], own[start:stop])] if stop - start < len(own) else rows
        exits = stage.exits(some, setting, settings)
        stage.expect(needs.tasks)
        yield Batch(
            stage,
            some,
            np.array(needs.mask, np.int64)[np.searchsorted(own[start:stop], mask[some])],
            exits,
            setting[some],
            Conditions(
                plan.parsed.programs,
                np.empty((needs.places, (stage.n + 63) // 64), np.uint64),
                np.array(list(needs.chosen), np.int64),
            ),
            settings,
            list(needs.tasks.values()),
        )
        start = stop


class Stage:
    """Which columns each combination has.

    Attributes
    ----------
    refused : bool (m,)
        `indicators` refuses the params of these combinations.
    """

    def __init__(self, plan: SweepPlan, values: NDArray[np.float64], codes: Codes) -> None:
        self.plan, self.values, self.codes = plan, values, codes
        self.n = len(plan.candles.arrays["open_time"])
        self._keys: dict[Any, int] = {}
        fields = plan.inputs.strategy.rules.fields
        self.kept = [fields.index(one) for one in plan.distances.fields]
        self.nothing = np.zeros(self.n)
        self.nothing.flags.writeable = False
        self._asked: list[Ids] = []
        self.columns, self.first, self.keys, refused = self._find()
        self.refused: NDArray[np.bool_] = refused[self.columns]
        which = (plan.axes_of(one.reads.params) for one in plan.parsed.comparisons)
        self.operands = [codes.groups(axes)[0] for axes in which]

    def _find(self) -> tuple[Ids, Ids, NDArray[np.int64], NDArray[np.bool_]]:
        # What indicators read may depend on what they have read: until nothing new turns up.
        while True:
            before = set(self.plan.reads)
            ids, first = self.codes.groups(self.plan.axes_of(before))
            keys, refused, self._asked = [], np.zeros(len(first), bool), []
            for at, row in enumerate(first):
                params = self.plan.params(self.values[row])
                try:
                    its, asked = self.plan.keys(params)
                except WickError:
                    asked = []
                    its = (None,) * len(self.plan.inputs.strategy.rules.fields)
                    refused[at] = True
                self._asked.append(np.array(asked, np.int64))
                keys.append([self._number(key) for key in its])
                if self.plan.reads != before:
                    break
            else:
                return ids, first, np.array(keys, np.int64), refused

    def _number(self, key: Any) -> int:
        # A column made outside the memo tape is like no other.
        return self._keys.setdefault(object() if key is None else key, len(self._keys))

    def expect(self, which: Iterable[int]) -> None:
        """Tell the memo tape which calls will come, if it cannot keep all that they make."""
        asked = np.concatenate([self._asked[one] for one in which])
        if len(np.unique(asked)) * self.n * 8 > self.plan.memo.budget_bytes:
            self.plan.memo.expect(asked.tolist())

    def exits(self, rows: Ids, setting: Ids, settings: Sequence[tuple[Risk, Costs] | None]) -> Ids:
        """Number the distinct exits of these combinations."""
        keys, _ = distinct(np.zeros(len(self.first), np.int64), *self.keys[:, self.kept].T)
        known: dict[Any, int] = {}
        kinds = np.array([known.setdefault(_exit_part(one), len(known)) for one in settings])
        axes = self.plan.axes_of(self.plan.distances.params)
        ids, _ = self.codes.groups(axes, keys[self.columns], kinds[setting].astype(np.int64))
        out: Ids = np.unique(ids[rows], return_inverse=True)[1].astype(np.int64)
        return out


def _exit_part(one: tuple[Risk, Costs] | None) -> Any:
    if one is None:
        return None
    values = {f"risk.{name}": value for name, value in one[0]._asdict().items()}
    values |= {f"costs.{name}": value for name, value in one[1]._asdict().items()}
    return tuple(values[name] for name in EXIT_SETTINGS)


class _Needs:
    """What the combinations of a batch need."""

    def __init__(self, stage: Stage, memory: int) -> None:
        self.stage, self.memory = stage, memory
        self.places = 0
        self.mask: list[int] = []
        self.chosen: dict[tuple[int, ...], int] = {}
        self.tasks: dict[int, Task] = {}
        self._places: dict[Any, int] = {}
        self._kept: set[int] = set()
        fields = stage.plan.inputs.strategy.rules.fields
        self._fields = [
            [fields.index(field) for field in one.reads.fields]
            for one in stage.plan.parsed.comparisons
        ]

    def add(self, row: int) -> bool:
        """Add one combination's set of rules, or say that there is no room for it."""
        stage, which = self.stage, int(self.stage.columns[row])
        keys = stage.keys[which].tolist()
        names = [
            (at, int(operands[row]), *(keys[field] for field in fields))
            for at, (operands, fields) in enumerate(zip(stage.operands, self._fields, strict=True))
        ]
        new = [at for at, name in enumerate(names) if name not in self._places]
        kept = [(keys[at], at) for at in stage.kept if keys[at] not in self._kept]
        columns, words = len(self._kept) + len(kept), self.places + len(new)
        weight = columns * stage.n * 8 + words * ((stage.n + 63) // 64) * 8
        if self.chosen and weight > self.memory:
            return False
        if new or kept:
            task = self.tasks.setdefault(which, Task(row, [], []))
            task.bits.extend((self.places + at, its, row) for at, its in enumerate(new))
            task.kept.extend(kept)
            self._places |= {names[its]: self.places + at for at, its in enumerate(new)}
            self._kept |= {number for number, _ in kept}
            self.places = words
        chosen = tuple(self._places[name] for name in names)
        self.mask.append(self.chosen.setdefault(chosen, len(self.chosen)))
        return True
