"""What the report's charts are drawn from, packed small.

A year of minutes must be there candle by candle for whoever looks at a trade, in a file that can
be mailed. Prices go as whole ticks and as differences, which are small and often zero; their bytes
are laid out in planes and deflated. `charts.js` reads them back.
"""

import base64
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.run_record import hold_value
from data.runs import Run
from strategy.candles import Candles
from strategy.metrics import by_day, day_ends, drawdown, rolling
from strategy.timeframes import timeframe_ms, timeframe_offset_ms

TIMEFRAMES = (
    "100ms", "1s", "5s", "15s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h",
    "1d", "3d", "1w",
)  # fmt: skip
OVERVIEW_BARS = 2_000
# A trade is shown at the base timeframe with room around it, unless that would be too many candles.
VIEW_BARS = 1_500
VIEW_ROOM = 40
# All candles go along up to here (about 5 bytes each in the file), else only those around trades.
WHOLE_CANDLES = 1_500_000
CURVE_BUCKETS = 800

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class Step(msgspec.Struct, frozen=True):
    """A timeframe that the chart may draw."""

    name: str
    ms: int
    offset_ms: int


class Level(msgspec.Struct, frozen=True):
    """Candles at one timeframe; windows are the spans they cover, or nothing for all."""

    step: Step
    first_ms: int
    decimals: int
    packed: str
    windows: list[tuple[int, int]] | None


class Chart(msgspec.Struct, frozen=True):
    """The candles of one symbol, finest level first."""

    first_ms: int
    end_ms: int
    levels: list[Level]


class Curve(msgspec.Struct, frozen=True):
    """A line: its times and values as one packed array."""

    packed: str


class Series(msgspec.Struct, frozen=True):
    """All that the page's script reads."""

    timeframe_ms: int
    view_bars: int
    view_room: int
    symbols: list[str]
    reasons: list[str]
    trade_columns: list[str]
    trades: str
    steps: list[Step]
    charts: list[Chart]
    equity: Curve
    drawdown: Curve
    hold: Curve | None
    days: Curve
    rolling_sharpe: Curve
    rolling_volatility: Curve
    more: Any


class _Trades(NamedTuple):
    symbol: NDArray[np.int64]
    view_from: Times
    view_to: Times


def series_of(run: Run, candles: Sequence[Candles] | None, more: Any = None) -> Series:
    """Pack a run's curves, trades and candles, and what another page draws beside them."""
    record = run.record
    length = timeframe_ms(record.data[0].timeframe)
    symbols = [data.symbol for data in record.data]
    reasons = list(record.exits)
    columns = _trade_columns(run, symbols, reasons, length)
    trades = _Trades(
        columns["symbol"].astype(np.int64),
        columns["view_from"].astype(np.int64),
        columns["view_to"].astype(np.int64),
    )
    charts = [] if candles is None else _charts(candles, trades)
    closes = np.concatenate((run.time[:1], run.time + length))
    equity = np.concatenate(([record.balance], run.equity))
    hold = None
    if candles is not None:
        hold = _curve(closes, record.balance * hold_value(candles, int(run.time[0]), closes))
    days = by_day(run.time, run.equity, record.balance, length)
    ends = day_ends(run.time, length)
    sharpe, volatility = rolling(days.returns)
    return Series(
        timeframe_ms=length,
        view_bars=VIEW_BARS,
        view_room=VIEW_ROOM,
        symbols=symbols,
        reasons=reasons,
        trade_columns=list(columns),
        trades=packed(np.array(list(columns.values()), np.float64)),
        steps=_steps(record.data[0].timeframe),
        charts=charts,
        equity=_curve(closes, equity),
        drawdown=_curve(closes, drawdown(equity, record.balance)),
        hold=hold,
        days=_points(ends, days.returns),
        rolling_sharpe=_points(ends, sharpe),
        rolling_volatility=_points(ends, volatility),
        more=more,
    )


