"""In at one candle, out at the next, with all indicators of the blueprint on the way."""

# A row is declared with what a rule sees, numbers, and filled with columns of them.
# mypy: disable-error-code="arg-type"
from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, ema, macd, rsi
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1s"


class Params(NamedTuple):
    """Lengths of the blueprint, but for an average that is warm within hours of seconds."""

    rsi: int = 14
    fast: int = 12
    slow: int = 26
    signal: int = 9
    trend: int = 10
    atr: int = 14
    far: float = 50.0


class Row(NamedTuple):
    """What the rules look at; volume says whether it is time."""

    volume: float
    rsi: float
    macd_5m: float
    close_15m: float
    trend_15m: float
    atr: float


def indicators(c: Candles, p: Params) -> Row:
    """Everything that has memory."""
    m5, m15 = c.resample("5m"), c.resample("15m")
    return Row(
        volume=c.volume,
        rsi=rsi(c.close, p.rsi),
        macd_5m=m5.align(macd(m5.close, p.fast, p.slow, p.signal).histogram),
        close_15m=m15.align(m15.close),
        trend_15m=m15.align(ema(m15.close, p.trend)),
        atr=atr(c.high, c.low, c.close, p.atr),
    )


@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.volume > 1.5) & (x.rsi >= 0) & (x.macd_5m > -1e9) & (x.trend_15m > -x.close_15m)


@rule
def exit_long(x: Row, p: Params) -> bool:
    return x.volume < 1.5


@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.far * x.atr


@rule
def take_distance(x: Row, p: Params) -> float:
    return p.far * x.atr


RISK = Risk(per_trade=0.001, max_leverage=3.0, daily_loss_limit=0.0)
