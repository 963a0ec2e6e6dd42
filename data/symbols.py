"""What the exchange demands of an order, per symbol: grids and sizes, as they were on one day."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_FILE = Path(__file__).with_name("rules.json")


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
        Day on which the exchange said so; None for spot, where no dated answer was at hand;
        `UNKNOWN` for a grid of our own that is too fine to matter.
        Rules change: BTCUSDT futures had a step of 0.001 until 2025-11 at least.
    """

    market: str
    symbol: str
    tick_size: str
    step_size: str
    min_qty: str
    max_qty: str
    min_notional: str
    seen: str | None


UNKNOWN = "unknown, a fine grid is used"


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


@cache
def _all_rules() -> dict[tuple[str, str], SymbolRules]:
    rules = msgspec.json.decode(_FILE.read_bytes(), type=list[SymbolRules])
    return {(r.market, r.symbol): r for r in rules}


def rules_for(market: str, symbol: str) -> SymbolRules | None:
    """Return the rules of a symbol, or None where none are known.

    >>> rules_for("um", "BTCUSDT").tick_size
    '0.1'
    """
    return _all_rules().get((market, symbol))


def known_symbols(market: str) -> list[str]:
    """List the symbols of a market whose rules are known."""
    return sorted(symbol for its, symbol in _all_rules() if its == market)
