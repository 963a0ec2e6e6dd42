"""wick sweep killed, interrupted and gone on with: to the very bytes, or not at all."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from backtest.sweeps.storage import Parts
from data import runs as run_folders
from strategy.errors import RunRefused
from tests.cli.conftest import (
    Command,
    Said,
    finished,
    is_refusal,
    signalled,
    strategy,
)
from tests.cli.sweeps import SMALL, SWEEP, WRITE, contents, record


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_killed_sweep_goes_on_to_the_very_bytes_of_an_undisturbed_one(
    small: Path, undisturbed: Path, at: int
) -> None:
    said = signalled(signal.SIGKILL, (*WRITE, str(at)), (*SWEEP, "--name", "mine"), small)
    assert said.code == -signal.SIGKILL
    runs = small / "var" / "runs"
    assert run_folders.records(runs).records == []
    assert len(list(runs.glob(".sweep-mine/results/part-*"))) == at - 1
    again = finished("sweep", "--resume", "mine", cwd=small)
    assert again.code == 0, again
    assert f"going on with mine, {at - 1} of 3 parts done" in again.err
    assert contents(runs / "mine" / "results") == contents(undisturbed)
    assert list(runs.glob(".*")) == []


def test_the_same_command_goes_on_with_what_a_killed_one_left(
    small: Path, undisturbed: Path
) -> None:
    signalled(signal.SIGKILL, ("os", "", "fsync", "4"), SWEEP, small)
    again = finished(*SWEEP, cwd=small)
    assert "going on with" in again.err
    assert contents(small / "var" / "runs" / again.run / "results") == contents(undisturbed)


def test_a_sweep_killed_while_it_becomes_a_run_is_finished_by_the_next(
    small: Path, undisturbed: Path
) -> None:
    moment = ("backtest.sweeps.kept", "", "publish", "1")
    said = signalled(signal.SIGKILL, moment, (*SWEEP, "--name", "mine"), small)
    assert said.code == -signal.SIGKILL
    assert run_folders.records(small / "var" / "runs").records == []
    assert finished("sweep", "--resume", "last", cwd=small).code == 0
    assert contents(small / "var" / "runs" / "mine" / "results") == contents(undisturbed)


def test_ctrl_c_ends_with_the_command_that_goes_on(small: Path, undisturbed: Path) -> None:
    said = signalled(signal.SIGINT, (*WRITE, "2"), (*SWEEP, "--name", "mine"), small)
    assert said.code == 130
    assert said.err.splitlines()[1:] == [
        "wick: stopped with 1 of 3 parts done",
        "hint: wick sweep --resume mine goes on with it",
    ]


@pytest.fixture
def stopped(small: Path, undisturbed: Path) -> Path:
    """Give a folder with an unfinished sweep of a file of the user's."""
    strategy(small, "mine.py")
    given = ("sweep", "mine.py", "--grid", "rsi=5:40:1,oversold=20:45:2.5", "--name", "left")
    said = signalled(signal.SIGKILL, (*WRITE, "1"), given, small)
    assert said.code == -signal.SIGKILL
    return small


def test_a_sweep_does_not_go_on_with_another_source(stopped: Path, command: Command) -> None:
    text = (stopped / "mine.py").read_text()
    (stopped / "mine.py").write_text(text + "\n# changed\n")
    said = command("sweep", "--resume", "left")
    is_refusal(said)
    assert "changed since it began: the strategy's source" in said.err


def test_a_changed_strategy_begins_anew_and_says_so(stopped: Path, command: Command) -> None:
    text = (stopped / "mine.py").read_text()
    (stopped / "mine.py").write_text(text + "\n# changed\n")
    command_left = ("sweep", "mine.py", "--grid", "rsi=5:40:1,oversold=20:45:2.5", "--name", "new")
    said = command(*command_left)
    assert said.code == 0, said
    assert "unfinished sweep left is of the same command" in said.err
    assert "changed: the strategy's source; this one begins anew" in said.err
    assert "wick sweep --resume left" in said.err
    assert f"delete {Path('var') / 'runs' / '.sweep-left'}" in said.err


def test_last_is_a_sweep_with_a_part_done(stopped: Path, refused: Callable[..., Said]) -> None:
    said = refused("sweep", "--resume", "last")
    assert "none of 1 unfinished sweep in " in said.err
    assert "wick sweep --resume left" in said.err


def test_a_sweep_that_fails_before_its_first_part_leaves_nothing(
    small: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RunRefused("the disk is full", "--resume goes on")

    monkeypatch.setattr(Parts, "write", fails)
    said = command(*SMALL)
    assert said.code == 1
    assert "begins anew" in said.err
    assert list((small / "var" / "runs").glob(".*sweep-*")) == []


def test_a_sweep_that_is_stopped_before_its_first_part_leaves_nothing(small: Path) -> None:
    said = signalled(signal.SIGINT, ("backtest.sweeps.running", "", "evaluate", "1"), SMALL, small)
    assert said.code == 130
    assert "stopped before the first part was done" in said.err
    assert list((small / "var" / "runs").glob(".sweep-*")) == []


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--grid", "rsi=5:40:1,oversold=20:42.5:2.5"), "the grid"),
        (("--fee-bps", "2"), "the costs"),
        (("--set", "costs.slippage=0"), "the costs"),
        (("--set", "risk.per_trade=0.02"), "the risk settings"),
        (("--set", "stop=3"), "the params"),
        (("--balance", "5000"), "the balance"),
        (("--to", "2023-01-10"), "the candles"),
    ],
)
def test_a_sweep_does_not_go_on_with_other_inputs(
    stopped: Path, command: Command, more: tuple[str, ...], named: str
) -> None:
    grid = () if more[0] == "--grid" else ("--grid", "rsi=5:40:1,oversold=20:45:2.5")
    said = command("sweep", "mine.py", *grid, *more, "--resume", "left")
    is_refusal(said)
    assert f"changed since it began: {named}\n" in said.err


@pytest.mark.parametrize(
    "more",
    [
        ("--balance", "5"), ("--set", "stop=3"), ("--grid", "rsi=1|2"), ("--objective", "calmar"),
        ("--where", "rsi > 5"), ("--seed", "0"), ("--name", "other"), ("--strict",),
    ],
)  # fmt: skip
def test_what_would_change_a_sweep_is_refused_with_resume(
    small: Path, refused: Callable[..., Said], more: tuple[str, ...]
) -> None:
    said = refused("sweep", "--resume", "left", *more)
    assert f"{more[0]} has no meaning with --resume left" in said.err
    assert "--threads, --memory, --top, --json" in said.err


def test_a_sweep_goes_on_with_the_objective_that_it_began_with(small: Path) -> None:
    given = (*SMALL, "--objective", "max_drawdown", "--name", "mine")
    signalled(signal.SIGKILL, ("backtest.sweeps.kept", "", "publish", "1"), given, small)
    said = finished("sweep", "--resume", "mine", "--top", "3", "--threads", "1", cwd=small)
    assert said.code == 0, said
    its = record(small, "mine").sweep
    assert its is not None
    assert its.objective == "max_drawdown"
