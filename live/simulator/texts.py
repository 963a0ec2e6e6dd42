"""Amounts as the exchange writes them: decimal text without an exponent."""

from decimal import Decimal

from data.symbols import SymbolRules
from strategy.account import money


def money_text(units: int) -> str:
    """Write units of 1e-8.

    >>> money_text(-12345678)
    '-0.12345678'
    """
    return format(Decimal(units).scaleb(-8), "f")


def amount_text(amount: float) -> str:
    """Write an amount of money, rounded to 1e-8."""
    return money_text(int(money(amount)))


def price_text(price: float, rules: SymbolRules) -> str:
    """Write a price on the tick, with all of the tick's decimals."""
    tick = Decimal(rules.tick_size)
    return format(round(Decimal(price) / tick) * tick, "f")


def signed_qty_text(steps: int, rules: SymbolRules) -> str:
    """Write a count of steps with the symbol's precision, a sold one with a minus."""
    return format(steps * Decimal(rules.step_size), "f")


def plain_text(value: float) -> str:
    """Write a number so that float() gives exactly it back, as an average price needs it.

    >>> plain_text(1e-7)
    '0.0000001'
    """
    return format(Decimal(repr(float(value))), "f")


def places(size: str) -> int:
    """Return how many decimals a grid has.

    >>> places("0.10"), places("5")
    (1, 0)
    """
    exponent = Decimal(size).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)
