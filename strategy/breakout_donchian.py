"""Buy a close above the highest high of the last hours, sell one below the lowest low.

The channel is of closed 15m candles. A rate of change over the same candles must agree, so that a
breakout without speed is left alone. Half of the position is taken off at one and a half times the
risk, the rest runs to the take; what has gone nowhere after some hours is closed by the time stop.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, crossed_above, crossed_below, donchian, roc
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # decisions are taken when a candle of this length closes


class Params(NamedTuple):
    """What can be tuned; numbers only."""

    channel: int = 48  # length of the Donchian channel, 15m candles
    roc: int = 16  # length of the rate of change, 15m candles
    speed: float = 0.8  # rate of change that a breakout needs, percent
    atr: int = 14  # ATR length, 15m candles
    stop: float = 2.0  # stop distance, ATRs
    take: float = 6.0  # take-profit distance, ATRs


# Search space of `wick tune`: a tuple is a range, a list is a choice.
TUNE = {
    "channel": (12, 192),
    "roc": (4, 64),
    "speed": (0.1, 3.0),
    "stop": (1.0, 5.0),
    "take": (2.0, 12.0),
}


class Row(NamedTuple):
    """All that the rules may look at, one value a candle."""

    above: float
    below: float
    roc_15m: float
    atr_15m: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory; a higher timeframe shows closed candles only."""
    m15 = c.resample("15m")
    channel = donchian(m15.high, m15.low, p.channel)
    return Row(
        above=crossed_above(c.close, m15.align(channel.upper)),
        below=crossed_below(c.close, m15.align(channel.lower)),
        roc_15m=m15.align(roc(m15.close, p.roc)),
        atr_15m=m15.align(atr(m15.high, m15.low, m15.close, p.atr)),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.above > 0) & (x.roc_15m > p.speed)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return (x.below > 0) & (x.roc_15m < -p.speed)


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr_15m


@rule
def take_distance(x: Row, p: Params) -> float:
    return p.take * x.atr_15m


RISK = Risk(
    per_trade=0.01,
    max_leverage=3.0,
    time_stop=360,  # closes, here minutes
    part_1=1.5,
    part_1_share=0.5,
)
