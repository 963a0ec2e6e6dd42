"""From signals to decisions: the trader's reading side.

Every instant is decided once, in order. After a pause the older ones only mark the account; orders
come from the newest closed candle alone, and only while it is young.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from live.bus import Bus
from live.clock import Clock
from live.inquiries import BACK_OFF_S
from live.journal_records import Asked
from live.ledger import Ledger
from live.records import CONTROL, SIGNALS, Batch, Control
from live.risk_manager import RiskManager
from live.session import Session
from live.trade_executor import TradeExecutor
from live.wallet import Wallet
from live.writer import Writer

log = logging.getLogger(__name__)

SIGNAL_GENERATOR = "signal_generator"
_BLOCK_MS = 500


class StrategyManager:
    """Read the signals and what people ask for, decide, and hand over to the executor."""

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        writer: Writer,
        risk: RiskManager,
        executor: TradeExecutor,
        wallet: Wallet,
        clock: Clock,
        account_is_known: Callable[[], bool],
    ) -> None:
        self._session = session
        self._ledger = ledger
        self._writer = writer
        self._risk = risk
        self._executor = executor
        self._wallet = wallet
        self._clock = clock
        self._account_is_known = account_is_known
        self._decided = ledger.decided

    @property
    def decided(self) -> int:
        """Instant of the newest batch that was worked off, warm-up included."""
        return self._decided

    async def follow(self, bus: Bus) -> None:
        """Read until a replay is over, or for ever."""
        while True:
            try:
                await self._read(bus)
                return
            except (RedisError, OSError) as error:
                log.warning("redis=away error=%s", type(error).__name__)
                await asyncio.sleep(0.2)

    async def _read(self, bus: Bus) -> None:
        while True:
            # Asked before reading: what is read then has all that was said.
            ended = self._clock.ended and await bus.has_ended(SIGNAL_GENERATOR)
            after = max(self._ledger.decided, self._session.trade_from)
            entries = await bus.read(
                {SIGNALS: f"{after}-0", CONTROL: self._ledger.asked_entry}, _BLOCK_MS
            )
            batches = [entry.record for entry in entries if isinstance(entry.record, Batch)]
            for entry in entries:
                if isinstance(entry.record, Control):
                    self._ask(entry.record, entry.id)
            if batches and self._must_wait(batches[-1]):
                await asyncio.sleep(BACK_OFF_S)  # they are read again
                continue
            for batch in batches:
                self._take(batch, batch is batches[-1])
            await asyncio.sleep(0)  # the workers begin before more is asked for
            if ended and not entries:
                return

    def _must_wait(self, newest: Batch) -> bool:
        # Fills inside the closed candle belong before its decision. What cannot be acted on any
        # more needs no waiting.
        if self._account_is_known():
            return False
        return self._clock.now_ms() - newest.time <= self._session.max_decision_age_ms

    def _ask(self, control: Control, entry: str) -> None:
        now = self._clock.now_ms()
        # By the real time of a person, whatever the session's is.
        late = 0 < control.until_ms < time.time_ns() // 1_000_000
        if late:
            log.warning("control=late command=%s by=%s", control.command, control.by)
        self._writer.write(
            Asked(n=0, command=control.command, by=control.by, time=now, entry=entry, late=late)
        )
        self._executor.wake()

    def _take(self, batch: Batch, is_last: bool) -> None:
        if batch.time <= self._ledger.decided:
            return
        young = self._clock.now_ms() - batch.time <= self._session.max_decision_age_ms
        against = "paused" if self._ledger.paused else "halted" if self._ledger.halted else ""
        self._writer.write(
            self._risk.decide(
                self._ledger,
                batch,
                self._wallet.units,
                newest=is_last and young,
                against=against or self._writer.broken,
            )
        )
        self._decided = batch.time
        self._executor.wake()
