"""Binance USDⓈ-M futures behind the port."""

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from live.clock import Clock
from live.exchange.errors import GONE, NO_SUCH_ORDER
from live.exchange.parsing import (
    FUNDING_FEE,
    AccountConfig,
    Algo,
    ExchangeInfo,
    FeeBurn,
    Income,
    Kline,
    Order,
    Position,
    UserTrade,
    Wallet,
    balance_of,
    closed_candles,
    funding_fees_of,
    holdings_of,
)
from live.exchange.port import (
    Accepted,
    AccountMode,
    AlgoKind,
    AlgoState,
    Balance,
    FundingFee,
    Holding,
    OrderState,
    Outcome,
    PrivateEvent,
    Rejected,
    Side,
    SymbolInfo,
    Trade,
    Unknown,
)
from live.exchange.rest import Parameters, Rest, ServerTime
from live.exchange.sockets import PrivateStream
from live.records import ClosedCandle
from live.session import Addresses

_CLOCK_DOUBT_MS = 500
_TRADES_A_PAGE = 1_000
_INCOME_A_PAGE = 1_000


class _Placed(msgspec.Struct, frozen=True, rename="camel"):
    order_id: int


class _AlgoPlaced(msgspec.Struct, frozen=True, rename="camel"):
    algo_id: int


class _LeverageSet(msgspec.Struct, frozen=True):
    leverage: int


