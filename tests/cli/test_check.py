"""wick check and wick new, as they are typed."""

import io
import json
from pathlib import Path

import pytest

from data.writer import save
from tests.cli.conftest import Command, market, strategy

BACKWARDS = """def ahead(c):
    return type(c.close)(c.close._values[::-1].copy(), "1m")


def indicators("""
LOOK = ("def indicators(", BACKWARDS)
SHIFT = ("c.close, p.atr),\n    )", "c.close, p.atr) + 0.001 * ahead(c),\n    )")


def test_a_new_strategy_is_checked_on_what_is_stored_and_nothing_is_found(
    stored: Path, command: Command
) -> None:
    said = command("new", "ideas/my_idea")
    assert said.code == 0
    assert said.out == (
        "wrote ideas/my_idea.py\nnext: wick check ideas/my_idea.py\n"
        "      wick backtest ideas/my_idea.py\n"
    )
    said = command("check", "ideas/my_idea.py")
    assert (said.code, said.err) == (0, "")
    assert "my_idea  SYNTHUSDT um 1m of var/store" in said.out
    assert "43,200 candles, 2023-01-01 00:00 to 2023-01-31 00:00 UTC" in said.out
    assert "history ends early, every bar" in said.out
    assert "nothing found" in said.out
    assert not (stored / "var" / "runs").exists()


def test_a_new_strategy_runs_with_flags_a_file_and_a_run(stored: Path, command: Command) -> None:
    assert command("new", "my_idea").code == 0
    (stored / "my.toml").write_text("[params]\ndip = 31\n\n[risk]\nper_trade = 0.002\n")
    first = command("backtest", "my_idea.py", "--set", "dip=31", "--set", "risk.per_trade=0.002")
    second = command("backtest", "my_idea.py", "--params", "my.toml")
    third = command("backtest", "my_idea.py", "--params", first.run)
    runs = [
        json.loads((stored / "var" / "runs" / one.run / "run.json").read_text())
        for one in (first, second, third)
    ]
    assert [run["params"]["dip"] for run in runs] == [31.0, 31.0, 31.0]
    assert [run["risk"]["per_trade"] for run in runs] == [0.002, 0.002, 0.002]
    assert len({run["result_hash"] for run in runs}) == 1
    for params in (["--set", "dip=31"], ["--params", "my.toml"], ["--params", first.run]):
        said = command("check", "my_idea.py", *params, "--to", "2023-01-03", "--json")
        assert json.loads(said.out)["clean"], said.out


