"""The simulated account's money: the wallet, its positions, and whether their margin suffices.

Fills are booked by the functions that book a backtest's, so that both wallets are equal to the last
unit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.symbols import SymbolRules, grids_of
from strategy.account import book_fill, fee_of, funding_of, notional
from strategy.fills import Costs, slipped
from strategy.grid import qty_of
from strategy.records import ACCOUNT, POSITION, UNIT

MAINTENANCE = 0.004  # share of the notional


class Account:
    """Wallet and positions; a symbol is named by its place among the rules.

    Parameters
    ----------
    rules : sequence of SymbolRules
    costs : Costs
    balance : float
        USDT in the wallet.
    leverage : int
        At first, for every symbol.

    Attributes
    ----------
    wallet : int
        Units of 1e-8.
    leverage : list of int
        Of each symbol.
    """

    def __init__(
        self, rules: Sequence[SymbolRules], costs: Costs, balance: float, leverage: int
    ) -> None:
        self.costs = costs
        self.leverage = [leverage] * len(rules)
        self._grids: Any = grids_of(tuple(rules))
        self._positions: Any = np.zeros(len(rules), POSITION).view(np.recarray)
        self._account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
        self._account[0].wallet = round(balance * UNIT)

    @property
    def wallet(self) -> int:
        """Without unrealized profit, in units of 1e-8."""
        return int(self._account[0].wallet)

    def steps(self, at: int) -> int:
        """Return a position's signed steps."""
        return int(self._positions[at].steps)

    def entry(self, at: int) -> float:
        """Return a position's average price, 0.0 when flat."""
        return float(self._positions[at].entry)

    def price(self, at: int) -> float:
        """Return what a symbol is valued at."""
        return float(self._positions[at].mark)

    def set_price(self, at: int, price: float) -> None:
        """Set what a symbol is valued at: as in a backtest, its last close."""
        self._positions[at].mark = price

    def qty(self, at: int, steps: int) -> float:
        """Return a count of steps as a quantity."""
        return float(qty_of(steps, self._grids[at]))

    def notional(self, at: int) -> float:
        """Return a position's value, without sign."""
        return float(notional(self._positions[at], self._grids[at]))

    def margin(self, at: int) -> float:
        """Return what a position binds."""
        return self.notional(at) / self.leverage[at]

    def unrealized(self, at: int) -> float:
        """Return a position's open profit."""
        p = self._positions[at]
        return float(qty_of(p.steps, self._grids[at]) * (p.mark - p.entry))

    def free(self) -> float:
        """Return the balance that no position binds.

        It is `strategy.account.free_margin` with a leverage for each symbol, the same bits where
        they are equal.
        """
        return self._free(self._account[0].wallet, self._positions)

    def affords(self, at: int, side: int, steps: int, price: float) -> bool:
        """Whether the margin suffices for an order that fills at a price; one that only reduces
        needs none."""
        held = self.steps(at)
        against = min(steps, abs(held)) if held * side < 0 else 0
        opens = steps - against
        if not opens:
            return True
        wallet, positions = self._account[0].wallet, self._positions
        if against:
            positions = positions.copy()
            wallet += book_fill(positions[at], self._grids[at], side * against, price)
        cost = qty_of(opens, self._grids[at]) * price / self.leverage[at]
        return bool(cost <= self._free(wallet, positions))

    def slipped(self, at: int, price: float, side: int) -> float:
        """Return where a market order fills at this price of the market."""
        return float(slipped(price, side, self.costs.slippage, self._grids[at]))

    def book(self, at: int, side: int, steps: int, price: float) -> tuple[int, int]:
        """Book a fill and return its profit and its fee, in units of 1e-8."""
        grid = self._grids[at]
        pnl = int(book_fill(self._positions[at], grid, side * steps, price))
        fee = int(fee_of(self.costs.fee_rate, qty_of(steps, grid), price))
        self._account[0].wallet += pnl - fee
        return pnl, fee

    def pay_funding(self, at: int, price: float, rate: float) -> int:
        """Book what a position pays at a funding instant and return it, in units of 1e-8."""
        paid = int(funding_of(self._positions[at].steps, self._grids[at], price, rate))
        self._account[0].wallet -= paid
        return paid

    def _free(self, wallet: int, positions: Any) -> float:
        free = wallet / UNIT
        for p, g, leverage in zip(positions, self._grids, self.leverage, strict=True):
            if p.steps != 0:
                unrealized = qty_of(p.steps, g) * (p.mark - p.entry)
                free += unrealized - notional(p, g) / leverage
        return float(free)
