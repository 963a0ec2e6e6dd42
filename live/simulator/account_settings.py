"""Requests about the account's settings, fees and limits."""

from typing import Any

from live.simulator.account import MAINTENANCE
from live.simulator.checks import needed, refuse, word
from live.simulator.state import Params, State
from live.simulator.texts import plain_text

MOST_LEVERAGE = 125
_NOTIONAL_CAP = 1_000_000_000  # of the one bracket there is
_SUCCESS = {"code": 200, "msg": "success"}


class AccountSettings:
    """Answers what is set, and sets what may be set."""

    def __init__(self, state: State) -> None:
        self._state = state

    def account_config(self, _: Params) -> dict[str, Any]:
        """GET accountConfig."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self._state.hedge,
            "multiAssetsMargin": self._state.multi_assets,
            "tradeGroupId": -1,
        }

    def symbol_config(self, p: Params) -> list[dict[str, Any]]:
        """GET symbolConfig."""
        return [
            {
                "symbol": market.rules.symbol,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": self._state.account.leverage[market.at],
                "maxNotionalValue": str(_NOTIONAL_CAP),
            }
            for market in self._state.asked_markets(p)
        ]

    def commission_rate(self, p: Params) -> dict[str, Any]:
        """GET commissionRate; everything here is a taker."""
        rate = plain_text(self._state.account.costs.fee_rate)
        return {
            "symbol": self._state.market(p).rules.symbol,
            "makerCommissionRate": rate,
            "takerCommissionRate": rate,
            "rpiCommissionRate": rate,
        }

    def leverage_bracket(self, p: Params) -> list[dict[str, Any]]:
        """GET leverageBracket: one for all notionals."""
        bracket = {
            "bracket": 1,
            "initialLeverage": MOST_LEVERAGE,
            "notionalCap": _NOTIONAL_CAP,
            "notionalFloor": 0,
            "maintMarginRatio": MAINTENANCE,
            "cum": 0,
        }
        return [
            {"symbol": market.rules.symbol, "brackets": [dict(bracket)]}
            for market in self._state.asked_markets(p)
        ]

    def set_leverage(self, p: Params) -> dict[str, Any]:
        """POST leverage."""
        market, text = self._state.market(p), needed(p, "leverage")
        valid = text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LEVERAGE
        if not valid or len(text) > 3:
            raise refuse(-4028, f"Leverage {text} is not valid.")
        self._state.account.leverage[market.at] = int(text)
        return {
            "leverage": int(text),
            "maxNotionalValue": str(_NOTIONAL_CAP),
            "symbol": market.rules.symbol,
        }

    def set_margin_type(self, p: Params) -> dict[str, Any]:
        """POST marginType: cross margin is all there is."""
        self._state.market(p)
        wanted = needed(p, "marginType")
        if wanted == "CROSSED":
            raise refuse(-4046, "No need to change margin type.")
        raise refuse(-1130, "Only marginType CROSSED is simulated.")

    def position_mode(self, _: Params) -> dict[str, Any]:
        """GET positionSide/dual."""
        return {"dualSidePosition": self._state.hedge}

    def set_position_mode(self, p: Params) -> dict[str, Any]:
        """POST positionSide/dual: only with nothing open."""
        state = self._state
        needed(p, "dualSidePosition")
        wanted = word(p, "dualSidePosition")
        if wanted == state.hedge:
            raise refuse(-4059, "No need to change position side.")
        markets = state.markets.values()
        if any(market.waiting or market.algos for market in markets):
            raise refuse(-4067, "Position side cannot be changed if there exists open orders.")
        if any(state.held(market) for market in markets):
            raise refuse(-4068, "Position side cannot be changed if there exists position.")
        state.hedge = wanted
        return dict(_SUCCESS)

    def multi_assets_mode(self, _: Params) -> dict[str, Any]:
        """GET multiAssetsMargin."""
        return {"multiAssetsMargin": self._state.multi_assets}

    def fee_burn(self, _: Params) -> dict[str, Any]:
        """GET feeBurn."""
        return {"feeBurn": self._state.fee_in_bnb}

    def rate_limit_order(self, _: Params) -> list[dict[str, Any]]:
        """GET rateLimit/order."""
        return [dict(one) for one in ORDER_LIMITS]


ORDER_LIMITS = (
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
)
