"""Fees by tier: the exchange's regular rates of USDⓈ-M futures."""

import re
from collections.abc import Collection

from strategy.errors import WickError

# Maker and taker of VIP 0 to 9, in basis points.
REGULAR = (
    (2.0, 5.0),
    (1.6, 4.0),
    (1.4, 3.5),
    (1.2, 3.2),
    (1.0, 3.0),
    (0.8, 2.7),
    (0.6, 2.5),
    (0.4, 2.2),
    (0.2, 2.0),
    (0.0, 1.7),
)
_IN_BNB = 0.9  # of the rate, where fees are paid in BNB


def rates_of(fees: str) -> tuple[float, float]:
    """Return maker and taker rate of a tier as shares, such as of "vip0" or "vip3,bnb".

    Raises
    ------
    WickError
        There is no such tier.
    """
    found = re.fullmatch(r"vip([0-9])(,bnb)?", fees)
    if not found:
        raise WickError(
            f"--fees is {fees!r}, expected vip0 to vip9, with ,bnb where fees are paid in BNB",
            "--fees vip0",
        )
    share = _IN_BNB if found[2] else 1.0
    maker, taker = REGULAR[int(found[1])]
    return round(maker * share / 1e4, 9), round(taker * share / 1e4, 9)


def refuse_both(fees: str | None, others: Collection[str]) -> None:
    """Refuse a tier beside single rates.

    Raises
    ------
    WickError
        Both are given.
    """
    if fees is not None and others:
        raise WickError(
            f"--fees {fees} and {min(others)} both say what a fill costs",
            "leave one of them out; --fees sets the maker's rate and the taker's",
        )


def fee_notes(fees: str | None) -> list[str]:
    """Say which rates a tier stands for."""
    if fees is None:
        return []
    maker, taker = rates_of(fees)
    return [f"fees {fees}: maker {maker * 100:g} %, taker {taker * 100:g} % of each fill"]
