"""How a sweep looks on the terminal while it runs and when it is done, and as JSON."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backtest.sweeps.ranking import NUMBER, Marginal, Summary, figure_keys, ranked, sign_of
from data.run_json import FigureRecord
from data.runs import Run
from data.show import print_notes, shown
from data.terminal import counted, new_table, out
from strategy.load import available
from strategy.metrics import DEFINITIONS, MIN_TRADES

# Beside the objective.
_SHOWN = ("total_return", "sharpe", "max_drawdown", "win_rate", "trades")
_MOST_MARGINALS = 60
_WIDEST = 100_000
FEW = "few trades"


class Watcher:
    """Counts combinations, and keeps the best value of the objective seen so far."""

    def __init__(self, bar: Progress, task: Any, objective: str, done: int) -> None:
        self._bar, self._task, self._objective = bar, task, objective
        self._best, self._since, self._done = math.nan, time.perf_counter(), 0
        self._bar.update(task, completed=done, speed="", best="")

    def saw(self, table: pa.Table) -> None:
        """Take note of a part."""
        self._done += len(table)
        first = table.take(ranked(table, self._objective)[:1]).to_pylist() if len(table) else []
        if first and first[0]["trades"] >= MIN_TRADES:
            value, sign = first[0][self._objective], sign_of(self._objective)
            if math.isnan(self._best) or value * sign > self._best * sign:
                self._best = value
        seconds = time.perf_counter() - self._since
        label = DEFINITIONS[self._objective].label
        best = f"best {label} {figure(self._objective, self._best)}"
        self._bar.update(
            self._task, advance=len(table), speed=f"{self._done / seconds:,.0f}/s", best=best
        )


@contextmanager
def watching(words: str, total: int, objective: str, done: int) -> Iterator[Watcher]:
    """Show a bar with speed, time left and the best so far on a terminal, nothing on a pipe."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(words, total=total, speed="", best="")
        yield Watcher(bar, task, objective, done)


def figure(key: str, value: float) -> str:
    """Write the value of a figure with its unit, or N/A."""
    its = DEFINITIONS[key]
    known = None if math.isnan(value) else value
    return shown(FigureRecord(key, its.label, known, its.unit, 0, its.formula, ""))


