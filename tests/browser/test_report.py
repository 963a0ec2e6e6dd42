"""The report as a reader meets it: a file opened in Chromium without a network."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from backtest.report import series, write_report
from data.runs import FigureRecord, Run, RunRecord
from data.show import shown as written
from strategy.candles import Candles
from strategy.metrics import daily_returns, rolling
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


def row(page: Page, trade: int) -> str:
    return f'#trades tr[data-trade="{trade}"]'


def first_cells(page: Page, heading: str) -> list[str]:
    """Return a column's first values, by its heading."""
    headings = page.locator("#trades thead button").all_inner_texts()
    at = headings.index(heading) + 1
    return page.locator(f"#trades tr[data-trade] td:nth-child({at})").all_inner_texts()


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


def test_a_run_of_before_opens_without_what_it_lacks(
    opened: Opener, run: Run, candles: list[Candles], tmp_path: Path
) -> None:
    before = ("total_return", "hold_return", "max_drawdown", "sharpe", "profit_factor", "trades")
    figures = [figure for figure in run.record.figures if figure.key in before]
    record = msgspec.structs.replace(run.record, figures=figures, breakdowns={}, months={})
    old = Run(run.folder, record, run.trades.drop(["mae_r", "mfe_r"]), run.time, run.equity)
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
