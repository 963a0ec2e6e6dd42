"""From combinations to comparisons as bits, each distinct one once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.rows import Conditions
from backtest.sweeps.groups import Codes, Ids, distinct
from backtest.sweeps.plan import EXIT_SETTINGS, Columns, SweepPlan
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.risk import Risk


@dataclass(frozen=True, slots=True)
class Batch:
    """Combinations whose comparisons are kept at the same time.

    Attributes
    ----------
    values : float64 (m, axes)
        Of all combinations.
    rows, mask, exits, setting : int64 (k,)
        Which ones these are, their distinct set of rules, their distinct exits, and settings.
    conditions : Conditions
    settings : sequence of (Risk, Costs), or None
    """

    values: NDArray[np.float64]
    rows: Ids
    mask: Ids
    exits: Ids
    setting: Ids
    conditions: Conditions
    settings: Sequence[tuple[Risk, Costs] | None]


def batches(
    stage: "Stage",
    rows: Ids,
    setting: Ids,
    settings: Sequence[tuple[Risk, Costs] | None],
    memory: int,
) -> Iterator[Batch]:
    """Cut combinations, none of them refused, into batches whose comparisons fit into a number of
    bytes."""
    plan, values, codes = stage.plan, stage.values, stage.codes
    n = len(plan.candles.arrays["open_time"])
    most = max(memory // ((n + 63) // 64 * 8), len(plan.parsed.comparisons))
    # In the order of what indicators read, so that columns are asked for one after the other.
    params = [name for one in plan.parsed.comparisons for name in one.reads.params]
    mask, first = codes.groups(plan.axes_of(params), stage.columns)
    own = np.unique(mask[rows])
    start = 0
    while start < len(own):
        bits = _Bits(stage, most)
        stop = start
        while stop < len(own) and bits.add(int(first[own[stop]])):
            stop += 1
        some = rows[np.isin(mask[rows], own[start:stop])] if stop - start < len(own) else rows
        exits = stage.exits(some, setting, settings)
        yield Batch(
            values,
            some,
            np.searchsorted(own[start:stop], mask[some]).astype(np.int64),
            exits,
            setting[some],
            Conditions(plan.parsed.programs, *bits.arrays()),
            settings,
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
        self._latest: tuple[int, Columns] = (-1, ())
        self.columns, self.first, self.keys, refused = self._find()
        self.refused: NDArray[np.bool_] = refused[self.columns]
        which = (plan.axes_of(one.reads.params) for one in plan.parsed.comparisons)
        self.operands = [codes.groups(axes)[0] for axes in which]

    def _find(self) -> tuple[Ids, Ids, NDArray[np.int64], NDArray[np.bool_]]:
        # What indicators read may depend on what they have read: until nothing new turns up.
        while True:
            before = set(self.plan.reads)
            ids, first = self.codes.groups(self.plan.axes_of(before))
            keys, refused = [], np.zeros(len(first), bool)
            for at, row in enumerate(first):
                params = self.plan.params(self.values[row])
                try:
                    its = [key for key, _ in self.plan.columns(params)]
                except WickError:
                    its = [None] * len(self.plan.inputs.strategy.rules.fields)
                    refused[at] = True
                keys.append([self._number(key) for key in its])
                if self.plan.reads != before:
                    break
            else:
                return ids, first, np.array(keys, np.int64), refused

    def _number(self, key: Any) -> int:
        # A column made outside the memo tape is like no other.
        return self._keys.setdefault(object() if key is None else key, len(self._keys))

    def columns_at(self, row: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns of a combination by field."""
        which = int(self.columns[row])
        if self._latest[0] != which:
            params = self.plan.params(self.values[self.first[which]])
            self._latest = which, self.plan.columns(params)
        fields = self.plan.inputs.strategy.rules.fields
        return dict(zip(fields, (values for _, values in self._latest[1]), strict=True))

    def exits(self, rows: Ids, setting: Ids, settings: Sequence[tuple[Risk, Costs] | None]) -> Ids:
        """Number the distinct exits of these combinations."""
        fields = self.plan.inputs.strategy.rules.fields
        its = [fields.index(field) for field in self.plan.distances.fields]
        keys, _ = distinct(np.zeros(len(self.first), np.int64), *self.keys[:, its].T)
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


class _Bits:
    """The distinct comparisons of a batch."""

    def __init__(self, stage: Stage, most: int) -> None:
        self.stage, self.most = stage, most
        self.words: list[NDArray[np.uint64]] = []
        self.chosen: list[list[int]] = []
        self._known: dict[Any, int] = {}
        fields = stage.plan.inputs.strategy.rules.fields
        self._fields = [
            [fields.index(field) for field in one.reads.fields]
            for one in stage.plan.parsed.comparisons
        ]

    def add(self, row: int) -> bool:
        """Add one combination's set of rules, or say that there is no room for it."""
        stage = self.stage
        keys = stage.keys[stage.columns[row]]
        every = stage.plan.parsed.comparisons
        names = [
            (at, int(stage.operands[at][row]), *keys[self._fields[at]].tolist())
            for at in range(len(every))
        ]
        new = [at for at, name in enumerate(names) if name not in self._known]
        if self.chosen and len(self.words) + len(new) > self.most:
            return False
        if new:
            columns = stage.columns_at(row)
            params = stage.plan.params(stage.values[row])._asdict()
            for at in new:
                self._known[names[at]] = len(self.words)
                self.words.append(every[at].bits(columns, params, stage.n))
        self.chosen.append([self._known[name] for name in names])
        return True

    def arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return the words, one row a comparison, and which ones each set of rules is made of."""
        return np.stack(self.words), np.array(self.chosen, np.int64)
