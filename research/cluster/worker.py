"""What a worker does: one block of combinations at a time, on a plan that it keeps."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import SweepTable
from backtest.sweeps.plan import SweepPlan
from research.cluster.travel import Sent, unpacked
from strategy.errors import RunRefused, WickError

# Windows of a walk-forward come by turns; each plan has blocks and a memo tape of its own.
_MOST_PLANS = 2
_plans: OrderedDict[str, SweepPlan] = OrderedDict()


class Done(NamedTuple):
    """The figures of a block, and which params `indicators` has read for them."""

    table: SweepTable
    reads: set[str]


class Refused(NamedTuple):
    """A WickError on its way."""

    message: str
    hint: str
    of_run: bool

    def raised(self) -> WickError:
        """Return the error."""
        return (RunRefused if self.of_run else WickError)(self.message, self.hint)


def compute(
    key: str,
    sent: Sent,
    values: NDArray[np.float64],
    days: bool,
    memory: int,
    *columns: NDArray[np.uint8],
) -> Done | Refused:
    """Compute the figures of some combinations with one thread.

    Parameters
    ----------
    key : str
        Names the plan; it is built once as long as it is one of the last.
    values : float64 (m, axes)
    memory : int
        Bytes that shared columns, bits and tables may take.
    columns : uint8 arrays
        In the order of their numbers.
    """
    try:
        plan = _plan(key, sent, columns)
        table = evaluate(plan, values, threads=1, memory=memory, days=days)
        return Done(table, plan.reads)
    except WickError as error:
        return Refused(error.message, error.hint, isinstance(error, RunRefused))


def _plan(key: str, sent: Sent, columns: tuple[NDArray[np.uint8], ...]) -> SweepPlan:
    if key not in _plans:
        while len(_plans) >= _MOST_PLANS:
            _plans.popitem(last=False)
        _plans[key] = unpacked(sent, columns)
    _plans.move_to_end(key)
    return _plans[key]
