"""The charts, as Plotly figures. Colours are read by the colour-blind too, on light and on dark."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dashboard.load import Bars
from dashboard.trades import Fill
from dashboard.view import Position
from data.runs import Run
from strategy.metrics import drawdown
from strategy.timeframes import timeframe_ms

BLUE, ORANGE, GREY, SOFT = "#2f80d8", "#d06a10", "#7d8790", "#9aa3ab"
TEAL = "#1f9e89"
CURVE_POINTS = 2_000
_HEIGHT = 420
_LABEL = 110  # room for the name and price of a level
_PRICE = ",~f"

Times = NDArray[np.int64]
Floats = NDArray[np.float64]


def candles_figure(
    bars: Bars, fills: tuple[Fill, ...], position: Position | None, symbol: str
) -> go.Figure:
    """Draw a symbol's candles, its fills, and what protects the open position.

    Parameters
    ----------
    fills : tuple of Fill
        Of any symbol and time; those in view are drawn.
    position : Position or None
        The symbol's open one.
    """
    figure = go.Figure(layout=_layout(_HEIGHT, symbol))
    figure.add_trace(_bodies(bars))
    first = int(bars.time[0]) if len(bars.time) else 0
    here = [fill for fill in fills if fill.symbol == symbol and fill.time >= first]
    for name, color, shape, chosen in (
        ("long entry", BLUE, "triangle-up", [f for f in here if f.opens and f.side == "long"]),
        ("short entry", ORANGE, "triangle-down", [f for f in here if f.opens and f.side != "long"]),
        ("exit", GREY, "circle-open", [f for f in here if not f.opens]),
    ):
        if chosen:
            figure.add_trace(_marks(name, color, shape, chosen))
    if position is not None and len(bars.time):
        figure.update_layout(margin_r=_LABEL)
        for name, level, color in (
            ("stop", position.stop, ORANGE),
            ("take", position.take, TEAL),
            ("entry", position.entry, GREY),
        ):
            if level > 0.0:
                _level(figure, name, level, color, max(first, position.since), int(bars.time[-1]))
    return figure


def equity_figure(times: Sequence[int], equities: Sequence[float], base: float) -> go.Figure:
    """Draw the account's value over time, with a line at what it began with."""
    figure = go.Figure(layout=_layout(_HEIGHT, "equity"))
    time, equity = np.array(times, np.int64), np.array(equities, np.float64)
    at = thinned(equity)
    figure.add_trace(_curve(time[at], equity[at]))
    figure.add_hline(base, line={"color": SOFT, "width": 1, "dash": "dot"})
    return figure


def run_figure(run: Run) -> go.Figure:
    """Draw a run's equity, and below it how far it lies under its highest value."""
    record = run.record
    length = timeframe_ms(record.data[0].timeframe)
    time = np.concatenate((run.time[:1], run.time + length))  # equity is that of the closes
    equity = np.concatenate(([record.balance], run.equity))
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.05)
    figure.update_layout(_layout(_HEIGHT, record.id), showlegend=False)
    at = thinned(equity)
    figure.add_trace(_curve(time[at], equity[at]), 1, 1)
    figure.add_hline(record.balance, line={"color": SOFT, "width": 1, "dash": "dot"}, row=1, col=1)
    below = drawdown(equity, record.balance)
    at = thinned(below)
    figure.add_trace(
        go.Scatter(
            x=_dates(time[at]),
            y=below[at],
            mode="lines",
            line={"color": ORANGE, "width": 1},
            fill="tozeroy",
            fillcolor="rgba(208, 106, 16, 0.18)",
            hovertemplate="%{y:.2%}<extra>drawdown</extra>",
        ),
        2,
        1,
    )
    figure.update_yaxes(tickformat=_PRICE, row=1, col=1)
    figure.update_yaxes(tickformat=".1%", row=2, col=1)
    return figure


def thinned(values: Floats, most: int = CURVE_POINTS) -> Times:
    """Choose which points of a curve to draw: the first, lowest, highest and last of each stretch.

    >>> thinned(np.array([1.0, 5.0, 2.0, 3.0]), 8)
    array([0, 1, 2, 3])
    """
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most // 4 + 1).astype(np.int64)
    chosen = [
        at
        for begin, end in pairwise(edges)
        for at in (
            begin,
            begin + int(values[begin:end].argmin()),
            begin + int(values[begin:end].argmax()),
            end - 1,
        )
    ]
    return np.unique(np.array(chosen, np.int64))


def _bodies(bars: Bars) -> go.Candlestick | go.Scatter:
    if not bars.whole:
        return _curve(bars.time, bars.close, GREY, "close")
    return go.Candlestick(
        x=_dates(bars.time),
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        name="candles",
        increasing={"line": {"color": SOFT, "width": 1}, "fillcolor": "rgba(0, 0, 0, 0)"},
        decreasing={"line": {"color": GREY, "width": 1}, "fillcolor": GREY},
        showlegend=False,
    )


def _curve(time: Times, values: Floats, color: str = BLUE, name: str = "equity") -> go.Scatter:
    return go.Scatter(
        x=_dates(time),
        y=values,
        mode="lines",
        line={"color": color, "width": 1.5},
        name=name,
        hovertemplate="%{y:,.2f}<extra></extra>",
        showlegend=False,
    )


def _marks(name: str, color: str, shape: str, fills: list[Fill]) -> go.Scatter:
    return go.Scatter(
        x=_dates(np.array([fill.time for fill in fills], np.int64)),
        y=[fill.price for fill in fills],
        mode="markers",
        marker={"color": color, "symbol": shape, "size": 11, "line": {"color": color, "width": 2}},
        text=[f"{fill.leg} {fill.qty:g} at {fill.price:,g}" for fill in fills],
        hovertemplate="%{text}<extra></extra>",
        name=name,
    )


def _level(figure: go.Figure, name: str, level: float, color: str, begin: int, end: int) -> None:
    figure.add_trace(
        go.Scatter(
            x=_dates(np.array([begin, end], np.int64)),
            y=[level, level],
            mode="lines",
            line={"color": color, "width": 1.5, "dash": "dot" if name == "entry" else "solid"},
            hovertemplate=f"{name} %{{y:,.8~f}}<extra></extra>",
            name=name,
            showlegend=False,
        )
    )
    figure.add_annotation(
        x=1.0,
        xref="paper",
        xanchor="left",
        y=level,
        text=f"{name} {level:,.10g}",
        showarrow=False,
        font={"color": color, "size": 12},
    )


def _dates(time: Times) -> NDArray[np.datetime64]:
    # Without a zone Plotly shows a time as it is written: UTC.
    return np.asarray(time, "datetime64[ms]")


def _layout(height: int, of: str) -> go.Layout:
    return go.Layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0.0},
        showlegend=True,
        # A page that refreshes must leave the reader's zoom alone until another symbol is chosen.
        uirevision=of,
        xaxis={
            "rangeslider": {"visible": False},
            "showgrid": False,
            "hoverformat": "%Y-%m-%d %H:%M",
        },
        yaxis={"tickformat": _PRICE},
    )
