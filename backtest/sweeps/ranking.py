"""What the rows of a sweep say: the best of them, why others have no value, what each value of an
axis did."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.sweeps.grid import Axis, Grid
from data.table import numbers
from strategy.metrics import DEFINITIONS, MIN_TRADES

NUMBER, NOTE = "combination", "note"
MOST_SAMPLED = 500_000
# Figures of which less is better; of all others more is.
_LESS = frozenset({
    "volatility", "drawdown_length", "recovery_days", "drawdown_days", "ulcer", "under_water",
    "track_record", "kurtosis", "gross_leverage", "gross_leverage_max", "net_leverage_max",
    "turnover", "loss_streak", "fees", "funding", "slippage", "fees_share", "slippage_share",
    "ambiguous", "open_at_end",
})  # fmt: skip
Rows = Callable[[], Iterable[pa.Table]]


class Marginal(NamedTuple):
    """What the combinations with one value of an axis gave."""

    name: str
    value: float
    median: float
    best: float
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows of a sweep, ranked by an objective.

    Attributes
    ----------
    objective : str
    rows : int
    top : Table
        The best rows, the best first; those of fewer than 10 trades stand behind all others.
    best : dict
        The number of the best combination by the key of each figure that has a value.
    few_trades : int
        Rows with a result of fewer than 10 trades.
    without : dict
        How many rows have no result, by reason.
    marginals : list of Marginal
        Of the objective, by axis and value.
    sampled : int
        Rows that the marginals rest on.
    """

    objective: str
    rows: int
    top: pa.Table
    best: dict[str, int]
    few_trades: int
    without: dict[str, int]
    marginals: list[Marginal]
    sampled: int


def sign_of(key: str) -> int:
    """Return 1 for a figure of which more is better, else -1."""
    return -1 if key in _LESS else 1


def summarize(rows: Rows, grid: Grid, objective: str, top: int) -> Summary:
    """Read the rows once and rank them.

    Parameters
    ----------
    rows : callable
        Gives the tables of the rows, in the order of their combinations.
    grid : Grid
    objective : str
        Key of a figure.
    top : int
        How many rows to keep.
    """
    kept: pa.Table | None = None
    best: dict[str, tuple[int, float, int]] = {}
    without: dict[str, int] = {}
    count = few = 0
    for table in rows():
        count += len(table)
        notes = table[NOTE].value_counts()
        for one in notes.to_pylist():
            if one["values"]:
                without[one["values"]] = without.get(one["values"], 0) + one["counts"]
        trades = numbers(table, "trades")
        few += int(np.count_nonzero(trades < MIN_TRADES))
        for key in figure_keys(table):
            _keep_best(best, key, table, trades)
        kept = best_of(kept, table, objective, top)
    assert kept is not None
    sample = gather(rows, grid, [objective], count)
    return Summary(
        objective,
        count,
        kept,
        {key: number for key, (_, _, number) in best.items()},
        few,
        dict(sorted(without.items(), key=lambda item: -item[1])),
        _marginals(sample, grid.axes, objective),
        len(sample.codes),
    )


def best_of(kept: pa.Table | None, table: pa.Table, objective: str, top: int) -> pa.Table:
    """Return the best rows of those kept so far and some more, the best first."""
    both = table if kept is None else pa.concat_tables([kept, table])
    return both.take(pa.array(ranked(both, objective)[:top]))


def ranked(table: pa.Table, objective: str) -> NDArray[np.int64]:
    """Return the places of rows from best to worst.

    Rows of fewer than 10 trades come behind the others, those without a value last; equal ones stay
    in the order of their combinations.
    """
    values, trades = numbers(table, objective) * sign_of(objective), numbers(table, "trades")
    return np.lexsort((numbers(table, NUMBER), -values, _groups(values, trades)))


def figure_keys(table: pa.Table) -> list[str]:
    """Return which columns are figures."""
    return [name for name in table.column_names if name in DEFINITIONS]


