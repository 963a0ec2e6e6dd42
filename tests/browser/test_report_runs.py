"""Reports of other runs: old, large, tuned, without candles or trades, with hostile names."""

import re
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect

from backtest.report import write_report
from data.runs import Run
from strategy.candles import Candles
from tests.backtest.report_runs import market, report_run
from tests.browser.report_page import EVERY, Opener, check_figures, check_zoomed, drawn, row


def test_a_run_of_before_opens_without_what_it_lacks(
    opened: Opener, run: Run, candles: list[Candles], tmp_path: Path
) -> None:
    before = ("total_return", "hold_return", "max_drawdown", "sharpe", "profit_factor", "trades")
    figures = [figure for figure in run.record.figures if figure.key in before]
    record = msgspec.structs.replace(run.record, figures=figures, breakdowns={}, months={})
    old = Run(
        run.folder, record, run.trades.drop(["mae_r", "mfe_r", "funding"]), run.time, run.equity
    )
    page = opened(write_report(old, candles, tmp_path / "report.html"))
    check_figures(page, figures, "in")
    assert page.locator("td[data-figure]").count() == len(before)
    page.locator(row(page, 2)).click()
    mae_r = run.trades["mae_r"][2].as_py()
    expect(page.locator("#trade")).to_contain_text(f"{mae_r:.2f} R".replace("-", "−"))


def test_thousands_of_trades_scroll_and_sort(opened: Opener, tmp_path: Path) -> None:
    candles = [market(60_000, 20, distance=15.0)]
    run = report_run(tmp_path, candles)
    count = run.trades.num_rows
    assert count > 1_500
    page = opened(write_report(run, candles, tmp_path / "report.html"))
    rows = page.locator("#trades tr[data-trade]")
    assert rows.count() < 200
    page.evaluate("document.getElementById('trades').scrollTop = 1e9")
    expect(page.locator(row(page, count - 1))).to_be_visible()
    page.locator("#trades thead").get_by_role("button", name="R", exact=True).click()
    page.locator("#next").click()
    best = int(np.array(run.trades["r"]).argmax())
    expect(page.locator(row(page, best))).to_have_class("picked")
    page.locator("#trades").scroll_into_view_if_needed()
    expect(page.locator(row(page, best))).to_be_in_viewport()
    check_zoomed(page, run, candles[0], best)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window_in_light_and_dark(
    opened: Opener, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    candles = [market(4_000, EVERY)]
    run = report_run(tmp_path, candles, tuned=True)
    page = opened(write_report(run, candles, tmp_path / "report.html"))
    page.emulate_media(color_scheme=scheme)
    for width in (1400, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator(row(page, 0)).click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(int(part) for part in re.findall(r"\d+", color)) > 3 * 128
    assert bright == (scheme == "light")
    ink = page.evaluate("document.getElementById('candles').layout.font.color")
    style = "getComputedStyle(document.documentElement)"
    assert ink == page.evaluate(f"{style}.getPropertyValue('--ink').trim()")
    assert run.record.tune is not None
    check_figures(page, run.record.tune.out_of_sample, "out")


def test_without_candles_the_rest_works(opened: Opener, run: Run, tmp_path: Path) -> None:
    page = opened(write_report(run, None, tmp_path / "report.html"))
    expect(page.locator(".gone", has_text="No chart: the candles of this run")).to_be_visible()
    expect(page.locator("#candles")).to_be_hidden()
    page.locator(row(page, 2)).click()
    expect(page.locator("#trade")).to_contain_text("3 of ")


def test_a_run_without_a_trade_opens(opened: Opener, tmp_path: Path) -> None:
    candles = [market(3_000)]
    page = opened(write_report(report_run(tmp_path, candles), candles, tmp_path / "report.html"))
    expect(page.locator("#trades")).to_have_text("No trades.")
    expect(page.locator("#next")).to_be_hidden()
    assert len(drawn(page)["x"]) > 100


def test_hostile_names_stay_text(opened: Opener, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)><b>bold</b>"
    candles = [market(2_000, EVERY, symbol=evil), market(2_000, EVERY, seed=2)]
    run = report_run(tmp_path / "runs", candles, name=evil, notes=[evil])
    page = opened(write_report(run, candles, tmp_path / "report.html"))
    expect(page.locator("h1")).to_contain_text(evil)
    page.locator(row(page, 0)).click()
    assert page.locator("img").count() == 0
    expect(page.locator("#trade")).to_contain_text(evil)
    page.locator("#candles").hover()


def test_a_script_that_slipped_in_would_not_run(
    offline: BrowserContext, report: Path, tmp_path: Path
) -> None:
    # The policy in the page's head is the second lock: take the first one away and try it.
    wrong = tmp_path / "wrong.html"
    inserted = "<h1><script>document.title = 'ran'</script><img src='https://example.com/x'>"
    wrong.write_text(report.read_text().replace("<h1>", inserted, 1))
    page = offline.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.goto(wrong.as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.title() == "scripted: SYNTHUSDT"
    assert [("Content Security Policy" in words) for words in heard] == [True, True]
