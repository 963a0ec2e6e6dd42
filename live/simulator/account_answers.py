"""Requests about the account's money: balance, positions, trades and income."""

from typing import Any

from live.simulator.account import MAINTENANCE
from live.simulator.checks import rows, whole, window
from live.simulator.order_answers import funding_income, income_rows, trade_answer
from live.simulator.state import Market, Params, State
from live.simulator.texts import amount_text, money_text, plain_text, signed_qty_text

_WEEK_MS = 7 * 86_400_000


class AccountAnswers:
    """Answers from a state; a position is valued at its symbol's last close."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._account = state.account

    def balance(self, _: Params) -> list[dict[str, Any]]:
        """GET balance."""
        wallet, free = money_text(self._account.wallet), self._available()
        return [
            {
                "accountAlias": "SgsR",
                "asset": "USDT",
                "balance": wallet,
                "crossWalletBalance": wallet,
                "crossUnPnl": amount_text(self._unrealized()),
                "availableBalance": free,
                "maxWithdrawAmount": free,
                "marginAvailable": True,
                "updateTime": self._state.changed,
            }
        ]

    def account(self, _: Params, version: int = 3) -> dict[str, Any]:
        """GET account; before version 3 with every symbol and its settings."""
        sums = self._sums()
        asset = {name[0].lower() + name[1:]: text for name, text in sums.items()}
        totals = {f"total{name}": text for name, text in sums.items()}
        free = {"availableBalance": self._available(), "maxWithdrawAmount": self._available()}
        listed = self._listed(self._state.asked_markets({}), version)
        positions = [self._position(one) for one in listed]
        if version >= 3:
            mode: dict[str, Any] = {}
        else:
            mode = {
                "feeTier": 0,
                "canTrade": True,
                "multiAssetsMargin": self._state.multi_assets,
            }
            for market, row in zip(listed, positions, strict=True):
                row["leverage"] = str(self._account.leverage[market.at])
                row["isolated"] = False
                row["entryPrice"] = plain_text(self._account.entry(market.at))
        return {
            **mode,
            **totals,
            **free,
            "assets": [{"asset": "USDT", **asset, **free, "updateTime": self._state.changed}],
            "positions": positions,
        }

    def position_risk(self, p: Params, version: int = 3) -> list[dict[str, Any]]:
        """GET positionRisk; before version 3 with every symbol and its settings."""
        listed = self._listed(self._state.asked_markets(p), version)
        return [self._risk(market, version) for market in listed]

    def user_trades(self, p: Params) -> list[dict[str, Any]]:
        """GET userTrades: from a trade or a time on, of an order, or the newest of a week."""
        market, most = self._state.market(p), rows(p, 500)
        first, last = window(p)
        if not (p.get("fromId") or p.get("startTime")):
            first = self._state.now - _WEEK_MS
        order, least = whole(p, "orderId", 0), whole(p, "fromId", 0)
        found = [
            fill
            for fill in market.fills[max(least - 1, 0) :]
            if order in (0, fill.order) and first <= fill.time <= last
        ]
        from_there = p.get("fromId") or p.get("startTime")
        chosen = found[:most] if from_there else found[-most:]
        return [trade_answer(fill, market.rules) for fill in chosen]

    def income(self, p: Params) -> list[dict[str, Any]]:
        """GET income: profits, fees and funding, from a time on or the newest."""
        symbols = {market.rules.symbol for market in self._state.asked_markets(p)}
        most, (first, last) = rows(p, 100), window(p)
        booked = [
            *(row for fill in self._state.fills for row in income_rows(fill)),
            *map(funding_income, self._state.payments),
        ]
        found = [
            row
            for row in sorted(booked, key=lambda row: int(row["time"]))
            if row["symbol"] in symbols
            and first <= row["time"] <= last
            and p.get("incomeType") in (None, "", row["incomeType"])
        ]
        return found[:most] if p.get("startTime") else found[-most:]

    def _listed(self, markets: list[Market], version: int) -> list[Market]:
        if version < 3:
            return markets
        return [market for market in markets if market.waiting or self._state.held(market)]

    def _unrealized(self) -> float:
        return sum(self._account.unrealized(one.at) for one in self._state.markets.values())

    def _available(self) -> str:
        return amount_text(max(self._account.free(), 0.0))

    def _sums(self) -> dict[str, str]:
        account, markets = self._account, self._state.markets.values()
        unrealized = self._unrealized()
        initial = amount_text(sum(account.margin(one.at) for one in markets))
        maintenance = sum(account.notional(one.at) for one in markets) * MAINTENANCE
        return {
            "InitialMargin": initial,
            "MaintMargin": amount_text(maintenance),
            "WalletBalance": money_text(account.wallet),
            "UnrealizedProfit": amount_text(unrealized),
            "MarginBalance": amount_text(account.wallet / 1e8 + unrealized),
            "PositionInitialMargin": initial,
            "OpenOrderInitialMargin": "0.00000000",
            "CrossWalletBalance": money_text(account.wallet),
            "CrossUnPnl": amount_text(unrealized),
        }

    def _position(self, market: Market) -> dict[str, Any]:
        account, at = self._account, market.at
        notional = account.notional(at)
        return {
            "symbol": market.rules.symbol,
            "positionSide": "BOTH",
            "positionAmt": signed_qty_text(account.steps(at), market.rules),
            "unrealizedProfit": amount_text(account.unrealized(at)),
            "isolatedMargin": "0",
            "notional": amount_text(-notional if account.steps(at) < 0 else notional),
            "isolatedWallet": "0",
            "initialMargin": amount_text(account.margin(at)),
            "maintMargin": amount_text(notional * MAINTENANCE),
            "updateTime": market.fills[-1].time if market.fills else 0,
        }

    def _risk(self, market: Market, version: int) -> dict[str, Any]:
        account, at = self._account, market.at
        row = self._position(market)
        row["unRealizedProfit"] = row.pop("unrealizedProfit")
        entry = plain_text(account.entry(at))
        row |= {
            "entryPrice": entry,
            "breakEvenPrice": entry,
            "markPrice": plain_text(account.price(at)),
            "liquidationPrice": "0",
            "marginAsset": "USDT",
            "positionInitialMargin": row["initialMargin"],
            "openOrderInitialMargin": "0",
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
        }
        if version < 3:
            row |= {"leverage": str(account.leverage[at]), "marginType": "cross"}
        return row
