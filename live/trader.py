"""The trader: strategy manager, risk manager and trade executor in one process.

It starts and recovers on the same path: read the journal, reconcile with the exchange, then decide.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
from live.decimals import steps
from live.exchange.port import (
    AccountEvent,
    AlgoEvent,
    Connected,
    Disconnected,
    Exchange,
    Marker,
    OrderEvent,
    PrivateEvent,
    Unavailable,
)
from live.funding import CAUSE, Payments
from live.inquiries import BACK_OFF_S, BackOff
from live.ledger import Ledger
from live.pulse import Pulse, State
from live.reconcile import Reconciler
from live.risk_manager import RiskManager
from live.session import Session
from live.strategy_manager import StrategyManager
from live.trade_executor import TradeExecutor
from live.wallet import Wallet
from live.writer import Writer
from strategy.errors import WickError

log = logging.getLogger(__name__)

ROLE = "trader"
TICK_MS = 1_000
# How often the exchange is asked for what a socket may not have told: everything, and of a position
# that is held the orders that protect it.
CATCH_UP_MS, LOOK_MS = 60_000, 3_000
DOWN_MS = 5_000  # everything, while the private stream is down
_DONE = ("CANCELED", "EXPIRED", "REJECTED", "FINISHED")


class Trader:
    """One session's trader."""

    def __init__(
        self, session: Session, folder: Path, bus: Bus, clock: Clock, exchange: Exchange
    ) -> None:
        strategy, _, self._risk_settings = session.loaded(folder)
        self._session = session
        self._bus = bus
        self._clock = clock
        self._exchange = exchange
        self.ledger = Ledger(session)
        self.writer = Writer(folder, self.ledger)
        self._wallet = Wallet()
        risk = RiskManager(session, strategy, self._risk_settings)
        self.executor = TradeExecutor(
            self.ledger, self.writer, exchange, clock, risk, self._against, self._on_quiet
        )
        self._payments = Payments(
            self.ledger,
            self.writer,
            exchange,
            self.executor.inquiries,
            clock,
            lambda: self.executor.hold("funding"),
            lambda: self.executor.release("funding"),
        )
        self._reconciler = Reconciler(self.ledger, self.writer, exchange, self.executor, clock)
        self._manager = StrategyManager(
            session,
            self.ledger,
            self.writer,
            risk,
            self.executor,
            self._wallet,
            clock,
            lambda: self._connected,
        )
        self._connected = False
        self._reconciling = asyncio.Lock()
        self._marker = self._settled = self._decided = 0
        self._pulse = Pulse(ROLE, bus, clock)

    async def run(self) -> None:
        """Trade until a replay is over, or for ever.

        Raises
        ------
        WickError
            The account, a symbol or the session's files do not allow it.
        """
        await self._health("starting")
        goes_on = self.ledger.began
        if not goes_on:
            await self._insist(self._reconciler.begin, self._risk_settings)
        # What is held may need a stop, whatever the exchange thinks of the key or the account now.
        self._exchange.bear_refusals()
        self.executor.hold("start")
        tasks = [
            asyncio.create_task(one, name=name)
            for name, one in (
                ("private", self._listen()),
                ("funding", self._payments.work()),
                ("ship", self.writer.ship(self._bus)),
                ("tick", self._tick()),
                ("questions", self._ask_again(goes_on=goes_on)),
                ("health", self._tell_health()),
                ("signals", self._follow()),
                *((symbol, self.executor.work(symbol)) for symbol in self._session.symbols),
            )
        ]
        try:
            await _first_end(tasks)
            await self.writer.shipped()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.writer.close()
        await self._pulse.end(str(self.writer.last))

    async def _follow(self) -> None:
        while not self._connected:  # the account comes first, then decisions
            await asyncio.sleep(BACK_OFF_S)
        await self._health("running")
        await self._manager.follow(self._bus)
        while not self.executor.quiet:
            await asyncio.sleep(BACK_OFF_S)

    def _against(self) -> str:
        return "" if self._connected else "the private stream is down"

    def _on_quiet(self) -> None:
        if self._marker > self._settled:
            self._settled = self._marker
            self._clock.acknowledge_settled(self._marker)
        if self._manager.decided > self._decided:
            self._decided = self._manager.decided
            self._clock.acknowledge_decided(self._decided)

    async def _listen(self) -> None:
        async for event in self._exchange.private_events():
            await self._hear(event)

    async def _hear(self, event: PrivateEvent) -> None:
        match event:
            case Connected():
                self.executor.hold("connected")
                await self._reconcile()
                self._connected = True
                self.executor.wake()
                self.executor.release("connected")
                self.executor.release("start")
            case Disconnected(reason):
                log.warning("private=down reason=%s", reason)
                self._connected = False
            case OrderEvent():
                self._hear_order(event)
            case AlgoEvent():
                self._hear_algo(event)
            case AccountEvent():
                self._wallet.hear(event)
                self.executor.hear_holdings(event.holdings)
                if event.cause == CAUSE:
                    self._payments.hear(event)
            case Marker(number):
                self._marker = max(self._marker, number)
                if self.executor.quiet:
                    self._on_quiet()

    async def _reconcile(self) -> None:
        async with self._reconciling:
            self.executor.hold("reconcile")
            self._wallet.take(await self._insist(self._reconciler.catch_up))
            self._payments.look()
            self.executor.release("reconcile")

    def _hear_order(self, event: OrderEvent) -> None:
        order = event.order
        if order.symbol not in self.ledger.books:
            return
        self.executor.inquiries.stands(order.symbol, order.client_id, order.exchange_id)
        if event.trade is not None:
            self.executor.inquiries.book(event.trade)
        if event.execution in ("CANCELED", "EXPIRED"):
            filled = steps(order.filled, self.ledger.rules[order.symbol])
            text = f"{order.status.lower()} by the exchange"
            self._gone(order.symbol, order.client_id, filled, text)

    def _hear_algo(self, event: AlgoEvent) -> None:
        algo = event.algo
        if algo.symbol not in self.ledger.books:
            return
        self.executor.inquiries.triggered(algo)
        if algo.status in _DONE:
            self._gone(algo.symbol, algo.client_id, 0, event.reason or algo.status.lower())
        elif algo.status == "NEW":
            self.executor.inquiries.stands(algo.symbol, algo.client_id, algo.exchange_id)

    def _gone(self, symbol: str, client_id: str, filled: int, text: str) -> None:
        sent = self.ledger.books[symbol].sent.get(client_id)
        # One whose fills have not all been told is asked about: without them it is not over.
        if sent is None or not sent.open or sent.filled < filled:
            return
        self.executor.inquiries.answer(sent.intent, "gone", text=text)
        self.executor.wake(symbol)

    async def _tick(self) -> None:
        # A look at every symbol once a second, for what only time brings: a stop that could not
        # be placed, an order that nobody reports on.
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + TICK_MS)
            self.writer.catch_up()
            self.executor.wake()

    async def _ask_again(self, *, goes_on: bool) -> None:
        # A socket may be down for long, or open and silent; in lockstep nothing gets lost.
        checked, caught_up = not goes_on, self._clock.now_ms()
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + LOOK_MS)
            checked = checked or await self._check_again()
            if self._clock.lockstep:
                continue
            every_ms = CATCH_UP_MS if self._connected else DOWN_MS
            if self._clock.now_ms() - caught_up >= every_ms:
                await self._reconcile()
                caught_up = self._clock.now_ms()
                continue
            for symbol in self._session.symbols:
                if self.ledger.position(symbol).steps:
                    await self._insist(self._reconciler.look_at_orders, symbol)

    async def _check_again(self) -> bool:
        # What refuses a start only halts entries once something may be held.
        try:
            await self._reconciler.check()
        except Unavailable:
            return False
        except WickError as error:
            if not self.ledger.halted:
                self.executor.inquiries.halt(error.message)
        return True

    async def _tell_health(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + TICK_MS)
            if self.ledger.halted:
                await self._health("halted", self.ledger.halted)
            elif not self._connected:
                await self._health("waiting", self.executor.trouble or self._against())
            else:
                await self._health("running", self.executor.trouble)

    async def _insist(self, ask: Any, *arguments: Any) -> Any:
        # Nothing can be decided before these answers are there.
        back_off = BackOff()
        while True:
            try:
                answer = await ask(*arguments)
            except Unavailable as error:
                log.warning("exchange=unavailable error=%s", error)
                self.executor.trouble = str(error)
                await back_off.wait(error)
                continue
            self.executor.trouble = ""
            return answer

    async def _health(self, state: State, note: str = "") -> None:
        try:
            await self._pulse.tell(state, note)
        except (RedisError, OSError) as error:
            log.warning("redis=away error=%s", type(error).__name__)


async def _first_end(tasks: list["asyncio.Task[None]"]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def run(session: Session, folder: Path, bus: Bus, clock: Clock, exchange: Exchange) -> None:
    """Run the trader of a session (see `Trader.run`)."""
    await Trader(session, folder, bus, clock, exchange).run()
