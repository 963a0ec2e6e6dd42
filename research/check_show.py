"""How the checks of a strategy look on the terminal, and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from data.dates import show_time
from research.check import Checked
from strategy.contract.findings import Finding

if TYPE_CHECKING:
    from research.check_commands import History


def print_refused(checked: Checked) -> None:
    """Print why a file is no strategy."""
    _print_findings(Console(), checked.findings)


def print_checked(history: "History", checked: Checked) -> None:
    """Print what was compared, what was found, and how long each value needs."""
    console = Console()
    candles = history.candles
    times = candles.arrays["open_time"]
    span = f"{show_time(int(times[0]))} to {show_time(int(times[-1]) + candles.timeframe_ms)} UTC"
    console.print(
        f"[bold]{history.subject.strategy.name}[/]  {history.source}\n"
        f"{len(times):,} candles, {span}, {checked.entries:,} with an entry;"
        f" every bar is those from {show_time(int(times[checked.start]))} UTC on",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    for title in ("runs", "values compared", ""):
        table.add_column(title, justify="right")
    for check in checked.checks:
        count = len(check.findings)
        said = f"[bold red]{count} found[/]" if count else "[green]ok[/]"
        table.add_row(check.title, f"{check.runs:,}", f"{check.values:,}", said)
    console.print(table)
    if checked.settling:
        _print_settling(console, checked, candles.timeframe)
    for finding in checked.warnings:
        console.print(f"[yellow]warning[/]: {_sentence(finding)}", highlight=False, soft_wrap=True)
        console.print(f"hint: {finding.hint}", highlight=False, soft_wrap=True, markup=False)
    if checked.findings:
        _print_findings(console, checked.findings)
    else:
        console.print("[bold green]nothing found[/]: what was compared is equal to the bit")


def _print_settling(console: Console, checked: Checked, timeframe: str) -> None:
    table = Table(box=None, padding=(0, 2))
    table.add_column(f"{timeframe} candles until")
    table.add_column("first value", justify="right")
    table.add_column("as a longer history", justify="right")
    for line in checked.settling:
        counts = [f"{n:,}" if n is not None else "never" for n in (line.first, line.settled)]
        table.add_row(line.where, *counts)
    console.print(table)


def _print_findings(console: Console, findings: Sequence[Finding]) -> None:
    hint = ""
    for at, finding in enumerate(findings):
        console.print(f"[bold red]found[/]: {_sentence(finding)}", highlight=False, soft_wrap=True)
        hint, last = finding.hint, at + 1 == len(findings)
        if last or findings[at + 1].hint != hint:
            console.print(f"hint: {hint}", highlight=False, soft_wrap=True, markup=False)


def _sentence(finding: Finding) -> str:
    when = f", first at {show_time(finding.time)} UTC" if finding.time >= 0 else ""
    return f"{finding.said}{when}".replace("[", "\\[")


def to_json(strategy: str, found: "Sequence[tuple[History | None, Checked]]") -> str:
    """Write everything that is printed, and the compared values of each finding, as JSON."""
    histories = [
        {
            "candles": None if history is None else history.source,
            "symbol": None if history is None else history.candles.symbol,
            "entries": checked.entries,
            "checks": [
                {
                    "kind": check.kind,
                    "title": check.title,
                    "runs": check.runs,
                    "values": check.values,
                    "findings": [_plain(one) for one in check.findings],
                }
                for check in checked.checks
            ],
            "settling": [line._asdict() for line in checked.settling],
            "warnings": [_plain(one) for one in checked.warnings],
        }
        for history, checked in found
    ]
    clean = not any(checked.findings for _, checked in found)
    whole = {"strategy": strategy, "clean": clean, "histories": histories}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()


def _plain(finding: Finding) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(finding)
    return plain
