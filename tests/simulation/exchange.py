"""The exchange's port over the account, with a network in between that loses and delays."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from live.exchange.port import (
    Accepted,
    AccountEvent,
    AccountMode,
    AlgoKind,
    AlgoState,
    Balance,
    Connected,
    Disconnected,
    FundingFee,
    Holding,
    OrderState,
    Outcome,
    PrivateEvent,
    Rejected,
    Side,
    SymbolInfo,
    Trade,
    Unavailable,
    Unknown,
)
from live.records import ClosedCandle
from tests.live.sessions import START, rules
from tests.simulation.account import Account, Order
from tests.simulation.faults import Faults
from tests.simulation.virtual_time import now_ms

_T = TypeVar("_T")
_GIVES_UP_MS = (200, 5_000)
_RECV_WINDOW_MS = 2_000


class Server:
    """The exchange's side: the account, and what is under way to and from it.

    Parameters
    ----------
    seed : int
        Equal seeds and equal requests give equal faults.
    on_request : callable
        Sees every instruction that arrives.
    on_send : callable
        Sees every request that leaves the trader.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        wallet: int,
        faults: Faults,
        seed: int,
        on_request: Callable[[str, tuple[Any, ...]], None],
        on_send: Callable[[str, tuple[Any, ...]], None],
        on_change: Callable[[str], None],
    ) -> None:
        self.faults = faults
        self.draw = random.Random(f"network {seed}")
        self.account = Account(symbols, wallet, self.tell, now_ms, self._lag, on_change)
        self.on_request = on_request
        self.on_send = on_send
        self.is_calm = False  # towards the end nothing goes wrong any more
        self.listener: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, float] = {}
        self.under_way = 0

    @property
    def is_out(self) -> bool:
        """Whether nothing gets through."""
        now = now_ms() - START
        return any(one.begins <= now < one.ends for one in self.faults.outages)

    @property
    def has_no_stream(self) -> bool:
        """Whether the private stream alone is down."""
        now = now_ms() - START
        return any(one.begins <= now < one.ends for one in self.faults.streams)

    def hits(self, chance: float) -> bool:
        """Draw whether something goes wrong."""
        return chance > 0.0 and not self.is_calm and self.draw.random() < chance

    def spawn(self, work: Any) -> None:
        """Start what goes on also when the trader dies."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def execute(self, order: Order | None) -> None:
        """Fill a market order that was taken, maybe in parts."""
        if order is None:
            return
        if not self.hits(self.faults.parts):
            self.account.fill(order, order.steps)
            return
        self.spawn(self._fill_in_parts(order))

    async def _fill_in_parts(self, order: Order) -> None:
        # The parts of one market order come within moments.
        while order.filled < order.steps:
            if order.filled and self.hits(self.faults.expiries):
                self.account.expire(order)
                return
            self.account.fill(order, self.draw.randint(1, order.steps - order.filled))
            if not order.state().is_open:
                return
            await asyncio.sleep(self.draw.choice((0.0, 0.02, 0.3)))

    def _lag(self) -> int:
        faults = self.faults
        return self.draw.randint(0, faults.lag_ms) if faults.lag_ms and not self.is_calm else 0

    # The private stream: in order within a symbol, and within the account's own events.

    def tell(self, symbol: str, event: PrivateEvent) -> None:
        """Send an event to whoever listens, later; who does not listen never learns of it."""
        listener = self.listener
        if listener is None or listener.is_deaf:
            return
        times = 2 if self.hits(self.faults.duplicates) else 1
        for repeat in range(times):
            self._deliver(listener, symbol, event, repeat)

    def _deliver(
        self, listener: "Connection", symbol: str, event: PrivateEvent, repeat: int
    ) -> None:
        loop = asyncio.get_running_loop()
        lag_ms = self.draw.uniform(1, 5 if self.is_calm else self.faults.event_ms)
        at = max(loop.time() + lag_ms / 1e3, self._last.get(symbol, 0.0) + 1e-6)
        if repeat and not isinstance(event, AccountEvent):
            at += self.draw.choice((0.0, 0.5, 20.0))
        else:
            self._last[symbol] = at
        epoch = listener.epoch
        self.under_way += 1

        def arrive() -> None:
            self.under_way -= 1
            if listener.epoch == epoch and not listener.is_deaf:
                listener.events.put_nowait(event)

        loop.call_at(at, arrive)


class Connection:
    """The port, as one trader process holds it.

    Parameters
    ----------
    step : callable
        Called before and after everything that leaves or comes in; the process may die there.
    is_dead : callable
        Whether it has died: nothing leaves or comes in any more.
    on_connect : callable
        Told the time whenever the private socket has connected.
    """

    def __init__(
        self,
        server: Server,
        step: Callable[[str], None],
        is_dead: Callable[[], bool],
        on_connect: Callable[[int], None],
    ) -> None:
        self._on_connect = on_connect
        self._server = server
        self._account = server.account
        self._step = step
        self._is_dead = is_dead
        self.events: asyncio.Queue[PrivateEvent] = asyncio.Queue()
        self.epoch = 0
        self.is_deaf = True

    # The private socket.

    async def private_events(self) -> AsyncIterator[PrivateEvent]:
        self._server.spawn(self.connect(self._server.draw.uniform(50, 500)))
        while True:
            event = await self.events.get()
            self._step("event")
            if self._is_dead():
                await _for_ever()
            yield event

    async def connect(self, after_ms: float) -> None:
        """Open the socket after a while, later in an outage."""
        await asyncio.sleep(after_ms / 1e3)
        while self._server.is_out or self._server.has_no_stream:
            await asyncio.sleep(0.2)
        if self._is_dead():
            return
        self._server.listener = self
        self.is_deaf = False
        self._on_connect(now_ms())
        self.events.put_nowait(Connected())

    async def drop(self, silent_ms: float) -> None:
        """Break the socket; before that is noticed it says nothing for a while."""
        if self.is_deaf:
            return
        self.is_deaf = True
        self.epoch += 1
        await asyncio.sleep(silent_ms / 1e3)
        self.events.put_nowait(Disconnected("a fault"))
        await self.connect(self._server.draw.uniform(20, 3_000))

    # Requests.

    async def _ask(self, call: Callable[[], _T]) -> _T:
        answer = await self._request("read", call, ())
        if isinstance(answer, Unknown):
            raise Unavailable(answer.text)
        return answer

    async def _tell(self, name: str, call: Callable[[], Outcome], *content: Any) -> Outcome:
        return await self._request(name, call, content)

    async def _request(
        self, name: str, call: Callable[[], _T], content: tuple[Any, ...]
    ) -> _T | Unknown:
        self._step(f"before {name}")
        if self._is_dead():
            await _for_ever()
        self._server.on_send(name, content)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._server.spawn(self._serve(name, call, content, answer))
        result = await answer
        self._step(f"after {name}")
        if self._is_dead():
            await _for_ever()
        return result

    async def _serve(
        self, name: str, call: Any, content: tuple[Any, ...], answer: "asyncio.Future[Any]"
    ) -> None:
        server, faults = self._server, self._server.faults
        await asyncio.sleep(server.draw.uniform(0.5, 3) / 1e3)
        is_read = name == "read"
        lost = server.is_out or server.hits(faults.silent_reads if is_read else faults.lost_request)
        if lost:
            await asyncio.sleep(server.draw.randint(*_GIVES_UP_MS) / 1e3)
            _give(answer, Unknown("no answer"))
            return
        if not is_read and server.hits(faults.late_request):
            server.spawn(self._arrive_late(name, call, content))
            await asyncio.sleep(server.draw.randint(*_GIVES_UP_MS) / 1e3)
            _give(answer, Unknown("no answer"))
            return
        result = call() if is_read else self._arrive(name, call, content)
        if not is_read and server.hits(faults.lost_answer):
            await asyncio.sleep(server.draw.randint(*_GIVES_UP_MS) / 1e3)
            result = Unknown("no answer")
        await asyncio.sleep(server.draw.uniform(0.5, 3) / 1e3)
        _give(answer, result)

    async def _arrive_late(self, name: str, call: Any, content: tuple[Any, ...]) -> None:
        await asyncio.sleep(self._server.draw.randint(1, _RECV_WINDOW_MS) / 1e3)
        self._arrive(name, call, content)

    def _arrive(self, name: str, call: Any, content: tuple[Any, ...]) -> Any:
        server = self._server
        if name != "leverage":
            server.on_request(name, content)
            if server.hits(server.faults.overload):
                return Rejected(-1008, "Request throttled by system-level protection.", True)
            if name != "cancel" and server.hits(server.faults.refused):
                return Rejected(-2019, "Margin is insufficient.")
        return call()

    # Questions.

    def bear_refusals(self) -> None:
        pass

    async def server_time(self) -> int:
        return await self._ask(now_ms)

    async def symbols(self) -> Mapping[str, SymbolInfo]:
        return await self._ask(
            lambda: {
                one: SymbolInfo(rules(one), "TRADING", "USDT", "PERPETUAL")
                for one in self._account.symbols
            }
        )

    async def account_mode(self) -> AccountMode:
        return await self._ask(lambda: AccountMode(True, False, False, False))

    async def balance(self) -> Balance:
        return await self._ask(self._account.balance)

    async def holdings(self) -> Sequence[Holding]:
        return await self._ask(self._account.holdings)

    async def klines(
        self, symbol: str, timeframe: str, start_ms: int, limit: int = 1500
    ) -> Sequence[ClosedCandle]:
        raise AssertionError("a trader reads signals, no candles")

    async def order(self, symbol: str, client_id: str) -> OrderState | None:
        return await self._ask(lambda: self._account.order(symbol, client_id))

    async def order_of(self, symbol: str, exchange_id: int) -> OrderState | None:
        return await self._ask(lambda: self._account.order(symbol, number=exchange_id))

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        return await self._ask(lambda: self._account.open_orders(symbol))

    async def algo(self, client_id: str) -> AlgoState | None:
        return await self._ask(lambda: self._account.algo(client_id))

    async def open_algos(self, symbol: str) -> Sequence[AlgoState]:
        return await self._ask(lambda: self._account.open_algos(symbol))

    async def trades(self, symbol: str, from_id: int | None = None) -> Sequence[Trade]:
        found = await self._ask(lambda: self._account.trades_from(symbol, from_id))
        return [_unnamed(one) for one in found]

    async def funding_fees(self, since_ms: int) -> Sequence[FundingFee]:
        return await self._ask(lambda: self._account.fees_since(since_ms))

    # Instructions.

    async def set_leverage(self, symbol: str, leverage: int) -> Outcome:
        return await self._tell("leverage", Accepted)

    async def place_market(
        self, client_id: str, symbol: str, side: Side, qty: str, reduce_only: bool
    ) -> Outcome:
        steps = round(Decimal(qty) * 1_000)
        sign = 1 if side == "BUY" else -1

        def place() -> Outcome:
            outcome, order = self._account.place(client_id, symbol, sign, steps, reduce_only)
            self._server.execute(order)
            return _clear(outcome)

        return await self._tell("market", place, client_id, symbol, sign, steps, reduce_only)

    async def place_algo(
        self, client_id: str, symbol: str, side: Side, kind: AlgoKind, trigger: str, qty: str | None
    ) -> Outcome:
        steps = round(Decimal(qty) * 1_000) if qty else 0
        ticks, sign = round(Decimal(trigger) * 10), 1 if side == "BUY" else -1
        return await self._tell(
            "algo",
            lambda: _clear(self._account.place_algo(client_id, symbol, sign, kind, ticks, steps)),
            client_id,
            symbol,
            sign,
            steps,
        )

    async def cancel_algo(self, client_id: str) -> Outcome:
        return await self._tell("cancel", lambda: self._account.cancel_algo(client_id), client_id)

    async def close(self) -> None:
        pass


def _unnamed(trade: Trade) -> Trade:
    import dataclasses

    return dataclasses.replace(trade, client_id="")


def _clear(outcome: Outcome) -> Outcome:
    # As the adapter does: that the id is there already is neither a refusal nor a success.
    if isinstance(outcome, Rejected) and outcome.code == -4116:
        return Unknown(outcome.text)
    return outcome


def _give(answer: "asyncio.Future[Any]", result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
