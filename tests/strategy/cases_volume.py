"""Cases of the indicators of volume and of sessions."""

from collections.abc import Callable

import talib

from strategy import indicators as ours
from strategy.column import Column
from tests.strategy import naive_volume as naive
from tests.strategy.case import Case
from tests.strategy.market import Bars
from tests.strategy.naive import over_runs

OBV = Case(
    ours.obv,
    (),
    lambda c: (ours.obv(c.close, c.volume),),
    lambda b: (over_runs(naive.obv, b.close, b.volume),),
    (0,),
    (100.0,),
    talib=lambda b: [talib.OBV(b.close, b.volume)],
)


def _mfi(n: int) -> Case:
    return Case(
        ours.mfi,
        (n,),
        lambda c: (ours.mfi(c.high, c.low, c.close, c.volume, n),),
        lambda b: (naive.mfi(b.high, b.low, b.close, b.volume, n),),
        (n,),
        (50.0,),
        # Over two candles there may be no flow at all, where TA-Lib gives 0.
        talib=(lambda b: [talib.MFI(b.high, b.low, b.close, b.volume, n)]) if n > 2 else None,
        talib_from=n,
    )


def _rolling_vwap(n: int) -> Case:
    return Case(
        ours.rolling_vwap,
        (n,),
        lambda c: (ours.rolling_vwap(c.high, c.low, c.close, c.volume, n),),
        lambda b: (naive.rolling_vwap(b.high, b.low, b.close, b.volume, n),),
        (n - 1,),
        (100.0,),
    )


def _of_session(
    function: Callable[..., Column], twin: Callable[[Bars, str], list[float]], session: str
) -> Case:
    return Case(
        function,
        (session,),
        lambda c: (function(c, session),),
        lambda b: (twin(b, session),),
        (0,),
        (100.0,),
    )


CASES = [
    OBV,
    *(_mfi(n) for n in (1, 2, 14)),
    *(_rolling_vwap(n) for n in (1, 3, 20)),
    *(
        _of_session(function, twin, session)
        for session in ("10m", "1h", "1d")
        for function, twin in (
            (ours.session_high, naive.session_high),
            (ours.session_low, naive.session_low),
            (ours.session_vwap, naive.session_vwap),
        )
    ),
]
