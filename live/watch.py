"""How a session stands, from its journal: for the line while it runs and for its status."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.dates import show_time
from live.journal import read_from
from live.journal_records import Asked, Decided, Filled, Funded
from live.ledger import Ledger
from live.session import Session
from strategy.grid import qty_of
from strategy.records import UNIT


@dataclass(frozen=True, slots=True)
class Held:
    """One open position; qty is signed, a level is 0.0 where there is none."""

    symbol: str
    qty: float
    entry: float
    stop: float
    take: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A session at one moment.

    Attributes
    ----------
    time : int
        Of the last decision, 0 before the first.
    trades : int
        Positions closed so far.
    net : float
        What they and the fees of open ones came to.
    state : str
        starting, running, paused, halted, blocked or ended.
    asked : str
        Entry of the control stream with the last thing that a person has asked for.
    late : str
        What a person asked for last, if it came too late and nothing was done; else empty.
    """

    time: int
    wallet: float
    equity: float
    positions: tuple[Held, ...]
    trades: int
    net: float
    state: str
    note: str
    asked: str = "0-0"
    late: str = ""

    def ended(self) -> "Standing":
        """Return it as of a session that nobody runs."""
        return replace(self, state="ended", note="")


class Watch:
    """Follows a session's journal.

    Parameters
    ----------
    session : Session
    folder : Path
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._folder = folder
        self._ledger = Ledger(session)
        self._offset = self._trades = self._net = 0
        self._late = ""
        self._since = 0  # booked since the last decision saw the wallet
        self._booked = False

    def look(self) -> Standing:
        """Read what is new, and return how the session stands."""
        records, self._offset = read_from(self._folder, self._offset)
        for record in records:
            self._ledger.apply(record)
            if isinstance(record, Asked):
                self._late = late_text(record) if record.late else ""
            if isinstance(record, Decided):
                self._since, self._booked = 0, False
            if isinstance(record, Funded):
                self._net -= record.payment
                if record.time >= self._ledger.decided:
                    self._since -= record.payment
                    self._booked = True
            if isinstance(record, Filled):
                self._net += record.pnl - record.fee
                self._since += record.pnl - record.fee
                self._booked = True
                self._trades += record.held == 0
        ledger = self._ledger
        wallet, equity = self._money()
        state = _state(ledger)
        return Standing(
            time=ledger.decided,
            wallet=wallet,
            equity=equity,
            positions=tuple(self._held()),
            trades=self._trades,
            net=self._net / UNIT,
            state=state,
            note=_BLOCKED if state == "blocked" else ledger.halted,
            asked=ledger.asked_entry,
            late=self._late,
        )

    def _money(self) -> tuple[float, float]:
        ledger = self._ledger
        account: Any = ledger.account[0]
        if not ledger.began:
            return ledger.session.balance, ledger.session.balance
        wallet = (int(account.wallet) + self._since) / UNIT
        if not self._booked:
            return wallet, float(account.equity)
        marks = (
            float(qty_of(position.steps, grids) * (position.mark - position.entry))
            for position, grids in zip(ledger.positions, ledger.grids, strict=True)
            if position.steps
        )
        return wallet, wallet + sum(marks)

    def _held(self) -> list[Held]:
        found = []
        for symbol, rules in self._ledger.rules.items():
            position = self._ledger.position(symbol)
            if held := int(position.steps):
                qty = held * float(rules.step_size)
                levels = float(position.stop_level), float(position.take_level)
                found.append(Held(symbol, qty, float(position.entry), *levels))
        return found


def late_text(asked: Asked) -> str:
    """Say that nothing was done."""
    return f"{asked.command} by {asked.by} came too late, nothing was done"


_BLOCKED = "by the daily loss limit, no entries until 00:00 UTC"


def _state(ledger: Ledger) -> str:
    if ledger.halted:
        return "halted"
    if ledger.paused:
        return "paused"
    if ledger.account[0].blocked:
        return "blocked"
    return "running" if ledger.decided else "starting"


def line(standing: Standing, troubles: str = "") -> str:
    """Write a standing as one line.

    >>> line(Standing(0, 10_000.0, 10_000.0, (), 0, 0.0, "starting", ""))
    'no decision yet  equity 10,000.00  flat  0 trades  starting'
    """
    when = f"{show_time(standing.time)} UTC" if standing.time else "no decision yet"
    count = f"{standing.trades:,} trade{'' if standing.trades == 1 else 's'}"
    between = " " if standing.state == "blocked" else ": "
    state = between.join(filter(None, (standing.state, standing.note)))
    equity = f"equity {standing.equity:,.2f}"
    parts = [when, equity, _positions(standing), count, state, standing.late, troubles]
    return "  ".join(part for part in parts if part)


def _positions(standing: Standing) -> str:
    return ", ".join(map(held_text, standing.positions)) or "flat"


def held_text(held: Held) -> str:
    """Write a position with what protects it.

    >>> held_text(Held("BTCUSDT", -0.012, 94_000.0, 94_800.0, 0.0))
    'BTCUSDT -0.012 at 94,000 stop 94,800'
    """
    levels = [f"stop {held.stop:,.8g}" if held.stop else "without a stop"]
    levels += [f"take {held.take:,.8g}"] if held.take else []
    return f"{held.symbol} {held.qty:.8g} at {held.entry:,.8g} {' '.join(levels)}"
