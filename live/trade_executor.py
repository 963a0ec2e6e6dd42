"""From plans to orders: one worker a symbol does what `live.plan` says until nothing is left.

Every order's intent is in the journal before it leaves; an entry's is on the disk. An answer is
accepted, rejected or unknown, and an unknown one is asked about, never guessed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from live import plan
from live.clock import Clock
from live.decimals import price_text, qty_text, steps
from live.exchange.errors import NOTHING_TO_REDUCE, STANDS_ALREADY
from live.exchange.port import (
    Accepted,
    AlgoKind,
    Exchange,
    Holding,
    Outcome,
    Rejected,
    Side,
    Unavailable,
    Unknown,
)
from live.inquiries import BACK_OFF_S, PROOF_MS, BackOff, Inquiries
from live.journal_records import Dropped, Intent, Leg
from live.ledger import Ledger
from live.order_ids import MARKET_LEGS
from live.risk_manager import Approval, RiskManager
from live.symbol_book import Sent
from live.writer import Writer
from strategy.errors import RunRefused
from strategy.fills import slipped, stop_level

log = logging.getLogger(__name__)

# A market order fills at once or not at all: when nobody reports on it, it is asked for.
ASK_AFTER_MS = 1_000
_LOOK_MS = 1_000
_ALGO: dict[str, AlgoKind] = {
    "s": "STOP_MARKET",
    "w": "STOP_MARKET",
    "p": "STOP_MARKET",
    "t": "TAKE_PROFIT_MARKET",
    "a": "TAKE_PROFIT_MARKET",
    "b": "TAKE_PROFIT_MARKET",
}


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
        self.inquiries = Inquiries(ledger, writer, exchange, clock, self.wake)
        self.trouble = ""  # why the exchange did not answer the last question
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
        back_off = BackOff()
        while True:
            await self._wakes[symbol].wait()
            self._wakes[symbol].clear()
            while action := self._next(symbol):
                try:
                    await self._do(symbol, action)
                    back_off.reset()
                    self.trouble = ""
                except Unavailable as error:
                    log.warning("symbol=%s action=%s unavailable=%s", symbol, action, error)
                    self.trouble = str(error)
                    await back_off.wait(error)
            if not self._wakes[symbol].is_set():
                self.release(symbol)

    def _next(self, symbol: str) -> plan.Action | None:
        now = self._clock.now_ms()
        action = plan.next_action(self._ledger, symbol, now)
        # What may change the position is known before anything is built on it; a stop comes first.
        waits = action is None or isinstance(action, plan.Clean | plan.Enter)
        if waits and self.inquiries.has_strange(symbol):
            return plan.Identify()
        if isinstance(action, plan.Close) and not self.reported[symbol]:
            # Nothing is there, says the exchange, and has refused to close it: either its fill is
            # still to come, or the reconciliation finds the difference.
            last = self._ledger.last(symbol, action.leg, action.decided_at)
            if last is not None and last.code == NOTHING_TO_REDUCE:
                return None
        if action is not None:
            return action
        for sent in self._ledger.books[symbol].legs(MARKET_LEGS):
            if now - max(sent.intent.time, sent.asked) >= ASK_AFTER_MS:
                return plan.Resolve(sent)
        return None

    async def _do(self, symbol: str, action: plan.Action) -> None:
        match action:
            case plan.Resolve(sent):
                await self.inquiries.resolve(sent, self._cover)
            case plan.Identify():
                await self.inquiries.identify(symbol)
            case plan.Protect():
                await self._protect(symbol, action)
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
            await self.inquiries.fetch_trades(symbol)
            if outcome.code == NOTHING_TO_REDUCE:
                heard = dict(self.heard)
                self.take_holdings(await self._exchange.holdings(), heard)
            await self._wait_before_retry(symbol, leg, decided_at)

    async def _protect(self, symbol: str, wanted: plan.Protect) -> None:
        side: Side = "SELL" if self._ledger.position(symbol).steps > 0 else "BUY"
        outcome = await self._place_algo(
            symbol, wanted.leg, side, wanted.level, wanted.steps, wanted.decided_at
        )
        if isinstance(outcome, Rejected) and outcome.code == STANDS_ALREADY:
            self.inquiries.adopt(symbol, await self._exchange.open_algos(symbol))

    async def _place_algo(
        self, symbol: str, leg: str, side: Side, level: float, steps: int, decided_at: int
    ) -> Outcome:
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
        return outcome

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
        client_id = self._ledger.next_id(symbol, leg, decided_at)
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
        sent = self._ledger.books[symbol].sent[client_id]
        sent.left = self._clock.now_ms()
        outcome = await self._answered(sent, send(client_id))
        if isinstance(outcome, Unknown) and sent.heard:  # the stream has told of it
            outcome = Accepted(sent.heard)
        self._take_answer(intent, outcome)
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

    def _take_answer(self, intent: Intent, outcome: Outcome) -> None:
        match outcome:
            case Accepted(exchange_id):
                self.inquiries.answer(intent, "accepted", exchange_id)
            case Rejected(code, text, retry):
                self.inquiries.answer(intent, "rejected", 0, code, text, retry)
            case _:
                self.inquiries.answer(intent, "unknown", text=outcome.text)

    async def _wait_before_retry(self, symbol: str, leg: str, decided_at: int) -> None:
        # While a position is naked, the exchange is asked more often.
        tries = min(self._ledger.attempts(symbol, leg, decided_at), 4 if leg in "sq" else 6)
        until = self._clock.now_ms() + 100 * 2**tries
        while (now := self._clock.now_ms()) < until:
            await self._clock.pass_until(min(until, now + _LOOK_MS))
            if leg not in "sq" and self._is_naked(symbol):
                return  # its stop was lost meanwhile

    def _is_naked(self, symbol: str) -> bool:
        held = bool(self._ledger.position(symbol).steps)
        return held and not self._ledger.books[symbol].legs("s")

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
            self.inquiries.answer(sent.intent, "gone")
        elif isinstance(outcome, Rejected) and sent:
            # It may just have triggered: what it is now decides.
            found = await self._exchange.algo(client_id)
            if found is not None and found.is_open:
                raise Unavailable(f"{client_id} is {found.status} and will not be cancelled")
            await self.inquiries.end_algo(sent, found, outcome.text)

    async def _clean(self, symbol: str) -> None:
        # The list, not our memory, says what is left, and our memory what the list may not show
        # yet: what was just placed, and what was given up for lost and may still arrive.
        book = self._ledger.books[symbol]
        if lost := [one for one in book.left_over() if one.is_lost]:
            arrived = max(one.intent.time for one in lost) + PROOF_MS
            if self._clock.now_ms() < arrived:
                await self._clock.pass_until(arrived)
        while ours := await self._ours(symbol):
            for client_id in ours:
                await self._cancel(symbol, client_id)
        for sent in book.left_over():
            if sent.intent.leg in MARKET_LEGS:
                self.inquiries.answer(sent.intent, "gone")
            else:
                await self._cancel(symbol, sent.intent.id)

    async def _ours(self, symbol: str) -> list[str]:
        there = await self._exchange.open_algos(symbol)
        return [one.client_id for one in there if self.inquiries.is_ours(one.client_id)]

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
