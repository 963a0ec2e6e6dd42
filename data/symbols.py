"""What the exchange demands of an order, per symbol and day: grids and sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from data.dates import show_day
from data.rest.listings import Brackets, Listing
from data.rules.history import Span, spans
from data.rules.store import MarketRules, packaged_rules, stored_rules
from strategy.timeframes import DAY_MS

_T = TypeVar("_T")


class SymbolRules(msgspec.Struct, frozen=True):
    """The exchange's filters for one symbol, as decimal text.

    Attributes
    ----------
    tick_size : str
        Grid of prices.
    step_size, min_qty, max_qty : str
        Grid and bounds of a market order's quantity, in base currency.
    min_notional : str
        Least price × quantity, in quote currency.
    seen : str or None
        Last day, not after the one they are taken for, on which the exchange said so; None where
        the answer at hand has no date; `UNKNOWN` for a grid of our own that is too fine to matter.
    """

    market: str
    symbol: str
    tick_size: str
    step_size: str
    min_qty: str
    max_qty: str
    min_notional: str
    seen: str | None


class MarginRules(msgspec.Struct, frozen=True):
    """The exchange's leverage brackets for one symbol, and what a liquidation costs there.

    Attributes
    ----------
    brackets : tuple of Bracket
    liquidation_fee : str
        Share of the notional, decimal text; empty where it is not known.
    seen : str or None
        Day of the brackets, as that of `SymbolRules`.
    """

    brackets: Brackets
    liquidation_fee: str
    seen: str | None


class DatedRules(msgspec.Struct, frozen=True):
    """All that the exchange asks of a symbol from an instant on, UTC ms; `margin` is None where no
    brackets are known."""

    at_ms: int
    rules: SymbolRules
    margin: MarginRules | None


UNKNOWN = "unknown, a fine grid is used"
# Statuses between the last trade and the end; PENDING_TRADING stands for days before the first one.
_ENDING = {"PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE", "BREAK"}


@dataclass(frozen=True, slots=True)
class Life:
    """When a symbol could be traded.

    Attributes
    ----------
    listed_ms : int
        First listing that the exchange named, UTC ms; 0 where it named none.
    ended_ms : int
        Its delivery or settlement, or else the first answer in which it was gone or settling;
        0 where it goes on.
    status : str
        The exchange's last word, or `gone`.
    """

    listed_ms: int
    ended_ms: int
    status: str


class RuleBook:
    """The dated exchange rules of one market: those of a store over those of the package.

    Parameters
    ----------
    store : Path or None
        None for those of the package alone.
    market : str
        um or spot.

    Raises
    ------
    WickError
        What the store holds is damaged.
    """

    def __init__(self, store: Path | None, market: str) -> None:
        self.market = market
        none = MarketRules()
        stored = none if store is None else stored_rules(store, market)
        self._both = (packaged_rules().get(market, none), stored)
        self._known: dict[str, tuple[Span[Listing], ...]] = {}

    def symbols(self) -> list[str]:
        """List the symbols that are known."""
        return sorted({name for one in self._both for name in one.listings.lines})

    def listings(self, symbol: str) -> tuple[Span[Listing], ...]:
        """Return all that was said about a symbol, oldest first; empty where it is unknown."""
        if symbol not in self._known:
            self._known[symbol] = spans((one.listings for one in self._both), symbol)
        return self._known[symbol]

    def brackets(self, symbol: str) -> tuple[Span[Brackets], ...]:
        """Return all leverage brackets of a symbol, oldest first."""
        return spans((one.brackets for one in self._both), symbol)

    def rules(self, symbol: str, at_ms: int | None = None) -> SymbolRules | None:
        """Return the rules that held on a day: the newest ones seen not later than on it.

        Where only later ones are known the earliest of them, whose `seen` tells. None where the
        symbol is unknown.

        Parameters
        ----------
        symbol : str
        at_ms : int, optional
            Any moment of the day, UTC ms; by default the newest rules.
        """
        return self._rules(symbol, _day_end(at_ms))

    def _rules(self, symbol: str, end_ms: int | None) -> SymbolRules | None:
        found = _on(self.listings(symbol), end_ms)
        return found and rules_of(found[0], self.market, symbol, found[1])

    def brackets_on(
        self, symbol: str, at_ms: int | None = None
    ) -> tuple[Brackets, str | None] | None:
        """Return the leverage brackets that held on a day and their own day, chosen as `rules`."""
        return _on(self.brackets(symbol), _day_end(at_ms))

    def margin(self, symbol: str, at_ms: int) -> MarginRules | None:
        """Return the brackets and the liquidation fee of a day, chosen as `rules`; None where no
        brackets are known."""
        return self._margin(symbol, _day_end(at_ms))

    def _margin(self, symbol: str, end_ms: int | None) -> MarginRules | None:
        found, listing = _on(self.brackets(symbol), end_ms), _on(self.listings(symbol), end_ms)
        fee = listing[0].liquidation_fee if listing else ""
        return found and MarginRules(found[0], fee, found[1])

    def changes(self, symbol: str, first_ms: int, end_ms: int) -> tuple[DatedRules, ...]:
        """Return what changed between the day of a run's first candle and the run's end, each with
        the instant of the first answer that said so."""
        day_end = first_ms - first_ms % DAY_MS + DAY_MS
        histories: tuple[Sequence[Span[Any]], ...] = (self.listings(symbol), self.brackets(symbol))
        times = {
            span.times[0]
            for its in histories
            for span in its
            if span.what is not None and day_end <= span.times[0] < end_ms
        }
        last = (self.rules(symbol, first_ms), self.margin(symbol, first_ms))
        found = []
        for at_ms in sorted(times):
            rules, margin = self._rules(symbol, at_ms + 1), self._margin(symbol, at_ms + 1)
            if rules is not None and not _same_terms(last, (rules, margin)):
                found.append(DatedRules(at_ms, rules, margin))
                last = (rules, margin)
        return tuple(found)

    def life(self, symbol: str) -> Life:
        """Say when a symbol was listed and delisted, as far as it is known."""
        history = self.listings(symbol)
        named = [one.what for one in history if one.what is not None]
        listed_ms = min((one.listed_ms for one in named if one.listed_ms), default=0)
        last = history[-1].what
        status = "gone" if last is None else last.status
        if status not in _ENDING | {"gone"}:
            return Life(listed_ms, 0 if last is None else last.delivery_ms, status)
        ended_ms = named[-1].delivery_ms
        for one in reversed(history):
            if one.what is not None and one.what.status not in _ENDING:
                break
            ended_ms = named[-1].delivery_ms or one.times[0]
        return Life(listed_ms, ended_ms, status)


_Known = tuple[SymbolRules | None, MarginRules | None]


def _same_terms(one: _Known, other: _Known) -> bool:
    return [x and msgspec.structs.replace(x, seen=None) for x in one] == [
        x and msgspec.structs.replace(x, seen=None) for x in other
    ]


def _day_end(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms - at_ms % DAY_MS + DAY_MS


def _on(history: Sequence[Span[_T]], end_ms: int | None) -> tuple[_T, str | None] | None:
    told = [one for one in history if one.what is not None]
    if not told:
        return None
    span = told[-1]
    times: Sequence[int] = span.times
    if end_ms is not None:
        span = next((one for one in reversed(told) if one.times[0] < end_ms), told[0])
        times = [one for one in span.times if one < end_ms] or span.times[:1]
    assert span.what is not None
    return span.what, show_day(times[-1]) if times[-1] else None


def rules_of(listing: Listing, market: str, symbol: str, seen: str | None) -> SymbolRules:
    """Return what an order of ours has to keep to: orders that we send are market orders."""
    lot = listing.market_lot or listing.lot
    return SymbolRules(
        market=market,
        symbol=symbol,
        tick_size=listing.tick_size,
        step_size=lot.step,
        min_qty=lot.least,
        max_qty=lot.most,
        min_notional=listing.min_notional,
        seen=seen,
    )


def fine_rules(market: str, symbol: str, price: float) -> SymbolRules:
    """Return rules that do not matter, for a symbol of about this price whose own are unknown."""
    from strategy.grid import fine_texts  # Numba: who only looks rules up need not wait for it

    tick, step = fine_texts(price)
    return SymbolRules(market, symbol, tick, step, "0", "0", "0", UNKNOWN)


def grids_of(rules: Sequence[SymbolRules]) -> Any:
    """Return the grids that prices and quantities are rounded to, a record array of GRID."""
    import numpy as np

    from strategy.grid import grid

    records = [
        grid(one.tick_size, one.step_size, one.min_qty, one.max_qty, one.min_notional)
        for one in rules
    ]
    return np.concatenate(records).view(np.recarray)


def rules_for(market: str, symbol: str) -> SymbolRules | None:
    """Return the newest rules of a symbol that come with the package, or None.

    >>> rules_for("um", "BTCUSDT").tick_size
    '0.1'
    """
    return RuleBook(None, market).rules(symbol)


def known_symbols(market: str) -> list[str]:
    """List the symbols of a market whose rules come with the package."""
    return RuleBook(None, market).symbols()
