"""Says what the candles' volumes dictate: a test can write any signal and distance at any candle.

volume: 1 enter long, 2 enter short, 3 both. trades: 1 exit long, 2 exit short, 3 both.
quote_volume and taker_buy are the distances of stop and take; the larger the take's, the earlier an
entry takes its turn.
"""

from typing import Any, NamedTuple

from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"


class Params(NamedTuple):
    """One number that nothing depends on but the split between the flags."""

    half: float = 0.5


class Row(NamedTuple):
    """The dictated values."""

    enter: float
    leave: float
    stop: float
    take: float


def indicators(c: Any, p: Params) -> Row:
    """Pass the volumes on."""
    return Row(c.volume, c.trades, c.quote_volume, c.taker_buy)


@rule
def enter_long(x: Row, p: Params) -> bool:
    return ((x.enter > 1 - p.half) & (x.enter < 1 + p.half)) | (x.enter > 3 - p.half)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return x.enter > 2 - p.half


@rule
def exit_long(x: Row, p: Params) -> bool:
    return ((x.leave > 1 - p.half) & (x.leave < 1 + p.half)) | (x.leave > 3 - p.half)


@rule
def exit_short(x: Row, p: Params) -> bool:
    return x.leave > 2 - p.half


@rule
def stop_distance(x: Row, p: Params) -> float:
    return x.stop


@rule
def take_distance(x: Row, p: Params) -> float:
    return x.take


@rule
def entry_priority(x: Row, p: Params) -> float:
    return x.take


RISK = Risk()
