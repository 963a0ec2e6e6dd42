"""A real Chromium for browser tests: found, else installed, else a skip that says so."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# One headless process that talks to nobody: no GPU, no updates, no sync.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_S = 600.0


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium, installing one where that is possible.

    Where it is not, the test is skipped with the reason; under CI=true it fails.
    """
    # Workers of one machine install once: the others wait here and then find it on the PATH.
    with Path(tempfile.gettempdir(), f"chromium-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = on_path() or _from_debian() or _from_playwright()
    if path is not None:
        return path
    words = (
        "no browser: chromium is not on the PATH and could neither be installed with apt-get"
        " (needs root) nor by playwright; install it and run the tests again"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Start Chromium with a profile of its own and stop it after a module's last test.

    While it is open Playwright keeps an event loop running in this thread, and no other test could
    have one.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def offline(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fresh browser context without a network."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    yield context
    context.close()


def on_path() -> str | None:
    """Return the first Chromium on the PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _from_debian() -> str | None:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        return None
    install = ["install", "-y", "--no-install-recommends", "chromium"]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], install):
        if not _done(["apt-get", "-q", *arguments], quiet):
            return None
    return on_path()


def _from_playwright() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        _done([sys.executable, "-m", "playwright", "install", "chromium"])
    return path if Path(path).exists() and _done([path, "--version"]) else None


def _done(command: list[str], environment: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
