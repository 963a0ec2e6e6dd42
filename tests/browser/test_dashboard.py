"""The dashboard as a person meets it: `wick dashboard` in Chromium, a session beside it."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from live.session import Session
from tests.backtest.report_runs import market, report_run
from tests.dashboard.made_session import asked, running, session, story, written

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S, PATIENCE_MS = 60.0, 30_000
WICK = [sys.executable, str(ROOT / "wick.py"), "dashboard"]


class Served(NamedTuple):
    """A dashboard that runs, and the session that it shows."""

    url: str
    session: Session
    folder: Path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("var")
    report_run(folder / "runs", [market(3_000, 90)])
    report_run(folder / "runs", [market(3_000, 200, seed=5)], name="my_idea")
    written(folder / "sessions", session("old", created_ms=1), story(50)[0])
    return folder


@pytest.fixture(scope="module")
def served(folders: Path) -> Iterator[Served]:
    with running(folders / "sessions", 330) as (made, place), dashboard(folders) as url:
        yield Served(url, made, place)


def environment(folders: Path) -> dict[str, str]:
    return os.environ | {
        "WICK_SESSIONS": str(folders / "sessions"),
        "WICK_RUNS": str(folders / "runs"),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dashboard(folders: Path, *command: str) -> Iterator[str]:
    """Start a dashboard on a free port; give its address once it answers."""
    port = free_port()
    started = [*(command or WICK), "--server.port" if command else "--port", str(port)]
    with (folders / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(
            started, cwd=folders, env=environment(folders), stdout=log, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(f"{url}_stcore/health"):
            assert process.poll() is None, (folders / "dashboard.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a page; at the end nothing may have left this machine, and nothing complained."""
    context = browser.new_context(viewport={"width": 1400, "height": 1150})
    heard: list[str] = []
    hosts: set[str | None] = set()
    fresh = context.new_page()
    fresh.set_default_timeout(PATIENCE_MS)
    fresh.on("console", lambda said: heard.append(said.text) if said.type == "error" else None)
    fresh.on("pageerror", lambda error: heard.append(str(error)))
    fresh.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    fresh.on("websocket", lambda opened: hosts.add(urlsplit(opened.url).hostname))
    yield fresh
    context.close()
    assert heard == []
    assert hosts - {None} == {"127.0.0.1"}


def tile(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def chart(page: Page, key: str) -> dict[str, Any]:
    """Return what Plotly drew, by the name of the trace."""
    drawn = page.locator(f".st-key-{key} .js-plotly-plot")
    expect(drawn.locator(".main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    found: dict[str, Any] = drawn.evaluate(
        """plot => Object.fromEntries(plot._fullData.map(
            trace => [trace.name, [...(trace.y ?? trace.close)]]
        ))"""
    )
    return found


def test_a_person_sees_the_account_pauses_and_looks_at_the_runs(served: Served, page: Page) -> None:
    page.goto(served.url)
    expect(tile(page, "Balance")).to_have_text(re.compile(r"^\d,\d{3}\.\d\d$"), timeout=PATIENCE_MS)
    expect(tile(page, "Closed trades")).to_have_text("3")
    positions = page.get_by_test_id("stTable").first
    expect(positions).to_contain_text("BTCUSDT")
    cells = positions.locator("tbody td").all_inner_texts()
    entry, stop, take = (float(cells[at].replace(",", "")) for at in (3, 6, 7))
    assert stop < entry < take
    drawn = chart(page, "candles")
    assert drawn["stop"] == [stop, stop]
    assert drawn["take"] == [take, take]
    assert len(drawn["candles"]) == 330
    assert len(chart(page, "equity")["equity"]) == 330
    expect(page.get_by_text("performance_tracker")).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("the trader has taken note of pause")).to_be_visible()
    controls = asked(served.session, served.folder)
    assert [(one.command, one.by) for one in controls] == [("pause", "dashboard")]

    page.get_by_role("link", name="Runs").click()
    runs = page.get_by_test_id("stDataFrame").first
    expect(runs).to_contain_text("my_idea", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="my_idea · backtest")).to_be_visible()


def test_flatten_asks_for_a_second_click(served: Served, page: Page) -> None:
    before = len(asked(served.session, served.folder))
    page.goto(served.url)
    page.get_by_role("button", name="Flatten").click()
    sure = page.get_by_role("button", name="Close every position")
    expect(sure).to_be_visible()
    assert len(asked(served.session, served.folder)) == before
    page.wait_for_timeout(3_000)  # the page has refreshed itself, the question is still there
    sure.click()
    expect(page.get_by_text("the trader has taken note of flatten")).to_be_visible()
    controls = asked(served.session, served.folder)
    assert [one.command for one in controls[before:]] == ["flatten"]


def test_a_session_that_is_over_is_shown_by_its_address(served: Served, page: Page) -> None:
    page.goto(f"{served.url}?session=old")
    expect(page.get_by_text("Nobody runs this session.")).to_be_visible(timeout=PATIENCE_MS)
    assert "close" in chart(page, "candles")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()


def test_streamlit_run_serves_the_same(folders: Path, page: Page) -> None:
    # The settings lie beside the page, so nothing is told to anybody this way either.
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    with dashboard(folders, *command) as url:
        page.goto(url)
        expect(tile(page, "Closed trades")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
        page.goto("about:blank")  # or it would complain when the server goes
        port = urlsplit(url).port or 0
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))


def test_a_taken_port_and_an_unknown_session_are_a_sentence(folders: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words, code, said in (
            (["--port", port], 1, f"port {port} cannot be used"),
            (["--session", "nonsense"], 2, "there is no session 'nonsense'"),
        ):
            done = subprocess.run(
                [*WICK, *words], env=environment(folders), capture_output=True, text=True,
                timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (code, "")
            assert said in done.stderr
            assert "hint: " in done.stderr
