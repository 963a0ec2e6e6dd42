"""A trader on the simulated exchange and the backtester reach the same wallet, to the last unit.

The trader here has no journal, sockets or Redis: it asks `strategy.account.step` at every close and
sends what that decided as requests.
"""

import dataclasses
import math
import os
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest.engine import Result
from backtest.signals import signals_of
from data.symbols import SymbolRules
from live.decimals import price_text, qty_text
from live.simulator.venue import ApiError, Venue
from research.funding_facts import payments_of
from strategy.account import fee_of, step
from strategy.errors import RunRefused
from strategy.fills import stop_level, take_level
from strategy.records import ACCOUNT, BY_END, BY_STOP, ORDER, POSITION, SAID
from strategy.risk import LEVEL, MARGIN, REFUSALS
from strategy.rules import ENTER_LONG, ENTER_SHORT
from tests.backtest.random_markets import World, draw_funded, run_fast, without_parts
from tests.backtest.slow_market import Rules
from tests.live.perfect import rules_of

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500")) // 5
WOULD_TRIGGER = -2021


class HandTrader:
    """Trades a backtest's signals on a venue.

    Attributes
    ----------
    equity : list of float
        At every close.
    """

    def __init__(self, result: Result, rules: list[SymbolRules]) -> None:
        count = len(rules)
        self.result, self.rules = result, rules
        self.venue = Venue(
            rules,
            result.costs,
            result.balance,
            hold_market_orders=True,
            leverage=int(result.risk.leverage),
            funding=result.funding,
        )
        self.account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
        self.account[0].wallet, self.account[0].day = self.venue.wallet, -1
        self.account[0].equity = self.venue.wallet / 1e8
        self.positions: Any = np.zeros(count, POSITION).view(np.recarray)
        self.orders: Any = np.zeros(count, ORDER).view(np.recarray)
        self.said: Any = np.zeros(count, SAID).view(np.recarray)
        self.said["slippage"] = result.costs.slippage
        self.refused = np.zeros((count, len(REFUSALS)), np.int64)
        self.moved: dict[int, str] = {}  # the tighter stop's id
        self.equity: list[float] = []
        self._length = result.candles[0].timeframe_ms
        self._candle = [-1] * count
        self._rows = [self._said_by(at) for at in range(count)]

    def _said_by(self, at: int) -> dict[int, Any]:
        candles = self.result.candles[at]
        spoken = signals_of(self.result.strategy, candles, self.result.params)
        has_take = self.result.strategy.has_take
        entries = {
            int(place): (float(spoken.stop[j]), float(spoken.take[j]) if has_take else 0.0)
            for j, place in enumerate(spoken.at)
        }
        prices = [candles.arrays[name] for name in ("open", "high", "low", "close")]
        return {
            int(opened): (
                int(spoken.flags[i]),
                *entries.get(i, (0.0, 0.0)),
                *(float(p[i]) for p in prices),
                i,
                float(spoken.trail[i]) if len(spoken.trail) else math.nan,
            )
            for i, opened in enumerate(candles.open_time)
        }

    def run(self, until: int) -> "HandTrader":
        for opened in (int(time) for time in self.result.time if time < until):
            self._open(opened)
            self._close(opened)
        return self

    def _open(self, opened: int) -> None:
        self.venue.now = opened
        self.venue.pay_funding(opened + 1)
        for rules, rows in zip(self.rules, self._rows, strict=True):
            if opened in rows:
                self.venue.open_candle(rules.symbol, rows[opened][3])
        self._fill()
        self.venue.pay_funding(opened + self._length)
        self._fill()  # what had to be closed at once

    def _fill(self) -> None:
        before = [int(p.steps) for p in self.positions]
        self.venue.fill_held()
        for at, rules in enumerate(self.rules):
            self._take_in(at)
            order, position = self.orders[at], self.positions[at]
            waits = self.venue.open_orders({"symbol": rules.symbol})
            if waits:
                continue
            if order.close_reason or not position.steps:
                self.venue.cancel_all_algos({"symbol": rules.symbol})
            if order.side and position.steps != before[at] and position.steps:
                self._protect(at)
            elif order.side:
                self.refused[at, MARGIN] += 1
            order.side, order.steps, order.close_reason = 0, 0, 0

    def _protect(self, at: int) -> None:
        rules, order, position = self.rules[at], self.orders[at], self.positions[at]
        side, grid = (1 if position.steps > 0 else -1), self.result.grids[at]
        stop = float(stop_level(position.entry, order.stop_distance, side, grid))
        position.stop_level, position.stop_reason = stop, BY_STOP
        position.stop_distance, position.entry_candle = order.stop_distance, self._candle[at] + 1
        position.lowest = position.highest = position.entry
        self.moved.pop(at, None)
        asked = {
            "algoType": "CONDITIONAL",
            "symbol": rules.symbol,
            "side": "SELL" if side > 0 else "BUY",
        }
        try:
            self.venue.new_algo(
                asked
                | {
                    "type": "STOP_MARKET",
                    "closePosition": "true",
                    "triggerPrice": price_text(stop, rules),
                }
            )
        except ApiError as error:
            assert error.code == WOULD_TRIGGER
            self._market(at, -int(position.steps), True)
            return
        if order.take_distance > 0.0:
            take = float(take_level(position.entry, order.take_distance, side, grid))
            self.venue.new_algo(
                asked
                | {
                    "type": "TAKE_PROFIT_MARKET",
                    "reduceOnly": "true",
                    "quantity": qty_text(int(position.steps), rules),
                    "triggerPrice": price_text(take, rules),
                }
            )

    def _close(self, opened: int) -> None:
        self.venue.now = opened + self._length - 1
        for at, (rules, rows) in enumerate(zip(self.rules, self._rows, strict=True)):
            word = self.said[at]
            word.present, word.signals = int(opened in rows), 0
            if opened not in rows:
                continue
            flags, stop, take, o, h, l, c, i, trail = rows[opened]  # noqa: E741
            word.candle, word.trail_distance, self._candle[at] = i, trail, i
            self.venue.play_candle(rules.symbol, opened, o, h, l, c)
            self._take_in(at)
            position = self.positions[at]
            position.mark = c
            position.lowest, position.highest = min(position.lowest, l), max(position.highest, h)
            if not self.positions[at].steps:  # a take left behind would close the next position
                self.venue.cancel_all_algos({"symbol": rules.symbol})
            word.signals = flags
            if flags & (ENTER_LONG | ENTER_SHORT):
                word.stop_distance, word.take_distance = stop, take
        self.venue.now = opened + self._length
        self._decide()

    def _decide(self) -> None:
        self.account[0].wallet = self.venue.wallet
        result = self.result
        waiting = [(int(o.close_reason), int(o.side)) for o in self.orders]
        levels = [float(p.stop_level) for p in self.positions]
        step(
            self.account[0],
            self.positions,
            self.orders,
            result.grids,
            self.said,
            np.arange(len(self.said)),
            result.risk,
            result.strategy.has_take,
            result.strategy.has_trail,
            self.venue.now,
            self.refused,
        )
        self.equity.append(float(self.account[0].equity))
        for at, (closing, side) in enumerate(waiting):
            order, position = self.orders[at], self.positions[at]
            if position.steps and position.stop_level != levels[at]:
                self._tighten(at)
            if order.close_reason and not closing:
                self._market(at, -int(self.positions[at].steps), True)
            if order.side and not side:
                self._market(at, int(order.side * order.steps), False)

    def _tighten(self, at: int) -> None:
        rules, position = self.rules[at], self.positions[at]
        old = self.moved.get(at)
        self.moved[at] = f"w{self.venue.now}-{at}"
        self.venue.new_algo(
            {
                "algoType": "CONDITIONAL",
                "symbol": rules.symbol,
                "side": "SELL" if position.steps > 0 else "BUY",
                "type": "STOP_MARKET",
                "reduceOnly": "true",
                "quantity": qty_text(int(position.steps), rules),
                "triggerPrice": price_text(float(position.stop_level), rules),
                "clientAlgoId": self.moved[at],
            }
        )
        if old:
            self.venue.cancel_algo({"clientAlgoId": old})

    def _market(self, at: int, steps: int, reduces: bool) -> None:
        asked = {
            "symbol": self.rules[at].symbol,
            "side": "BUY" if steps > 0 else "SELL",
            "type": "MARKET",
            "quantity": qty_text(steps, self.rules[at]),
        }
        self.venue.new_order(asked | ({"reduceOnly": "true"} if reduces else {}))

    def _take_in(self, at: int) -> None:
        rows = self.venue.position_risk({"symbol": self.rules[at].symbol}, version=2)
        step_size = Decimal(self.rules[at].step_size)
        self.positions[at].steps = int(Decimal(rows[0]["positionAmt"]) / step_size)
        self.positions[at].entry = float(rows[0]["entryPrice"])