def packed(values: NDArray[Any]) -> str:
    """Pack an array: its bytes in planes, all first bytes, all second bytes, ..., deflated."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    planes = little.reshape(-1).view(np.uint8).reshape(-1, values.dtype.itemsize).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")


def extremes(values: Floats, buckets: int) -> NDArray[np.int64]:
    """Return positions that keep each bucket's first, lowest, highest and last value.

    >>> extremes(np.array([3.0, 9.0, 1.0, 4.0, 4.0, 4.0, 4.0, 5.0]), 2).tolist()
    [0, 1, 2, 3, 4, 7]
    """
    n = len(values)
    size = -(-n // buckets)
    if size <= 1:
        return np.arange(n)
    rows = -(-n // size)
    whole = np.concatenate((values, np.full(rows * size - n, values[-1]))).reshape(rows, size)
    begins = np.arange(rows) * size
    kept = (begins, begins + whole.argmin(1), begins + whole.argmax(1), begins + size - 1)
    return np.unique(np.minimum(np.concatenate(kept), n - 1))


def _curve(times: Times, values: Floats) -> Curve:
    at = extremes(values, CURVE_BUCKETS)
    return _points(times[at], values[at])


def _points(times: Times, values: Floats) -> Curve:
    return Curve(packed(np.array([times.astype(np.float64), values])))


def _trade_columns(run: Run, symbols: list[str], reasons: list[str], length: int) -> dict[str, Any]:
    table = run.trades
    ms = {name: table[name].cast("int64").to_numpy() for name in ("entry_time", "exit_time")}
    plain = "entry_price exit_price qty stop take net fees r mae mfe bars ambiguous".split()
    column = {name: table[name].to_numpy().astype(np.float64) for name in plain}
    # Runs of before there was funding have no column for it.
    none = np.zeros(len(table))
    column["funding"] = table["funding"].to_numpy() if "funding" in table.column_names else none
    # From what runs had before they had the excursions in R as columns.
    in_r = column["qty"] * column["entry_price"] / table["risked"].to_numpy()
    held = ms["exit_time"] - ms["entry_time"]
    room = np.maximum(VIEW_ROOM * length, held // 4)
    return {
        "symbol": positions(table["symbol"].to_pylist(), symbols),
        "side": np.where(np.asarray(table["side"].to_pylist(), object) == "long", 1.0, -1.0),
        "reason": positions(table["exit_reason"].to_pylist(), reasons),
        **ms,
        **column,
        "mae_r": column["mae"] * in_r,
        "mfe_r": column["mfe"] * in_r,
        "view_from": ms["entry_time"] - room,
        "view_to": ms["exit_time"] + room,
    }


def positions(names: list[str], known: list[str]) -> NDArray[np.int64]:
    """Return where each name stands among those known."""
    where = {name: at for at, name in enumerate(known)}
    return np.array([where[name] for name in names], np.int64)


def _steps(base: str) -> list[Step]:
    length, shift = timeframe_ms(base), timeframe_offset_ms(base)
    fitting = [
        name
        for name in TIMEFRAMES
        if timeframe_ms(name) > length
        and timeframe_ms(name) % length == 0
        and (timeframe_offset_ms(name) - shift) % length == 0
    ]
    return [Step(name, timeframe_ms(name), timeframe_offset_ms(name)) for name in [base, *fitting]]


def _charts(candles: Sequence[Candles], trades: _Trades) -> list[Chart]:
    whole = sum(len(one.arrays["open_time"]) for one in candles) <= WHOLE_CANDLES
    charts = []
    for at, one in enumerate(candles):
        times = one.arrays["open_time"]
        steps = _steps(one.timeframe)
        if whole:
            levels = [_level(steps[0], one.arrays, None)]
        else:
            mine = trades.symbol == at
            windows = _windows(trades.view_from[mine], trades.view_to[mine], one.timeframe_ms)
            overview = _overview_step(steps, int(times[-1] - times[0]))
            levels = [
                _level(steps[0], _inside(one.arrays, windows), windows),
                _level(overview, aggregated(one.arrays, overview), None),
            ]
        charts.append(Chart(int(times[0]), int(times[-1]) + one.timeframe_ms, levels))
    return charts


def _windows(begins: Times, ends: Times, length: int) -> list[tuple[int, int]]:
    # A trade too long to be shown candle by candle keeps the surroundings of its entry and exit.
    long = ends - begins > VIEW_BARS * length
    part = VIEW_BARS // 4 * length
    spans = [*zip(begins[~long].tolist(), ends[~long].tolist(), strict=True)]
    for begin, end in zip(begins[long].tolist(), ends[long].tolist(), strict=True):
        room = (end - begin) // 6  # of what is shown, two thirds are the trade
        spans += [
            (begin + room - part, begin + room + part),
            (end - room - part, end - room + part),
        ]
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _inside(arrays: dict[str, NDArray[Any]], windows: list[tuple[int, int]]) -> dict[str, Any]:
    edges = np.array(windows, np.int64).reshape(-1)
    # An odd number of edges behind a candle means that it lies inside a window.
    inside = np.searchsorted(edges, arrays["open_time"], side="right") % 2 == 1
    return {name: array[inside] for name, array in arrays.items()}


def _overview_step(steps: list[Step], span_ms: int) -> Step:
    fitting = (step for step in steps if span_ms // step.ms + 2 <= OVERVIEW_BARS)
    return next(fitting, steps[-1])


def aggregated(arrays: dict[str, NDArray[Any]], step: Step) -> dict[str, NDArray[Any]]:
    """Build the bars of a higher timeframe for drawing; also the unfinished ones at both ends."""
    opens = (arrays["open_time"] - step.offset_ms) // step.ms * step.ms + step.offset_ms
    first = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    last = np.append(first[1:], len(opens)) - 1
    return {
        "open_time": opens[first],
        "open": arrays["open"][first],
        "high": np.maximum.reduceat(arrays["high"], first),
        "low": np.minimum.reduceat(arrays["low"], first),
        "close": arrays["close"][last],
    }


def _level(
    step: Step, arrays: dict[str, NDArray[Any]], windows: list[tuple[int, int]] | None
) -> Level:
    times = arrays["open_time"]
    prices = [arrays[name] for name in ("open", "high", "low", "close")]
    if len(times) == 0:
        return Level(step, 0, 0, packed(np.empty((5, 0), np.int32)), windows)
    decimals = _decimals(prices)
    o, h, l, c = (np.rint(price * 10.0**decimals).astype(np.int64) for price in prices)  # noqa: E741
    before = np.concatenate(([0], c[:-1]))
    parts = (
        np.diff(times, prepend=times[0]) // step.ms,
        o - before,
        h - np.maximum(o, c),
        np.minimum(o, c) - l,
        c - o,
    )
    return Level(step, int(times[0]), decimals, packed(np.array(parts, np.int32)), windows)


def _decimals(prices: list[Floats]) -> int:
    # As many as the prices have, if those of an exchange; else seven digits, which no eye tells
    # from the full ones. A price in ticks has to stay below 2^31.
    highest = max(float(price.max()) for price in prices)
    most = int(np.floor(np.log10(2e9 / highest)))
    for decimals in range(max(0, min(8, most)) + 1):
        ticks = (price * 10.0**decimals for price in prices)
        if all(np.abs(tick - np.rint(tick)).max() < 1e-4 for tick in ticks):
            return decimals
    return min(most, 6 - int(np.floor(np.log10(highest))))
