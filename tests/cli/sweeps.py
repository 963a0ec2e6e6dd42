"""Sweeps that tests of the command run, and what they leave."""

from pathlib import Path

from data import runs as run_folders
from data.run_json import RunRecord

# Partial takes are walked, so that parts are small: 3 of them.
GRID = "channel=24:48:8,stop=1:4:0.5,take=3:8:1"
SWEEP = ("sweep", "breakout_donchian", "--grid", GRID, "--where", "take > stop")
SMALL = ("sweep", "breakout_donchian", "--grid", "channel=24|48,stop=2:4:1,costs.fee_rate=0|0.0005")
WRITE = ("backtest.sweeps.storage", "Parts", "write")


def contents(results: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in results.iterdir()}


def record(folder: Path, name: str) -> RunRecord:
    return run_folders.read_record(run_folders.find(folder / "var" / "runs", name))
