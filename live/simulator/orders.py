"""Requests about plain orders. Only market orders are taken."""

from typing import Any

from live.simulator.checks import (
    client_id,
    needed,
    one_way,
    quantity,
    refuse,
    rows,
    side,
    whole,
    window,
    word,
)
from live.simulator.matching import Matching
from live.simulator.order_answers import CANCELLED_ALL, found_order, order_answer
from live.simulator.state import Market, Params, PlainOrder, State

_CONDITIONAL = (
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)


class Orders:
    """Places, finds and cancels orders."""

    def __init__(self, state: State, matching: Matching) -> None:
        self._state = state
        self._matching = matching

    def new(self, p: Params) -> dict[str, Any]:
        """POST order."""
        state, matching = self._state, self._matching
        market = state.market(p)
        order = self._checked(market, p)
        held = state.held(market)
        if order.reduce_only and held * order.side >= 0:
            raise refuse(-2022, "ReduceOnly Order is rejected.")
        at_once = not state.hold_market_orders
        if at_once:
            if order.reduce_only:
                order.steps = min(order.steps, abs(held))
            elif not matching.affords(market, order):
                raise refuse(-2019, "Margin is insufficient.")
        market.add(order)
        matching.tell(market, order, "NEW")
        accepted = order_answer(order, market.rules)
        if at_once:
            matching.execute(market, order)
        wants_result = p.get("newOrderRespType") == "RESULT"
        return order_answer(order, market.rules) if wants_result else accepted

    def get(self, p: Params) -> dict[str, Any]:
        """GET order."""
        market, order = self._find(p)
        if order is None:
            raise refuse(-2013, "Order does not exist.")
        return found_order(order, market.rules)

    def get_open(self, p: Params) -> dict[str, Any]:
        """GET openOrder."""
        market, order = self._find(p)
        if order is None or order.number not in market.waiting:
            raise refuse(-2013, "Order does not exist.")
        return found_order(order, market.rules)

    def cancel(self, p: Params) -> dict[str, Any]:
        """DELETE order."""
        market, order = self._find(p)
        if order is None or order.number not in market.waiting:
            raise refuse(-2011, "Unknown order sent.")
        self._cancel(market, order)
        return order_answer(order, market.rules)

    def cancel_all(self, p: Params) -> dict[str, Any]:
        """DELETE allOpenOrders; conditional orders stay."""
        market = self._state.market(p)
        for order in list(market.waiting.values()):
            self._cancel(market, order)
        return dict(CANCELLED_ALL)

    def open(self, p: Params) -> list[dict[str, Any]]:
        """GET openOrders."""
        return [
            found_order(order, market.rules)
            for market in self._state.asked_markets(p)
            for order in market.waiting.values()
        ]

    def all(self, p: Params) -> list[dict[str, Any]]:
        """GET allOrders: from an order on, or the newest."""
        least, most = whole(p, "orderId", 0), rows(p, 500)
        first, last = window(p)
        found = [
            found_order(order, market.rules) | {"pair": order.symbol}
            for market in self._state.asked_markets(p)
            for order in market.orders.values()
            if order.number >= least and first <= order.created <= last
        ]
        return found[:most] if p.get("orderId") else found[-most:]

    def _checked(self, market: Market, p: Params) -> PlainOrder:
        rules, direction, kind = market.rules, side(p), needed(p, "type")
        if kind in _CONDITIONAL:
            raise refuse(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API"
                " endpoints instead.",
            )
        if kind != "MARKET":
            raise refuse(-1116, "Invalid orderType.")
        one_way(p, self._state.hedge)
        for name in ("timeInForce", "price"):
            if p.get(name):
                raise refuse(-1106, f"Parameter '{name}' sent when not required.")
        steps, reduce_only = quantity(p, rules), word(p, "reduceOnly")
        number, now = market.next_number(), self._state.now
        name = client_id(p, "newClientOrderId", f"web_{market.at}_{number}")
        if any(
            order.client_id == name
            for one in self._state.markets.values()
            for order in one.waiting.values()
        ):
            raise refuse(-4116, "ClientOrderId is duplicated.")
        value = self._state.account.qty(market.at, steps) * market.last
        if not reduce_only and value < float(rules.min_notional):
            raise refuse(
                -4164,
                f"Order's notional must be no smaller than {rules.min_notional}"
                " (unless you choose reduce only).",
            )
        return PlainOrder(
            market.rules.symbol, number, name, direction, steps, reduce_only, now, now
        )

    def _find(self, p: Params) -> tuple[Market, PlainOrder | None]:
        market = self._state.market(p)
        if p.get("orderId"):
            return market, market.orders.get(whole(p, "orderId", 0))
        if not p.get("origClientOrderId"):
            raise refuse(-1102, "Param 'origClientOrderId' or 'orderId' must be sent.")
        return market, market.by_client_id.get(p["origClientOrderId"])

    def _cancel(self, market: Market, order: PlainOrder) -> None:
        order.status, order.updated = "CANCELED", self._state.now
        del market.waiting[order.number]
        self._matching.tell(market, order, "CANCELED")
