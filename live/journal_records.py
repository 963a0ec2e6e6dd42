"""What stands in the journal: one record for each thing decided, meant, answered and filled."""

from typing import Literal

import msgspec

# e entry, x exit by decision, q exit because a stop could not be placed, s stop, t take,
# p stop placed for an entry whose outcome is unknown.
Leg = Literal["e", "x", "q", "s", "w", "p", "t", "a", "b"]


class _Numbered(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    n: int  # position in the journal from 1 on; also the id of its entry in Redis


class Began(_Numbered, tag="began", frozen=True):
    """The session's first record: the account as it was found.

    Attributes
    ----------
    last_trade : dict
        By symbol, the newest trade id on the exchange that is not ours, -1 for none.
    """

    time: int
    wallet: int
    last_trade: dict[str, int]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one decision asks for on one symbol.

    Attributes
    ----------
    close_reason : int
        Position in `account.EXIT_REASONS`, 0 for no exit.
    side : int
        1 long, -1 short, 0 for no entry.
    price : float
        Close at the decision.
    """

    symbol: str
    close_reason: int
    side: int
    steps: int
    stop_distance: float
    take_distance: float
    reversal: bool
    price: float


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open position as a decision leaves it.

    Attributes
    ----------
    lowest, highest : float
        Since its first fill, up to this close.
    stop : float
        Where its tightest stop belongs.
    stop_reason : int
        Why there: of `records.EXIT_REASONS`.
    """

    symbol: str
    lowest: float
    highest: float
    stop: float
    stop_reason: int


class Decided(_Numbered, tag="decided", frozen=True):
    """One instant: the account as the decision saw it, and what it asks for.

    Attributes
    ----------
    wallet : int
        Units of 1e-8.
    marks : tuple of float
        Last close of each symbol in configured order, 0.0 before the first.
    orders : tuple of Order
        New ones only.
    refused : dict
        By symbol, entries refused at this instant: reason (of `risk.REFUSALS`) to count.
    missed : tuple of str
        Symbols whose entry was not sent since the candle was no longer the newest or too old.
    held : tuple of Held
        The open positions.
    closed : tuple of int
        How many candles of each symbol have been decided, in configured order.
    """

    time: int
    wallet: int
    equity: float
    day: int
    day_open: float
    blocked: bool
    marks: tuple[float, ...]
    orders: tuple[Order, ...] = ()
    refused: dict[str, dict[str, int]] = {}
    missed: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    closed: tuple[int, ...] = ()


class Intent(_Numbered, tag="intent", frozen=True):
    """An order about to be sent; on disk before it leaves.

    Attributes
    ----------
    id : str
        The client order id.
    steps : int
        Positive; 0 for an order that closes whatever is there.
    level : float
        Trigger price, 0.0 for a market order.
    decided_at : int
        The instant of the decision it goes back to.
    """

    id: str
    symbol: str
    leg: Leg
    side: Literal["BUY", "SELL"]
    steps: int
    level: float
    decided_at: int
    time: int


class Answered(_Numbered, tag="answered", frozen=True):
    """What became of an intent, or of an order later on.

    Attributes
    ----------
    state : str
        accepted, rejected, unknown, absent (proven never to have existed), gone (cancelled, expired
        or done).
    again : bool
        Proven not to have been executed for a reason that passes: the next attempt may be sent.
    """

    id: str
    symbol: str
    state: Literal["accepted", "rejected", "unknown", "absent", "gone"]
    exchange_id: int
    code: int
    text: str
    time: int
    again: bool = False


class Dropped(_Numbered, tag="dropped", frozen=True):
    """An entry that was decided and will not be sent, or not again."""

    symbol: str
    decided_at: int
    reason: str
    time: int


class Filled(_Numbered, tag="filled", frozen=True):
    """One fill, once, however often it was reported.

    Attributes
    ----------
    leg : str
        Of the order it belongs to; empty for an order that is not ours.
    steps : int
        Signed: bought above 0.
    fee, pnl : int
        As the exchange booked them, units of 1e-8; a fee paid is positive.
    held : int
        Signed steps of the position after it.
    entry : float
        Its average price after it, 0.0 when flat.
    reason : str
        Of `account.EXIT_REASONS` for a fill that closes, empty for one that opens.
    stop, take : float
        Levels that protect the position from here on, 0.0 when flat or none.
    level : float
        Trigger price of the order that filled, 0.0 for a market order.
    """

    symbol: str
    trade_id: int
    id: str
    leg: str
    steps: int
    price: float
    fee: int
    pnl: int
    time: int
    held: int
    entry: float
    reason: str
    stop: float
    take: float
    decided_at: int
    reversal: bool
    level: float = 0.0


class Funded(_Numbered, tag="funded", frozen=True):
    """One funding payment, once, however often it was told.

    Attributes
    ----------
    number : int
        The exchange's.
    payment : int
        Units of 1e-8; paid above 0, received below.
    opened : int
        Time of the first fill of the trade that it belongs to, 0 where it belongs to none.
    """

    symbol: str
    number: int
    payment: int
    time: int
    opened: int


class Asked(_Numbered, tag="asked", frozen=True):
    """A person asked for something (live.records.Control); what came too late changes nothing."""

    command: Literal["pause", "resume", "flatten"]
    by: str
    time: int
    entry: str = "0-0"  # of the control stream, where the next start reads on
    late: bool = False


class Halted(_Numbered, tag="halted", frozen=True):
    """Entries stopped by themselves; exits and stops go on."""

    reason: str
    time: int


Record = Began | Decided | Intent | Answered | Dropped | Filled | Funded | Asked | Halted
