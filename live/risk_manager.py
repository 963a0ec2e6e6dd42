"""Whether and how much: the decision at a candle's close, and the last look before an entry leaves.

The decision itself is `strategy.account.step`, the same compiled function that the backtester
walks with. What is added here is only what a live account can refuse for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from live.journal_records import Decided, Held, Order
from live.ledger import Ledger
from live.records import Batch
from live.session import Session
from strategy.account import step
from strategy.load import Strategy
from strategy.records import SAID
from strategy.risk import REFUSALS, Risk, checked
from strategy.rules import ENTER_LONG, ENTER_SHORT

_MADE_HERE = object()


@dataclass(frozen=True, slots=True)
class Approval:
    """Leave to send one entry. The executor takes nothing else, and only `RiskManager.approve`
    makes one."""

    symbol: str
    side: int
    steps: int
    stop_distance: float
    price: float
    decided_at: int
    made_by: object

    def __post_init__(self) -> None:
        assert self.made_by is _MADE_HERE, "an approval comes from the risk manager"


@dataclass(frozen=True, slots=True)
class Against:
    """Why an entry may not be sent; `passing` reasons are worth waiting for."""

    reason: str
    passing: bool = False


class RiskManager:
    """Decide at closes, and approve entries when they are about to leave."""

    def __init__(self, session: Session, strategy: Strategy, risk: Risk) -> None:
        self._session = session
        self._risk = checked(risk, has_trail=strategy.has_trail)
        self._has_take, self._has_trail = strategy.has_take, strategy.has_trail
        # An old close only marks: nothing may be sent for what was so then.
        self._marking = self._risk._replace(
            trail=0.0, break_even=0.0, time_stop=0, daily_loss_flatten=0
        )

    def decide(
        self, ledger: Ledger, batch: Batch, wallet: int, *, newest: bool, against: str = ""
    ) -> Decided:
        """Return the record of one instant's decision, without taking it.

        Parameters
        ----------
        wallet : int
            The exchange's wallet now, units of 1e-8.
        newest : bool
            This is the newest closed candle and young enough to act on. Older ones only mark the
            account; their entries are recorded as missed.
        against : str
            Why no entry may be made at present, empty for none.
        """
        account: Any = ledger.account.copy().view(np.recarray)
        positions: Any = ledger.positions.copy().view(np.recarray)
        orders: Any = ledger.orders.copy().view(np.recarray)
        said: Any = np.zeros(len(positions), SAID).view(np.recarray)
        account[0].wallet = wallet
        said.trail_distance, said.slippage = np.nan, self._session.slippage
        missed, closed = [], list(ledger.closed)
        for signal in batch.signals:
            at = ledger.index[signal.symbol]
            position = positions[at]
            position.mark = signal.close
            if position.steps:
                position.lowest = min(position.lowest, signal.low)
                position.highest = max(position.highest, signal.high)
            said[at].present, said[at].candle = 1, closed[at]
            closed[at] += 1
            if newest:
                said[at].signals = signal.signals
                said[at].stop_distance = signal.stop_distance
                said[at].take_distance = signal.take_distance
                said[at].trail_distance = signal.trail_distance
            elif signal.signals & (ENTER_LONG | ENTER_SHORT):
                missed.append(signal.symbol)
        counts = np.zeros((len(positions), len(REFUSALS)), np.int64)
        step(
            account[0],
            positions,
            orders,
            ledger.grids,
            said,
            np.arange(len(said)),
            self._risk if newest else self._marking,
            self._has_take,
            self._has_trail,
            batch.time,
            counts,
        )
        refused = {
            symbol: {REFUSALS[reason]: int(n) for reason, n in enumerate(row) if n}
            for symbol, row in zip(ledger.symbols, counts, strict=True)
            if row.any()
        }
        new = self._new_orders(ledger, orders, refused, against)
        blocked = bool(account[0].blocked)
        if not newest and ledger.account[0].day not in (-1, account[0].day):
            # The day began while nobody looked: its opening equity is not known for certain.
            blocked = blocked or self._risk.daily_loss_limit > 0.0
        return Decided(
            n=0,
            time=batch.time,
            wallet=wallet,
            equity=float(account[0].equity),
            day=int(account[0].day),
            day_open=float(account[0].day_open),
            blocked=blocked,
            marks=tuple(float(position.mark) for position in positions),
            orders=new,
            refused=refused,
            missed=tuple(missed),
            held=tuple(
                Held(
                    symbol=symbol,
                    lowest=float(position.lowest),
                    highest=float(position.highest),
                    stop=float(position.stop_level),
                    stop_reason=int(position.stop_reason),
                )
                for symbol, position in zip(ledger.symbols, positions, strict=True)
                if position.steps
            ),
            closed=tuple(closed),
        )

    def _new_orders(
        self, ledger: Ledger, orders: Any, refused: dict[str, dict[str, int]], against: str
    ) -> tuple[Order, ...]:
        new = []
        for symbol, before, after in zip(ledger.symbols, ledger.orders, orders, strict=True):
            closes = after.close_reason != before.close_reason
            enters = after.side != before.side
            if enters and against:
                refused.setdefault(symbol, {})[against] = 1
                enters = False
            if closes or enters:
                new.append(
                    Order(
                        symbol=symbol,
                        close_reason=int(after.close_reason) if closes else 0,
                        side=int(after.side) if enters else 0,
                        steps=int(after.steps) if enters else 0,
                        stop_distance=float(after.stop_distance) if enters else 0.0,
                        take_distance=float(after.take_distance) if enters else 0.0,
                        reversal=bool(after.reversal) if enters else False,
                        price=float(after.price),
                    )
                )
        return tuple(new)

    def approve(self, ledger: Ledger, symbol: str, now_ms: int, against: str) -> Approval | Against:
        """Look once more at a decided entry that is about to be sent."""
        order = ledger.order(symbol)
        if now_ms - order.decided_at > self._session.max_decision_age_ms:
            return Against(f"older than {self._session.max_decision_age_ms} ms")
        if ledger.paused:
            return Against("paused")
        if ledger.halted:
            return Against("halted")
        if against:
            return Against(against, passing=True)
        return Approval(
            symbol,
            int(order.side),
            int(order.steps),
            float(order.stop_distance),
            float(order.price),
            int(order.decided_at),
            _MADE_HERE,
        )
