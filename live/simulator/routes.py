"""Which method and path leads where, and what it weighs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import Any, Literal

from live.simulator.checks import refuse
from live.simulator.playback import Playback
from live.simulator.quotes import USUAL_ROWS, Quotes
from live.simulator.sockets import Hub

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
        "/fapi/v1/ticker/bookTicker": (2, venue.book_ticker),
        "/fapi/v1/premiumIndex": (1, venue.premium_index),
        # These two count in a pool of their own.
        "/fapi/v1/fundingRate": (0, venue.funding_rates),
        "/fapi/v1/fundingInfo": (0, venue.funding_info),
    }
    return {f"GET {path}": Route("none", weight, call) for path, (weight, call) in calls.items()}


def _listen_key_routes(hub: Hub) -> dict[str, Route]:
    def extend(_: Mapping[str, str]) -> dict[str, Any]:
        if not hub.listen_key:
            raise refuse(-1125, "This listenKey does not exist.")
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
    venue = playback.venue
    calls: dict[str, tuple[int, Call]] = {
        "GET /fapi/v1/order": (1, venue.get_order),
        "DELETE /fapi/v1/order": (1, venue.cancel_order),
        "GET /fapi/v1/openOrder": (1, venue.open_order),
        "GET /fapi/v1/openOrders": (1, venue.open_orders),
        "GET /fapi/v1/allOrders": (5, venue.all_orders),
        "DELETE /fapi/v1/allOpenOrders": (1, venue.cancel_all_orders),
        "GET /fapi/v1/algoOrder": (1, venue.get_algo),
        "DELETE /fapi/v1/algoOrder": (1, venue.cancel_algo),
        "GET /fapi/v1/openAlgoOrders": (1, venue.open_algos),
        "GET /fapi/v1/allAlgoOrders": (5, venue.all_algos),
        "DELETE /fapi/v1/algoOpenOrders": (1, venue.cancel_all_algos),
        "GET /fapi/v1/userTrades": (5, venue.user_trades),
        "GET /fapi/v1/income": (30, venue.income),
        "GET /fapi/v1/accountConfig": (5, venue.account_config),
        "GET /fapi/v1/symbolConfig": (5, venue.symbol_config),
        "GET /fapi/v1/commissionRate": (20, venue.commission_rate),
        "GET /fapi/v1/leverageBracket": (1, venue.leverage_bracket),
        "POST /fapi/v1/leverage": (1, venue.set_leverage),
        "POST /fapi/v1/marginType": (1, venue.set_margin_type),
        "GET /fapi/v1/positionSide/dual": (30, venue.position_mode),
        "POST /fapi/v1/positionSide/dual": (1, venue.set_position_mode),
        "GET /fapi/v1/multiAssetsMargin": (30, venue.multi_assets_mode),
        "GET /fapi/v1/feeBurn": (30, venue.fee_burn),
        "GET /fapi/v1/rateLimit/order": (1, venue.rate_limit_order),
        "GET /fapi/v2/balance": (5, venue.balance),
        "GET /fapi/v3/balance": (5, venue.balance),
        "GET /fapi/v2/account": (5, partial(venue.account, version=2)),
        "GET /fapi/v3/account": (5, venue.account),
        "GET /fapi/v2/positionRisk": (5, partial(venue.position_risk, version=2)),
        "GET /fapi/v3/positionRisk": (5, venue.position_risk),
    }
    return {name: Route("signed", weight, call) for name, (weight, call) in calls.items()} | {
        "POST /fapi/v1/order": Route("signed", 0, venue.new_order, orders=1),
        "POST /fapi/v1/algoOrder": Route("signed", 0, venue.new_algo, orders=1),
    }
