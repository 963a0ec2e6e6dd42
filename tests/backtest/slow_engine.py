"""A slow, obvious backtester: every instant, every symbol, plain Python numbers.

It is the referee of the real one and is written from the documented order of events inside a
candle, not from the engine's code. Prices and quantities on the grid are exact fractions until the
one division that makes them floats.
"""

import math
from dataclasses import dataclass, field

from strategy.fills import Costs
from strategy.risk import Risk
from tests.backtest.slow_market import Entry, Market, Said, Trade

DAY = 86_400_000
UNIT = 10**8


def money(amount: float) -> int:
    return round(amount * 1e8)


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
    marks: list[tuple[int, float]] = field(default_factory=list)  # (close time, equity)
    refused: dict[tuple[int, str], int] = field(default_factory=dict)
    blocked_day: int = -1
    broke: int | None = None  # close time at which nothing was left

    def run(self) -> "SlowEngine":
        self.wallet = round(self.balance * UNIT)
        for time in sorted({candle.time for market in self.markets for candle in market.candles}):
            self.market_orders(time)
            for market in self.markets:
                self.resting_orders(market, time)
            self.mark(time)
            self.decide(time)
            if not 0.0 < self.marks[-1][1] < 4e10:
                self.broke = time + self.timeframe_ms
                return self
            self.end_of_data(time)
        return self

    # At the open.

    def market_orders(self, time: int) -> None:
        for market in self.markets:
            found = market.candle(time)
            if found and market.exit and market.trade:
                position, candle = found
                self.close(market, candle.open, self.costs.slippage, market.exit, time, position)
        for market in self.markets:
            found = market.candle(time)
            if found and market.entry:
                position, candle = found
                self.open(market, market.entry, candle.open, time, position)
                market.entry = None

    def open(self, market: Market, entry: Entry, price: float, time: int, position: int) -> None:
        rules, slip = market.rules, self.costs.slippage
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
        if fill <= 0 or stop <= 0 or (take is not None and take <= 0):
            return self.refuse(market, "stop or take level not positive")
        qty = rules.qty(entry.steps)
        free = quote(self.wallet)
        for other in self.markets:
            if other.trade:
                free += other.unrealized() - other.notional() / self.risk.leverage
        if qty * fill / self.risk.leverage > free:
            return self.refuse(market, "margin at the fill")
        fee = money(self.costs.fee_rate * (qty * fill))
        self.wallet -= fee
        market.extremes = [fill]
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
        )
        return None

    def close(
        self, market: Market, price: float, slip: float, why: str, time: int, position: int
    ) -> Trade:
        trade = market.trade
        assert trade is not None
        if trade.side > 0:
            fill = market.rules.floor(price * (1 - slip))
        else:
            fill = market.rules.ceil(price * (1 + slip))
        trade.pnl = money(trade.side * trade.qty * (fill - trade.entry_price))
        fee = money(self.costs.fee_rate * (trade.qty * fill))
        self.wallet += trade.pnl
        self.wallet -= fee
        trade.fees += fee
        trade.slippage += trade.qty * abs(fill - price)
        trade.exit_price, trade.exit_reason = fill, why
        trade.exit_time, trade.exit_candle = time, position
        moves = [
            trade.side * (x - trade.entry_price) / trade.entry_price
            for x in [*market.extremes, fill]
        ]
        trade.mae, trade.mfe = min(moves), max(moves)
        self.trades.append(trade)
        market.trade, market.exit = None, None
        return trade

    # Inside the candle.

    def resting_orders(self, market: Market, time: int) -> None:
        found = market.candle(time)
        if not found:
            return
        position, candle = found
        market.mark = candle.close
        trade = market.trade
        if trade is None:
            return

        def beyond_stop(price: float) -> bool:
            return price <= trade.stop if trade.side > 0 else price >= trade.stop

        def beyond_take(price: float) -> bool:
            if trade.take == 0.0:
                return False
            return price >= trade.take if trade.side > 0 else price <= trade.take

        worst, best = (candle.low, candle.high) if trade.side > 0 else (candle.high, candle.low)
        slip, end = self.costs.slippage, time + self.timeframe_ms
        if beyond_stop(candle.open):
            self.close(market, candle.open, slip, "stop", time, position)
        elif beyond_take(candle.open):
            self.close(market, candle.open, slip, "take", time, position)
        elif beyond_stop(worst):
            both = beyond_take(best)
            self.close(market, trade.stop, slip, "stop", end, position).ambiguous = int(both)
        elif beyond_take(best):
            self.close(market, trade.take, slip, "take", end, position)
        else:
            market.extremes += [candle.low, candle.high]

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
        for market, said in heard:
            self.decide_exit(market, said)
        self.decide_entries(heard, blocked=self.blocked_day == day)

    def decide_entries(self, heard: list[tuple[Market, Said]], *, blocked: bool) -> None:
        slots = sum(1 for m in self.markets if m.trade or m.entry)
        reserved = 0.0
        for market in self.markets:
            reserved += max(market.notional(), self.held_back(market))
        for market, said in heard:
            if said.long == said.short:
                continue
            side = 1 if said.long else -1
            reverses = market.exit == "reversal"
            if market.trade and not reverses:
                continue
            own = market.notional()
            if blocked:
                self.refuse(market, "daily loss limit")
                continue
            if not reverses and self.risk.max_positions and slots >= self.risk.max_positions:
                self.refuse(market, "position limit")
                continue
            answer = self.size(market, side, said, reserved - own)
            if isinstance(answer, str):
                self.refuse(market, answer)
                continue
            market.entry = Entry(side, answer, said.stop, said.take, reverses)
            slots += not reverses
            reserved += max(self.held_back(market) - own, 0.0)

    def held_back(self, market: Market) -> float:
        """Return the value an approved entry keeps from the others: as it was estimated."""
        if market.entry is None:
            return 0.0
        return market.rules.qty(market.entry.steps) * self.estimate(market, market.entry.side)

    def estimate(self, market: Market, side: int) -> float:
        """Return where an entry would fill if the next open were the last close."""
        slip = self.costs.slippage
        if side > 0:
            return market.rules.ceil(market.mark * (1 + slip))
        return market.rules.floor(market.mark * (1 - slip))

    def decide_exit(self, market: Market, said: Said) -> None:
        if said.long and said.short:
            self.refuse(market, "both entry rules true")
        if market.trade is None:
            return
        long = market.trade.side > 0
        if said.exit_long if long else said.exit_short:
            market.exit = "signal"
        if said.long != said.short and (said.short if long else said.long):
            market.exit = "reversal"

    def size(self, market: Market, side: int, said: Said, reserved: float) -> int | str:
        rules, risk, wallet = market.rules, self.risk, quote(self.wallet)
        tick, step, price = float(rules.tick), float(rules.step), market.mark
        if wallet <= 0:
            return "no balance"
        for distance in (said.stop, said.take):
            if distance is not None and not (tick <= distance < math.inf):
                return "stop or take distance under one tick"
        if (said.stop if side > 0 else said.take or 0.0) >= price:
            return "stop or take level not positive"
        estimate = self.estimate(market, side)
        if estimate <= 0:
            return "stop or take level not positive"
        room = risk.max_leverage * wallet - reserved
        if risk.max_notional:
            room = min(room, risk.max_notional)
        by_risk = _floor(risk.per_trade * wallet / (said.stop * step) + 1e-9)
        by_room = _floor(room / (estimate * step) + 1e-9)
        steps = min(by_risk, by_room, rules.max_steps)
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
                position, last = len(market.candles) - 1, market.candles[-1]
                self.close(market, last.close, 0.0, "end", time + self.timeframe_ms, position)
                self.marks.pop()
                self.mark(time)


def _floor(x: float) -> int:
    return 2**62 if x == math.inf else math.floor(x)
