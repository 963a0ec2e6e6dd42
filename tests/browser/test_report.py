"""The report as a reader meets it: figures, candles, and the list of trades."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from playwright.sync_api import expect

from backtest.report import series, write_report
from data.run_json import RunRecord
from data.runs import Run
from strategy.candles import Candles
from tests.backtest.report_runs import market, report_run
from tests.backtest.script import MINUTE
from tests.browser.report_page import (
    MINUTES,
    Opener,
    check_figures,
    check_zoomed,
    drawn,
    first_cells,
    row,
)


def test_the_figures_are_those_of_run_json(opened: Opener, report: Path, run: Run) -> None:
    record = msgspec.json.decode((run.folder / "run.json").read_bytes(), type=RunRecord)
    page = opened(report)
    check_figures(page, record.figures, "in")
    for key in ("sharpe", "kelly", "open_at_end"):
        tip = page.locator(f'.figures tr:has(td[data-figure="{key}"]) .tip')
        tip.hover()
        expect(tip.locator("i")).to_have_text(record.figure(key).formula)
        expect(tip.locator("i")).to_be_in_viewport(ratio=1)


def test_the_overview_shows_the_whole_run(
    opened: Opener, report: Path, candles: list[Candles]
) -> None:
    page = opened(report)
    bars = drawn(page)
    assert 100 < len(bars["x"]) <= series.OVERVIEW_BARS
    assert max(bars["high"]) == candles[0].arrays["high"].max()
    assert min(bars["low"]) == candles[0].arrays["low"].min()
    assert bars["close"][-1] == candles[0].arrays["close"][-1]
    # Drawn, not only handed over.
    assert page.locator("#candles .boxlayer path.box").count() == len(bars["x"])
    assert page.locator("#equity .scatterlayer path.js-line").count() == 3
    names = page.evaluate("document.getElementById('equity').data.map((line) => line.name)")
    assert names == ["equity", "drawdown", "buy and hold"]


def test_a_click_on_a_row_shows_the_trade_candle_by_candle(
    opened: Opener, report: Path, run: Run, candles: list[Candles]
) -> None:
    page = opened(report)
    page.locator(row(page, 5)).click()
    check_zoomed(page, run, candles[0], 5)
    expect(page.locator(row(page, 5))).to_have_class("picked")
    expect(page.locator("#trade")).to_contain_text(f"6 of {run.trades.num_rows}")
    expect(page.locator("#chart")).to_be_in_viewport()
    page.locator("#next").click()
    check_zoomed(page, run, candles[0], 6)
    page.locator("#previous").click()
    page.locator("#previous").click()
    check_zoomed(page, run, candles[0], 4)
    page.locator("#exit").click()
    exit_ms = run.trades["exit_time"][4].as_py().timestamp() * 1000
    assert abs(np.mean(drawn(page)["x"]) - exit_ms) <= MINUTE
    page.locator("#whole").click()
    expect(page.locator("#candles")).not_to_have_attribute("data-timeframe", "1m")
    expect(page.locator("#trade")).to_be_hidden()


def test_every_trade_can_be_seen_candle_by_candle_where_not_all_candles_go_along(
    opened: Opener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(series, "WHOLE_CANDLES", 1_000)
    candles = [market(MINUTES, 3_000), market(MINUTES, 4_000, seed=2, symbol="OTHERUSDT")]
    run = report_run(tmp_path, candles)
    page = opened(write_report(run, candles, tmp_path / "report.html"))
    assert len(drawn(page)["x"]) <= series.OVERVIEW_BARS
    symbols = run.trades["symbol"].to_pylist()
    assert set(symbols) == {"SYNTHUSDT", "OTHERUSDT"}
    for trade, symbol in enumerate(symbols):
        page.locator(row(page, trade)).click()
        check_zoomed(page, run, candles[symbol == "OTHERUSDT"], trade)
    page.locator("#symbol").select_option("SYNTHUSDT")
    assert max(drawn(page)["high"]) == candles[0].arrays["high"].max()


def test_dragging_zooms_and_a_double_click_goes_back(opened: Opener, report: Path) -> None:
    page = opened(report)
    chart = page.locator("#candles")
    chart.scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").bounding_box()
    assert box is not None
    whole = chart.get_attribute("data-timeframe")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for timeframe in ("3m", "1m"):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y, steps=4)
        page.mouse.up()
        expect(chart).to_have_attribute("data-timeframe", timeframe)
    # Plotly takes what comes within 500 ms of a drag for a part of it; a person is slower.
    page.wait_for_timeout(900)
    # On the lower edge, where no mark takes the click for itself.
    page.mouse.dblclick(x, box["y"] + box["height"] - 3)
    expect(chart).to_have_attribute("data-timeframe", str(whole))


def test_a_click_on_a_mark_chooses_its_trade(opened: Opener, report: Path) -> None:
    page = opened(report)
    page.locator(row(page, 3)).click()
    page.locator("#whole").click()
    page.locator("#candles").scroll_into_view_if_needed()
    # Of marks that overlap the uppermost answers; the last one drawn is one of those.
    mark = page.locator("#candles .scatterlayer path.point").last
    mark.hover(force=True)
    box = mark.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#candles")).to_have_attribute("data-timeframe", "1m")
    expect(page.locator("#trades tr.picked")).to_have_count(1)


def test_a_heading_sorts_and_sorts_the_other_way(opened: Opener, report: Path, run: Run) -> None:
    page = opened(report)
    net = np.array(run.trades["net"])
    heading = page.locator("#trades thead button", has_text="net")
    for order in (np.sort(net)[::-1], np.sort(net)):
        heading.click()
        shown = [
            float(text.replace(",", "").replace("−", "-")) for text in first_cells(page, "net")
        ]
        assert len(shown) == len(net)
        assert shown == pytest.approx(order, abs=0.005001)
    # Previous and next go by the order that is seen.
    page.locator("#next").click()
    expect(page.locator(row(page, int(net.argmin())))).to_have_class("picked")


def test_the_list_can_be_narrowed_to_some_trades(opened: Opener, report: Path, run: Run) -> None:
    page = opened(report)
    net, sides = np.array(run.trades["net"]), np.array(run.trades["side"].to_pylist())
    reasons = np.array(run.trades["exit_reason"].to_pylist())
    rows = page.locator("#trades tr[data-trade]")
    page.get_by_label("sides").select_option("short")
    page.get_by_label("exits").select_option("stop")
    wanted = np.flatnonzero((sides == "short") & (reasons == "stop"))
    assert 0 < len(wanted) < len(net)
    expect(rows).to_have_count(len(wanted))
    shown = [int(one.get_attribute("data-trade") or "") for one in rows.all()]
    assert shown == wanted.tolist()
    said = page.locator("#found").inner_text().replace("−", "-").replace(",", "")
    assert said.startswith(f"{len(wanted)} of {len(net)} net ")
    assert float(said.split()[-1]) == pytest.approx(net[wanted].sum(), abs=0.006)
    # Headings sort, and previous and next walk, what is left.
    page.locator("#trades thead button", has_text="net").click()
    page.locator("#next").click()
    best = int(wanted[net[wanted].argmax()])
    expect(page.locator(row(page, best))).to_have_class("picked")
    # A chosen trade that the choice leaves out stays in the chart, and next begins anew.
    page.get_by_label("sides").select_option("long")
    page.locator("#next").click()
    expect(page.locator("#trades tr.picked td.long")).to_have_count(1)
    page.get_by_label("results").select_option("won")
    page.get_by_label("exits").select_option("stop")
    none = np.flatnonzero((sides == "long") & (reasons == "stop") & (net > 0.0))
    expect(rows).to_have_count(len(none))
    page.locator("#next").click()
    for label in ("sides", "exits", "results"):
        page.get_by_label(label).select_option(f"all {label}")
    expect(rows).to_have_count(len(net))
    expect(page.locator("#found")).to_have_text("")
