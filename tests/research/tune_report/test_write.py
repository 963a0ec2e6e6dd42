"""What the report of a tuning says, and of which runs it is written."""

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.report.markup import row
from data.runs import Run, keep
from data.settings import load_settings
from data.tune_json import HoldoutRecord
from research.report_commands import write_report_of
from research.tune_report import has_more, write_tune_report
from research.tune_report.drawn import GRID, smoothed, walk_data
from research.tune_report.trials import places, rising_best, thinned, trials_of
from research.validation.holdout import Opened
from strategy.errors import RunRefused, WickError
from tests.backtest.report_runs import market, report_run
from tests.backtest.test_report import outline_of
from tests.research.tune_report.made import SPACES, panel_record, tune_run, walk_run


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tune_run(tmp_path_factory.mktemp("runs"), panel=panel_record(edge=True))


def test_the_page_is_whole_and_asks_nothing_of_a_network(tuned: Run, tmp_path: Path) -> None:
    page = outline_of(write_tune_report(tuned, tmp_path / "report.html").read_text())
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    words = " ".join(page.text)
    for said in (
        "Edge: every condition holds", "the best that so many tries find by luck",
        "2,345", "The hold-out is closed", "max_drawdown > -0.2",
        "at least half", "-0.40 to 4.40", "needs 10 trades", "Fees and slippage doubled", "0.020",
    ):  # fmt: skip
        assert said in words
    assert "out of sample 0" not in words


def test_a_tuning_without_panel_trials_or_neighbours_is_written_all_the_same(
    tmp_path: Path,
) -> None:
    run = tune_run(tmp_path / "runs", trials=5)
    for name in ("trials", "neighbours"):
        (run.folder / f"{name}.parquet").unlink()
    page = outline_of(write_tune_report(run, tmp_path / "report.html").read_text())
    assert "The run's folder keeps no trials." in " ".join(page.text)


def test_damaged_trials_are_named(tmp_path: Path) -> None:
    run = tune_run(tmp_path / "runs", trials=5)
    (run.folder / "trials.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(WickError, match=r"trials\.parquet is damaged"):
        write_tune_report(run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_written_is_refused(tuned: Run, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(RunRefused, match="cannot be written"):
        write_tune_report(tuned, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda runs: tune_run(runs, trials=30), "How the search went"),
        (walk_run, "Out of sample, window by window"),
        (lambda runs: report_run(runs, [market(3_000, 90)], tuned=True), "best of 60 tries"),
        (lambda runs: report_run(runs, [market(3_000, 90)]), "Equity and drawdown"),
    ],
)
def test_wick_report_finds_the_kind_of_a_run(
    make: Callable[[Path], Run], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "runs")
    path = write_report_of(run, load_settings().store)
    assert path == run.folder / "report.html"
    assert said in path.read_text()
    assert has_more(run.record) == ("links" in path.read_text().partition("<main>")[2][:400])
    assert "has not the candles of run" in capsys.readouterr().err


def test_an_opened_hold_out_stands_beside_what_was_in_sample(tmp_path: Path) -> None:
    tuned = tune_run(tmp_path / "runs", trials=30, panel=panel_record(edge=True))
    tune = tuned.record.tune
    assert tune is not None
    opened = HoldoutRecord(tune.split_ms, tune.test_to_ms, tune.test_to_ms, tuned.record.id, 3)
    its = msgspec.structs.replace(
        tuned.record, kind="holdout", id="20230201-holdout-x", months={},
        tune=msgspec.structs.replace(tune, holdout=opened),
    )  # fmt: skip
    made = keep(tmp_path / "runs", Run(Path("x"), its, tuned.trades, tuned.time, tuned.equity))
    line = Opened(
        its.strategy.name, its.data[0].market, [its.data[0].symbol], tune.split_ms,
        tune.test_to_ms, tuned.record.id, tune.test_to_ms,
    )  # fmt: skip
    (tmp_path / "runs" / "holdouts.jsonl").write_bytes(msgspec.json.encode(line) + b"\n")
    for run, whose in ((tuned, "of this tuning"), (made, "of tuned")):
        words = write_tune_report(run, tmp_path / "report.html").read_text()
        assert "The hold-out was opened</b> on 2023-01-24" in words
        assert f": the winner {whose} was run on 2023-01-15 to 2023-01-24" in words
        assert "It was look 3 at these candles" in words
        assert "<th scope=col>hold-out</th>" in words
        assert "keeps no trials" not in words
    assert "profit factor, in sample" not in words
    other = msgspec.structs.replace(line, tune="another")
    (made.folder / "run.json").unlink()
    (tmp_path / "runs" / "holdouts.jsonl").write_bytes(msgspec.json.encode(other) + b"\n")
    words = write_tune_report(tuned, tmp_path / "report.html").read_text()
    assert "The hold-out has been looked at</b> 1 time, whole or in part" in words


def test_the_best_so_far_rises_from_complete_trials_alone(tuned: Run) -> None:
    tune = tuned.record.tune
    assert tune is not None
    assert tune.search is not None
    trials = trials_of(tuned.folder, tune.search)
    assert trials is not None
    best = rising_best(trials)
    assert (trials.state[best] == "complete").all()
    assert (np.diff(trials.values[best, 0]) > 0).all()
    assert trials.values[best[-1], 0] == np.max(trials.values[trials.complete, 0])


@given(st.integers(1, 500), st.integers(2, 60), st.lists(st.integers(0, 499), max_size=5))
def test_thinning_keeps_ends_and_what_must_stay(count: int, most: int, keep: list[int]) -> None:
    rows = np.arange(count)
    made = thinned(rows, most, np.array(keep, np.int64))
    assert {0, count - 1, *(one for one in keep if one < count)} <= set(made.tolist())
    assert len(made) <= most + len(keep) or count <= most
    assert (np.diff(made) > 0).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-5, 5)), min_size=1))
