"""Long from the first close on, with a stop that is out of reach."""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1h"


class Params(NamedTuple):
    """The stop's distance as a share of the price."""

    stop: float = 0.98


class Row(NamedTuple):
    """What the rules see."""

    close: float


def indicators(c: Candles, p: Params) -> Row:
    """The close alone."""
    return Row(close=c.close)  # type: ignore[arg-type]


@rule
def enter_long(x: Row, p: Params) -> bool:
    """At every close."""
    return x.close > 0.0


@rule
def stop_distance(x: Row, p: Params) -> float:
    """Almost all of the price."""
    return p.stop * x.close


# Small enough to live through what the price and 6.7 years of funding take.
RISK = Risk(per_trade=0.2)
