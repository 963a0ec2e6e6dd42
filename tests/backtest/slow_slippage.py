"""What a market order loses by spread and range, for the slow engine."""

import math

from strategy.fills import Costs
from tests.backtest.slow_market import Market


def extra_slippage(costs: Costs, market: Market, time: int, closed: int) -> float:
    """Return what a market order loses besides the fixed share, by what is known at a time at which
    so many of the symbol's candles have closed."""
    extra = 0.0
    known = [half for since, half in market.spreads if since <= time <= since + 86_400_000]
    if known:
        extra += costs.spread * known[-1]
    if costs.atr and closed and not math.isnan(market.ranges[closed - 1]):
        extra += costs.atr * (market.ranges[closed - 1] / market.candles[closed - 1].close)
    return min(extra, 0.5)
