"""What the slow engine decides at a close: exits, moves of stops, entries and their sizes."""

import math
from dataclasses import dataclass

from tests.backtest.slow_account import DAY, SlowAccount, quote
from tests.backtest.slow_limits import (
    end_of_limit,
    limit_of,
)
from tests.backtest.slow_market import Candle, Entry, Market, Said
from tests.backtest.slow_slippage import extra_slippage
from tests.backtest.slow_volume import deafened


@dataclass(slots=True)
class SlowDecisions(SlowAccount):
    """An account that decides at closes."""

    def decide(self, time: int) -> None:
        close_time, equity = self.marks[-1]
        day = (close_time - 1) // DAY  # a decision at 00:00 is the last of its day
        limit, began = self.risk.daily_loss_limit, self.day_open(day)
        if limit > 0 and began - equity >= limit * began:
            self.blocked_day = day
        there = [(market, deafened(market, market.candle(time))) for market in self.markets]
        heard = [(market, found[1].said) for market, found in there if found]
        if self.risk.daily_loss_flatten and self.blocked_day == day:
            for market in self.markets:
                if market.trade and market.exit is None:
                    market.exit = "daily_limit"
        for market in self.markets:
            found = market.candle(time)
            if why := end_of_limit(market, found, self.risk, blocked=self.blocked_day == day):
                self.refuse(market, why)
                market.entry = None
        for market, said in heard:
            self.decide_exit(market, said)
        for market, found in there:
            if market.trade and found:
                self.move_stop(market, found[0], found[1])
        self.decide_entries(there, blocked=self.blocked_day == day)

    def move_stop(self, market: Market, position: int, candle: Candle) -> None:
        """End a position that is too old; move its stop where that makes it tighter."""
        trade, risk, rules = market.trade, self.risk, market.rules
        assert trade is not None
        if risk.time_stop and position - trade.entry_candle + 1 >= risk.time_stop:
            market.exit = market.exit or "time"
        if market.exit is not None:
            return

        def away(price: float) -> float:
            return rules.floor(price) if trade.side > 0 else rules.ceil(price)

        best = max(market.extremes) if trade.side > 0 else min(market.extremes)
        gained = trade.side * (best - trade.entry_price)
        wanted = []
        if risk.break_even and gained >= risk.break_even * market.distance:
            wanted.append((away(trade.entry_price), "break_even"))
        distance = risk.trail * market.distance
        if candle.said.trail is not None:
            distance = candle.said.trail
        trails = float(rules.tick) <= distance < math.inf
        if trails and gained >= risk.trail_after * market.distance:
            wanted.append((away(best - trade.side * distance), "trailing"))
        _, last, why = market.stops[-1]
        level = last
        for candidate, reason in wanted:
            if trade.side * candidate > trade.side * level:
                level, why = candidate, reason
        if level == last:
            return
        if trade.side * candle.close <= trade.side * level:
            market.exit = why
        else:
            arrives = candle.time + self.timeframe_ms + self.latency_ms
            self.late["moves on their way"] += market.stops[-1][0] > arrives - self.latency_ms
            market.stops.append((arrives, level, why))

    def decide_entries(
        self, there: list[tuple[Market, tuple[int, Candle] | None]], *, blocked: bool
    ) -> None:
        slots = sum(1 for m in self.markets if m.trade or m.entry)
        sides = {
            side: sum(
                1
                for m in self.markets
                if (m.trade and m.trade.side == side) or (m.entry and m.entry.side == side)
            )
            for side in (1, -1)
        }
        most = {1: self.risk.max_longs, -1: self.risk.max_shorts}
        reserved = 0.0
        for market in self.markets:
            reserved += max(market.notional(), self.held_back(market))
        for market, found in sorted(there, key=turn):
            if found is None or found[1].said.long == found[1].said.short:
                continue
            position, said = found[0], found[1].said
            side = 1 if said.long else -1
            reverses = market.exit == "reversal"
            if market.entry or (market.trade and not reverses):
                continue
            own = market.notional()
            if blocked:
                self.refuse(market, "daily loss limit")
                continue
            if position < market.rests_until:
                self.refuse(market, "cooldown")
                continue
            if not reverses and self.risk.max_positions and slots >= self.risk.max_positions:
                self.refuse(market, "position limit")
                continue
            if most[side] and sides[side] >= most[side]:
                self.refuse(market, "limit of longs or shorts")
                continue
            limit = limit_of(market, said, side)
            if isinstance(limit, str):
                self.refuse(market, limit)
                continue
            answer = self.size(market, side, said, reserved - own, limit)
            if isinstance(answer, str):
                self.refuse(market, answer)
                continue
            market.entry = Entry(side, answer, said.stop, said.take, reverses, limit, position)
            slots += not reverses
            sides[side] += 1
            reserved += max(self.held_back(market) - own, 0.0)

    def held_back(self, market: Market) -> float:
        """Return the value an approved entry keeps from the others: as it was estimated."""
        if market.entry is None:
            return 0.0
        price = market.entry.limit or self.estimate(market, market.entry.side)
        return market.rules.qty(market.entry.steps) * price

    def estimate(self, market: Market, side: int) -> float:
        """Return where an entry would fill if the next open were the last close."""
        slip = self.costs.slippage
        if market.closed:
            known = market.candles[market.closed - 1].time + self.timeframe_ms
            slip += extra_slippage(self.costs, market, known, market.closed)
        if side > 0:
            return market.rules.ceil(market.mark * (1 + slip))
        return market.rules.floor(market.mark * (1 - slip))

    def decide_exit(self, market: Market, said: Said) -> None:
        if said.long and said.short:
            self.refuse(market, "both entry rules true")
        if market.trade is None or market.exit is not None:
            return
        long = market.trade.side > 0
        if said.exit_long if long else said.exit_short:
            market.exit = "signal"
        if said.long != said.short and (said.short if long else said.long):
            market.exit = "reversal"

    def size(
        self, market: Market, side: int, said: Said, reserved: float, limit: float | None
    ) -> int | str:
        rules, risk, wallet = market.rules, self.risk, quote(self.wallet)
        tick, step, price = float(rules.tick), float(rules.step), limit or market.mark
        if wallet <= 0:
            return "no balance"
        for distance in (said.stop, said.take):
            if distance is not None and not (tick <= distance < math.inf):
                return "stop or take distance under one tick"
        if (said.stop if side > 0 else said.take or 0.0) >= price:
            return "stop or take level not positive"
        estimate = limit or self.estimate(market, side)
        if estimate <= 0:
            return "stop or take level not positive"
        room = risk.max_leverage * wallet - reserved
        capped = bool(risk.max_notional) and risk.max_notional < room
        if capped:
            room = risk.max_notional
        bracket = self.largest_position(market)
        bracketed = bracket < room
        room = min(room, bracket)
        by_risk = _floor(risk.per_trade * wallet / (said.stop * step) + 1e-9)
        by_room = _floor(room / (estimate * step) + 1e-9)
        steps = min(by_risk, by_room, rules.max_steps)
        if bracketed and room < max(estimate * step * rules.min_steps, float(rules.min_notional)):
            return "leverage bracket under the symbol's minimum"
        if capped and room < max(estimate * step * rules.min_steps, float(rules.min_notional)):
            return "notional limit under the symbol's minimum"
        if steps < 1 and room < estimate * step * rules.min_steps:
            return "leverage limit"
        if steps < rules.min_steps or rules.qty(steps) * estimate < float(rules.min_notional):
            return "size under the symbol's minimum"
        return steps


def turn(there: tuple[Market, tuple[int, Candle] | None]) -> tuple[bool, float]:
    """Return what entries of one instant are sorted by: NaN last, equal ones as they stand."""
    priority = there[1][1].said.priority if there[1] else 0.0
    return math.isnan(priority), 0.0 if math.isnan(priority) else -priority


def _floor(x: float) -> int:
    return 2**62 if x == math.inf else math.floor(x)
