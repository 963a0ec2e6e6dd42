"""Cases of what the last values have in common."""

import talib

from strategy import indicators as ours
from tests.strategy import naive_rolling as naive
from tests.strategy.case import Arrays, Case
from tests.strategy.cases_averages import of_close
from tests.strategy.market import Bars


def _sum(n: int) -> Case:
    theirs = (lambda b: [talib.SUM(b.close, n)]) if n > 1 else None
    return of_close(ours.rolling_sum, naive.total, (n,), n - 1, 100.0 * n, theirs=theirs)


def _max(n: int) -> Case:
    theirs = (lambda b: [talib.MAX(b.close, n)]) if n > 1 else None
    return of_close(ours.rolling_max, naive.highest, (n,), n - 1, 100.0, exact=True, theirs=theirs)


def _min(n: int) -> Case:
    theirs = (lambda b: [talib.MIN(b.close, n)]) if n > 1 else None
    return of_close(ours.rolling_min, naive.lowest, (n,), n - 1, 100.0, exact=True, theirs=theirs)


def _std(n: int) -> Case:
    def theirs(b: Bars) -> Arrays:
        # The same spread; near 1000 TA-Lib loses more digits than are compared.
        return [talib.STDDEV(b.close - 1000.0, n)]

    at = n > 10  # shorter windows may hold one price only, where TA-Lib's rounding is all there is
    return of_close(ours.rolling_std, naive.std, (n,), n - 1, 0.0, theirs=theirs if at else None)


def _slope(n: int) -> Case:
    return of_close(
        ours.linear_regression_slope,
        naive.slope,
        (n,),
        n - 1,
        0.0,
        theirs=lambda b: [talib.LINEARREG_SLOPE(b.close, n)],
    )


CASES = [
    *(_sum(n) for n in (1, 2, 20)),
    *(_max(n) for n in (1, 2, 5, 20)),
    *(_min(n) for n in (1, 2, 5, 20)),
    *(_std(n) for n in (1, 2, 5, 20)),
    *(of_close(ours.zscore, naive.zscore, (n,), n - 1, 0.0) for n in (1, 2, 20)),
    *(
        of_close(ours.rolling_rank, naive.rank, (n,), n - 1, (n + 1) / 2, exact=True)
        for n in (1, 2, 20)
    ),
    *(
        of_close(ours.rolling_percentile, naive.percentile, numbers, numbers[0] - 1, 100.0)
        for numbers in ((1, 50.0), (5, 0.0), (8, 100), (20, 50), (20, 33.3))
    ),
    *(_slope(n) for n in (2, 3, 14)),
]
