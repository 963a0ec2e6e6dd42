"""A stored series as one HTML page that needs no network: prices, volume, holes and coverage."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from data.checking.bars import Columns, candles_to_draw, points_of
from data.checking.coverage import MonthShare, percent
from data.checking.look import Shown
from data.checking.present import in_time
from data.dates import show_time
from data.disk import write_page
from data.gaps import ARCHIVE_LOSS, CAUSES, OUR_LOSS, OUTAGE, UNKNOWN, Cause
from data.kinds import AGG_TRADES, FUNDING, QUOTES
from data.store import load_arrays

COLORS: dict[Cause, str] = {
    OUTAGE: "#8d99ae",
    ARCHIVE_LOSS: "#e9a03b",
    OUR_LOSS: "#c94c4c",
    UNKNOWN: "#8e6bbf",
}
_UP, _DOWN, _LINE = "#6aa58c", "#d08b80", "#4a6fa5"
# A hole is drawn at least so wide, as a share of the whole: else a minute in a year has no pixel.
_THINNEST = 0.002
_MOST_SHAPES = 400
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
# Whole months stand out from those that lack a single candle.
_SHARES = [[0.0, "#c94c4c"], [0.9, "#e9a03b"], [0.99999, "#d9e4a8"], [1.0, "#6aa58c"]]


def write_plot(store: Path, shown: Shown, output: Path | None) -> str:
    """Draw a stored series and say where the page is.

    Parameters
    ----------
    output : Path or None
        By default a name made of the series', in the working folder.

    Raises
    ------
    RunRefused
        The file cannot be written.
    """
    path = output or Path(f"{str(shown.series).replace(' ', '-')}.html")
    figure = figure_of(store, shown)
    text = figure.to_html(default_height="96vh", config={"responsive": True})
    write_page(path, text, "plot")
    return f"{shown.series}: {path}"


def figure_of(store: Path, shown: Shown) -> go.Figure:
    """Draw the rows of a series over time, with its holes shaded by cause, and its coverage."""
    series, kind = shown.series, shown.series.its_kind
    has_bars = kind.has_candles or kind is AGG_TRADES
    figure, panes = _panes(has_bars, kind.name, bool(shown.coverage))
    said = f"{shown.rows:,} rows"
    if has_bars:
        bars, length = candles_to_draw(store, series)
        _draw_bars(figure, bars, panes)
        said += f", in bars of {_length_words(length)}"
    else:
        _draw_rows(figure, load_arrays(store, series), kind.name)
    _shade_holes(figure, store, shown, panes)
    if shown.coverage:
        _draw_coverage(figure, shown.coverage, panes + 1)
    span = f"{show_time(shown.first_open_time)} to {show_time(shown.last_open_time)} UTC"
    figure.update_layout(
        title=f"{series}, {span}, {said}", template="plotly_white", hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        margin={"l": 70, "r": 30, "t": 90, "b": 40}, bargap=0,
    )  # fmt: skip
    figure.update_xaxes(rangeslider_visible=False)
    figure.update_xaxes(type="date", row=panes, col=1)
    return figure


def _panes(has_bars: bool, kind: str, has_coverage: bool) -> tuple[go.Figure, int]:
    """Make the panes that share the time, and one below them for the coverage."""
    panes = 2 if (has_bars and kind != "mark") or kind == "metrics" else 1
    heights = [0.6, 0.18][:panes] + [0.22] * has_coverage
    figure = make_subplots(
        panes + has_coverage, 1, row_heights=heights, vertical_spacing=0.06,
        subplot_titles=[""] * panes + ["candles present, % by month"] * has_coverage,
    )  # fmt: skip
    if panes == 2:
        figure.update_xaxes(matches="x", row=2, col=1)
        figure.update_xaxes(showticklabels=False, row=1, col=1)
    return figure, panes


def _draw_bars(figure: go.Figure, bars: Columns, panes: int) -> None:
    time = bars["open_time"].astype("datetime64[ms]")
    prices = {name: bars[name] for name in ("open", "high", "low", "close")}
    figure.add_trace(
        go.Candlestick(
            x=time, **prices, name="price", showlegend=False,
            increasing={"line": {"color": _UP, "width": 1}, "fillcolor": _UP},
            decreasing={"line": {"color": _DOWN, "width": 1}, "fillcolor": _DOWN},
        ), 1, 1,
    )  # fmt: skip
    figure.update_yaxes(tickformat=",~f", title_text="price", row=1, col=1)
    if panes == 2:
        volume = go.Bar(
            x=time, y=bars["volume"], name="volume", showlegend=False,
            marker={"color": _LINE, "line_width": 0},
        )  # fmt: skip
        figure.add_trace(volume, 2, 1)
        figure.update_yaxes(title_text="volume", row=2, col=1)


def _draw_rows(figure: go.Figure, columns: Columns, kind: str) -> None:
    times = columns["time"]
    if kind == FUNDING.name:
        colors = np.where(columns["rate"] >= 0, _UP, _DOWN)
        bars = go.Bar(
            x=times.astype("datetime64[ms]"), y=columns["rate"], name="rate", showlegend=False,
            marker={"color": colors, "line_width": 0},
        )  # fmt: skip
        figure.add_trace(bars, 1, 1)
        figure.update_yaxes(tickformat=".3%", title_text="funding rate", row=1, col=1)
        return
    if kind == "bookDepth":
        for percentage in np.unique(columns["percentage"]):
            at = columns["percentage"] == percentage
            _line(figure, times[at], columns["notional"][at], f"{percentage:+g} %", 1)
        figure.update_yaxes(title_text="notional within", row=1, col=1)
        return
    if kind == QUOTES.name:
        _line(figure, times, columns["half"], "half spread", 1)
        figure.update_yaxes(tickformat=".4%", title_text="half spread", row=1, col=1)
        return
    for name in (n for n in columns if n not in ("time", "open_interest_value")):
        _line(figure, times, columns[name], name, 1 if name == "open_interest" else 2)
    figure.update_yaxes(title_text="open interest", row=1, col=1)
    figure.update_yaxes(title_text="ratios", row=2, col=1)


def _line(figure: go.Figure, times: Any, values: Any, name: str, row: int) -> None:
    x, y = points_of(times, values)
    line = go.Scatter(x=x.astype("datetime64[ms]"), y=y, name=name, mode="lines", line_width=1.2)
    figure.add_trace(line, row, 1)


def _shade_holes(figure: go.Figure, store: Path, shown: Shown, panes: int) -> None:
    span = max(shown.last_open_time - shown.first_open_time, 1)
    found = in_time(store, shown.series, [hole.gap for hole in shown.holes], shown.last_open_time)
    causes = {hole.gap: hole.cause for hole in shown.holes}
    shapes: list[dict[str, Any]] = []
    last: dict[Cause, int] = {}
    for hole in found:
        cause = causes[hole.gap]
        middle, half = (hole.start_ms + hole.end_ms) / 2, span * _THINNEST / 2
        low, high = min(hole.start_ms, middle - half), max(hole.end_ms, middle + half)
        # Holes so near that they touch are one shape.
        if cause in last and low <= shapes[last[cause]]["x1"]:
            shapes[last[cause]]["x1"] = max(high, shapes[last[cause]]["x1"])
            continue
        last[cause] = len(shapes)
        shapes.append({"x0": low, "x1": high, "fillcolor": COLORS[cause]})
    for shape in shapes[:_MOST_SHAPES]:
        x0, x1 = (_iso(shape[end]) for end in ("x0", "x1"))
        for pane in range(1, panes + 1):
            number = "" if pane == 1 else str(pane)
            figure.add_shape(
                type="rect", xref=f"x{number}", yref=f"y{number} domain", x0=x0, x1=x1, y0=0, y1=1,
                fillcolor=shape["fillcolor"], opacity=0.45, line_width=0, layer="below",
            )  # fmt: skip
    _name_causes(figure, shown)


def _name_causes(figure: go.Figure, shown: Shown) -> None:
    counts: Counter[Cause] = Counter()
    for hole in shown.holes:
        counts[hole.cause] += hole.gap.count
    start = np.array([shown.first_open_time]).astype("datetime64[ms]")
    for cause in CAUSES:
        if counts[cause]:
            marker = {"symbol": "square", "size": 12, "color": COLORS[cause]}
            name = f"missing, {'cause ' * (cause == UNKNOWN)}{cause}: {counts[cause]:,}"
            # A point without a value, so that the legend has a line for the colour.
            sample = go.Scatter(x=start, y=[None], mode="markers", marker=marker, name=name)
            figure.add_trace(sample, 1, 1)


def _draw_coverage(figure: go.Figure, shares: Sequence[MonthShare], row: int) -> None:
    years = sorted({share.month[:4] for share in shares})
    cells: list[list[float | None]] = [[None] * 12 for _ in years]
    words = [[""] * 12 for _ in years]
    labels = [[""] * 12 for _ in years]
    for share in shares:
        at = years.index(share.month[:4]), int(share.month[5:]) - 1
        cells[at[0]][at[1]] = 100 * share.present / max(share.expected, 1)
        words[at[0]][at[1]] = f"{share.present:,} of {share.expected:,}"
        labels[at[0]][at[1]] = "" if share.whole else percent(share)
    heat = go.Heatmap(
        x=_MONTHS, y=years, z=cells, customdata=words, text=labels, texttemplate="%{text}",
        zmin=0, zmax=100, colorscale=_SHARES,
        showscale=False, xgap=2, ygap=2, name="coverage",
        hovertemplate="%{x} %{y}: %{z:.3f} %, %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.add_trace(heat, row, 1)
    figure.update_yaxes(type="category", autorange="reversed", row=row, col=1)


def _iso(time_ms: float) -> str:
    return str(np.datetime64(round(time_ms), "ms"))


def _length_words(length_ms: int) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")):
        if length_ms % size == 0:
            return f"{length_ms // size}{unit}"
    return f"{length_ms}ms"
