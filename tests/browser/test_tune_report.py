"""The report of a tuning and of a walk-forward, as a reader has it in a browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from data.runs import Run
from data.tune_json import SpaceRecord
from research.tune_report import write_tune_report
from tests.browser.report_page import Opener
from tests.research.tune_report.made import NAMES, SPACES, panel_record, tune_run, walk_run

OF_A_TUNING = (
    "history-chart", "importance-chart", *(f"slice-{at}" for at in range(4)),
    *(f"pair-{at}" for at in range(6)), "lines-chart", "front-0", "logits-chart", "placebo-chart",
    "plateau-chart", "folds-chart", "montecarlo-chart", "entries-chart", "equity", "daily",
)  # fmt: skip
EVIL = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tune_run(
        tmp_path_factory.mktemp("tuned"),
        trials=2_000,
        objectives=("sharpe", "total_return"),
        panel=panel_record(edge=False),
    )


@pytest.fixture(scope="module")
def page_of_tuned(tuned: Run) -> Path:
    return write_tune_report(tuned, tuned.folder / "report.html")


def check_drawn(page: Page, *charts: str) -> None:
    """Each has a plot of some size with something in it."""
    assert sorted(page.locator(".chart.more").evaluate_all("all => all.map(x => x.id)")) == sorted(
        name for name in charts if name not in ("equity", "daily")
    )
    for name in charts:
        marks = page.locator(f"#{name} .main-svg").first
        expect(marks).to_be_visible()
        drawn = page.locator(f"#{name}").evaluate(
            "plot => [plot.data.some((one) => (one.x ?? one.y).length > 0),"
            " plot.querySelectorAll('.trace path, .contour path').length]"
        )
        assert drawn[0], name
        assert drawn[1] > 0, name


def points(page: Page, chart: str) -> int:
    found: int = page.locator(f"#{chart}").evaluate(
        "plot => plot.data.reduce((n, one) => n + one.x.length, 0)"
    )
    return found


def test_every_part_of_a_tuning_is_drawn_and_few_enough(
    page_of_tuned: Path, opened: Opener
) -> None:
    page = opened(page_of_tuned)
    check_drawn(page, *OF_A_TUNING)
    expect(page.locator("#trouble")).to_be_hidden()
    assert points(page, "history-chart") < 1_700
    assert points(page, "slice-0") < 500
    for link in page.locator(".links a").all():
        assert page.locator(link.get_attribute("href") or "none").count() == 1
    assert page.locator("#slices figcaption").all_inner_texts() == list(NAMES)


def test_the_best_complete_trial_ends_the_line_and_the_verdict_names_what_fails(
    page_of_tuned: Path, tuned: Run, opened: Opener
) -> None:
    page = opened(page_of_tuned)
    tune = tuned.record.tune
    assert tune is not None
    assert tune.search is not None
    line = page.locator("#history-chart").evaluate(
        "plot => plot.data.find((one) => one.name === 'best so far').y"
    )
    assert line == sorted(line)
    assert line[-1] == pytest.approx(tune.best_value, rel=1e-5)
    named = page.locator("#history-chart").evaluate("plot => plot.data.map((one) => one.name)")
    assert named == ["complete", "pruned", "infeasible", "failed", "best so far", "winner"]
    star = page.locator("#slice-0").evaluate("plot => plot.data.at(-1).x[0]")
    assert star == tuned.record.params["channel"]
    rows = page.locator(".params tbody tr").all_inner_texts()
    assert rows[0].split("\t")[:2] == ["channel", f"{tuned.record.params['channel']:g}"]
    marks = [line.split("\t")[-1] for line in page.locator(".conditions tr").all_inner_texts()]
    assert marks[1:] == ["✗ does not hold", "✗ does not hold", "✓ holds", "✗ does not hold"]


def test_a_tuning_fits_every_window_paper_and_either_ground(
    page_of_tuned: Path, opened: Opener
) -> None:
    page = opened(page_of_tuned)
    for width in (1400, 768, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("history-chart", "pair-0", "logits-chart"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        plot = page.locator(f"#{name} .main-svg").first
        expect(plot).to_have_attribute("width", re.compile(r"3[0-8]\d(\.\d+)?"))
    page.set_viewport_size({"width": 1400, "height": 900})
    plots = [page.locator(f"#{name} .main-svg").first for name in ("history-chart", "equity")]
    across = re.compile(r"1[23]\d\d(\.\d+)?")
    for plot in plots:
        expect(plot).to_have_attribute("width", across)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(float(plot.get_attribute("width") or "nan") <= 700 for plot in plots)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    for plot in plots:
        expect(plot).to_have_attribute("width", across)
    inks = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for _ in range(2):  # a frame: then the page has heard of it and has drawn anew
            page.evaluate("new Promise(requestAnimationFrame)")
        inks.append(page.evaluate("document.getElementById('history-chart').layout.font.color"))
        style = "getComputedStyle(document.documentElement)"
        assert inks[-1] == page.evaluate(f"{style}.getPropertyValue('--ink').trim()")
    assert inks[0] != inks[1]


def test_the_windows_of_a_walk_forward_are_marked(opened: Opener, tmp_path: Path) -> None:
    run = walk_run(tmp_path)
    page = opened(write_tune_report(run, run.folder / "report.html"))
    check_drawn(page, "windows-chart", "over-0", "over-1", "equity", "daily")
    bands = page.locator("#windows-chart").evaluate(
        "plot => plot.layout.shapes.map((one) => [one.x0, one.x1])"
    )
    assert run.record.walk is not None
    assert bands == [list(one.test) for one in run.record.walk.windows]
    assert page.locator(".windows tbody tr").count() == 4
    assert "Window 2: few trades" in page.locator("#windows").inner_text()
    expect(page.locator(".tile", has_text="in sample")).to_have_count(0)


def test_hostile_words_of_a_tuning_stay_text(opened: Opener, tmp_path: Path) -> None:
    spaces = (SpaceRecord(f"a{EVIL}", 0, 1, 0, False, [], False), *SPACES[1:])
    run = tune_run(
        tmp_path / "a", trials=40, panel=panel_record(edge=True, evil=EVIL), name=EVIL,
        spaces=spaces, note=EVIL,
    )  # fmt: skip
    page = opened(write_tune_report(run, tmp_path / "report.html"))
    expect(page.locator("h1")).to_contain_text(EVIL)
    expect(page.locator("#slices figcaption").first).to_have_text(f"a{EVIL}")
    expect(page.locator(".verdict")).to_contain_text(f"plateau{EVIL}")
    assert page.locator("img").count() == 0
    page.locator("#slice-0").hover()
    walk = walk_run(tmp_path / "b", EVIL)
    page = opened(write_tune_report(walk, tmp_path / "walk.html"))
    assert page.locator("img").count() == 0
    expect(page.locator("#params figcaption").nth(1)).to_have_text(f"stop{EVIL}")
