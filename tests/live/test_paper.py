"""wick live on paper, every part real: exchange, sockets, Redis, roles, run."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data.dates import now_ms, parse_time
from data.runs import load
from data.synthetic import synthetic_market
from data.writer import save
from live import journal
from live.connect import connect
from live.journal_records import Asked
from live.records import Control
from live.session import read_session
from tests.backtest.test_real_funding import add_funding
from tests.live.test_supervisor import alive

ROOT = Path(__file__).resolve().parents[2]
WICK = (sys.executable, str(ROOT / "wick.py"))
MAY = parse_time("2025-05-01", "--from")
# The blueprint decides rarely; so it trades within hours.
OFTEN = ("--set", "oversold=45", "--set", "overbought=55", "--set", "stop=4", "--set", "take=6")
LIVE = ("live", "rsi_macd_atr", "--on", "paper", "--name", "mine", *OFTEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a working folder with two days and a half of BTCUSDT."""
    market = synthetic_market(7, 60 * 60, MAY, "1m", "BTCUSDT")
    save(tmp_path / "var" / "store", market, "synthetic")
    return tmp_path


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WICK_")}


def wick(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WICK, *arguments],
        cwd=folder,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )


@contextmanager
def playing(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a session until the first decision is taken, and leave nothing of it in the end."""
    with subprocess.Popen(
        [*WICK, *LIVE, *arguments],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        try:
            journal = folder / "var" / "sessions" / "mine" / "journal"
            while not journal.exists() or b'"is":"decided"' not in journal.read_bytes():
                assert running.poll() is None, running.communicate()
                time.sleep(0.05)
            yield running
        finally:
            running.kill()


def status(folder: Path) -> dict[str, object]:
    said = wick(folder, "session", "status", "--json")
    assert said.returncode == 0, said.stderr
    result: dict[str, object] = json.loads(said.stdout)
    return result


def pids(folder: Path) -> list[int]:
    roles = status(folder)["roles"]
    assert isinstance(roles, list)
    return [one["pid"] for one in roles]


def test_a_replay_in_lockstep_runs_to_its_end_and_is_kept(folder: Path) -> None:
    every_ten = [(MAY + minute * 60_000, 0.0001) for minute in range(0, 60 * 60, 10)]
    add_funding(folder / "var" / "store", "BTCUSDT", every_ten)
    said = wick(folder, *LIVE, "--speed", "lockstep", "--to", "2025-05-03T06:00", "--json")
    assert said.returncode == 0, said.stderr
    record = json.loads(said.stdout)
    assert (record["id"], record["kind"]) == ("mine", "paper")
    run = load(folder / "var" / "runs", "mine")
    assert len(run.time) == 360
    assert run.record.figure("trades").value
    assert sum(run.trades["funding"].to_pylist()) != 0.0
    assert not [note for note in run.record.notes if "besides the trades" in note]
    assert wick(folder, "report", "mine").returncode == 0
    listed = wick(folder, "session", "list", "--json")
    assert [(one["session"], one["state"]) for one in json.loads(listed.stdout)] == [
        ("mine", "ended")
    ]
    again = wick(folder, *LIVE)
    assert again.returncode == 2
    assert "one on paper cannot go on" in again.stderr


def test_ctrl_c_ends_a_session_in_order_and_keeps_its_run(folder: Path) -> None:
    with playing(folder, "--speed", "600") as running:
        roles = pids(folder)
        assert len(roles) == 4
        said = wick(folder, "session", "pause")
        assert said.returncode == 0, said.stderr
        assert status(folder)["standing"]["state"] == "paused"  # type: ignore[index]
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "run var/runs/mine" in out
    assert load(folder / "var" / "runs", "mine").record.kind == "paper"
    assert not any(alive(pid) for pid in roles)
    said = wick(folder, "session", "resume")
    assert said.returncode == 2
    assert "the session mine is not running" in said.stderr


def test_a_supervisor_that_is_killed_leaves_no_process_behind(folder: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux can tie a child to its parent")
    with playing(folder, "--speed", "60") as running:
        roles = pids(folder)
        running.send_signal(signal.SIGKILL)
    for pid in roles:
        while alive(pid):
            time.sleep(0.02)
    assert status(folder)["running"] is False


def test_a_killed_trader_is_there_again_and_the_session_goes_on(folder: Path) -> None:
    # Long enough to outlast the question who the trader is, on a loaded machine too.
    span = ("--from", "2025-05-02", "--to", "2025-05-03T06:00")
    with playing(folder, "--speed", "lockstep", *span) as running:
        os.kill(next(pid for pid, name in named(folder) if name == "trader"), signal.SIGKILL)
        out, err = running.communicate(timeout=240)
    assert running.returncode == 0, err
    assert "run var/runs/mine" in out
    assert len(load(folder / "var" / "runs", "mine").time) == 30 * 60


def test_a_trader_obeys_what_it_was_asked_while_it_was_dead_unless_that_is_too_late(
    folder: Path,
) -> None:
    with playing(folder, "--speed", "60") as running:
        os.kill(next(pid for pid, name in named(folder) if name == "trader"), signal.SIGKILL)
        session = folder / "var" / "sessions" / "mine"

        async def ask_long_ago() -> None:
            bus = await connect(read_session(session), session)
            await bus.ask(Control("flatten", "somebody", until_ms=now_ms() - 1))
            await bus.close()

        asyncio.run(ask_long_ago())
        said = wick(folder, "session", "pause")
        assert said.returncode == 0, said.stderr
        found = [one for one in journal.read(session) if isinstance(one, Asked)]
        assert [(one.command, one.by, one.late) for one in found] == [
            ("flatten", "somebody", True),
            ("pause", "command line", False),
        ]
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=120)


def test_a_trader_that_somebody_ends_is_there_again(folder: Path) -> None:
    with playing(folder, "--speed", "60") as running:
        (old,) = [pid for pid, name in named(folder) if name == "trader"]
        os.kill(old, signal.SIGTERM)
        while "trader started again 1 time: exit code 143" not in str(status(folder)["troubles"]):
            assert running.poll() is None
        # Said as soon as it starts; on a busy machine its first sign of life comes seconds later.
        until_s = time.monotonic() + 60
        while [pid for pid, name in named(folder) if name == "trader"] == [old]:
            assert running.poll() is None
            assert time.monotonic() < until_s
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=120)


def named(folder: Path) -> list[tuple[int, str]]:
    roles = status(folder)["roles"]
    assert isinstance(roles, list)
    return [(one["pid"], one["role"]) for one in roles]
