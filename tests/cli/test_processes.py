"""The command as a process: its two outputs, and what an interrupt or a kill leaves."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.run_folders import scratch
from data.run_json import RunRecord
from data.runs import load, records
from tests.cli.conftest import (
    OFTEN,
    ROOT,
    Command,
    Said,
    finished,
    process,
    signalled,
    strategy,
    tree,
)

BACKTEST = ("backtest", "rsi_macd_atr", *OFTEN)
TUNE = ("tune", "rsi_macd_atr", "--objective", "total_return", "--trials", "40")
SEED = 20230101


def whole_runs(runs: Path) -> list[RunRecord]:
    """Read every run to the last byte; whatever else is there must be hidden."""
    for path in runs.iterdir() if runs.is_dir() else ():
        assert path.name.startswith(".") or (path / "run.json").is_file(), path
    found = records(runs).records
    for record in found:
        load(runs, record.id)
    return found


def test_json_is_all_that_stdout_gets(stored: Path) -> None:
    noisy = ("    m5, m15", "    print('noise')\n    m5, m15")
    said = finished("backtest", strategy(stored, "idea.py", noisy), "--json", cwd=stored)
    assert said.code == 0, said.err
    assert json.loads(said.out)["id"]
    assert "noise" in said.err


def test_a_refusal_with_json_keeps_stdout_empty(stored: Path) -> None:
    said = finished(*BACKTEST, "--json", "--from", "2030-01-01", cwd=stored)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("wick: no SYNTHUSDT um 1m candles from 2030-01-01")


def test_a_reader_that_stops_after_one_line_is_no_error(stored: Path) -> None:
    running = process(*BACKTEST, cwd=stored)
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.readline().startswith("rsi_macd_atr")
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait(60) == 0
    running.stderr.close()
    assert len(whole_runs(stored / "var" / "runs")) == 1


# A moment of a command: module, class in it or nothing, function, its how manieth call.
COMPUTING = ("backtest.signals", "", "signals_of", "1")
FIRST_FILE = ("data.runs", "", "write_table", "1")
SECOND_FILE = ("data.runs", "", "write_table", "2")
BEFORE_THE_NAME = ("pathlib", "Path", "rename", "1")
SEARCHING = ("research.tuning.scoring", "Scorer", "score", "2")
REPORTING = ("pathlib", "Path", "replace", "1")
MOMENTS = {
    "backtest computes": (COMPUTING, BACKTEST),
    "backtest writes its first file": (FIRST_FILE, BACKTEST),
    "backtest writes its second file": (SECOND_FILE, BACKTEST),
    "backtest names its run": (BEFORE_THE_NAME, BACKTEST),
    "tune names its run": (BEFORE_THE_NAME, TUNE),
    "report replaces the old one": (REPORTING, ("report", "old")),
}


@pytest.fixture
def with_a_run(stored: Path, command: Command) -> Path:
    """Give a working folder with a run called old, and its report."""
    assert command(*BACKTEST, "--name", "old").code == 0
    assert command("report", "old").code == 0
    return stored


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_leaves_nothing_and_says_so(with_a_run: Path, moment: str) -> None:
    before = tree(with_a_run)
    said = signalled(signal.SIGINT, *MOMENTS[moment], cwd=with_a_run)
    assert said == Said(130, "", "wick: stopped; nothing was left half-written\n")
    after = {name: its for name, its in tree(with_a_run).items() if ".studies" not in name}
    assert after == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_was_stopped_goes_on_with_the_trials_that_are_done(
    stored: Path, command: Command, number: int
) -> None:
    more = (*TUNE, "--trials", "60")
    said = signalled(number, SEARCHING, more, cwd=stored)
    if number == signal.SIGINT:
        assert said.code == 130
        assert said.err == (
            "wick: stopped with 40 of 60 trials done\nhint: the same command goes on with them\n"
        )
    assert not whole_runs(stored / "var" / "runs")
    assert command(*more, "--name", "resumed").code == 0
    at_once = ("--name", "at-once", "--study", "other")
    assert command(*more, *at_once).code == 0
    resumed, whole = (record_of(stored, name) for name in ("resumed", "at-once"))
    assert resumed.tune is not None and whole.tune is not None
    assert resumed.tune.trials == whole.tune.trials == 60
    assert resumed.result_hash == whole.result_hash
    assert resumed.tune.panel == whole.tune.panel


def record_of(folder: Path, name: str) -> RunRecord:
    return load(folder / "var" / "runs", name).record


def test_a_kill_leaves_no_half_run_and_the_next_command_clears_up(
    with_a_run: Path, command: Command
) -> None:
    runs = with_a_run / "var" / "runs"
    for moment in MOMENTS:
        said = signalled(signal.SIGKILL, *MOMENTS[moment], cwd=with_a_run)
        assert said.code == -signal.SIGKILL, (moment, said)
        assert [record.id for record in whole_runs(runs)] == ["old"], moment
    assert any(path.name.startswith(".unfinished") for path in runs.iterdir())
    assert command(*BACKTEST, "--name", "new").code == 0
    assert {path.name for path in runs.iterdir()} == {"old", "new", ".studies"}
    assert len(whole_runs(runs)) == 2
    assert command("report", "old").code == 0


def test_a_run_that_is_being_written_is_left_alone(stored: Path, command: Command) -> None:
    runs = stored / "var" / "runs"
    with scratch(runs) as writing:
        (writing / "trades.parquet").write_text("")
        assert command(*BACKTEST, "--name", "other").code == 0
        assert (writing / "trades.parquet").exists()
    assert {path.name for path in runs.iterdir()} == {"other"}


def test_kills_at_random_moments_leave_whole_runs_only(stored: Path, command: Command) -> None:
    runs = stored / "var" / "runs"
    dice = random.Random(SEED)
    for verb in (BACKTEST, TUNE, BACKTEST, TUNE, BACKTEST, TUNE):
        running = process(*verb, cwd=stored)
        # Up to about the length of an undisturbed run: which step it hits does not matter here.
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(dice.uniform(0.3, 2.0))
        running.kill()
        running.communicate()
        whole_runs(runs)
    count = len(whole_runs(runs))
    assert command(*BACKTEST).code == 0
    assert len(whole_runs(runs)) == count + 1
    assert not any(path.name.startswith(".unfinished") for path in runs.iterdir())


def test_an_interrupt_or_a_kill_while_compiling_does_no_harm(stored: Path) -> None:
    cache = stored / "cache"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    before = tree(stored)
    for number in (signal.SIGKILL, signal.SIGINT):
        running = process(*BACKTEST, cwd=stored, env=environment)
        seen = set(cache.rglob("*.nbi"))
        while set(cache.rglob("*.nbi")) == seen and running.poll() is None:
            time.sleep(0.02)  # until the next kernel is there: it is at work on another then
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
        assert out == ""
        if number == signal.SIGINT:
            assert running.returncode == 130
            assert err.endswith("wick: stopped; nothing was left half-written\n")
            assert "Traceback" not in err
    assert {p: raw for p, raw in tree(stored).items() if not p.startswith("cache")} == before
    done = process(*BACKTEST, "--json", cwd=stored, env=environment)
    out, err = done.communicate(timeout=300)
    assert done.returncode == 0, err
    assert json.loads(out)["id"]


def test_a_backtest_from_store_to_folder_does_without_pandas(stored: Path) -> None:
    # It takes 0.2 s and 40 MiB, and Arrow imports it for the smallest of reasons.
    code = (
        "import sys, wick\n"
        "try: wick.main(sys.argv[1:])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'pyarrow' in sys.modules and 'pandas' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *BACKTEST],
        cwd=stored,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_backtests_at_once_are_two_runs(stored: Path) -> None:
    both = [process(*BACKTEST, cwd=stored) for _ in range(2)]
    said = [running.communicate(timeout=300) for running in both]
    assert [running.returncode for running in both] == [0, 0], said
    found = whole_runs(stored / "var" / "runs")
    assert len({record.id for record in found}) == 2
    assert len({record.result_hash for record in found}) == 1
