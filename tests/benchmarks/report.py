"""The figures as tables on the screen, as JSON in var/ and as docs/performance.md."""

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import ROOT
from tests.benchmarks.section import Rows, Section, markdown

JSON = ROOT / "var" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
TEXT = """# Speed

Written by `make bench`, which measures on your machine and replaces this page; `make bench
ONLY=sweep` measures one of its sections again and leaves the others.

The workload W: one year of 1m candles; RSI and ATR over 14 candles, MACD 12/26/9 on 5m, an average
over 50 candles of 15m; long below RSI 30 in a rising market, short above 70 in a falling one; stop
at 2 ATR, take at 3 ATR, 1 % of the wallet at risk, fee 0.05 %, slippage 0.01 %. Beside it the same
written for vectorbt, whose Rust engine is the fastest of the libraries we know, with its own
indicators: `tests/benchmarks/vectorbt_w.py`. Both sides run in turn; figures are medians, and a
ratio is the median over runs next to each other. Absolute times move with the machine and its load
by a third; ratios much less.

## What was to be reached

{targets}

{sections}
"""
HEAD = ("what", "against", "measured", "must", "wish", "reached")


def keep(console: Console, name: str, section: Section) -> None:
    """Print a section and keep it in the JSON file, beside the others."""
    for table in section.tables:
        console.print(_rich(*table))
    console.print(_rich(HEAD, [one.row() for one in section.targets]))
    machine = _machine()
    tables = "\n\n".join(markdown(*table) for table in section.tables)
    page = f"## {section.title}\n\n{machine}\n\n{tables}\n\n{section.text}"
    every = _kept()
    every[name] = {
        "machine": machine,
        "targets": [one.row() for one in section.targets],
        "figures": section.figures,
        "page": page.strip(),
    }
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(every, indent=2) + "\n")


def write(console: Console, order: list[str]) -> None:
    """Write the page of all sections that were ever measured."""
    every = _kept()
    known = [every[name] for name in order if name in every]
    rows: Rows = [tuple(row) for one in known for row in one["targets"]]
    pages = "\n\n".join(one["page"] for one in known)
    PAGE.write_text(TEXT.format(targets=markdown(HEAD, rows), sections=pages))
    console.print(f"written: {PAGE.relative_to(ROOT)}, {JSON.relative_to(ROOT)}")


def _kept() -> dict[str, Any]:
    if not JSON.is_file():
        return {}
    found: dict[str, Any] = json.loads(JSON.read_text())
    return {name: one for name, one in found.items() if isinstance(one, dict) and "page" in one}


def _rich(head: tuple[str, ...], rows: Rows) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


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