class Binance:
    """The port `Exchange`; made inside a running event loop.

    Parameters
    ----------
    api_key, api_secret : str
        Kept in memory only, and out of every text this makes.
    market : str
        What rules are filed under: um.
    """

    def __init__(
        self,
        addresses: Addresses,
        clock: Clock,
        api_key: str,
        api_secret: str,
        market: str = "um",
    ) -> None:
        self._rest = Rest(addresses.rest, clock, api_key, api_secret)
        self._private = PrivateStream(addresses.stream, self._rest, clock)
        self._clock = clock
        self._market = market

    def bear_refusals(self) -> None:
        """Raise Unavailable from here on where a WickError would be (see the port)."""
        self._rest.bear_refusals()

    async def server_time(self) -> int:
        """Return the exchange's time, UTC ms."""
        return (await self._rest.read("time", ServerTime, signed=False)).server_time

    async def set_clock(self) -> None:
        """Set the clock by the exchange's time."""
        await self._rest.set_clock()

    async def symbols(self) -> Mapping[str, SymbolInfo]:
        """Return every symbol with its rules of today."""
        info = await self._rest.read("exchangeInfo", ExchangeInfo, signed=False)
        return info.infos(self._market, self._clock.now_ms())

    async def account_mode(self) -> AccountMode:
        """Return the settings that decide whether the account may be used."""
        config = await self._rest.read("accountConfig", AccountConfig)
        burn = await self._rest.read("feeBurn", FeeBurn)
        return AccountMode(
            can_trade=config.can_trade,
            hedge=config.dual_side_position,
            multi_assets=config.multi_assets_margin,
            fee_in_bnb=burn.fee_burn,
        )

    async def balance(self) -> Balance:
        """Return the USDT wallet."""
        return balance_of(await self._rest.read("balance", tuple[Wallet, ...], version=3))

    async def holdings(self) -> Sequence[Holding]:
        """Return open positions; a symbol that is absent is flat."""
        return holdings_of(await self._rest.read("positionRisk", tuple[Position, ...], version=3))

    async def klines(
        self, symbol: str, timeframe: str, start_ms: int, limit: int = 1500
    ) -> Sequence[ClosedCandle]:
        """Return closed candles from an open time on, oldest first.

        One that has just closed may be left out: it is there half a second later.
        """
        # The time before asking: a row made just before the close may arrive after it.
        now_ms = self._clock.now_ms() - self._doubt_ms()
        asked: Parameters = {
            "symbol": symbol,
            "interval": timeframe,
            "startTime": start_ms,
            "limit": limit,
        }
        rows = await self._rest.read("klines", tuple[Kline, ...], asked, signed=False, bulk=True)
        return closed_candles(symbol, rows, now_ms)

    def _doubt_ms(self) -> int:
        # Our clock may be ahead of theirs, and the row would still change. Who needs the candle
        # asks again; a replay tells its time exactly, and after its end nobody asks again.
        return 0 if self._clock.lockstep or self._clock.ended else _CLOCK_DOUBT_MS

    async def order(self, symbol: str, client_id: str) -> OrderState | None:
        """Find an order by our id."""
        found = await self._rest.find(
            "order", Order, {"symbol": symbol, "origClientOrderId": client_id}
        )
        return found.state() if found else None

    async def order_of(self, symbol: str, exchange_id: int) -> OrderState | None:
        """Find an order by the exchange's id."""
        found = await self._rest.find("order", Order, {"symbol": symbol, "orderId": exchange_id})
        return found.state() if found else None

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        """Return the plain orders that may still fill."""
        found = await self._rest.read("openOrders", tuple[Order, ...], {"symbol": symbol})
        return [one.state() for one in found]

    async def algo(self, client_id: str) -> AlgoState | None:
        """Find a conditional order by our id."""
        found = await self._rest.find("algoOrder", Algo, {"clientAlgoId": client_id})
        return found.state() if found else None

    async def open_algos(self, symbol: str) -> Sequence[AlgoState]:
        """Return the conditional orders that are waiting."""
        found = await self._rest.read("openAlgoOrders", tuple[Algo, ...], {"symbol": symbol})
        return [one.state() for one in found]

    async def trades(self, symbol: str, from_id: int | None = None) -> Sequence[Trade]:
        """Return fills, oldest first: all from a trade id on, or the newest 1,000 of seven days."""
        if from_id is None:
            return await self._trades(symbol, limit=_TRADES_A_PAGE)
        found: list[Trade] = []
        while True:
            page = await self._trades(symbol, fromId=from_id, limit=_TRADES_A_PAGE)
            found += page
            if len(page) < _TRADES_A_PAGE:
                return found
            from_id = page[-1].trade_id + 1

    async def funding_fees(self, since_ms: int) -> Sequence[FundingFee]:
        """Return what all symbols paid or received from a time on, oldest first."""
        found: dict[int, FundingFee] = {}
        while True:
            asked: Parameters = {
                "incomeType": FUNDING_FEE,
                "startTime": since_ms,
                "limit": _INCOME_A_PAGE,
            }
            rows = await self._rest.read("income", tuple[Income, ...], asked)
            found |= {one.number: one for one in funding_fees_of(rows)}
            if len(rows) < _INCOME_A_PAGE:
                return sorted(found.values(), key=lambda one: (one.time, one.number))
            # The next page begins with the time of the last row: others may have the same.
            since_ms = max(rows[-1].time, since_ms + 1)

    async def set_leverage(self, symbol: str, leverage: int) -> Outcome:
        """Set a symbol's leverage."""
        asked: Parameters = {"symbol": symbol, "leverage": leverage}
        return _outcome(await self._rest.write("post", "leverage", _LeverageSet, asked))

    async def place_market(
        self, client_id: str, symbol: str, side: Side, qty: str, reduce_only: bool
    ) -> Outcome:
        """Place a market order."""
        asked = {
            "symbol": symbol,
            "side": side,
            "type": "MARKET",
            "quantity": qty,
            "newClientOrderId": client_id,
            "newOrderRespType": "ACK",
        }
        if reduce_only:
            asked["reduceOnly"] = "true"
        return _outcome(await self._rest.write("post", "order", _Placed, asked))

    async def place_algo(
        self, client_id: str, symbol: str, side: Side, kind: AlgoKind, trigger: str, qty: str | None
    ) -> Outcome:
        """Place a conditional market order, for the whole position without a qty."""
        asked = {
            "algoType": "CONDITIONAL",
            "symbol": symbol,
            "side": side,
            "type": kind,
            "triggerPrice": trigger,
            "workingType": "CONTRACT_PRICE",
            "clientAlgoId": client_id,
            "newOrderRespType": "ACK",
        }
        if qty is None:
            asked["closePosition"] = "true"
        else:
            asked |= {"quantity": qty, "reduceOnly": "true"}
        return _outcome(await self._rest.write("post", "algoOrder", _AlgoPlaced, asked))

    async def cancel_algo(self, client_id: str) -> Outcome:
        """Cancel a conditional order; one that is gone is Rejected with -2011."""
        outcome = _outcome(
            await self._rest.write("delete", "algoOrder", _AlgoPlaced, {"clientAlgoId": client_id})
        )
        if isinstance(outcome, Rejected) and outcome.code == NO_SUCH_ORDER:
            return Rejected(GONE, outcome.text)
        return outcome

    def private_events(self) -> AsyncIterator[PrivateEvent]:
        """Yield the account's events for ever, over reconnects."""
        return self._private.events()

    async def close(self) -> None:
        """End the private events and close the connections."""
        await self._private.close()
        await self._rest.close()

    async def _trades(self, symbol: str, **page: int) -> list[Trade]:
        asked = {"symbol": symbol} | page
        rows = await self._rest.read("userTrades", tuple[UserTrade, ...], asked)
        return [one.trade() for one in sorted(rows, key=lambda one: one.id)]


def _outcome(answer: _Placed | _AlgoPlaced | _LeverageSet | Rejected | Unknown) -> Outcome:
    match answer:
        case Rejected() | Unknown():
            return answer
        case _Placed(order_id):
            return Accepted(order_id)
        case _AlgoPlaced(algo_id):
            return Accepted(algo_id)
    return Accepted()
