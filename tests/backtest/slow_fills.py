"""How the slow engine's orders fill: at an open, and inside a candle."""

import math
from dataclasses import dataclass

from tests.backtest.slow_account import SlowAccount, money
from tests.backtest.slow_detail import Look, looks_of
from tests.backtest.slow_latency import is_there, settle
from tests.backtest.slow_limits import (
    after_the_fill,
    at_open,
    far_side,
    is_reached,
)
from tests.backtest.slow_market import Candle, Entry, Market, Part, Trade
from tests.backtest.slow_slippage import extra_slippage
from tests.backtest.slow_volume import begin_rest, is_cut_away, most_steps


@dataclass(slots=True)
class SlowFills(SlowAccount):
    """An account whose orders fill."""

    def after_limit(self, market: Market, candle: Candle) -> None:
        """Do nothing once an entry has filled inside a candle."""

    def liquidates_inside(
        self, market: Market, look: Look, position: int, *, stopped: bool, took: bool
    ) -> bool:
        """Say whether a position was liquidated inside a candle."""
        return False

    def in_reach(self, market: Market, position: int) -> bool:
        """Say whether a candle's mark price reaches a position's liquidation price."""
        return False

    def slip_in(self, market: Market, position: int, steps: int) -> float:
        """Return the share of the price that a market order loses in a candle."""
        candle = market.candles[position]
        extra = extra_slippage(self.costs, market, candle.time, position)
        if self.costs.impact:
            impact = self.costs.impact * (market.rules.qty(steps) / candle.volume)
            extra = min(extra + impact, 0.5)
        return self.costs.slippage + extra

    def fills_in(self, candle: Candle) -> bool:
        """Say whether anything fills in a candle."""
        return not (self.costs.impact or self.costs.volume_share) or candle.volume > 0

    def market_orders(self, time: int) -> None:
        for market in self.markets:
            if market.candle(time):
                settle(market, time)
        for market in self.markets:
            found = market.candle(time)
            if found and market.exit and market.trade and self.fills_in(found[1]):
                position, candle = found
                if not is_there(market.exit_arrives, time):
                    continue
                ordered = market.closing != "triggered"
                trade = self.leave(
                    market, candle.open, market.exit, time, position, ordered=ordered
                )
                trade.ordered = int(ordered and market.trade is None)
        for market in self.markets:
            found = market.candle(time)
            if found and market.entry and self.fills_in(found[1]):
                position, candle = found
                if not is_there(market.entry.arrives, time):
                    continue
                entry, what = market.entry, at_open(market, candle.open, self.risk, self.costs)
                if what == "rests":
                    entry.rests = True
                    continue
                market.entry = None
                if what == "fills":
                    self.open(market, entry, candle.open, time, position)
                else:
                    self.refuse(market, what)

    def resting_entries(self, time: int) -> None:
        """Fill what rests at limits inside the candles, each with what surely came after it."""
        for market in self.markets:
            found, entry = market.candle(time), market.entry
            if not found or not entry or not entry.rests:
                continue
            position, candle = found
            if not self.fills_in(candle):
                continue
            if not is_reached(market, entry, far_side(entry, candle), self.costs):
                continue
            market.entry = None
            end = time + self.timeframe_ms
            self.open(market, entry, candle.open, end - 1, position)
            if market.trade:
                self.after_limit(market, candle)
                rest = after_the_fill(entry, candle)
                if self.latency_ms:
                    market.extremes += [rest.low, rest.high]
                    continue
                look = Look(end, end, rest.open, rest.high, rest.low)
                self.meet(market, market.trade, [look], position)

    def open(self, market: Market, entry: Entry, price: float, time: int, position: int) -> None:
        rules, too_little = market.rules, is_cut_away(self.costs, market, entry, position)
        if self.costs.volume_share and (market.trade or too_little):
            return self.refuse(market, "volume share under the symbol's minimum")
        slip = self.slip_in(market, position, entry.steps)
        stop: float
        take: float | None = None
        if entry.side > 0:
            fill = rules.ceil(price * (1 + slip))
            stop = rules.floor(fill - entry.stop)
            if entry.take is not None:
                take = rules.ceil(fill + entry.take)
        else:
            fill = rules.floor(price * (1 - slip))
            stop = rules.ceil(fill + entry.stop)
            if entry.take is not None:
                take = rules.floor(fill - entry.take)
        rate = self.costs.fee_rate
        if entry.limit is not None:
            if entry.rests:
                price = fill = entry.limit
                rate = self.costs.maker_rate
            elif entry.side * (fill - entry.limit) > 0:
                fill = entry.limit
            stop = (
                rules.floor(fill - entry.stop) if entry.side > 0 else rules.ceil(fill + entry.stop)
            )
            if entry.take is not None:
                take = (
                    rules.ceil(fill + entry.take)
                    if entry.side > 0
                    else rules.floor(fill - entry.take)
                )
        if fill <= 0 or stop <= 0 or (take is not None and take <= 0):
            return self.refuse(market, "stop or take level not positive")
        qty = rules.qty(entry.steps)
        fee = money(rate * (qty * fill))
        if qty * fill / self.risk.leverage + self.with_margin(fee) > self.free():
            return self.refuse(market, "margin at the fill")
        self.wallet -= fee
        market.extremes, market.moved, market.parts = [fill], "stop", []
        market.stops, market.guarded = [(time, stop, "stop")], time + self.latency_ms
        market.left, market.distance = entry.steps, entry.stop
        market.filled.append((position, entry.steps))
        market.ladder = self.ladder(market, entry, fill)
        market.trade = Trade(
            symbol=market.at,
            side=entry.side,
            entry_time=time,
            entry_candle=position,
            steps=entry.steps,
            qty=qty,
            entry_price=fill,
            stop=stop,
            take=take or 0.0,
            fees=fee,
            slippage=qty * abs(fill - price),
            risked=qty * entry.stop,
            reversal=int(entry.reversal),
            last_stop=stop,
            maker=int(entry.rests),
        )
        return None

    def ladder(self, market: Market, entry: Entry, fill: float) -> list[tuple[float, int]]:
        """Return level and steps of the partial take-profits, nearest first."""
        rules, risk, found = market.rules, self.risk, []
        for multiple, share in (
            (risk.part_1, risk.part_1_share),
            (risk.part_2, risk.part_2_share),
        ):
            steps = math.floor(share * entry.steps + 1e-9)
            distance = multiple * entry.stop
            level = rules.ceil(fill + distance) if entry.side > 0 else rules.floor(fill - distance)
            if multiple and steps >= rules.min_steps and level > 0:
                found.append((level, steps))
        return sorted(found, key=lambda one: entry.side * one[0])

    def leave(
        self,
        market: Market,
        price: float,
        why: str,
        time: int,
        position: int,
        *,
        ordered: bool = False,
    ) -> Trade:
        """Close a position as far as the volume of a candle allows."""
        steps, trade = most_steps(self.costs, market, position), market.trade
        assert trade is not None
        if steps >= market.left:
            slip = self.slip_in(market, position, market.left)
            return self.close(market, price, slip, why, time, position)
        if steps:
            slip = self.slip_in(market, position, steps)
            self.close_part(market, steps, price, slip, time, position)
        begin_rest(market, why, ordered=ordered)
        return trade

    def close(
        self, market: Market, price: float, slip: float, why: str, time: int, position: int
    ) -> Trade:
        trade = market.trade
        assert trade is not None
        last = self.close_part(market, market.left, price, slip, time, position)
        legs, fill = market.parts, last.price
        trade.pnl = sum(leg.pnl for leg in legs)
        trade.exit_price, trade.exit_reason = fill, why
        self.late["an exit dropped"] += market.exit is not None and market.exit != why
        if {leg.price for leg in legs} != {fill}:
            trade.exit_price = sum(leg.steps * leg.price for leg in legs) / trade.steps
        trade.parts = len(legs) - 1
        for leg in legs:
            leg.trade = len(self.trades)
        self.parts += legs if len(legs) > 1 else []
        trade.exit_time, trade.exit_candle = time, position
        if trade.pnl - trade.fees - trade.funding < 0:
            market.rests_until = position + int(self.risk.cooldown)
        moves = [
            trade.side * (x - trade.entry_price) / trade.entry_price
            for x in [*market.extremes, fill]
        ]
        trade.mae, trade.mfe = min(moves), max(moves)
        self.trades.append(trade)
        market.trade, market.exit, market.exit_arrives, market.closing = None, None, None, ""
        return trade

    def close_part(
        self, market: Market, steps: int, price: float, slip: float, time: int, position: int
    ) -> Part:
        trade = market.trade
        assert trade is not None
        if trade.side > 0:
            fill = market.rules.floor(price * (1 - slip))
        else:
            fill = market.rules.ceil(price * (1 + slip))
        qty = market.rules.qty(steps)
        pnl = money(trade.side * qty * (fill - trade.entry_price))
        fee = money(self.costs.fee_rate * (qty * fill))
        self.wallet += pnl
        self.wallet -= fee
        trade.fees += fee
        trade.slippage += qty * abs(fill - price)
        if steps < market.left:
            trade.charged *= (market.left - steps) / market.left
        market.left -= steps
        market.filled.append((position, steps))
        market.extremes.append(fill)
        part = Part(market.at, -1, time, position, steps, qty, fill, pnl, fee)
        market.parts.append(part)
        return part

    def resting_orders(self, market: Market, time: int) -> None:
        found = market.candle(time)
        if not found:
            return
        position, candle = found
        market.mark, market.closed = candle.close, position + 1
        trade = market.trade
        if trade is not None and trade.entry_time <= time:
            if not self.fills_in(candle):
                market.extremes += [candle.low, candle.high]
                return
            if time < market.guarded or market.closing:
                end = candle.time + self.timeframe_ms
                whole = Look(candle.time, end, candle.open, candle.high, candle.low)
                if not self.liquidates_inside(market, whole, position, stopped=False, took=False):
                    market.extremes += [candle.low, candle.high]
                return
            counts = self.walked
            how, reach = self.costs.intrabar, self.in_reach(market, position)
            looks = looks_of(market, candle, self.timeframe_ms, how, counts, reach=reach)
            self.meet(market, trade, looks, position)

    def meet(self, market: Market, trade: Trade, looks: list[Look], position: int) -> None:
        """Match a position's stop and takes with what a candle did since it was held."""
        for look in looks:
            self.touch(market, trade, look, position)
            if market.trade is None:
                return
            if market.closing:
                break
        market.extremes += [min(look.low for look in looks), max(look.high for look in looks)]

    def touch(self, market: Market, trade: Trade, look: Look, position: int) -> None:
        end = look.end

        def beyond_stop(price: float) -> bool:
            return price <= trade.last_stop if trade.side > 0 else price >= trade.last_stop

        def beyond(level: float, price: float) -> bool:
            if level == 0.0:
                return False
            return price >= level if trade.side > 0 else price <= level

        def beyond_take(price: float) -> bool:
            return beyond(trade.take, price)

        def beyond_any(price: float) -> bool:
            return beyond_take(price) or any(beyond(level, price) for level, _ in market.ladder)

        def before_the_take(level: float) -> bool:
            return trade.take == 0.0 or trade.side * (level - trade.take) < 0

        def take_parts(price: float, when: int, at: float | None = None) -> None:
            for level, steps in list(market.ladder):
                if beyond(level, price) and before_the_take(level):
                    self.close_part(
                        market,
                        steps,
                        level if at is None else at,
                        self.slip_in(market, position, steps),
                        when,
                        position,
                    )
                    market.ladder.remove((level, steps))

        worst, best = (look.low, look.high) if trade.side > 0 else (look.high, look.low)
        if beyond_stop(look.open):
            self.leave(market, look.open, market.moved, look.begin, position)
            return
        take_parts(look.open, look.begin, look.open)
        if beyond_take(look.open):
            self.leave(market, look.open, "take", look.begin, position)
            return
        both = beyond_stop(worst) and beyond_any(best)
        best_first = self.costs.intrabar == 1
        if not (best_first and beyond_any(best)) and self.liquidates_inside(
            market, look, position, stopped=beyond_stop(worst), took=beyond_any(best)
        ):
            return
        if not both or best_first:
            if beyond_stop(worst) and not both:
                best = look.open  # nothing but the stop
            reached = self.in_reach(market, position)
            took = beyond_any(best)
            take_parts(best, end)
            if beyond_take(best):
                closing = self.leave(market, trade.take, "take", end, position)
                closing.ambiguous = int(both or reached)
                return
            if (
                best_first
                and took
                and self.liquidates_inside(
                    market, look, position, stopped=beyond_stop(worst), took=True
                )
            ):
                return
        if beyond_stop(worst):
            at, why = trade.last_stop, market.moved
            self.leave(market, at, why, end, position).ambiguous = int(both)
