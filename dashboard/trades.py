"""Round trips from fills: what a position cost and brought from its first fill to its last."""

from dataclasses import dataclass

from live.journal_records import Filled

UNIT = 1e8  # of money in records
LEGS = {
    "e": "entry",
    "x": "exit",
    "q": "emergency exit",
    "s": "stop",
    "w": "moved stop",
    "p": "stop",
    "t": "take",
    "a": "partial take",
    "b": "partial take",
    "": "not ours",
}


@dataclass(frozen=True, slots=True)
class Trade:
    """A position that was opened and closed; pnl is before fees and funding."""

    symbol: str
    side: str
    entry_time: int
    exit_time: int
    qty: float
    entry: float
    exit: float
    pnl: float
    fees: float
    funding: float  # paid above 0
    reason: str

    @property
    def net(self) -> float:
        """Profit after fees and funding."""
        return self.pnl - self.fees - self.funding


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill; `side` is that of the position which it opens or closes."""

    time: int
    symbol: str
    leg: str
    side: str
    opens: bool
    qty: float
    price: float
    fee: float
    pnl: float
    reason: str


@dataclass(slots=True)
class Book:
    """The fills of one symbol, taken in one after the other.

    Attributes
    ----------
    step : float
        Quantity of one step, base currency.
    last : Filled or None
        The newest fill; it says what is held.
    opened : int
        Time of the open position's first fill.
    """

    step: float
    last: Filled | None = None
    opened: int = 0
    entry: float = 0.0
    steps: int = 0
    fees: float = 0.0
    funding: float = 0.0
    pnl: float = 0.0
    out_steps: int = 0
    out_value: float = 0.0

    def add(self, record: Filled) -> Trade | None:
        """Take in a fill; return the trade that it finishes."""
        was, size = self.last.held if self.last else 0, abs(record.steps)
        closes = min(abs(was), size) if was * record.steps < 0 else 0
        opens = size - closes
        fee = record.fee / UNIT / size if size else 0.0
        done = None
        if closes:
            self.fees += fee * closes
            self.pnl += record.pnl / UNIT
            self.out_steps += closes
            self.out_value += closes * record.price
            if closes == abs(was):
                done = self._trade(record, was)
        if opens:
            if closes or was == 0:
                self._begin(record.time)
            self.fees += fee * opens
            self.steps += opens
            self.entry = record.entry
        self.last = record
        return done

    def _begin(self, time: int) -> None:
        self.opened, self.steps, self.fees, self.pnl = time, 0, 0.0, 0.0
        self.funding = 0.0
        self.out_steps, self.out_value = 0, 0.0

    def _trade(self, record: Filled, was: int) -> Trade:
        return Trade(
            symbol=record.symbol,
            side="long" if was > 0 else "short",
            entry_time=self.opened,
            exit_time=record.time,
            qty=self.steps * self.step,
            entry=self.entry,
            exit=self.out_value / self.out_steps,
            pnl=self.pnl,
            fees=self.fees,
            funding=self.funding,
            reason=record.reason,
        )


def fill_of(record: Filled, step: float) -> Fill:
    """Return a fill as a person reads it."""
    opens = record.held * record.steps > 0
    return Fill(
        time=record.time,
        symbol=record.symbol,
        leg=LEGS[record.leg],
        side="long" if (record.steps > 0) == opens else "short",
        opens=opens,
        qty=abs(record.steps) * step,
        price=record.price,
        fee=record.fee / UNIT,
        pnl=record.pnl / UNIT,
        reason=record.reason,
    )
