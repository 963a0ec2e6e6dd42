"""`backtest.sweep` gives what `wick sweep` gives, as tables and figures of Plotly."""

import importlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from backtest import Run, Sweep, backtest, inputs, sweep
from backtest.sweeps import ranking, running, storage
from backtest.sweeps.grid import Grid, parse_grid
from backtest.sweeps.ranking import summarize
from data import runs as run_folders
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.slippage import Spread

GRID = {"channel": [24, 48], "stop": [2.0, 3.0, 4.0], "risk.trail": [0, 2]}


@pytest.fixture(scope="module")
def market() -> Candles:
    return synthetic_market(seed=7, minutes=20_000, start_ms=1_672_531_200_000)


@pytest.fixture(scope="module")
def found(market: Candles, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return sweep("breakout_donchian", market, GRID, runs=tmp_path_factory.mktemp("runs"))


def test_the_function_stays_what_it_is_when_the_engine_is_imported() -> None:
    importlib.import_module("backtest.sweeps.engine")
    package = importlib.import_module("backtest")
    assert package.sweep is sweep
    assert callable(sweep)


def test_each_row_has_its_combination_in_the_order_of_the_grid(found: Sweep) -> None:
    table = found.table
    assert list(table.index) == list(range(12))
    assert table["channel"].tolist() == [24] * 6 + [48] * 6
    assert table["stop"].tolist() == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0] * 2
    assert table["risk.trail"].tolist() == [0.0, 2.0] * 6
    assert set(table["note"]) == {""}


@pytest.mark.parametrize("objective", ["sharpe", "max_drawdown", "volatility"])
def test_the_best_row_is_the_first_of_the_top_and_runs_to_its_figures(
    found: Sweep, objective: str
) -> None:
    best, top = found.best(objective), found.top(12, objective)
    assert best.name == top.index[0]
    values = top[objective] if objective != "volatility" else -top[objective]
    assert values.is_monotonic_decreasing
    alone = found.run(int(top.index[0]))
    assert alone.figures.loc[objective, "value"] == best[objective]
    assert alone.risk["trail"] == best["risk.trail"]


def test_a_map_is_the_median_or_the_best_over_the_other_axes(found: Sweep) -> None:
    grouped = found.table.groupby(["channel", "stop"])["total_return"]
    for best, wanted in ((False, grouped.median()), (True, grouped.max())):
        drawn: Any = found.heatmap("stop", "channel", "total_return", best=best)
        assert drawn.data[0].z.tolist() == wanted.unstack().to_numpy().tolist()
        assert list(drawn.data[0].x) == ["2", "3", "4"]
        assert drawn.data[0].zmin == -drawn.data[0].zmax


def test_a_saved_sweep_is_a_run_with_its_rows(found: Sweep) -> None:
    assert found.folder is None
    folder = found.save().folder
    assert folder is not None
    assert found.save().folder == folder
    kept = Run.load(folder)
    assert kept.record.sweep is not None
    assert kept.record.sweep.combinations == 12
    assert kept.params["channel"] == found.best()["channel"]
    rows = pa.concat_tables(list(storage.Parts(folder).rows()))
    assert rows["sharpe"].to_pylist() == found.table["sharpe"].tolist()
    assert (folder / "report.html").is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_wrong_names_are_answered(found: Sweep, market: Candles) -> None:
    for call, said in (
        (lambda: found.heatmap("stop", "chanel"), "'chanel', which is no axis"),
        (lambda: found.best("sharp"), "unknown --objective 'sharp'"),
        (lambda: found.run(12), "no combination 12"),
        (lambda: sweep("breakout_donchian", market, {"chanel": [1]}), "names 'chanel'"),
        (lambda: sweep("breakout_donchian", market, {"channel": ["a"]}), "expected numbers"),
        (lambda: sweep("breakout_donchian", market), "no --grid is given"),
    ):
        with pytest.raises(WickError, match=said):
            call()


def test_half_spreads_are_read_where_only_an_axis_needs_them(
    market: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = market.arrays["open_time"]
    known = Spread(times[::60].copy(), np.full(len(times[::60]), 0.001))
    monkeypatch.setattr(inputs, "spread_of_store", lambda store, candles: known)
    found = sweep("breakout_donchian", market, {"costs.spread": [0, 1]})
    without, with_spread = found.table["total_return"]
    assert with_spread < without
    for at in (0, 1):
        alone = found.run(at).figures.loc["total_return", "value"]
        assert alone == found.table["total_return"][at]
    plain = backtest("breakout_donchian", market).figures.loc["total_return", "value"]
    assert plain == without


def test_settings_that_never_go_together_are_refused_as_a_run_refuses_them(market: Candles) -> None:
    with pytest.raises(WickError, match=r"risk.leverage is 2.0, less than risk.max_leverage"):
        sweep("breakout_donchian", market, {"risk.leverage": [2.0]})


def test_a_sweep_without_any_result_is_not_kept(market: Candles, tmp_path: Path) -> None:
    ruin = {"risk.max_leverage": 20.0, "risk.leverage": 20.0, "risk.per_trade": 0.5}
    grid = {"costs.fee_rate": [0.09], **{name: [value] for name, value in ruin.items()}}
    none = sweep("breakout_donchian", market, grid, runs=tmp_path)
    assert none.table["note"].tolist() == ["the balance was used up"]
    with pytest.raises(RunRefused, match="none of 1 combination has a result"):
        none.save()
    assert run_folders.records(tmp_path).records == []


class _Table:
    """What a cheap engine answers."""

    def __init__(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        self.figures = {"sharpe": values.sum(axis=1), "trades": np.full(len(values), 50.0)}
        self.note = np.zeros(len(values), np.int8)


def test_memory_does_not_grow_with_the_combinations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "evaluate", lambda plan, values, **_: _Table(values))
    (tmp_path / "results").mkdir()
    parts = storage.Parts(tmp_path)
    known = {"rsi": 1.0, "stop": 1.0}

    def peak(last: int) -> int:
        grid = Grid(parse_grid([f"rsi=1:{last}:1,stop=1:400:1"], known))
        tracemalloc.start()
        for at, table in made(grid):
            parts.write(at, table)
        found = summarize(parts.rows, grid, "sharpe", 5)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.rows == last * 400
        assert found.top["combination"].to_pylist()[0] == last * 400 - 1
        return size

    def made(grid: Grid) -> Iterator[tuple[int, pa.Table]]:
        wanted = range(-(-grid.places // 4_096))
        plan: Any = None
        return running.parts_of(plan, grid, 4_096, wanted, (), running.one_by_one(1, 1))

    monkeypatch.setattr(ranking, "MOST_SAMPLED", 10_000)
    few, many = peak(50), peak(500)
    assert many < 1.5 * few
