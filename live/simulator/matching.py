"""How orders fill: market orders at once or at a candle's open, conditional ones inside candles."""

from live.simulator.private_events import account_event, algo_event, lite_event, order_event
from live.simulator.state import AlgoOrder, Fill, Market, PlainOrder, State
from strategy.fills import NOT_FILLED, STOP_FILLED, resting_fill

# Why an order expired, in the exchange's numbers: it would not reduce.
_KNOCKED_OUT = "4"
_NOT_REDUCING = "ReduceOnly Order is rejected."

Prices = tuple[float, float, float]  # open, high, low


class Matching:
    """Fills the orders of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def fill_held(self, *, closing: bool = True) -> int:
        """Fill held orders of symbols that have an open candle, closing ones before opening ones,
        each in the symbols' order; return how many changed. Without `closing` only opening ones."""
        changed = 0
        for closes in (True, False) if closing else (False,):
            for market in self._state.markets.values():
                if not (market.waiting and market.has_candle):
                    continue
                for order in list(market.waiting.values()):
                    if order.reduce_only == closes:
                        self.execute(market, order)
                        changed += 1
        return changed

    def execute(self, market: Market, order: PlainOrder) -> None:
        """Fill a market order at the last price, or let it expire."""
        held = self._state.held(market)
        if order.reduce_only:
            if held * order.side >= 0:
                self._expire(market, order, _KNOCKED_OUT)
                return
            order.steps = min(order.steps, abs(held))
        if order.reduce_only or self.affords(market, order):
            price = self._state.account.slipped(market.at, market.last, order.side)
            self._fill(market, order, price, self._state.now)
        else:
            self._expire(market, order, "0")

    def affords(self, market: Market, order: PlainOrder) -> bool:
        """Whether there is margin for a market order at the last price."""
        account, at = self._state.account, market.at
        price = account.slipped(at, market.last, order.side)
        return price > 0.0 and account.affords(at, order.side, order.steps, price)

    def play(self, market: Market, open_time: int, prices: Prices) -> None:
        """Match the conditional orders of a symbol with a candle: open, high and low.

        Of several that are touched the stop fills first. Once the position is gone, what else is
        touched expires.
        """
        if not market.algos:
            return
        while held := self._state.held(market):
            side = 1 if held > 0 else -1
            stop, take = _nearest(market, side)
            # A stop that is never met, where there is only a take.
            level = stop.trigger if stop else -side * float("inf")
            which, price, at_open, _ = resting_fill(
                side, level, take.trigger if take else 0.0, *prices
            )
            algo = stop if which == STOP_FILLED else take
            if which == NOT_FILLED or algo is None:
                break
            self._trigger(market, algo, float(price), open_time if at_open else self._state.now)
        _, high, low = prices
        for algo in list(market.algos.values()):
            if algo.is_touched(low, high):
                algo.triggered = self._state.now
                self.change_algo(market, algo, "TRIGGERING")
                self.change_algo(market, algo, "EXPIRED", reason=_NOT_REDUCING)

    def change_algo(
        self, market: Market, algo: AlgoOrder, status: str, time: int = 0, reason: str = ""
    ) -> None:
        """Give a conditional order another status and tell so."""
        algo.status, algo.reason = status, reason
        algo.updated = time or self._state.now
        if status not in ("NEW", "TRIGGERING"):
            market.algos.pop(algo.number, None)
        self._state.events.append(algo_event(self._state, market, algo))

    def tell(self, market: Market, order: PlainOrder, execution: str) -> None:
        """Tell of a change of an order that is no fill."""
        self._state.events.append(order_event(self._state, market, order, execution))

    def _trigger(self, market: Market, algo: AlgoOrder, price: float, time: int) -> None:
        algo.triggered = time
        self.change_algo(market, algo, "TRIGGERING", time)
        held = abs(self._state.held(market))
        number = market.next_number()
        child = PlainOrder(
            symbol=algo.symbol,
            number=number,
            client_id=f"child_{number}" if self._state.own_child_ids else algo.client_id,
            side=algo.side,
            steps=held if algo.close_position else min(algo.steps, held),
            reduce_only=True,
            created=time,
            updated=time,
            origin=algo.kind,
            close_position=algo.close_position,
            trigger=algo.trigger,
        )
        market.add(child)
        algo.child = child
        self.change_algo(market, algo, "TRIGGERED", time)
        self.tell(market, child, "NEW")
        fill = self._state.account.slipped(market.at, price, algo.side)
        self._fill(market, child, fill, time)
        self.change_algo(market, algo, "FINISHED", time)

    def _fill(self, market: Market, order: PlainOrder, price: float, time: int) -> None:
        state = self._state
        held = state.held(market)
        pnl, fee = state.account.book(market.at, order.side, order.steps, price)
        fill = Fill(
            symbol=order.symbol,
            number=len(market.fills) + 1,
            transaction=len(state.fills) + 1,
            order=order.number,
            side=order.side,
            steps=order.steps,
            price=price,
            fee=fee,
            pnl=pnl,
            time=time,
        )
        market.fills.append(fill)
        state.fills.append(fill)
        market.realized += pnl
        state.changed = state.now
        order.filled, order.price, order.status = order.steps, price, "FILLED"
        order.updated = time
        market.waiting.pop(order.number, None)
        state.events += [
            lite_event(state, market, order, fill),
            order_event(state, market, order, "TRADE", fill),
            account_event(state, market),
        ]
        if held and held * state.held(market) <= 0:
            self._expire_with_position(market, -1 if held > 0 else 1)

    def _expire_with_position(self, market: Market, side: int) -> None:
        for algo in list(market.algos.values()):
            if algo.close_position and algo.side == side:
                self.change_algo(market, algo, "EXPIRED")

    def _expire(self, market: Market, order: PlainOrder, why: str) -> None:
        order.status, order.expiry, order.updated = "EXPIRED", why, self._state.now
        del market.waiting[order.number]
        self.tell(market, order, "EXPIRED")


def _nearest(market: Market, side: int) -> tuple[AlgoOrder | None, AlgoOrder | None]:
    # The tightest stop and the nearest take of those that would close a position of this side.
    closing = [algo for algo in market.algos.values() if algo.side == -side]
    return (
        max((one for one in closing if one.is_stop), key=lambda x: side * x.trigger, default=None),
        min(
            (one for one in closing if not one.is_stop),
            key=lambda x: side * x.trigger,
            default=None,
        ),
    )
