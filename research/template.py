"""Buy dips in a rising market, sell rallies in a falling one.

Two averages on 15m candles give the direction, RSI on 1m candles finds the moment, ATR measures how
far stop and take are away. Change anything, then run `wick check` and `wick backtest` on this file.
"""

from typing import NamedTuple

from strategy.candles import Candles
from strategy.indicators import atr, ema, rsi
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"  # a decision is taken when a candle of this length closes


class Params(NamedTuple):
    """Numbers that can be set with --set rsi=21, searched by `wick tune`, or taken from a run."""

    fast: int = 10  # lengths of the averages, 15m candles
    slow: int = 40
    rsi: int = 14  # length of RSI, 1m candles
    dip: float = 25.0  # RSI below which a dip is bought; a rally is sold above 100 - dip
    atr: int = 30  # length of ATR, 1m candles
    stop: float = 8.0  # distance of the stop, ATRs
    take: float = 16.0  # distance of the take-profit, ATRs


# What `wick tune` may try: (low, high), (low, high, step), (low, high, "log") or [one, another].
TUNE = {
    "fast": (4, 20),
    "slow": (25, 100),
    "dip": (10.0, 40.0),
    "stop": (2.0, 20.0),
    "take": (2.0, 40.0),
}


class Row(NamedTuple):
    """Everything that the rules may look at: one number each, a candle."""

    fast: float
    slow: float
    rsi: float
    atr: float


def indicators(c: Candles, p: Params) -> Row:
    """Compute what needs earlier candles.

    Columns take + - * /, comparisons, where(), minimum(), maximum(), sqrt(), previous(x, n) and the
    functions of strategy.indicators; branch on p only. Values of a higher timeframe come back to
    the base candles with align(), from the close of the higher candle on.
    """
    m15 = c.resample("15m")
    return Row(
        fast=m15.align(ema(m15.close, p.fast)),
        slow=m15.align(ema(m15.close, p.slow)),
        rsi=rsi(c.close, p.rsi),
        atr=atr(c.high, c.low, c.close, p.atr),
    )


# A rule is one expression of x.field, p.name and numbers: + - * / < <= > >= & | and abs(). The
# rules enter_long, enter_short, exit_long and exit_short are conditions; a missing one never holds.
@rule
def enter_long(x: Row, p: Params) -> bool:
    return (x.fast > x.slow) & (x.rsi < p.dip)


@rule
def enter_short(x: Row, p: Params) -> bool:
    return (x.fast < x.slow) & (x.rsi > 100 - p.dip)


# Distances are in price. Every position has a stop; a take-profit may be left out.
@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr


@rule
def take_distance(x: Row, p: Params) -> float:
    return p.take * x.atr


# Share of the wallet that a stop costs, and the largest sum of positions in wallets.
RISK = Risk(per_trade=0.005, max_leverage=2.0)
