"""The exchange's core: one account, its orders, and candles that fill them. No sockets, no clock.

Every method of the account takes a request's parameters as text and returns what would be its JSON,
or raises ApiError. What happened is left in `events`, in order, as the private stream tells it.
"""

import math
from collections.abc import Sequence
from typing import Any

from data.symbols import SymbolRules
from live.simulator.account_answers import AccountAnswers
from live.simulator.account_settings import AccountSettings
from live.simulator.algos import Algos
from live.simulator.checks import ApiError
from live.simulator.funding import FundingAnswers, Schedule
from live.simulator.market_answers import MarketAnswers
from live.simulator.matching import Matching
from live.simulator.orders import Orders
from live.simulator.private_events import funding_event
from live.simulator.state import Payment, State
from strategy.fills import Costs
from strategy.funding import Funding

__all__ = ["ApiError", "Venue"]


class Venue:
    """A Binance USDⓈ-M exchange for one account.

    Parameters
    ----------
    rules : sequence of SymbolRules
        The symbols, in the order in which held orders fill.
    costs : Costs
        Fee and slippage.
    balance : float
        USDT in the wallet.
    hold_market_orders : bool
        Market orders wait for `fill_held` instead of filling at once.
    hedge, multi_assets : bool
        The account's mode.
    leverage : int
        At first, for every symbol.
    funding : sequence of Funding, optional
        Of each symbol; without it nobody pays any.

    Attributes
    ----------
    events : list of dict
        What the private stream tells, to be taken out by who sends it.
    """

    def __init__(
        self,
        rules: Sequence[SymbolRules],
        costs: Costs,
        balance: float,
        *,
        hold_market_orders: bool = False,
        hedge: bool = False,
        multi_assets: bool = False,
        leverage: int = 20,
        funding: Sequence[Funding] | None = None,
    ) -> None:
        self._state = state = State(
            rules,
            costs,
            balance,
            leverage,
            hold_market_orders=hold_market_orders,
            hedge=hedge,
            multi_assets=multi_assets,
        )
        self._matching = Matching(state)
        self._schedule = Schedule(tuple(state.markets), funding)
        self.events: list[dict[str, Any]] = state.events
        self._route_orders(Orders(state, self._matching), Algos(state, self._matching))
        market = MarketAnswers(state, self._schedule)
        self._route_account(AccountAnswers(state), AccountSettings(state), market)
        self._route_funding(FundingAnswers(state, self._schedule))

    @property
    def now(self) -> int:
        """The exchange's time, UTC ms; who plays candles sets it."""
        return self._state.now

    @now.setter
    def now(self, time_ms: int) -> None:
        self._state.now = time_ms

    @property
    def hold_market_orders(self) -> bool:
        """Whether market orders wait for `fill_held`."""
        return self._state.hold_market_orders

    @hold_market_orders.setter
    def hold_market_orders(self, hold: bool) -> None:
        self._state.hold_market_orders = hold

    @property
    def own_child_ids(self) -> bool:
        """Whether a triggered order gets a client id of the exchange's own."""
        return self._state.own_child_ids

    @own_child_ids.setter
    def own_child_ids(self, own: bool) -> None:
        self._state.own_child_ids = own

    @property
    def wallet(self) -> int:
        """The wallet in units of 1e-8."""
        return self._state.account.wallet

    def steps(self, symbol: str) -> int:
        """Return the signed steps of a position."""
        return self._state.held(self._state.markets[symbol])

    def open_candle(self, symbol: str, price: float) -> None:
        """Begin a symbol's next candle: its open is the last price, and held orders may fill."""
        state, market = self._state, self._state.markets[symbol]
        if market.last == 0.0:
            state.account.set_price(market.at, price)
        market.last, market.has_candle = price, True
        # The balance was paid in before the first candle; ccxt hides a wallet that never changed.
        state.changed = state.changed or state.now

    def fill_held(self, *, closing: bool = True) -> int:
        """Fill held market orders whose symbol has an open candle: closing ones first, then
        opening ones, each in the symbols' order. Returns how many changed; without `closing`
        opening ones alone are filled."""
        return self._matching.fill_held(closing=closing)

    def pay_funding(self, until_ms: int) -> int:
        """Book the funding instants before a time on what is held now, in the order of time and
        symbols; return how many positions paid or received.

        The exchange's time goes on to each that moves money. Who plays candles calls this where the
        order of events inside a candle says so.
        """
        state, before = self._state, len(self._state.payments)
        for one in self._schedule.due(until_ms):
            market = state.markets[one.symbol]
            price = state.account.price(market.at) if math.isnan(one.price) else one.price
            if paid := state.account.pay_funding(market.at, price, one.rate):
                state.now = max(state.now, one.time)
                payment = Payment(one.symbol, len(state.payments) + 1, paid, one.time)
                state.payments.append(payment)
                state.changed = state.now
                state.events.append(funding_event(state, payment))
        return len(state.payments) - before

    def play_candle(
        self,
        symbol: str,
        open_time: int,
        o: float,
        h: float,
        l: float,  # noqa: E741
        c: float,
    ) -> None:
        """Match the conditional orders of a symbol with a whole candle, which is over then."""
        market = self._state.markets[symbol]
        self._matching.play(market, open_time, (o, h, l))
        market.last, market.has_candle = c, False
        self._state.account.set_price(market.at, c)

    def _route_orders(self, orders: Orders, algos: Algos) -> None:
        self.new_order = orders.new
        self.get_order = orders.get
        self.cancel_order = orders.cancel
        self.cancel_all_orders = orders.cancel_all
        self.open_order = orders.get_open
        self.open_orders = orders.open
        self.all_orders = orders.all
        self.new_algo = algos.new
        self.get_algo = algos.get
        self.cancel_algo = algos.cancel
        self.cancel_all_algos = algos.cancel_all
        self.open_algos = algos.open
        self.all_algos = algos.all

    def _route_funding(self, answers: FundingAnswers) -> None:
        self.funding_rates = answers.rates
        self.funding_info = answers.info

    def _route_account(
        self, answers: AccountAnswers, settings: AccountSettings, market: MarketAnswers
    ) -> None:
        self.balance = answers.balance
        self.account = answers.account
        self.position_risk = answers.position_risk
        self.user_trades = answers.user_trades
        self.income = answers.income
        self.account_config = settings.account_config
        self.symbol_config = settings.symbol_config
        self.commission_rate = settings.commission_rate
        self.leverage_bracket = settings.leverage_bracket
        self.set_leverage = settings.set_leverage
        self.set_margin_type = settings.set_margin_type
        self.position_mode = settings.position_mode
        self.set_position_mode = settings.set_position_mode
        self.multi_assets_mode = settings.multi_assets_mode
        self.fee_burn = settings.fee_burn
        self.rate_limit_order = settings.rate_limit_order
        self.exchange_info = market.exchange_info
        self.book_ticker = market.book_ticker
        self.premium_index = market.premium_index
