"""Where the stops of a backtest's trades were moved to, found again from candles and rules."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from backtest.engine import Result
from strategy.records import BY_END, BY_STOP, POSITION
from strategy.stops import is_beyond, moved_stop, moves_stops


class Move(NamedTuple):
    """A stop's new level, from the close at `candle` of the symbol on."""

    candle: int
    level: float
    reason: int


def stop_moves(result: Result) -> dict[int, list[Move]]:
    """Return the moves of each trade's stop, by the trade's position among the trades."""
    strategy, risk = result.strategy, result.risk
    if not moves_stops(risk, strategy.has_trail):
        return {}
    numbers = np.array([float(value) for value in result.params])
    found = {}
    for s, candles in enumerate(result.candles):
        its = np.flatnonzero(result.trades.symbol == s)
        columns = strategy.columns(candles, result.params)
        trails = strategy.rules.trails(*columns, numbers)
        decided = result.trades.entry_candle[its] - 1
        distances, _ = strategy.rules.distances(decided, *columns, numbers)
        for at, distance in zip(its, distances, strict=True):
            found[int(at)] = list(_moves(result, result.trades[at], float(distance), trails))
    return found


def _moves(result: Result, trade: Any, distance: float, trails: Any) -> Iterator[Move]:
    arrays, g = result.candles[trade.symbol].arrays, result.grids[trade.symbol]
    has_trail = result.strategy.has_trail
    p: Any = np.zeros(1, POSITION).view(np.recarray)[0]
    p.steps, p.entry = trade.side * trade.steps, trade.entry_price
    p.stop_level, p.stop_reason, p.stop_distance = trade.stop, BY_STOP, distance
    best = float(trade.entry_price)
    closes = int(trade.exit_candle) + (trade.exit_reason == BY_END)  # that is a close it lives to
    for i in range(int(trade.entry_candle), closes):
        if p.stop_level == trade.last_stop:
            return  # it never goes back, and at the close that ordered the exit nothing moves
        best = max(best, arrays["high"][i]) if trade.side > 0 else min(best, arrays["low"][i])
        p.mark = arrays["close"][i]
        trail = float(trails[i]) if has_trail else np.nan
        level, reason = moved_stop(p, g, result.risk, has_trail, trail, best)
        if level != p.stop_level and not is_beyond(p, level):
            p.stop_level, p.stop_reason = level, reason
            yield Move(i, float(level), int(reason))
