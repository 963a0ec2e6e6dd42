"""An indicator drawn over candles: one HTML file that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from data import store
from data.disk import write_page
from data.find import select
from data.synthetic import synthetic_market
from research.indicator_list import Indicator
from strategy.candles import FIELDS, OPTIONAL_FIELDS, Candles
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import timeframe_ms

SEED, MADE_START_MS = 1, 1_672_531_200_000  # 2023-01-01
READ, DRAWN = 20_000, 500  # candles
LENGTH = 20  # where an indicator has no default
COLORS = ("#2f80d8", "#d06a10", "#1f9e89", "#9059c8", "#c2447a")
PRICES = ("open", "high", "low", "close")
UP, DOWN = "#6aa58c", "#d08b80"

Lines = dict[str, NDArray[np.float64]]


def plot(
    one: Indicator,
    chosen: Mapping[str, str],
    symbol: str | None,
    folder: Path,
    output: Path | None,
) -> str:
    """Draw an indicator over the newest candles of the store, or over made-up ones.

    Parameters
    ----------
    chosen : mapping
        Values of --set by name: a number, or for an input the name of a candle's field.
    symbol : str or None
        None for the only one stored; where nothing is stored, for the synthetic market.

    Returns
    -------
    str
        A sentence that says what was drawn and where it is.

    Raises
    ------
    WickError
        A name or value of `chosen` does not fit, or the symbol is not stored.
    RunRefused
        The file cannot be written.
    """
    arguments = arguments_of(one, chosen)
    made_up = symbol is None and not store.series(folder)
    candles = (
        synthetic_market(SEED, READ, MADE_START_MS) if made_up else newest_candles(folder, symbol)
    )
    path = output or Path(f"{one.name}.html")
    lines = lines_of(one, arguments, candles)
    over = [n for n, on in zip(lines, on_price_scale(one, arguments, candles), strict=True) if on]
    said = ", ".join(v if n == v or n == "x" else f"{n}={v}" for n, v in arguments.items())
    title = f"{one.name}({said}), {candles.symbol} {candles.market} {candles.timeframe}"
    if made_up:
        title += ", made-up prices"
    shown = candles.slice(max(len(candles) - DRAWN, 0), len(candles))
    figure = figure_of(title, shown, {n: v[-DRAWN:] for n, v in lines.items()}, over)
    text = figure.to_html(default_height="96vh", config={"responsive": True})
    write_page(path, text, "plot")
    return f"{title}: {path}"


def newest_candles(folder: Path, symbol: str | None) -> Candles:
    """Read the newest candles of a symbol in its shortest timeframe, futures before spot."""
    stored = select(folder, None if symbol is None else [symbol], None, None)
    names = sorted({one.series.symbol for one in stored})
    if len(names) > 1:
        raise WickError(
            f"{len(names)} symbols are stored, which is meant?", f"add --symbol {names[0]}"
        )
    market = "um" if any(one.series.market == "um" for one in stored) else "spot"
    fitting = [one for one in stored if one.series.market == market]
    found = min(fitting, key=lambda one: timeframe_ms(one.series.timeframe))
    timeframe = found.series.timeframe
    start_ms = found.last_open_time - READ * timeframe_ms(timeframe)
    return store.load(folder, market, names[0], timeframe, start_ms)


def arguments_of(one: Indicator, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Say what each parameter is given: a field of the candles, or a number."""
    known = [*one.inputs, *one.numbers]
    for name in chosen:
        if name not in known:
            raise WickError(f"{one.name} has no {name!r} to set", did_you_mean(name, known))
    arguments: dict[str, Any] = {}
    for name in one.inputs:
        given = _value(chosen.get(name, "close" if name == "x" else name))
        if isinstance(given, str) and given not in FIELDS + OPTIONAL_FIELDS:
            raise WickError(
                f"{one.name}: {name} is {given!r}, expected a field of the candles",
                f"--set {name}=close; {did_you_mean(given, FIELDS + OPTIONAL_FIELDS)}",
            )
        arguments[name] = given
    for name, default in one.numbers.items():
        text = chosen.get(name)
        arguments[name] = (LENGTH if default is None else default) if text is None else _value(text)
    return arguments


def lines_of(one: Indicator, arguments: Mapping[str, Any], candles: Candles) -> Lines:
    """Compute each output; conditions become 0 and 1."""
    given = dict(arguments) | dict.fromkeys(one.candles, candles)
    for name in one.inputs:
        if isinstance(arguments[name], str):
            given[name] = getattr(candles, arguments[name])
    found = one.function(**given)
    columns = found if one.outputs else (found,)
    names = one.outputs or (one.name,)
    return {n: column.values.astype(float) for n, column in zip(names, columns, strict=True)}


def on_price_scale(
    one: Indicator, arguments: Mapping[str, Any], candles: Candles
) -> Sequence[bool]:
    """Say for each output whether it belongs over the candles: whether it rises by as much as all
    prices do."""
    by = float(candles.arrays["close"][0])
    arrays = {n: v + by if n in PRICES else v for n, v in candles.arrays.items()}
    higher = Candles(candles.symbol, candles.market, candles.timeframe, arrays)
    pairs = zip(
        lines_of(one, arguments, candles).values(),
        lines_of(one, arguments, higher).values(),
        strict=True,
    )
    return [bool(np.nanmean(np.abs(b - a - by) < 1e-6 * by) > 0.9) for a, b in _warm(pairs)]


def _warm(pairs: Any) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    both = [(a, b, np.isfinite(a) & np.isfinite(b)) for a, b in pairs]
    return [(a[warm], b[warm]) if warm.any() else (np.zeros(1), np.zeros(1)) for a, b, warm in both]


def figure_of(title: str, candles: Candles, lines: Lines, over: Sequence[str]) -> go.Figure:
    """Draw candles with the lines `over` them, and the others in a pane below."""
    panes = 1 if len(over) == len(lines) else 2
    heights = [0.65, 0.35] if panes == 2 else [1.0]
    figure = make_subplots(panes, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.04)
    time = candles.open_time.astype("datetime64[ms]")
    prices = {name: candles.arrays[name] for name in PRICES}
    figure.add_trace(
        go.Candlestick(
            x=time, **prices, name=candles.symbol,
            increasing={"line": {"color": UP, "width": 1}, "fillcolor": UP},
            decreasing={"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN},
        ), 1, 1,
    )  # fmt: skip
    for at, (name, values) in enumerate(lines.items()):
        line = {"color": COLORS[at % len(COLORS)], "width": 1.5}
        row = 1 if name in over else 2
        figure.add_trace(go.Scatter(x=time, y=values, name=name, line=line, mode="lines"), row, 1)
    figure.update_layout(
        title=title, template="plotly_white", hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        margin={"l": 60, "r": 30, "t": 80, "b": 40},
    )  # fmt: skip
    figure.update_xaxes(rangeslider_visible=False)
    figure.update_xaxes(title_text="UTC", row=panes, col=1)
    figure.update_yaxes(tickformat=",~f", title_text="price", row=1, col=1)
    return figure


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
