"""Many symbols on one balance: time and memory by symbols and by years.

python -m tests.benchmarks.portfolio
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from backtest.engine import backtest
from data.many import load_many
from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from strategy.load import Strategy, load
from tests.benchmarks.measure import process
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import COSTS, PARAMS, START, STRATEGY, Market, day_ms

YEAR = 525_600
SEEDS = 8  # different years; further symbols have the same ones at other prices
SYMBOLS = (10, 20, 50, 100)
YEARS = (0.5, 1.0)
# A hundredth of W's: a hundred symbols trade a hundred times as often.
RISK = {"per_trade": 0.0001, "max_leverage": 3.0, "daily_loss_limit": 0.0}
BALANCE = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Timed:
    """One portfolio, in memory.

    Attributes
    ----------
    alone_seconds : float
        The sum over the same symbols, each run by itself.
    one_thread_seconds, seconds : float
        The portfolio with its signals in one thread, and in one a core.
    """

    symbols: int
    years: float
    trades: int
    alone_seconds: float
    one_thread_seconds: float
    seconds: float

    @property
    def ratio(self) -> float:
        """The portfolio's time over the sum of single runs, both with one thread."""
        return self.one_thread_seconds / self.alone_seconds


@dataclass(frozen=True, slots=True)
class Whole:
    """One `wick backtest` in a process of its own, from the store to the kept run."""

    symbols: int
    years: float
    seconds: float
    peak_mib: float
    candles_mib: float

    @property
    def ratio(self) -> float:
        """Peak memory over that of the candles: six arrays of eight bytes a row."""
        return self.peak_mib / self.candles_mib


def names(count: int) -> list[str]:
    """Return the symbols of a portfolio."""
    return [f"S{at:03d}USDT" for at in range(count)]


def fill(store: Path, count: int, minutes: int = YEAR) -> None:
    """Store that many symbols' candles: a few seeded markets, prices scaled for each symbol."""
    years = [synthetic_market(seed, minutes, day_ms(START)) for seed in range(SEEDS)]
    for at, name in enumerate(names(count)):
        save(store, renamed(years[at % SEEDS], name, 1.0 + at // SEEDS), f"seed {at % SEEDS}")


def renamed(candles: Candles, name: str, factor: float) -> Candles:
    """Return a market's candles as another symbol's, with prices times a factor."""
    arrays: dict[str, Any] = {
        field: values * factor if field in ("open", "high", "low", "close") else values
        for field, values in candles.arrays.items()
    }
    return Candles.from_arrays(symbol=name, market="um", timeframe="1m", **arrays)


def measure(store: Path, count: int, years: float, rounds: int = 3) -> Timed:
    """Time a portfolio beside the sum of its symbols' single runs; medians of a few rounds."""
    end = day_ms(START) + round(years * YEAR) * 60_000
    candles = load_many(store, "um", names(count), "1m", day_ms(START), end, ())
    strategy = load(STRATEGY)
    _seconds(strategy, candles[:1], 1)  # its rules' kernels are loaded at their first call
    trades, seconds = 0, []
    for _ in range(rounds):
        alone = sum(_seconds(strategy, [one], 1)[0] for one in candles)
        single, trades = _seconds(strategy, candles, 1)
        seconds.append((alone, single, _seconds(strategy, candles, None)[0]))
    return Timed(count, years, trades, *np.median(seconds, axis=0).tolist())


def _seconds(
    strategy: Strategy, candles: Sequence[Candles], threads: int | None
) -> tuple[float, int]:
    params, risk = strategy.with_params(PARAMS), strategy.with_risk(RISK)
    start = perf_counter()
    result = backtest(
        strategy,
        candles,
        params=params,
        risk=risk,
        costs=COSTS,
        balance=BALANCE,
        threads=threads,
    )
    return perf_counter() - start, len(result.trades)


def whole(store: Path, count: int, years: float, folder: Path) -> Whole:
    """Run `wick backtest` over a portfolio and take its time and peak memory."""
    flags = [f"--set={name}={value}" for name, value in PARAMS.items()]
    flags += [f"--set=risk.{name}={value}" for name, value in RISK.items()]
    end = np.datetime64(day_ms(START) + round(years * YEAR) * 60_000, "ms")
    flags += [f"--store={store}", f"--runs={folder / 'runs'}", "--market=um", f"--to={end}"]
    flags += [f"--symbols={','.join(names(count))}", f"--balance={BALANCE:g}"]
    done = process(["-m", "wick", "backtest", STRATEGY, *flags], folder / "compiled", folder)
    rows = count * round(years * YEAR)
    return Whole(count, years, done.seconds, done.peak_mib, rows * 48 / 2**20)


def measure_portfolio(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Measure all sizes; `make bench` puts the answer into its table."""
    store = folder / "portfolio"
    fill(store, SYMBOLS[-1])
    whole(store, 1, YEARS[0], folder)  # compiles
    sizes = [(count, YEARS[-1]) for count in SYMBOLS] + [(SYMBOLS[-1], one) for one in YEARS[:-1]]
    timed = [measure(store, *size) for size in sizes]
    wholes = [whole(store, *size, folder) for size in sizes[-2:]]
    return {
        "timed": [asdict(one) | {"ratio": one.ratio} for one in timed],
        "whole": [asdict(one) | {"ratio": one.ratio} for one in wholes],
    }


def section(markets: list[Market], folder: Path) -> Section:
    """Measure all sizes, on candles of their own."""
    found = measure_portfolio(folder)
    timed: Rows = [
        (
            f"{one['symbols']} × {one['years']:g}",
            f"{one['trades']:,}",
            f"{one['alone_seconds']:.2f} s",
            f"{one['one_thread_seconds']:.2f} s",
            f"{one['seconds']:.2f} s",
            f"{one['one_thread_seconds'] / one['symbols'] / one['years'] * 1e3:.1f} ms",
        )
        for one in found["timed"]
    ]
    wholes: Rows = [
        (
            f"{one['symbols']} × {one['years']:g}",
            f"{one['seconds']:.2f} s",
            f"{one['peak_mib']:,.0f} MiB",
            f"{one['candles_mib']:,.0f} MiB",
        )
        for one in found["whole"]
    ]
    most = next(one for one in found["timed"] if one["symbols"] == SYMBOLS[-1])
    memory = max(one["ratio"] for one in found["whole"])
    targets = [
        Target(f"{SYMBOLS[-1]} symbols × 1 year", "the sum of single runs", most["ratio"], 1.5, 1.1,
               "×", False, "the walk looks at all symbols' candles in turn"),
        Target("its peak memory", "its candles", memory, 2, float("nan"), "×", False,
               "signals and the engine's own columns"),
    ]  # fmt: skip
    head = ("symbols × years", "trades", "each alone", "one thread", "a thread a core",
            "a symbol and year")  # fmt: skip
    head_whole = ("wick backtest, own process", "time", "peak memory", "candles")
    text = (
        "One balance, W with a hundredth of its risk; seeded markets, in memory, and below in a"
        "\nprocess of its own from the store to the kept run."
    )
    return Section("Portfolio", [(head, timed), (head_whole, wholes)], text, targets, found)


def main() -> None:
    """Print all sizes."""
    with tempfile.TemporaryDirectory() as scratch:
        for what, rows in measure_portfolio(Path(scratch)).items():
            for row in rows:
                figures = "  ".join(f"{name} {value:g}" for name, value in row.items())
                sys.stdout.write(f"{what}: {figures}\n")


if __name__ == "__main__":
    main()
