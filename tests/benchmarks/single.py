"""W once: warm in one process beside vectorbt's engines, backtesting.py and a plain loop, cold in
processes of their own, and candle by candle."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.benchmarks.measure import Finished, Pair, alternate, process, seconds_of
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import (
    COSTS,
    END,
    PARAMS,
    RISK,
    START,
    STRATEGY,
    Candlewick,
    Market,
)

WARM_ROUNDS, COLD_ROUNDS = 9, 5
STREAM_WARM, STREAM_STEPS = 20_000, 3_000
READS = 15
TEXT = """- *warm* is candles in memory to trades and figures, in one process, everything compiled.
- *own process* is `wick backtest` on a filled store, to the saved run, against a script that reads
  the same files; the first run ever compiles the kernels. Where SciPy is installed, as vectorbt
  needs it, Numba imports it too: about 0.25 s and 16 MiB that a plain install does not pay.
- *candle by candle* is one new candle through the tape to all signals of W, as in live trading.
- *from the store to arrays* is all columns of all 12 files, which lie in the page cache.
- *pandas and a loop* is W without a library, `tests/benchmarks/naive_w.py`; backtesting.py takes
  its indicators from there.
- vectorbt has no leverage, begins to look at stops one candle after the entry and does not reverse
  sizes in percent, so its trades are not the same ones; `tests/backtest/test_vectorbt_referee.py`
  makes the rules equal and compares trade by trade. Sizes of backtesting.py are whole units, its
  stops lie from the decision's close.

What bounds W: half is writing and reading a dozen columns that do not fit the processor's nearer
cache together, a fifth the walk over the trades, an eighth the figures; the rest is Python between
the kernels, 70 µs a chunk of history. Two threads on the chunks of one history took longer: they
wait for each other's interpreter lock. A process waits for the
imports of Numba (0.4 s) and PyArrow, and for its first compiled call."""


def section(markets: list[Market], folder: Path) -> Section:
    """Measure all of it."""
    cold, first = _cold(markets[0], folder)
    rows: Rows = []
    ratios: dict[str, dict[str, Pair]] = {}
    for market in markets:
        found, trades = _warm(market)
        ratios[market.name] = found
        ours = next(iter(found.values())).ours
        rows.append((f"warm, {market.name}", "Candlewick", _time(ours), trades["Candlewick"], ""))
        rows += [
            ("", name, _time(pair.theirs), trades[name], f"{pair.ratio:,.1f}×")
            for name, pair in found.items()
        ]
    stream = _stream(markets[0])
    read = seconds_of(markets[0].read, READS)
    for name, (seconds, memory) in cold.items():
        rows.append(
            (
                f"own process, {markets[0].name}",
                name,
                f"{_time(seconds.ours)} and {_time(seconds.theirs)}",
                "",
                f"{seconds.ratio:.1f}×",
            )
        )
        share = f"{memory.ours:.0f} and {memory.theirs:.0f} MiB"
        rows.append(("its peak memory", name, share, "", f"{1 / memory.ratio:.2f} of it"))
    rows += [
        ("first run ever", "Candlewick", _time(first.seconds), "", ""),
        ("candle by candle", "Candlewick", f"{stream * 1e6:.0f} µs", "", ""),
        ("its year from the store to arrays", "Candlewick", _time(read), "", ""),
    ]
    rust, event = (
        ratios[markets[0].name]["vectorbt Rust"],
        ratios[markets[0].name]["backtesting.py"],
    )
    seconds, memory = cold["vectorbt Rust"]
    targets = [
        Target("W once, warm", "vectorbt Rust", rust.ratio, 20, 40, "×", True,
               "columns in and out of the cache, the walk, calls"),
        Target("W once, own process", "vectorbt Rust", seconds.ratio, 3, 4.5, "×", True, "imports"),
        Target("its peak memory", "vectorbt Rust", 1 / memory.ratio, 0.5, float("nan"), "×", False,
               "imports"),
        Target("W once, event-driven peer", "backtesting.py", event.ratio, 500, 2_000, "×", True),
        Target("streaming step, all of W", "", stream * 1e6, 150, 50, " µs", False,
               "calls of Python, 10 a candle"),
    ]  # fmt: skip
    figures = {
        "warm": {
            name: {peer: asdict(pair) for peer, pair in its.items()} for name, its in ratios.items()
        },
        "cold": {n: {"seconds": asdict(s), "peak_mib": asdict(m)} for n, (s, m) in cold.items()},
        "first_seconds": first.seconds,
        "stream_seconds": stream,
        "read_seconds": read,
    }
    head = ("W", "", "time", "trades", "Candlewick is faster by")
    return Section("One run", [(head, rows)], TEXT, targets, figures)


def _warm(market: Market) -> tuple[dict[str, Pair], dict[str, str]]:
    from tests.benchmarks import backtesting_w, naive_w, vectorbt_w

    ours = Candlewick(market.candles())
    arrays = ours.candles.arrays
    peers: dict[str, tuple[Callable[[], int], int, int]] = {
        "vectorbt Rust": (partial(vectorbt_w.run, arrays), 3, WARM_ROUNDS),
        "vectorbt Numba": (partial(vectorbt_w.run, arrays, "numba"), 3, WARM_ROUNDS),
        "pandas and a loop": (partial(naive_w.run, arrays), 1, 3),
        "backtesting.py": (partial(backtesting_w.run, arrays), 1, 1),
    }
    found, trades = {}, {"Candlewick": f"{ours.run()}"}
    for name, (run, calls, rounds) in peers.items():
        if rounds > 1:
            run()
        counts: list[int] = []
        found[name] = alternate(
            lambda: seconds_of(ours.run, 5),
            lambda run=run, calls=calls, counts=counts: seconds_of(  # type: ignore[misc]
                lambda: counts.append(run()), calls
            ),
            rounds,
        )
        trades[name] = f"{counts[-1]}"
    return found, trades


def _cold(market: Market, folder: Path) -> tuple[dict[str, tuple[Pair, Pair]], Finished]:
    cache = folder / "compiled"
    flags = [f"--set={name}={value}" for name, value in PARAMS.items()]
    flags += [f"--set=risk.{name}={value}" for name, value in RISK.items()]
    flags += [f"--fee-bps={COSTS.fee_rate * 1e4:g}", f"--slippage-bps={COSTS.slippage * 1e4:g}"]
    flags += [f"--store={market.store}", f"--runs={folder / 'runs'}"]
    flags += [f"--market={market.market}", f"--symbols={market.symbol}"]
    ours = ["-m", "wick", "backtest", STRATEGY, f"--from={START}", f"--to={END}", *flags]
    months = market.store / market.market / market.symbol / "1m"
    first = process(ours, cache, folder)
    found = {}
    for name, engine, rounds in (
        ("vectorbt Rust", "rust", COLD_ROUNDS),
        ("vectorbt Numba", "numba", 2),
    ):
        theirs = ["-m", "tests.benchmarks.vectorbt_w", str(months), engine]
        process(theirs, cache, folder)
        runs = [
            (process(ours, cache, folder), process(theirs, cache, folder)) for _ in range(rounds)
        ]
        found[name] = (
            Pair.of([(a.seconds, b.seconds) for a, b in runs]),
            Pair.of([(a.peak_mib, b.peak_mib) for a, b in runs]),
        )
    return found, first


def _stream(market: Market) -> float:
    step = Candlewick(market.candles()).step(STREAM_WARM)
    return seconds_of(step, STREAM_STEPS)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
