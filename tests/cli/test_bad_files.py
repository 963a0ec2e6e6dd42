"""Folders that cannot be written, and stored candles, params files and runs that are damaged."""

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from data.writer import save
from tests.cli.conftest import (
    OFTEN,
    WICK,
    Command,
    Said,
    is_refusal,
    market,
    strategy,
    tree,
)

Refused = Callable[..., Said]

BLUEPRINT = "rsi_macd_atr"
PARAMS = [
    ("[params", "is not TOML: Expected ']'", "rsi = 14"),
    ("rsi = 3", "has the value 'rsi', expected the tables [params], [risk]", "[params]"),
    ("[parms]\nrsi = 3", "has the table 'parms', expected the tables", "did you mean params?"),
    ("[params]\nrsx = 3", "no parameter 'rsx'", "did you mean rsi?"),
    ("[params]\nrsi = 'a'", "rsi is 'a', expected a number", "14"),
    ("[params]\nrsi = true", "rsi is True, expected a number", "rsi = 1"),
    ("[params]\nrsi = [1]", "rsi is [1], expected a number", "14"),
    ("[risk]\nper_trade = 2", "risk.per_trade is 2", "--set risk.per_trade"),
]


@pytest.mark.parametrize("content", [content for content, *_ in PARAMS])
def test_a_wrong_params_file_is_refused(stored: Path, refused: Refused, content: str) -> None:
    _, what, mend = next(case for case in PARAMS if case[0] == content)
    (stored / "my.toml").write_text(content)
    message, hint = refused("backtest", BLUEPRINT, "--params", "my.toml").err.splitlines()
    assert what in message
    assert mend in hint


def test_a_params_file_of_another_kind_is_refused(stored: Path, refused: Refused) -> None:
    (stored / "my.cfg").write_text("[params]\nrsi = 3")
    said = refused("backtest", BLUEPRINT, "--params", "my.cfg")
    assert "my.cfg is neither a .toml file nor a run" in said.err
    assert "my.toml" in said.err


@pytest.mark.parametrize("runs", ["file", "file/runs", "/proc/nowhere"])
@pytest.mark.parametrize("verb", ["backtest", "tune"])
def test_a_runs_folder_that_cannot_be_written_is_refused_before_the_work(
    stored: Path, refused: Refused, verb: str, runs: str
) -> None:
    (stored / "file").write_text("")
    said = refused(verb, BLUEPRINT, "--runs", runs, code=1)
    assert f"runs cannot be kept in {runs}" in said.err
    assert "--runs, WICK_RUNS or wick.toml" in said.err


@pytest.mark.parametrize("store", ["file", "file/store", "/proc/nowhere"])
def test_a_store_that_is_no_folder_holds_nothing(
    folder: Path, refused: Refused, store: str
) -> None:
    (folder / "file").write_text("")
    assert (
        f"the store {store} holds no candles"
        in refused("backtest", BLUEPRINT, "--store", store).err
    )


def test_a_full_disk_leaves_nothing_half_written(stored: Path, command: Command) -> None:
    command("backtest", BLUEPRINT)  # so that the kernels are compiled
    before = tree(stored)
    # No file of this process may grow beyond 2 kB: what a full disk does, without one.
    done = subprocess.run(
        [*WICK, "backtest", BLUEPRINT],
        cwd=stored,
        text=True,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    assert said.code == 1
    is_refusal(said)
    assert "hint: make room; nothing was left half-written" in said.err
    assert tree(stored) == before


def damage(path: Path, at: float) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(at * len(raw))] ^= 0x10
    path.write_bytes(raw)


