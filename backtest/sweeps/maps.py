"""Maps of a sweep: a figure over two axes, as median and best of what the other axes gave there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from backtest.sweeps.grid import Axis, Grid
from backtest.sweeps.ranking import Grouped, Rows, Sample, gather, grouped, rising, sign_of

# Of a longer axis neighbouring values share a row or column.
MOST_BINS = 48


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Figures over two axes.

    Attributes
    ----------
    x, y : str
        Names of the axes.
    x_labels, y_labels : list of str
        A value each, or the first and last one of neighbours that share a place.
    cells : dict
        By the key of a figure: median, best and number of rows with a value, each of shape
        (y, x); NaN where no row has one.
    """

    x: str
    y: str
    x_labels: list[str]
    y_labels: list[str]
    cells: dict[str, Grouped]


def maps_of(
    rows: Rows, grid: Grid, keys: Sequence[str], count: int, pair: tuple[str, str] | None = None
) -> list[HeatMap]:
    """Draw the maps of every two axes, or of one pair.

    Parameters
    ----------
    rows : callable
        Gives the tables of the rows.
    grid : Grid
    keys : sequence of str
        Figures.
    count : int
        Rows; of very many a sample is drawn, see `gather`.
    pair : tuple of str, optional
        The names of two axes, across and up.
    """
    sample = gather(rows, grid, keys, count)
    places = {name: at for at, name in enumerate(grid.names)}
    # Of two axes the one named first goes up, the other across.
    chosen = [pair] if pair else [(b, a) for a, b in combinations(grid.names, 2)]
    orders = {key: rising(values) for key, values in sample.figures.items()}
    return [_map(sample, orders, grid.axes, places[x], places[y]) for x, y in chosen]


def bins(axis: Axis) -> tuple[list[str], NDArray[np.int64]]:
    """Return the labels of an axis, and the label of each of its values."""
    count = len(axis.values)
    at = np.arange(count) * min(count, MOST_BINS) // count
    order = np.argsort(axis.values, kind="stable")
    place = np.empty(count, np.int64)
    place[order] = at
    labels = []
    for one in range(int(at[-1]) + 1):
        inside = axis.values[order][at == one]
        ends = f"{inside[0]:.10g}", f"{inside[-1]:.10g}"
        labels.append(ends[0] if len(inside) == 1 else f"{ends[0]} to {ends[1]}")
    return labels, place


def _map(
    sample: Sample,
    orders: Mapping[str, NDArray[np.int64]],
    axes: Sequence[Axis],
    x: int,
    y: int,
) -> HeatMap:
    (x_labels, x_bins), (y_labels, y_bins) = bins(axes[x]), bins(axes[y])
    shape = (len(y_labels), len(x_labels))
    inside = y_bins[sample.codes[:, y]] * shape[1] + x_bins[sample.codes[:, x]]
    groups = inside.astype(np.uint16)
    cells = {}
    for key, values in sample.figures.items():
        its = grouped(groups, shape[0] * shape[1], values, sign_of(key), orders[key])
        cells[key] = Grouped(
            its.median.reshape(shape), its.best.reshape(shape), its.n.reshape(shape)
        )
    return HeatMap(axes[x].name, axes[y].name, x_labels, y_labels, cells)
