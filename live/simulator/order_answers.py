"""Orders, conditional orders and trades as REST answers with them."""

from decimal import Decimal
from typing import Any

from data.symbols import SymbolRules
from live.decimals import qty_text
from live.simulator.state import AlgoOrder, Fill, Payment, PlainOrder
from live.simulator.texts import money_text, price_text

WORDS = {1: "BUY", -1: "SELL"}
# A stop for the whole position lives as long as the position does.
GOOD_TILL_CANCEL = {True: "GTE_GTC", False: "GTC"}
CANCELLED_ALL = {"code": 200, "msg": "The operation of cancel all open order is done."}


def order_answer(order: PlainOrder, rules: SymbolRules) -> dict[str, Any]:
    """Answer a request that changed an order: without any price of a fill."""
    return {
        "orderId": order.number,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": price_text(0.0, rules),
        "origQty": qty_text(order.steps, rules),
        "executedQty": qty_text(order.filled, rules),
        "cumQty": qty_text(order.filled, rules),
        "timeInForce": "GTC",
        "type": "MARKET",
        "origType": order.origin,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": WORDS[order.side],
        "positionSide": "BOTH",
        "stopPrice": price_text(order.trigger, rules),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "updateTime": order.updated,
    }


def found_order(order: PlainOrder, rules: SymbolRules) -> dict[str, Any]:
    """Answer a question about an order."""
    return order_answer(order, rules) | {
        "avgPrice": price_text(order.price, rules),
        "cumQuote": _value_text(order.filled, order.price, rules),
        "time": order.created,
    }


def algo_answer(algo: AlgoOrder, rules: SymbolRules) -> dict[str, Any]:
    """Answer with a conditional order."""
    child = algo.child
    return {
        "algoId": algo.number,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.kind,
        "symbol": algo.symbol,
        "side": WORDS[algo.side],
        "positionSide": "BOTH",
        "timeInForce": GOOD_TILL_CANCEL[algo.close_position],
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
        "actualOrderId": str(child.number) if child else "",
        "actualPrice": price_text(child.price if child else 0.0, rules),
        "actualType": "MARKET" if child else "",
        "actualQty": qty_text(child.filled if child else 0, rules),
    }


def cancelled_algo(algo: AlgoOrder) -> dict[str, Any]:
    """Answer that a conditional order is cancelled; its code is text."""
    return {
        "algoId": algo.number,
        "clientAlgoId": algo.client_id,
        "code": "200",
        "msg": "success",
    }


def trade_answer(fill: Fill, rules: SymbolRules) -> dict[str, Any]:
    """Answer with one of the account's trades."""
    return {
        "symbol": fill.symbol,
        "pair": fill.symbol,
        "id": fill.number,
        "orderId": fill.order,
        "side": WORDS[fill.side],
        "price": price_text(fill.price, rules),
        "qty": qty_text(fill.steps, rules),
        "quoteQty": _value_text(fill.steps, fill.price, rules),
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


def income_rows(fill: Fill) -> list[dict[str, Any]]:
    """Answer with what a fill did to the wallet: its profit and its fee, where there is one."""
    return [
        {
            "symbol": fill.symbol,
            "incomeType": kind,
            "income": money_text(amount),
            "asset": "USDT",
            "info": str(fill.number),
            "time": fill.time,
            "tranId": fill.transaction,
            "tradeId": str(fill.number),
        }
        for kind, amount in (("REALIZED_PNL", fill.pnl), ("COMMISSION", -fill.fee))
        if amount
    ]


def funding_income(payment: Payment) -> dict[str, Any]:
    """Answer with what a funding payment did to the wallet."""
    return {
        "symbol": payment.symbol,
        "incomeType": "FUNDING_FEE",
        "income": money_text(-payment.amount),
        "asset": "USDT",
        "info": "FUNDING_FEE",
        "time": payment.time,
        "tranId": payment.number,
        "tradeId": "",
    }


def _value_text(steps: int, price: float, rules: SymbolRules) -> str:
    value = Decimal(qty_text(steps, rules)) * Decimal(price_text(price, rules))
    return format(value, "f")
