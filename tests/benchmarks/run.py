"""All benchmarks in one run: `make bench`, or `python -m tests.benchmarks.run`."""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.indicators import Timed, against_talib
from tests.benchmarks.live import measure_live
from tests.benchmarks.measure import ROOT, Pair, alternate, process, seconds_of
from tests.benchmarks.workload import (
    COSTS,
    END,
    PARAMS,
    RISK,
    START,
    STRATEGY,
    Candlewick,
    Market,
    markets,
)

WARM_ROUNDS = 9
COLD_ROUNDS = 5
STREAM_WARM, STREAM_STEPS = 20_000, 3_000
READS = 15


@dataclass(frozen=True, slots=True)
class Warm:
    """W again and again in one process."""

    market: str
    whole: Pair
    trades: int
    their_trades: int


@dataclass(frozen=True, slots=True)
class Cold:
    """W once in a process of its own."""

    market: str
    first_seconds: float
    seconds: Pair
    peak_mib: Pair


def main() -> None:
    """Measure, print, and write the JSON and Markdown files."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with console.status("filling stores"):
            every = markets(folder, ROOT.parent / "shared" / "data" / "klines")
        with console.status("W in processes of their own"):
            cold = measure_cold(every[0], folder)
        warm = []
        for market in every:
            with console.status(f"W warm, {market.name}"):
                warm.append(measure_warm(market))
        with console.status("candle by candle, and indicators beside TA-Lib"):
            stream = measure_stream(every[0])
            read = seconds_of(every[0].read, READS)
            indicators: list[Timed] = against_talib(every[0].candles())
    with console.status("the live side, some minutes"):
        live = measure_live()
    report.write(console, warm, cold, stream, read, indicators, live)


def measure_warm(market: Market) -> Warm:
    """Compare W on arrays in memory, in one process, both sides compiled."""
    from tests.benchmarks import vectorbt_w

    ours = Candlewick(market.candles())
    theirs = partial(vectorbt_w.run, ours.candles.arrays)
    trades, their_trades = ours.run(), theirs()
    whole = alternate(
        lambda: seconds_of(ours.run, 5), lambda: seconds_of(theirs, 3), rounds=WARM_ROUNDS
    )
    return Warm(market.name, whole, trades, their_trades)


def measure_cold(market: Market, folder: Path) -> Cold:
    """Compare `wick backtest` with a script, from a filled store, kernels compiled before."""
    cache = folder / "compiled"
    flags = [f"--set={name}={value}" for name, value in PARAMS.items()]
    flags += [f"--set=risk.{name}={value}" for name, value in RISK.items()]
    flags += [f"--fee-bps={COSTS.fee_rate * 1e4:g}", f"--slippage-bps={COSTS.slippage * 1e4:g}"]
    flags += [f"--store={market.store}", f"--runs={folder / 'runs'}"]
    flags += [f"--market={market.market}", f"--symbols={market.symbol}"]
    ours = ["-m", "wick", "backtest", STRATEGY, f"--from={START}", f"--to={END}", *flags]
    months = market.store / market.market / market.symbol / "1m"
    theirs = ["-m", "tests.benchmarks.vectorbt_w", str(months)]
    first = process(ours, cache, folder)
    process(theirs, cache, folder)
    runs = [
        (process(ours, cache, folder), process(theirs, cache, folder)) for _ in range(COLD_ROUNDS)
    ]
    return Cold(
        market.name,
        first.seconds,
        Pair.of([(a.seconds, b.seconds) for a, b in runs]),
        Pair.of([(a.peak_mib, b.peak_mib) for a, b in runs]),
    )


def measure_stream(market: Market) -> float:
    """Return the seconds of one more candle through the tape: indicators and rules."""
    step = Candlewick(market.candles()).step(STREAM_WARM)
    return seconds_of(step, STREAM_STEPS)


if __name__ == "__main__":
    main()
