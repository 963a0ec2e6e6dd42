"""Indicator kernels beside TA-Lib's C code."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import talib

from strategy import indicators as ours
from strategy.candles import Candles
from tests.benchmarks.measure import Pair, alternate, seconds_of

ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Timed:
    """One indicator, seconds for a whole column."""

    name: str
    rows: int
    pair: Pair


def against_talib(candles: Candles) -> list[Timed]:
    """Compare whole columns; results are compared in the tests of the indicators."""
    c = candles.slice(0, 1 << 16)  # what a backtest hands over in one piece
    high, low, close = (c.arrays[name] for name in ("high", "low", "close"))
    cases: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("RSI 14", lambda: ours.rsi(c.close, 14), lambda: talib.RSI(close, 14)),
        ("MACD 12 26 9", lambda: ours.macd(c.close), lambda: talib.MACD(close, 12, 26, 9)),
        (
            "ATR 14",
            lambda: ours.atr(c.high, c.low, c.close, 14),
            lambda: talib.ATR(high, low, close, 14),
        ),
        (
            "Stochastic 14 3 3",
            lambda: ours.stochastic(c.high, c.low, c.close),
            lambda: talib.STOCH(high, low, close, 14, slowk_period=3, slowd_period=3),
        ),
        ("ROC 10", lambda: ours.roc(c.close, 10), lambda: talib.ROC(close, 10)),
        ("EMA 50", lambda: ours.ema(c.close, 50), lambda: talib.EMA(close, 50)),
        ("SMA 20", lambda: ours.sma(c.close, 20), lambda: talib.SMA(close, 20)),
    ]
    timed = []
    for name, one, other in cases:
        one(), other()
        pair = alternate(partial(seconds_of, one, 15), partial(seconds_of, other, 15), ROUNDS)
        timed.append(Timed(name, len(close), pair))
    return timed