def print_sweep(run: Run, summary: Summary, named: str | None = None) -> None:
    """Print a finished sweep: how many combinations, the best, what has no value, the marginals.

    Parameters
    ----------
    named : str, optional
        The strategy as it was given, which finds its file from here.
    """
    record, its = run.record, run.record.sweep
    assert its is not None
    names = [axis.name for axis in its.axes]
    symbols = ", ".join(one.symbol for one in record.data)
    out.print(
        f"{record.strategy.name} on {symbols}: {counted(its.combinations, 'combination')} of"
        f" {', '.join(names)}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    for line in its.method:
        out.print(line, style="dim", markup=False, soft_wrap=True)
    _print_top(summary, names)
    for line in lines_about(its):
        out.print(line, markup=False, soft_wrap=True)
    _print_marginals(summary)
    print_notes(out, record)
    out.print(f"run {run.folder}", markup=False, soft_wrap=True)
    out.print(f"report {run.folder / 'report.html'}", markup=False, soft_wrap=True)
    name = record.strategy.name
    if name not in available():  # the file as it was named, which may lie elsewhere
        name = named or record.strategy.path
    words = f"next: wick backtest {name} --params {record.id}#1"
    out.print(words, style="dim", markup=False, soft_wrap=True)


def lines_about(its: Any) -> list[str]:
    """Say which combinations were left out, have few trades or no result, and why."""
    lines = []
    if its.left_out:
        lines.append(f"left out by --where {its.where!r}: {its.left_out:,}")
    if its.few_trades:
        share = its.few_trades / its.combinations
        lines.append(
            f"fewer than {MIN_TRADES} trades: {its.few_trades:,} ({share:.1%}), behind all others"
        )
    if its.without:
        total = sum(its.without.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in its.without.items())
        lines.append(f"without a result: {total:,}: {reasons}")
    return lines


def as_json(run: Run, summary: Summary) -> dict[str, Any]:
    """Return what `wick sweep --json` prints."""
    its = run.record.sweep
    assert its is not None
    names = [axis.name for axis in its.axes]
    return {
        "run": run.record.id,
        "folder": str(run.folder),
        "strategy": run.record.strategy.name,
        "objective": summary.objective,
        "axes": {axis.name: axis.values for axis in its.axes},
        "combinations": its.combinations,
        "left_out": its.left_out,
        "few_trades": its.few_trades,
        "without": its.without,
        "method": its.method,
        "best": its.best,
        "top": [_json_row(row, names) for row in summary.top.to_pylist()],
        "marginals": [_known(one._asdict()) for one in summary.marginals],
        "notes": run.record.notes,
    }


def _json_row(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    figures = {key: row[key] for key in row if key in DEFINITIONS}
    return {
        "combination": row[NUMBER],
        "values": {name: row[name] for name in names},
        "few_trades": row["trades"] < MIN_TRADES,
        "figures": _known(figures),
    }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    # JSON has no NaN.
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def shown_keys(summary: Summary) -> list[str]:
    """Return the figures of the top table, the objective first."""
    known = figure_keys(summary.top)
    return [summary.objective] + [k for k in _SHOWN if k in known and k != summary.objective]


def _print_top(summary: Summary, names: Sequence[str]) -> None:
    table = _top_table(summary, names)
    if not out.is_terminal or _width(table) <= out.width:
        _print_whole(table)
        return
    # A narrow terminal: the figures stay whole, the values of the axes take the lines they need.
    rows = summary.top.to_pylist()
    packed = [" ".join(f"{name}={row[name]:g}" for name in names) for row in rows]
    table = _top_table(summary, (), packed)
    for column in table.columns[:-1]:
        column.no_wrap = True
    longest = max(len(word) for one in ["values", *packed] for word in one.split())
    needed = _width(_top_table(summary, ())) + 2 + longest
    _print_whole(table, needed)


def _top_table(summary: Summary, names: Sequence[str], packed: Sequence[str] = ()) -> Table:
    # Values of axes in a column each, or packed into the last one.
    keys = shown_keys(summary)
    headings = ["#", *(f"{name}>" for name in names), *(f"{DEFINITIONS[k].label}>" for k in keys)]
    table = new_table(*headings, "", *(["values"] if packed else []))
    for at, row in enumerate(summary.top.to_pylist()):
        cells = [f"{row[name]:g}" for name in names] + [figure(key, row[key]) for key in keys]
        note = FEW if row["trades"] < MIN_TRADES else row["note"]
        table.add_row(str(at + 1), *cells, note, *packed[at : at + 1])
    return table


def _width(table: Table) -> int:
    return out.measure(table, options=out.options.update(width=_WIDEST)).maximum


def _print_whole(table: Table, needed: int | None = None) -> None:
    # Rich cuts cells to the terminal's width, and to 80 columns on a pipe.
    width = max(out.width, _width(table) if needed is None else needed)
    console = Console(
        highlight=False, width=width, file=out.file, force_terminal=out.is_terminal
    )  # fmt: skip
    console.print(table)


def _print_marginals(summary: Summary) -> None:
    label = DEFINITIONS[summary.objective].label
    table = new_table("", "value>", f"median {label}>", f"best {label}>", "rows>")
    last = ""
    for one in _some(summary.marginals):
        cells = (figure(summary.objective, one.median), figure(summary.objective, one.best))
        name = one.name if one.name != last else ""
        table.add_row(name, f"{one.value:g}", *cells, f"{one.n:,}")
        last = one.name
    _print_whole(table)


def _some(marginals: Sequence[Marginal]) -> list[Marginal]:
    # Of long axes evenly spaced values, their ends among them.
    axes: dict[str, list[Marginal]] = {}
    for one in marginals:
        axes.setdefault(one.name, []).append(one)
    most = max(5, _MOST_MARGINALS // len(axes))
    chosen = []
    for its in axes.values():
        step = max(1, math.ceil((len(its) - 1) / (most - 1)))
        chosen += its[::step] + ([its[-1]] if (len(its) - 1) % step else [])
    return chosen
