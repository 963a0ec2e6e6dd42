"""The journal that a perfect live session writes: what a backtest did, told as records."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from backtest.engine import Result
from data.symbols import SymbolRules
from live.journal_records import Began, Decided, Filled, Funded, Held, Order, Record
from live.records import ClosedCandle
from live.session import Session
from research.funding_facts import payments_of
from research.resting_orders import Resting, resting_orders
from strategy.account import fee_of
from strategy.grid import qty_of
from strategy.records import (
    BY_BREAK_EVEN,
    BY_REVERSAL,
    BY_STOP,
    BY_TAKE,
    BY_TRAILING,
    EXIT_REASONS,
    UNIT,
)
from tests.backtest.random_markets import World
from tests.live.sessions import make_session, rules

_LEGS = {BY_STOP: "s", BY_TAKE: "t", BY_TRAILING: "w", BY_BREAK_EVEN: "w"}


def session_of(result: Result, its_rules: Sequence[SymbolRules]) -> Session:
    """Describe a session that starts where a backtest does."""
    first = int(result.time[0])
    strategy = result.strategy
    return make_session(
        result.symbols,
        str(strategy.path),
        params={},
        risk=result.risk._asdict(),
        timeframe=strategy.timeframe,
        fee_rate=result.costs.fee_rate,
        slippage=result.costs.slippage,
        balance=result.balance,
        rules=tuple(its_rules),
        first_open_time=first,
        trade_from=first,
        created_ms=first,
    )


def rules_of(world: World) -> list[SymbolRules]:
    """Write a world's rules as the exchange's."""
    return [
        msgspec.structs.replace(
            rules(letter * 3, one.tick, one.step),
            min_qty=one.min_qty,
            max_qty=one.max_qty,
            min_notional=one.min_notional,
        )
        for letter, one in zip("ABC", world.rules, strict=False)
    ]


def closed_candles(result: Result) -> Iterator[ClosedCandle]:
    """Tell a backtest's candles as they close."""
    for one in result.candles:
        names = [name for name in one.arrays if name != "open_time"]
        for i, opened in enumerate(one.arrays["open_time"]):
            texts: dict[str, Any] = {name: repr(float(one.arrays[name][i])) for name in names}
            if "trades" in texts:
                texts["trades"] = int(one.arrays["trades"][i])
            yield ClosedCandle(symbol=one.symbol, open_time=int(opened), **texts)


def journal_of(result: Result) -> list[Record]:
    """Write what a session that did exactly this has in its journal, in the order of the events."""
    return _Writer(result).records()


@dataclass(slots=True)
class _Fill:
    trade: Any
    opens: bool
    time: int
    leg: str
    steps: int
    price: float
    pnl: int
    fee: int
    level: float = 0.0


