"""The report's small charts: distributions, excursions, rolling ratios."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from backtest.report import write_report
from data.runs import Run
from strategy.candles import Candles
from strategy.metrics import daily_returns, rolling
from tests.backtest.report_runs import market, report_run
from tests.backtest.script import MINUTE
from tests.browser.report_page import (
    Opener,
)


def bars_of(page: Page, name: str) -> dict[str, list[float]]:
    """Return a histogram's bars as Plotly holds them."""
    found: dict[str, list[float]] = page.evaluate(
        """(name) => {
            const [bars] = document.getElementById(name).data;
            return { x: [...bars.x], y: [...bars.y], width: [...bars.width] };
        }""",
        name,
    )
    return found


def test_distributions_count_every_trade_and_day_once(
    opened: Opener, report: Path, run: Run
) -> None:
    page = opened(report)
    trades, ms = run.trades, 60_000.0
    held = trades["exit_time"].cast("int64").to_numpy() - trades["entry_time"].cast("int64")
    days = daily_returns(run.time, run.equity, run.record.balance, MINUTE)
    for name, values in (
        ("study-r", trades["r"].to_numpy()),
        ("study-net", trades["net"].to_numpy()),
        ("study-held", np.asarray(held) / ms),
        ("daily", days[days != 0.0]),
    ):
        bars = bars_of(page, name)
        assert sum(bars["y"]) == len(values)
        if name == "study-held" and bars["x"][-1] < np.median(values):
            values = values / 60.0
        step = bars["width"][0]
        edges = np.array(bars["x"]) - step / 2
        # The outermost bars also hold what lies beyond them; 0 is an edge.
        for at in range(1, len(edges) - 1):
            low, high = edges[at], edges[at] + step
            near = np.count_nonzero((values >= low - 1e-9) & (values < high + 1e-9))
            inside = np.count_nonzero((values >= low + 1e-9) & (values < high - 1e-9))
            assert inside <= bars["y"][at] <= near
        assert np.abs(edges / step - np.rint(edges / step)).max() < 1e-6
        assert page.locator(f"#{name} .barlayer path").count() >= 1


def test_a_click_on_an_excursion_chooses_its_trade(
    opened: Opener, report: Path, run: Run, candles: list[Candles]
) -> None:
    page = opened(report)
    chart = page.locator("#study-excursions")
    chart.scroll_into_view_if_needed()
    found = page.evaluate(
        """() => document.getElementById("study-excursions").data.map(
            (trace) => [[...trace.customdata], [...trace.x], [...trace.y]])"""
    )
    seen = {int(i): (x, y) for part in found for i, x, y in zip(*part, strict=True)}
    assert len(seen) == run.trades.num_rows
    for i in (0, 7):
        assert seen[i] == (run.trades["mae_r"][i].as_py(), run.trades["mfe_r"][i].as_py())
    box = chart.locator(".scatterlayer path.point").last.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#trades tr.picked")).to_have_count(1)
    expect(page.locator("#candles")).to_have_attribute("data-timeframe", "1m")


def test_a_rolling_ratio_is_drawn_where_there_are_days_enough(
    opened: Opener, report: Path, tmp_path: Path
) -> None:
    page = opened(report)
    expect(page.locator("#rolling")).to_be_hidden()
    expect(page.locator(".hint", has_text="needs 30 days, has 21")).to_be_visible()
    candles = [market(60_000, 500)]
    run = report_run(tmp_path, candles)
    page = opened(write_report(run, candles, tmp_path / "report.html"))
    drawn_ = page.evaluate("[...document.getElementById('rolling').data[0].y]")
    sharpe, _ = rolling(daily_returns(run.time, run.equity, run.record.balance, MINUTE))
    assert len(drawn_) == len(sharpe) == 42
    assert drawn_[29:] == pytest.approx(sharpe[29:].tolist(), rel=1e-12)
    assert page.locator("#rolling .scatterlayer path.js-line").count() == 2
