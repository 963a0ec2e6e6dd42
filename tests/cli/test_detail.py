"""wick backtest on finer candles of the store, and what it says about the interval."""

import json
from pathlib import Path

import numpy as np
import pytest

from backtest import Run
from data.writer import save
from strategy.candles import Candles
from tests.cli.conftest import Command, market

# Long at every close, with levels that a single candle often reaches.
TIGHT = """
from typing import NamedTuple

from strategy.rules import rule
from strategy.risk import Risk

TIMEFRAME = "15m"

class Params(NamedTuple):
    stop: float = 0.001

class Row(NamedTuple):
    close: float

def indicators(c, p):
    return Row(c.close)

@rule
def enter_long(x, p):
    return x.close > 0

@rule
def stop_distance(x, p):
    return p.stop * x.close

@rule
def take_distance(x, p):
    return p.stop * x.close

RISK = Risk(per_trade=0.0005)
"""


def coarse(fine: Candles, times: int, timeframe: str) -> Candles:
    """Join candles of a market without gaps."""
    arrays = {name: values.reshape(-1, times) for name, values in fine.arrays.items()}
    return Candles.from_arrays(
        symbol=fine.symbol,
        market=fine.market,
        timeframe=timeframe,
        open_time=arrays["open_time"][:, 0],
        open=arrays["open"][:, 0],
        high=arrays["high"].max(axis=1),
        low=arrays["low"].min(axis=1),
        close=arrays["close"][:, -1],
        volume=arrays["volume"].sum(axis=1),
    )


@pytest.fixture
def both(folder: Path) -> Path:
    """Give a store with 15m candles and the 1m ones inside them, and a strategy."""
    (folder / "tight.py").write_text(TIGHT)
    fine = market(20 * 1440)
    save(folder / "var" / "store", fine, "seeded")
    save(folder / "var" / "store", coarse(fine, 15, "15m"), "seeded")
    return folder


def test_finer_candles_are_named_read_and_kept_in_the_record(both: Path, command: Command) -> None:
    words = ("backtest", "tight.py")
    plain = command(*words)
    assert "one candle touched stop and take in" in plain.out
    assert "worst case: final equity" in plain.out
    told = command(*words, "--detail", "1m")
    assert "finer candles told which came first in" in told.out
    record = json.loads((both / "var" / "runs" / told.run / "run.json").read_text())
    assert record["costs"]["intrabar"] == 2.0
    assert record["data"][0]["detail"]["timeframe"] == "1m"
    its = record["interval"]
    assert its["resolved"] > 0
    assert its["wanting"] == 0
    assert its["worst"]["equity"] < its["best"]["equity"]
    assert (both / "var" / "runs" / told.run / "run.json").stat().st_size < 100_000
    # The same inputs from the run: to the last bit.
    again = command("backtest", "tight.py", "--params", told.run)
    assert "to the last bit" in again.out
    assert "Between worst and best" in command_report(command, both, told.run)


def command_report(command: Command, folder: Path, run: str) -> str:
    """Write a run's report and return it."""
    command("report", run)
    return (folder / "var" / "runs" / run / "report.html").read_text()


def test_candles_without_their_finer_ones_are_counted(folder: Path, command: Command) -> None:
    (folder / "tight.py").write_text(TIGHT)
    fine = market(20 * 1440)
    save(folder / "var" / "store", coarse(fine, 15, "15m"), "seeded")
    keep = np.arange(20 * 1440) < 10 * 1440
    arrays = {name: values[keep] for name, values in fine.arrays.items()}
    half = Candles.from_arrays(symbol=fine.symbol, market="um", timeframe="1m", **arrays)
    save(folder / "var" / "store", half, "seeded")
    told = command("backtest", "tight.py", "--detail", "1m")
    its = Run.load(told.run).record.interval
    assert its is not None
    assert its.wanting > 0
    assert its.walked > 0
    assert f"{its.wanting:,} had none that fit or might have liquidated" in told.out
