"""What the report's charts are drawn from: packed small, and nothing lost that an eye can see."""

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backtest.report import series
from backtest.report.series import Level, aggregated, extremes, packed, series_of
from strategy.candles import Candles
from strategy.timeframes import DAY_MS
from tests.backtest.report_runs import market, report_run
from tests.backtest.script import MINUTE, MONDAY

FIELDS = ("open", "high", "low", "close")


def unpacked(text: str, dtype: Any) -> NDArray[Any]:
    """Read an array as unpack.js does."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(planes.reshape(size, -1).T.tobytes(), dtype)


def candles_in(level: Level) -> dict[str, NDArray[Any]]:
    """Read candles as unpack.js does."""
    steps, gap, above, below, move = (
        unpacked(level.packed, np.int32).reshape(5, -1).astype(np.int64)
    )
    close = np.cumsum(gap + move)
    open_ = close - move
    ticks = {
        "open": open_,
        "high": np.maximum(open_, close) + above,
        "low": np.minimum(open_, close) - below,
        "close": close,
    }
    times = level.first_ms + np.cumsum(steps) * level.step.ms
    return {"open_time": times, **{k: v / 10.0**level.decimals for k, v in ticks.items()}}


@given(st.lists(st.floats(width=64), max_size=50), st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_packing_loses_no_bit(floats: list[float], integers: list[int]) -> None:
    for values in (np.array(floats, np.float64), np.array(integers, np.int32)):
        assert unpacked(packed(values), values.dtype).tobytes() == values.tobytes()


@given(st.integers(0, 10_000), st.integers(0, 8), st.integers(1, 400))
def test_prices_on_a_grid_come_back_exactly(seed: int, decimals: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    paths = 50_000 + rng.integers(-60, 61, (count, 4)).cumsum(axis=0)
    ticks = {
        "open": paths[:, 0],
        "high": paths.max(axis=1),
        "low": paths.min(axis=1),
        "close": paths[:, 3],
    }
    arrays = {name: values / 10.0**decimals for name, values in ticks.items()}
    # Some candles are missing.
    times = MONDAY + np.sort(rng.choice(2 * count, count, replace=False)) * MINUTE
    level = series._level(series._steps("1m")[0], {"open_time": times, **arrays}, None)
    found = candles_in(level)
    assert (found["open_time"] == times).all()
    for name in FIELDS:
        assert (found[name] == arrays[name]).all()


def test_prices_off_every_grid_keep_seven_digits() -> None:
    made = market(3_000).arrays
    arrays = {"open_time": made["open_time"]} | {name: made[name] / 3.7 for name in FIELDS}
    found = candles_in(series._level(series._steps("1m")[0], arrays, None))
    for name in FIELDS:
        assert found[name] == pytest.approx(arrays[name], rel=1e-6)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 40))
def test_thinning_a_curve_keeps_its_ends_and_extremes(values: list[float], buckets: int) -> None:
    curve = np.array(values)
    at = extremes(curve, buckets)
    assert (at[0], at[-1]) == (0, len(curve) - 1)
    assert (np.diff(at) > 0).all()
    assert len(at) <= 4 * buckets
    assert (curve[at].min(), curve[at].max()) == (curve.min(), curve.max())


def test_the_thinned_drawdown_is_as_deep_as_the_figure(tmp_path: Path) -> None:
    run = report_run(tmp_path, [market(20_000, 90)])
    found = series_of(run, None)
    times, depth = unpacked(found.drawdown.packed, np.float64).reshape(2, -1)
    _, equity = unpacked(found.equity.packed, np.float64).reshape(2, -1)
    assert len(times) < 20_000
    assert depth.min() == run.record.figure("max_drawdown").value
    assert (times[0], times[-1]) == (run.time[0], run.time[-1] + MINUTE)
    assert (equity[0], equity[-1]) == (run.record.balance, run.equity[-1])


def test_buy_and_hold_begins_at_the_balance_and_ends_at_its_figure(tmp_path: Path) -> None:
    candles = [market(20_000, 90), market(20_000, 70, seed=2, symbol="OTHERUSDT")]
    run = report_run(tmp_path, candles)
    found = series_of(run, candles)
    assert found.hold is not None
    times, worth = unpacked(found.hold.packed, np.float64).reshape(2, -1)
    held = run.record.figure("hold_return").value
    assert held is not None
    assert worth[0] == run.record.balance
    assert worth[-1] == pytest.approx(run.record.balance * (1.0 + held), rel=1e-12)
    assert (times[0], times[-1]) == (run.time[0], run.time[-1] + MINUTE)
    assert series_of(run, None).hold is None
    ends, returns = unpacked(found.days.packed, np.float64).reshape(2, -1)
    assert returns.max() == run.record.figure("best_day").value
    assert (np.diff(ends) == DAY_MS).all()
    assert ends[-1] % DAY_MS == 0


@pytest.mark.parametrize("name", ["5m", "4h", "1d", "1w"])
def test_bars_of_the_overview_equal_those_of_a_plain_loop(name: str) -> None:
    made = market(15_000).arrays
    arrays = {key: np.delete(made[key], slice(700, 990)) for key in ("open_time", *FIELDS)}
    step = next(step for step in series._steps("1m") if step.name == name)
    windows: dict[int, list[int]] = {}
    for i, time in enumerate(arrays["open_time"].tolist()):
        opens = (time - step.offset_ms) // step.ms * step.ms + step.offset_ms
        windows.setdefault(opens, []).append(i)
    found = aggregated(arrays, step)
    assert found["open_time"].tolist() == list(windows)
    for at, inside in enumerate(windows.values()):
        assert found["open"][at] == arrays["open"][inside[0]]
        assert found["high"][at] == max(arrays["high"][inside])
        assert found["low"][at] == min(arrays["low"][inside])
        assert found["close"][at] == arrays["close"][inside[-1]]


def test_all_candles_go_along_where_they_are_few(tmp_path: Path) -> None:
    candles = market(5_000, 90)
    chart = series_of(report_run(tmp_path, [candles]), [candles]).charts[0]
    [level] = chart.levels
    assert level.windows is None
    assert (candles_in(level)["close"] == candles.arrays["close"]).all()


def inside(windows: list[tuple[int, int]], begin: int, end: int) -> bool:
    return any(a <= begin and end <= b for a, b in windows)


@pytest.mark.parametrize("distance", [40.0, 2_000.0])
def test_of_many_candles_those_around_every_trade_go_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distance: float
) -> None:
    monkeypatch.setattr(series, "WHOLE_CANDLES", 1_000)
    candles = [
        market(30_000, 1_000, distance=distance),
        market(30_000, 1_700, seed=2, symbol="OTHERUSDT", distance=distance),
    ]
    run = report_run(tmp_path, candles)
    found = series_of(run, candles)
    columns = unpacked(found.trades, np.float64).reshape(len(found.trade_columns), -1)
    trades = dict(zip(found.trade_columns, columns, strict=True))
    assert len(trades["symbol"]) == run.trades.num_rows > 10
    room = series.VIEW_ROOM * MINUTE
    for symbol, entry, exit_, begin, end in zip(
        *(trades[name] for name in ("symbol", "entry_time", "exit_time", "view_from", "view_to")),
        strict=True,
    ):
        base = found.charts[int(symbol)].levels[0]
        assert base.windows is not None
        for moment in (entry, exit_):
            assert inside(base.windows, moment - room, moment + room)
        if end - begin <= series.VIEW_BARS * MINUTE:
            assert inside(base.windows, begin, end)
        else:
            assert distance > 1_000
    for chart, its in zip(found.charts, candles, strict=True):
        check_levels(chart.levels, its)


def check_levels(levels: list[Level], candles: Candles) -> None:
    base, overview = levels
    assert base.windows is not None
    times = candles.arrays["open_time"]
    wanted = np.array([inside(base.windows, int(t), int(t) + 1) for t in times])
    assert (candles_in(base)["open_time"] == times[wanted]).all()
    assert (candles_in(base)["close"] == candles.arrays["close"][wanted]).all()
    shown = candles_in(overview)
    assert len(shown["open_time"]) <= series.OVERVIEW_BARS
    assert shown["high"].max() == candles.arrays["high"].max()
    assert shown["low"].min() == candles.arrays["low"].min()
