"""Between the exchange's decimal text and whole counts of units, steps and ticks, without a float
in between."""

from decimal import Decimal

from data.symbols import SymbolRules

_UNIT = Decimal("1e-8")


def units(text: str) -> int:
    """Read an amount of money as units of 1e-8; finer text is rounded half-even.

    >>> units("-0.12345678")
    -12345678
    """
    return int((Decimal(text) / _UNIT).to_integral_value())


def steps(text: str, rules: SymbolRules) -> int:
    """Read a quantity as a count of the symbol's steps, toward zero where it lies between two."""
    return int(Decimal(text) / Decimal(rules.step_size))


def qty_text(count: int, rules: SymbolRules) -> str:
    """Write a count of steps as the quantity that an order carries."""
    return format(Decimal(rules.step_size) * abs(count), "f")


def price_text(price: float, rules: SymbolRules) -> str:
    """Write a price that lies on the tick as the text that an order carries."""
    tick = Decimal(rules.tick_size)
    return format((Decimal(price) / tick).to_integral_value() * tick, "f")
