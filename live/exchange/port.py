"""What the live side asks of an exchange, in its own words. Implemented by live.exchange.binance.

Reads raise `Unavailable` when asking again may help. Writes never raise for an answer of the
exchange: they return Accepted, Rejected or Unknown. A write is sent once per call; who calls
decides whether it may be sent again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from data.symbols import SymbolRules
from live.records import ClosedCandle

Side = Literal["BUY", "SELL"]
AlgoKind = Literal["STOP_MARKET", "TAKE_PROFIT_MARKET"]


class Unavailable(Exception):
    """The exchange did not answer a question, or asked to come back later.

    Parameters
    ----------
    retry_after_ms : int
        How long it asked to wait; 0 where it did not say.
    """

    def __init__(self, message: str, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange has the order, or did what was asked."""

    exchange_id: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange certainly did not do it.

    Attributes
    ----------
    code : int
        The exchange's error code, such as -2021.
    retry : bool
        It was proven not to be executed for a passing reason (overload), so the same request may be
        sent again.
    """

    code: int
    text: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it was done: a timeout, a broken connection, an unclear answer."""

    text: str


Outcome = Accepted | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """One symbol as the exchange describes it today; `status` is TRADING where it can be traded."""

    rules: SymbolRules
    status: str
    quote_asset: str
    contract: str


@dataclass(frozen=True, slots=True)
class AccountMode:
    """Settings of the account that decide whether it may be used at all."""

    can_trade: bool
    hedge: bool
    multi_assets: bool
    fee_in_bnb: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """The USDT wallet in units of 1e-8, and the exchange's time of its last change."""

    wallet: int
    time: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as the exchange reports it; qty is signed decimal text, long above 0."""

    symbol: str
    qty: str
    entry_price: str


@dataclass(frozen=True, slots=True)
class OrderState:
    """A plain order found on the exchange."""

    symbol: str
    client_id: str
    exchange_id: int
    side: Side
    status: str
    qty: str
    filled: str
    reduce_only: bool
    time: int

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status in ("NEW", "PARTIALLY_FILLED")


@dataclass(frozen=True, slots=True)
class AlgoState:
    """A conditional order found on the exchange.

    Attributes
    ----------
    status : str
        NEW, TRIGGERING, TRIGGERED, FINISHED, CANCELED, REJECTED or EXPIRED.
    child_id : int
        Order that came out of it once triggered, else 0.
    """

    symbol: str
    client_id: str
    exchange_id: int
    kind: str
    side: Side
    status: str
    trigger: str
    qty: str
    close_position: bool
    child_id: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it still protects or may still fill."""
        return self.status in ("NEW", "TRIGGERING", "TRIGGERED")


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of one of the account's orders; decimal text but for the ids and the time."""

    symbol: str
    trade_id: int
    order_id: int
    client_id: str  # empty where the exchange does not say; then ask order_of
    side: Side
    price: str
    qty: str
    fee: str  # paid is positive
    fee_asset: str
    pnl: str
    time: int


@dataclass(frozen=True, slots=True)
class FundingFee:
    """One payment at a funding instant, from the income history.

    Attributes
    ----------
    number : int
        Unique among these.
    income : str
        Signed decimal text; below 0 it was paid.
    """

    symbol: str
    number: int
    income: str
    time: int


# What the private stream brings.


@dataclass(frozen=True, slots=True)
class Connected:
    """The private socket is (again) connected: what happened before may have been missed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The private socket broke; a Connected follows sooner or later."""

    reason: str


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A plain order changed its status; with a fill when `trade` is there."""

    order: OrderState
    trade: Trade | None
    execution: str  # NEW, TRADE, CANCELED, EXPIRED, AMENDMENT, CALCULATED


@dataclass(frozen=True, slots=True)
class AlgoEvent:
    """A conditional order changed its status."""

    algo: AlgoState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Wallet and positions that changed.

    Attributes
    ----------
    cause : str
        ORDER, FUNDING_FEE, DEPOSIT and so on.
    symbol : str
        Of a FUNDING_FEE; empty where the exchange does not say.
    change : int or None
        Of the wallet besides profit and fees, in units of 1e-8.
    """

    time: int
    cause: str
    balance: Balance | None
    holdings: tuple[Holding, ...]
    symbol: str = ""
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """Lockstep: everything before it in the private stream has been delivered (live.clock)."""

    number: int


PrivateEvent = Connected | Disconnected | OrderEvent | AlgoEvent | AccountEvent | Marker


class Exchange(Protocol):
    """The port."""

    def bear_refusals(self) -> None:
        """Raise Unavailable from here on where a WickError would say that the key or a request is
        refused: what was right at the start can only be wrong for a while, and whoever holds a
        position must not end over it."""
        ...

    async def server_time(self) -> int: ...
    async def symbols(self) -> Mapping[str, SymbolInfo]: ...
    async def account_mode(self) -> AccountMode: ...
    async def balance(self) -> Balance: ...
    async def holdings(self) -> Sequence[Holding]:
        """Return open positions; a symbol that is absent is flat."""
        ...

    async def klines(
        self, symbol: str, timeframe: str, start_ms: int, limit: int = 1500
    ) -> Sequence[ClosedCandle]:
        """Return closed candles from an open time on, oldest first; unfinished ones are dropped by
        the exchange's own time."""
        ...

    async def order(self, symbol: str, client_id: str) -> OrderState | None:
        """Find an order by our id; None is the exchange's "does not exist", which right after
        sending proves nothing."""
        ...

    async def order_of(self, symbol: str, exchange_id: int) -> OrderState | None: ...
    async def open_orders(self, symbol: str) -> Sequence[OrderState]: ...
    async def algo(self, client_id: str) -> AlgoState | None: ...
    async def open_algos(self, symbol: str) -> Sequence[AlgoState]: ...
    async def trades(self, symbol: str, from_id: int | None = None) -> Sequence[Trade]:
        """Return the account's fills, oldest first: all from a trade id on, or the newest 1,000 of
        the last days."""
        ...

    async def funding_fees(self, since_ms: int) -> Sequence[FundingFee]:
        """Return what all symbols paid or received from a time on, oldest first."""
        ...

    async def set_leverage(self, symbol: str, leverage: int) -> Outcome: ...
    async def place_market(
        self, client_id: str, symbol: str, side: Side, qty: str, reduce_only: bool
    ) -> Outcome: ...
    async def place_algo(
        self, client_id: str, symbol: str, side: Side, kind: AlgoKind, trigger: str, qty: str | None
    ) -> Outcome:
        """Place a conditional market order on the contract price: for the whole position
        (closePosition) without a qty, else reduce-only with it."""
        ...

    async def cancel_algo(self, client_id: str) -> Outcome:
        """Cancel; an order that is gone already counts as Rejected with code -2011."""
        ...

    def private_events(self) -> AsyncIterator[PrivateEvent]:
        """Yield the account's events for ever, over reconnects."""
        ...

    async def close(self) -> None: ...
