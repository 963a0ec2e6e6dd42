"""Buy weakness in a rising market, sell strength in a falling one; risk by ATR.

RSI on 1m candles finds the moment, MACD on 5m says that momentum has turned, the close against an
average on 15m gives the direction. Stop and take are multiples of ATR. Copy this file to begin your
own.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, ema, macd, rsi
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # decisions are taken when a candle of this length closes


class Params(NamedTuple):
    """What can be tuned; numbers only."""

    rsi: int = 14  # RSI length, 1m candles
    oversold: float = 20.0  # RSI below which a long may begin
    overbought: float = 80.0  # RSI above which a short may begin
    fast: int = 12  # MACD lengths, 5m candles
    slow: int = 26
    signal: int = 9
    trend: int = 50  # EMA length, 15m candles
    atr: int = 14  # ATR length, 1m candles
    stop: float = 12.0  # stop distance, ATRs
    take: float = 24.0  # take-profit distance, ATRs


# Search space of `wick tune`: a tuple is a range, a list is a choice.
TUNE = {
    "rsi": (5, 40),
    "oversold": (10.0, 45.0),
    "overbought": (55.0, 90.0),
    "trend": (20, 200),
    "stop": (2.0, 30.0),
    "take": (2.0, 60.0),
}


class Row(NamedTuple):
    """All that the rules may look at, one value a candle."""

    rsi: float
    macd_5m: float
    close_15m: float
    trend_15m: float
    atr: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory; a higher timeframe shows closed candles only."""
    m5, m15 = c.resample("5m"), c.resample("15m")
    return Row(
        rsi=rsi(c.close, p.rsi),
        macd_5m=m5.align(macd(m5.close, p.fast, p.slow, p.signal).histogram),
        close_15m=m15.align(m15.close),
        trend_15m=m15.align(ema(m15.close, p.trend)),
        atr=atr(c.high, c.low, c.close, p.atr),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.rsi < p.oversold) & (x.macd_5m > 0) & (x.close_15m > x.trend_15m)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return (x.rsi > p.overbought) & (x.macd_5m < 0) & (x.close_15m < x.trend_15m)


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr


@rule
def take_distance(x: Row, p: Params) -> float:
    return p.take * x.atr


RISK = Risk(per_trade=0.01, max_leverage=3.0, daily_loss_limit=0.05)
