"""An indicator's plot as a reader meets it: a file opened in Chromium without a network."""

from pathlib import Path

from playwright.sync_api import BrowserContext

from research.indicator_list import indicator
from research.indicator_plot import plot


def test_a_plot_is_drawn_and_asks_for_nothing_but_itself(
    offline: BrowserContext, tmp_path: Path
) -> None:
    asked: list[str] = []
    heard: list[str] = []
    page = offline.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    path = tmp_path / "macd.html"
    plot(indicator("macd"), {}, None, tmp_path / "store", path)
    page.goto(path.as_uri())
    page.wait_for_selector(".legendtext >> nth=3")
    names = page.locator(".legendtext").all_text_contents()
    assert names == ["SYNTHUSDT", "line", "signal", "histogram"]
    assert page.locator(".scatterlayer .trace path.js-line").count() == 3
    assert page.locator(".boxlayer .trace path").count() == 500
    assert asked == [path.as_uri()]
    assert heard == []
