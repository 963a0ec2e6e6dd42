"""The maps of a sweep as a reader has them: drawn, chosen, and honest about what has no value."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from backtest.sweeps.grid import Grid, parse_grid
from backtest.sweeps.heatmap import LOSS, NONE, write_sweep_report
from backtest.sweeps.ranking import summarize
from data.run_json import AxisRecord, SweepRecord
from data.runs import Run
from tests.browser.report_page import Opener

AXES = parse_grid(["rsi=5:9:1,stop=1|2|4,take=2|4"], {"rsi": 5, "stop": 1.0, "take": 2.0})


def rows() -> list[pa.Table]:
    grid = Grid(AXES)
    values = grid.values(np.arange(30))
    sharpe = values[:, 0] - 7.0 + 0.1 * values[:, 2]
    trades = np.where(values[:, 1] == 4.0, 5.0, 40.0)
    sharpe[trades < 10] = math.nan
    return [
        pa.table({
            "combination": np.arange(30), "rsi": values[:, 0].astype(int), "stop": values[:, 1],
            "take": values[:, 2], "sharpe": sharpe, "total_return": sharpe / 100,
            "trades": trades, "note": [""] * 30,
        })
    ]  # fmt: skip


@pytest.fixture(scope="module")
def maps(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    grid = Grid(AXES)
    summary = summarize(rows, grid, "sharpe", 20)
    sweep = SweepRecord(
        objective="sharpe", axes=[AxisRecord(one.name, one.values.tolist()) for one in AXES],
        where=None, drawn=None, combinations=30, left_out=0, few_trades=10, without={}, number=19,
        best=summary.best, method=[],
    )  # fmt: skip
    record = msgspec.structs.replace(run.record, sweep=sweep, notes=["<b>bold</b>"])
    path = tmp_path_factory.mktemp("maps") / "report.html"
    return write_sweep_report(record, rows, grid, summary, path)


def drawn(page: Page, name: str) -> dict[str, Any]:
    found: dict[str, Any] = page.locator(f'[data-map="{name}"]').evaluate(
        """plot => ({
            z: plot.data[0].z, none: plot.data[1].z,
            low: plot.data[0].zmin, high: plot.data[0].zmax,
            scale: plot._fullData[0].colorscale, missing: plot._fullData[1].colorscale,
            hover: plot.data[0].customdata, x: plot.data[0].x, y: plot.data[0].y,
        })"""
    )
    return found


def test_every_two_axes_have_a_map(maps: Path, opened: Opener) -> None:
    page = opened(maps)
    names = [page.locator(".maps .chart").nth(at).get_attribute("data-map") for at in range(3)]
    assert names == ["stop,rsi", "take,rsi", "take,stop"]
    for name in names:  # what has no value is drawn by an image of its own
        images = page.locator(f'[data-map="{name}"] .heatmaplayer image')
        expect(images).to_have_count(1 if name == "take,rsi" else 2)
    found = drawn(page, "take,rsi")
    assert (found["x"], found["y"]) == (["2", "4"], ["5", "6", "7", "8", "9"])
    assert found["z"] == [
        [pytest.approx(rsi - 7 + 0.1 * take) for take in (2, 4)] for rsi in range(5, 10)
    ]


def test_what_has_no_value_is_neither_zero_nor_a_loss(maps: Path, opened: Opener) -> None:
    found = drawn(opened(maps), "stop,rsi")
    assert [line[2] for line in found["z"]] == [None] * 5
    assert found["none"] == [[None, None, 1]] * 5
    assert "no value" in found["hover"][0][2]
    assert "20" not in found["hover"][0][2]
    assert found["low"] == -found["high"]
    assert found["scale"][0] == [0, LOSS]
    assert found["missing"][0] == [0, NONE]
    assert NONE not in [color for _, color in found["scale"]]
    assert found["hover"][4][0] == (
        "rsi 9<br>stop 1<br>Sharpe: median 2.30, best 2.40<br>2 with a value"
    )


def test_the_selectors_choose_figure_and_statistic(maps: Path, opened: Opener) -> None:
    page = opened(maps)
    assert page.locator("#figure option").all_inner_texts() == ["Sharpe", "total return", "trades"]
    page.select_option("#statistic", "best")
    assert drawn(page, "stop,rsi")["z"][4][0] == pytest.approx(2.4)
    page.select_option("#figure", "total_return")
    assert drawn(page, "stop,rsi")["z"][4][0] == pytest.approx(0.024)
    assert "total return: median 2.3%, best 2.4%" in drawn(page, "stop,rsi")["hover"][4][0]
    page.select_option("#figure", "trades")
    assert drawn(page, "stop,rsi")["z"][0] == [40, 40, 5]


def test_the_best_rows_come_first_and_few_trades_are_marked(maps: Path, opened: Opener) -> None:
    page = opened(maps)
    lines = page.locator(".top tbody tr").all_inner_texts()
    assert len(lines) == 20
    assert lines[0].split("\t")[:5] == ["1", "9", "1", "4", "2.40"]
    assert "few trades" not in lines[19]
    assert page.locator("header").inner_text().count("fewer than 10 trades: 10") == 1
    assert "<b>bold</b>" in page.locator(".notes").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_maps_are_drawn_on_either_background(maps: Path, opened: Opener, scheme: str) -> None:
    page = opened(maps)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 420, "height": 900})
    chart = page.locator(".maps .chart").first
    box = chart.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 420
    expect(chart.locator(".main-svg").first).to_be_visible()
