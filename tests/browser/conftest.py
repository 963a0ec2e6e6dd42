"""The browser for every test in this folder."""

from tests.browser.chromium import browser, chromium, offline
from tests.browser.report_page import candles, opened, report, run

__all__ = ["browser", "candles", "chromium", "offline", "opened", "report", "run"]
