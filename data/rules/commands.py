"""wick data symbols: the exchange's rules by day."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from data.rules.updates import Update
    from data.settings import Settings
    from data.symbols import RuleBook

_NAMED = 3


def symbols(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SYMBOL…]", help="Show these with all changes and brackets."),
    ] = None,
    market: Annotated[
        str | None, typer.Option("--market", help="um (USDⓈ-M futures) or spot; by default both.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Ask the exchange for the rules of today.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--import", help="A saved answer: exchangeInfo or brackets; also .gz."),
    ] = None,
    seen: Annotated[
        str | None,
        typer.Option("--seen", help="Day on which the file was taken, such as 2026-03-31."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Folder of the store; default var/store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show, update and import the exchange's rules: ticks, steps, brackets, listings.

    Runs take the rules of the day they begin on, and say where only later ones are known.
    """
    from data.dates import now_ms, parse_time
    from data.manifest import MARKETS, known_market
    from data.rules.show import look_up, print_history, print_symbols, print_update
    from data.rules.updates import import_rules
    from data.settings import load_settings
    from data.symbols import RuleBook
    from data.tables import print_json
    from strategy.errors import WickError

    if market is not None:
        known_market(market)
    if update and file is not None:
        raise WickError("--update and --import are both given", "take one after the other")
    if seen is not None and file is None:
        raise WickError("--seen is for a saved answer, and there is none", "--import FILE")
    settings = load_settings(store=store)
    markets = MARKETS if market is None else (market,)
    updates: list[Update] = []
    if file is not None:
        seen_ms = None if seen is None else parse_time(seen, "--seen")
        given = iter([import_rules(settings.store, file, market, seen_ms, now_ms())])
    else:
        given = _updates(settings, markets, now_ms()) if update else iter(())
    for one in given:  # each is told before the next may fail
        updates.append(one)
        if not as_json:
            print_update(one)
    if (update or file is not None) and not names:
        if as_json:
            print_json(updates)
        return
    books = {its: RuleBook(settings.store, its) for its in markets}
    wanted = _wanted(books, names)
    known = [look_up(books[its], name) for its, name in wanted]
    if as_json:
        print_json(known)
    elif names:
        print_history(known)
    else:
        print_symbols(known)
        typer.echo(f"{len(known):,} symbols; of the package, and of {settings.store}")


def _updates(settings: "Settings", markets: Sequence[str], now_ms: int) -> "Iterator[Update]":
    from data.rest.rows import Rest
    from data.rules.updates import update_rules

    # Once: who sits before the screen would rather know than wait.
    with Rest(settings.rest_url, settings.spot_rest_url, attempts=1) as rest:
        for market in markets:
            yield update_rules(settings.store, rest, market, now_ms)


def _wanted(books: "Mapping[str, RuleBook]", names: Sequence[str] | None) -> list[tuple[str, str]]:
    from strategy.errors import WickError

    known = {market: book.symbols() for market, book in books.items()}
    if not names:
        return [(market, name) for market, its in known.items() for name in its]
    wanted = []
    for name in dict.fromkeys(name.upper() for name in names):
        found = [(market, name) for market, its in known.items() if name in its]
        if not found:
            every = sorted({one for its in known.values() for one in its})
            close = difflib.get_close_matches(name, every, n=_NAMED)
            guess = f"did you mean {', '.join(close)}? " if close else ""
            raise WickError(
                f"no exchange rules of {name[:40]!r} are known in {' and '.join(books)}",
                f"{guess}wick data symbols lists all {len(every):,}; --update asks the exchange",
            )
        wanted += found
    return wanted
