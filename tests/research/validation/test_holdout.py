"""A hold-out is opened once, and whoever looks again is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backtest.inputs import Asked, gather
from data.runs import Run, load
from data.synthetic import synthetic_market
from data.writer import save
from research.tuning.asked import TuneAsked
from research.tuning.keep import run_tune
from research.validation.holdout import open_holdout, openings
from strategy.errors import RunRefused, WickError
from strategy.load import load as load_strategy
from strategy.timeframes import DAY_MS

START = 1_672_531_200_000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    save(folder, synthetic_market(7, 26 * 1440, START, symbol="BTCUSDT"), "seeded")
    return folder


def tuned(
    store: Path, runs: Path, split_day: int = 20, seed: int = 0, strategy: str = "rsi_macd_atr"
) -> Run:
    asked = TuneAsked(8, ("total_return",), seed=seed, split_ms=START + split_day * DAY_MS)
    changes = ("oversold=40", "overbought=60")
    return run_tune(gather(Asked(strategy, changes=changes), store, runs), runs, asked)


def test_a_hold_out_is_opened_once_and_then_refused(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = tuned(store, runs)
    assert run.record.tune is not None and run.record.tune.holdout is not None
    assert run.record.tune.holdout.times == 0
    opened = open_holdout(run.record.id, store, runs)
    its = opened.record.tune
    assert its is not None and its.holdout is not None
    assert (its.holdout.times, its.holdout.opened_by) == (1, run.record.id)
    assert opened.record.kind == "holdout"
    with pytest.raises(RunRefused, match=r"has seen the hold-out of .* before"):
        open_holdout(run.record.id, store, runs)
    again = open_holdout(run.record.id, store, runs, again=True)
    assert again.record.result_hash == opened.record.result_hash
    assert "look 2 at these candles" in again.record.notes[0]


def test_another_tuning_over_the_same_candles_has_seen_them_too(
    store: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    first = open_holdout(tuned(store, runs).record.id, store, runs)
    assert not any("had seen its candles" in note for note in first.record.notes)
    later = tuned(store, runs, 25, seed=5)  # one day of what was opened
    assert len(openings(runs, later.record)) == 1
    with pytest.raises(RunRefused, match="has seen the hold-out"):
        open_holdout(later.record.id, store, runs)


def test_a_copy_with_other_comments_has_seen_them_too(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = tuned(store, runs)
    open_holdout(first.record.id, store, runs)
    copy = tmp_path / "another.py"
    text = load_strategy("rsi_macd_atr").source.decode()
    copy.write_text("# mine\n" + text.replace('"""', '"""My own words. ', 1))
    own = tuned(store, runs, strategy=str(copy))
    with pytest.raises(RunRefused, match=f"another has seen .*: {first.record.id} opened"):
        open_holdout(own.record.id, store, runs)
    other = tmp_path / "other.py"
    other.write_text(text.replace("p.stop *", "1.5 * p.stop *"))
    changed = open_holdout(tuned(store, runs, strategy=str(other)).record.id, store, runs)
    assert not any("had seen its candles" in note for note in changed.record.notes)


def test_runs_that_reach_into_a_hold_out_are_named(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    early = tuned(store, runs)
    late = tuned(store, runs, 25)
    opened = open_holdout(early.record.id, store, runs)
    assert f"1 run of rsi_macd_atr had seen its candles: {late.record.id}" in opened.record.notes


def test_other_studies_of_the_same_candles_are_told(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first, second = (tuned(store, runs, seed=seed) for seed in (0, 5))
    assert not any("stud" in note for note in first.record.notes)
    assert any("another study tried 8 params on these" in note for note in second.record.notes)


def test_what_is_opened_is_written_down_before_it_is_looked_at(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = tuned(store, runs)
    text = (
        "import os, signal, sys\n"
        "import research.validation.holdout as holdout\n"
        "holdout.run = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from pathlib import Path\n"
        "holdout.open_holdout(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", text, run.record.id, str(store), str(runs)],
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(RunRefused, match="has seen the hold-out"):
        open_holdout(run.record.id, store, runs)


def test_other_candles_or_no_tuning_are_refused(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = tuned(store, runs)
    opened = open_holdout(run.record.id, store, runs)
    with pytest.raises(WickError, match="has no hold-out to open: it is a holdout"):
        open_holdout(opened.record.id, store, runs)
    other = tmp_path / "other"
    save(other, synthetic_market(8, 26 * 1440, START, symbol="BTCUSDT"), "seeded")
    with pytest.raises(WickError, match="candles of BTCUSDT have changed since run"):
        open_holdout(run.record.id, other, runs, again=True)


def test_a_damaged_ledger_is_named_and_opens_nothing(store: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = tuned(store, runs)
    (runs / "holdouts.jsonl").write_bytes(b'{"strategy":')
    with pytest.raises(WickError, match="is damaged in line 1"):
        open_holdout(run.record.id, store, runs)
    assert load(runs, run.record.id).record == run.record
