"""What a backtest's trades paid at each funding instant, from what it was given."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from backtest.engine import Result
from strategy.account import funding_of


class Payment(NamedTuple):
    """One payment; units of 1e-8, above 0 paid."""

    time: int
    units: int


def payments_of(result: Result, at: int) -> list[Payment]:
    """Return what a trade paid, instant by instant; nothing where it came to nothing.

    Its fills lie where the order of events inside a candle puts them: an instant at a candle's open
    comes before the market orders of that open, one inside before the stops and takes.
    """
    trade: Any = result.trades[at]
    candles, funding = result.candles[trade.symbol], result.funding[trade.symbol]
    times, length = candles.open_time, candles.timeframe_ms
    exit_open = int(times[trade.exit_candle])
    end = exit_open + 1 if trade.ordered else exit_open + length
    first, last = np.searchsorted(funding.time, (int(trade.entry_time) + 1, end)).tolist()
    parts = result.parts[result.parts.trade == at][:-1]
    left = [(int(times[one.candle]) + length, int(one.steps)) for one in parts]
    closes = candles.arrays["close"]
    found = []
    for time, rate, price in _rows(funding, first, last):
        steps = int(trade.steps) - sum(steps for gone, steps in left if gone <= time)
        if np.isnan(price):
            price = float(closes[int(np.searchsorted(times, time - length, "right")) - 1])
        grid = result.grids[trade.symbol]
        units = int(funding_of(int(trade.side) * steps, grid, price, rate))
        if units:
            found.append(Payment(time, units))
    return found


def _rows(funding: Sequence[Any], first: int, last: int) -> Iterator[tuple[int, float, float]]:
    time, rate, price = (array[first:last].tolist() for array in funding)
    yield from zip(time, rate, price, strict=True)
