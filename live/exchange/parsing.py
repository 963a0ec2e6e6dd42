"""The exchange's answers and private events, turned into the port's words.

Unknown fields are ignored: the exchange adds some every few months. Decimals stay its text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from data.dates import show_day
from data.symbols import SymbolRules
from live.decimals import units
from live.exchange.port import (
    AccountEvent,
    AlgoEvent,
    AlgoState,
    Balance,
    Holding,
    Marker,
    OrderEvent,
    OrderState,
    PrivateEvent,
    Side,
    SymbolInfo,
    Trade,
)
from live.records import ClosedCandle

_USDT = "USDT"
_COIN_M = 2  # events of the other futures market come over the same socket


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _Filter(_Answer, frozen=True):
    filter_type: str
    tick_size: str = "0"
    step_size: str = "0"
    min_qty: str = "0"
    max_qty: str = "0"
    notional: str = "0"


class _Symbol(_Answer, frozen=True):
    symbol: str
    status: str
    quote_asset: str
    contract_type: str
    filters: tuple[_Filter, ...]


class ExchangeInfo(_Answer, frozen=True):
    """The answer of /exchangeInfo."""

    symbols: tuple[_Symbol, ...]

    def infos(self, market: str, now_ms: int) -> dict[str, SymbolInfo]:
        """Return every symbol by name, its rules dated with the day."""
        seen = show_day(now_ms)
        return {
            one.symbol: SymbolInfo(
                _rules(one, market, seen), one.status, one.quote_asset, one.contract_type
            )
            for one in self.symbols
        }


def _rules(symbol: _Symbol, market: str, seen: str) -> SymbolRules:
    by_type = {one.filter_type: one for one in symbol.filters}
    none = _Filter("")
    lot = by_type.get("LOT_SIZE", none)
    ours = by_type.get("MARKET_LOT_SIZE", none)
    return SymbolRules(
        market=market,
        symbol=symbol.symbol,
        tick_size=_short(by_type.get("PRICE_FILTER", none).tick_size),
        # Zero in the market orders' filter means that the general one counts.
        step_size=_short(ours.step_size, lot.step_size),
        min_qty=_short(ours.min_qty, lot.min_qty),
        max_qty=_short(ours.max_qty, lot.max_qty),
        min_notional=_short(by_type.get("MIN_NOTIONAL", none).notional),
        seen=seen,
    )


def _short(text: str, otherwise: str = "0") -> str:
    return format((Decimal(text) or Decimal(otherwise)).normalize(), "f")


class AccountConfig(_Answer, frozen=True):
    """The answer of /accountConfig."""

    can_trade: bool
    dual_side_position: bool
    multi_assets_margin: bool


class FeeBurn(_Answer, frozen=True):
    """The answer of /feeBurn."""

    fee_burn: bool


class Wallet(_Answer, frozen=True):
    asset: str
    balance: str
    update_time: int = 0


def balance_of(wallets: Sequence[Wallet]) -> Balance:
    """Pick the USDT wallet; an account that never had one has none."""
    for one in wallets:
        if one.asset == _USDT:
            return Balance(units(one.balance), one.update_time)
    return Balance(0, 0)


class Position(_Answer, frozen=True):
    symbol: str
    position_amt: str
    entry_price: str


def holdings_of(positions: Sequence[Position]) -> list[Holding]:
    """Keep the positions that are not flat."""
    return [
        Holding(one.symbol, one.position_amt, one.entry_price)
        for one in positions
        if Decimal(one.position_amt)
    ]


class Order(_Answer, frozen=True):
    """A plain order, as /order and its like answer."""

    symbol: str
    client_order_id: str
    order_id: int
    side: Side
    status: str
    orig_qty: str
    executed_qty: str
    reduce_only: bool
    update_time: int

    def state(self) -> OrderState:
        """Return it as the port has it."""
        return OrderState(
            symbol=self.symbol,
            client_id=self.client_order_id,
            exchange_id=self.order_id,
            side=self.side,
            status=self.status,
            qty=self.orig_qty,
            filled=self.executed_qty,
            reduce_only=self.reduce_only,
            time=self.update_time,
        )


class Algo(_Answer, frozen=True):
    """A conditional order, as /algoOrder and its like answer."""

    symbol: str
    client_algo_id: str
    algo_id: int
    side: Side
    algo_status: str
    order_type: str = ""
    type: str = ""  # instead of orderType in some answers
    trigger_price: str = "0"
    quantity: str | None = None
    close_position: bool = False
    actual_order_id: str | int | None = None  # "" before it triggered

    def state(self) -> AlgoState:
        """Return it as the port has it."""
        return AlgoState(
            symbol=self.symbol,
            client_id=self.client_algo_id,
            exchange_id=self.algo_id,
            kind=self.order_type or self.type,
            side=self.side,
            status=self.algo_status,
            trigger=self.trigger_price,
            qty=self.quantity or "0",
            close_position=self.close_position,
            child_id=int(self.actual_order_id or 0),
        )


class UserTrade(_Answer, frozen=True):
    """A fill, as /userTrades answers."""

    symbol: str
    id: int
    order_id: int
    side: Side
    price: str
    qty: str
    realized_pnl: str
    commission: str
    commission_asset: str
    time: int

    def trade(self) -> Trade:
        """Return it as the port has it."""
        return Trade(
            symbol=self.symbol,
            trade_id=self.id,
            order_id=self.order_id,
            client_id="",
            side=self.side,
            price=self.price,
            qty=self.qty,
            # The sign is documented one way and seen the other; a taker always pays.
            fee=self.commission.lstrip("-"),
            fee_asset=self.commission_asset,
            pnl=self.realized_pnl,
            time=self.time,
        )


# open time, open, high, low, close, volume, close time, quote volume, trades, taker buy, …
Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]


def closed_candles(symbol: str, rows: Sequence[Kline], now_ms: int) -> list[ClosedCandle]:
    """Return the candles that had closed at a moment before they were asked for."""
    return [
        ClosedCandle(
            symbol=symbol,
            open_time=row[0],
            open=row[1],
            high=row[2],
            low=row[3],
            close=row[4],
            volume=row[5],
            quote_volume=row[7],
            trades=row[8],
            taker_buy=row[9],
        )
        for row in rows
        if row[6] < now_ms
    ]


@dataclass(frozen=True, slots=True)
class ListenKeyExpired:
    """The private socket stays open and silent from now on."""


class _Head(msgspec.Struct, frozen=True):
    e: str = ""
    st: int = 1
    n: int = 0


class _OrderFields(
    msgspec.Struct,
    frozen=True,
    rename={
        "symbol": "s",
        "client_id": "c",
        "side": "S",
        "qty": "q",
        "execution": "x",
        "status": "X",
        "order_id": "i",
        "last_qty": "l",
        "filled": "z",
        "last_price": "L",
        "fee_asset": "N",
        "fee": "n",
        "time": "T",
        "trade_id": "t",
        "reduce_only": "R",
        "pnl": "rp",
    },
):
    symbol: str
    client_id: str
    side: Side
    qty: str
    execution: str
    status: str
    order_id: int
    filled: str
    time: int
    last_qty: str = "0"
    last_price: str = "0"
    fee_asset: str | None = None
    fee: str | None = None
    trade_id: int = 0
    reduce_only: bool = False
    pnl: str = "0"


class _OrderUpdate(msgspec.Struct, frozen=True):
    o: _OrderFields


class _AlgoFields(
    msgspec.Struct,
    frozen=True,
    rename={
        "symbol": "s",
        "client_id": "caid",
        "algo_id": "aid",
        "kind": "o",
        "side": "S",
        "status": "X",
        "trigger": "tp",
        "qty": "q",
        "close_position": "cp",
        "child_id": "ai",
        "reason": "rm",
    },
):
    symbol: str
    client_id: str
    algo_id: int
    kind: str
    side: Side
    status: str
    trigger: str = "0"
    qty: str | None = None
    close_position: bool = False
    child_id: str | int | None = None
    reason: str | None = None


class _AlgoUpdate(msgspec.Struct, frozen=True):
    o: _AlgoFields


class _WalletFields(msgspec.Struct, frozen=True):
    a: str
    wb: str


class _PositionFields(msgspec.Struct, frozen=True):
    s: str
    pa: str
    ep: str
    ps: str = "BOTH"


class _AccountFields(msgspec.Struct, frozen=True, rename={"cause": "m"}):
    cause: str
    B: tuple[_WalletFields, ...] = ()
    P: tuple[_PositionFields, ...] = ()


class _AccountUpdate(msgspec.Struct, frozen=True):
    T: int
    a: _AccountFields


def private_event(text: str) -> PrivateEvent | ListenKeyExpired | None:
    """Read one message of the private stream; None is one that nothing depends on.

    TRADE_LITE is among those: the same fill follows as an order's event, with fee and profit.

    Raises
    ------
    msgspec.MsgspecError
        It is one that matters and cannot be read.
    """
    head = msgspec.json.decode(text, type=_Head)
    if head.st == _COIN_M:
        return None
    match head.e:
        case "ORDER_TRADE_UPDATE":
            return _order_event(msgspec.json.decode(text, type=_OrderUpdate).o)
        case "ALGO_UPDATE":
            return _algo_event(msgspec.json.decode(text, type=_AlgoUpdate).o)
        case "ACCOUNT_UPDATE":
            return _account_event(msgspec.json.decode(text, type=_AccountUpdate))
        case "listenKeyExpired":
            return ListenKeyExpired()
        case "marker":
            return Marker(head.n)
    return None


def _order_event(one: _OrderFields) -> OrderEvent:
    order = OrderState(
        symbol=one.symbol,
        client_id=one.client_id,
        exchange_id=one.order_id,
        side=one.side,
        status=one.status,
        qty=one.qty,
        filled=one.filled,
        reduce_only=one.reduce_only,
        time=one.time,
    )
    trade = None
    # Liquidations announce themselves without a fill, with the same execution type as their fills.
    if one.trade_id > 0 and Decimal(one.last_qty):
        trade = Trade(
            symbol=one.symbol,
            trade_id=one.trade_id,
            order_id=one.order_id,
            client_id=one.client_id,
            side=one.side,
            price=one.last_price,
            qty=one.last_qty,
            fee=one.fee or "0",
            fee_asset=one.fee_asset or "",
            pnl=one.pnl,
            time=one.time,
        )
    return OrderEvent(order, trade, one.execution)


def _algo_event(one: _AlgoFields) -> AlgoEvent:
    algo = AlgoState(
        symbol=one.symbol,
        client_id=one.client_id,
        exchange_id=one.algo_id,
        kind=one.kind,
        side=one.side,
        status=one.status,
        trigger=one.trigger,
        qty=one.qty or "0",
        close_position=one.close_position,
        child_id=int(one.child_id or 0),
    )
    return AlgoEvent(algo, one.reason or "")


def _account_event(one: _AccountUpdate) -> AccountEvent:
    wallets = [Balance(units(row.wb), one.T) for row in one.a.B if row.a == _USDT]
    return AccountEvent(
        time=one.T,
        cause=one.a.cause,
        balance=wallets[0] if wallets else None,
        # The hedge mode's sides come along flat after a change of mode.
        holdings=tuple(
            Holding(row.s, row.pa, row.ep) for row in one.a.P if row.ps == "BOTH" or Decimal(row.pa)
        ),
    )
