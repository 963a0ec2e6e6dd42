"""Sweeps beside vectorbt's loop in two processes, and beside single runs one after the other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import ROOT, Finished, process
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import Market

THEIR_COMBINATIONS = 100  # in two processes; for 1,000 it is counted up
TEXT = """- Every sweep runs in a process of its own with two threads, short ones in five, of which
  the middle counts: from candles in memory to a table of figures, planning and indicators
  included; compiled kernels were loaded before, as on vectorbt's side.
- vectorbt's loop runs {count} combinations spread over the same grid in two processes at once, with
  indicator columns shared by hand; its time for 1,000 is that of the columns and ten times the
  loop's. Three figures a combination are asked of it, of ours all.
- *random* draws every parameter, so that hardly a column is shared.
- *one by one* is `backtest` in a loop, on 20 of the combinations and counted up."""


def section(markets: list[Market], folder: Path, count: int = 0) -> Section:
    """Measure all of it, on the first market.

    Parameters
    ----------
    count : int
        So many combinations of each grid, 0 for all.
    """
    market = markets[0]
    where = [str(market.store), market.market, market.symbol]
    months = market.store / market.market / market.symbol / "1m"

    def ours(kind: str, few: int = count) -> tuple[dict[str, Any], Finished]:
        words = ["-m", "tests.benchmarks.grids", kind, *where, str(few)]
        done = process(words, folder / "compiled", folder)
        return json.loads(done.out.splitlines()[-1]), done

    def middle(kind: str) -> tuple[dict[str, Any], Finished]:
        # A fifth of a second is easily disturbed.
        return sorted((ours(kind) for _ in range(5)), key=lambda one: one[0]["seconds"])[2]

    for kind in ("thousand", "trends"):  # compiled once, and the files are in the page cache
        ours(kind, 20)
    thousand, its = middle("thousand")
    theirs = _vectorbt(months, folder)
    many, its_many = ours("hundred_thousand")
    random, _ = ours("random")
    trends, _ = middle("trends")
    loop = 1_000 / theirs["seconds"]
    found = {"grid of 1,000": thousand, "grid of 100,000": many, "random": random,
             "trend_ema, 1,000": trends}  # fmt: skip
    rows: Rows = [
        (name, f"{one['combinations']:,}", f"{one['seconds']:.3g} s",
         f"{one['combinations'] / one['seconds']:,.0f}", f"{one['trades']:,.0f}")
        for name, one in found.items()
    ]  # fmt: skip
    rows.append(
        ("vectorbt Rust, 2 processes", "1,000", f"{theirs['seconds']:.3g} s", f"{loop:,.0f}", "")
    )
    alone = trends["one_by_one"]["seconds"]
    rows.append(("trend_ema one by one", "1,000", f"{alone:.3g} s", f"{1_000 / alone:,.0f}", ""))

    def speed(one: dict[str, Any]) -> float:
        return float(one["combinations"] / one["seconds"])

    nothing = float("nan")
    targets = [
        Target("grid of 1,000", "vectorbt Rust's loop, 2 processes", speed(thousand) / loop, 100,
               180, "×", True, "shared columns and exit tables are built once, over all signals"),
        Target("grid of 100,000", "", many["seconds"], 5, 3, " s", False, "time a trade"),
        Target("its peak memory", "", its_many.peak_mib, 1_024, 600, " MiB", False),
        Target("random search", "vectorbt Rust's loop", speed(random) / loop, 10, 20, "×", True,
               "a column each, at a single run's speed"),
        Target("trend_ema, grid of 1,000", "one by one", alone / trends["seconds"], 20, 60, "×",
               True),
        Target("peak memory, grid of 1,000", "vectorbt Rust, 2 processes",
               its.peak_mib / theirs["peak_mib"], 0.25, nothing, "×", False),
    ]  # fmt: skip
    figures = {**found, "vectorbt": theirs}
    figures["peak_mib"] = {"1,000": its.peak_mib, "100,000": its_many.peak_mib}
    head = ("sweep of W", "combinations", "time", "a second", "trades each")
    text = TEXT.format(count=THEIR_COMBINATIONS)
    return Section("Sweeps", [(head, rows)], text, targets, figures)


def _vectorbt(months: Path, folder: Path) -> dict[str, float]:
    """Run two processes at once, and count up to 1,000 combinations."""
    each = THEIR_COMBINATIONS // 2
    launcher = (
        "import sys; from tests.benchmarks.measure import process; from pathlib import Path; "
    )
    launcher += "d = process(sys.argv[3:], Path(sys.argv[1]), Path(sys.argv[2])); "
    launcher += "print(d.out.split()[0], d.out.split()[1], d.peak_mib)"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", launcher, str(folder / "compiled"), str(folder), "-m",
             "tests.benchmarks.vectorbt_w", str(months), "rust", str(first), str(each)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for first in (0, 1)
    ]  # fmt: skip
    columns, loops, peaks = zip(
        *(map(float, one.communicate()[0].split()) for one in running), strict=True
    )
    seconds = max(columns) + max(loops) / each * 500
    return {"seconds": seconds, "columns": max(columns), "loop": max(loops), "peak_mib": sum(peaks)}
