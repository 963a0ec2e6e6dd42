"""Orders that take time to arrive, for the slow engine, written from docs/fills.md."""

from collections.abc import Sequence

from tests.backtest.slow_market import Market


def send(markets: Sequence[Market], now: int, latency: int) -> None:
    """Give each order decided at an instant the time of its arrival."""
    for market in markets:
        if market.exit and market.exit_arrives is None:
            market.exit_arrives = now + latency
        if market.entry and market.entry.arrives is None:
            market.entry.arrives = now + latency


def is_there(arrives: int | None, time: int) -> bool:
    """Say whether an order has arrived when a candle opens."""
    return arrives is not None and arrives <= time


def settle(market: Market, time: int) -> None:
    """Let a position's stop lie where the last word that has arrived put it."""
    if market.trade:
        there = [(level, why) for arrives, level, why in market.stops if arrives <= time]
        market.trade.last_stop, market.moved = there[-1]
