"""wick new."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: wick new my_idea")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as my_idea or ideas/my_idea.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to put it.")] = Path(),
) -> None:
    """Write a small complete strategy that is ready to edit."""
    from research.new import write_new

    path = write_new(name, folder)
    shown = shlex.quote(str(path))
    typer.echo(f"wrote {path}\nnext: wick check {shown}\n      wick backtest {shown}")
