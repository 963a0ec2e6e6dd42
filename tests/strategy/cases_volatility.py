"""Cases of true range, bands, channels and realized volatility."""

from typing import Any

import talib

from strategy import indicators as ours
from tests.strategy import naive as base
from tests.strategy import naive_rolling as naive
from tests.strategy.case import SIMPLE, Arrays, Case
from tests.strategy.cases_averages import of_close
from tests.strategy.market import Bars

MINUTES_A_YEAR = 365 * 1440


def _true_range() -> Case:
    return Case(
        ours.true_range,
        (),
        lambda c: (ours.true_range(c.high, c.low, c.close),),
        lambda b: (naive.true_range(b.high, b.low, b.close),),
        (1,),
        (0.0,),
        talib=lambda b: [talib.TRANGE(b.high, b.low, b.close)],
        talib_from=1,
    )


def _bollinger(n: int, multiple: float) -> Case:
    def theirs(b: Bars) -> Arrays:
        # Shifted down, so that TA-Lib's own rounding stays below what is compared.
        bands = talib.BBANDS(b.close - 1000.0, n, multiple, multiple, SIMPLE)
        return [band + 1000.0 for band in bands]

    return Case(
        ours.bollinger,
        (n, multiple),
        lambda c: tuple(ours.bollinger(c.close, n, multiple)),
        lambda b: naive.around(base.sma(b.close, n), naive.std(b.close, n), multiple),
        (n - 1, n - 1, n - 1),
        (100.0, 100.0, 100.0),
        talib=theirs if n > 10 else None,
        talib_from=n - 1,
    )


def _keltner(n: int, multiple: float, atr_length: int) -> Case:
    def run(c: Any) -> tuple[Any, ...]:
        return tuple(ours.keltner(c.high, c.low, c.close, n, multiple, atr_length))

    def twin(b: Bars) -> tuple[list[float], ...]:
        width = base.atr(b.high, b.low, b.close, atr_length)
        return naive.around(base.ema(b.close, n), width, multiple)

    first = max(n - 1, atr_length)
    return Case(
        ours.keltner,
        (n, multiple, atr_length),
        run,
        twin,
        (first, n - 1, first),
        (100.0, 100.0, 100.0),
    )


def _donchian(n: int) -> Case:
    def theirs(b: Bars) -> Arrays:
        top, bottom = talib.MAX(b.high, n), talib.MIN(b.low, n)
        return [top, (top + bottom) / 2.0, bottom]

    return Case(
        ours.donchian,
        (n,),
        lambda c: tuple(ours.donchian(c.high, c.low, n)),
        lambda b: naive.donchian(b.high, b.low, n),
        (n - 1, n - 1, n - 1),
        (100.0, 100.0, 100.0),
        exact=True,
        talib=theirs if n > 1 else None,
        talib_from=n - 1,
    )


def _realized_volatility(n: int) -> Case:
    def twin(x: list[float], n: int) -> list[float]:
        return naive.realized_volatility(x, n, MINUTES_A_YEAR)

    return of_close(ours.realized_volatility, twin, (n,), n, 0.0)


CASES = [
    _true_range(),
    *(_bollinger(n, multiple) for n, multiple in ((20, 2.0), (5, 1.5), (1, 2))),
    *(_keltner(*numbers) for numbers in ((20, 2.0, 10), (5, 1.5, 14))),
    *(_donchian(n) for n in (1, 2, 20)),
    *(_realized_volatility(n) for n in (2, 30)),
]
