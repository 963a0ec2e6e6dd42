"""wick demo without a network, with files, and interrupted."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.runs import load, records
from tests.cli.conftest import Command, market, signalled


@pytest.fixture
def silent_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point at a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("WICK_ARCHIVE_URL", url)
        yield url


def test_without_an_archive_the_demo_says_loudly_that_its_market_is_made_up(
    folder: Path, silent_archive: str, command: Command
) -> None:
    said = command("demo", "--trials", "5")
    assert said.code == 0, said.err
    assert "SYNTHETIC market drawn from seed" in said.out
    assert f"{silent_archive} did not answer (at most 3 s were waited)" in said.out
    assert said.out.count("is a synthetic market, seed 7: its prices are made up") == 2
    assert "and the same equity, to the last bit" in said.out
    assert "\nAll of it took" in said.out
    runs = folder / "var" / "runs"
    found = records(runs).records
    assert [record.kind for record in found] == [
        "backtest", "tune", "holdout", "backtest", "parity"
    ]  # fmt: skip
    assert found[3].result_hash == found[1].result_hash
    for record in found[:2]:
        assert (runs / record.id / "report.html").is_file()
    next_lines = said.out.split("Next, try:\n")[1].splitlines()
    assert command(*next_lines[0].split()[1:]).code == 0


def test_a_demo_of_files_runs_on_them(folder: Path, command: Command) -> None:
    arrays = market(45 * 1440).arrays
    fields = ("open_time", "open", "high", "low", "close", "volume")
    lines = [
        ",".join([*map(str, row), str(int(row[0]) + 59_999), "1,1,1,1,0"])
        for row in zip(*(arrays[name].tolist() for name in fields), strict=True)
    ]
    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    header += "taker_buy_volume,taker_buy_quote_volume,ignore"
    (folder / "klines").mkdir()
    path = folder / "klines" / "BTCUSDT-1m-2023.csv"
    path.write_text("\n".join(lines))  # only futures files have a header
    said = command("demo", "--data", "klines", "--trials", "20")
    assert said.code == 2
    assert "cannot tell the market of BTCUSDT-1m-2023.csv" in said.err
    assert "hint: wick data import klines: add --market um or --market spot; then" in said.err
    path.write_text("\n".join([header, *lines]))
    said = command("demo", "--data", "klines", "--trials", "20")
    assert said.code == 0, said.err
    assert "SYNTHETIC" not in said.out
    assert "BTCUSDT um 1m" in said.out


def test_an_interrupted_demo_leaves_whole_runs_only(folder: Path) -> None:
    moment = ("research.demo", "", "gather", "1")
    nowhere = {"WICK_ARCHIVE_URL": "http://127.0.0.1:9"}
    said = signalled(signal.SIGINT, moment, ("demo", "--trials", "5"), folder, **nowhere)
    assert said.code == 130
    assert said.err == "wick: stopped; nothing was left half-written\n"
    runs = folder / "var" / "runs"
    assert [load(runs, path.name).record.kind for path in runs.iterdir()] == ["backtest"]
