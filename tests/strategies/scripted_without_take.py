"""As scripted.py, without a take."""

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


def indicators(c: Any, p: Params) -> Row:
    """Pass the volumes on."""
    return Row(c.volume, c.trades, c.quote_volume)


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


RISK = Risk()
