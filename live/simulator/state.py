"""What the simulated exchange remembers: symbols, orders, fills, and what it has yet to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.symbols import SymbolRules
from live.simulator.account import Account
from live.simulator.checks import needed, refuse
from strategy.fills import Costs

Params = Mapping[str, str]

# Far from the orders' numbers, so that neither is mistaken for the other.
_FIRST_ALGO = 1_000_001


@dataclass(slots=True)
class PlainOrder:
    """A market order; of a conditional order's making where `origin` is not MARKET.

    Attributes
    ----------
    side : int
        1 buys, -1 sells.
    trigger : float
        Of the conditional order it came from, else 0.
    expiry : str
        The exchange's number for why it expired.
    """

    symbol: str
    number: int
    client_id: str
    side: int
    steps: int
    reduce_only: bool
    created: int
    updated: int
    status: str = "NEW"
    filled: int = 0
    price: float = 0.0
    origin: str = "MARKET"
    close_position: bool = False
    trigger: float = 0.0
    expiry: str = "0"


@dataclass(slots=True)
class AlgoOrder:
    """A conditional market order that can only reduce; 0 steps with `close_position`."""

    symbol: str
    number: int
    client_id: str
    side: int
    kind: str
    trigger: float
    steps: int
    close_position: bool
    created: int
    updated: int
    status: str = "NEW"
    triggered: int = 0
    child: PlainOrder | None = None
    reason: str = ""

    @property
    def is_stop(self) -> bool:
        """Whether it is a stop, else a take."""
        return self.kind == "STOP_MARKET"

    @property
    def rises(self) -> bool:
        """Whether it triggers at prices from its level upwards."""
        return (self.side > 0) == self.is_stop

    def is_touched(self, low: float, high: float) -> bool:
        """Whether a range of prices triggers it."""
        return high >= self.trigger if self.rises else low <= self.trigger


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of the account; fee and profit in units of 1e-8.

    Attributes
    ----------
    number : int
        Counts within the symbol.
    transaction : int
        Counts over all symbols.
    """

    symbol: str
    number: int
    transaction: int
    order: int
    side: int
    steps: int
    price: float
    fee: int
    pnl: int
    time: int


@dataclass(frozen=True, slots=True)
class Payment:
    """What a position paid at a funding instant, in units of 1e-8; received below 0.

    Attributes
    ----------
    number : int
        Counts over all symbols, from 1, apart from the fills'.
    """

    symbol: str
    number: int
    amount: int
    time: int


@dataclass(slots=True)
class Market:
    """One symbol: its rules, its price, and what the account has done on it.

    Attributes
    ----------
    at : int
        Its place among the symbols.
    last : float
        Last price, 0 before the first candle.
    has_candle : bool
        Whether a candle is open, at whose open price held orders fill.
    orders, by_client_id : dict
        All orders by number, and the newest by client id.
    waiting, algos : dict
        Open orders and conditional orders by number.
    """

    at: int
    rules: SymbolRules
    last: float = 0.0
    has_candle: bool = False
    realized: int = 0
    orders: dict[int, PlainOrder] = field(default_factory=dict)
    by_client_id: dict[str, PlainOrder] = field(default_factory=dict)
    waiting: dict[int, PlainOrder] = field(default_factory=dict)
    algos: dict[int, AlgoOrder] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)

    def add(self, order: PlainOrder) -> None:
        """Take in an order that was accepted."""
        self.orders[order.number] = self.waiting[order.number] = order
        self.by_client_id[order.client_id] = order

    def next_number(self) -> int:
        """Return the number of the symbol's next order."""
        return len(self.orders) + 1


class State:
    """Everything that the parts of the exchange share.

    Attributes
    ----------
    now : int
        UTC ms.
    events : list of dict
        What has happened and is not told yet.
    changed : int
        When the wallet changed last.
    own_child_ids : bool
        A triggered order gets a client id of the exchange's own, not its conditional order's; the
        exchange does not say which it is.
    algos, algos_by_client_id : dict
        All conditional orders by number, and the newest by client id.
    fills : list of Fill
        Of all symbols.
    payments : list of Payment
        Funding, of all symbols.
    """

    def __init__(
        self,
        rules: Sequence[SymbolRules],
        costs: Costs,
        balance: float,
        leverage: int,
        *,
        hold_market_orders: bool,
        hedge: bool,
        multi_assets: bool,
    ) -> None:
        self.account = Account(rules, costs, balance, leverage)
        self.markets = {one.symbol: Market(at, one) for at, one in enumerate(rules)}
        self.hold_market_orders = hold_market_orders
        self.hedge = hedge
        self.multi_assets = multi_assets
        self.own_child_ids = False
        self.fee_in_bnb = False
        self.now = 0
        self.changed = 0
        self.events: list[dict[str, Any]] = []
        self.algos: dict[int, AlgoOrder] = {}
        self.algos_by_client_id: dict[str, AlgoOrder] = {}
        self.fills: list[Fill] = []
        self.payments: list[Payment] = []

    def market(self, p: Params) -> Market:
        """Return the symbol that a request names.

        Raises
        ------
        ApiError
            -1102 for none, -1121 for an unknown one.
        """
        found = self.markets.get(needed(p, "symbol"))
        if found is None:
            raise refuse(-1121, "Invalid symbol.")
        return found

    def asked_markets(self, p: Params) -> list[Market]:
        """Return the symbol that a request names, or all."""
        return [self.market(p)] if p.get("symbol") else list(self.markets.values())

    def held(self, market: Market) -> int:
        """Return the signed steps of a symbol's position."""
        return self.account.steps(market.at)

    def open_algos(self) -> list[AlgoOrder]:
        """Return the conditional orders that wait, of all symbols."""
        return [algo for market in self.markets.values() for algo in market.algos.values()]

    def next_algo(self) -> int:
        """Return the number of the next conditional order."""
        return _FIRST_ALGO + len(self.algos)
