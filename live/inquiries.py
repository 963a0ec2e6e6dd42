"""What became of orders: questions to the exchange, and the fills that the answers bring.

An unknown outcome is asked about, never guessed. What the exchange says of one order in one place
may be missing in another for some seconds, so "never existed" takes several negative answers, late
ones, from everything that would show it.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from live.clock import Clock
from live.decimals import steps, units
from live.exchange.port import AlgoState, Exchange, OrderState, Trade, Unavailable
from live.journal_records import Answered, Halted, Intent
from live.ledger import Ledger
from live.order_ids import CONDITIONAL_LEGS, parse
from live.symbol_book import Sent
from live.writer import Writer

log = logging.getLogger(__name__)

RECV_WINDOW_MS = 2_000
# From here on what has not arrived never will; negative answers count.
PROOF_MS = RECV_WINDOW_MS + 2_000
NEGATIVES = 4
# What was just placed, or has just filled, may not be found for some seconds.
READ_LAG_MS = 10_000
_ASK_EARLY_MS, _ASK_MS = 1_000, (READ_LAG_MS - PROOF_MS) // (NEGATIVES - 1)
# A request that hung for so long leaves no time to ask before the stop is placed.
_HUNG_MS = 1_500
BACK_OFF_S, _LONGEST_BACK_OFF_S = 0.05, 2.0


class BackOff:
    """Pauses between tries: each is twice the one before, until one succeeds."""

    def __init__(self) -> None:
        self._next_s = BACK_OFF_S

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._next_s = BACK_OFF_S

    async def wait(self, error: Unavailable) -> None:
        """Wait, at least for as long as the exchange asked."""
        await asyncio.sleep(max(error.retry_after_ms / 1000, self._next_s))
        self._next_s = min(2 * self._next_s, _LONGEST_BACK_OFF_S)


class Inquiries:
    """Finds out what became of orders, and books fills.

    Parameters
    ----------
    wake : callable
        Called with a symbol whose ledger has changed.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        exchange: Exchange,
        clock: Clock,
        wake: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._exchange = exchange
        self._clock = clock
        self._wake = wake
        # What an earlier process sent has left before this one began.
        self._began_ms = clock.now_ms()
        # By order of the exchange that is not known: its client id, and ids of ours that it is not
        # from. What was answered once is not asked again, should a later question stay open.
        self._client_ids: dict[int, str] = {}
        self._not: dict[int, set[str]] = {}
        self._strange: dict[str, dict[int, Trade]] = {symbol: {} for symbol in ledger.symbols}

    # Records.

    def halt(self, reason: str) -> None:
        """Let no more entries out until a person says so."""
        log.error("halted=%s", reason)
        self._writer.write(Halted(n=0, reason=reason, time=self._clock.now_ms()))

    def answer(
        self,
        intent: Intent,
        state: str,
        exchange_id: int = 0,
        code: int = 0,
        text: str = "",
        again: bool = False,
    ) -> None:
        """Write down what became of an order (`journal.Answered`)."""
        self._writer.write(
            Answered(
                n=0,
                id=intent.id,
                symbol=intent.symbol,
                state=state,  # type: ignore[arg-type]  # every caller names one
                exchange_id=exchange_id,
                code=code,
                text=text,
                time=self._clock.now_ms(),
                again=again,
            )
        )

    def is_ours(self, client_id: str) -> bool:
        """Say whether this session made an id."""
        known = parse(client_id)
        return known is not None and known.tag == self._ledger.session.tag

    # Fills.

    def book(self, trade: Trade) -> bool:
        """Book a fill that was told, if it is new and known to be ours.

        One of an order that is not known is asked about first: a triggered stop's order may carry
        an id of the exchange's own.
        """
        if trade.symbol not in self._ledger.books or not self._ledger.is_new(trade):
            return False
        trade = self._ledger.claimed(trade)
        if not self.is_ours(trade.client_id):
            self._strange[trade.symbol][trade.trade_id] = trade
            self._wake(trade.symbol)
            return False
        return self._take(trade)

    def _take(self, trade: Trade) -> bool:
        # The fee in another coin than USDT is left to its own line.
        fee = units(trade.fee) if trade.fee_asset == "USDT" else 0
        record = self._ledger.booked(trade, fee, units(trade.pnl), trade.time)
        self._writer.write(record)
        if not record.leg and not self._ledger.halted:
            self.halt(f"{trade.symbol}: a fill of an order that is not ours")
        self._wake(trade.symbol)
        return True

    async def fetch_trades(self, symbol: str, *, newest: bool = False) -> None:
        """Book every fill that the exchange knows and we do not; `newest` looks at the last
        thousand."""
        first = self._ledger.books[symbol].settled + 1
        # Asked for from the first on, an exchange may show fills of years.
        trades = await self._exchange.trades(symbol, None if newest or not first else first)
        for trade in trades:
            if self._ledger.is_new(trade):
                named = await self._named(trade)
                if self._ledger.is_new(named):  # the stream may have told it meanwhile
                    self._take(named)
        strange = self._strange[symbol]
        for trade_id in [i for i, one in strange.items() if not self._ledger.is_new(one)]:
            del strange[trade_id]

    def has_strange(self, symbol: str) -> bool:
        """Say whether fills were told of which nobody knows yet whose they are."""
        return bool(self._strange[symbol])

    async def identify(self, symbol: str) -> None:
        """Find out whose the strange fills are, and book them.

        Raises
        ------
        Unavailable
            It cannot be seen yet.
        """
        await self.fetch_trades(symbol, newest=True)
        for trade_id, trade in list(self._strange[symbol].items()):
            named = await self._named(trade)
            self._strange[symbol].pop(trade_id, None)
            if self._ledger.is_new(named):
                self._take(named)

    async def _named(self, trade: Trade) -> Trade:
        trade = self._ledger.claimed(trade)
        if self.is_ours(trade.client_id):
            return trade
        if trade.order_id not in self._client_ids:
            order = await self._exchange.order_of(trade.symbol, trade.order_id)
            if order is None and self._clock.now_ms() - trade.time < READ_LAG_MS:
                raise Unavailable(
                    f"whose fill {trade.trade_id} of {trade.symbol} is cannot be seen"
                )
            self._client_ids[trade.order_id] = order.client_id if order else trade.client_id
        trade = dataclasses.replace(trade, client_id=self._client_ids[trade.order_id])
        if not self.is_ours(trade.client_id):
            trade = dataclasses.replace(trade, client_id=await self._parent_of(trade))
        self._ledger.note_order(trade)
        self._client_ids.pop(trade.order_id, None)
        self._not.pop(trade.order_id, None)
        return trade

    async def _parent_of(self, trade: Trade) -> str:
        # The conditional order of ours that became a strange order; else the strange one's own id.
        no = self._not.setdefault(trade.order_id, set())
        for client_id in self._ledger.algo_ids(trade.symbol):
            if client_id not in no:
                algo = await self._exchange.algo(client_id)
                if algo is not None and algo.child_id == trade.order_id:
                    return client_id
                no.add(client_id)
        return trade.client_id

    # Orders.

    def stands(self, symbol: str, client_id: str, exchange_id: int) -> None:
        """Take in that the stream tells of an order: it has arrived."""
        sent = self._ledger.books[symbol].sent.get(client_id)
        if sent is None:
            return
        sent.heard = exchange_id
        if sent.state == "unknown" or sent.is_lost:
            self.answer(sent.intent, "accepted", exchange_id)
            self._wake(symbol)

    def triggered(self, algo: AlgoState) -> None:
        """Take in which order a conditional one has become."""
        sent = self._ledger.books[algo.symbol].sent.get(algo.client_id)
        if sent is not None and algo.child_id:
            sent.child = algo.child_id

    def adopt(self, symbol: str, there: Iterable[AlgoState]) -> None:
        """Take in stops of ours that stand on the exchange and are not known to stand.

        Their answers were lost, or a machine died before their intents were on the disk.
        """
        book, held = self._ledger.books[symbol], int(self._ledger.position(symbol).steps)
        for algo in there:
            known, sent = parse(algo.client_id), book.sent.get(algo.client_id)
            if known is None or known.leg not in "sw" or not self.is_ours(algo.client_id):
                continue
            if sent is None:
                intent = Intent(
                    n=0,
                    id=algo.client_id,
                    symbol=symbol,
                    leg="s",
                    side=algo.side,
                    steps=0 if known.leg == "s" else abs(held),
                    level=float(algo.trigger),
                    decided_at=known.decided_at,
                    time=self._clock.now_ms(),
                )
                self._writer.write(intent)
                self.answer(intent, "accepted", algo.exchange_id)
            elif sent.is_lost or sent.state in ("intent", "unknown"):
                self.answer(sent.intent, "accepted", algo.exchange_id)

    async def look_at_order(self, sent: Sent) -> None:
        """Ask what became of a market order that the exchange has taken."""
        found = await self._exchange.order(sent.intent.symbol, sent.intent.id)
        if found is not None:
            await self._take_state(sent, found)
        elif self._clock.now_ms() - sent.intent.time > READ_LAG_MS:
            self.answer(sent.intent, "gone", 0, 0, "not to be found")

    async def look_at_algo(self, sent: Sent) -> None:
        """Ask what became of a conditional order that is no longer listed."""
        algo = await self._exchange.algo(sent.intent.id)
        age_ms = self._clock.now_ms() - sent.intent.time
        if age_ms < READ_LAG_MS if algo is None else algo.is_open:
            return
        await self.end_algo(sent, algo, "no longer open")

    async def end_algo(self, sent: Sent, found: AlgoState | None, text: str = "") -> None:
        """Take in that a conditional order is over, with the fills that it may have brought."""
        sent.child = found.child_id if found else 0
        await self.fetch_trades(sent.intent.symbol)
        if sent.open or sent.is_lost:
            self.answer(sent.intent, "gone", found.exchange_id if found else 0, text=text)
            self._wake(sent.intent.symbol)

    async def resolve(self, sent: Sent, cover: Callable[[Sent], Awaitable[None]]) -> None:
        """Find out what became of an order of unknown fate.

        Parameters
        ----------
        cover : callable
            Places the stop that an entry needs while it may have filled.
        """
        if sent.state == "accepted":
            sent.asked = self._clock.now_ms()
            # It may have filled long ago: it needs its stop as one of unknown fate does.
            try:
                await self.look_at_order(sent)
            except Unavailable:
                await cover(sent)
                raise
            if sent.open and not sent.filled:
                await cover(sent)
        elif sent.intent.leg == "e":
            await self._resolve_entry(sent, cover)
        else:
            await self._resolve_soon(sent)

    async def _take_state(self, sent: Sent, found: OrderState) -> None:
        intent = sent.intent
        await self.fetch_trades(intent.symbol)
        if sent.open and sent.state != "accepted":  # a fill just booked may have ended it
            self.answer(intent, "accepted", found.exchange_id)
        filled = steps(found.filled, self._ledger.rules[intent.symbol])
        # Its fills may still be on the way; without them it is not over for us.
        if sent.open and not found.is_open and sent.filled >= filled:
            self.answer(intent, "gone", found.exchange_id, 0, found.status.lower())

    async def _resolve_soon(self, sent: Sent) -> None:
        # A stop that may be missing is urgent, and so is an exit: three questions, then the next
        # attempt goes out. The exchange refuses a second stop beside the first, and says so; of
        # orders that only reduce, two close no more than one. What is given up for lost can still
        # arrive, so nothing enters before it no longer can.
        for question in range(3):
            found: AlgoState | OrderState | None = None
            with suppress(Unavailable):  # silence is no reason to wait longer
                found = await self._ask(sent)
            if isinstance(found, OrderState):
                await self._take_state(sent, found)
                return
            if found is not None and found.is_open:
                self.answer(sent.intent, "accepted", found.exchange_id)
                return
            if found is not None:
                await self.end_algo(sent, found)
                return
            await self._clock.pass_until(self._clock.now_ms() + 200 * (question + 1))
            if sent.state not in ("intent", "unknown"):  # the stream has told of it
                return
        self.answer(sent.intent, "absent", again=True)

    async def _ask(self, sent: Sent) -> AlgoState | OrderState | None:
        if sent.intent.leg in CONDITIONAL_LEGS:
            return await self._exchange.algo(sent.intent.id)
        return await self._exchange.order(sent.intent.symbol, sent.intent.id)

    async def _resolve_entry(self, sent: Sent, cover: Callable[[Sent], Awaitable[None]]) -> None:
        negatives, proof = 0, (sent.left or self._began_ms) + PROOF_MS
        back_off = BackOff()
        if self._clock.now_ms() - sent.intent.time >= _HUNG_MS:
            await cover(sent)
        while sent.state in ("intent", "unknown"):  # a fill may be told meanwhile
            asked = self._clock.now_ms()
            try:
                found = await self._exchange.order(sent.intent.symbol, sent.intent.id)
                if found is not None:
                    await self._take_state(sent, found)
                    return
                negatives += asked >= proof
                await cover(sent)
                if negatives >= NEGATIVES and not await self._shows_up(sent):
                    self.answer(sent.intent, "absent", again=True)
                    return
                back_off.reset()
            except Unavailable as error:
                log.warning("order=%s unavailable=%s", sent.intent.id, error)
                await cover(sent)
                await back_off.wait(error)
                continue
            early = asked + _ASK_EARLY_MS < proof
            await self._clock.pass_until(asked + _ASK_EARLY_MS if early else asked + _ASK_MS)

    async def _shows_up(self, sent: Sent) -> bool:
        symbol = sent.intent.symbol
        await self.fetch_trades(symbol)
        orders = await self._exchange.open_orders(symbol)
        held = [one.qty for one in await self._exchange.holdings() if one.symbol == symbol]
        there = steps(held[0], self._ledger.rules[symbol]) if held else 0
        return (
            any(one.client_id == sent.intent.id for one in orders)
            or there != int(self._ledger.position(symbol).steps)
            or not sent.open
        )
