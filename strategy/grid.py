"""The exchange's grids: prices are whole ticks, quantities whole steps."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError
from strategy.kernel import kernel

# A tick or step is mul / div with whole numbers, so that ticks * mul / div is one correctly rounded
# division: the double nearest to the decimal price, equal to the same price parsed from text.
GRID = np.dtype(
    [
        ("tick", np.float64),
        ("tick_mul", np.float64),
        ("tick_div", np.float64),
        ("step", np.float64),
        ("step_mul", np.float64),
        ("step_div", np.float64),
        ("min_steps", np.int64),
        ("max_steps", np.int64),
        ("min_notional", np.float64),
        # the largest position that the leverage in use allows, quote currency; inf for any
        ("max_value", np.float64),
    ],
    align=True,
)
FINE = "0.00000001"


def grid(
    tick: str = FINE,
    step: str = FINE,
    min_qty: str = "0",
    max_qty: str = "0",
    min_notional: str = "0",
) -> NDArray[np.void]:
    """Return one GRID record from the exchange's decimal texts; the defaults are fine enough not to
    matter.

    Parameters
    ----------
    tick, step : str
        Price tick and quantity step (of market orders).
    min_qty, max_qty : str
        Limits of one market order in base currency; a `max_qty` of 0 means none.
    min_notional : str
        Smallest value of an entry order in quote currency.

    Raises
    ------
    WickError
        Tick or step is not a positive decimal number.
    """
    return _record(tick, step, min_qty, max_qty, min_notional).copy()


@lru_cache(4096)  # fractions take a tenth of a millisecond, and the texts are always the same
def _record(
    tick: str, step: str, min_qty: str, max_qty: str, min_notional: str
) -> NDArray[np.void]:
    record = np.zeros(1, GRID)
    for name, text in (("tick", tick), ("step", step)):
        try:
            value = Decimal(text)
        except ArithmeticError:
            value = Decimal("NaN")
        if not (value.is_finite() and value > 0):
            raise WickError(f"{name} is {text!r}, expected a positive decimal", "such as 0.10")
        exact = Fraction(value)
        record[name] = float(value)
        record[f"{name}_mul"], record[f"{name}_div"] = exact.numerator, exact.denominator
    size = Fraction(step)
    record["min_steps"] = max(1, ceil(Fraction(min_qty) / size))
    # Beyond 2**53 a product of whole numbers is no longer exact in a float.
    exact_to = 2**53 // size.numerator
    record["max_steps"] = min(Fraction(max_qty) // size or exact_to, exact_to)
    record["min_notional"] = float(min_notional)
    record["max_value"] = np.inf
    return record


def fine_grid(price: float) -> NDArray[np.void]:
    """Return a grid that does not matter, for a symbol of about this price whose rules are unknown.

    A tick is about 1e-8 of the price and a step worth about 1e-4 of the quote currency.
    """
    return grid(*fine_texts(price))


def fine_texts(price: float) -> tuple[str, str]:
    """Return tick and step of `fine_grid` as decimal texts."""
    magnitude = Decimal(price).adjusted()
    return f"1e{magnitude - 8}", f"1e{-magnitude - 4}"


@kernel
def price_at(ticks, g):
    """Return the double nearest to ticks × tick."""
    return ticks * g.tick_mul / g.tick_div


@kernel
def qty_of(steps, g):
    """Return the double nearest to steps × step."""
    return steps * g.step_mul / g.step_div


@kernel
def ticks_down(price, g):
    """Return the last tick at or below a price.

    1e-9 of a tick forgives the rounding of a division, and 1e-15 of the count that of many ticks.
    """
    count = _limited(price / g.tick)
    return np.int64(np.floor(count + (1e-9 + 1e-15 * count)))


@kernel
def ticks_up(price, g):
    """Return the first tick at or above a price."""
    count = _limited(price / g.tick)
    return np.int64(np.ceil(count - (1e-9 + 1e-15 * count)))


@kernel
def _limited(count):
    # A level a thousand times any price away is still a level, and within an int64.
    return min(max(count, -9e15), 9e15)
