"""The journal that a perfect live session writes: what a backtest did, told as records."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from backtest.engine import Result
from data.symbols import SymbolRules
from live.journal import Began, Decided, Filled, Held, Order, Record
from live.records import ClosedCandle
from live.session import Session
from research.stop_moves import stop_moves
from strategy.account import fee_of
from strategy.grid import qty_of
from strategy.records import (
    BY_BREAK_EVEN,
    BY_END,
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


@dataclass(slots=True)
class _Writer:
    result: Result
    out: list[Record] = field(default_factory=list)
    wallet: int = 0
    held: dict[int, tuple[int, float]] = field(default_factory=dict)

    def records(self) -> list[Record]:
        result, length = self.result, self.result.candles[0].timeframe_ms
        self.wallet = round(result.balance * UNIT)
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

    def _fills(self) -> dict[int, list[_Fill]]:
        # By candle: closing orders, opening ones, levels at the open, levels inside.
        found = defaultdict(list)
        for trade in self.result.trades:
            times = self.result.candles[trade.symbol].arrays["open_time"]
            found[int(trade.entry_time)].append(
                (1, trade.symbol, _Fill(trade, True, int(trade.entry_time)))
            )
            opened = int(times[trade.exit_candle])
            inside = int(trade.exit_time) != opened
            level = not trade.ordered
            phase = 3 if inside else 2 if level else 0
            time = int(trade.exit_time) - inside
            if trade.exit_reason != BY_END:
                found[opened].append((phase, trade.symbol, _Fill(trade, False, time)))
        return defaultdict(
            list,
            {at: [x for *_, x in sorted(some, key=lambda x: x[:2])] for at, some in found.items()},
        )

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
        for at, moves in stop_moves(result).items():
            s = int(result.trades[at].symbol)
            for move in moves:
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
        s, side = int(trade.symbol), int(trade.side)
        g = result.grids[s]
        entry_fee = int(fee_of(result.costs.fee_rate, trade.qty, trade.entry_price))
        fee = entry_fee if fill.opens else int(trade.fees) - entry_fee
        pnl = 0 if fill.opens else int(trade.pnl)
        reason = 0 if fill.opens else int(trade.exit_reason)
        candle = int(trade.exit_candle if trade.ordered and not fill.opens else trade.entry_candle)
        held = side * int(trade.steps) if fill.opens else 0
        assert np.float64(qty_of(int(trade.steps), g)) == trade.qty
        self.wallet += pnl - fee
        if fill.opens:
            self.held[s] = held, float(trade.entry_price)
        else:
            del self.held[s]
        self._add(
            Filled(
                n=0,
                symbol=result.symbols[s],
                trade_id=len(self.out),
                id=f"{len(self.out)}",
                leg="e" if fill.opens else "x" if trade.ordered else _LEGS[reason],
                steps=side * int(trade.steps) * (1 if fill.opens else -1),
                price=float(trade.entry_price if fill.opens else trade.exit_price),
                fee=fee,
                pnl=pnl,
                time=fill.time,
                held=held,
                entry=float(trade.entry_price) if fill.opens else 0.0,
                reason=EXIT_REASONS[reason],
                stop=float(trade.stop) if fill.opens else 0.0,
                take=float(trade["take"]) if fill.opens else 0.0,
                decided_at=self._decision(s, candle)[0],
                reversal=bool(trade.reversal) and fill.opens,
            )
        )
