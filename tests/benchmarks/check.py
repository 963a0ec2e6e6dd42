"""`wick check` beside `wick backtest`, whole commands over a year of 1m candles."""

from pathlib import Path

from strategy.load import available
from tests.benchmarks.measure import Pair, process
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import END, START, Market

ROUNDS = 5
TEXT = """- Whole commands, each a process, by turns: from the store to the kept run or printed
  table. Compiled kernels and candles were read before."""


def section(markets: list[Market], folder: Path) -> Section:
    """Measure every strategy that comes with Candlewick, on the first market."""
    market = markets[0]
    flags = [
        "--symbols", market.symbol, "--market", market.market, "--timeframe", "1m", "--from", START,
        "--to", END, "--store", str(market.store), "--runs", str(folder / "checked"),
    ]  # fmt: skip

    def seconds(command: str, strategy: str) -> float:
        words = ["-m", "wick", command, strategy, *flags]
        return process(words, folder / "compiled", folder).seconds

    found = {}
    for name in available():
        for command in ("backtest", "check"):
            seconds(command, name)
        pairs = [(seconds("backtest", name), seconds("check", name)) for _ in range(ROUNDS)]
        found[name] = Pair.of(pairs)
    rows: Rows = [
        (name, f"{pair.ours:.2f} s", f"{pair.theirs:.2f} s", f"{pair.ratio:.2f}×")
        for name, pair in found.items()
    ]
    worst = max(pair.ratio for pair in found.values())
    target = Target(
        "wick check", "wick backtest, slowest of the strategies", worst, 3, float("nan"), "×", False
    )
    head = ("strategy", "wick backtest", "wick check", "ratio")
    figures = {name: [pair.ours, pair.theirs, pair.ratio] for name, pair in found.items()}
    return Section("Check", [(head, rows)], TEXT, [target], figures)
