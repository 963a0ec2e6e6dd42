"""What `wick data symbols` tells about symbols, and how it is printed."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from data.dates import show_day
from data.rest.listings import Bracket, Brackets, Listing
from data.rules.history import Span
from data.rules.notes import listing_differences
from data.rules.updates import Update
from data.symbols import Life, RuleBook
from data.terminal import counted, new_table, out, print_some

_WIDE = 110  # below it a line has no room for all that is known
# In a pipe or file nothing is folded to fit a window that is not there.
_tables = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@dataclass(frozen=True, slots=True)
class Version:
    """What the exchange said about a symbol from one day to another; None where it was gone."""

    first_seen: str | None
    last_seen: str | None
    listing: Listing | None
    changed: str


@dataclass(frozen=True, slots=True)
class BracketVersion:
    """Leverage brackets of a symbol, and the days they were seen on first and last."""

    first_seen: str
    last_seen: str
    brackets: Brackets


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known about one symbol; times are UTC ms and 0 where there is none."""

    market: str
    symbol: str
    status: str
    listed_ms: int
    delisted_ms: int
    versions: tuple[Version, ...]
    brackets: tuple[BracketVersion, ...]


def look_up(book: RuleBook, symbol: str) -> Known:
    """Gather what a book knows about one of its symbols."""
    life: Life = book.life(symbol)
    brackets = [one for one in book.brackets(symbol) if one.what is not None]
    return Known(
        market=book.market,
        symbol=symbol,
        status=life.status,
        listed_ms=life.listed_ms,
        delisted_ms=life.ended_ms,
        versions=tuple(_versions(book.listings(symbol))),
        brackets=tuple(
            BracketVersion(show_day(one.times[0]), show_day(one.times[-1]), one.what or ())
            for one in brackets
        ),
    )


def print_symbols(known: Sequence[Known]) -> None:
    """Print one line a symbol, with its newest rules, in a table per market."""
    for market in dict.fromkeys(its.market for its in known):
        table = new_table(market, "since", "tick>", "step>", "notional>", "leverage>", "status")
        wide = _tables.width >= _WIDE
        if wide:
            table = new_table(
                *(market, "since", "last seen", "tick>", "step>", "notional>", "leverage>"),
                *("listed", "status"),
            )
        for its in known:
            if its.market == market:
                table.add_row(*_newest_cells(its, wide))
        _tables.print(table)


def _newest_cells(its: Known, wide: bool) -> list[str]:
    version = next(one for one in reversed(its.versions) if one.listing is not None)
    listing = version.listing
    assert listing is not None
    lot = listing.market_lot or listing.lot
    return [
        its.symbol,
        version.first_seen or "undated",
        *([version.last_seen or "undated"] if wide else []),
        *(listing.tick_size, lot.step, listing.min_notional),
        f"{its.brackets[-1].brackets[0].leverage}×" if its.brackets else "–",
        *([_day(its.listed_ms)] if wide else []),
        f"{its.status}, {_day(its.delisted_ms)}" if its.delisted_ms else its.status,
    ]


def print_history(known: Sequence[Known]) -> None:
    """Print each symbol's rules from their first day on, with what changed, and its brackets."""
    for its in known:
        contract = next((v.listing.contract for v in reversed(its.versions) if v.listing), "")
        dates = f"listed {_day(its.listed_ms)}" if its.listed_ms else ""
        if its.delisted_ms:
            dates += f"{', ' if dates else ''}delisted {_day(its.delisted_ms)}"
        words = ", ".join(word for word in (contract, its.status, dates) if word)
        out.print(f"[bold]{its.symbol} {its.market}[/]: {words}", soft_wrap=True)
        table = new_table(
            "seen", "tick>", "step>", "least>", "largest>", "min notional>", "changed"
        )
        for one in its.versions:
            seen = _days(one.first_seen, one.last_seen)
            if one.listing is None:
                table.add_row(seen, *[""] * 5, "gone")
                continue
            lot = one.listing.market_lot or one.listing.lot
            table.add_row(
                *(seen, one.listing.tick_size, lot.step, lot.least, lot.most),
                *(one.listing.min_notional, one.changed),
            )
        _tables.print(table)
        if its.brackets:
            _print_brackets(its.brackets[-1])


def print_update(update: Update) -> None:
    """Print what an answer was understood to be, and what was new in it."""
    out.print(
        f"[bold]{update.market}[/]: {update.what} of {counted(update.symbols, 'symbol')}, seen"
        f" {update.seen}; {len(update.new):,} new, {len(update.changed):,} changed,"
        f" {len(update.gone):,} gone",
        soft_wrap=True,
    )
    print_some("changed", update.changed)
    print_some("gone", update.gone)
    print_some("note", update.notes)


def _print_brackets(newest: BracketVersion) -> None:
    out.print(f"brackets, seen {_days(newest.first_seen, newest.last_seen)}")
    table = new_table("notional from>", "to>", "leverage>", "maintenance>", "cum>")
    for one in newest.brackets:
        table.add_row(*_bracket_cells(one))
    _tables.print(table)


def _bracket_cells(bracket: Bracket) -> tuple[str, ...]:
    floor, cap = f"{float(bracket.floor):,.10g}", f"{float(bracket.cap):,.10g}"
    return floor, cap, f"{bracket.leverage}×", bracket.maintenance, bracket.cum


def _versions(history: Sequence[Span[Listing]]) -> list[Version]:
    versions = []
    last: Listing | None = None
    for span in history:
        first, end = span.times[0], span.times[-1]
        changed = listing_differences(last, span.what) if last and span.what else ""
        versions.append(
            Version(
                show_day(first) if first else None,
                show_day(end) if end else None,
                span.what,
                changed,
            )
        )
        last = span.what or last
    return versions


def _days(first: str | None, last: str | None) -> str:
    return (first or "undated") + (f" to {last}" if last != first else "")


def _day(at_ms: int) -> str:
    return show_day(at_ms) if at_ms else "–"
