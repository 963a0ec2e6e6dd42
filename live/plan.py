"""What to do next on one symbol, from the ledger alone.

The order of the questions is the policy: first know what became of every order, then protect what
is held, then close, and only when the symbol is flat and clean enter.
"""

from dataclasses import dataclass

from live.exchange.errors import STANDS_ALREADY
from live.ledger import Ledger
from live.symbol_book import Sent, SymbolBook

NAKED_MS = 5_000
WOULD_TRIGGER = (-2021, -4142)
EXPIRED = "expired by the exchange"


@dataclass(frozen=True, slots=True)
class Resolve:
    """Find out what became of an order."""

    sent: Sent


@dataclass(frozen=True, slots=True)
class Identify:
    """Find out whose the fills are that were told of an order that is not known."""


@dataclass(frozen=True, slots=True)
class Protect:
    """Place the stop, a tighter one, or the take of the position that is held."""

    leg: str
    level: float
    steps: int
    decided_at: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take one conditional order from the exchange."""

    sent: Sent


@dataclass(frozen=True, slots=True)
class Close:
    """Close the whole position at market, reduce-only."""

    leg: str
    steps: int
    decided_at: int


@dataclass(frozen=True, slots=True)
class Clean:
    """The symbol is flat: take every conditional order of ours from the exchange."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Send the decided entry, if risk still approves."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Give the decided entry up."""

    reason: str


Action = Resolve | Identify | Protect | Cancel | Close | Clean | Enter | Drop


def next_action(ledger: Ledger, symbol: str, now_ms: int) -> Action | None:
    """Return the next thing to do, None when there is nothing but to wait."""
    book = ledger.books[symbol]
    for sent in book.sent.values():
        if sent.state in ("intent", "unknown"):
            return Resolve(sent)
    if ledger.position(symbol).steps:
        return _held(ledger, symbol, book, now_ms)
    if book.legs("e"):
        return None  # taken, and its fill not told yet: what covers it stays
    if book.left_over():
        return Clean()
    return _flat(ledger, symbol)


def _held(ledger: Ledger, symbol: str, book: SymbolBook, now_ms: int) -> Action | None:
    position, order = ledger.position(symbol), ledger.order(symbol)
    steps = int(position.steps)
    closing = book.legs("xq")
    if not book.legs("s"):
        if closing:
            return None
        if _must_close(ledger, symbol, now_ms):
            return Close("q", steps, book.opened_at)
        return Protect("s", float(position.first_stop), 0, book.opened_at)
    if spare := book.legs("p"):
        return Cancel(spare[0])
    if book.moved_at and (tightens := _tighten(ledger, symbol, book)):
        return None if closing and isinstance(tightens, Close | Protect) else tightens
    if not book.legs("e"):
        for leg, level, wanted in (
            ("t", float(position.take_level), abs(steps)),
            ("a", float(position.part_level_1), int(position.part_steps_1)),
            ("b", float(position.part_level_2), int(position.part_steps_2)),
        ):
            if level > 0.0 and (action := _take(ledger, symbol, leg, level, wanted, closing)):
                return action
    if order.close_reason and not closing:
        return Close("x", steps, int(order.decided_at))
    return None


def _take(
    ledger: Ledger, symbol: str, leg: str, level: float, steps: int, closing: list[Sent]
) -> Action | None:
    book = ledger.books[symbol]
    there = book.legs(leg)
    for take in there:
        if take.intent.steps != steps:
            return Cancel(take)
    if there or closing:
        return None
    last = ledger.last(symbol, leg, book.opened_at)
    if last is None or last.again or last.state in ("gone", "absent"):
        return Protect(leg, level, steps, book.opened_at)
    if last.code in WOULD_TRIGGER and leg == "t":
        return Close("q", int(ledger.position(symbol).steps), book.opened_at)
    # Refused for another reason, or the market is beyond a part already, which then stays with the
    # rest: the stop protects, the exit rules go on.
    return None


def _tighten(ledger: Ledger, symbol: str, book: SymbolBook) -> Action | None:
    # The base stop stays where it is. A tighter one is placed and confirmed before the one that it
    # follows is taken away.
    position = ledger.position(symbol)
    level, steps = float(position.stop_level), int(position.steps)
    there = book.legs("w")
    if any(one.intent.level == level for one in there):
        old = next((one for one in there if one.intent.level != level), None)
        return Cancel(old) if old else None
    last = ledger.last(symbol, "w", book.moved_at)
    if last is not None and (last.filled or last.child or last.code in WOULD_TRIGGER):
        return Close("q", steps, book.opened_at)  # it went off and left something, or would at once
    if last is None or last.again or last.state in ("gone", "absent"):
        return Protect("w", level, abs(steps), book.moved_at)
    return None  # refused for another reason: the stop before it protects


def _must_close(ledger: Ledger, symbol: str, now_ms: int) -> bool:
    # The price is beyond the stop already, or the exchange will not take one, or the stop went off
    # and left something, or it has been tried for as long as a position may be naked.
    book = ledger.books[symbol]
    last = ledger.last(symbol, "s", book.opened_at)
    if last is None:
        return False
    if last.state == "rejected" and last.code == STANDS_ALREADY:
        return False  # the exchange's own word; the next attempt finds it, or takes its place
    refused = last.state == "rejected" and (last.code in WOULD_TRIGGER or not last.again)
    went_off = last.state == "gone" and (last.filled or last.child)
    covered = any(one.state == "accepted" for one in book.legs("p"))
    too_long = now_ms - book.naked_since > NAKED_MS and not covered
    return bool(refused or went_off or too_long)


def _flat(ledger: Ledger, symbol: str) -> Action | None:
    order = ledger.order(symbol)
    if not order.side:
        return None
    last = ledger.last(symbol, "e", int(order.decided_at))
    if last is None or (last.again and last.state in ("rejected", "absent")):
        return Enter()
    if last.open:
        return None
    return Drop(EXPIRED if last.state == "gone" else last.text or last.state)
