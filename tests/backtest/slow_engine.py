"""A slow, obvious backtester: every instant, every symbol, plain Python numbers.

It is the referee of the real one and is written from the documented order of events inside a
candle, not from the engine's code. Prices and quantities on the grid are exact fractions until the
one division that makes them floats.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from strategy.fills import Costs
from strategy.risk import Risk
from tests.backtest.slow_detail import Look, Walked, looks_of
from tests.backtest.slow_latency import is_there, send, settle
from tests.backtest.slow_limits import (
    after_the_fill,
    at_open,
    end_of_limit,
    far_side,
    is_reached,
    limit_of,
)
from tests.backtest.slow_market import Candle, Entry, Market, Part, Said, Trade
from tests.backtest.slow_slippage import extra_slippage

DAY = 86_400_000
UNIT = 10**8


def money(amount: float) -> int:
    return round(min(max(amount, -4e10), 4e10) * 1e8)


def quote(units: int) -> float:
    # Beyond 90 million the units are first rounded to a float, as the engine's are.
    return float(units) / 1e8


@dataclass(slots=True)
class SlowEngine:
    """One account over some markets; run() fills trades, equity and refused."""

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

    # What an engine with more rules does besides.

    def after_orders(self, time: int) -> None:
        """Do nothing once the orders at an open have filled."""

    def before_mark(self, time: int) -> None:
        """Do nothing at a close, before it is marked."""

    def largest_position(self, market: Market) -> float:
        """Return the notional that the exchange allows."""
        return math.inf

    def with_margin(self, fee: int) -> float:
        """Return what of an entry's fee has to be free beside its margin."""
        return 0.0

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

    @property
    def latency_ms(self) -> int:
        return int(self.costs.latency_ms)

    # Between the decision and the open, and inside the candle before resting orders.

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
        return True

    # At the open.

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
        return not self.costs.impact or candle.volume > 0

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
                slip, why = self.slip_in(market, position, market.left), market.exit
                self.close(market, candle.open, slip, why, time, position).ordered = 1
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
        rules, slip = market.rules, self.slip_in(market, position, entry.steps)
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

    def free(self) -> float:
        free = quote(self.wallet)
        for market in self.markets:
            if market.trade:
                free += market.unrealized() - market.notional() / self.risk.leverage
        return free

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
        market.trade, market.exit, market.exit_arrives = None, None, None
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
        market.left -= steps
        market.extremes.append(fill)
        part = Part(market.at, -1, time, position, steps, qty, fill, pnl, fee)
        market.parts.append(part)
        return part

    # Inside the candle.

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
            if time < market.guarded:
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
        market.extremes += [min(look.low for look in looks), max(look.high for look in looks)]

    def touch(self, market: Market, trade: Trade, look: Look, position: int) -> None:
        end = look.end

        def slip() -> float:
            return self.slip_in(market, position, market.left)

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
            self.close(market, look.open, slip(), market.moved, look.begin, position)
            return
        take_parts(look.open, look.begin, look.open)
        if beyond_take(look.open):
            self.close(market, look.open, slip(), "take", look.begin, position)
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
                closing = self.close(market, trade.take, slip(), "take", end, position)
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
            self.close(market, at, slip(), why, end, position).ambiguous = int(both)

    # At the close.

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

    def decide(self, time: int) -> None:
        close_time, equity = self.marks[-1]
        day = (close_time - 1) // DAY  # a decision at 00:00 is the last of its day
        limit, began = self.risk.daily_loss_limit, self.day_open(day)
        if limit > 0 and began - equity >= limit * began:
            self.blocked_day = day
        there = [(market, market.candle(time)) for market in self.markets]
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

    def refuse(self, market: Market, why: str) -> None:
        key = (market.at, why)
        self.refused[key] = self.refused.get(key, 0) + 1

    # After the last candle.

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


def turn(there: tuple[Market, tuple[int, Candle] | None]) -> tuple[bool, float]:
    """Return what entries of one instant are sorted by: NaN last, equal ones as they stand."""
    priority = there[1][1].said.priority if there[1] else 0.0
    return math.isnan(priority), 0.0 if math.isnan(priority) else -priority


def _floor(x: float) -> int:
    return 2**62 if x == math.inf else math.floor(x)
