"""The slow engine's account: what is held, what it is worth, and what was refused."""

import math
from collections import Counter
from dataclasses import dataclass, field

from strategy.fills import Costs
from strategy.risk import Risk
from tests.backtest.slow_detail import Walked
from tests.backtest.slow_market import Market, Part, Trade

DAY = 86_400_000
UNIT = 10**8


def money(amount: float) -> int:
    return round(min(max(amount, -4e10), 4e10) * 1e8)


def quote(units: int) -> float:
    # Beyond 90 million the units are first rounded to a float, as the engine's are.
    return float(units) / 1e8


@dataclass(slots=True)
class SlowAccount:
    """One account over some markets."""

    markets: list[Market]
    risk: Risk
    costs: Costs
    balance: float
    timeframe_ms: int
    wallet: int = 0
    trades: list[Trade] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    marks: list[tuple[int, float]] = field(default_factory=list)  # (close time, equity)
    refused: dict[tuple[int, str], int] = field(default_factory=dict)
    walked: Walked = field(default_factory=Walked)
    late: Counter[str] = field(default_factory=Counter)  # what came too late, or at once
    blocked_day: int = -1
    broke: int | None = None  # close time at which nothing was left

    def largest_position(self, market: Market) -> float:
        """Return the notional that the exchange allows."""
        return math.inf

    def with_margin(self, fee: int) -> float:
        """Return what of an entry's fee has to be free beside its margin."""
        return 0.0

    @property
    def latency_ms(self) -> int:
        return int(self.costs.latency_ms)

    def free(self) -> float:
        free = quote(self.wallet)
        for market in self.markets:
            if market.trade:
                free += market.unrealized() - market.notional() / self.risk.leverage
        return free

    def mark(self, time: int) -> None:
        equity = quote(self.wallet)
        for market in self.markets:
            if market.trade:
                equity += market.unrealized()
        self.marks.append((time + self.timeframe_ms, equity))

    def day_open(self, day: int) -> float:
        """Return the equity at 00:00 of a day: the last mark up to then."""
        for close_time, equity in reversed(self.marks):
            if close_time <= day * DAY:
                return equity
        return quote(round(self.balance * UNIT))

    def refuse(self, market: Market, why: str) -> None:
        key = (market.at, why)
        self.refused[key] = self.refused.get(key, 0) + 1
