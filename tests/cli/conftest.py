"""A folder as a user has it: a store with a small made-up market, strategies, runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import wick
from data.dates import parse_time
from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from tests.cli.sweeps import SWEEP

ROOT = Path(__file__).resolve().parents[2]
WICK = [sys.executable, str(ROOT / "wick.py")]
START_MS = parse_time("2023-01-01", "--from")
BLUEPRINT = (ROOT / "strategy" / "rsi_macd_atr.py").read_text()
LONG_RULE = "(x.rsi < p.oversold) & (x.macd_5m > 0) & (x.close_15m > x.trend_15m)"
SHORT_RULE = "(x.rsi > p.overbought) & (x.macd_5m < 0) & (x.close_15m < x.trend_15m)"
# The blueprint decides rarely; so it trades on a small market too.
OFTEN = ("--set", "oversold=45", "--set", "overbought=55", "--set", "stop=4", "--set", "take=6")


def market(
    minutes: int, *, seed: int = 7, symbol: str = "SYNTHUSDT", timeframe: str = "1m"
) -> Candles:
    """Draw a market that begins with 2023."""
    return synthetic_market(seed, minutes, START_MS, timeframe, symbol)


def without(candles: Candles, first: int, count: int) -> Candles:
    """Leave candles out in the middle."""
    keep = np.ones(len(candles.arrays["open_time"]), bool)
    keep[first : first + count] = False
    arrays = {name: values[keep] for name, values in candles.arrays.items()}
    its = (candles.symbol, candles.market, candles.timeframe)
    return Candles.from_arrays(symbol=its[0], market=its[1], timeframe=its[2], **arrays)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Read everything below a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> str:
        """The id of the run it kept."""
        match = re.search(r"^run .*/(\S+)$", self.out, re.MULTILINE)
        assert match is not None, self.out
        return match[1]


Command = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty working folder, with nothing set from outside."""
    for name in ("WICK_STORE", "WICK_RUNS", "WICK_SESSIONS", "WICK_REDIS", "WICK_ARCHIVE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def a_month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with 30 days of SYNTHUSDT, to be copied."""
    store = tmp_path_factory.mktemp("month") / "store"
    save(store, market(30 * 1440), "synthetic")
    return store


@pytest.fixture
def stored(folder: Path, a_month: Path) -> Path:
    """Give a working folder with 30 days of SYNTHUSDT in its store."""
    shutil.copytree(a_month, folder / "var" / "store")
    return folder


@pytest.fixture
def command(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give the command line inside this process."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            wick.main(arguments)
        said = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Said(stopped.value.code, said.out, said.err)

    return run


@pytest.fixture
def refused(folder: Path, command: Command) -> Callable[..., Said]:
    """Give a command line that must refuse: a sentence, a hint, and nothing changed on the disk."""

    def run(*arguments: str, code: int = 2) -> Said:
        before = tree(folder)
        said = command(*arguments)
        assert said.code == code, said
        is_refusal(said)
        assert tree(folder) == before
        return said

    return run


def is_refusal(said: Said) -> None:
    """Check the shape of a refusal: one sentence, one hint, no traceback, nothing on stdout."""
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 2, said.err
    assert lines[0].startswith("wick: "), said.err
    assert not lines[0].startswith("wick: unexpected"), said.err
    assert lines[1].startswith("hint: "), said.err
    assert all(len(line) < 500 for line in lines)


def process(*arguments: str, cwd: Path, **options: object) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(  # type: ignore[call-overload]  # options are a mapping
        [*WICK, *arguments],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


# Runs the command line and sends this process a signal at the nth call of a function.
HARNESS = """
import importlib, os, sys
import wick
number, module, owner, name, at = sys.argv[1:6]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
real, calls = getattr(holder, name), []
def reached(*args, **kwargs):
    calls.append(None)
    if len(calls) == int(at):
        os.kill(os.getpid(), int(number))
    return real(*args, **kwargs)
setattr(holder, name, reached)
wick.main(sys.argv[6:])
"""


def signalled(
    number: int, moment: Sequence[str], arguments: Sequence[str], cwd: Path, **env: str
) -> Said:
    """Run the command line in a process that gets a signal at a call of a function."""
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, str(int(number)), *moment, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def finished(*arguments: str, cwd: Path) -> Said:
    """Run the command line as a process of its own, to its end."""
    with process(*arguments, cwd=cwd) as running:
        out, err = running.communicate(timeout=120)
    return Said(running.returncode, out, err)


def strategy(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """Write the blueprint with some text replaced, and return its file's name."""
    text = BLUEPRINT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return name


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with 15 days, to be copied."""
    store = tmp_path_factory.mktemp("days") / "store"
    save(store, market(15 * 1440), "synthetic")
    return store


@pytest.fixture
def small(folder: Path, days: Path) -> Path:
    shutil.copytree(days, folder / "var" / "store")
    return folder


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, days: Path) -> Path:
    """Give the results of the sweep that nobody stopped."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(days, home / "var" / "store")
    # The first of all processes here: it may have to compile, whatever else the machine does.
    with process(*SWEEP, "--name", "calm", cwd=home) as running:
        out, err = running.communicate(timeout=600)
    assert running.returncode == 0, (out, err)
    return home / "var" / "runs" / "calm" / "results"
