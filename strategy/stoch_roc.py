"""Turn round at each signal: long when momentum comes up from below, short when it comes down.

A stochastic oscillator on closed 15m candles crosses its own average in the outer part of its
range, and the rate of change over a longer span agrees. The opposite signal closes a position and
opens the other side at the same price, so once begun it is nearly always in the market; the stop is
there for the case in which no signal comes.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, crossed_above, crossed_below, roc, stochastic
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # decisions are taken when a candle of this length closes


class Params(NamedTuple):
    """What can be tuned; numbers only."""

    length: int = 14  # of the stochastic oscillator, 15m candles
    smooth: int = 3  # average over its raw value
    signal: int = 3  # average over that
    edge: float = 25.0  # K below this may turn up, above 100 less this may turn down
    roc: int = 96  # length of the rate of change, 15m candles
    atr: int = 14  # ATR length, 15m candles
    stop: float = 5.0  # stop distance, ATRs


# Search space of `wick tune`: a tuple is a range, a list is a choice.
TUNE = {
    "length": (5, 60),
    "edge": (10.0, 50.0),
    "roc": (16, 384),
    "stop": (2.0, 12.0),
}


class Row(NamedTuple):
    """All that the rules may look at, one value a candle."""

    up: float
    down: float
    k_15m: float
    roc_15m: float
    atr_15m: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory; a higher timeframe shows closed candles only."""
    m15 = c.resample("15m")
    lines = stochastic(m15.high, m15.low, m15.close, p.length, p.smooth, p.signal)
    k, d = m15.align(lines.k), m15.align(lines.d)
    return Row(
        up=crossed_above(k, d),
        down=crossed_below(k, d),
        k_15m=k,
        roc_15m=m15.align(roc(m15.close, p.roc)),
        atr_15m=m15.align(atr(m15.high, m15.low, m15.close, p.atr)),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.up > 0) & (x.k_15m < p.edge) & (x.roc_15m > 0)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return (x.down > 0) & (x.k_15m > 100 - p.edge) & (x.roc_15m < 0)


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr_15m


RISK = Risk(per_trade=0.01, max_leverage=3.0, break_even=1.0)
