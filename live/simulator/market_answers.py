"""Requests about the symbols and their prices, as far as the account's exchange knows them."""

from decimal import Decimal
from typing import Any

from data.symbols import SymbolRules
from live.simulator.account_settings import ORDER_LIMITS
from live.simulator.funding import Schedule
from live.simulator.state import Params, State
from live.simulator.texts import places, plain_text, price_text

_WEIGHT_LIMIT = {
    "rateLimitType": "REQUEST_WEIGHT",
    "interval": "MINUTE",
    "intervalNum": 1,
    "limit": 2400,
}
_DEPTH = "1000"


class MarketAnswers:
    """Answers about symbols."""

    def __init__(self, state: State, schedule: Schedule) -> None:
        self._state = state
        self._schedule = schedule

    def exchange_info(self) -> dict[str, Any]:
        """GET exchangeInfo."""
        return {
            "timezone": "UTC",
            "serverTime": self._state.now,
            "rateLimits": [dict(one) for one in (_WEIGHT_LIMIT, *ORDER_LIMITS)],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [_symbol(market.rules) for market in self._state.markets.values()],
        }

    def book_ticker(self, p: Params) -> dict[str, Any] | list[dict[str, Any]]:
        """GET ticker/bookTicker: the last price on both sides."""
        return self._each(p, self._book)

    def premium_index(self, p: Params) -> dict[str, Any] | list[dict[str, Any]]:
        """GET premiumIndex: what positions are valued at, and the funding that comes next."""
        return self._each(p, self._premium)

    def _each(self, p: Params, row: Any) -> dict[str, Any] | list[dict[str, Any]]:
        found = [row(market) for market in self._state.asked_markets(p)]
        return found[0] if p.get("symbol") else found

    def _book(self, market: Any) -> dict[str, Any]:
        price = price_text(market.last, market.rules)
        return {
            "symbol": market.rules.symbol,
            "bidPrice": price,
            "bidQty": _DEPTH,
            "askPrice": price,
            "askQty": _DEPTH,
            "time": self._state.now,
        }

    def _premium(self, market: Any) -> dict[str, Any]:
        price = plain_text(self._state.account.price(market.at))
        rate, next_ms = self._schedule.running(market.rules.symbol, self._state.now)
        return {
            "symbol": market.rules.symbol,
            "markPrice": price,
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": plain_text(rate),  # despite its name that of the next instant
            "interestRate": "0",
            "nextFundingTime": next_ms,
            "time": self._state.now,
        }


def _symbol(rules: SymbolRules) -> dict[str, Any]:
    tick, step = _plain(rules.tick_size), _plain(rules.step_size)
    lot = {"minQty": _plain(rules.min_qty), "maxQty": _plain(rules.max_qty), "stepSize": step}
    return {
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": rules.symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": places(tick),
        "quantityPrecision": places(step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "0", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": _plain(rules.min_notional)},
        ],
        "orderTypes": ["MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC"],
        "permissionSets": [],
    }


def _plain(text: str) -> str:
    # A grid for an unknown symbol is written with an exponent.
    return format(Decimal(text), "f")
