"""The browser for every test in this folder."""

from tests.browser.chromium import browser, chromium, offline

__all__ = ["browser", "chromium", "offline"]
