"""wick data: fetch, import, check, repair and show."""

from pathlib import Path
from typing import Annotated

import typer

from data.rules.commands import symbols

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Fetch, import, check, repair and show market data.",
    epilog="Example: wick data fetch BTCUSDT --from 2023-01-01",
)

AnyMarket = Annotated[str | None, typer.Option("--market", help="um (USDⓈ-M futures) or spot.")]
AnyTimeframe = Annotated[str | None, typer.Option("--timeframe", help="Such as 1m, 5m, 1h.")]
AnyKind = Annotated[
    str | None,
    typer.Option("--kind", help="klines, mark, aggTrades, funding, metrics, bookDepth, quotes."),
]
From = Annotated[str | None, typer.Option("--from", help="First day, UTC, such as 2023-01-01.")]
To = Annotated[str | None, typer.Option("--to", help="First day not wanted any more, UTC.")]
Store = Annotated[
    Path | None, typer.Option("--store", help="Folder of stored candles; default var/store.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(
    epilog="Example: wick data fetch BTCUSDT ETHUSDT --from 2023-01-01 --to 2024-01-01",
)
def fetch(
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL…", help="Such as BTCUSDT.")],
    start: Annotated[str, typer.Option("--from", help="First day, UTC, such as 2023-01-01.")],
    end: To = None,
    market: Annotated[str, typer.Option("--market", help="um (futures) or spot.")] = "um",
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="Of candles, such as 5m; default 1m.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind", help="klines, aggTrades, funding, mark, metrics, bookDepth, bookTicker."
        ),
    ] = "klines",
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Fetch market data: from the public archive, then from REST what the archive lacks.

    Whole months or days, each file checked against its checksum; candles that have not closed by
    the exchange's clock are left out. A stopped fetch goes on where it was.
    """
    from data import tables
    from data.dates import now_ms, parse_time
    from data.fetching.download import Archive
    from data.fetching.fetch import Sources, fetch_all
    from data.kinds import known_kind
    from data.manifest import Series, known_market
    from data.rest.rows import Rest
    from data.settings import load_settings
    from strategy.errors import RunRefused

    settings = load_settings(store=store)
    start_ms = parse_time(start, "--from")
    end_ms = None if end is None else parse_time(end, "--to")
    known_market(market)
    length = timeframe or ("1m" if known_kind(kind).has_timeframe else "")
    names = dict.fromkeys(symbol.upper() for symbol in symbols)
    wanted = [Series(market, name, length, known_kind(kind).name) for name in names]
    results = []
    try:
        with Rest(settings.rest_url, settings.spot_rest_url) as rest:
            sources = Sources(Archive(settings.archive_url), rest)
            for result in fetch_all(
                settings.store, sources, wanted, start_ms, end_ms, now_ms(), tables.Progress
            ):
                results.append(result)
                if not as_json:
                    tables.print_fetched(result)
    finally:
        if as_json and results:
            tables.print_json(results)
    lacking = [f"{r.series} {period}" for r in results for period in r.lacking]
    if lacking:
        raise RunRefused(
            f"nothing usable could be had of {', '.join(lacking)}",
            "the archive's file is refused above; fetch again when it has been mended",
        )


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
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Such as klines, mark, aggTrades, funding; told by default."),
    ] = None,
    start: From = None,
    end: To = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Import archive zips, CSV (also .gz), Parquet and Feather files of any kind of data.

    Kind, symbol, market and timeframe come from the file, its name and folders; flags win.
    A file is stored whole or not at all.
    """
    from data import tables
    from data.dates import now_ms, parse_time
    from data.files.importer import Imported, Labels, Refused, files_in, import_files
    from data.kinds import known_kind
    from data.settings import load_settings
    from strategy.errors import RunRefused, WickError

    labels = Labels(
        symbol,
        market,
        timeframe,
        None if start is None else parse_time(start, "--from"),
        None if end is None else parse_time(end, "--to"),
        None if kind is None else known_kind(kind).name,
    )
    folder = load_settings(store=store).store
    files = files_in(paths)
    results = []
    with tables.Progress("importing") as progress:
        progress.expect(len(files))
        for result in import_files(folder, files, labels, now_ms()):
            results.append(result)
            progress.finish()
    refused = [r for r in results if isinstance(r, Refused)]
    if len(results) == len(refused) == 1 and not as_json:
        raise WickError(refused[0].message, refused[0].hint)
    if as_json:
        tables.print_json(results)
    else:
        tables.print_imported([r for r in results if isinstance(r, Imported)], refused)
    if refused:
        hints = {one.hint for one in refused}
        raise RunRefused(
            f"{len(refused)} of {len(results)} files were refused; nothing of them was stored",
            hints.pop() if len(hints) == 1 else "what helps stands above, behind each reason",
        )


