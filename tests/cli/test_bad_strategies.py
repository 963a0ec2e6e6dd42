"""What a strategy file can have wrong, and what a run of one can come to."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import LONG_RULE, OFTEN, SHORT_RULE, Command, Said, strategy

Refused = Callable[..., Said]
RISKY = ("--set", "risk.per_trade=1", "--set", "risk.max_leverage=20", "--fee-bps", "900")

BROKEN = [
    (
        LONG_RULE,
        "(x.rsi < p.oversold) and (x.macd_5m > 0)",
        "rule enter_long: 'and' and 'or' cannot be used in a rule",
        "write & and |",
    ),
    ("return p.stop * x.atr", "return p.stop * x.art", "Row has no field 'art'", "atr?"),
    ("    m5, m15", "    raise KeyError('boom')\n    m5, m15", "KeyError: 'boom'", "compare"),
    ("c.close, p.rsi", "c.closes, p.rsi", "no field 'closes'", "close"),
    ("c.close, p.rsi", "c.close, p.rsii", "no attribute 'rsii'", "compare with"),
    ('c.resample("5m")', 'c.resample("90s")', "cannot build 90s candles from 1m", "multiple"),
    ("return Row(", "return Row((", "'(' was never closed", "compare with"),
    (
        "from typing",
        "import nixda\nfrom typing",
        "No module named 'nixda'",
        "a strategy is one file: write it in there, or install nixda",
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_strategy_is_named_with_file_and_line(
    stored: Path, refused: Refused, case: tuple[str, str, str, str]
) -> None:
    old, new, what, mend = case
    path = strategy(stored, "idea.py", (old, new))
    message, hint = refused("backtest", path).err.splitlines()
    assert "idea.py, line " in message
    assert what in message
    assert mend in hint


def test_a_column_that_is_not_aligned_is_named(stored: Path, refused: Refused) -> None:
    path = strategy(stored, "idea.py", ("m15.align(ema(m15.close, p.trend))", "m15.close"))
    said = refused("backtest", path)
    assert "Row.trend_15m has 15m values, expected 1m" in said.err


def test_a_strategy_that_ends_the_process_is_no_success(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", ("    m5, m15", "    raise SystemExit('bye')\n    m5, m15"))
    said = command("backtest", path)
    assert said.code == 2
    assert "SystemExit: bye" in said.err
    assert not (stored / "var" / "runs").exists()
    silent = strategy(stored, "idea.py", ("    m5, m15", "    raise SystemExit\n    m5, m15"))
    assert command("check", silent).code == 1


def test_what_a_strategy_prints_is_kept_out_of_the_json(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", ("    m5, m15", "    print('hello')\n    m5, m15"))
    for said in (
        command("backtest", path, "--json"),
        command("tune", path, "--trials", "8", "--objective", "total_return", "--json"),
    ):
        assert said.code == 0, said.err
        assert json.loads(said.out)["strategy"]["name"] == "idea"
        assert "hello" in said.err


@pytest.mark.parametrize("stop", ["0", "-1"])
def test_a_run_whose_every_entry_lacks_a_stop_distance_is_refused(
    stored: Path, refused: Refused, stop: str
) -> None:
    said = refused("backtest", "rsi_macd_atr", *OFTEN, "--set", f"stop={stop}", code=1).err
    assert re.search(r"every one of [\d,]+ entries was refused: stop or take distance", said)
    assert "hint: look at the rules stop_distance and take_distance" in said


def test_a_run_whose_every_entry_lacks_a_limit_distance_is_refused(
    stored: Path, refused: Refused
) -> None:
    text = "\n\n@rule\ndef limit_distance(x: Row, p: Params) -> float:\n    return -x.atr\n"
    path = Path(strategy(stored, "idea.py"))
    path.write_text(path.read_text() + text)
    said = refused("backtest", str(path), *OFTEN, code=1).err
    assert re.search(r"every one of [\d,]+ entries was refused: limit distance below zero", said)
    assert "hint: look at the rule limit_distance" in said


def test_rules_that_contradict_each_other_are_said(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py", (LONG_RULE, "x.rsi < 101"), (SHORT_RULE, "x.rsi < 101"))
    said = command("backtest", path)
    assert "most for both entry rules true: let enter_long and enter_short exclude" in said.out


def test_rules_that_never_hold_are_said(stored: Path, command: Command) -> None:
    said = command("backtest", "rsi_macd_atr", "--set", "oversold=0", "--set", "overbought=100")
    assert "note: no trade: no entry rule ever held" in said.out


def test_a_balance_that_is_used_up_ends_the_run_with_its_time(
    stored: Path, refused: Refused
) -> None:
    path = strategy(stored, "idea.py", (LONG_RULE, "x.rsi < 101"))
    said = refused("backtest", path, *RISKY, code=1)
    assert "the balance was used up at 2023-01-0" in said.err
    assert "hint: lower risk.per_trade or risk.max_leverage" in said.err
