"""Messages of the private stream, turned into the port's words.

Unknown fields are ignored: the exchange adds some every few months. Decimals stay its text.
"""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from live.decimals import units
from live.exchange.parsing import USDT
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
    Trade,
)

_COIN_M = 2  # events of the other futures market come over the same socket


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
    bc: str | None = None


class _PositionFields(msgspec.Struct, frozen=True):
    s: str
    pa: str
    ep: str
    ps: str = "BOTH"


class _AccountFields(msgspec.Struct, frozen=True, rename={"cause": "m"}):
    cause: str
    B: tuple[_WalletFields, ...] = ()
    P: tuple[_PositionFields, ...] = ()
    S: str = ""


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
    wallet = next((row for row in one.a.B if row.a == USDT), None)
    return AccountEvent(
        time=one.T,
        cause=one.a.cause,
        balance=Balance(units(wallet.wb), one.T) if wallet else None,
        # The hedge mode's sides come along flat after a change of mode.
        holdings=tuple(
            Holding(row.s, row.pa, row.ep) for row in one.a.P if row.ps == "BOTH" or Decimal(row.pa)
        ),
        symbol=one.a.S,
        change=units(wallet.bc) if wallet and wallet.bc is not None else None,
    )
