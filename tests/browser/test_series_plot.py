"""The plot of a stored series as a reader meets it: a file opened in Chromium without a network."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import BrowserContext, Page

from data.checking.look import look_at
from data.checking.series_plot import write_plot
from data.gaps import ARCHIVE_LOSS, OUTAGE, Entry, record
from data.manifest import Series, Source
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.candles import Candles

JAN_2023 = 1_672_531_200_000
HOUR_MS = 3_600_000
HOURLY = Series("um", "BTCUSDT", "1h")


def opened(offline: BrowserContext, store: Path, series: Series) -> Page:
    """Draw a series, open it, and see that it asks for nothing and complains of nothing."""
    asked: list[str] = []
    heard: list[str] = []
    page = offline.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    path = store / "plot.html"
    assert write_plot(store, look_at(store, series), path) == f"{series}: {path}"
    page.goto(path.as_uri())
    page.wait_for_selector(".plot-container .gtitle")
    assert asked == [path.as_uri()]
    assert heard == []
    assert path.read_text().count("plotly.js v") == 1
    return page


def store_candles(store: Path, rows: np.ndarray) -> Candles:
    market = synthetic_market(7, 60 * 1440, JAN_2023, "1h", symbol="BTCUSDT")
    kept = Candles("BTCUSDT", "um", "1h", {n: v[rows] for n, v in market.arrays.items()})
    save(store, kept, "test")
    return market


def test_holes_are_shaded_by_cause_and_months_have_their_share(
    offline: BrowserContext, tmp_path: Path
) -> None:
    missing = [*range(100, 200), *range(400, 420), 800]
    market = store_candles(tmp_path, np.delete(np.arange(1440), missing))
    at = market.open_time
    entries = [
        Entry(int(at[100]), int(at[199]), 100, OUTAGE, asked_ms=1),
        Entry(int(at[400]), int(at[419]), 20, ARCHIVE_LOSS, asked_ms=1),
    ]
    record(HOURLY.folder(tmp_path), HOURLY, entries)
    page = opened(offline, tmp_path, HOURLY)
    assert page.locator(".legendtext").all_text_contents() == [
        "missing, exchange outage: 100",
        "missing, archive loss: 20",
        "missing, cause unknown: 1",
    ]
    assert page.locator(".shapelayer path").count() == 6
    assert page.locator(".boxlayer .trace path").count() == 1440 - len(missing)
    assert page.locator(".barlayer .point").count() == 1440 - len(missing)
    assert page.locator(".heatmap-label").all_text_contents() == ["83.8", "99.8"]
    assert "1,319 rows, in bars of 1h" in (page.locator(".gtitle").text_content() or "")


def test_three_candles_are_a_plot_too(offline: BrowserContext, tmp_path: Path) -> None:
    store_candles(tmp_path, np.arange(3))
    page = opened(offline, tmp_path, HOURLY)
    assert page.locator(".boxlayer .trace path").count() == 3
    assert page.locator(".legendtext").count() == 0


def test_a_million_candles_are_put_together_to_few(offline: BrowserContext, tmp_path: Path) -> None:
    market = synthetic_market(7, 1_000_000, JAN_2023, "1m", symbol="BTCUSDT")
    save(tmp_path, market, "test")
    page = opened(offline, tmp_path, Series("um", "BTCUSDT", "1m"))
    assert 1000 < page.locator(".boxlayer .trace path").count() <= 2000
    assert "1,000,000 rows, in bars of 12h" in (page.locator(".gtitle").text_content() or "")


@pytest.mark.parametrize("kind", ["funding", "aggTrades", "mark", "metrics", "bookDepth"])
def test_every_kind_can_be_drawn(kind: str, offline: BrowserContext, tmp_path: Path) -> None:
    its = Series("um", "BTCUSDT", "1h" if kind == "mark" else "", kind)
    steps = np.delete(np.arange(300), [50, 51])
    price = 10 + np.sin(steps)
    columns = {
        "funding": {"time": steps * 8 * HOUR_MS, "rate": price / 1e5},
        "aggTrades": {"agg_id": steps, "price": price, "qty": price, "first_id": steps}
        | {"last_id": steps, "time": steps * 30_000, "buyer_maker": steps % 2 == 0},
        "mark": {"open_time": steps * HOUR_MS, "open": price, "high": price, "low": price}
        | {"close": price},
        "metrics": {"time": steps * 300_000, "open_interest": price, "accounts_ratio": price},
        "bookDepth": {"time": steps // 2 * 30_000, "percentage": steps % 2 * 2.0 - 1.0}
        | {"depth": price, "notional": price},
    }[kind]
    time = its.its_kind.time
    table = pa.table(columns | {time: columns[time] + JAN_2023})
    with writing(tmp_path, its) as writer:
        writer.add(table, Source("test", "0" * 64))
    page = opened(offline, tmp_path, its)
    marks = {
        "funding": (".barlayer .point", 298),
        "aggTrades": (".boxlayer .trace path", 149),
        "mark": (".boxlayer .trace path", 298),
        "metrics": (".scatterlayer .trace path.js-line", 2),
        "bookDepth": (".scatterlayer .trace path.js-line", 2),
    }[kind]
    assert page.locator(marks[0]).count() == marks[1]
    assert page.locator(".shapelayer path").count() >= (kind != "bookDepth")
