"""The resting orders of a backtest's trades beside stop and take, found again from candles and
rules: where stops were moved to, and the partial take-profits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.engine import Result
from strategy.records import BY_END, BY_STOP, POSITION
from strategy.stops import is_beyond, moved_stop, moves_stops, nearest_take, set_parts


class Move(NamedTuple):
    """A stop's new level, from the close at `candle` of the symbol on."""

    candle: int
    level: float
    reason: int


class Part(NamedTuple):
    """A partial take-profit: 1 or 2 of the risk settings, its level and its steps."""

    which: int
    level: float
    steps: int


@dataclass(slots=True)
class Resting:
    """What rested for one trade; parts in the order in which a profit reaches them."""

    moves: list[Move] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


def resting_orders(result: Result) -> list[Resting]:
    """Return what rested for each trade, in the order of the trades."""
    strategy, risk = result.strategy, result.risk
    found = [Resting() for _ in result.trades]
    moves, parts = moves_stops(risk, strategy.has_trail), risk.part_1 > 0.0 or risk.part_2 > 0.0
    if not moves and not parts:
        return found
    numbers = np.array([float(value) for value in result.params])
    for s, candles in enumerate(result.candles):
        its = np.flatnonzero(result.trades.symbol == s)
        columns = strategy.columns(candles, result.params)
        trails = strategy.rules.trails(*columns, numbers)
        decided = result.trades.entry_candle[its] - 1
        distances, _ = strategy.rules.distances(decided, *columns, numbers)
        for at, distance in zip(its, distances, strict=True):
            trade = result.trades[at]
            position = _opened(trade, float(distance))
            found[at].parts = list(_parts(result, trade, position.copy()))
            if moves:
                found[at].moves = list(_moves(result, trade, position, trails))
    return found


def _opened(trade: Any, distance: float) -> Any:
    p: Any = np.zeros(1, POSITION).view(np.recarray)[0]
    p.steps, p.entry = trade.side * trade.steps, trade.entry_price
    p.stop_level, p.stop_reason, p.stop_distance = trade.stop, BY_STOP, distance
    p.take_level = trade["take"]
    return p


def _parts(result: Result, trade: Any, p: Any) -> Iterator[Part]:
    set_parts(p, result.grids[trade.symbol], result.risk)
    steps = (0, int(p.part_steps_1), int(p.part_steps_2))
    p.take_level = 0.0  # one behind the take is placed too
    while (found := nearest_take(p))[1]:
        level, which = found
        yield Part(int(which), float(level), steps[which])
        p[f"part_level_{which}"] = 0.0


def _moves(result: Result, trade: Any, p: Any, trails: NDArray[np.float64]) -> Iterator[Move]:
    arrays, g = result.candles[trade.symbol].arrays, result.grids[trade.symbol]
    has_trail = result.strategy.has_trail
    best = float(trade.entry_price)
    closes = int(trade.exit_candle) + (trade.exit_reason == BY_END)  # that is a close it lives to
    for i in range(int(trade.entry_candle), closes):
        if p.stop_level == trade.last_stop:
            return  # it never goes back, and at the close that ordered the exit nothing moves
        best = max(best, arrays["high"][i]) if trade.side > 0 else min(best, arrays["low"][i])
        trail = float(trails[i]) if has_trail else np.nan
        level, reason = moved_stop(p, g, result.risk, has_trail, trail, best)
        if level != p.stop_level and not is_beyond(p, level, arrays["close"][i]):
            p.stop_level, p.stop_reason = level, reason
            yield Move(i, float(level), int(reason))