def sane(rules: Rules) -> Rules:
    """Take out the rules on which both may differ: the least notional is looked at when an order is
    sent, at the last price without slippage, and no exchange has a largest order below a step."""
    none = Decimal(rules.max_qty) < Decimal(rules.step)
    return dataclasses.replace(rules, min_notional="0", max_qty="0" if none else rules.max_qty)


def expected_wallet(result: Result, until: int) -> int:
    """Add up what the backtest had booked before a candle."""
    units = round(result.balance * 1e8)
    # What falls into a gap before that candle is paid when it opens.
    before = result.time[result.time < until]
    end = int(before[-1]) + result.candles[0].timeframe_ms if len(before) else 0
    for at, trade in enumerate(result.trades):
        units -= sum(one.units for one in payments_of(result, at) if one.time < end)
        times = result.candles[trade.symbol].open_time
        entry_fee = int(fee_of(result.costs.fee_rate, trade.qty, trade.entry_price))
        if times[trade.entry_candle] < until:
            units -= entry_fee
        if times[trade.exit_candle] < until and trade.exit_reason != BY_END:
            units += int(trade.pnl) - (int(trade.fees) - entry_fee)
    return units


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.builds(draw_funded, seed=st.integers(0, 2**32), length=st.integers(2, 60),
              symbols=st.integers(1, 3))
)  # fmt: skip
def test_a_trader_on_the_exchange_and_a_backtest_book_the_same(world: World) -> None:
    world = without_parts(world)
    # This trader keeps no account of what a trade came to, so it does not rest after a loss.
    risk = world.risk._replace(cooldown=0)
    rules = tuple(sane(one) for one in world.rules)
    world = dataclasses.replace(world, rules=rules, risk=risk)
    try:
        result = run_fast(world)
    except RunRefused:
        assume(False)
        raise
    # An exchange fills what a backtest refuses for a stop below zero.
    assume(not result.refused[:, LEVEL].any())
    ends = [int(one.open_time[-1]) for one in result.candles if len(one.open_time)]
    until = min(ends)
    trader = HandTrader(result, rules_of(world)).run(until)
    assert trader.venue.wallet == expected_wallet(result, until)
    played = int(np.searchsorted(result.time, until))
    assert np.array(trader.equity).tobytes() == result.equity[:played].tobytes()
    if played == len(result.time) - 1:
        fills = [fill for one in trader.rules for fill in trader.venue.user_trades(
            {"symbol": one.symbol, "fromId": "1", "limit": "1000"})]  # fmt: skip
        before = sum(
            int(result.candles[t.symbol].open_time[t.entry_candle] < until)
            + int(
                result.candles[t.symbol].open_time[t.exit_candle] < until
                and t.exit_reason != BY_END
            )
            for t in result.trades
        )
        assert len(fills) == before
