"""The figures as a table on the screen, as JSON in var/ and as docs/performance.md."""

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.indicators import Timed
    from tests.benchmarks.live import Hop, Live
    from tests.benchmarks.run import Cold, Warm

TEXT = """# Speed

Written by `make bench`, which measures on your machine and replaces this page.

{machine}

The workload W: one year of 1m candles; RSI and ATR over 14 candles, MACD 12/26/9 on 5m, an average
over 50 candles of 15m; long below RSI 30 in a rising market, short above 70 in a falling one; stop
at 2 ATR, take at 3 ATR, 1 % of the wallet at risk, fee 0.05 %, slippage 0.01 %. Beside it the same
written for vectorbt's Rust engine, the fastest of the libraries we know, with its own indicators:
`tests/benchmarks/vectorbt_w.py`. Both sides run in turn; figures are medians, and a ratio is the
median over runs next to each other. Absolute times move with the machine and its load by a third;
ratios much less.

{tables}

- *warm* is candles in memory to trades and figures, in one process, everything compiled.
- *own process* is `wick backtest` on a filled store, to the saved run, against a script that reads
  the same files; the first run ever compiles the kernels. Where SciPy is installed, as vectorbt
  needs it, Numba imports it too: about 0.25 s and 16 MiB that a plain install does not pay.
- *candle by candle* is one new candle through the tape to all signals of W, as in live trading.
- *from the store to arrays* is all columns of all 12 files, which lie in the page cache.
- vectorbt has no leverage, begins to look at stops one candle after the entry and does not reverse
  sizes in percent, so its trades are not the same ones; `tests/backtest/test_vectorbt_referee.py`
  makes the rules equal and compares trade by trade.

What bounds W: RSI waits for a multiplication and an addition a candle, one after the other (2 ns);
the walk over the trades waits for candles that have left the processor's cache; the rest is reading
and writing columns and, at 85 µs a chunk of history, the calls themselves.

{live}
"""

LIVE = """## Live

The processes of `wick live` on loopback, Redis between them (load {load:.1f}). *Lockstep* is
`wick parity`: each candle waits until all roles are done with the one before. Then time runs freely
and a strategy with W's indicators enters at every second close: from the exchange's last closing
event to the entry order's arrival, and from the event of its fill to the stop's. The bare chain is
as many processes on the same road, with the plain libraries, a line and an fdatasync, and no work.

{tables}

With one symbol ({orders} entries) the whole way takes {ratio:.1f} times as long as the bare
chain's. With seven every order of an instant counts, the last of them too; processes and simulated
exchange share this machine's cores. With a load above their number these times cannot be relied on:
measure again on a quiet machine.

Profiled once in lockstep, under load: of each role's samples 52 to 60 % wait for a socket and 14 to
26 % write to one; indicators are a tenth of signal_generator's, decisions a twentieth of the
trader's."""


def write(
    console: Console,
    warm: "list[Warm]",
    cold: "Cold",
    stream: float,
    read: float,
    indicators: "list[Timed]",
    live: "Live",
) -> None:
    """Print the tables and write both files."""
    tables = [_workload(warm, cold, stream, read), _indicators(indicators)]
    for table in tables:
        console.print(_rich(*table))
    for table in _live_tables(live):
        console.print(_rich(*table))
    machine = _machine()
    console.print(machine)
    figures = {
        "machine": machine,
        "warm": [asdict(one) for one in warm],
        "cold": asdict(cold),
        "stream_seconds": stream,
        "read_seconds": read,
        "indicators": [asdict(one) for one in indicators],
        "live": asdict(live),
    }
    written = ROOT / "var" / "bench.json"
    written.parent.mkdir(exist_ok=True)
    written.write_text(json.dumps(figures, indent=2) + "\n")
    shown = "\n\n".join(_markdown(*table) for table in tables)
    page = TEXT.format(machine=machine, tables=shown, live=live_section(live))
    (ROOT / "docs" / "performance.md").write_text(page)
    console.print("written: docs/performance.md, var/bench.json")