def test_a_map_lies_between_its_trials_and_is_empty_far_from_them(
    points: list[tuple[float, float, float]],
) -> None:
    made = np.array(points)
    z = smoothed(made[:, :2], made[:, 2])
    known = z[np.isfinite(z)]
    assert known.size > 0
    assert known.min() >= made[:, 2].min() - 1e-9
    assert known.max() <= made[:, 2].max() + 1e-9
    ends = np.linspace(0, 1, GRID)
    far = np.abs(ends[:, None] - made[:, 0]) > 0.12
    assert np.isnan(z[:, far.all(axis=1)]).all()


def test_places_run_from_the_low_to_the_high_end() -> None:
    ends = np.array([[one.low, one.high] for one in SPACES]).T
    made = places(list(SPACES), ends)
    assert made.tolist() == [[0.0] * 4, [1.0] * 4]
    middle = places([SPACES[1]], np.array([[math.sqrt(0.5 * 8)]]))
    assert middle[0, 0] == pytest.approx(0.5)


def test_every_row_of_the_panel_is_a_row(tuned: Run, tmp_path: Path) -> None:
    words = write_tune_report(tuned, tmp_path / "report.html").read_text()
    for made in (
        row("trials of the whole study", "2,345"),
        row("probability that it is above luck (DSR)", "98.1%"),
        row("probability of overfitting (PBO)", "20.0%"),
        row("that found as much", "0"),
        row("share", "61.7%"),
        row("share of random ones as good (p)", "0.020"),
    ):
        assert made in words


def test_a_span_that_is_tested_often_is_marked_once(tmp_path: Path) -> None:
    record = walk_run(tmp_path).record
    assert record.walk is not None
    once = walk_data(record)
    assert once["spans"] == [one.test for one in record.walk.windows]
    assert [one["end"] for one in once["windows"]] == [end for _, end in once["spans"]]
    walk = msgspec.structs.replace(record.walk, windows=record.walk.windows * 2)
    twice = walk_data(msgspec.structs.replace(record, walk=walk))
    assert twice["spans"] == once["spans"]
    assert twice["windows"] == []