def _groups(values: NDArray[np.float64], trades: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.where(np.isnan(values), 2, np.where(trades < MIN_TRADES, 1, 0))


def _keep_best(
    best: dict[str, tuple[int, float, int]],
    key: str,
    table: pa.Table,
    trades: NDArray[np.float64],
) -> None:
    values = numbers(table, key) * sign_of(key)
    groups = _groups(values, trades)
    lowest = int(groups.min(initial=2))
    if lowest == 2:
        return
    at = int(np.argmax(np.where(groups == lowest, values, -np.inf)))
    found = (-lowest, float(values[at]), int(table[NUMBER][at].as_py()))
    if key not in best or found[:2] > best[key][:2]:
        best[key] = found


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a sweep in memory: all, or as many as fit, drawn from all of them.

    Attributes
    ----------
    codes : int32 (n, axes)
        The place of each value on its axis.
    figures : dict
        float64 (n,) by key.
    """

    codes: NDArray[np.int32]
    figures: dict[str, NDArray[np.float64]]


def gather(rows: Rows, grid: Grid, keys: Sequence[str], count: int) -> Sample:
    """Read some figures of the rows into memory; of very many rows a seeded sample."""
    random = np.random.default_rng(0)
    codes, figures = [], []
    for table in rows():
        chosen = np.arange(len(table))
        if count > MOST_SAMPLED:
            chosen = np.flatnonzero(random.random(len(table)) < MOST_SAMPLED / count)
        codes.append(grid.codes(numbers(table, NUMBER)[chosen]))
        figures.append([numbers(table, key)[chosen] for key in keys])
    joined = [np.concatenate(column) for column in zip(*figures, strict=True)]
    return Sample(np.concatenate(codes), dict(zip(keys, joined, strict=True)))


class Grouped(NamedTuple):
    """One figure by groups of rows: float64 (groups,), NaN where no row has a value."""

    median: NDArray[np.float64]
    best: NDArray[np.float64]
    n: NDArray[np.int64]


def rising(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of the values from the lowest to the highest, without those of NaN."""
    known = np.flatnonzero(~np.isnan(values))
    order: NDArray[np.int64] = known[np.argsort(values[known])]
    return order


def grouped(
    groups: NDArray[np.integer[Any]],
    count: int,
    values: NDArray[np.float64],
    sign: int,
    by_value: NDArray[np.int64],
) -> Grouped:
    """Return median and best of the values in each group, and how many there are.

    Parameters
    ----------
    groups : array of int (n,)
    count : int
        Groups.
    values : float64 (n,)
    sign : int
        1 where more is better, else -1.
    by_value : int64
        What `rising` says of the values.
    """
    # Stable, so that values stay sorted inside a group; of small integers it is a radix sort.
    order = by_value[np.argsort(groups[by_value], kind="stable")]
    inside, sorted_values = groups[order], values[order]
    n = np.bincount(inside, minlength=count)
    ends = np.cumsum(n)
    starts, some = ends - n, n > 0
    median, best = np.full(count, np.nan), np.full(count, np.nan)
    low, high = starts + (n - 1) // 2, starts + n // 2
    median[some] = (sorted_values[low[some]] + sorted_values[high[some]]) / 2.0
    best[some] = sorted_values[(ends - 1 if sign > 0 else starts)[some]]
    return Grouped(median, best, n)


def _marginals(sample: Sample, axes: Sequence[Axis], objective: str) -> list[Marginal]:
    values, sign = sample.figures[objective], sign_of(objective)
    by_value, found = rising(values), []
    for at, axis in enumerate(axes):
        its = grouped(sample.codes[:, at], len(axis.values), values, sign, by_value)
        found += [
            Marginal(axis.name, float(value), float(median), float(best), int(n))
            for value, median, best, n in zip(axis.values, *its, strict=True)
        ]
    return found