Rows = list[tuple[str, ...]]


def _workload(
    warm: "list[Warm]", cold: "Cold", stream: float, read: float
) -> tuple[tuple[str, ...], Rows]:
    head = ("W", "Candlewick", "vectorbt Rust", "ratio")
    rows: Rows = [
        (
            f"warm, {one.market}",
            f"{one.whole.ours * 1e3:.2f} ms, {one.trades} trades",
            f"{one.whole.theirs * 1e3:.0f} ms, {one.their_trades} trades",
            f"{one.whole.ratio:.1f}×",
        )
        for one in warm
    ]
    rows += [
        (
            f"own process, {cold.market}",
            f"{cold.seconds.ours:.2f} s",
            f"{cold.seconds.theirs:.2f} s",
            f"{cold.seconds.ratio:.1f}×",
        ),
        (
            "peak memory of that process",
            f"{cold.peak_mib.ours:.0f} MiB",
            f"{cold.peak_mib.theirs:.0f} MiB",
            f"{1 / cold.peak_mib.ratio:.2f} of it",
        ),
        ("first run ever", f"{cold.first_seconds:.1f} s", "", ""),
        ("candle by candle", f"{stream * 1e6:.0f} µs a candle", "", ""),
        ("its year from the store to arrays", f"{read * 1e3:.0f} ms", "", ""),
    ]
    return head, rows


def _indicators(indicators: "list[Timed]") -> tuple[tuple[str, ...], Rows]:
    head = ("indicator, ns a row", "Candlewick", "TA-Lib", "share of its time")
    rows: Rows = [
        (
            one.name,
            f"{one.pair.ours / one.rows * 1e9:.1f}",
            f"{one.pair.theirs / one.rows * 1e9:.1f}",
            f"{1 / one.pair.ratio:.2f}",
        )
        for one in indicators
    ]
    return head, rows


def live_section(live: "Live") -> str:
    """Write what was measured of the live side as its part of the page."""
    tables = "\n\n".join(_markdown(*table) for table in _live_tables(live))
    whole = live.latency[0].entry[-1]
    ratio = whole.p50 / live.bare[-1].p50
    return LIVE.format(load=live.load, tables=tables, ratio=ratio, orders=whole.count)


def _live_tables(live: "Live") -> list[tuple[tuple[str, ...], Rows]]:
    lockstep: Rows = [
        (_symbols(one.symbols), f"{one.per_second:.0f}", f"{one.per_second / one.symbols:.0f}")
        for one in live.lockstep
    ]
    head = (
        "µs: half of them within, 99 % within",
        *(_symbols(one.symbols) for one in live.latency),
    )
    entries = [one.entry for one in live.latency]
    return [
        (("lockstep", "candles/s", "instants/s"), lockstep),
        ((*head, "bare chain"), _hop_rows([*entries, live.bare])),
        (head, _hop_rows([one.stop for one in live.latency])),
    ]


def _hop_rows(columns: "Sequence[Sequence[Hop]]") -> Rows:
    found = [{hop.name: hop for hop in column} for column in columns]
    return [
        (name, *(_micros(one.get(name)) for one in found)) for name in (h.name for h in columns[0])
    ]


def _micros(hop: "Hop | None") -> str:
    return f"{hop.p50 * 1e6:,.0f}, {hop.p99 * 1e6:,.0f}" if hop else ""


def _symbols(count: int) -> str:
    return f"{count} symbol{'s' if count > 1 else ''}"


def _rich(head: tuple[str, ...], rows: Rows) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(head: tuple[str, ...], rows: Rows) -> str:
    rule = tuple("---" for _ in head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    packages = ("numba", "numpy", "vectorbt", "vectorbt-rust")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    python = platform.python_version()
    return (
        f"Measured on {os.cpu_count()} cores of {model} (load {os.getloadavg()[2]:.1f}, our own"
        f" included), Python {python}, {versions}."
    )