def test_a_look_ahead_is_told_in_a_sentence_with_a_hint(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", SHIFT, LOOK)
    said = command("check", path, "--to", "2023-01-02")
    assert said.code == 1
    found = [line for line in said.out.splitlines() if line.startswith("found: ")]
    assert any(line.startswith("found: Row.atr is ") and " UTC" in line for line in found)
    lines = (stored / path).read_text().splitlines()
    at = next(at for at, line in enumerate(lines, 1) if "_values" in line)
    assert f"found: line {at} reads _values, which is private" in found
    assert "hint: it reads candles after its own" in said.out


def test_json_holds_every_check_and_finding(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", SHIFT, LOOK)
    said = command("check", path, "--to", "2023-01-02", "--json")
    assert said.code == 1
    whole = json.loads(said.out)
    assert not whole["clean"]
    (history,) = whole["histories"]
    kinds = {one["kind"] for check in history["checks"] for one in check["findings"]}
    assert kinds == {"beginning", "chunks", "future", "private"}
    atr = next(one for check in history["checks"] for one in check["findings"] if one["seen"])
    assert atr["seen"] != atr["expected"]
    assert {line["where"] for line in history["settling"]} >= {"Row.rsi", "stop_distance"}


def test_what_a_strategy_prints_is_kept_out_of_the_json(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", ("    m5, m15", "    print('hello')\n    m5, m15"))
    said = command("check", path, "--to", "2023-01-02", "--json")
    assert json.loads(said.out)["clean"]
    assert "hello" in said.err


def test_a_column_kept_from_an_earlier_call_is_a_finding(stored: Path, command: Command) -> None:
    kept = (
        "    m5, m15",
        "    KEPT.setdefault(1, atr(c.high, c.low, c.close, p.atr))\n    m5, m15",
    )
    store = ("def indicators(", "KEPT = {}\n\n\ndef indicators(")
    path = strategy(
        stored, "idea.py", kept, store, ("atr=atr(c.high, c.low, c.close, p.atr)", "atr=KEPT[1]")
    )
    said = command("check", path, "--to", "2023-01-02")
    assert said.code == 1
    assert "stops in a later run" in said.out
    assert "Row.atr has 1,440 values for" in said.out
    assert (
        "hint: make every column anew in indicators(), none is kept from call to call" in said.out
    )


def test_what_a_strategy_reads_from_the_terminal_is_a_finding(
    stored: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n" * 100_000))
    path = strategy(stored, "idea.py", ("    m5, m15", "    input()\n    m5, m15"))
    said = command("check", path, "--to", "2023-01-02")
    assert said.code == 1
    assert "asks input(), which the candles do not determine" in said.out


def test_a_file_that_breaks_the_grammar_is_a_finding(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", ("(x.rsi < p.oversold) & (", "(x.rsi < p.oversold) and ("))
    said = command("check", path)
    assert said.code == 1
    assert "found: " in said.out
    assert "'and' and 'or' cannot be used in a rule" in said.out
    assert "hint: write & and |" in said.out
    again = command("check", path, "--json")
    assert again.code == 1
    assert json.loads(again.out)["histories"][0]["checks"][0]["kind"] == "refused"


def test_without_candles_a_made_up_market_is_taken_and_said(folder: Path, command: Command) -> None:
    strategy(folder, "idea.py", ('TIMEFRAME = "1m"', 'TIMEFRAME = "4h"'), *TO_DAYS)
    said = command("check", "idea.py")
    assert said.code == 0, said
    assert "a made-up 4h market: no candles are stored" in said.out
    assert "5,000 candles" in said.out


TO_DAYS = (('c.resample("5m"), c.resample("15m")', 'c.resample("1d"), c.resample("1w")'),)


def test_the_longest_series_is_taken_where_several_are_stored(
    folder: Path, command: Command
) -> None:
    save(folder / "var" / "store", market(2_000, symbol="AUSDT"), "synthetic")
    save(folder / "var" / "store", market(3_000, symbol="BUSDT"), "synthetic")
    said = command("check", "rsi_macd_atr")
    assert said.code == 0
    assert "BUSDT um 1m" in said.out
    both = command("check", "rsi_macd_atr", "--symbols", "AUSDT,BUSDT", "--json")
    assert [one["symbol"] for one in json.loads(both.out)["histories"]] == ["AUSDT", "BUSDT"]


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("check rsi_macd_at", "no strategy 'rsi_macd_at'"),
        ("check idea.py", "no strategy file idea.py"),
        ("check rsi_macd_atr --to 2023-01-01T00:40", "40 1m candles of SYNTHUSDT are too few"),
        ("check rsi_macd_atr --set rsl=3", "no parameter 'rsl'"),
        ("check rsi_macd_atr --symbols NOUSDT", "NOUSDT um 1m"),
        ("check rsi_macd_atr --from 2030-01-01", "stored are"),
        ("new class", "it is a word of Python itself"),
        ("new 3x", "it is not a Python name"),
        ("new my-idea", "it is not a Python name"),
        ("new ideas/", "'' cannot name a strategy: it is not a Python name"),
        ("new .", "'.' cannot name a strategy"),
        ("new numpy", "the name of a Python module"),
        ("new json", "the name of a Python module"),
        ("new rsi_macd_atr", "the name of a strategy that comes with Candlewick"),
        ("new taken", "taken.py exists already"),
        ("new taken.py", "taken.py exists already"),
    ],
)
def test_wrong_use_is_refused(stored: Path, command: Command, typed: str, what: str) -> None:
    (stored / "taken.py").write_text("mine")
    said = command(*typed.split())
    assert said.code == 2, said
    assert what in said.err
    assert said.err.splitlines()[-1].startswith("hint: ")
    assert (stored / "taken.py").read_text() == "mine"
    assert sorted(path.name for path in stored.iterdir()) == ["taken.py", "var"]