@dataclass(slots=True)
class _Writer:
    result: Result
    out: list[Record] = field(default_factory=list)
    wallet: int = 0
    held: dict[int, tuple[int, float]] = field(default_factory=dict)
    resting: list[Resting] = field(default_factory=list)

    def records(self) -> list[Record]:
        result, length = self.result, self.result.candles[0].timeframe_ms
        self.wallet, self.resting = round(result.balance * UNIT), resting_orders(result)
        first = int(result.time[0])
        before = dict.fromkeys(result.symbols, -1)
        self._add(Began(n=0, time=first, wallet=self.wallet, last_trade=before))
        fills, orders, moves = self._fills(), self._orders(), self._moves()
        marks = [0.0] * len(result.symbols)
        rows = [
            dict(zip(one.arrays["open_time"].tolist(), one.arrays["close"].tolist(), strict=True))
            for one in result.candles
        ]
        for opened, equity in zip(result.time.tolist(), result.equity.tolist(), strict=True):
            for one in fills[opened]:
                if isinstance(one, Funded):
                    self.wallet -= one.payment
                    self._add(one)
                else:
                    self._fill(one)
            marks = [row.get(opened, mark) for row, mark in zip(rows, marks, strict=True)]
            marked = self._marked(marks)
            assert marked == equity or self.held
            self._add(
                Decided(
                    n=0,
                    time=opened + length,
                    wallet=self.wallet,
                    equity=marked,
                    day=0,
                    day_open=0.0,
                    blocked=False,
                    marks=tuple(marks),
                    orders=tuple(orders[opened + length]),
                    held=tuple(moves[opened + length]),
                )
            )
        return self.out

    def _add(self, record: Record) -> None:
        self.out.append(msgspec.structs.replace(record, n=len(self.out) + 1))

    def _marked(self, marks: Sequence[float]) -> float:
        equity = self.wallet / UNIT
        for s, mark in enumerate(marks):
            if s in self.held:
                steps, entry = self.held[s]
                equity += qty_of(steps, self.result.grids[s]) * (mark - entry)
        return equity

    def _fills(self) -> dict[int, list[_Fill | Funded]]:
        # By candle: its instant's funding, closing orders, opening ones, the funding inside, levels
        # at the open, levels inside.
        found: dict[int, list[tuple[float, int, _Fill | Funded]]] = defaultdict(list)
        for at, trade in enumerate(self.result.trades):
            s, fee = int(trade.symbol), self._entry_fee(trade)
            times = self.result.candles[s].arrays["open_time"]
            for paid in self._payments(at, trade):
                opened = self._candle_of(paid.time)
                found[opened].append((1.5 if paid.time > opened else -1, s, paid))
            entered, steps = int(trade.entry_time), int(trade.steps)
            price = float(trade.entry_price)
            entry = _Fill(trade, True, entered, "e", int(trade.side) * steps, price, 0, fee)
            found[entered].append((1, s, entry))
            for fill, candle in self._exits(at, trade):
                opened = int(times[candle])
                inside = fill.time != opened
                phase = 3 if inside else 0 if fill.leg == "x" else 2
                fill.time -= inside
                found[opened].append((phase, s, fill))
        return defaultdict(
            list,
            {at: [x for *_, x in sorted(some, key=lambda x: x[:2])] for at, some in found.items()},
        )

    def _payments(self, at: int, trade: Any) -> Iterator[Funded]:
        symbol = self.result.symbols[int(trade.symbol)]
        for number, (time, units) in enumerate(payments_of(self.result, at), at << 16):
            opened = int(trade.entry_time)
            yield Funded(n=0, symbol=symbol, number=number, payment=units, time=time, opened=opened)

    def _candle_of(self, time: int) -> int:
        # The candle at whose open or inside which an instant is paid: behind a gap, the next one.
        times, length = self.result.time, self.result.candles[0].timeframe_ms
        at = int(np.searchsorted(times, time, "right")) - 1
        return int(times[at] if time < times[at] + length else times[at + 1])

    def _entry_fee(self, trade: Any) -> int:
        return int(fee_of(self.result.costs.fee_rate, trade.qty, trade.entry_price))

    def _exits(self, at: int, trade: Any) -> Iterator[tuple[_Fill, int]]:
        """Give each exit of a trade and its candle, but for the one at the end of the candles."""
        side, last = int(trade.side), "x" if trade.ordered else _LEGS.get(int(trade.exit_reason))
        parts = self.result.parts[self.result.parts.trade == at]
        for part, its in zip(parts[:-1], self.resting[at].parts, strict=False):
            leg, level = "ab"[its.which - 1], its.level
            steps, price = -side * int(part.steps), float(part.price)
            pnl, fee = int(part.pnl), int(part.fee)
            fill = _Fill(trade, False, int(part.time), leg, steps, price, pnl, fee, level)
            yield fill, int(part.candle)
        if last is None:
            return
        pnl, fee = int(trade.pnl), int(trade.fees) - self._entry_fee(trade)
        steps, price = int(trade.steps), float(trade.exit_price)
        if len(parts):
            rest = parts[-1]
            pnl, fee = int(rest.pnl), int(rest.fee)
            steps, price = int(rest.steps), float(rest.price)
        time, candle = int(trade.exit_time), int(trade.exit_candle)
        yield _Fill(trade, False, time, last, -side * steps, price, pnl, fee), candle

    def _orders(self) -> dict[int, list[Order]]:
        found: dict[int, dict[int, Order]] = defaultdict(dict)
        for trade in self.result.trades:
            s = int(trade.symbol)
            at, said = self._decision(s, int(trade.entry_candle))
            before = found[at].get(s)
            found[at][s] = Order(
                symbol=self.result.symbols[s],
                close_reason=before.close_reason if before else 0,
                side=int(trade.side),
                steps=int(trade.steps),
                stop_distance=said["quote_volume"],
                take_distance=said["taker_buy"] if self.result.strategy.has_take else 0.0,
                reversal=bool(trade.reversal),
                price=said["close"],
            )
            if trade.ordered:
                at, said = self._decision(s, int(trade.exit_candle))
                reason = int(trade.exit_reason)
                found[at][s] = Order(
                    self.result.symbols[s],
                    reason,
                    0,
                    0,
                    0.0,
                    0.0,
                    reason == BY_REVERSAL,
                    said["close"],
                )
        return defaultdict(list, {at: list(some.values()) for at, some in found.items()})

    def _moves(self) -> dict[int, list[Held]]:
        result, found = self.result, defaultdict(list)
        for trade, its in zip(result.trades, self.resting, strict=True):
            s = int(trade.symbol)
            for move in its.moves:
                time = self._decision(s, move.candle + 1)[0]
                held = Held(result.symbols[s], 0.0, 0.0, move.level, move.reason)
                found[time].append(held)
        return found

    def _decision(self, s: int, candle: int) -> tuple[int, dict[str, float]]:
        one = self.result.candles[s]
        said = {name: float(values[candle - 1]) for name, values in one.arrays.items()}
        return int(one.arrays["open_time"][candle - 1]) + one.timeframe_ms, said

    def _fill(self, fill: _Fill) -> None:
        trade, result = fill.trade, self.result
        s, last = int(trade.symbol), fill.leg not in "eab"
        reason = 0 if fill.opens else int(trade.exit_reason) if last else BY_TAKE
        candle = int(trade.exit_candle if fill.leg == "x" else trade.entry_candle)
        assert np.float64(qty_of(int(trade.steps), result.grids[s])) == trade.qty
        self.wallet += fill.pnl - fill.fee
        held = self.held.pop(s, (0, 0.0))[0] + fill.steps
        if held:
            self.held[s] = held, float(trade.entry_price)
        self._add(
            Filled(
                n=0,
                symbol=result.symbols[s],
                trade_id=len(self.out),
                id=f"{len(self.out)}",
                leg=fill.leg,
                steps=fill.steps,
                price=fill.price,
                fee=fill.fee,
                pnl=fill.pnl,
                time=fill.time,
                held=held,
                entry=float(trade.entry_price) if held else 0.0,
                reason=EXIT_REASONS[reason],
                stop=float(trade.stop) if held else 0.0,
                take=float(trade["take"]) if held else 0.0,
                decided_at=self._decision(s, candle)[0],
                reversal=bool(trade.reversal) and fill.opens,
                level=fill.level,
            )
        )
