"""All benchmarks in one run: `make bench`, some with `make bench ONLY=sweep,indicators`."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.benchmarks import (
    check,
    cluster,
    indicators,
    live_page,
    portfolio,
    report,
    single,
    sweeps,
    tuning,
)
from tests.benchmarks.measure import ROOT
from tests.benchmarks.section import Section
from tests.benchmarks.workload import Market, markets

SECTIONS: dict[str, Callable[[list[Market], Path], Section]] = {
    "single": single.section,
    "sweep": sweeps.section,
    "portfolio": portfolio.section,
    "indicators": indicators.section,
    "live": live_page.section,
    "tuning": tuning.section,
    "check": check.section,
    "cluster": cluster.section,
}


def main(only: str = "") -> None:
    """Measure, print, and write the JSON and Markdown files; sections left out stay as they are."""
    wanted = only.split(",") if only else list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        sys.exit(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with console.status("filling stores"):
            every = markets(folder, ROOT.parent / "shared" / "data" / "klines")
        for name in wanted:
            with console.status(f"measuring: {name}"):
                found = SECTIONS[name](every, folder)
            report.keep(console, name, found)
    report.write(console, list(SECTIONS))


if __name__ == "__main__":
    main(*sys.argv[1:2])
