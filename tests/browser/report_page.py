"""A report of a made-up run, opened in Chromium, and how to read its page."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from backtest.report import write_report
from data.run_json import FigureRecord
from data.runs import Run
from data.show import shown as written
from strategy.candles import Candles
from tests.backtest.report_runs import market, report_run
from tests.backtest.script import MINUTE

MINUTES, EVERY = 30_000, 90
FIELDS = ("open", "high", "low", "close")
UNITS = {"%": 0.01, " d": 1.0, " min": 1.0, " h": 60.0, " R": 1.0, "": 1.0}
Opener = Callable[[Path], Page]


@pytest.fixture
def opened(offline: BrowserContext) -> Iterator[Opener]:
    """Open a file; at the end nothing may have been asked for but it, and nothing complained."""
    heard: list[str] = []
    asked: list[str] = []
    paths: list[str] = []

    def open_(path: Path) -> Page:
        page = offline.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: asked.append(request.url))
        paths.append(path.as_uri())
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_
    assert heard == []
    assert asked == paths


@pytest.fixture(scope="module")
def candles() -> list[Candles]:
    return [market(MINUTES, EVERY)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, candles: list[Candles]) -> Run:
    return report_run(tmp_path_factory.mktemp("runs"), candles)


@pytest.fixture(scope="module")
def report(run: Run, candles: list[Candles]) -> Path:
    return write_report(run, candles, run.folder / "report.html")


def number(text: str) -> float:
    """Read a figure as it is shown."""
    found = re.fullmatch(r"([+-]?[\d,]*\.?\d+)(%| d| min| h| R|)", text)
    assert found is not None, text
    return float(found[1].replace(",", "")) * UNITS[found[2]]


def check_figures(page: Page, figures: Sequence[FigureRecord], sample: str) -> None:
    for figure in figures:
        cell = page.locator(f'td[data-figure="{figure.key}"][data-sample="{sample}"]')
        shown = cell.inner_text().splitlines()
        if figure.value is None:
            assert shown == ["N/A", figure.note]
        elif figure.unit == "time":
            assert shown == [written(figure)]
        else:
            # As exact as the last digit that is shown.
            decimals = len(shown[0].partition(".")[2].rstrip("% dminhR"))
            unit = next(size for end, size in UNITS.items() if shown[0].endswith(end))
            assert number(shown[0]) == pytest.approx(
                figure.value, rel=1e-12, abs=0.5000001 * 10**-decimals * unit
            )


def row(page: Page, trade: int) -> str:
    return f'#trades tr[data-trade="{trade}"]'


def first_cells(page: Page, heading: str) -> list[str]:
    """Return a column's first values, by its heading."""
    headings = page.locator("#trades thead button").all_inner_texts()
    at = headings.index(heading) + 1
    return page.locator(f"#trades tr[data-trade] td:nth-child({at})").all_inner_texts()


def drawn(page: Page) -> dict[str, list[float]]:
    """Return the bars as Plotly holds them."""
    found: dict[str, list[float]] = page.evaluate(
        """() => {
            const bars = document.getElementById("candles").data[0];
            const names = ["x", "open", "high", "low", "close"];
            return Object.fromEntries(names.map((name) => [name, [...bars[name]]]));
        }"""
    )
    return found


def check_zoomed(page: Page, run: Run, candles: Candles, trade: int) -> None:
    """Check that exactly the base candles around a trade are drawn."""
    chart = page.locator("#candles")
    expect(chart).to_have_attribute("data-timeframe", "1m")
    entry, exit_ = (
        run.trades[name][trade].as_py().timestamp() * 1000 for name in ("entry_time", "exit_time")
    )
    begin, end = (float(chart.get_attribute(f"data-{name}") or "nan") for name in ("from", "to"))
    assert begin <= entry - 40 * MINUTE
    assert end >= exit_ + 40 * MINUTE
    times = candles.arrays["open_time"]
    inside = (times >= begin // MINUTE * MINUTE) & (times < end)
    bars = drawn(page)
    assert (np.array(bars["x"]) == times[inside] + MINUTE / 2).all()
    for name in FIELDS:
        assert (np.array(bars[name]) == candles.arrays[name][inside]).all()
