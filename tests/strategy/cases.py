"""Every indicator, with what it must equal; a new one is added to CASES and gets all checks."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import talib
from numpy.typing import NDArray

from strategy import indicators as ours
from strategy.candles import Candles
from strategy.column import Column
from tests.strategy import (
    cases_averages,
    cases_events,
    cases_rolling,
    cases_trend,
    cases_volatility,
    cases_volume,
    naive,
)
from tests.strategy.case import SIMPLE, Case
from tests.strategy.market import Bars


def _sma(n: int) -> Case:
    return Case(
        ours.sma,
        (n,),
        lambda c: (ours.sma(c.close, n),),
        lambda b: (naive.sma(b.close, n),),
        (n - 1,),
        (100.0,),
        talib=(lambda b: [talib.SMA(b.close, n)]) if n > 1 else None,
        talib_from=n - 1,
    )


def _ema(n: int) -> Case:
    return Case(
        ours.ema,
        (n,),
        lambda c: (ours.ema(c.close, n),),
        lambda b: (naive.ema(b.close, n),),
        (n - 1,),
        (100.0,),
        talib=(lambda b: [talib.EMA(b.close, n)]) if n > 1 else None,
        talib_from=n - 1,
    )


def _rsi(n: int) -> Case:
    return Case(
        ours.rsi,
        (n,),
        lambda c: (ours.rsi(c.close, n),),
        lambda b: (naive.rsi(b.close, n),),
        (n,),
        (50.0,),
        talib=(lambda b: [talib.RSI(b.close, n)]) if n > 1 else None,
        talib_from=n,
    )


def _atr(n: int) -> Case:
    return Case(
        ours.atr,
        (n,),
        lambda c: (ours.atr(c.high, c.low, c.close, n),),
        lambda b: (naive.atr(b.high, b.low, b.close, n),),
        (n,),
        (0.0,),
        talib=lambda b: [talib.ATR(b.high, b.low, b.close, n)],
        talib_from=n,
    )


def _roc(n: int) -> Case:
    return Case(
        ours.roc,
        (n,),
        lambda c: (ours.roc(c.close, n),),
        lambda b: (naive.roc(b.close, n),),
        (n,),
        (0.0,),
        talib=lambda b: [talib.ROC(b.close, n)],
        talib_from=n,
    )


def _macd(fast: int, slow: int, signal: int, talib_from: int = 0) -> Case:
    return Case(
        ours.macd,
        (fast, slow, signal),
        lambda c: tuple(ours.macd(c.close, fast, slow, signal)),
        lambda b: naive.macd(b.close, fast, slow, signal),
        (slow - 1, slow + signal - 2, slow + signal - 2),
        (0.0, 0.0, 0.0),
        talib=(lambda b: talib.MACD(b.close, fast, slow, signal)) if talib_from else None,
        talib_from=talib_from,
    )


def _stochastic(n: int, smooth: int, signal: int) -> Case:
    return Case(
        ours.stochastic,
        (n, smooth, signal),
        lambda c: tuple(ours.stochastic(c.high, c.low, c.close, n, smooth, signal)),
        lambda b: naive.stochastic(b.high, b.low, b.close, n, smooth, signal),
        (n + smooth - 2, n + smooth + signal - 3),
        (50.0, 50.0),
        # Over one candle the range may be zero, where TA-Lib gives 0.
        talib=(lambda b: talib.STOCH(b.high, b.low, b.close, n, smooth, SIMPLE, signal, SIMPLE))
        if n > 1
        else None,
        talib_from=n + smooth + signal - 3,
    )


def _previous(n: int) -> Case:
    return Case(
        ours.previous,
        (n,),
        lambda c: (ours.previous(c.close, n),),
        lambda b: (naive.previous(b.close, n),),
        (n,),
        (100.0,),
        exact=True,
    )


def _by_value(
    function: Callable[..., Column],
    run: Callable[[Any], Column],
    twin: Callable[[Bars], float],
    constant: float,
) -> Case:
    return Case(
        function,
        (),
        lambda c: (run(c),),
        lambda b: ([twin(one) for one in b.one_by_one()],),
        (0,),
        (constant,),
        exact=True,
    )


CASES = [
    *(_sma(n) for n in (1, 2, 5, 20)),
    *(_ema(n) for n in (1, 2, 5, 20)),
    *(_rsi(n) for n in (1, 2, 14)),
    *(_atr(n) for n in (1, 2, 14)),
    *(_roc(n) for n in (1, 10)),
    _macd(12, 26, 9, talib_from=33 + 110),
    _macd(2, 5, 3, talib_from=6 + 30),
    _macd(1, 2, 1),
    *(_stochastic(*numbers) for numbers in ((14, 3, 3), (5, 1, 2), (1, 1, 1))),
    *(_previous(n) for n in (1, 7)),
    _by_value(ours.sqrt, lambda c: ours.sqrt(c.close), lambda b: math.sqrt(b.close), 10.0),
    _by_value(
        ours.minimum,
        lambda c: ours.minimum(c.high, c.close + 0.05),
        lambda b: naive.NAN if math.isnan(b.high + b.close) else min(b.high, b.close + 0.05),
        100.0,
    ),
    _by_value(
        ours.maximum,
        lambda c: ours.maximum(c.low, c.close - 0.05),
        lambda b: naive.NAN if math.isnan(b.low + b.close) else max(b.low, b.close - 0.05),
        100.0,
    ),
    _by_value(
        ours.where,
        lambda c: ours.where(c.close > 1000.0, c.high, -1.0),
        lambda b: b.high if b.close > 1000.0 else -1.0,
        -1.0,
    ),
    *cases_averages.CASES,
    *cases_volatility.CASES,
    *cases_rolling.CASES,
    *cases_trend.CASES,
    *cases_volume.CASES,
    *cases_events.CASES,
]
NAMES = [case.name for case in CASES]


def on_two_timeframes(case: Case, candles: Candles) -> list[NDArray[np.float64]]:
    """Compute a case on the base and on aligned 5m candles, as a strategy does."""
    five = candles.resample("5m")
    columns = [*case.run(candles), *(five.align(column) for column in case.run(five))]
    return [column.values for column in columns]
