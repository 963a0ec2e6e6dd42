"""Buy when a fast average crosses above a slow one and let a trailing stop follow the trend.

Long only. The averages are of 15m candles, so they cross when such a candle closes. The stop starts
at some ATRs below the entry and from then on follows the highest price at the same distance.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, crossed_above, ema
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # decisions are taken when a candle of this length closes


class Params(NamedTuple):
    """What can be tuned; numbers only."""

    fast: int = 20  # EMA lengths, 15m candles
    slow: int = 60
    filter: int = 100  # EMA length, 1h candles: longs only above it
    atr: int = 14  # ATR length, 15m candles
    stop: float = 4.0  # distance of the stop, also while it trails, ATRs


# Search space of `wick tune`: a tuple is a range, a list is a choice.
TUNE = {
    "fast": (5, 40),
    "slow": (45, 200),
    "filter": (20, 200),
    "stop": (1.5, 10.0),
}


class Row(NamedTuple):
    """All that the rules may look at, one value a candle."""

    close: float
    fast_15m: float
    slow_15m: float
    crossed: float
    filter_1h: float
    atr_15m: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory; a higher timeframe shows closed candles only."""
    m15, h1 = c.resample("15m"), c.resample("1h")
    fast, slow = m15.align(ema(m15.close, p.fast)), m15.align(ema(m15.close, p.slow))
    return Row(
        close=c.close,
        fast_15m=fast,
        slow_15m=slow,
        # On the base candles a cross is seen once, and not for as long as a 15m candle lasts.
        crossed=crossed_above(fast, slow),
        filter_1h=h1.align(ema(h1.close, p.filter)),
        atr_15m=m15.align(atr(m15.high, m15.low, m15.close, p.atr)),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.crossed > 0) & (x.close > x.filter_1h)


@rule
def exit_long(x: Row, p: Params) -> bool:
    return x.fast_15m < x.slow_15m


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr_15m


RISK = Risk(per_trade=0.01, max_leverage=3.0, trail=1.0)
