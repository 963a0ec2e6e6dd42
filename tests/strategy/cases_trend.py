"""Cases of the trend, trailing and distance indicators."""

import talib

from strategy import indicators as ours
from tests.strategy import naive_trend as naive
from tests.strategy.case import Case


def _adx(n: int) -> Case:
    return Case(
        ours.adx,
        (n,),
        lambda c: tuple(ours.adx(c.high, c.low, c.close, n)),
        lambda b: naive.adx(b.high, b.low, b.close, n),
        (2 * n - 1, n, n),
        (0.0, 0.0, 0.0),
        talib=(
            lambda b: [
                function(b.high, b.low, b.close, n)
                for function in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)
            ]
        )
        if n > 1
        else None,
        talib_from=24 * n,
    )


def _aroon(n: int) -> Case:
    return Case(
        ours.aroon,
        (n,),
        lambda c: tuple(ours.aroon(c.high, c.low, n)),
        lambda b: naive.aroon(b.high, b.low, n),
        (n, n, n),
        (100.0, 100.0, 0.0),
        talib=(
            lambda b: [*reversed(talib.AROON(b.high, b.low, n)), talib.AROONOSC(b.high, b.low, n)]
        )
        if n > 1
        else None,
        talib_from=n,
    )


def _supertrend(n: int, multiplier: float) -> Case:
    return Case(
        ours.supertrend,
        (n, multiplier),
        lambda c: tuple(ours.supertrend(c.high, c.low, c.close, n, multiplier)),
        lambda b: naive.supertrend(b.high, b.low, b.close, n, multiplier),
        (n, n),
        (100.0, -1.0),
    )


def _parabolic_sar(step: float, maximum: float) -> Case:
    return Case(
        ours.parabolic_sar,
        (step, maximum),
        lambda c: (ours.parabolic_sar(c.high, c.low, step, maximum),),
        lambda b: (naive.parabolic_sar(b.high, b.low, step, maximum),),
        (1,),
        (100.0,),
        talib=lambda b: [talib.SAR(b.high, b.low, step, maximum)],
        talib_from=1,
    )


def _cci(n: int) -> Case:
    return Case(
        ours.cci,
        (n,),
        lambda c: (ours.cci(c.high, c.low, c.close, n),),
        lambda b: (naive.cci(b.high, b.low, b.close, n),),
        (n - 1,),
        (0.0,),
        talib=(lambda b: [talib.CCI(b.high, b.low, b.close, n)]) if n > 1 else None,
        talib_from=n - 1,
    )


CASES = [
    *(_adx(n) for n in (1, 5, 14)),
    *(_aroon(n) for n in (1, 7, 25)),
    *(_supertrend(*numbers) for numbers in ((1, 1.5), (10, 3.0))),
    *(_parabolic_sar(*numbers) for numbers in ((0.02, 0.2), (0.3, 0.1))),
    *(_cci(n) for n in (1, 2, 20)),
]
