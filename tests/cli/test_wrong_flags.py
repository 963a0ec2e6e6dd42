"""Every wrong flag gets a sentence and a hint, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from tests.cli.conftest import START_MS, Command, Said, market, strategy, without

Refused = Callable[..., Said]

BLUEPRINT = "rsi_macd_atr"
# What is typed after `wick backtest`, and words of the answer.
BACKTEST = [
    ("rsi_macd_at", "no strategy 'rsi_macd_at'", "did you mean rsi_macd_atr?"),
    ("my/idea.py", "no strategy file my/idea.py", "copy strategy/rsi_macd_atr.py"),
    ("idea.py", "no strategy file idea.py", "copy"),
    (".", "no strategy '.'", "path of a .py file"),
    (f"{BLUEPRINT} --symbols SYNTHUSD", "SYNTHUSD um 1m is not", "did you mean SYNTHUSDT?"),
    (f"{BLUEPRINT} --symbols ,", "empty name", "--symbols BTCUSDT"),
    (f"{BLUEPRINT} --symbols SYNTHUSDT,synthusdt", "SYNTHUSDT twice", "--symbols SYNTHUSDT"),
    (f"{BLUEPRINT} --market uk", "unknown market 'uk'", "um"),
    (f"{BLUEPRINT} --market spot", "nothing of spot", "stored are um 1m"),
    (f"{BLUEPRINT} --symbols SYNTHUSDT --market spot", "SYNTHUSDT um 1m", "wick data fetch"),
    (f"{BLUEPRINT} --set oversol=20", "no parameter 'oversol'", "did you mean oversold?"),
    (f"{BLUEPRINT} --set risk.per_trad=1", "no setting 'per_trad'", "did you mean per_trade?"),
    (f"{BLUEPRINT} --set foo.bar=1", "no parameter 'foo.bar'", "known: atr"),
    (f"{BLUEPRINT} --set rsi", "--set rsi is not name=value", "--set rsi=21"),
    (f"{BLUEPRINT} --set rsi=", "not name=value", "--set rsi=21"),
    (f"{BLUEPRINT} --set =3", "not name=value", "--set rsi=21"),
    (f"{BLUEPRINT} --set rsi=abc", "rsi is 'abc', expected a number", "--set rsi=14"),
    (f"{BLUEPRINT} --set rsi=nan", "rsi is 'nan', expected a number", "14"),
    (f"{BLUEPRINT} --set stop=inf", "stop is 'inf', expected a number", "12"),
    (f"{BLUEPRINT} --set rsi=1.5", "'1.5', expected a whole number", "14"),
    (f"{BLUEPRINT} --set rsi=-3", "length is -3, expected a whole number from 1", "14"),
    (f"{BLUEPRINT} --set rsi=0", "length is 0, expected a whole number from 1", ""),
    (f"{BLUEPRINT} --set fast=30", "fast is 30, expected less than slow (26)", "shorter"),
    (f"{BLUEPRINT} --set risk.per_trade=0", "per_trade is 0", "--set risk.per_trade="),
    (f"{BLUEPRINT} --set risk.per_trade=2", "per_trade is 2", "--set risk.per_trade=0.01"),
    (f"{BLUEPRINT} --set risk.per_trade=nan", "per_trade is 'nan', expected a number", "=0.01"),
    (f"{BLUEPRINT} --set risk.leverage=2", "less than risk.max_leverage", "risk.leverage=3"),
    (f"{BLUEPRINT} --timeframe 5q", "unknown timeframe '5q'", "known: 1s"),
    (f"{BLUEPRINT} --timeframe 5m", "no 5m candles are stored", "--timeframe 5m"),
    (f"{BLUEPRINT} --symbols SYNTHUSDT --timeframe 5m", "SYNTHUSDT um 1m", "--timeframe 5m"),
    (f"{BLUEPRINT} --from 2024-01-01", "stored are 2023-01-01 00:00 to 2023-01-30 23:59", ""),
    (f"{BLUEPRINT} --to 2020-01-01", "stored are 2023-01-01 00:00", "a range inside"),
    (f"{BLUEPRINT} --from 2023-01-03 --to 2023-01-02", "2023-01-03 00:00 is not before", ""),
    (f"{BLUEPRINT} --from 2023-01-03 --to 2023-01-03", "is not before", "first"),
    (f"{BLUEPRINT} --from yesterday", "--from yesterday is not a date", "--from 2023-01-01"),
    (f"{BLUEPRINT} --to 2023-02-30", "--to 2023-02-30 is not a date", "--to 2023-01-01"),
    (f"{BLUEPRINT} --store nowhere", "the store nowhere holds no candles yet", "wick data fetch"),
    (f"{BLUEPRINT} --to 2023-01-01T10:00", "600 1m candles of SYNTHUSDT are too few", "--from"),
    (f"{BLUEPRINT} --intrabar wurst", "'wurst' is no assumption", "did you mean worst?"),
    (f"{BLUEPRINT} --intrabar detail", "no timeframe of finer candles", "--detail 1s"),
    (f"{BLUEPRINT} --intrabar best --detail 1s", "--intrabar best does not", "leave --detail"),
    (f"{BLUEPRINT} --detail 1s", "no 1s candles of SYNTHUSDT are stored", "wick data tumble"),
    (f"{BLUEPRINT} --detail 1m", "1m candles do not lie inside the 1m", "divides 1m"),
    (f"{BLUEPRINT} --detail soon", "'soon'", ""),
    (f"{BLUEPRINT} --balance 0", "balance is 0.0, expected from 1", "--balance 10000"),
    (f"{BLUEPRINT} --balance -1", "balance is -1.0", "--balance 10000"),
    (f"{BLUEPRINT} --balance nan", "balance is nan", "--balance 10000"),
    (f"{BLUEPRINT} --balance 1e300", "balance is 1e+300", "--balance 10000"),
    (f"{BLUEPRINT} --balance much", "Invalid value for '--balance'", "wick backtest --help"),
    (f"{BLUEPRINT} --fee-bps -1", "--fee-bps is -1, expected basis points", "--fee-bps 5"),
    (f"{BLUEPRINT} --fee-bps nan", "--fee-bps is nan", "0.05 %"),
    (f"{BLUEPRINT} --fees vip12", "--fees is 'vip12', expected vip0 to vip9", "--fees vip0"),
    (f"{BLUEPRINT} --fees vip1 --fee-bps 5", "--fees vip1 and --fee-bps both say", "leave one"),
    (
        f"{BLUEPRINT} --fees vip1 --set costs.maker_rate=0",
        "--fees vip1 and --set costs.maker_rate both say",
        "leave one",
    ),
    (f"{BLUEPRINT} --maker-fee-bps -1", "--maker-fee-bps is -1, expected", "--maker-fee-bps 5"),
    (f"{BLUEPRINT} --slippage-bps 1e9", "--slippage-bps is 1e+09", "--slippage-bps 5"),
    (f"{BLUEPRINT} --name a/b", "'a/b' cannot name a run", "my-first"),
    (f"{BLUEPRINT} --name ..", "'..' cannot name a run", "my-first"),
    (f"{BLUEPRINT} --name last", "'last' cannot name a run", "not last"),
    (f"{BLUEPRINT} --name {'x' * 60}", "cannot name a run", "up to 50"),
    (f"{BLUEPRINT} --name my.toml", "'my.toml' cannot name a run", ""),
    (f"{BLUEPRINT} --params my.toml", "no params file my.toml", "[params]"),
    (f"{BLUEPRINT} --params last", "there is no run in var/runs", "wick backtest"),
    (f"{BLUEPRINT} --bogus", "No such option: --bogus", "wick backtest --help"),
    (f"{BLUEPRINT} more", "extra argument", "wick backtest --help"),
    ("", "Missing argument 'STRATEGY'", "wick backtest --help"),
]
TUNE = [
    ("--trials 0", "--trials is 0, expected 1 to 1000000", "--trials 200"),
    ("--objective sharp", "unknown --objective 'sharp'", "did you mean sharpe?"),
    ("--objective fees", "unknown --objective 'fees'", "known: cagr"),
    ("--constraint max_drawdown", "is no figure, < or >, and a number", "max_drawdown<0.2"),
    ("--constraint drawdown<1", "names 'drawdown', which is no figure", ""),
    ("--constraint max_drawdown<-0.1", "is meant by its depth", "max_drawdown>0.1"),
    ("--constraint trades>9 --constraint trades<5", "cannot both hold", "leave one of them out"),
    ("--folds 0", "--folds is 0, expected 1 to 100", "--folds 5"),
    ("--sampler grid", "has no step", "--sampler qmc"),
    ("--storage ftp://here/x", "--storage ftp is of no known kind", "sqlite:///tune.db"),
    ("--constraint max_drawdown<20", "max_drawdown is a share", "max_drawdown<0.2"),
    ("--study a/b", "--study 'a/b' cannot name a study", "my-first"),
    ("--sampler tp", "unknown --sampler 'tp'", "did you mean tpe?"),
    ("--seed -1", "--seed is -1, expected 0", "--seed 1"),
    ("--seed 4294967296", "--seed is 4294967296", "--seed 1"),
    ("--split soon", "--split soon is not a date", "--split 2023-01-01"),
    ("--split 2023-01-01", "the searched span has no SYNTHUSDT candles", "between them"),
    ("--split 2024-01-01", "the hold-out has no SYNTHUSDT candles", "between them"),
    ("--split 2023-01-01T10:00", "600 1m candles of SYNTHUSDT are too few", ""),
    ("--to 2023-01-01T10:00", "are too few: the indicators of rsi_macd_atr need 750", ""),
    ("--name a/b", "'a/b' cannot name a run", "my-first"),
    ("--set oversol=20", "no parameter 'oversol'", "did you mean oversold?"),
]


@pytest.mark.parametrize("line", [line for line, *_ in BACKTEST])
def test_backtest_refuses_in_one_sentence(stored: Path, refused: Refused, line: str) -> None:
    _, what, mend = next(case for case in BACKTEST if case[0] == line)
    message, hint = refused("backtest", *line.split()).err.splitlines()
    assert what in message
    assert mend in hint


@pytest.mark.parametrize("line", [line for line, *_ in TUNE])
def test_tune_refuses_in_one_sentence(stored: Path, refused: Refused, line: str) -> None:
    _, what, mend = next(case for case in TUNE if case[0] == line)
    message, hint = refused("tune", BLUEPRINT, *line.split()).err.splitlines()
    assert what in message
    assert mend in hint


def test_an_empty_name_is_refused(stored: Path, refused: Refused) -> None:
    assert "'' cannot name a run" in refused("backtest", BLUEPRINT, "--name", "").err


def test_a_huge_length_is_not_printed_in_full(stored: Path, refused: Refused) -> None:
    said = refused("backtest", BLUEPRINT, "--set", "rsi=1e300")
    assert "parameter rsi is '1e300', expected a whole number" in said.err


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("demo --trials 0", "--trials is 0"),
        ("demo --data nowhere", "--data nowhere is no folder"),
        ("demo --data empty", "empty has no 1m candle files of BTCUSDT"),
        ("report", "there is no run in var/runs"),
        ("report --runs nowhere", "there is no run in nowhere"),
        ("backtst", "No such command 'backtst'. Did you mean 'backtest'?"),
        ("reprot", "Did you mean 'report'?"),
        ("--bogus", "No such option: --bogus"),
    ],
)
def test_the_other_commands_refuse_too(
    folder: Path, refused: Refused, line: str, what: str
) -> None:
    (folder / "empty").mkdir()
    assert what in refused(*line.split()).err


def test_without_candles_the_way_to_some_is_shown(folder: Path, refused: Refused) -> None:
    said = refused("backtest", BLUEPRINT)
    assert "the store var/store holds no candles yet" in said.err
    assert "hint: wick data fetch BTCUSDT --from 2023-01-01, or wick data import" in said.err


def test_several_symbols_ask_for_a_choice(stored: Path, refused: Refused) -> None:
    save(stored / "var" / "store", market(100, symbol="ABCUSDT"), "synthetic")
    said = refused("backtest", BLUEPRINT)
    assert "2 symbols are stored with 1m candles" in said.err
    assert "--symbols ABCUSDT or --symbols ABCUSDT,SYNTHUSDT" in said.err


def test_a_base_that_does_not_divide_is_refused_with_its_line(
    folder: Path, refused: Refused
) -> None:
    seven = 7 * 60_000
    made = synthetic_market(7, 9_996, START_MS // seven * seven, "7m")
    save(folder / "var" / "store", made, "synthetic")
    said = refused("backtest", BLUEPRINT, "--timeframe", "7m")
    assert "cannot build 5m candles from 7m ones" in said.err
    assert "rsi_macd_atr.py, line" in said.err


def test_holes_are_a_note_with_their_count_or_refused_when_strict(
    folder: Path, refused: Refused, command: Command
) -> None:
    save(folder / "var" / "store", without(market(5_000), 3_000, 1_234), "synthetic")
    said = refused("backtest", BLUEPRINT, "--strict", code=1)
    assert "SYNTHUSDT 1m lacks 1,234 candles" in said.err
    assert "wick data repair SYNTHUSDT" in said.err
    assert "1,234 candles are missing (wick data repair" in command("backtest", BLUEPRINT).out


def test_spot_alone_is_taken_and_said(folder: Path, command: Command) -> None:
    made = market(5_000)
    spot = Candles.from_arrays(symbol="SYNTHUSDT", market="spot", timeframe="1m", **made.arrays)
    save(folder / "var" / "store", spot, "synthetic")
    said = command("backtest", BLUEPRINT)
    assert said.code == 0
    assert "spot candles stand in for futures" in said.out


def test_an_indicator_without_any_value_is_named(stored: Path, refused: Refused) -> None:
    path = strategy(stored, "idea.py", ("rsi=rsi(c.close, p.rsi)", "rsi=c.close * float('nan')"))
    said = refused("backtest", path)
    assert "Row.rsi of idea has no value on any of 43,200 1m candles" in said.err
