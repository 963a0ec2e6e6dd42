"""What the slow engine looks at inside a candle: the whole of it, or the finer ones in their order,
and the worlds that have finer ones."""

from dataclasses import dataclass

from tests.backtest.slow_market import Candle, Market


@dataclass(frozen=True, slots=True)
class Look:
    """A stretch of time of which first price and extremes are known."""

    begin: int
    end: int
    open: float
    high: float
    low: float


@dataclass(slots=True)
class Walked:
    """Counts of candles with a touched level: with their finer ones and without; and of trades
    that these made unambiguous."""

    walked: int = 0
    wanting: int = 0
    resolved: int = 0


def looks_of(
    market: Market, candle: Candle, length: int, intrabar: float, counts: Walked, *, reach: bool
) -> list[Look]:
    """Return what to look at in a candle with a position, one after the other; `reach` where its
    mark price may liquidate that."""
    end = candle.time + length
    whole = [Look(candle.time, end, candle.open, candle.high, candle.low)]
    touched, both = touches(market, candle)
    if intrabar != 2 or not touched:
        return whole
    there = [one for one in market.finer if candle.time <= one.time < end]
    traded = [one for one in there if one.volume > 0]
    if (
        reach
        or not traded
        or len(there) * market.finer_ms != length
        or traded[0].open != candle.open
        or max(one.high for one in traded) != candle.high
        or min(one.low for one in traded) != candle.low
    ):
        counts.wanting += 1
        return whole
    looks = [
        Look(one.time, one.time + market.finer_ms, one.open, one.high, one.low) for one in traded
    ]
    first = looks[0]
    looks[0] = Look(candle.time, first.end, first.open, first.high, first.low)
    counts.walked += 1
    counts.resolved += both and not stays_ambiguous(market, looks)
    return looks


def touches(market: Market, candle: Candle) -> tuple[bool, bool]:
    """Say whether a level is touched after the open has closed nothing or a part, and whether
    levels of both sides are."""
    trade = market.trade
    assert trade is not None
    levels = [level for level, _ in market.ladder] + ([trade.take] if trade.take else [])
    worst, best = (candle.low, candle.high) if trade.side > 0 else (candle.high, candle.low)
    stop = trade.side * worst <= trade.side * trade.last_stop
    takes = any(trade.side * best >= trade.side * level for level in levels)
    nearest = min(levels, key=lambda level: trade.side * level, default=0.0)
    by_stop = trade.side * candle.open <= trade.side * trade.last_stop
    by_take = bool(levels) and trade.side * candle.open >= trade.side * nearest
    if by_stop or (by_take and nearest == trade.take):
        return False, False
    return stop or takes, stop and takes and not by_take


def stays_ambiguous(market: Market, looks: list[Look]) -> bool:
    """Say whether the look that reaches the stop reaches a level of profit too, which none before
    has taken."""
    trade = market.trade
    assert trade is not None
    levels = [level for level, _ in market.ladder if before_take(market, level)]
    levels += [trade.take] if trade.take else []
    for look in looks:
        worst, best = (look.low, look.high) if trade.side > 0 else (look.high, look.low)
        if trade.side * look.open <= trade.side * trade.last_stop:
            return False
        levels = [one for one in levels if trade.side * one > trade.side * look.open]
        if trade.take and trade.take not in levels:
            return False
        reached = [one for one in levels if trade.side * best >= trade.side * one]
        if trade.side * worst <= trade.side * trade.last_stop:
            return bool(reached)
        levels = [one for one in levels if one not in reached]
        if trade.take and trade.take not in levels:
            return False
    return False


def before_take(market: Market, level: float) -> bool:
    """Say whether a partial take-profit lies before the take."""
    trade = market.trade
    assert trade is not None
    return trade.take == 0.0 or trade.side * (level - trade.take) < 0
