"""Buy what has fallen below its Bollinger band and sell what has risen above it, on many symbols.

The bands are of closed 15m candles; RSI on 1m says that the move has gone far in the short run too.
A position ends at the middle of the band. Several symbols share one account: at most a few of them
are held at the same time, and one that has just lost is left alone for a while.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, bollinger, rsi
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # decisions are taken when a candle of this length closes


class Params(NamedTuple):
    """What can be tuned; numbers only."""

    length: int = 40  # of the bands, 15m candles
    width: float = 2.5  # of the bands, standard deviations
    rsi: int = 14  # RSI length, 1m candles
    oversold: float = 25.0  # RSI below which a long may begin; a short above 100 less this
    atr: int = 14  # ATR length, 15m candles
    stop: float = 3.0  # stop distance, ATRs


# Search space of `wick tune`: a tuple is a range, a list is a choice.
TUNE = {
    "length": (10, 120),
    "width": (1.5, 4.0),
    "rsi": (5, 40),
    "oversold": (10.0, 45.0),
    "stop": (1.0, 8.0),
}


class Row(NamedTuple):
    """All that the rules may look at, one value a candle."""

    close: float
    lower: float
    middle: float
    upper: float
    rsi: float
    atr_15m: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory; a higher timeframe shows closed candles only."""
    m15 = c.resample("15m")
    bands = bollinger(m15.close, p.length, p.width)
    return Row(
        close=c.close,
        lower=m15.align(bands.lower),
        middle=m15.align(bands.middle),
        upper=m15.align(bands.upper),
        rsi=rsi(c.close, p.rsi),
        atr_15m=m15.align(atr(m15.high, m15.low, m15.close, p.atr)),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.close < x.lower) & (x.rsi < p.oversold)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return (x.close > x.upper) & (x.rsi > 100 - p.oversold)


@rule
def exit_long(x: Row, p: Params) -> bool:
    return x.close >= x.middle


@rule
def exit_short(x: Row, p: Params) -> bool:
    return x.close <= x.middle


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr_15m


RISK = Risk(
    per_trade=0.005,
    max_leverage=3.0,
    max_positions=3,
    max_longs=2,
    max_shorts=2,
    daily_loss_limit=0.03,
    daily_loss_flatten=1,
    cooldown=120,  # closes, here minutes
)
