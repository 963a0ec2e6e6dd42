"""Cases of moving averages, and of what is averaged at the close of each candle."""

import math
from collections.abc import Callable

import talib

from strategy import indicators as ours
from strategy.column import Column
from tests.strategy import naive_rolling as naive
from tests.strategy.case import SIMPLE, Arrays, Case
from tests.strategy.market import Bars


def of_close(
    function: Callable[..., Column],
    twin: Callable[..., list[float]],
    numbers: tuple[float, ...],
    first: int,
    constant: float,
    *,
    exact: bool = False,
    theirs: Callable[[Bars], Arrays] | None = None,
) -> Case:
    """Describe an indicator with one input and one output, as applied to the close."""
    return Case(
        function,
        numbers,
        lambda c: (function(c.close, *numbers),),
        lambda b: (twin(b.close, *numbers),),
        (first,),
        (constant,),
        exact=exact,
        talib=theirs,
        talib_from=first,
    )


def _wma(n: int) -> Case:
    theirs = (lambda b: [talib.WMA(b.close, n)]) if n > 1 else None
    return of_close(ours.wma, naive.wma, (n,), n - 1, 100.0, theirs=theirs)


def _dema(n: int) -> Case:
    theirs = (lambda b: [talib.DEMA(b.close, n)]) if n > 1 else None
    return of_close(ours.dema, naive.dema, (n,), 2 * n - 2, 100.0, theirs=theirs)


def _hull(n: int) -> Case:
    return of_close(ours.hull, naive.hull, (n,), n + math.isqrt(n) - 2, 100.0)


def _wilder(n: int) -> Case:
    return of_close(ours.wilder, naive.wilder, (n,), n - 1, 100.0)


def _stoch_rsi(n: int, window: int, smooth: int, signal: int) -> Case:
    numbers = (n, window, smooth, signal)
    first = n + window + smooth - 2
    same = smooth == 1 and n > 1
    return Case(
        ours.stoch_rsi,
        numbers,
        lambda c: tuple(ours.stoch_rsi(c.close, *numbers)),
        lambda b: naive.stoch_rsi(b.close, *numbers),
        (first, first + signal - 1),
        (50.0, 50.0),
        talib=(lambda b: talib.STOCHRSI(b.close, n, window, signal, SIMPLE)) if same else None,
        talib_from=first + signal - 1,
    )


CASES = [
    *(_wma(n) for n in (1, 2, 5, 20)),
    *(_dema(n) for n in (1, 2, 5, 20)),
    *(_hull(n) for n in (2, 3, 16, 21)),
    *(_wilder(n) for n in (1, 2, 14)),
    *(_stoch_rsi(*numbers) for numbers in ((14, 14, 3, 3), (14, 14, 1, 3), (5, 8, 2, 1))),
]
