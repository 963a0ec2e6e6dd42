"""Indicators: each one loop over candles that can stop and go on.

Every function takes columns and returns columns. The same compiled loop runs over a whole history
and over one live candle; what it must remember lies in a small array of numbers kept by the tape.
Leading NaN of an input are skipped; a NaN or an infinity further on starts an average anew, while
`previous`, `roc` and `stochastic` have no value as long as they look at a NaN. Values that are not
warm are NaN.
"""

from strategy.indicators.averages import ema, sma
from strategy.indicators.by_value import maximum, minimum, sqrt, where
from strategy.indicators.momentum import Macd, Stochastic, macd, roc, rsi, stochastic
from strategy.indicators.past import previous
from strategy.indicators.volatility import atr

__all__ = [
    "Macd",
    "Stochastic",
    "atr",
    "ema",
    "macd",
    "maximum",
    "minimum",
    "previous",
    "roc",
    "rsi",
    "sma",
    "sqrt",
    "stochastic",
    "where",
]
