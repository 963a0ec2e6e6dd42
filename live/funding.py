"""What positions pay or receive at funding instants, booked from the exchange's income history.

The private stream says at once that the wallet has changed; under which number and for which time
says the history alone. So an event only makes us ask, and a payment counts once by its number,
however often it was told and whether or not anybody listened. It belongs to the trade that held the
symbol at its time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from live.clock import Clock
from live.exchange.port import AccountEvent, Exchange, FundingFee, Unavailable
from live.inquiries import BACK_OFF_S, READ_LAG_MS, Inquiries
from live.journal_records import Funded
from live.ledger import Ledger
from live.writer import Writer

log = logging.getLogger(__name__)

CAUSE = "FUNDING_FEE"
# Rows of one instant may appear one after the other.
_OVERLAP_MS = 3_600_000
_ASK_MS = 500
_RECENT = 100
_LONGEST_PAUSE_S = 30.0  # the question is a dear one, and nothing waits for its answer


class Payments:
    """Books funding payments.

    Parameters
    ----------
    hold, release : callable
        Called when there is something to find out, and when nothing is left.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        exchange: Exchange,
        inquiries: Inquiries,
        clock: Clock,
        hold: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._exchange = exchange
        self._inquiries = inquiries
        self._clock = clock
        self._hold = hold
        self._release = release
        self._told = asyncio.Event()
        self._heard: list[tuple[int, AccountEvent]] = []
        self._recent: deque[Funded] = deque(maxlen=_RECENT)

    def hear(self, event: AccountEvent) -> None:
        """Take in that the private stream tells of a payment."""
        self._heard.append((self._clock.now_ms(), event))
        self.look()

    def look(self) -> None:
        """Look for payments that nobody told; a history that does not answer keeps no one from
        trading."""
        self._hold()
        self._told.set()

    async def work(self) -> None:
        """Find what was told, for ever."""
        while True:
            await self._told.wait()
            self._told.clear()
            await self._find()
            if not self._told.is_set():
                self._release()

    async def _fetch(self) -> None:
        since = max(self._ledger.paid_until - _OVERLAP_MS, self._ledger.began_ms)
        for fee in await self._exchange.funding_fees(since):
            if self._ledger.is_new_payment(fee):
                await self._book(fee)

    async def _book(self, fee: FundingFee) -> None:
        record = self._ledger.funded(fee, guess=False)
        if record is None:
            # Either the fill that opened the position is not known yet, or the exchange, which
            # takes some seconds over an instant and stamps its full hour, let a newer one pay.
            await self._inquiries.fetch_trades(fee.symbol, newest=True)
            is_late = self._clock.now_ms() - fee.time >= READ_LAG_MS
            record = self._ledger.funded(fee, guess=is_late)
        if record is not None and self._ledger.is_new_payment(fee):  # two may ask at a time
            self._writer.write(record)
            self._recent.append(record)

    async def _find(self) -> None:
        pause_s, wait_ms = BACK_OFF_S, _ASK_MS
        while True:
            asked = list(self._heard)
            try:
                await self._fetch()
            except Unavailable as error:
                log.warning("funding=unavailable error=%s", error)
                await asyncio.sleep(max(error.retry_after_ms / 1000, pause_s))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            new = [one for one in self._heard if one not in asked]
            missing = [one for one in asked if self._lacks(*one)]
            self._heard = missing + new
            if not self._heard:
                return
            if new:
                continue
            await self._clock.pass_until(self._clock.now_ms() + wait_ms)
            wait_ms *= 2

    def _lacks(self, heard_ms: int, event: AccountEvent) -> bool:
        # What is given up here the next look at everything finds; it is asked for once a minute.
        if self._clock.now_ms() - heard_ms >= READ_LAG_MS:
            log.warning("funding=not found symbol=%s change=%s", event.symbol, event.change)
            return False
        return not any(
            event.symbol in ("", one.symbol) and event.change in (None, -one.payment)
            for one in self._recent
        )
