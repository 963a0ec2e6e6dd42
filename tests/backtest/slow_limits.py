"""Limit entries, for the slow engine, written from docs/fills.md."""

import math
from dataclasses import replace

from strategy.fills import Costs
from strategy.risk import Risk
from tests.backtest.slow_market import Candle, Entry, Market, Said


def limit_of(market: Market, said: Said, side: int) -> float | str | None:
    """Return where an entry decided at this close rests, why it cannot, or None for no limit."""
    if said.limit is None:
        return None
    if not 0.0 <= said.limit < math.inf:
        return "limit distance below zero"
    if side > 0:
        limit = market.rules.floor(market.mark - said.limit)
    else:
        limit = market.rules.ceil(market.mark + said.limit)
    return limit if limit > 0 else "stop or take level not positive"


def is_reached(market: Market, entry: Entry, price: float, costs: Costs) -> bool:
    """Say whether a price that was traded at fills a limit that rests."""
    assert entry.limit is not None
    ticks = round(entry.limit / float(market.rules.tick))
    if costs.limit_through:
        ticks -= entry.side
    return entry.side * (price - market.rules.price(ticks)) <= 0


def at_open(market: Market, price: float, risk: Risk, costs: Costs) -> str:
    """Say what an entry does at an open: it fills, rests, or is refused."""
    entry = market.entry
    assert entry is not None
    if entry.limit is None:
        return "fills"
    if entry.rests:
        return "fills" if is_reached(market, entry, price, costs) else "rests"
    if entry.side * (price - entry.limit) <= 0:
        return "post only limit would have crossed" if risk.limit_tif == 3 else "fills"
    return "limit not filled at once" if risk.limit_tif in (1, 2) else "rests"


def far_side(entry: Entry, candle: Candle) -> float:
    """Return the price that lies furthest beyond the limit."""
    return candle.low if entry.side > 0 else candle.high


def after_the_fill(entry: Entry, candle: Candle) -> Candle:
    """Return what is certain of a candle behind a fill inside of it: far side and close."""
    assert entry.limit is not None
    known = [entry.limit, far_side(entry, candle), candle.close]
    return replace(candle, open=entry.limit, high=max(known), low=min(known))


def end_of_limit(
    market: Market, found: tuple[int, Candle] | None, risk: Risk, *, blocked: bool
) -> str | None:
    """Return why a close ends a limit order, None where it goes on."""
    entry, cancelled = market.entry, "limit cancelled by a later decision"
    if entry is None or entry.limit is None:
        return None
    if blocked:
        return cancelled
    if found is None:
        return None
    position, said = found[0], found[1].said
    if risk.limit_wait and position - entry.placed >= risk.limit_wait:
        return "limit expired"
    leaves = said.exit_long if entry.side > 0 else said.exit_short
    return cancelled if leaves or said.long != said.short else None
