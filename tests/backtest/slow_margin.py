"""The slow engine with margin: liquidation, leverage brackets, and exchange rules by date."""

import math
from collections import Counter
from dataclasses import dataclass, field

from tests.backtest.slow_account import money, quote
from tests.backtest.slow_detail import Look
from tests.backtest.slow_engine import SlowEngine
from tests.backtest.slow_market import Candle, Market, Rules


@dataclass(frozen=True, slots=True)
class Tier:
    """A bracket: maintenance = notional × rate − amount for a notional below cap."""

    floor: float
    cap: float
    rate: float
    amount: float
    leverage: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What the exchange asks of a symbol; no tiers where they are not known."""

    rules: Rules
    tiers: tuple[Tier, ...] | None
    fee: float


@dataclass(slots=True)
class SlowMargin(SlowEngine):
    """An account whose positions are liquidated.

    `terms` are those of each symbol from an instant on, in the order of time; the first ones are
    those of the beginning. `marks` are open, high, low and close by time of the candle.
    """

    terms: list[list[tuple[int, Terms]]] = field(default_factory=list)
    marks_of: list[dict[int, tuple[float, float, float, float]]] = field(default_factory=list)
    levels: dict[int, float] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)
    held: dict[int, Terms] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)  # what happened, for who asks
    liquidates: bool = False

    def __post_init__(self) -> None:
        self.liquidates = any(one.tiers is not None for its in self.terms for _, one in its)
        for market in self.markets:
            self.held[market.at] = self.terms[market.at].pop(0)[1]

    def is_over(self, equity: float) -> bool:
        return not (0.0 < equity < 4e10 or (self.liquidates and equity == 0.0))

    # Margin.

    def tiers(self, market: Market) -> tuple[Tier, ...]:
        return self.held[market.at].tiers or (Tier(0.0, math.inf, 0.0, 0.0, math.inf),)

    def maintenance(self, market: Market, notional: float) -> float:
        tiers = self.tiers(market)
        its = next((one for one in tiers if notional < one.cap), tiers[-1])
        return notional * its.rate - its.amount

    def own_margin(self, market: Market) -> float:
        trade = market.trade
        assert trade is not None
        qty = market.rules.qty(market.left)
        return qty * trade.entry_price / self.risk.leverage - trade.charged / 1e8

    def excess(self, market: Market) -> float:
        """Return profit less maintenance at the symbol's value."""
        trade, price = market.trade, self.values[market.at]
        assert trade is not None
        qty = market.rules.qty(market.left)
        profit = trade.side * qty * (price - trade.entry_price)
        return profit - self.maintenance(market, qty * price)

    def level(self, market: Market) -> float:
        trade = market.trade
        assert trade is not None
        if self.risk.isolated:
            collateral = self.own_margin(market)
        else:
            # The whole account's excess, and then without the own one: in this order, for the bits.
            collateral = quote(self.wallet)
            for one in self.markets:
                if one.trade:
                    collateral += self.excess(one)
            collateral -= self.excess(market)
        side, qty, entry = trade.side, market.rules.qty(market.left), trade.entry_price
        tiers = self.tiers(market)
        for tier in tiers:
            price = (collateral + tier.amount - side * qty * entry) / (qty * tier.rate - side * qty)
            if qty * price < tier.cap or tier is tiers[-1]:
                break
        return 0.0 if side > 0 and price < 0.0 else price

    def is_reached(self, market: Market, price: float, level: float) -> bool:
        assert market.trade is not None
        return price <= level if market.trade.side > 0 else price >= level

    def mark_of(self, market: Market, candle: Candle) -> tuple[float, float, float, float]:
        own = (candle.open, candle.high, candle.low, candle.close)
        return self.marks_of[market.at].get(candle.time, own)

    def free(self) -> float:
        if not self.risk.isolated:
            return SlowEngine.free(self)
        left = quote(self.wallet)
        for market in self.markets:
            if market.trade:
                left -= self.own_margin(market)
        return left

    def largest_position(self, market: Market) -> float:
        tiers = self.held[market.at].tiers
        if tiers is None:
            return math.inf
        return max([one.cap for one in tiers if one.leverage >= self.risk.leverage], default=0.0)

    # Liquidation.

    def after_orders(self, time: int) -> None:
        if self.liquidates:
            self.liquidate_at(time, at_close=False)

    def before_mark(self, time: int) -> None:
        if self.liquidates:
            self.liquidate_at(time, at_close=True)
        for market in self.markets:
            self.take_rules(market, time + self.timeframe_ms)

    def liquidate_at(self, time: int, *, at_close: bool) -> None:
        self.levels = {}
        for market in self.markets:
            if market.trade:
                at = time + at_close
                last = [one for one in market.candles if one.time < at][-1:]
                now = market.candle(time)
                if now:
                    self.values[market.at] = self.mark_of(market, now[1])[3 if at_close else 0]
                else:
                    self.values[market.at] = self.mark_of(market, last[0])[3]
        before = len(self.trades)
        while self.liquidate_first(time, at_close=at_close):
            pass
        if len(self.trades) > before and any(market.trade for market in self.markets):
            self.seen["others left"] += 1

    def liquidate_first(self, time: int, *, at_close: bool) -> bool:
        for market in self.markets:
            if market.trade is None:
                continue
            level = self.levels[market.at] = self.level(market)
            now = market.candle(time)
            fills = now and self.fills_in(now[1])
            if now and fills and self.is_reached(market, self.values[market.at], level):
                price = now[1].close if at_close else now[1].open
                when = time + self.timeframe_ms if at_close else time
                self.seen["at a close" if at_close else "at an open"] += 1
                self.liquidate(market, price, when, now[0])
                return True
        return False

    def in_reach(self, market: Market, position: int) -> bool:
        trade = market.trade
        if trade is None or market.at not in self.levels:
            return False
        _, high, low, _ = self.mark_of(market, market.candles[position])
        return self.is_reached(market, low if trade.side > 0 else high, self.levels[market.at])

    def with_margin(self, fee: int) -> float:
        return quote(fee) if self.liquidates else 0.0

    def after_limit(self, market: Market, candle: Candle) -> None:
        if self.liquidates:
            self.values[market.at] = self.mark_of(market, candle)[0]
            self.levels[market.at] = self.level(market)

    def liquidates_inside(
        self, market: Market, look: Look, position: int, *, stopped: bool, took: bool
    ) -> bool:
        trade, candle = market.trade, market.candles[position]
        if trade is None or not self.in_reach(market, position):
            return False
        level = self.levels[market.at]
        inside = trade.entry_time > candle.time
        if inside and self.is_reached(market, trade.entry_price, level):
            self.seen["never had enough"] += 1
            level = trade.entry_price
        if stopped and trade.side * trade.last_stop >= trade.side * level:
            self.seen["stop before it"] += 1
            return False
        self.seen["inside a candle"] += 1
        self.seen["before its stop"] += stopped
        self.seen["at a price the contract never had"] += not look.low <= level <= look.high
        self.seen["where its limit filled"] += inside
        price = min(max(level, look.low), look.high)
        self.liquidate(market, price, candle.time + self.timeframe_ms, position)
        trade.ambiguous |= int(took)
        return True

    def liquidate(self, market: Market, price: float, time: int, position: int) -> None:
        trade = market.trade
        assert trade is not None
        if self.risk.isolated:
            left = self.own_margin(market)
        else:
            left = quote(self.wallet)
            for other in self.markets:
                if other.trade and other is not market:
                    moved = self.values[other.at] - other.trade.entry_price
                    left += other.trade.side * other.rules.qty(other.left) * moved
        collateral, rests = max(money(left), 0), market.rests_until
        slip = self.slip_in(market, position, market.left)
        self.close(market, price, slip, "liquidation", time, position)
        market.entry = None
        last = market.parts[-1]
        pnl, fee, qty = last.pnl, last.fee, last.qty
        more = money(self.held[market.at].fee * (qty * last.price))
        if collateral + pnl < 0:
            self.seen["loss covered"] += 1
            last.price = trade.entry_price - trade.side * quote(collateral) / qty
            trade.exit_price = last.price
            if len(market.parts) > 1:
                whole = sum(leg.steps * leg.price for leg in market.parts)
                trade.exit_price = whole / trade.steps
            last.pnl, last.fee = -collateral, 0
        else:
            self.seen["fees cut"] += fee + more > collateral + pnl
            last.fee = min(fee + more, collateral + pnl)
        self.wallet += last.pnl - pnl - (last.fee - fee)
        trade.pnl += last.pnl - pnl
        trade.fees += last.fee - fee
        loses = trade.pnl - trade.fees - trade.funding < 0
        market.rests_until = position + int(self.risk.cooldown) if loses else rests

    # Rules by date.

    def take_rules(self, market: Market, now: int) -> None:
        later = self.terms[market.at]
        waits = market.trade or market.entry or market.exit
        while later and later[0][0] <= now:
            if waits:
                self.seen["change waited"] += 1
                return
            self.held[market.at] = later.pop(0)[1]
            market.rules = self.held[market.at].rules
            self.seen["change taken"] += 1
