"""Which method and path leads where, and what it weighs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Literal

from live.simulator.playback import Playback
from live.simulator.quotes import USUAL_ROWS, Quotes
from live.simulator.sockets import Hub
from live.simulator.venue import ApiError

Call = Callable[[Mapping[str, str]], Any]
KLINES = -1
_KLINES_WEIGHT = ((99, 1), (499, 2), (1_000, 5), (2**63, 10))
Security = Literal["none", "key", "signed"]


@dataclass(frozen=True, slots=True)
class Route:
    """What a method and path lead to.

    Attributes
    ----------
    security : {"none", "key", "signed"}
        Whether the API key must be there, and the signature.
    weight, orders : int
        What it counts towards the limits; `KLINES` depends on the request.
    """

    security: Security
    weight: int
    call: Call
    orders: int = 0

    def weighed(self, given: Mapping[str, str]) -> int:
        """Return the weight of a request; klines weigh by how many are asked for."""
        if self.weight != KLINES:
            return self.weight
        limit = given.get("limit", "")
        asked = int(limit) if limit.isdecimal() else USUAL_ROWS
        return next(weight for most, weight in _KLINES_WEIGHT if asked <= most)


def all_routes(playback: Playback) -> dict[str, Route]:
    """Return the route of every method and path that is answered, such as "GET /fapi/v1/time"."""
    return _open_routes(playback) | _listen_key_routes(playback.hub) | _account_routes(playback)


def _open_routes(playback: Playback) -> dict[str, Route]:
    venue, quotes = playback.venue, Quotes(playback.venue, playback.replay)

    def nothing(_: Mapping[str, str]) -> dict[str, Any]:
        return {}

    def time(_: Mapping[str, str]) -> dict[str, Any]:
        return {"serverTime": venue.now}

    calls: dict[str, tuple[int, Call]] = {
        "/fapi/v1/ping": (1, nothing),
        "/fapi/v1/time": (1, time),
        # python-binance asks the spot side when a client is made.
        "/api/v3/ping": (1, nothing),
        "/api/v3/time": (1, time),
        "/fapi/v1/exchangeInfo": (1, lambda _: venue.exchange_info()),
        "/fapi/v1/klines": (KLINES, quotes.klines),
        "/fapi/v1/continuousKlines": (KLINES, quotes.continuous_klines),
        "/fapi/v1/depth": (2, quotes.depth),
        "/fapi/v1/ticker/price": (1, quotes.prices),
        "/fapi/v2/ticker/price": (1, quotes.prices),
    }
    return {f"GET {path}": Route("none", weight, call) for path, (weight, call) in calls.items()}


def _listen_key_routes(hub: Hub) -> dict[str, Route]:
    def extend(_: Mapping[str, str]) -> dict[str, Any]:
        if not hub.listen_key:
            raise ApiError(400, -1125, "This listenKey does not exist.")
        return {"listenKey": hub.listen_key}

    def create(_: Mapping[str, str]) -> dict[str, Any]:
        hub.listen_key = hub.listen_key or token_hex(32)
        return {"listenKey": hub.listen_key}

    def end(_: Mapping[str, str]) -> dict[str, Any]:
        hub.listen_key = ""
        return {}

    path = "/fapi/v1/listenKey"
    return {
        f"POST {path}": Route("key", 1, create),
        f"PUT {path}": Route("key", 1, extend),
        f"DELETE {path}": Route("key", 1, end),
    }


def _account_routes(playback: Playback) -> dict[str, Route]:
    v = playback.venue
    # Method and path without /fapi: weight, call, and what it counts as an order.
    table: dict[str, tuple[int, Call, int]] = {
        "POST /v1/order": (0, v.new_order, 1),
        "GET /v1/order": (1, v.get_order, 0),
        "DELETE /v1/order": (1, v.cancel_order, 0),
        "GET /v1/openOrder": (1, v.open_order, 0),
        "GET /v1/openOrders": (1, v.open_orders, 0),
        "GET /v1/allOrders": (5, v.all_orders, 0),
        "DELETE /v1/allOpenOrders": (1, v.cancel_all_orders, 0),
        "POST /v1/algoOrder": (0, v.new_algo, 1),
        "GET /v1/algoOrder": (1, v.get_algo, 0),
        "DELETE /v1/algoOrder": (1, v.cancel_algo, 0),
        "GET /v1/openAlgoOrders": (1, v.open_algos, 0),
        "GET /v1/allAlgoOrders": (5, v.all_algos, 0),
        "DELETE /v1/algoOpenOrders": (1, v.cancel_all_algos, 0),
        "GET /v1/userTrades": (5, v.user_trades, 0),
        "GET /v1/income": (30, v.income, 0),
        "GET /v2/balance": (5, v.balance, 0),
        "GET /v3/balance": (5, v.balance, 0),
        "GET /v2/account": (5, lambda p: v.account(p, 2), 0),
        "GET /v3/account": (5, lambda p: v.account(p, 3), 0),
        "GET /v2/positionRisk": (5, lambda p: v.position_risk(p, 2), 0),
        "GET /v3/positionRisk": (5, lambda p: v.position_risk(p, 3), 0),
        "GET /v1/accountConfig": (5, v.account_config, 0),
        "GET /v1/symbolConfig": (5, v.symbol_config, 0),
        "GET /v1/commissionRate": (20, v.commission_rate, 0),
        "GET /v1/leverageBracket": (1, v.leverage_bracket, 0),
        "POST /v1/leverage": (1, v.set_leverage, 0),
        "POST /v1/marginType": (1, v.set_margin_type, 0),
        "GET /v1/positionSide/dual": (30, v.position_mode, 0),
        "POST /v1/positionSide/dual": (1, v.set_position_mode, 0),
        "GET /v1/multiAssetsMargin": (30, v.multi_assets_mode, 0),
        "GET /v1/feeBurn": (30, v.fee_burn, 0),
        "GET /v1/rateLimit/order": (1, v.rate_limit_order, 0),
    }
    routes = {}
    for name, (weight, call, orders) in table.items():
        method, path = name.split()
        routes[f"{method} /fapi{path}"] = Route("signed", weight, call, orders)
    open_calls: dict[str, tuple[int, Call]] = {
        "/v1/ticker/bookTicker": (2, v.book_ticker),
        "/v1/premiumIndex": (1, v.premium_index),
    }
    return routes | {
        f"GET /fapi{path}": Route("none", weight, call)
        for path, (weight, call) in open_calls.items()
    }
