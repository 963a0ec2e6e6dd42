"""Fills bounded by a share of the volume, for the slow engine, written from docs/fills.md."""

import math
from dataclasses import replace

from strategy.fills import Costs
from tests.backtest.slow_market import Candle, Entry, Market, Said


def most_steps(costs: Costs, market: Market, position: int) -> int:
    """Return the steps of a symbol that may still fill in a candle."""
    if not costs.volume_share:
        return 2**62
    volume = market.candles[position].volume
    most = math.floor(costs.volume_share * volume / float(market.rules.step) + 1e-9)
    return most - sum(steps for at, steps in market.filled if at == position)


def is_cut_away(costs: Costs, market: Market, entry: Entry, position: int) -> bool:
    """Cut an entry to what may fill in a candle; say whether that is too little."""
    entry.steps = min(entry.steps, most_steps(costs, market, position))
    return entry.steps < market.rules.min_steps


def begin_rest(market: Market, why: str, *, ordered: bool) -> None:
    """Let what is left of an exit wait at the exchange for the next open."""
    trade = market.trade
    assert trade is not None
    if not market.closing:
        market.closing = "ordered" if ordered else "triggered"
        market.exit, market.exit_arrives = why, 0
        market.stops = [(0, trade.last_stop, market.moved)]


def deafened(market: Market, found: tuple[int, Candle] | None) -> tuple[int, Candle] | None:
    """Return a candle, without its words while a rest closes."""
    if found is None or not market.closing:
        return found
    return found[0], replace(found[1], said=Said())
