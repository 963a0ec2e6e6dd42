"""The charts, looked at as data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.figures import candles_figure, equity_figure, run_figure, thinned
from dashboard.load import Bars
from dashboard.view import View, view
from tests.backtest.report_runs import market, report_run
from tests.dashboard.made_session import MINUTE, NOON, session, story


@pytest.fixture(scope="module")
def told() -> tuple[View, Bars]:
    records, candles = story(400)
    rows = candles["BTCUSDT"]
    time = NOON + MINUTE * np.arange(len(rows))
    return view(session(), records, []), Bars(
        time, rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], True
    )


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def made_bars(time: Any, close: Any, *, whole: bool = True) -> Bars:
    return Bars(time, close, close, close, close, whole)


def test_the_chart_has_candles_fills_and_the_levels_of_the_open_position(
    told: tuple[View, Bars],
) -> None:
    seen, bars = told
    position = seen.position_of("BTCUSDT")
    assert position is not None
    figure = candles_figure(bars, seen.fills, position, "BTCUSDT")
    found = traces(figure)
    assert set(found) == {"candles", "long entry", "short entry", "exit", "stop", "take", "entry"}
    assert (found["candles"].close == bars.close).all()
    assert list(found["stop"].y) == [position.stop] * 2
    assert list(found["take"].y) == [position.take] * 2
    assert found["stop"].x[0] == np.datetime64(position.since, "ms")
    fills = [one for one in seen.fills if one.symbol == "BTCUSDT"]
    assert len(found["long entry"].y) == sum(one.opens and one.side == "long" for one in fills)
    assert len(found["exit"].y) == sum(not one.opens for one in fills)
    texts = [note.text for note in figure.layout.annotations]
    assert f"stop {position.stop:,.10g}" in texts


def test_fills_before_the_first_candle_are_not_drawn(told: tuple[View, Bars]) -> None:
    seen, bars = told
    late = made_bars(bars.time[-60:], bars.close[-60:])
    found = traces(candles_figure(late, seen.fills, None, "BTCUSDT"))
    assert set(found) == {"candles"}


def test_where_only_closes_are_known_they_are_a_line(told: tuple[View, Bars]) -> None:
    _, bars = told
    closes = made_bars(bars.time, bars.close, whole=False)
    found = traces(candles_figure(closes, (), None, "BTCUSDT"))
    assert set(found) == {"close"}


def test_a_chart_without_a_candle_is_no_error() -> None:
    empty = made_bars(np.array([], np.int64), np.array([], np.float64))
    assert candles_figure(empty, (), None, "BTCUSDT").layout.uirevision == "BTCUSDT"


def test_times_are_drawn_as_utc() -> None:
    figure = equity_figure((NOON, NOON + MINUTE), (1.0, 2.0), 1.0)
    assert str(figure.data[0].x[0]) == "2025-05-01T12:00:00.000"


def test_the_runs_curve_begins_with_the_balance_and_ends_at_the_last_close(
    tmp_path: Path,
) -> None:
    run = report_run(tmp_path, [market(3_000, 90)])
    curve, below = run_figure(run).data
    assert curve.y[0] == run.record.balance
    assert curve.y[-1] == run.equity[-1]
    assert curve.x[-1] == np.datetime64(int(run.time[-1]) + MINUTE, "ms")
    assert below.y.max() <= 0.0


def test_a_long_curve_is_thinned_and_keeps_its_extremes() -> None:
    values = np.cumsum(np.random.default_rng(1).normal(size=500_000))
    at = thinned(values)
    assert len(at) <= 2_000
    assert (np.diff(at) > 0).all()
    assert (values[at].min(), values[at].max()) == (values.min(), values.max())
    assert (at[0], at[-1]) == (0, len(values) - 1)
