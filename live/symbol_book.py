"""What is known of one symbol's orders: those sent, and the fills booked."""

from collections import deque
from dataclasses import dataclass, field

from live.journal_records import Intent
from live.order_ids import CONDITIONAL_LEGS

_REMEMBERED_TRADES = 16


@dataclass(slots=True)
class Sent:
    """One order that was sent or was about to be.

    Attributes
    ----------
    state : str
        intent, then accepted, rejected, unknown, absent or gone.
    filled : int
        Steps filled so far, positive.
    exchange_id : int
        The exchange's number for it, 0 while it is not known.
    left, asked, heard, child : int
        In no record, so 0 after a start: when it left; when the exchange was last asked about it;
        the number under which the private stream told of it; the order that a conditional one
        became.
    """

    intent: Intent
    state: str = "intent"
    filled: int = 0
    code: int = 0
    text: str = ""
    again: bool = False
    exchange_id: int = 0
    left: int = field(default=0, compare=False)
    asked: int = field(default=0, compare=False)
    heard: int = field(default=0, compare=False)
    child: int = field(default=0, compare=False)

    @property
    def open(self) -> bool:
        """Whether it is, or may be, on the exchange."""
        return self.state in ("intent", "unknown", "accepted")

    @property
    def is_lost(self) -> bool:
        """Whether it was given up for lost so early that it may still turn up."""
        return self.state == "absent" and self.intent.leg != "e"


@dataclass(slots=True)
class Closed:
    """A trade that is over.

    Attributes
    ----------
    first, last : int
        Times of its first and last fill, UTC ms.
    net : int
        What it brought after fees and funding, units of 1e-8.
    rests_until : int
        The symbol's first candle that may enter again if it lost.
    """

    first: int
    last: int
    net: int
    rests_until: int


@dataclass(slots=True)
class SymbolBook:
    """What is under way on one symbol.

    Attributes
    ----------
    sent : dict
        Orders by id since the symbol was last flat and clean.
    opened_at, opened_ms : int
        Decision that opened the position, and the time of its first fill; 0 when flat.
    closed : deque of Closed
        The newest trades that are over, oldest first: funding may still be told of them.
    rested_until : int
        The first candle that might enter again before all of these.
    moved_at : int
        Decision that moved its stop last, 0 while it has not moved.
    naked_since : int
        When the position was last seen without a stop: its first fill, or the loss of the stop; 0
        when flat.
    last_trade : int
        Newest fill booked.
    settled : int
        Newest fill when the symbol was last flat with no market order under way: what came after
        it may have been told with gaps.
    before : int
        Fills up to this one are older than the session, or were booked long ago.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    opened_at: int = 0
    opened_ms: int = 0
    closed: deque[Closed] = field(default_factory=deque)
    rested_until: int = 0
    moved_at: int = 0
    naked_since: int = 0
    last_trade: int = -1
    settled: int = -1
    before: int = -1
    seen: set[int] = field(default_factory=set)
    order_of_seen: deque[int] = field(default_factory=deque)

    def close(self, trade: Closed) -> int:
        """Take in that a trade is over, and return the first candle that may enter again."""
        self.closed.append(trade)
        if len(self.closed) > _REMEMBERED_TRADES:
            oldest = self.closed.popleft()
            self.rested_until = oldest.rests_until if oldest.net < 0 else self.rested_until
        return self.rests_until()

    def rests_until(self) -> int:
        """Return the first candle that may enter again after what the trades brought."""
        lost = [one.rests_until for one in self.closed if one.net < 0]
        return lost[-1] if lost else self.rested_until

    def trade_at(self, time: int) -> int | None:
        """Return the first fill's time of the trade that was held at a time, None for none."""
        if 0 < self.opened_ms < time:
            return self.opened_ms
        held = [one.first for one in self.closed if one.first < time <= one.last]
        return held[-1] if held else None

    def trade_near(self, time: int) -> int:
        """Return the first fill's time of the first trade after a time, else of the last one, 0
        before any."""
        known = [one.first for one in self.closed] + [self.opened_ms] * (self.opened_ms > 0)
        after = [first for first in known if first >= time]
        return after[0] if after else known[-1] if known else 0

    def legs(self, legs: str) -> list[Sent]:
        """Return the open orders of these legs."""
        return [one for one in self.sent.values() if one.intent.leg in legs and one.open]

    def left_over(self) -> list[Sent]:
        """Return the orders that would reach into the next position."""
        return [one for one in self.sent.values() if one.is_lost] + self.legs(CONDITIONAL_LEGS)
