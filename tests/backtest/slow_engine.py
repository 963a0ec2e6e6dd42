"""A slow, obvious backtester: every instant, every symbol, plain Python numbers.

It is the referee of the real one and is written from the documented order of events inside a
candle, not from the engine's code. Prices and quantities on the grid are exact fractions until the
one division that makes them floats.
"""

import math
from dataclasses import dataclass

from tests.backtest.slow_account import UNIT, money, quote
from tests.backtest.slow_decisions import SlowDecisions
from tests.backtest.slow_fills import SlowFills
from tests.backtest.slow_latency import send, settle


@dataclass(slots=True)
class SlowEngine(SlowFills, SlowDecisions):
    """One account over some markets; run() fills trades, equity and refused."""

    def after_orders(self, time: int) -> None:
        """Do nothing once the orders at an open have filled."""

    def before_mark(self, time: int) -> None:
        """Do nothing at a close, before it is marked."""

    def is_over(self, equity: float) -> bool:
        """Say whether a run ends with this equity."""
        return not 0.0 < equity < 4e10

    def run(self) -> "SlowEngine":
        self.wallet = round(self.balance * UNIT)
        passed = -1
        for time in sorted({candle.time for market in self.markets for candle in market.candles}):
            if not self.funding(passed, time):
                return self.beyond_range(time)
            self.market_orders(time)
            passed = time + self.timeframe_ms - 1
            if not self.funding(time, passed):
                return self.beyond_range(time)
            self.after_orders(time)
            self.resting_entries(time)
            for market in self.markets:
                self.resting_orders(market, time)
            self.before_mark(time)
            self.mark(time)
            self.decide(time)
            send(self.markets, time + self.timeframe_ms, self.latency_ms)
            if not self.is_over(self.marks[-1][1]):
                self.end_of_data(time)
            if self.is_over(self.marks[-1][1]):
                self.broke = time + self.timeframe_ms
                return self
        return self

    def beyond_range(self, time: int) -> "SlowEngine":
        """End with the wallet as it is, where no amount can be added to it any more."""
        self.broke = time + self.timeframe_ms
        self.marks.append((self.broke, quote(self.wallet)))
        return self

    def funding(self, after: int, to: int) -> bool:
        """Pay for the instants after one time and up to another, while the wallet can be kept."""
        due = [
            (one.time, market.at, one)
            for market in self.markets
            for one in market.funding
            if after < one.time <= to
        ]
        for time, at, one in sorted(due, key=lambda each: each[:2]):
            if abs(self.wallet) > 4e18:
                return False
            market = self.markets[at]
            trade = market.trade
            if trade is None:
                continue
            price = one.price
            if math.isnan(price):
                closed = [c for c in market.candles if c.time + self.timeframe_ms <= time]
                price = closed[-1].close
            paid = money(one.rate * (trade.side * market.rules.qty(market.left) * price))
            self.wallet -= paid
            trade.funding += paid
            trade.charged += paid
        return True

    def end_of_data(self, time: int) -> None:
        for market in self.markets:
            if not market.candles or market.candles[-1].time != time:
                continue
            market.entry = None
            if market.trade:
                settle(market, time + self.timeframe_ms)
                position, last = len(market.candles) - 1, market.candles[-1]
                self.close(market, last.close, 0.0, "end", time + self.timeframe_ms, position)
                self.marks.pop()
                self.mark(time)
