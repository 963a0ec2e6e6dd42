"""What is known of one symbol's orders: those sent, and the fills booked."""

from collections import deque
from dataclasses import dataclass, field

from live.journal import Intent
from live.order_ids import CONDITIONAL_LEGS


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
class SymbolBook:
    """What is under way on one symbol.

    Attributes
    ----------
    sent : dict
        Orders by id since the symbol was last flat and clean.
    opened_at : int
        Decision that opened the position, 0 when flat.
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
    moved_at: int = 0
    naked_since: int = 0
    last_trade: int = -1
    settled: int = -1
    before: int = -1
    seen: set[int] = field(default_factory=set)
    order_of_seen: deque[int] = field(default_factory=deque)

    def legs(self, legs: str) -> list[Sent]:
        """Return the open orders of these legs."""
        return [one for one in self.sent.values() if one.intent.leg in legs and one.open]

    def left_over(self) -> list[Sent]:
        """Return the orders that would reach into the next position."""
        return [one for one in self.sent.values() if one.is_lost] + self.legs(CONDITIONAL_LEGS)
