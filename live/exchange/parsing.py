"""The exchange's answers, turned into the port's words.

Unknown fields are ignored: the exchange adds some every few months. Decimals stay its text.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from data.dates import show_day
from data.rest import listings
from data.symbols import rules_of
from live.decimals import units
from live.exchange.port import (
    AlgoState,
    Balance,
    FundingFee,
    Holding,
    OrderState,
    Side,
    SymbolInfo,
    Trade,
)
from live.records import ClosedCandle

USDT = "USDT"
FUNDING_FEE = "FUNDING_FEE"


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ExchangeInfo(listings.ExchangeInfo, frozen=True):
    """The answer of /exchangeInfo."""

    def infos(self, market: str, now_ms: int) -> dict[str, SymbolInfo]:
        """Return every symbol by name, its rules dated with the day."""
        seen = show_day(now_ms)
        return {
            one.symbol: SymbolInfo(
                rules_of(one.listing(), market, one.symbol, seen),
                one.status,
                one.quote_asset,
                one.contract_type,
            )
            for one in self.symbols
        }


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
        if one.asset == USDT:
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


class Income(_Answer, frozen=True):
    """A row of /income."""

    symbol: str
    income_type: str
    income: str
    asset: str
    time: int
    tran_id: int | str  # text in older documents


def funding_fees_of(rows: Sequence[Income]) -> list[FundingFee]:
    """Keep the funding in USDT."""
    return [
        FundingFee(one.symbol, int(one.tran_id), one.income, one.time)
        for one in rows
        if one.income_type == FUNDING_FEE and one.asset == USDT
    ]


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
