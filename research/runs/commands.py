"""wick runs: what was kept, listed, shown, compared, tagged, exported, deleted."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from data.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, compare, tag, export and delete runs."
)

Runs = Annotated[Path | None, typer.Option("--runs", help="Folder of runs; default var/runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, any part of one, its path, or last.")
]


@app.command("list", epilog="Example: wick runs list --strategy rsi_macd_atr --kind backtest")
def list_runs(
    kind: Annotated[
        str | None, typer.Option("--kind", help="Such as backtest, sweep, tune or walkforward.")
    ] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="Name of a strategy.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Runs that trade it.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Runs that have the tag.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=0, help="Newest ones; 0 for all. Default: 20 on a terminal, else all."
        ),
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """List runs with their main figures, newest last."""
    from data.run_index import summaries
    from research.runs import listing

    folder = load_settings(runs=runs).runs
    found = summaries(folder)
    wanted = listing.Wanted(kind, strategy, None if symbol is None else symbol.upper(), tag)
    fit = listing.fitting(found.runs, wanted, folder)
    terminal = sys.stdout.isatty() and not as_json
    most = (listing.NEWEST if terminal else 0) if limit is None else limit
    shown = fit[-most:]
    if as_json:
        typer.echo(listing.as_json(shown, found))
        return
    if not found.runs:
        typer.echo(f"there is no run in {folder}; wick backtest rsi_macd_atr makes one")
    elif not shown:
        typer.echo(f"none of {len(found.runs):,} runs fits")
    else:
        width = shutil.get_terminal_size().columns if terminal else None
        typer.echo("\n".join(listing.table_lines(shown, width)))
    if len(shown) < len(fit):
        typer.echo(f"{len(fit) - len(shown):,} older runs are left out: --limit 0 shows all")
    for note in listing.notes(found, folder, _unfinished(folder)):
        typer.echo(note, err=True)


def _unfinished(folder: Path) -> list[str]:
    hidden = ".sweep-"
    found = folder.glob(f"{hidden}*/sweep.json") if folder.is_dir() else ()
    return sorted(path.parent.name.removeprefix(hidden) for path in found)


@app.command(epilog="Example: wick runs show last")
def show(run: RunName = "last", runs: Runs = None, as_json: Json = False) -> None:
    """Show a run: what ran, on what, what was set, and what came out."""
    from data.runs import find, read_record
    from research.runs import show as shown

    folder = find(load_settings(runs=runs).runs, run)
    record = read_record(folder)
    if as_json:
        typer.echo(shown.as_json(folder))
        return
    shown.print_one(record, folder)


@app.command(epilog="Example: wick runs compare my-idea last")
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN RUN…", help="Two runs or more, as in show.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Also where data or costs differ, which is named.")
    ] = False,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Lay runs side by side: figures with differences, and what was set differently."""
    from research.runs import comparing, side_by_side

    found = comparing.comparison_of(comparing.read_all(load_settings(runs=runs).runs, names))
    if not force:
        comparing.check_comparable(found)
    if as_json:
        typer.echo(side_by_side.as_json(found))
        return
    side_by_side.print_comparison(found)


@app.command(epilog="Example: wick runs tag last candidate for-review")
def tag(
    run: RunName,
    tags: Annotated[list[str], typer.Argument(metavar="TAG…", help="Words to find it by.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags away instead.")] = False,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Give a run tags, or take some away."""
    from data.run_folders import find
    from data.run_tags import change_tags, check_tag
    from strategy.errors import WickError, did_you_mean

    folder = find(load_settings(runs=runs).runs, run)
    for one in tags:
        check_tag(one)

    def change(before: list[str]) -> list[str]:
        if missing := [one for one in tags if remove and one not in before]:
            hint = did_you_mean(missing[0], before) if before else "it has none"
            raise WickError(f"run {folder.name} has no tag {missing[0]!r}", hint)
        return [one for one in before if one not in tags] if remove else [*before, *tags]

    now = change_tags(folder, change)
    if as_json:
        typer.echo(msgspec.json.encode({"run": folder.name, "tags": now}))
        return
    typer.echo(f"{folder.name}: {' '.join(now) or 'no tags'}")


@app.command(epilog="Example: wick runs delete my-first my-second")
def delete(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="One run or more, as in show.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Delete runs for good, each whole."""
    from data.run_folders import find, remove
    from strategy.errors import WickError

    base = load_settings(runs=runs).runs
    folders = list(dict.fromkeys(find(base, name).absolute() for name in names))
    told = ", ".join(one.name for one in folders)
    if not yes:
        if not sys.stdin.isatty():
            raise WickError(f"not deleted without a yes: {told}", "--yes where nobody can answer")
        try:
            sure = typer.confirm(f"delete {told}?", err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None
        if not sure:
            typer.echo("nothing was deleted", err=True)
            return
    for one in folders:
        remove(one)
        if not as_json:
            typer.echo(f"deleted {one.name}")
    if as_json:
        typer.echo(msgspec.json.encode({"deleted": [one.name for one in folders]}))


@app.command("export", epilog="Example: wick runs export last --to my-run.zip")
def export_run(
    run: RunName,
    to: Annotated[Path, typer.Option("--to", help="A new folder, or a new file in .zip.")],
    runs: Runs = None,
) -> None:
    """Write a run as CSV and JSON for others: trades, equity, all tables, run.json, strategy.py."""
    from data.runs import find
    from research.runs.exporting import export

    typer.echo(export(find(load_settings(runs=runs).runs, run), to))