def candle_file(folder: Path) -> Path:
    return next((folder / "var" / "store").rglob("*.parquet"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_stored_file_cut_short_is_refused(stored: Path, refused: Refused, share: float) -> None:
    path = candle_file(stored)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    said = refused("backtest", BLUEPRINT)
    assert "2023-01.parquet is damaged" in said.err
    assert "hint: wick data repair SYNTHUSDT" in said.err


def test_a_flipped_bit_in_a_stored_file_is_refused(stored: Path, refused: Refused) -> None:
    damage(candle_file(stored), 0.4)
    assert "2023-01.parquet is damaged" in refused("backtest", BLUEPRINT).err


def test_a_missing_stored_file_is_refused(stored: Path, refused: Refused) -> None:
    candle_file(stored).unlink()
    assert (
        "2023-01.parquet is missing, but its manifest names it"
        in refused("backtest", BLUEPRINT).err
    )


def test_prices_that_are_no_prices_do_not_get_in(folder: Path, refused: Refused) -> None:
    minute = 1_672_531_200_000
    good = f"{minute},100,101,99,100,1,{minute + 59_999},100,1,1,100,0"
    for name, price in (("nan", "nan"), ("zero", "0"), ("negative", "-5"), ("text", "cheap")):
        bad = f"{minute + 60_000},{price},101,99,100,1,{minute + 119_999},100,1,1,100,0"
        path = folder / f"BTCUSDT-1m-2023-01-{name}.csv"
        path.write_text(f"{good}\n{bad}\n")
        flags = ("--symbol", "BTCUSDT", "--market", "um", "--timeframe", "1m")
        assert path.name in refused("data", "import", path.name, *flags).err


@pytest.fixture
def kept(stored: Path, command: Command) -> Path:
    """Give the folder of one run."""
    return stored / "var" / "runs" / command("backtest", BLUEPRINT, *OFTEN).run


def test_a_run_that_is_not_there_is_refused(kept: Path, refused: Refused) -> None:
    for verb in (("backtest", BLUEPRINT, "--params"), ("report",)):
        message, hint = refused(*verb, "nothing").err.splitlines()
        assert "there is no run 'nothing' in var/runs" in message
        assert kept.name in hint


def test_a_name_that_fits_several_runs_is_refused(
    kept: Path, refused: Refused, command: Command
) -> None:
    command("backtest", BLUEPRINT, "--name", "mine")
    command("backtest", BLUEPRINT, "--name", "mine-too")
    for verb in (("backtest", BLUEPRINT, "--params"), ("report",)):
        message, hint = refused(*verb, "min").err.splitlines()
        assert "2 runs in var/runs have 'min' in their name" in message
        assert "mine, mine-too" in hint


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"id": "x"}', "missing required field"),
        (None, "schema 99, expected 1"),
    ],
)
def test_a_record_that_is_damaged_or_of_another_version_is_refused(
    kept: Path, refused: Refused, content: bytes | None, why: str
) -> None:
    path = kept / "run.json"
    if content is None:
        content = msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {"schema": 99})
    path.write_bytes(content)
    for verb in (("backtest", BLUEPRINT, "--params"), ("report",)):
        for name in (kept.name, "last"):
            message, hint = refused(*verb, name).err.splitlines()
            assert "run.json is damaged or of another version" in message
            assert why in message
            assert "make the run again and delete" in hint


def test_one_damaged_run_does_not_hide_the_last(kept: Path, stored: Path, command: Command) -> None:
    record = msgspec.json.decode((kept / "run.json").read_bytes())
    (kept / "run.json").write_bytes(msgspec.json.encode(record | {"mood": "good"}))
    command("backtest", BLUEPRINT, *OFTEN, "--name", "newer")
    assert "of run newer" in command("backtest", BLUEPRINT, "--params", "last").out.replace(
        "as run", "of run"
    )


@pytest.mark.parametrize(
    ("file", "at"),  # pages of data carry a checksum; what follows them only describes it
    [
        ("trades.parquet", 0.02),
        ("trades.parquet", 0.3),
        ("equity.parquet", 0.02),
        ("equity.parquet", 0.5),
        ("equity.parquet", 0.9),
    ],
)
def test_a_flipped_bit_in_a_run_is_refused(
    kept: Path, refused: Refused, file: str, at: float
) -> None:
    damage(kept / file, at)
    message, hint = refused("report", kept.name).err.splitlines()
    assert f"{file} is damaged" in message
    assert "make the run again" in hint


