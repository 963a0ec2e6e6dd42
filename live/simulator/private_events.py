"""What the private stream tells of orders, fills and the account."""

from typing import Any

from live.decimals import qty_text
from live.simulator.order_answers import GOOD_TILL_CANCEL, WORDS
from live.simulator.state import AlgoOrder, Fill, Market, Payment, PlainOrder, State
from live.simulator.texts import amount_text, money_text, plain_text, price_text, signed_qty_text


def order_event(
    state: State, market: Market, order: PlainOrder, execution: str, fill: Fill | None = None
) -> dict[str, Any]:
    """Tell of an order's change, with its fill where there is one."""
    rules = market.rules
    told: dict[str, Any] = {
        "s": order.symbol,
        "c": order.client_id,
        "S": WORDS[order.side],
        "o": "MARKET",
        "f": "GTC",
        "q": qty_text(order.steps, rules),
        "p": "0",
        "ap": price_text(order.price, rules),
        "sp": price_text(order.trigger, rules),
        "x": execution,
        "X": order.status,
        "i": order.number,
        "l": qty_text(fill.steps if fill else 0, rules),
        "z": qty_text(order.filled, rules),
        "L": price_text(fill.price if fill else 0.0, rules),
        "T": order.updated,
        "t": fill.number if fill else 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.origin,
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
    return {"e": "ORDER_TRADE_UPDATE", "E": state.now, "T": order.updated, "st": 1, "o": told}


def lite_event(state: State, market: Market, order: PlainOrder, fill: Fill) -> dict[str, Any]:
    """Tell of a fill early and in few words."""
    return {
        "e": "TRADE_LITE",
        "E": state.now,
        "T": fill.time,
        "s": order.symbol,
        "q": qty_text(order.steps, market.rules),
        "p": "0",
        "m": False,
        "c": order.client_id,
        "S": WORDS[order.side],
        "L": price_text(fill.price, market.rules),
        "l": qty_text(fill.steps, market.rules),
        "t": fill.number,
        "i": order.number,
    }


def algo_event(state: State, market: Market, algo: AlgoOrder) -> dict[str, Any]:
    """Tell of a conditional order's change."""
    rules, child = market.rules, algo.child
    told = {
        "caid": algo.client_id,
        "aid": algo.number,
        "at": "CONDITIONAL",
        "o": algo.kind,
        "s": algo.symbol,
        "S": WORDS[algo.side],
        "ps": "BOTH",
        "f": GOOD_TILL_CANCEL[algo.close_position],
        "q": qty_text(algo.steps, rules),
        "X": algo.status,
        "ai": str(child.number) if child else "",
        "ap": price_text(child.price if child else 0.0, rules),
        "aq": qty_text(child.filled if child else 0, rules),
        "act": "MARKET" if child else "",
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
    return {"e": "ALGO_UPDATE", "E": state.now, "T": algo.updated, "st": 1, "o": told}


def account_event(state: State, market: Market) -> dict[str, Any]:
    """Tell of the wallet and the position that a fill has changed.

    Its time is the candle's end also for a fill at the candle's open: the symbols' candles are
    played one after the other, and a client takes the newest wallet to be the one of the last time.
    """
    account, at = state.account, market.at
    wallet = money_text(account.wallet)
    entry = plain_text(account.entry(at))
    balance = {"a": "USDT", "wb": wallet, "cw": wallet, "bc": "0"}
    position = {
        "s": market.rules.symbol,
        "pa": signed_qty_text(account.steps(at), market.rules),
        "ep": entry,
        "bep": entry,
        "cr": money_text(market.realized),
        "up": amount_text(account.unrealized(at)),
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
    }
    return {
        "e": "ACCOUNT_UPDATE",
        "E": state.now,
        "T": state.now,
        "st": 1,
        "a": {"m": "ORDER", "B": [balance], "P": [position]},
    }


def funding_event(state: State, payment: Payment) -> dict[str, Any]:
    """Tell of the wallet that a funding payment has changed; with cross margin no position is."""
    wallet = money_text(state.account.wallet)
    balance = {"a": "USDT", "wb": wallet, "cw": wallet, "bc": money_text(-payment.amount)}
    return {
        "e": "ACCOUNT_UPDATE",
        "E": state.now,
        "T": state.now,
        "st": 1,
        "a": {"m": "FUNDING_FEE", "B": [balance], "P": [], "S": payment.symbol},
    }
