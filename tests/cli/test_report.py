"""wick report from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.writer import save
from tests.cli.conftest import BLUEPRINT, OFTEN, Command, Said, market, tree

Refused = Callable[..., Said]


@pytest.fixture
def kept(stored: Path, command: Command) -> Path:
    """Give the folder of one run."""
    return stored / "var" / "runs" / command("backtest", "rsi_macd_atr", *OFTEN).run


def test_a_report_is_written_into_the_run_or_where_one_wishes(kept: Path, command: Command) -> None:
    said = command("report")
    assert (said.code, said.err) == (0, "")
    assert Path(said.out.strip()).resolve() == kept / "report.html"
    assert (kept / "report.html").read_text().startswith("<!")
    command("report", kept.name, "--output", "mine.html")
    assert Path("mine.html").read_bytes() == (kept / "report.html").read_bytes()


def test_a_report_of_changed_candles_says_so(kept: Path, stored: Path, command: Command) -> None:
    with_candles = command("report").out.strip()
    size = Path(with_candles).stat().st_size
    save(stored / "var" / "store", market(1440, seed=8), "synthetic")
    said = command("report")
    assert said.code == 0
    assert f"has not the candles of run {kept.name} any more" in said.err
    assert (kept / "report.html").stat().st_size < size


def test_a_report_without_its_store_says_so(kept: Path, command: Command) -> None:
    said = command("report", "--store", "nowhere")
    assert said.code == 0
    assert "nowhere has not the candles" in said.err


@pytest.mark.parametrize("output", ["file/report.html", "/proc/nowhere/report.html", "folder"])
def test_a_report_that_cannot_be_written_is_refused(
    kept: Path, stored: Path, command: Command, output: str
) -> None:
    (stored / "file").write_text("")
    (stored / "folder").mkdir()
    before = tree(stored)
    said = command("report", "--output", output)
    assert said.code == 1
    assert said.err.startswith(f"wick: the report cannot be written to {output}: ")
    assert "hint: " in said.err
    assert tree(stored) == before


def test_a_run_reads_the_columns_its_strategy_names_and_its_report_finds_them_again(
    stored: Path, command: Command
) -> None:
    plain = json.loads(command("backtest", "rsi_macd_atr", "--json").out)["data"][0]
    assert plain["columns"] == ["open_time", "open", "high", "low", "close", "volume"]
    buyers = BLUEPRINT.replace("atr=atr(", "atr=0.0 * c.taker_buy + atr(")
    (stored / "buyers.py").write_text(buyers)
    said = json.loads(command("backtest", "buyers.py", *OFTEN, "--json").out)["data"][0]
    assert said["columns"] == [*plain["columns"], "taker_buy"]
    assert said["fingerprint"] != plain["fingerprint"]
    shown = json.loads(command("data", "show", "SYNTHUSDT", "--json").out)[0]
    assert shown["fingerprint"] == plain["fingerprint"]
    assert command("report").err == ""