def test_a_run_without_its_files_is_refused(kept: Path, refused: Refused) -> None:
    (kept / "trades.parquet").unlink()
    assert "trades.parquet is damaged" in refused("report", kept.name).err


TUNE = [
    ("", "TUNE is missing or empty", 2),
    ("TUNE = {}", "TUNE is missing or empty", 2),
    ("TUNE = [('rsi', 5, 40)]", "TUNE is list", 2),
    ("TUNE = {'rsx': (1, 2)}", "TUNE names 'rsx', which is not in Params", 2),
    ("TUNE = {'rsi': 5}", "TUNE['rsi'] is 5, expected a range or a list", 2),
    ("TUNE = {'rsi': (5,)}", "TUNE['rsi'] is (5,)", 2),
    ("TUNE = {'rsi': (40, 5)}", "TUNE['rsi'] is (40, 5)", 2),
    ("TUNE = {'rsi': (5.5, 40)}", "of whole numbers", 2),
    ("TUNE = {'rsi': (5, 40, 2.5)}", "of whole numbers", 2),
    ("TUNE = {'rsi': [5, 7.5]}", "of whole numbers", 2),
    ("TUNE = {'rsi': [True, False]}", "of whole numbers", 2),
    ("TUNE = {'rsi': []}", "TUNE['rsi'] is []", 2),
    ("TUNE = {'rsi': ['a']}", "TUNE['rsi'] is ['a']", 2),
    ("TUNE = {'rsi': (5, 40, 'lg')}", "TUNE['rsi'] is (5, 40, 'lg')", 2),
    ("TUNE = {'oversold': (1.0, float('nan'))}", "(1.0, nan)", 2),
    ("TUNE = {'oversold': (1.0, float('inf'))}", "(1.0, inf)", 2),
    ("TUNE = {'oversold': (0.0, 5.0, 'log')}", "(0.0, 5.0, 'log')", 2),
    ("TUNE = {'fast': (30, 40)}", "none of 4 trials gave a sharpe; the last one: ", 1),
    ("TUNE = {'rsi': (5, 5)}", "none of 4 trials gave a sharpe; the last one: ", 1),
]


@pytest.mark.parametrize("space", [space for space, *_ in TUNE])
def test_a_wrong_search_space_is_refused(stored: Path, refused: Refused, space: str) -> None:
    _, what, code = next(case for case in TUNE if case[0] == space)
    text = (Path(strategy(stored, "idea.py"))).read_text()
    begin = text.index("TUNE = {")
    end = text.index("}\n", begin) + 2
    Path("idea.py").write_text(f"{text[:begin]}{space}\n{text[end:]}")
    flags = ("--trials", "4", "--to", "2023-01-10")
    assert what in refused("tune", "idea.py", *flags, code=code).err


def test_trials_that_all_break_end_the_search(stored: Path, refused: Refused) -> None:
    always = ("(x.rsi < p.oversold) & (x.macd_5m > 0) & (x.close_15m > x.trend_15m)", "x.rsi < 101")
    path = strategy(stored, "idea.py", always)
    flags = ("--set", "risk.per_trade=1", "--set", "risk.max_leverage=20", "--fee-bps", "900")
    said = refused("tune", path, *flags, "--trials", "3", code=1)
    assert "none of 3 trials gave a sharpe; the last one: the balance was used up" in said.err


def test_two_symbols_one_without_candles_there_are_refused(stored: Path, refused: Refused) -> None:
    save(stored / "var" / "store", market(3_000, symbol="ABCUSDT"), "synthetic")
    said = refused("tune", BLUEPRINT, "--symbols", "SYNTHUSDT,ABCUSDT", "--trials", "2")
    assert "the hold-out has no ABCUSDT candles" in said.err
