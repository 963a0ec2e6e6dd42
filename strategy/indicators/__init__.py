"""Indicators: each one loop over candles that can stop and go on.

Every function takes columns and returns columns. The same compiled loop runs over a whole history
and over one live candle; what it must remember lies in a small array of numbers kept by the tape.
Leading NaN of an input are skipped; a NaN or an infinity further on starts an average anew, while
`previous`, `roc`, `stochastic`, `cci` and the crosses have no value as long as they look at a NaN.
Values that are not warm are NaN.
"""

from strategy.indicators.averages import dema, ema, hull, sma, wilder, wma
from strategy.indicators.by_value import maximum, minimum, sqrt, where
from strategy.indicators.events import bars_since, crossed_above, crossed_below, value_when
from strategy.indicators.momentum import Macd, Stochastic, macd, roc, rsi, stoch_rsi, stochastic
from strategy.indicators.oscillators import cci
from strategy.indicators.past import previous
from strategy.indicators.rolling import (
    linear_regression_slope,
    rolling_max,
    rolling_min,
    rolling_percentile,
    rolling_rank,
    rolling_std,
    rolling_sum,
    zscore,
)
from strategy.indicators.sessions import session_high, session_low, session_vwap
from strategy.indicators.trailing import Supertrend, parabolic_sar, supertrend
from strategy.indicators.trend import Adx, Aroon, adx, aroon
from strategy.indicators.volatility import (
    Bands,
    atr,
    bollinger,
    donchian,
    keltner,
    realized_volatility,
    true_range,
)
from strategy.indicators.volume import mfi, obv, rolling_vwap

__all__ = [
    "Adx",
    "Aroon",
    "Bands",
    "Macd",
    "Stochastic",
    "Supertrend",
    "adx",
    "aroon",
    "atr",
    "bars_since",
    "bollinger",
    "cci",
    "crossed_above",
    "crossed_below",
    "dema",
    "donchian",
    "ema",
    "hull",
    "keltner",
    "linear_regression_slope",
    "macd",
    "maximum",
    "mfi",
    "minimum",
    "obv",
    "parabolic_sar",
    "previous",
    "realized_volatility",
    "roc",
    "rolling_max",
    "rolling_min",
    "rolling_percentile",
    "rolling_rank",
    "rolling_std",
    "rolling_sum",
    "rolling_vwap",
    "rsi",
    "session_high",
    "session_low",
    "session_vwap",
    "sma",
    "sqrt",
    "stoch_rsi",
    "stochastic",
    "supertrend",
    "true_range",
    "value_when",
    "where",
    "wilder",
    "wma",
    "zscore",
]
