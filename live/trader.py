"""The trader: strategy manager, risk manager and trade executor in one process.

It starts and recovers on the same path: read the journal, reconcile with the exchange, then decide.
"""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
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
from live.journal import Answered
from live.ledger import Ledger
from live.order_ids import parse
from live.reconcile import Reconciler
from live.records import Health
from live.risk_manager import RiskManager
from live.session import Session
from live.strategy_manager import StrategyManager
from live.trade_executor import BACK_OFF_S, TradeExecutor
from live.wallet import Wallet
from live.writer import Writer

log = logging.getLogger(__name__)

ROLE = "trader"
TICK_MS = 1_000
CATCH_UP_MS = 60_000
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
        self._reconciler = Reconciler(self.ledger, self.writer, exchange, self.executor, clock)
        self._manager = StrategyManager(
            session, self.ledger, self.writer, risk, self.executor, self._wallet, clock
        )
        self._connected = False
        self._marker = self._settled = self._decided = 0
        self._said, self._said_at = ("", ""), 0.0

    async def run(self) -> None:
        """Trade until a replay is over, or for ever.

        Raises
        ------
        WickError
            The account, a symbol or the session's files do not allow it.
        """
        await self._health("starting")
        await _insist(self._reconciler.begin, self._risk_settings)
        self.executor.hold("start")
        tasks = [
            asyncio.create_task(one, name=name)
            for name, one in (
                ("private", self._listen()),
                ("ship", self.writer.ship(self._bus)),
                ("tick", self._tick()),
                ("signals", self._follow()),
                *((symbol, self.executor.work(symbol)) for symbol in self._session.symbols),
            )
        ]
        try:
            await _first_end(tasks)
            await self.writer.shipped()
            await self._health("ended", str(self.writer.last))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.writer.close()

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
                self.executor.hold("reconcile")
                await self._reconcile()
                self._connected = True
                self.executor.wake()
                self.executor.release("reconcile")
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
            case Marker(number):
                self._marker = max(self._marker, number)
                if self.executor.quiet:
                    self._on_quiet()

    async def _reconcile(self) -> None:
        self._wallet.take(await _insist(self._reconciler.catch_up))

    def _hear_order(self, event: OrderEvent) -> None:
        order = event.order
        if order.symbol not in self.ledger.books:
            return
        if event.trade is not None:
            self.executor.book(event.trade)
        if event.execution in ("CANCELED", "EXPIRED"):
            self._gone(order.symbol, order.client_id, f"{order.status.lower()} by the exchange")

    def _hear_algo(self, event: AlgoEvent) -> None:
        algo = event.algo
        if algo.symbol in self.ledger.books and algo.status in _DONE:
            self._gone(algo.symbol, algo.client_id, event.reason or algo.status.lower())

    def _gone(self, symbol: str, client_id: str, text: str) -> None:
        sent = self.ledger.books[symbol].sent.get(client_id)
        if parse(client_id) is None or sent is None or not sent.open:
            return
        self.writer.write(
            Answered(
                n=0,
                id=client_id,
                symbol=symbol,
                state="gone",
                exchange_id=0,
                code=0,
                text=text,
                time=self._clock.now_ms(),
            )
        )
        self.executor.wake(symbol)

    async def _tick(self) -> None:
        # A look at every symbol once a second, for what only time brings: a stop that could not
        # be placed, an order that nobody reports on.
        caught_up = self._clock.now_ms()
        while True:
            now = self._clock.now_ms()
            await self._clock.sleep_until(now + TICK_MS)
            self.writer.catch_up()
            self.executor.wake()
            if not self._connected:
                continue
            if self._clock.now_ms() - caught_up >= CATCH_UP_MS and not self._clock.lockstep:
                caught_up = self._clock.now_ms()
                self.executor.hold("reconcile")
                await self._reconcile()
                self.executor.release("reconcile")
            await self._health("halted" if self.ledger.halted else "running", self.ledger.halted)

    async def _health(self, state: Any, note: str = "") -> None:
        said = (state, note)
        if said == self._said and time.monotonic() < self._said_at + 1.0:
            return
        self._said, self._said_at = said, time.monotonic()
        try:
            await self._bus.set_health(Health(ROLE, os.getpid(), self._clock.now_ms(), state, note))
        except (RedisError, OSError) as error:
            log.warning("redis=away error=%s", type(error).__name__)


async def _insist(ask: Any, *arguments: Any) -> Any:
    # Nothing can be decided before these answers are there.
    delay = BACK_OFF_S
    while True:
        try:
            return await ask(*arguments)
        except Unavailable as error:
            log.warning("exchange=unavailable error=%s", error)
            await asyncio.sleep(max(error.retry_after_ms / 1000, delay))
            delay = min(2 * delay, 5.0)


async def _first_end(tasks: list["asyncio.Task[None]"]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def run(session: Session, folder: Path, bus: Bus, clock: Clock, exchange: Exchange) -> None:
    """Run the trader of a session (see `Trader.run`)."""
    await Trader(session, folder, bus, clock, exchange).run()
