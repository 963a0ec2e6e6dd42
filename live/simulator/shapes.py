"""What the exchange's answers and private events look like."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from data.symbols import SymbolRules

_OPEN = ("NEW", "PARTIALLY_FILLED")
_WORDS = {1: "BUY", -1: "SELL"}


@dataclass(slots=True)
class PlainOrder:
    """A market order."""

    symbol: str
    order_id: int
    client_id: str
    side: int
    steps: int
    reduce_only: bool
    created: int
    updated: int
    status: str = "NEW"
    filled: int = 0
    average: float = 0.0
    original_type: str = "MARKET"
    close_position: bool = False
    trigger: float = 0.0
    expiry: str = "0"

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status in _OPEN


@dataclass(slots=True)
class AlgoOrder:
    """A conditional market order."""

    symbol: str
    algo_id: int
    client_id: str
    side: int
    kind: str
    trigger: float
    steps: int  # 0 with close_position
    close_position: bool
    created: int
    updated: int
    status: str = "NEW"
    triggered: int = 0
    child_id: int = 0
    child_price: float = 0.0
    child_steps: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it waits for its trigger."""
        return self.status == "NEW"


@dataclass(slots=True)
class Fill:
    """One trade of the account."""

    symbol: str
    trade_id: int
    order_id: int
    side: int
    steps: int
    price: float
    fee: int
    pnl: int
    time: int


def money_text(units: int) -> str:
    """Write units of 1e-8 as decimal text."""
    return format(Decimal(units).scaleb(-8), "f")


def price_text(price: float, rules: SymbolRules) -> str:
    """Write a price on the tick with the symbol's precision."""
    tick = Decimal(rules.tick_size)
    return format((Decimal(price) / tick).to_integral_value() * tick, "f")


def qty_text(steps: int, rules: SymbolRules) -> str:
    """Write a count of steps as a quantity."""
    return format(steps * Decimal(rules.step_size), "f")


def average_text(price: float) -> str:
    """Write an average price, which need not lie on a tick, so that float() gives it back."""
    return format(Decimal(repr(float(price))), "f")


def order_answer(order: PlainOrder, rules: SymbolRules, *, asked: bool) -> dict[str, Any]:
    """Answer with an order; only one that was asked for tells its average price."""
    answer: dict[str, Any] = {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": price_text(0.0, rules),
        "origQty": qty_text(order.steps, rules),
        "executedQty": qty_text(order.filled, rules),
        "cumQty": qty_text(order.filled, rules),
        "timeInForce": "GTC",
        "type": "MARKET",
        "origType": order.original_type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": _WORDS[order.side],
        "positionSide": "BOTH",
        "stopPrice": price_text(order.trigger, rules),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "updateTime": order.updated,
    }
    if asked:
        value = Decimal(repr(order.average)) * order.filled * Decimal(rules.step_size)
        answer |= {
            "avgPrice": average_text(order.average),
            "cumQuote": format(value, "f"),
            "time": order.created,
        }
    return answer


def algo_answer(algo: AlgoOrder, rules: SymbolRules) -> dict[str, Any]:
    """Answer with a conditional order."""
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.kind,
        "symbol": algo.symbol,
        "side": _WORDS[algo.side],
        "positionSide": "BOTH",
        "timeInForce": "GTE_GTC" if algo.close_position else "GTC",
        "quantity": qty_text(algo.steps, rules),
        "algoStatus": algo.status,
        "triggerPrice": price_text(algo.trigger, rules),
        "price": price_text(0.0, rules),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": False,
        "reduceOnly": True,
        "activatePrice": "",
        "callbackRate": "",
        "createTime": algo.created,
        "updateTime": algo.updated,
        "triggerTime": algo.triggered,
        "goodTillDate": 0,
        "actualOrderId": str(algo.child_id or ""),
        "actualPrice": average_text(algo.child_price),
        "actualType": "MARKET" if algo.child_id else "",
        "actualQty": qty_text(algo.child_steps, rules),
    }