@app.command(epilog="Example: wick data tumble BTCUSDT --timeframe 1s")
def tumble(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTCUSDT.")],
    timeframe: Annotated[
        str, typer.Option("--timeframe", help="Of the candles, from 100ms on, such as 1s, 5s, 1m.")
    ],
    market: Annotated[str, typer.Option("--market", help="um (futures) or spot.")] = "um",
    start: From = None,
    end: To = None,
    side_by_side: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Store nothing; compare with the exchange's own candles; exit 1 if any differ.",
        ),
    ] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Make candles of any length of stored aggregate trades.

    A candle without trades is flat at the last close; a day without trades stored is a gap.
    They are never mixed with the exchange's own candles.
    """
    from data import tables
    from data.dates import now_ms, parse_time
    from data.manifest import Series, known_market
    from data.settings import load_settings
    from data.trade_days import trade_files
    from data.tumble import compare, tumble_trades

    start_ms = None if start is None else parse_time(start, "--from")
    end_ms = None if end is None else parse_time(end, "--to")
    known_market(market)
    series = Series(market, symbol.upper(), timeframe)
    folder = load_settings(store=store).store
    with tables.Progress(f"tumbling {series}") as progress:
        progress.expect(len(trade_files(folder, series, start_ms, end_ms)))
        given = (folder, series, start_ms, end_ms, now_ms(), progress.finish)
        if side_by_side:
            compared = compare(*given)
        else:
            tumbled = tumble_trades(*given)
    if as_json:
        tables.print_json(compared if side_by_side else tumbled)
    elif side_by_side:
        tables.print_compared(compared)
    else:
        tables.print_tumbled(tumbled)
    if side_by_side and compared.differences:
        raise typer.Exit(1)


@app.command(epilog="Example: wick data check BTCUSDT --strict")
def check(
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL…]", help="By default all stored.")
    ] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    kind: AnyKind = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Missing rows not known as an outage are errors."),
    ] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Find gaps, damaged files, impossible rows, silent stretches and contradictions.

    Exits with 0 if all is well, 1 on errors, 2 on wrong use. Gaps are reported; with --strict those
    that the gap ledger does not explain as an outage of the exchange are errors.
    """
    from data import tables
    from data.checking import series_tables
    from data.checking.check import check_all
    from data.find import find_series
    from data.settings import load_settings

    folder = load_settings(store=store).store
    found = find_series(folder, symbols, market, timeframe, kind)
    with tables.Progress("checking") as progress:
        progress.expect(len(found))
        results = check_all(folder, found, progress.finish)
    if as_json:
        tables.print_json(results)
    else:
        series_tables.print_checked(results)
    if any(r.errors or (strict and r.unexplained) for r in results):
        raise typer.Exit(1)


@app.command(epilog="Example: wick data repair BTCUSDT --market um --timeframe 1m")
def repair(
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL…]", help="By default all stored.")
    ] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    kind: AnyKind = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask also for holes that were asked for before.")
    ] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Mend damaged files and fill holes from the archive and the exchange's REST.

    Why rows were missing is written down; what the exchange itself lacks is not asked for again. A
    stopped repair goes on where it was. Exits with 1 if something could not be asked for or is to
    be imported again.
    """
    from data import tables
    from data.dates import now_ms
    from data.fetching.download import Archive
    from data.find import find_series
    from data.repairing import repair_tables
    from data.repairing.repair import repair_series
    from data.repairing.supply import Supply
    from data.rest.rows import Rest
    from data.settings import load_settings

    settings = load_settings(store=store)
    found = find_series(settings.store, symbols, market, timeframe, kind)
    archive = Archive(settings.archive_url)
    results = []
    with (
        Rest(settings.rest_url, settings.spot_rest_url) as rest,
        tables.Progress("repairing") as progress,
    ):
        progress.expect(len(found))
        for series in found:
            supply = Supply(archive, rest, series, now_ms(), progress)
            results.append(repair_series(settings.store, supply, again))
            progress.finish()
    if as_json:
        tables.print_json(results)
    else:
        repair_tables.print_repaired(results)
    if not all(result.done for result in results):
        raise typer.Exit(1)


@app.command(epilog="Example: wick data show BTCUSDT --market spot --timeframe 1m --plot")
def show(
    symbol: Annotated[str | None, typer.Argument(help="By default, list the store.")] = None,
    market: AnyMarket = None,
    timeframe: AnyTimeframe = None,
    kind: AnyKind = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw it with its holes, as one HTML file.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="The plot's file; of one series.")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show what is stored: span, rows, gaps, size, fingerprint, first and last rows."""
    from data import tables
    from data.checking import series_tables
    from data.checking.look import look_at
    from data.find import find_series
    from data.settings import load_settings
    from data.store import every_series
    from strategy.errors import WickError

    folder = load_settings(store=store).store
    found = find_series(folder, None if symbol is None else [symbol], market, timeframe, kind)
    if (plot or output) and symbol is None:
        raise WickError("--plot draws one symbol, none is named", "wick data show BTCUSDT --plot")
    if output is not None and (not plot or len(found) > 1):
        raise WickError(
            f"--output names the plot of one series, here are {len(found)}"
            if plot
            else "--output is for --plot",
            "--market, --timeframe or --kind (also klines) until one is left"
            if plot
            else "add --plot",
        )
    if symbol is None:
        listed = [one for one in every_series(folder) if one.series in found]
        if as_json:
            tables.print_json(listed)
        else:
            series_tables.print_stored(folder, listed)
        return
    shown = [look_at(folder, series) for series in found]
    if plot:
        from data.checking.series_plot import write_plot

        for one in shown:
            typer.echo(write_plot(folder, one, output))
    elif as_json:
        tables.print_json(shown)
    else:
        series_tables.print_series(shown)


app.command(epilog="Example: wick data symbols BTCUSDT ETHUSDT")(symbols)
