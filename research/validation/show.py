"""How a walk-forward looks on the terminal."""

import statistics

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.dates import show_time
from data.runs import Run
from data.show import print_notes, shown
from data.terminal import counted

_SHOWN = ("total_return", "cagr", "sharpe", "max_drawdown", "profit_factor", "trades")


def print_walk(run: Run) -> None:
    """Print each window, and what all of them together came to out of sample."""
    record, console = run.record, Console()
    walk = record.walk
    assert walk is not None
    windows = counted(len(walk.windows), "window")
    console.print(
        f"[bold]{escape(record.strategy.name)}[/]  {walk.scheme}, {windows}, each the best of"
        f" {counted(walk.trials, 'trial')} by {walk.objective}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 1))
    table.add_column("tested", no_wrap=True)
    for title in ("in sample", "Sharpe", "return", "drawdown", "trades"):
        table.add_column(title, justify="right")
    for one in walk.windows:
        first, end = (show_time(moment)[:10] for moment in one.test)
        table.add_row(
            f"{first} to {end}",
            "N/A" if one.score is None else f"{one.score:.3g}",
            "N/A" if one.sharpe is None else f"{one.sharpe:.2f}",
            f"{one.total_return:+.2%}",
            f"{one.max_drawdown:.2%}",
            f"{one.trades:,}",
        )
    console.print(table)
    whole = Table(box=None, padding=(0, 2))
    whole.add_column("")
    whole.add_column("out of sample", justify="right", style="bold")
    for key in _SHOWN:
        whole.add_row(record.figure(key).label, shown(record.figure(key)))
    if walk.efficiency is not None:
        whole.add_row("of the annual return in sample", f"{walk.efficiency:.0%}")
    console.print(whole)
    known = sorted(one for one in walk.paths if one is not None)
    if known:
        without = len(walk.paths) - len(known)
        lacking = f", {without} without" if without else ""
        console.print(
            f"Sharpe of {counted(len(known), 'path')}: {known[0]:.2f} to {known[-1]:.2f},"
            f" median {statistics.median(known):.2f}{lacking}",
            highlight=False,
        )
    print_notes(console, record)
    console.print(f"run {run.folder}", highlight=False, soft_wrap=True)
    console.print(f"report {run.folder / 'report.html'}", highlight=False, soft_wrap=True)