def order_event(
    order: PlainOrder, rules: SymbolRules, execution: str, now: int, fill: Fill | None = None
) -> dict[str, Any]:
    """Tell of an order's change, with its fill where there is one."""
    told: dict[str, Any] = {
        "s": order.symbol,
        "c": order.client_id,
        "S": _WORDS[order.side],
        "o": "MARKET",
        "f": "GTC",
        "q": qty_text(order.steps, rules),
        "p": "0",
        "ap": average_text(order.average),
        "sp": price_text(order.trigger, rules),
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": qty_text(fill.steps if fill else 0, rules),
        "z": qty_text(order.filled, rules),
        "L": price_text(fill.price if fill else 0.0, rules),
        "T": fill.time if fill else now,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.original_type,
        "ps": "BOTH",
        "cp": order.close_position,
        "rp": money_text(fill.pnl if fill else 0),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": order.expiry,
    }
    if fill:
        told |= {"N": "USDT", "n": money_text(fill.fee)}
    time = fill.time if fill else now
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": time, "st": 1, "o": told}


def lite_event(order: PlainOrder, rules: SymbolRules, fill: Fill, now: int) -> dict[str, Any]:
    """Tell of a fill early and in few words."""
    return {
        "e": "TRADE_LITE",
        "E": now,
        "T": fill.time,
        "s": order.symbol,
        "q": qty_text(order.steps, rules),
        "p": "0",
        "m": False,
        "c": order.client_id,
        "S": _WORDS[order.side],
        "L": price_text(fill.price, rules),
        "l": qty_text(fill.steps, rules),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def algo_event(algo: AlgoOrder, rules: SymbolRules, now: int) -> dict[str, Any]:
    """Tell of a conditional order's change."""
    told = {
        "caid": algo.client_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.kind,
        "s": algo.symbol,
        "S": _WORDS[algo.side],
        "ps": "BOTH",
        "f": "GTE_GTC" if algo.close_position else "GTC",
        "q": qty_text(algo.steps, rules),
        "X": algo.status,
        "ai": str(algo.child_id or ""),
        "ap": average_text(algo.child_price),
        "aq": qty_text(algo.child_steps, rules),
        "act": "MARKET" if algo.child_id else "",
        "tp": price_text(algo.trigger, rules),
        "p": "0",
        "V": "EXPIRE_MAKER",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": True,
        "tt": algo.triggered,
        "gtd": 0,
        "rm": algo.reason,
        "ia": False,
    }
    return {"e": "ALGO_UPDATE", "E": now, "T": now, "st": 1, "o": told}


def trade_answer(fill: Fill, rules: SymbolRules) -> dict[str, Any]:
    """Answer with one of the account's trades."""
    qty = Decimal(rules.step_size) * fill.steps
    return {
        "symbol": fill.symbol,
        "pair": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": _WORDS[fill.side],
        "price": price_text(fill.price, rules),
        "qty": qty_text(fill.steps, rules),
        "quoteQty": format(qty * Decimal(price_text(fill.price, rules)), "f"),
        "baseQty": "0",
        "realizedPnl": money_text(fill.pnl),
        "marginAsset": "USDT",
        "commission": money_text(fill.fee),
        "commissionAsset": "USDT",
        "time": fill.time,
        "positionSide": "BOTH",
        "maker": False,
        "buyer": fill.side > 0,
    }


def symbol_answer(rules: SymbolRules) -> dict[str, Any]:
    """Answer with what exchangeInfo says of a symbol."""
    base = rules.symbol.removesuffix("USDT")
    places = max(-int(Decimal(rules.tick_size).normalize().as_tuple().exponent), 0)
    lot = {"minQty": rules.min_qty, "maxQty": rules.max_qty, "stepSize": rules.step_size}
    filters = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": rules.tick_size,
            "maxPrice": "100000000",
            "tickSize": rules.tick_size,
        },
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "MARKET_LOT_SIZE", **lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": rules.min_notional},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.1000",
            "multiplierDown": "0.9000",
            "multiplierDecimal": "4",
        },
    ]
    return {
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": places,
        "quantityPrecision": max(-int(Decimal(rules.step_size).normalize().as_tuple().exponent), 0),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": filters,
        "orderTypes": ["MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }
