"""The README says what is: its strategy, its commands and its figures."""

import importlib
import re
from pathlib import Path

import pytest
import typer

import wick
from backtest.engine import backtest
from data.files.importer import Labels, import_file
from data.run_record import figures_of
from data.show import shown
from data.store import load as load_candles
from data.symbols import grids_of, rules_for
from strategy.load import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
YEAR_2023_MS = 1_672_531_200_000


def blocks(mark: str) -> str:
    """Return the code block behind a comment."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def wick_lines() -> list[str]:
    """Return every command line of the README that calls wick."""
    return re.findall(r"(?:^|`|\$ |/)wick ([a-z][^`\n]*)", README)


def test_the_strategy_shown_is_the_shipped_one() -> None:
    shipped = (ROOT / "strategy" / "rsi_macd_atr.py").read_text()
    for part in blocks("strategy").split("\n\n\n"):
        assert part.strip() in shipped


def test_the_two_commands_come_first() -> None:
    assert README.index("make demo") < README.index("make test") < README.index("## ")


@pytest.mark.parametrize("line", wick_lines())
def test_every_command_and_flag_of_the_readme_exists(line: str) -> None:
    words = re.sub(r"\s+#.*", "", line).rstrip(",").split()
    module, _, attribute = wick.COMMANDS[words[0]][0].partition(":")
    command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
    inner = getattr(command, "commands", {})
    if inner:
        command = inner[words[1].rstrip(",")]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} - {"--help"} <= known


def test_the_figures_of_the_readme_are_those_of_the_real_year(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "klines" / "BTCUSDT-spot-1m-20220101-20231231.parquet"
    now_ms = 1_800_000_000_000
    import_file(tmp_path, path, Labels(start_ms=YEAR_2023_MS), now_ms)
    candles = load_candles(tmp_path, "spot", "BTCUSDT", "1m")
    strategy = load("rsi_macd_atr")
    rules = rules_for("spot", "BTCUSDT")
    assert rules is not None
    grids = grids_of([rules])
    result = backtest(strategy, candles, grids=grids)
    figures = {figure.label: shown(figure) for figure in figures_of(result)}
    table = [
        line for line in blocks("demo").split("$ wick tune")[0].splitlines() if line[:2] == "  "
    ]
    told = [re.split(r"\s{2,}", line.strip()) for line in table]
    pairs = [(line[at], line[at + 1]) for line in told for at in range(0, len(line), 2)]
    assert len(pairs) == 12
    assert {label: figures[label] for label, _ in pairs} == dict(pairs)
