"""The report of a sweep: maps and the best rows in one HTML file, and a map for notebooks."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backtest.report import tables
from backtest.report.assets import inline, part, plotly_script, policy
from backtest.report.markup import row, table
from backtest.sweeps.grid import Grid
from backtest.sweeps.maps import HeatMap, maps_of
from backtest.sweeps.ranking import Rows, Summary, figure_keys, sign_of
from backtest.sweeps.show import FEW, figure, lines_about, shown_keys
from data.disk import write_page
from data.run_json import RunRecord
from strategy.metrics import DEFINITIONS, MIN_TRADES

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Figures whose colour turns at a value: a loss never looks like a gain.
TURNS = {
    "total_return": 0.0, "hold_return": 0.0, "cagr": 0.0, "best_day": 0.0, "worst_day": 0.0,
    "best_month": 0.0, "worst_month": 0.0, "sharpe": 0.0, "sharpe_low": 0.0, "sharpe_high": 0.0,
    "sortino": 0.0, "calmar": 0.0, "skew": 0.0, "alpha": 0.0, "beta": 0.0, "correlation": 0.0,
    "information_ratio": 0.0, "net_leverage": 0.0, "average_win": 0.0, "average_loss": 0.0,
    "expectancy": 0.0, "expectancy_share": 0.0, "expectancy_r": 0.0, "sqn": 0.0, "kelly": 0.0,
    "best_trade": 0.0, "worst_trade": 0.0, "gross": 0.0, "funding": 0.0, "profit_factor": 1.0,
    "omega": 1.0,
}  # fmt: skip
LOSS, EVEN, GAIN, NONE = "#b5452f", "#f5f1ea", "#1f6fa8", "#c9cdd1"
# A few far values must not take the colours from all others: this share lies inside the scale.
_INSIDE = 0.95
FAINT, STRONG = "#eef2ee", "#2a6f4e"


def write_sweep_report(
    record: RunRecord,
    rows: Rows,
    grid: Grid,
    summary: Summary,
    path: Path,
    pair: tuple[str, str] | None = None,
) -> Path:
    """Write a sweep as one HTML file that opens without a network.

    Parameters
    ----------
    record : RunRecord
        With its sweep.
    rows : callable
        Gives the tables of the rows.
    grid : Grid
    summary : Summary
        The top table and the objective.
    path : Path
        The file to write; it is there whole or not at all.
    pair : tuple of str, optional
        Only the map of these two axes.

    Raises
    ------
    RunRefused
        The file cannot be written.
    """
    maps = []
    keys = figure_keys(summary.top)
    if len(grid.axes) > 1:
        maps = maps_of(rows, grid, keys, summary.rows, pair)
    write_page(path, _page(record, summary, keys, maps), "report")
    return path


def figure_of(one: HeatMap, key: str, best: bool = False) -> "go.Figure":
    """Draw a map with Plotly: the median of a figure, or the best; grey where there is no value."""
    import plotly.graph_objects as go

    its = DEFINITIONS[key]
    values = one.cells[key].best if best else one.cells[key].median
    low, high, colors = _scale(key, values)
    common: dict[str, Any] = {"x": one.x_labels, "y": one.y_labels, "xgap": 1, "ygap": 1}
    none = np.where(np.isnan(values), 1.0, np.nan)
    drawn = go.Figure(
        [
            go.Heatmap(
                z=values, zmin=low, zmax=high, colorscale=colors,
                colorbar={"title": {"text": its.label}}, **common,
            ),
            go.Heatmap(
                z=none, colorscale=[[0, NONE], [1, NONE]], showscale=False, hoverinfo="skip",
                text=np.where(np.isnan(values), "×", ""), texttemplate="%{text}", **common,
            ),
        ]
    )  # fmt: skip
    words = f"{its.label}, {'best' if best else 'median'}"
    drawn.update_layout(title=words, xaxis_title=one.x, yaxis_title=one.y)
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(type="category")
    return drawn


def _scale(key: str, values: NDArray[np.float64]) -> tuple[float, float, list[list[Any]]]:
    known = values[np.isfinite(values)]
    if key in TURNS:
        turn = TURNS[key]
        reach = _quantile(np.abs(known - turn), _INSIDE) or 1.0
        colors = [[0, LOSS], [0.5, EVEN], [1, GAIN]][:: sign_of(key)]
        places = [[at, color] for at, (_, color) in zip((0, 0.5, 1), colors, strict=True)]
        return turn - reach, turn + reach, places
    low, high = _quantile(known, 1.0 - _INSIDE), _quantile(known, _INSIDE)
    ends = [FAINT, STRONG][:: sign_of(key)]
    return low, high if high > low else low + 1.0, [[0, ends[0]], [1, ends[1]]]


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.sort(values)[round(share * (len(values) - 1))]) if len(values) else 0.0


def _page(record: RunRecord, summary: Summary, keys: Sequence[str], maps: Sequence[HeatMap]) -> str:
    its = record.sweep
    assert its is not None
    plotly = plotly_script()
    script = "\n".join((part("charts.js"), part("heat.js", "backtest.sweeps")))
    notes = "".join(f"<li>{escape(word)}</li>" for word in [_warning(its), *record.notes])
    return Template(part("page.html", "backtest.sweeps")).substitute(
        policy=policy(plotly, script),
        title=escape(f"{record.strategy.name}: sweep of {', '.join(a.name for a in its.axes)}"),
        style=part("page.css") + part("heat.css", "backtest.sweeps"),
        strategy=escape(record.strategy.name),
        summary=tables.summary(record),
        count=escape(_counted(its)),
        notes=f'<ul class="notes">{notes}</ul>',
        mapless="" if maps else "hidden",
        sampled="" if summary.sampled == summary.rows else _sampled(summary),
        top=_top(summary, [axis.name for axis in its.axes]),
        marginals=_marginals(summary),
        what_ran=tables.what_ran(record),
        data=inline(msgspec.json.encode(_data(summary.objective, keys, maps)).decode()),
        plotly=plotly,
        script=script,
    )


def _counted(its: Any) -> str:
    sizes = " × ".join(f"{axis.name} {len(axis.values):,}" for axis in its.axes)
    drawn = f", drawn of the grid {sizes}" if its.drawn is not None else f": {sizes}"
    return f"{its.combinations:,} combinations{drawn}. " + ". ".join([*lines_about(its), ""])


def _warning(its: Any) -> str:
    return (
        f"The best of {its.combinations:,} tries flatters: some would look good by chance alone,"
        " and nothing here was seen out of sample. Look for regions, not for peaks."
    )


def _sampled(summary: Summary) -> str:
    return f"Medians, bests and maps rest on {summary.sampled:,} rows drawn of {summary.rows:,}."


def _top(summary: Summary, names: Sequence[str]) -> str:
    keys = shown_keys(summary)
    heads = ["#", *names, *(DEFINITIONS[key].label for key in keys), ""]
    made = []
    for at, one in enumerate(summary.top.to_pylist(), 1):
        cells = [f"{one[name]:g}" for name in names] + [figure(key, one[key]) for key in keys]
        said = FEW if one["trades"] < MIN_TRADES else one["note"]
        made.append(row(str(at), *cells, said))
    title = f"Best by {DEFINITIONS[summary.objective].label}"
    return table(title, [escape(head) for head in heads], "".join(made), "top")


def _marginals(summary: Summary) -> str:
    key, found = summary.objective, []
    label = DEFINITIONS[key].label
    for name in dict.fromkeys(one.name for one in summary.marginals):
        its = [one for one in summary.marginals if one.name == name]
        made = "".join(
            row(f"{one.value:g}", figure(key, one.median), figure(key, one.best), f"{one.n:,}")
            for one in its
        )
        heads = [escape(name), f"median {escape(label)}", "best", "rows"]
        found.append(table("", heads, made))
    return "".join(found)


def _data(objective: str, keys: Sequence[str], maps: Sequence[HeatMap]) -> dict[str, Any]:
    about = {
        key: {
            "label": DEFINITIONS[key].label, "unit": DEFINITIONS[key].unit, "sign": sign_of(key),
            "turn": TURNS.get(key),
        }
        for key in keys
    }  # fmt: skip
    return {
        "objective": objective,
        "figures": about,
        "colors": {"loss": LOSS, "even": EVEN, "gain": GAIN, "none": NONE, "faint": FAINT,
                   "strong": STRONG},
        "maps": [
            {
                "x": one.x, "y": one.y, "x_labels": one.x_labels, "y_labels": one.y_labels,
                "cells": {key: _cells(one.cells[key]) for key in keys},
            }
            for one in maps
        ],
    }  # fmt: skip


def _cells(its: Any) -> dict[str, Any]:
    return {"median": _rows(its.median), "best": _rows(its.best), "n": its.n.tolist()}


def _rows(values: NDArray[np.float64]) -> list[list[float | None]]:
    # As exact as an eye needs; JSON has no NaN.
    return [
        [float(f"{value:.6g}") if math.isfinite(value) else None for value in line]
        for line in values.tolist()
    ]
