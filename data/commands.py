"""wick data: fetch, import, check and show."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from data.archive import Fetched
    from data.check import Checked
    from data.importer import Imported, Labels
    from data.store import StoredSeries

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Fetch, import, check and show candles.",
    epilog="Example: wick data fetch BTCUSDT --from 2023-01-01",
)

Market = Annotated[str, typer.Option("--market", help="um (USDⓈ-M futures) or spot.")]
AnyMarket = Annotated[str | None, typer.Option("--market", help="um (USDⓈ-M futures) or spot.")]
AnyTimeframe = Annotated[str | None, typer.Option("--timeframe", help="Such as 1m, 5m, 1h.")]
From = Annotated[str | None, typer.Option("--from", help="First day, UTC, such as 2023-01-01.")]
To = Annotated[str | None, typer.Option("--to", help="First day not wanted any more, UTC.")]
Store = Annotated[
    Path | None, typer.Option("--store", help="Folder of stored candles; default var/store.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
MANY = 10


@app.command(
    epilog="Example: wick data fetch BTCUSDT ETHUSDT --from 2023-01-01 --to 2024-01-01",
)
def fetch(
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL…", help="Such as BTCUSDT.")],
    start: Annotated[str, typer.Option("--from", help="First day, UTC, such as 2023-01-01.")],
    end: To = None,
    market: Market = "um",
    timeframe: Annotated[str, typer.Option("--timeframe", help="Such as 1m, 5m, 1h.")] = "1m",
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Fetch candles from the public archive.

    Whole months up to yesterday, each file checked against its checksum. A stopped fetch goes on
    where it was: files already stored are skipped.
    """
    from data.archive import fetch as fetch_series
    from data.dates import parse_time
    from data.download import Archive
    from data.settings import load_settings
    from data.store import Series, known_market

    settings = load_settings(store=store)
    now_ms = _now_ms()
    start_ms = parse_time(start, "--from")
    end_ms = now_ms if end is None else parse_time(end, "--to")
    archive = Archive(settings.archive_url)
    known_market(market)
    results = []
    for symbol in symbols:
        series = Series(market, symbol.upper(), timeframe)
        with _progress(f"{series}") as progress:
            results.append(
                fetch_series(
                    settings.store, archive, series, start_ms, end_ms, now_ms, _Bar(progress)
                )
            )
        if not as_json:
            _print_fetched(results[-1])
    if as_json:
        _print_json([_fetched_record(r) for r in results])


@app.command(name="import", epilog="Example: wick data import ../klines --market spot")
def import_(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files, or folders with files.")
    ],
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Where the file's name does not tell it.")
    ] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    start: From = None,
    end: To = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Import archive zips, CSV (also .gz) and Parquet files of candles.

    Symbol, market and timeframe come from the file, its name and folders; flags win. A file is
    stored whole or not at all.
    """
    from data.dates import parse_time
    from data.importer import Labels, files_in
    from data.settings import load_settings

    labels = Labels(
        symbol,
        market,
        timeframe,
        None if start is None else parse_time(start, "--from"),
        None if end is None else parse_time(end, "--to"),
    )
    _import(load_settings(store=store).store, files_in(paths), labels, as_json)


@app.command(epilog="Example: wick data check BTCUSDT --strict")
def check(
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL…]", help="By default all stored.")
    ] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    strict: Annotated[bool, typer.Option("--strict", help="Missing candles are errors.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Find gaps, damaged files, impossible candles and silent stretches.

    Exits with 1 on errors; gaps alone are reported, and are errors with --strict.
    """
    from data.check import check_series

    folder, found = _selected(store, symbols, market, timeframe)
    with _progress("checking") as progress:
        bar = _Bar(progress)
        bar.expect(len(found))
        results = []
        for item in found:
            results.append(check_series(folder, item.series))
            bar.finish()
    if as_json:
        _print_json([_checked_record(r) for r in results])
    else:
        _print_checked(results)
    if any(r.errors or (strict and r.gaps) for r in results):
        raise typer.Exit(1)


@app.command(epilog="Example: wick data show BTCUSDT --market spot --timeframe 1m")
def show(
    symbol: Annotated[str | None, typer.Argument(help="By default, list the store.")] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show what is stored: span, rows, gaps, fingerprint, first and last candles."""
    folder, found = _selected(store, symbol and [symbol], market, timeframe)
    if symbol is None:
        if as_json:
            _print_json([_stored_record(s) for s in found])
        else:
            _print_stored(folder, found)
        return
    records = [_series_record(folder, item) for item in found]
    if as_json:
        _print_json(records)
        return
    for record in records:
        _print_series(record)
