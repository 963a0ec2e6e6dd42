"""wick indicators."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest import commands as flags
from backtest.running import compiling

if TYPE_CHECKING:
    from research.indicator_list import Indicator

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: wick indicators rsi, then wick indicators rsi --plot --set length=21")
def indicators(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One indicator; by default, list all.")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw it over candles, as one HTML file.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="length=21, or x=volume for a column; may be repeated."),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Of the store; default: the only one stored.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: NAME.html in the working folder.")
    ] = None,
    store: flags.Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the indicators, explain one, or draw it.

    Without candles in the store it is drawn over a made-up market.
    """
    from research import indicator_list

    if plot:
        typer.echo(_plot(name, changes or [], symbol, output, store))
        return
    _refuse_without_plot(changes, symbol, output)
    if name is None:
        found = indicator_list.all_indicators()
        _print_json([_record(one) for one in found]) if as_json else _print_list(found)
        return
    one = indicator_list.indicator(name)
    if as_json:
        _print_json(_record(one) | {"text": one.text})
    else:
        typer.echo(f"{one.signature}\n\n{one.text}")


def _plot(
    name: str | None,
    changes: list[str],
    symbol: str | None,
    output: Path | None,
    store: Path | None,
) -> str:
    from data.overrides import from_flags
    from data.settings import load_settings
    from research.indicator_list import indicator
    from strategy.errors import WickError

    if name is None:
        raise WickError("--plot draws one indicator, none is named", "wick indicators rsi --plot")
    one = indicator(name)
    chosen = from_flags(changes).params
    with compiling():
        from research.indicator_plot import plot

        return plot(one, chosen, symbol, load_settings(store=store).store, output)


def _refuse_without_plot(*given: object) -> None:
    from strategy.errors import WickError

    if any(given):
        raise WickError("--set, --symbol and --output are for --plot", "add --plot")


def _record(one: "Indicator") -> dict[str, Any]:
    fields = ("name", "module", "signature", "inputs", "numbers", "outputs", "summary")
    return {field: getattr(one, field) for field in fields}


def _print_json(records: object) -> None:
    from data.tables import print_json

    print_json(records)


def _print_list(found: "list[Indicator]") -> None:
    from itertools import groupby

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for module, group in groupby(found, key=lambda one: (one.module, one.about)):
        console.print(f"[bold]{module[0]}[/]: {escape(module[1])}")
        table = Table(box=None, show_header=False, padding=(0, 2))
        for one in group:
            table.add_row(escape(one.signature), escape(one.summary))
        console.print(table)
    console.print("\nwick indicators NAME explains one, with --plot it is drawn")
