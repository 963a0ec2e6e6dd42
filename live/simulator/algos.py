"""Requests about conditional orders: stops and takes that close a position or a part of it."""

from typing import Any

from live.simulator.checks import (
    client_id,
    decimal,
    needed,
    one_way,
    quantity,
    refuse,
    rows,
    side,
    trigger,
    whole,
    window,
    word,
)
from live.simulator.matching import Matching
from live.simulator.order_answers import CANCELLED_ALL, algo_answer, cancelled_algo
from live.simulator.state import AlgoOrder, Market, Params, State

MOST_OPEN = 200
_KINDS = ("STOP_MARKET", "TAKE_PROFIT_MARKET")


class Algos:
    """Places, finds and cancels conditional orders."""

    def __init__(self, state: State, matching: Matching) -> None:
        self._state = state
        self._matching = matching

    def new(self, p: Params) -> dict[str, Any]:
        """POST algoOrder; the margin is not looked at."""
        state = self._state
        if needed(p, "algoType") != "CONDITIONAL":
            raise refuse(-1130, "Data sent for parameter 'algoType' is not valid.")
        market = state.market(p)
        algo = self._checked(market, p)
        others = state.open_algos()
        if any(one.client_id == algo.client_id for one in others):
            raise refuse(-4116, "ClientOrderId is duplicated.")
        if len(others) >= MOST_OPEN:
            raise refuse(-4045, "Reach max stop order limit.")
        same = (one for one in market.algos.values() if one.close_position and algo.close_position)
        if any((one.kind, one.side) == (algo.kind, algo.side) for one in same):
            raise refuse(
                -4130,
                "An open stop or take profit order with GTE and closePosition in the direction"
                " is existing.",
            )
        if algo.is_touched(market.last, market.last):
            raise refuse(-2021, "Order would immediately trigger.")
        state.algos[algo.number] = market.algos[algo.number] = algo
        state.algos_by_client_id[algo.client_id] = algo
        self._matching.change_algo(market, algo, "NEW")
        return algo_answer(algo, market.rules)

    def get(self, p: Params) -> dict[str, Any]:
        """GET algoOrder."""
        algo = self._find(p)
        if algo is None:
            raise refuse(-2013, "Order does not exist.")
        return algo_answer(algo, self._market(algo).rules)

    def cancel(self, p: Params) -> dict[str, Any]:
        """DELETE algoOrder."""
        algo = self._find(p)
        if algo is None or algo.status != "NEW":
            raise refuse(-2011, "Unknown order sent.")
        self._matching.change_algo(self._market(algo), algo, "CANCELED")
        return cancelled_algo(algo)

    def cancel_all(self, p: Params) -> dict[str, Any]:
        """DELETE algoOpenOrders."""
        market = self._state.market(p)
        for algo in list(market.algos.values()):
            self._matching.change_algo(market, algo, "CANCELED")
        return dict(CANCELLED_ALL)

    def open(self, p: Params) -> list[dict[str, Any]]:
        """GET openAlgoOrders."""
        number = whole(p, "algoId", 0)
        return [
            algo_answer(algo, market.rules)
            for market in self._state.asked_markets(p)
            for algo in market.algos.values()
            if number in (0, algo.number)
        ]

    def all(self, p: Params) -> list[dict[str, Any]]:
        """GET allAlgoOrders: from one on, or the newest."""
        market, least, most = self._state.market(p), whole(p, "algoId", 0), rows(p, 500)
        first, last = window(p)
        found = [
            algo_answer(algo, market.rules)
            for algo in self._state.algos.values()
            if algo.symbol == market.rules.symbol
            and algo.number >= least
            and first <= algo.created <= last
        ]
        return found[:most] if p.get("algoId") else found[-most:]

    def _checked(self, market: Market, p: Params) -> AlgoOrder:
        direction, kind = side(p), needed(p, "type")
        if kind not in _KINDS:
            raise refuse(-1116, "Invalid orderType.")
        one_way(p, self._state.hedge)
        if p.get("workingType") == "MARK_PRICE":
            raise refuse(-1130, "Only the contract price is simulated.")
        closes_all, reduces = word(p, "closePosition"), word(p, "reduceOnly")
        if closes_all and p.get("quantity") and decimal(p, "quantity"):
            raise refuse(-4137, "Quantity must be zero with closePosition equals true.")
        if closes_all and p.get("reduceOnly"):
            raise refuse(-4138, "Reduce only must not be sent with closePosition equals true.")
        level = trigger(p, market.rules)
        steps = 0 if closes_all else quantity(p, market.rules)
        if not (closes_all or reduces):
            raise refuse(-1130, "Only closePosition and reduceOnly are simulated.")
        number, now = self._state.next_algo(), self._state.now
        name = client_id(p, "clientAlgoId", f"algo_{number}")
        return AlgoOrder(
            market.rules.symbol, number, name, direction, kind, level, steps, closes_all, now, now
        )

    def _find(self, p: Params) -> AlgoOrder | None:
        if p.get("algoId"):
            return self._state.algos.get(whole(p, "algoId", 0))
        if not p.get("clientAlgoId"):
            raise refuse(-1102, "Param 'clientAlgoId' or 'algoId' must be sent.")
        return self._state.algos_by_client_id.get(p["clientAlgoId"])

    def _market(self, algo: AlgoOrder) -> Market:
        return self._state.markets[algo.symbol]
