"""From plans to orders: one worker a symbol does what `live.plan` says until nothing is left.

Every order's intent is in the journal before it leaves; an entry's is on the disk. An answer is
accepted, rejected or unknown, and an unknown one is asked about, never guessed.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from live import plan
from live.clock import Clock
from live.decimals import price_text, qty_text, steps, units
from live.exchange.port import (
    Accepted,
    AlgoKind,
    AlgoState,
    Exchange,
    Holding,
    OrderState,
    Outcome,
    Rejected,
    Side,
    Trade,
    Unavailable,
    Unknown,
)
from live.journal import Answered, Dropped, Halted, Intent, Leg
from live.ledger import Ledger, Sent
from live.order_ids import OrderId, parse
from live.risk_manager import Approval, RiskManager
from live.writer import Writer
from strategy.errors import RunRefused
from strategy.fills import slipped, stop_level

log = logging.getLogger(__name__)

RECV_WINDOW_MS = 2_000
# After this long, and four negative answers, an order that nobody knows was never there.
PROOF_MS = RECV_WINDOW_MS + 2_000
NEGATIVES = 4
BACK_OFF_S = 0.05
# A market order fills at once or not at all: when nobody reports on it, it is asked for.
ASK_AFTER_MS = 1_000
# What was just placed may not be found for some seconds.
READ_LAG_MS = 10_000
_ALGO: dict[str, AlgoKind] = {"s": "STOP_MARKET", "p": "STOP_MARKET", "t": "TAKE_PROFIT_MARKET"}


class TradeExecutor:
    """The workers of all symbols.

    Parameters
    ----------
    against : callable
        Says why no entry may leave right now for a reason that passes, empty for none.
    on_quiet : callable
        Called whenever the last busy worker has nothing left to do.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        exchange: Exchange,
        clock: Clock,
        risk: RiskManager,
        against: Callable[[], str],
        on_quiet: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._exchange = exchange
        self._clock = clock
        self._risk = risk
        self._against = against
        self._on_quiet = on_quiet
        self._wakes = {symbol: asyncio.Event() for symbol in ledger.symbols}
        self._busy: set[str] = set()
        self._unanswered: set[asyncio.Task[Outcome]] = set()
        self.reported = dict.fromkeys(ledger.symbols, 0)  # signed steps, in the exchange's words
        self.heard = dict.fromkeys(ledger.symbols, 0)  # how often the private stream told them

    @property
    def quiet(self) -> bool:
        """Whether no worker has anything to do."""
        return not self._busy

    def hold(self, token: str) -> None:
        """Count as busy until `release`, for work outside the workers."""
        self._busy.add(token)

    def release(self, token: str) -> None:
        """End a `hold`."""
        self._busy.discard(token)
        if not self._busy:
            self._on_quiet()

    def wake(self, symbol: str | None = None) -> None:
        """Let a symbol's worker, or all, look at the ledger again."""
        for one in (symbol,) if symbol else self._ledger.symbols:
            self._busy.add(one)
            self._wakes[one].set()

    def hear_holdings(self, holdings: Iterable[Holding]) -> None:
        """Take in positions that the private stream tells."""
        for one in holdings:
            if one.symbol in self.reported:
                self.heard[one.symbol] += 1
                self.reported[one.symbol] = steps(one.qty, self._ledger.rules[one.symbol])
                self.wake(one.symbol)

    def take_holdings(self, holdings: Iterable[Holding], heard: dict[str, int]) -> None:
        """Take in all positions there are, as asked for when `heard` was the count of what the
        stream had told: what it told since is newer."""
        there = {one.symbol: one.qty for one in holdings}
        for symbol, rules in self._ledger.rules.items():
            if self.heard[symbol] == heard[symbol]:
                self.reported[symbol] = steps(there.get(symbol, "0"), rules)
                self.wake(symbol)

    async def work(self, symbol: str) -> None:
        """Do what there is to do on one symbol, for ever."""
        while True:
            await self._wakes[symbol].wait()
            self._wakes[symbol].clear()
            while action := self._next(symbol):
                try:
                    await self._do(symbol, action)
                except Unavailable as error:
                    log.warning("symbol=%s action=%s unavailable=%s", symbol, action, error)
                    await asyncio.sleep(max(error.retry_after_ms / 1000, BACK_OFF_S))
            if not self._wakes[symbol].is_set():
                self.release(symbol)

    def _next(self, symbol: str) -> plan.Action | None:
        now = self._clock.now_ms()
        action = plan.next_action(self._ledger, symbol, now)
        if action is not None:
            return action
        for sent in self._ledger.books[symbol].legs("exq"):
            if now - max(sent.intent.time, sent.asked) >= ASK_AFTER_MS:
                return plan.Resolve(sent)
        return None

    def book(self, trade: Trade) -> bool:
        """Book a fill if it is new; the fee in another coin than USDT is left to its own line.

        One of an order that is not ours halts entries.
        """
        if trade.symbol not in self._ledger.books or not self._ledger.is_new(trade):
            return False
        fee = units(trade.fee) if trade.fee_asset == "USDT" else 0
        record = self._ledger.booked(trade, fee, units(trade.pnl), trade.time)
        self._writer.write(record)
        if not record.leg and not self._ledger.halted:
            self.halt(f"{trade.symbol}: a fill of an order that is not ours")
        self.wake(trade.symbol)
        return True

    def halt(self, reason: str) -> None:
        """Let no more entries out until a person says so."""
        log.error("halted=%s", reason)
        self._writer.write(Halted(n=0, reason=reason, time=self._clock.now_ms()))

    async def fetch_trades(self, symbol: str, *, newest: bool = False) -> None:
        """Book every fill that the exchange knows and we do not; `newest` looks at the last
        hundred, however old."""
        first = None if newest else self._ledger.books[symbol].settled + 1
        for trade in await self._exchange.trades(symbol, first):
            if self._ledger.is_new(trade):
                self.book(trade if trade.client_id else await self._named(trade))

    async def _named(self, trade: Trade) -> Trade:
        order = await self._exchange.order_of(trade.symbol, trade.order_id)
        if order is None and self._clock.now_ms() - trade.time < READ_LAG_MS:
            raise Unavailable(f"{trade.symbol}: whose fill {trade.trade_id} is cannot be seen yet")
        return dataclasses.replace(trade, client_id=order.client_id if order else "")

    async def _do(self, symbol: str, action: plan.Action) -> None:
        match action:
            case plan.Resolve(sent):
                await self._resolve(sent)
            case plan.Protect(leg, level, steps):
                await self._protect(symbol, leg, level, steps)
            case plan.Cancel(sent):
                await self._cancel(symbol, sent.intent.id)
            case plan.Close(leg, steps, decided_at):
                await self._close(symbol, leg, steps, decided_at)
            case plan.Clean():
                await self._clean(symbol)
            case plan.Enter():
                await self._enter(symbol)
            case plan.Drop(reason):
                self._drop(symbol, reason)

    async def _enter(self, symbol: str) -> None:
        # Our fills say that the symbol is flat; the exchange's own word is the second source.
        holds = "the exchange still reports a position" if self.reported[symbol] else ""
        leave = self._risk.approve(
            self._ledger,
            symbol,
            self._clock.now_ms(),
            self._writer.broken or self._against() or holds,
        )
        if isinstance(leave, Approval):
            await self._send_entry(leave)
        elif leave.passing:
            await asyncio.sleep(BACK_OFF_S)
        else:
            self._drop(symbol, leave.reason)

    async def _send_entry(self, leave: Approval) -> None:
        side: Side = "BUY" if leave.side > 0 else "SELL"
        qty = qty_text(leave.steps, self._ledger.rules[leave.symbol])

        async def send(client_id: str) -> Outcome:
            return await self._exchange.place_market(client_id, leave.symbol, side, qty, False)

        outcome = await self._send(
            leave.symbol, "e", side, leave.steps, 0.0, leave.decided_at, send
        )
        if isinstance(outcome, Rejected) and outcome.retry:
            await self._wait_before_retry(leave.symbol, "e", leave.decided_at)

    async def _close(self, symbol: str, leg: str, steps: int, decided_at: int) -> None:
        side: Side = "SELL" if steps > 0 else "BUY"
        qty = qty_text(steps, self._ledger.rules[symbol])

        async def send(client_id: str) -> Outcome:
            return await self._exchange.place_market(client_id, symbol, side, qty, True)

        outcome = await self._send(symbol, leg, side, abs(steps), 0.0, decided_at, send)
        if isinstance(outcome, Rejected):
            # Most likely the position is gone already and its fill is still on the way.
            await self.fetch_trades(symbol)
            await self._wait_before_retry(symbol, leg, decided_at)

    async def _protect(self, symbol: str, leg: str, level: float, steps: int) -> None:
        book, position = self._ledger.books[symbol], self._ledger.position(symbol)
        side: Side = "SELL" if position.steps > 0 else "BUY"
        await self._place_algo(symbol, leg, side, level, steps, book.opened_at)

    async def _place_algo(
        self, symbol: str, leg: str, side: Side, level: float, steps: int, decided_at: int
    ) -> None:
        rules = self._ledger.rules[symbol]
        qty = qty_text(steps, rules) if steps else None
        trigger = price_text(level, rules)

        async def send(client_id: str) -> Outcome:
            return await self._exchange.place_algo(
                client_id, symbol, side, _ALGO[leg], trigger, qty
            )

        outcome = await self._send(symbol, leg, side, steps, level, decided_at, send)
        if isinstance(outcome, Rejected) and outcome.retry:
            await self._wait_before_retry(symbol, leg, decided_at)

    async def _send(
        self,
        symbol: str,
        leg: str,
        side: Side,
        steps: int,
        level: float,
        decided_at: int,
        send: Callable[[str], Coroutine[Any, Any, Outcome]],
    ) -> Outcome:
        attempt = self._attempts(symbol, leg, decided_at) + 1
        at = self._ledger.index[symbol]
        client_id = str(OrderId(self._ledger.session.tag, at, decided_at, leg, attempt))
        intent = Intent(
            n=0,
            id=client_id,
            symbol=symbol,
            leg=_leg(leg),
            side=side,
            steps=steps,
            level=level,
            decided_at=decided_at,
            time=self._clock.now_ms(),
        )
        try:
            self._writer.write(intent, durable=leg == "e", needed=leg == "e")
        except RunRefused as error:
            self._drop(symbol, error.message)
            return Rejected(0, error.message)
        outcome = await self._answered(self._ledger.books[symbol].sent[client_id], send(client_id))
        self._answer(intent, outcome)
        return outcome

    async def _answered(self, sent: Sent, request: Coroutine[Any, Any, Outcome]) -> Outcome:
        # An answer may take seconds to get lost. A fill that is told meanwhile says as much, and
        # what it opened needs its stop now.
        task, wake = asyncio.create_task(request), self._wakes[sent.intent.symbol]
        while not task.done() and not sent.filled:
            wake.clear()
            woken = asyncio.create_task(wake.wait())
            await asyncio.wait((task, woken), return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        if task.done():
            return task.result()
        self._unanswered.add(task)
        task.add_done_callback(self._unanswered.discard)
        return Accepted()

    def _attempts(self, symbol: str, leg: str, decided_at: int) -> int:
        sent = self._ledger.books[symbol].sent.values()
        return sum(s.intent.leg == leg and s.intent.decided_at == decided_at for s in sent)

    def _answer(self, intent: Intent, outcome: Outcome) -> None:
        match outcome:
            case Accepted(exchange_id):
                self._write_answer(intent, "accepted", exchange_id)
            case Rejected(code, text, retry):
                self._write_answer(intent, "rejected", 0, code, text, retry)
            case _:
                self._write_answer(intent, "unknown", 0, 0, outcome.text)

    def _write_answer(
        self,
        intent: Intent,
        state: str,
        exchange_id: int = 0,
        code: int = 0,
        text: str = "",
        again: bool = False,
    ) -> None:
        self._writer.write(
            Answered(
                n=0,
                id=intent.id,
                symbol=intent.symbol,
                state=state,  # type: ignore[arg-type]  # checked by every caller above
                exchange_id=exchange_id,
                code=code,
                text=text,
                time=self._clock.now_ms(),
                again=again,
            )
        )

    async def _wait_before_retry(self, symbol: str, leg: str, decided_at: int) -> None:
        # While a position is naked, the exchange is asked more often.
        tries = min(self._attempts(symbol, leg, decided_at), 4 if leg in "sq" else 6)
        await self._clock.pass_until(self._clock.now_ms() + 100 * 2**tries)

    def _drop(self, symbol: str, reason: str) -> None:
        order = self._ledger.order(symbol)
        self._writer.write(
            Dropped(
                n=0,
                symbol=symbol,
                decided_at=int(order.decided_at),
                reason=reason,
                time=self._clock.now_ms(),
            )
        )

    async def _cancel(self, symbol: str, client_id: str) -> None:
        outcome = await self._exchange.cancel_algo(client_id)
        sent = self._ledger.books[symbol].sent.get(client_id)
        if isinstance(outcome, Unknown) or (isinstance(outcome, Rejected) and outcome.retry):
            raise Unavailable(f"{client_id} may not be cancelled: {outcome.text}")
        if isinstance(outcome, Accepted) and sent:
            self._write_answer(sent.intent, "gone")
        elif isinstance(outcome, Rejected) and sent:
            # It may just have triggered: what it is now decides.
            await self._look_at_algo(sent, outcome.text)

    async def _look_at_algo(self, sent: Sent, text: str) -> None:
        found = await self._exchange.algo(sent.intent.id)
        if found is None or not found.is_open:
            await self.fetch_trades(sent.intent.symbol)
            self._write_answer(sent.intent, "gone", 0, 0, text)
        else:
            raise Unavailable(f"{sent.intent.id} is {found.status} and will not be cancelled")

    async def _clean(self, symbol: str) -> None:
        # The list, not our memory, says what is left, and our memory what the list may not show
        # yet: what was just placed, and what was given up for lost and may still arrive.
        book = self._ledger.books[symbol]
        if lost := [one for one in book.left_over() if one.is_lost]:
            arrived = max(one.intent.time for one in lost) + PROOF_MS
            if self._clock.now_ms() < arrived:
                await self._clock.pass_until(arrived)
        ours = [algo for algo in await self._exchange.open_algos(symbol) if self.is_ours(algo)]
        for algo in ours:
            await self._cancel(symbol, algo.client_id)
        if ours:
            return
        for sent in book.left_over():
            if sent.intent.leg == "q":
                self._write_answer(sent.intent, "gone")
            else:
                await self._cancel(symbol, sent.intent.id)

    def is_ours(self, algo: AlgoState) -> bool:
        """Say whether this session placed a conditional order."""
        known = parse(algo.client_id)
        return known is not None and known.tag == self._ledger.session.tag

    async def _resolve(self, sent: Sent) -> None:
        if sent.intent.leg in "stp":
            await self._resolve_algo(sent)
        elif sent.state == "accepted":
            sent.asked = self._clock.now_ms()
            await self.look_at_order(sent)
        elif sent.intent.leg == "q":
            await self._resolve_close(sent)
        else:
            await self._resolve_order(sent)

    async def look_at_order(self, sent: Sent) -> None:
        """Ask what became of a market order that the exchange has taken."""
        found = await self._exchange.order(sent.intent.symbol, sent.intent.id)
        if found is not None:
            await self._take_state(sent, found)
        elif self._clock.now_ms() - sent.intent.time > READ_LAG_MS:
            self._write_answer(sent.intent, "gone", 0, 0, "not to be found")

    async def _take_state(self, sent: Sent, found: OrderState) -> None:
        intent = sent.intent
        await self.fetch_trades(intent.symbol)
        if sent.open and sent.state != "accepted":  # a fill just booked may have ended it
            self._write_answer(intent, "accepted", found.exchange_id)
        filled = steps(found.filled, self._ledger.rules[intent.symbol])
        # Its fills may still be on the way; without them it is not over for us.
        if sent.open and not found.is_open and sent.filled >= filled:
            self._write_answer(intent, "gone", found.exchange_id, 0, found.status.lower())

    async def _resolve_algo(self, sent: Sent) -> None:
        # A stop that may be missing is urgent: three questions, then the next attempt goes out.
        # Should the first turn up after all, two stops for one position do no harm.
        for question in range(3):
            found = None
            with suppress(Unavailable):  # silence is no reason to wait longer
                found = await self._exchange.algo(sent.intent.id)
            if found is not None:
                state = "accepted" if found.is_open else "gone"
                if state == "gone":
                    await self.fetch_trades(sent.intent.symbol)
                self._write_answer(sent.intent, state, found.exchange_id)
                return
            await self._clock.pass_until(self._clock.now_ms() + 200 * (question + 1))
        self._write_answer(sent.intent, "absent", again=True)

    async def _resolve_close(self, sent: Sent) -> None:
        # As urgent as a stop; two reduce-only orders close no more than one.
        for question in range(3):
            with suppress(Unavailable):
                found = await self._exchange.order(sent.intent.symbol, sent.intent.id)
                if found is not None:
                    await self._take_state(sent, found)
                    return
            await self._clock.pass_until(self._clock.now_ms() + 200 * (question + 1))
            if sent.state not in ("intent", "unknown"):
                return
        self._write_answer(sent.intent, "absent", again=True)

    async def _resolve_order(self, sent: Sent) -> None:
        negatives, proof = 0, sent.intent.time + PROOF_MS
        while sent.state in ("intent", "unknown"):  # a fill may be told meanwhile
            try:
                found = await self._exchange.order(sent.intent.symbol, sent.intent.id)
                if found is not None:
                    await self._take_state(sent, found)
                    return
                negatives += 1
                await self._cover(sent)
                proven = negatives >= NEGATIVES and self._clock.now_ms() >= proof
                if proven and not await self._shows_up(sent):
                    self._write_answer(sent.intent, "absent", again=True)
                    return
            except Unavailable as error:
                log.warning("order=%s unavailable=%s", sent.intent.id, error)
                await self._cover(sent)
                await asyncio.sleep(max(error.retry_after_ms / 1000, BACK_OFF_S))
                continue
            now = self._clock.now_ms()
            if now < proof:
                await self._clock.pass_until(min(proof, now + PROOF_MS // NEGATIVES))
            else:
                await asyncio.sleep(BACK_OFF_S)

    async def _shows_up(self, sent: Sent) -> bool:
        symbol = sent.intent.symbol
        await self.fetch_trades(symbol)
        listed = any(
            o.client_id == sent.intent.id for o in await self._exchange.open_orders(symbol)
        )
        return listed or not sent.open

    async def _cover(self, sent: Sent) -> None:
        # While an entry may have filled, the position it would have made must have a stop: at the
        # level from the decision's price until the fill is known.
        symbol, at = sent.intent.symbol, self._ledger.index[sent.intent.symbol]
        order, grids = self._ledger.order(symbol), self._ledger.grids[at]
        covered = self._ledger.books[symbol].legs("sp")
        if sent.intent.leg != "e" or not order.side or covered:
            return
        side = int(order.side)
        fill = float(slipped(order.price, side, self._ledger.session.slippage, grids))
        level = float(stop_level(fill, order.stop_distance, side, grids))
        closes: Side = "SELL" if side > 0 else "BUY"
        steps = int(order.steps)
        await self._place_algo(symbol, "p", closes, level, steps, int(order.decided_at))


def _leg(text: str) -> Leg:
    return text  # type: ignore[return-value]  # the plan names legs only
