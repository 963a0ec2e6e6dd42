"""The exchange's core: one account, its orders, and candles that fill them. No sockets, no clock.

Every method of the account takes a request's parameters as text and returns what would be its JSON,
or raises ApiError. What happened is left in `events`, in order, as the private stream tells it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.symbols import SymbolRules, grids_of
from live.simulator import shapes
from live.simulator.checks import (
    ApiError,
    client_id,
    needed,
    one_way,
    quantity,
    refuse,
    side,
    trigger,
    word,
)
from live.simulator.shapes import AlgoOrder, Fill, PlainOrder
from strategy.account import ACCOUNT, POSITION, UNIT, book_fill, fee_of, free_margin
from strategy.fills import NOT_FILLED, STOP_FILLED, Costs, resting_fill, slipped
from strategy.grid import qty_of

__all__ = ["ApiError", "Venue"]

Params = Mapping[str, str]

MOST_ALGOS = 200
_TAKER = "STOP_MARKET", "TAKE_PROFIT_MARKET"
_OLD_TYPES = ("STOP", "TAKE_PROFIT", *_TAKER, "TRAILING_STOP_MARKET")
_WIDE = 1_000_000_000  # the one leverage bracket there is


@dataclass(slots=True)
class _Market:
    """One symbol: its rules, its price, and what the account has on it."""

    at: int
    rules: SymbolRules
    grid: Any
    position: Any
    leverage: int
    last: float = 0.0
    open: bool = False
    orders: list[PlainOrder] = field(default_factory=list)
    algos: list[AlgoOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    next_order: int = 1


class Venue:
    """A Binance USDⓈ-M exchange for one account.

    Parameters
    ----------
    rules : sequence of SymbolRules
        The symbols, in the order in which held orders fill.
    costs : Costs
    balance : float
        USDT in the wallet.
    hold_market_orders : bool
        Market orders wait for `fill_held` instead of filling at once.
    hedge, multi_assets : bool
        The account's mode.
    leverage : int
        At first, for every symbol.

    Attributes
    ----------
    now : int
        The exchange's time, UTC ms; who plays candles sets it.
    events : list of dict
        What the private stream tells, to be taken out by who sends it.
    """

    def __init__(
        self,
        rules: Sequence[SymbolRules],
        costs: Costs,
        balance: float,
        *,
        hold_market_orders: bool = False,
        hedge: bool = False,
        multi_assets: bool = False,
        leverage: int = 20,
    ) -> None:
        grids = grids_of(tuple(rules)).view(np.recarray)
        self._grids = grids
        self._positions: Any = np.zeros(len(rules), POSITION).view(np.recarray)
        self._account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
        self._account[0].wallet = round(balance * UNIT)
        self._markets = {
            one.symbol: _Market(i, one, grids[i], self._positions[i], leverage)
            for i, one in enumerate(rules)
        }
        self._costs = costs
        self._next_algo = 1
        self._changed = 0
        self.hold_market_orders = hold_market_orders
        self.hedge = hedge
        self.multi_assets = multi_assets
        self.fee_in_bnb = False
        self.now = 0
        self.events: list[dict[str, Any]] = []

    @property
    def wallet(self) -> int:
        """The wallet in units of 1e-8."""
        return int(self._account[0].wallet)

    def steps(self, symbol: str) -> int:
        """Return the signed steps of a position."""
        return int(self._markets[symbol].position.steps)

    # Candles

    def open_candle(self, symbol: str, price: float) -> None:
        """Begin a symbol's next candle: its open is the last price, and held orders may fill."""
        market = self._markets[symbol]
        market.last, market.open = price, True
        # The balance was paid in before the first candle; ccxt hides a wallet that never changed.
        self._changed = self._changed or self.now
        # As in a backtest, a position is valued at its symbol's last close, not at the open.
        market.position.mark = market.position.mark or price

    def fill_held(self) -> int:
        """Fill held market orders whose symbol has an open candle: closing ones first, then
        opening ones, each in the symbols' order. Returns how many changed."""
        changed = 0
        for closing in (True, False):
            for market in self._markets.values():
                for order in [o for o in market.orders if o.is_open] if market.open else ():
                    if order.reduce_only == closing:
                        self._match(market, order)
                        changed += 1
        return changed

    def play_candle(
        self,
        symbol: str,
        open_time: int,
        o: float,
        h: float,
        l: float,  # noqa: E741
        c: float,
    ) -> None:
        """Match the conditional orders of a symbol against a whole candle, which is over then.

        Of several that are touched one fills, stop first; the others expire.
        """
        market = self._markets[symbol]
        held = int(market.position.steps)
        if held:
            self._play_exits(market, held, open_time, (o, h, l))
        else:
            self._expire_touched(market, h, l)
        market.last, market.open = c, False
        market.position.mark = c

    def _play_exits(
        self, market: _Market, held: int, open_time: int, prices: tuple[float, float, float]
    ) -> None:
        direction = 1 if held > 0 else -1
        exits = [one for one in market.algos if one.is_open and one.side == -direction]
        stops = [one for one in exits if one.kind == "STOP_MARKET"]
        takes = [one for one in exits if one.kind == "TAKE_PROFIT_MARKET"]
        # The tightest stop and the nearest take are met first.
        stop = max(stops, key=lambda one: direction * one.trigger, default=None)
        take = min(takes, key=lambda one: direction * one.trigger, default=None)
        never = -np.inf if direction > 0 else np.inf
        which, price, at_open, _ = resting_fill(
            direction,
            stop.trigger if stop else never,
            take.trigger if take else 0.0,
            *prices,
        )
        if which == NOT_FILLED:
            return
        algo = stop if which == STOP_FILLED else take
        assert algo is not None
        self._trigger(market, algo, price, open_time if at_open else self.now)

    def _expire_touched(self, market: _Market, h: float, l: float) -> None:  # noqa: E741
        for algo in [one for one in market.algos if one.is_open]:
            rises = (algo.side > 0) == (algo.kind == "STOP_MARKET")
            if h >= algo.trigger if rises else l <= algo.trigger:
                algo.triggered = self.now
                self._end_algo(market, algo, "EXPIRED", "ReduceOnly Order is rejected.")

    def _trigger(self, market: _Market, algo: AlgoOrder, price: float, time: int) -> None:
        algo.status, algo.triggered, algo.updated = "TRIGGERING", time, self.now
        self._tell(shapes.algo_event(algo, market.rules, self.now))
        held = abs(int(market.position.steps))
        steps = held if algo.close_position else min(algo.steps, held)
        child = self._new_plain(market, algo.client_id, algo.side, steps, True)
        child.original_type, child.trigger = algo.kind, algo.trigger
        child.close_position = algo.close_position
        algo.status, algo.child_id = "TRIGGERED", child.order_id
        self._tell(shapes.algo_event(algo, market.rules, self.now))
        self._tell(shapes.order_event(child, market.rules, "NEW", self.now))
        fill = slipped(price, algo.side, self._costs.slippage, market.grid)
        self._fill(market, child, steps, float(fill), time)
        algo.child_price, algo.child_steps = float(fill), steps
        self._end_algo(market, algo, "FINISHED")

    # Fills

    def _match(self, market: _Market, order: PlainOrder) -> None:
        held = int(market.position.steps)
        steps = order.steps
        if order.reduce_only:
            if held * order.side >= 0:
                self._expire(market, order, "4")
                return
            steps = min(steps, abs(held))
        price = float(slipped(market.last, order.side, self._costs.slippage, market.grid))
        if not order.reduce_only and not self._affords(market, order.side, steps, price):
            self._expire(market, order, "0")
            return
        self._fill(market, order, steps, price, self.now)
        if order.is_open:  # reduced to the position: the rest is over
            self._expire(market, order, "4")

    def _affords(self, market: _Market, direction: int, steps: int, price: float) -> bool:
        held = int(market.position.steps)
        if held * direction < 0:
            steps = max(steps - abs(held), 0)
        cost = qty_of(steps, market.grid) * price / market.leverage
        return bool(cost <= self._free())

    def _free(self) -> float:
        # One leverage for all is what sessions use; with several, the margin is each position's.
        levels = {one.leverage for one in self._markets.values()}
        if len(levels) == 1:
            return float(
                free_margin(self._account[0], self._positions, self._grids, float(levels.pop()))
            )
        free = self.wallet / UNIT
        for one in self._markets.values():
            qty = qty_of(one.position.steps, one.grid)
            free += qty * (one.position.mark - one.position.entry)
            free -= abs(qty) * one.position.mark / one.leverage
        return float(free)

    def _fill(
        self, market: _Market, order: PlainOrder, steps: int, price: float, time: int
    ) -> None:
        position, account = market.position, self._account[0]
        pnl = int(book_fill(position, market.grid, order.side * steps, price))
        fee = int(fee_of(self._costs.fee_rate, qty_of(steps, market.grid), price))
        account.wallet += pnl - fee
        self._changed = self.now
        fill = Fill(
            order.symbol,
            len(market.fills) + 1,
            order.order_id,
            order.side,
            steps,
            price,
            fee,
            pnl,
            time,
        )
        market.fills.append(fill)
        order.filled += steps
        order.average, order.updated = price, time
        order.status = "FILLED" if order.filled == order.steps else "PARTIALLY_FILLED"
        self._tell(shapes.lite_event(order, market.rules, fill, self.now))
        self._tell(shapes.order_event(order, market.rules, "TRADE", self.now, fill))
        self._tell(self._account_event(market, "ORDER"))
        if position.steps == 0:
            for algo in [one for one in market.algos if one.is_open and one.close_position]:
                self._end_algo(market, algo, "EXPIRED", "")

    def _expire(self, market: _Market, order: PlainOrder, why: str) -> None:
        order.status, order.expiry, order.updated = "EXPIRED", why, self.now
        self._tell(shapes.order_event(order, market.rules, "EXPIRED", self.now))

    def _end_algo(self, market: _Market, algo: AlgoOrder, status: str, reason: str = "") -> None:
        algo.status, algo.reason, algo.updated = status, reason, self.now
        self._tell(shapes.algo_event(algo, market.rules, self.now))

    def _account_event(self, market: _Market, cause: str) -> dict[str, Any]:
        position = market.position
        wallet = shapes.money_text(self.wallet)
        row = {
            "s": market.rules.symbol,
            "pa": shapes.qty_text(int(position.steps), market.rules),
            "ep": shapes.average_text(position.entry),
            "bep": shapes.average_text(position.entry),
            "cr": "0",
            "up": shapes.average_text(self._unrealized(market)),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
        }
        balance = {"a": "USDT", "wb": wallet, "cw": wallet, "bc": "0"}
        return {
            "e": "ACCOUNT_UPDATE",
            "E": self.now,
            "T": self.now,
            "st": 1,
            "a": {"m": cause, "B": [balance], "P": [row]},
        }

    def _unrealized(self, market: _Market) -> float:
        position = market.position
        return float(qty_of(position.steps, market.grid) * (market.last - position.entry))

    def _tell(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    # Plain orders

    def _market(self, p: Params) -> _Market:
        market = self._markets.get(needed(p, "symbol"))
        if market is None:
            raise refuse(-1121, "Invalid symbol.")
        return market

    def _some(self, p: Params) -> list[_Market]:
        return [self._market(p)] if p.get("symbol") else list(self._markets.values())

    def _new_plain(
        self, market: _Market, name: str, direction: int, steps: int, reduce_only: bool
    ) -> PlainOrder:
        order = PlainOrder(
            market.rules.symbol,
            market.next_order,
            name,
            direction,
            steps,
            reduce_only,
            self.now,
            self.now,
        )
        market.next_order += 1
        market.orders.append(order)
        return order

    def new_order(self, p: Params) -> dict[str, Any]:
        """POST order: a market order."""
        market = self._market(p)
        direction, kind = side(p), needed(p, "type")
        if kind in _OLD_TYPES:
            raise refuse(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API"
                " endpoints instead.",
            )
        if kind != "MARKET":
            raise refuse(-1116, "Invalid orderType.")
        one_way(p, self.hedge)
        if p.get("timeInForce"):
            raise refuse(-1106, "Parameter 'timeInForce' sent when not required.")
        steps, reduce_only = quantity(p, market.rules), word(p, "reduceOnly")
        name = client_id(p, "newClientOrderId", f"web-{market.next_order}")
        if any(o.is_open and o.client_id == name for o in market.orders):
            raise refuse(-4116, "ClientOrderId is duplicated.")
        least = float(market.rules.min_notional)
        if not reduce_only and qty_of(steps, market.grid) * market.last < least:
            raise refuse(
                -4164, f"Order's notional must be no smaller than {least:g} (unless you choose"
                " reduce only)."
            )  # fmt: skip
        held = int(market.position.steps)
        if reduce_only and held * direction >= 0:
            raise refuse(-2022, "ReduceOnly Order is rejected.")
        if not (self.hold_market_orders or reduce_only):
            price = float(slipped(market.last, direction, self._costs.slippage, market.grid))
            if not self._affords(market, direction, steps, price):
                raise refuse(-2019, "Margin is insufficient.")
        order = self._new_plain(market, name, direction, steps, reduce_only)
        self._tell(shapes.order_event(order, market.rules, "NEW", self.now))
        answer = shapes.order_answer(order, market.rules, asked=False)
        if not self.hold_market_orders:
            self._match(market, order)
            if p.get("newOrderRespType") == "RESULT":
                answer = shapes.order_answer(order, market.rules, asked=False)
        return answer

    def _find(self, p: Params) -> tuple[_Market, PlainOrder | None]:
        market = self._market(p)
        number, name = p.get("orderId", ""), p.get("origClientOrderId", "")
        if not (number or name):
            raise refuse(-1102, "Param 'origClientOrderId' or 'orderId' must be sent.")
        for order in reversed(market.orders):
            if str(order.order_id) == number or (not number and order.client_id == name):
                return market, order
        return market, None

    def get_order(self, p: Params) -> dict[str, Any]:
        """GET order."""
        market, order = self._find(p)
        if order is None:
            raise refuse(-2013, "Order does not exist.")
        return shapes.order_answer(order, market.rules, asked=True)

    def open_order(self, p: Params) -> dict[str, Any]:
        """GET openOrder."""
        market, order = self._find(p)
        if order is None or not order.is_open:
            raise refuse(-2013, "Order does not exist.")
        return shapes.order_answer(order, market.rules, asked=True)

    def cancel_order(self, p: Params) -> dict[str, Any]:
        """DELETE order."""
        market, order = self._find(p)
        if order is None or not order.is_open:
            raise refuse(-2011, "Unknown order sent.")
        order.status, order.updated = "CANCELED", self.now
        self._tell(shapes.order_event(order, market.rules, "CANCELED", self.now))
        return shapes.order_answer(order, market.rules, asked=False)

    def open_orders(self, p: Params) -> list[dict[str, Any]]:
        """GET openOrders."""
        return [
            shapes.order_answer(order, market.rules, asked=True)
            for market in self._some(p)
            for order in market.orders
            if order.is_open
        ]

    def all_orders(self, p: Params) -> list[dict[str, Any]]:
        """GET allOrders."""
        first = int(p.get("orderId") or 0)
        found = [
            shapes.order_answer(order, market.rules, asked=True) | {"pair": order.symbol}
            for market in self._some(p)
            for order in market.orders
            if order.order_id >= first
        ]
        return found[-int(p.get("limit") or 500) :]

    def cancel_all_orders(self, p: Params) -> dict[str, Any]:
        """DELETE allOpenOrders; conditional orders stay."""
        market = self._market(p)
        for order in [one for one in market.orders if one.is_open]:
            self.cancel_order({"symbol": order.symbol, "orderId": str(order.order_id)})
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    # Conditional orders

    def new_algo(self, p: Params) -> dict[str, Any]:
        """POST algoOrder."""
        if needed(p, "algoType") != "CONDITIONAL":
            raise refuse(-1102, "Mandatory parameter 'algoType' is malformed.")
        market = self._market(p)
        direction, kind = side(p), needed(p, "type")
        if kind not in _TAKER:
            raise refuse(-1116, "Invalid orderType.")
        one_way(p, self.hedge)
        whole = word(p, "closePosition")
        if whole and p.get("quantity"):
            raise refuse(-4137, "Quantity must be zero with closePosition equals true.")
        if whole and p.get("reduceOnly"):
            raise refuse(-4138, "Reduce only must be true with closePosition equals true.")
        level = trigger(p, market.rules)
        steps = 0 if whole else quantity(p, market.rules)
        if not whole and not word(p, "reduceOnly"):
            raise refuse(-1130, "Only closePosition and reduceOnly are simulated.")
        name = client_id(p, "clientAlgoId", f"algo-{self._next_algo}")
        every = [one for each in self._markets.values() for one in each.algos if one.is_open]
        if any(one.client_id == name for one in every):
            raise refuse(-4116, "ClientOrderId is duplicated.")
        if len(every) >= MOST_ALGOS:
            raise refuse(-4045, "Reach max stop order limit.")
        rises = (direction > 0) == (kind == "STOP_MARKET")
        if market.last >= level if rises else market.last <= level:
            raise refuse(-2021, "Order would immediately trigger.")
        algo = AlgoOrder(
            market.rules.symbol,
            self._next_algo,
            name,
            direction,
            kind,
            level,
            steps,
            whole,
            self.now,
            self.now,
        )
        self._next_algo += 1
        market.algos.append(algo)
        self._tell(shapes.algo_event(algo, market.rules, self.now))
        return shapes.algo_answer(algo, market.rules)

    def _find_algo(self, p: Params) -> tuple[_Market, AlgoOrder] | None:
        number, name = p.get("algoId", ""), p.get("clientAlgoId", "")
        if not (number or name):
            raise refuse(-1102, "Param 'clientAlgoId' or 'algoId' must be sent.")
        for market in self._markets.values():
            for algo in reversed(market.algos):
                if str(algo.algo_id) == number or (not number and algo.client_id == name):
                    return market, algo
        return None

    def get_algo(self, p: Params) -> dict[str, Any]:
        """GET algoOrder."""
        found = self._find_algo(p)
        if found is None:
            raise refuse(-2013, "Order does not exist.")
        return shapes.algo_answer(found[1], found[0].rules)

    def cancel_algo(self, p: Params) -> dict[str, Any]:
        """DELETE algoOrder."""
        found = self._find_algo(p)
        if found is None or not found[1].is_open:
            raise refuse(-2011, "Unknown order sent.")
        market, algo = found
        self._end_algo(market, algo, "CANCELED")
        return {
            "algoId": algo.algo_id,
            "clientAlgoId": algo.client_id,
            "code": "200",
            "msg": "success",
        }

    def cancel_all_algos(self, p: Params) -> dict[str, Any]:
        """DELETE algoOpenOrders."""
        market = self._market(p)
        for algo in [one for one in market.algos if one.is_open]:
            self._end_algo(market, algo, "CANCELED")
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_algos(self, p: Params) -> list[dict[str, Any]]:
        """GET openAlgoOrders."""
        return [
            shapes.algo_answer(algo, market.rules)
            for market in self._some(p)
            for algo in market.algos
            if algo.is_open
        ]

    def all_algos(self, p: Params) -> list[dict[str, Any]]:
        """GET allAlgoOrders."""
        market = self._market(p)
        found = [shapes.algo_answer(algo, market.rules) for algo in market.algos]
        return found[-int(p.get("limit") or 500) :]

    # Account

    def user_trades(self, p: Params) -> list[dict[str, Any]]:
        """GET userTrades: from a trade id on, of an order, or the newest."""
        market, limit = self._market(p), int(p.get("limit") or 500)
        fills = market.fills
        if p.get("orderId"):
            fills = [one for one in fills if one.order_id == int(p["orderId"])]
        if p.get("startTime"):
            fills = [one for one in fills if one.time >= int(p["startTime"])]
        if p.get("fromId"):
            chosen = [one for one in fills if one.trade_id >= int(p["fromId"])][:limit]
        else:
            chosen = fills[-limit:]
        return [shapes.trade_answer(one, market.rules) for one in chosen]

    def income(self, p: Params) -> list[dict[str, Any]]:
        """GET income: profits and commissions."""
        rows = []
        for market in self._some(p):
            for one in market.fills:
                for kind, amount in (("REALIZED_PNL", one.pnl), ("COMMISSION", -one.fee)):
                    if amount and p.get("incomeType", kind) == kind:
                        rows.append(
                            {
                                "symbol": one.symbol,
                                "incomeType": kind,
                                "income": shapes.money_text(amount),
                                "asset": "USDT",
                                "info": str(one.trade_id),
                                "time": one.time,
                                "tranId": one.trade_id,
                                "tradeId": str(one.trade_id),
                            }
                        )
        rows.sort(key=lambda row: str(row["time"]))
        return rows[-int(p.get("limit") or 100) :]

    def balance(self, _: Params) -> list[dict[str, Any]]:
        """GET balance."""
        wallet, free = shapes.money_text(self.wallet), shapes.average_text(self._free())
        unrealized = sum(self._unrealized(one) for one in self._markets.values())
        return [
            {
                "accountAlias": "SgsR",
                "asset": "USDT",
                "balance": wallet,
                "crossWalletBalance": wallet,
                "crossUnPnl": shapes.average_text(unrealized),
                "availableBalance": free,
                "maxWithdrawAmount": free,
                "marginAvailable": True,
                "updateTime": self._changed,
            }
        ]

    def account(self, _: Params, version: int = 3) -> dict[str, Any]:
        """GET account."""
        wallet, free = shapes.money_text(self.wallet), shapes.average_text(self._free())
        unrealized = sum(self._unrealized(one) for one in self._markets.values())
        margin = shapes.average_text(self.wallet / UNIT + unrealized)
        totals = {
            "totalInitialMargin": "0",
            "totalMaintMargin": "0",
            "totalWalletBalance": wallet,
            "totalUnrealizedProfit": shapes.average_text(unrealized),
            "totalMarginBalance": margin,
            "totalPositionInitialMargin": "0",
            "totalOpenOrderInitialMargin": "0",
            "totalCrossWalletBalance": wallet,
            "totalCrossUnPnl": shapes.average_text(unrealized),
            "availableBalance": free,
            "maxWithdrawAmount": free,
        }
        asset = {
            "asset": "USDT",
            "walletBalance": wallet,
            "unrealizedProfit": shapes.average_text(unrealized),
            "marginBalance": margin,
            "maintMargin": "0",
            "initialMargin": "0",
            "positionInitialMargin": "0",
            "openOrderInitialMargin": "0",
            "crossWalletBalance": wallet,
            "crossUnPnl": shapes.average_text(unrealized),
            "availableBalance": free,
            "maxWithdrawAmount": free,
            "updateTime": self._changed,
        }
        listed = [one for one in self._markets.values() if version < 3 or one.position.steps]
        positions = [self._position_row(one) for one in listed]
        answer: dict[str, Any] = totals | {"assets": [asset], "positions": positions}
        if version < 3:
            answer |= {"feeTier": 0, "canTrade": True, "multiAssetsMargin": self.multi_assets}
            for one, row in zip(listed, positions, strict=True):
                row |= {"leverage": str(one.leverage), "isolated": False}
        return answer

    def _position_row(self, market: _Market) -> dict[str, Any]:
        position = market.position
        qty = qty_of(position.steps, market.grid)
        unrealized = shapes.average_text(self._unrealized(market))
        notional = shapes.average_text(qty * market.last)
        return {
            "symbol": market.rules.symbol,
            "positionSide": "BOTH",
            "positionAmt": shapes.qty_text(int(position.steps), market.rules),
            "entryPrice": shapes.average_text(position.entry),
            "breakEvenPrice": shapes.average_text(position.entry),
            "markPrice": shapes.average_text(market.last),
            "unRealizedProfit": unrealized,
            "unrealizedProfit": unrealized,
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": notional,
            "marginAsset": "USDT",
            "isolatedWallet": "0",
            "initialMargin": shapes.average_text(abs(qty) * market.last / market.leverage),
            "maintMargin": "0",
            "positionInitialMargin": shapes.average_text(abs(qty) * market.last / market.leverage),
            "openOrderInitialMargin": "0",
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": self._changed,
        }

    def position_risk(self, p: Params, version: int = 3) -> list[dict[str, Any]]:
        """GET positionRisk: in version 3 only symbols with a position or an open order."""
        return [
            self._position_row(one)
            for one in self._some(p)
            if version < 3 or one.position.steps or any(o.is_open for o in one.orders)
        ]

    def account_config(self, _: Params) -> dict[str, Any]:
        """GET accountConfig."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self.hedge,
            "multiAssetsMargin": self.multi_assets,
            "tradeGroupId": -1,
        }

    def symbol_config(self, p: Params) -> list[dict[str, Any]]:
        """GET symbolConfig."""
        return [
            {
                "symbol": one.rules.symbol,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": one.leverage,
                "maxNotionalValue": str(_WIDE),
            }
            for one in self._some(p)
        ]

    def commission_rate(self, p: Params) -> dict[str, Any]:
        """GET commissionRate."""
        taker = shapes.average_text(self._costs.fee_rate)
        return {
            "symbol": self._market(p).rules.symbol,
            "makerCommissionRate": taker,
            "takerCommissionRate": taker,
            "rpiCommissionRate": taker,
        }

    def leverage_bracket(self, p: Params) -> list[dict[str, Any]]:
        """GET leverageBracket: one wide bracket."""
        bracket = {
            "bracket": 1,
            "initialLeverage": 125,
            "notionalCap": _WIDE,
            "notionalFloor": 0,
            "maintMarginRatio": 0.004,
            "cum": 0,
        }
        return [{"symbol": one.rules.symbol, "brackets": [bracket]} for one in self._some(p)]

    def set_leverage(self, p: Params) -> dict[str, Any]:
        """POST leverage."""
        market, text = self._market(p), needed(p, "leverage")
        if not text.isdecimal() or not 1 <= int(text) <= 125:
            raise refuse(-4028, f"Leverage {text} is not valid.")
        market.leverage = int(text)
        return {
            "leverage": market.leverage,
            "maxNotionalValue": str(_WIDE),
            "symbol": market.rules.symbol,
        }

    def set_margin_type(self, p: Params) -> dict[str, Any]:
        """POST marginType: there is only the one it has."""
        self._market(p)
        if needed(p, "marginType") == "CROSSED":
            raise refuse(-4046, "No need to change margin type.")
        raise refuse(-1130, "Only crossed margin is simulated.")

    def position_mode(self, _: Params) -> dict[str, Any]:
        """GET positionSide/dual."""
        return {"dualSidePosition": self.hedge}

    def set_position_mode(self, p: Params) -> dict[str, Any]:
        """POST positionSide/dual."""
        wanted = word(p, "dualSidePosition")
        if wanted == self.hedge:
            raise refuse(-4059, "No need to change position side.")
        every = self._markets.values()
        if any(o.is_open for m in every for o in m.orders) or self.open_algos({}):
            raise refuse(-4067, "Position side cannot be changed if there exists open orders.")
        if any(one.position.steps for one in self._markets.values()):
            raise refuse(-4068, "Position side cannot be changed if there exists position.")
        self.hedge = wanted
        return {"code": 200, "msg": "success"}

    def multi_assets_mode(self, _: Params) -> dict[str, Any]:
        """GET multiAssetsMargin."""
        return {"multiAssetsMargin": self.multi_assets}

    def fee_burn(self, _: Params) -> dict[str, Any]:
        """GET feeBurn."""
        return {"feeBurn": self.fee_in_bnb}

    def rate_limit_order(self, _: Params) -> list[dict[str, Any]]:
        """GET rateLimit/order."""
        limits = (("SECOND", 10, 300), ("MINUTE", 1, 1200))
        return [
            {"rateLimitType": "ORDERS", "interval": unit, "intervalNum": n, "limit": limit}
            for unit, n, limit in limits
        ]

    # Market data that the core knows

    def book_ticker(self, p: Params) -> dict[str, Any] | list[dict[str, Any]]:
        """GET ticker/bookTicker: the last price on both sides."""
        rows = []
        for one in self._some(p):
            price = shapes.price_text(one.last, one.rules)
            rows.append(
                {
                    "symbol": one.rules.symbol,
                    "bidPrice": price,
                    "bidQty": "1000",
                    "askPrice": price,
                    "askQty": "1000",
                    "time": self.now,
                }
            )
        return rows[0] if p.get("symbol") else rows

    def premium_index(self, p: Params) -> dict[str, Any] | list[dict[str, Any]]:
        """GET premiumIndex: the last price stands in for the mark price."""
        rows = []
        for one in self._some(p):
            price = shapes.price_text(one.last, one.rules)
            rows.append(
                {
                    "symbol": one.rules.symbol,
                    "markPrice": price,
                    "indexPrice": price,
                    "estimatedSettlePrice": price,
                    "lastFundingRate": "0",
                    "interestRate": "0",
                    "nextFundingTime": (self.now // 28_800_000 + 1) * 28_800_000,
                    "time": self.now,
                }
            )
        return rows[0] if p.get("symbol") else rows

    def exchange_info(self) -> dict[str, Any]:
        """GET exchangeInfo."""
        limits = [
            ("REQUEST_WEIGHT", "MINUTE", 1, 2400),
            ("ORDERS", "MINUTE", 1, 1200),
            ("ORDERS", "SECOND", 10, 300),
        ]
        return {
            "timezone": "UTC",
            "serverTime": self.now,
            "rateLimits": [
                {"rateLimitType": kind, "interval": unit, "intervalNum": n, "limit": limit}
                for kind, unit, n, limit in limits
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [shapes.symbol_answer(one.rules) for one in self._markets.values()],
        }
