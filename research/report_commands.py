"""wick report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtest import commands as flags

if TYPE_CHECKING:
    from data.runs import Run

report_app = typer.Typer(add_completion=False)


@report_app.command(epilog="Example: wick report last")
def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, part of it, or last.")
    ] = "last",
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: report.html in the run.")
    ] = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
) -> None:
    """Write one self-contained HTML file about a run."""
    from data import runs as run_folders
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    typer.echo(write_report_of(run_folders.load(settings.runs, run), settings.store, output))


def write_report_of(run: "Run", store: Path, output: Path | None = None) -> Path:
    """Write the report of a run of any kind, with its candles if the store still has those."""
    from research.tune_report import has_more, write_tune_report

    path = output or run.folder / "report.html"
    if run.record.sweep is not None:
        from backtest.sweeps.kept import write_report_of as write_maps_of

        return write_maps_of(run, path)
    if has_more(run.record):
        return write_tune_report(run, path, flags.stored_candles(run.record, store))
    return flags.write_report_of(run, store, path)
