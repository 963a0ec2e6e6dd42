"""How a tuning and its hold-out look on the terminal."""

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.dates import show_time
from data.run_json import FigureRecord, RunRecord
from data.runs import Run
from data.show import print_notes, shown
from data.terminal import counted
from data.tune_json import IntervalOfRecord, PanelRecord

_SHOWN = (
    "total_return", "sharpe", "sortino", "calmar", "max_drawdown", "profit_factor", "trades",
    "win_rate", "expectancy_r", "fees", "funding",
)  # fmt: skip


def print_tune(run: Run, strategy: str, openings: int = 0) -> None:
    """Print the winner of a search, its figures with intervals, and how likely it is luck.

    Parameters
    ----------
    openings : int
        How often the strategy has seen candles of the hold-out before.
    """
    record, console = run.record, Console()
    tune = record.tune
    assert tune is not None and tune.search is not None and tune.panel is not None
    found = ", ".join(f"{name}={value:.4g}" for name, value in record.params.items())
    words = counted(tune.trials, "trial")
    console.print(
        f"[bold]{escape(record.strategy.name)}[/]  best of {words} by {tune.objective}"
        f" ({tune.sampler}, seed {record.seed})\n{found}",
        highlight=False,
        soft_wrap=True,
    )
    search = tune.search
    lost = [
        f"{count:,} {what}"
        for count, what in (
            (search.pruned, "pruned"),
            (search.infeasible, "break a constraint"),
            (search.failed, "without a value"),
        )
        if count
    ]
    if lost:
        console.print(f"of these {', '.join(lost)}", style="dim", highlight=False)
    if len(search.front) > 1:
        more = f"{len(search.front)} trials, none better in everything; the best {tune.objective}"
        console.print(f"Pareto front of {more} is shown", style="dim", highlight=False)
    console.print(_figures(record, tune.panel))
    _print_panel(console, tune.panel)
    if tune.holdout is not None:
        first, end = show_time(tune.holdout.from_ms), show_time(tune.holdout.to_ms)
        seen = f"; {record.strategy.name} has seen candles of it before" if openings else ""
        console.print(f"hold-out {first} to {end} is closed{seen}", highlight=False, soft_wrap=True)
    print_notes(console, record)
    console.print(f"run {run.folder}", highlight=False, soft_wrap=True)
    console.print(f"report {run.folder / 'report.html'}", highlight=False, soft_wrap=True)
    folder = shlex.quote(str(run.folder))
    again = f"wick backtest {shlex.quote(strategy)} --params {folder}"
    for line in (f"wick holdout {folder}", again):
        console.print(f"next: {line}", style="dim", highlight=False, soft_wrap=True)


def _figures(record: RunRecord, panel: PanelRecord) -> Table:
    tune = record.tune
    assert tune is not None
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    table.add_column(f"in sample\nto {show_time(tune.split_ms)}", justify="right", style="bold")
    level = next(iter(panel.intervals.values())).level if panel.intervals else 0.95
    table.add_column(f"{level:.0%} of\nresampled histories", justify="right")
    for key in _SHOWN:
        one = record.figure(key)
        table.add_row(one.label, shown(one), _interval(one, panel.intervals.get(key)))
    return table


def _interval(figure: FigureRecord, found: IntervalOfRecord | None) -> str:
    if found is None or found.low is None:
        return ""
    low, high = (
        shown(FigureRecord(figure.key, "", value, figure.unit, 0, "", ""))
        for value in (found.low, found.high)
    )
    return f"{low} to {high}" if found.high is not None else f"above {low}"


def _print_panel(console: Console, panel: PanelRecord) -> None:
    verdict = "[bold green]edge[/]" if panel.edge else "[bold red]no edge shown[/]"
    table = Table(box=None, padding=(0, 2), show_header=False)
    for one in panel.conditions:
        value = "N/A" if one.value is None else f"{one.value:.3g}"
        mark = "[green]yes[/]" if one.holds else "[red]no[/]"
        table.add_row(mark, escape(one.name), value, f"[dim]{escape(one.asks)}[/]")
    console.print(f"verdict: {verdict}", highlight=False)
    console.print(table)


def print_holdout(run: Run) -> None:
    """Print what a winner did on its hold-out beside what it had done before."""
    record, console = run.record, Console()
    tune = record.tune
    assert tune is not None and tune.holdout is not None
    console.print(
        f"[bold]{escape(record.strategy.name)}[/]  the winner of {tune.holdout.opened_by} by"
        f" {tune.objective}",
        highlight=False,
        soft_wrap=True,
    )
    first, end = show_time(tune.holdout.from_ms), show_time(tune.holdout.to_ms)
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    table.add_column(f"hold-out {first}\nto {end}", justify="right", style="bold")
    rows: Sequence[str] = _SHOWN
    for key in rows:
        table.add_row(record.figure(key).label, shown(record.figure(key)))
    console.print(table)
    console.print(f"in sample its {tune.objective} was {tune.best_value:.4g}", highlight=False)
    if tune.holdout.times > 1:
        console.print(
            f"This is look {tune.holdout.times} at these candles: no longer out of sample.",
            style="yellow",
        )
    print_notes(console, record)
    console.print(f"run {run.folder}", highlight=False, soft_wrap=True)
