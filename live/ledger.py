"""What the journal's records add up to: the account, its positions, and the orders under way.

Every change is a record that was journaled first, so reading the journal again gives the same
ledger. Nothing here asks the exchange, Redis or a clock.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from live.decimals import steps, units
from live.exchange.port import FundingFee, Trade
from live.journal_records import (
    Answered,
    Asked,
    Began,
    Decided,
    Dropped,
    Filled,
    Funded,
    Halted,
    Held,
    Intent,
    Record,
)
from live.order_ids import CONDITIONAL_LEGS, MARKET_LEGS, OrderId, parse
from live.session import Session
from live.symbol_book import Closed, Sent, SymbolBook
from strategy.account import book_fill
from strategy.fills import stop_level, take_level
from strategy.grid import grid
from strategy.records import ACCOUNT, BY_FLATTEN, BY_STOP, EXIT_REASONS, ORDER, POSITION
from strategy.stops import set_parts

_REMEMBERED_TRADES = 10_000
_REMEMBERED_PAYMENTS = 10_000
_CLOCKS_APART_MS = 5_000  # between our time and the exchange's, and what a start takes
_LOST_ATTEMPTS = 4
_FOUND = ("accepted", "gone")  # what a lost order may turn out to be after all


class Ledger:
    """The state of one session.

    Attributes
    ----------
    account, positions, orders : record arrays
        As `strategy.account.step` takes them.
    decided : int
        Instant of the last decision, 0 before the first.
    closed : list of int
        How many candles of each symbol have been decided.
    halted : str
        Why entries stopped by themselves, empty while they have not.
    flattened : int
        When it was asked to hold nothing, 0 unless that still counts.
    paid_until : int
        Time of the newest funding payment, 0 before the first.
    """

    def __init__(self, session: Session) -> None:
        count = len(session.symbols)
        self.session = session
        self.symbols = session.symbols
        self.index = {symbol: i for i, symbol in enumerate(session.symbols)}
        self.risk = session.limits
        self.rules = dict(zip(session.symbols, session.rules, strict=True))
        texts = [
            grid(r.tick_size, r.step_size, r.min_qty, r.max_qty, r.min_notional)
            for r in session.rules
        ]
        self.grids: Any = np.concatenate(texts).view(np.recarray)
        self.account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
        self.account[0].day = -1
        self.positions: Any = np.zeros(count, POSITION).view(np.recarray)
        self.orders: Any = np.zeros(count, ORDER).view(np.recarray)
        self.books = {symbol: SymbolBook() for symbol in session.symbols}
        self.began = False
        self.began_ms = 0
        self.decided = 0
        self.closed = [0] * count
        self.paused = False
        self.halted = ""
        self.flattened = 0
        self.asked_entry = "0-0"
        self.refused: Counter[tuple[str, str]] = Counter()
        self.paid_until = 0
        self._payments: dict[int, None] = {}  # numbers of the newest ones, oldest first

    def apply(self, record: Record) -> None:
        """Take in one record of the journal."""
        match record:
            case Began():
                self._begin(record)
            case Decided():
                self._decide(record)
            case Intent():
                self._intend(record)
            case Answered():
                self._answer(record)
            case Dropped():
                self._drop(record)
            case Filled():
                self._fill(record)
            case Funded():
                self._fund(record)
            case Asked():
                self._ask(record)
            case Halted():
                self.halted = record.reason

    def position(self, symbol: str) -> Any:
        """Return a symbol's position record."""
        return self.positions[self.index[symbol]]

    def order(self, symbol: str) -> Any:
        """Return what the last decisions ask for on a symbol."""
        return self.orders[self.index[symbol]]

    def is_new(self, trade: Trade) -> bool:
        """Whether a fill has not been booked yet; trades before the session never are."""
        book = self.books[trade.symbol]
        if trade.time < self.began_ms - _CLOCKS_APART_MS:
            return False  # the exchange's answer at the start does not show what is a week old
        return trade.trade_id > book.before and trade.trade_id not in book.seen

    def is_new_payment(self, fee: FundingFee) -> bool:
        """Whether a funding payment is this session's and has not been booked yet."""
        ours = fee.symbol in self.books and fee.time >= self.began_ms - _CLOCKS_APART_MS
        return ours and fee.number not in self._payments

    def funded(self, fee: FundingFee, *, guess: bool) -> Funded | None:
        """Turn a funding payment into the record that books it, without booking it; None where no
        known trade held the symbol at its time, unless one is to be guessed."""
        book = self.books[fee.symbol]
        opened = book.trade_at(fee.time)
        if opened is None and not guess:
            return None
        return Funded(
            n=0,
            symbol=fee.symbol,
            number=fee.number,
            payment=-units(fee.income),
            time=fee.time,
            opened=book.trade_near(fee.time) if opened is None else opened,
        )

    def claimed(self, trade: Trade) -> Trade:
        """Give a fill the id of the order of ours that it belongs to, where its own is not ours."""
        if parse(trade.client_id):
            return trade
        for sent in self.books[trade.symbol].sent.values():
            plain = sent.intent.leg in MARKET_LEGS
            if trade.order_id in ((sent.exchange_id, sent.heard) if plain else (sent.child,)):
                return replace(trade, client_id=sent.intent.id)
        return trade

    def algo_ids(self, symbol: str) -> list[str]:
        """Return the ids of conditional orders that a strange fill may come from: those known, and
        some of the next ones, whose intents a machine may have taken with it."""
        book = self.books[symbol]
        conditional = [one for one in book.sent.values() if one.intent.leg in CONDITIONAL_LEGS]
        found = [one.intent.id for one in conditional]
        for leg in CONDITIONAL_LEGS:
            if decided_at := book.moved_at if leg == "w" else book.opened_at:
                ahead = range(1, _LOST_ATTEMPTS + 1)
                found += [self.next_id(symbol, leg, decided_at, one) for one in ahead]
        return found

    def next_id(self, symbol: str, leg: str, decided_at: int, ahead: int = 1) -> str:
        """Return the id of the next attempt at an order, or of one further ahead."""
        attempt = self.attempts(symbol, leg, decided_at) + ahead
        return str(OrderId(self.session.tag, self.index[symbol], decided_at, leg, attempt))

    def last(self, symbol: str, leg: str, decided_at: int) -> Sent | None:
        """Return the newest attempt at an order, None before the first."""
        found = [
            sent
            for sent in self.books[symbol].sent.values()
            if sent.intent.leg == leg and sent.intent.decided_at == decided_at
        ]
        return found[-1] if found else None

    def attempts(self, symbol: str, leg: str, decided_at: int) -> int:
        """Count the attempts at an order."""
        sent = self.books[symbol].sent.values()
        return sum(s.intent.leg == leg and s.intent.decided_at == decided_at for s in sent)

    def note_order(self, trade: Trade) -> None:
        """Remember the number of the order that a fill belongs to, for its other fills."""
        sent = self.books[trade.symbol].sent.get(trade.client_id)
        if sent is not None and sent.intent.leg in MARKET_LEGS:
            sent.heard = trade.order_id
        elif sent is not None:
            sent.child = trade.order_id

    def booked(self, trade: Trade, fee: int, pnl: int, time: int) -> Filled:
        """Turn a fill into the record that books it, without booking it."""
        symbol = trade.symbol
        at = self.index[symbol]
        grids, order = self.grids[at], self.orders[at]
        known = parse(trade.client_id)
        ours = known if known and known.tag == self.session.tag else None
        leg = ours.leg if ours else ""
        known_order = self.books[symbol].sent.get(trade.client_id)
        signed = steps(trade.qty, self.rules[symbol]) * (1 if trade.side == "BUY" else -1)
        copy: Any = self.positions[at : at + 1].copy().view(np.recarray)
        position = copy[0]
        was = int(position.steps)
        book_fill(position, grids, signed, float(trade.price))
        held = int(position.steps)
        opens = abs(held) > abs(was) or was * held < 0
        stop, take = float(position.stop_level), float(position.take_level)
        if held == 0:
            stop = take = 0.0
        elif opens and leg == "e":
            side, entry = (1 if held > 0 else -1), float(position.entry)
            # The base stop is placed at the first trade and never moved.
            stop = float(stop_level(entry, order.stop_distance, side, grids)) if was == 0 else stop
            if order.take_distance > 0.0:
                take = float(take_level(entry, order.take_distance, side, grids))
        return Filled(
            n=0,
            symbol=symbol,
            trade_id=trade.trade_id,
            id=trade.client_id,
            leg=leg,
            steps=signed,
            price=float(trade.price),
            fee=fee,
            pnl=pnl,
            time=time,
            held=held,
            entry=float(position.entry),
            reason="" if opens else self._reason(leg, order, position),
            stop=stop,
            take=take,
            decided_at=ours.decided_at if ours else 0,
            reversal=bool(order.reversal) and leg == "e",
            level=known_order.intent.level if known_order else 0.0,
        )

    def _reason(self, leg: str, order: Any, position: Any) -> str:
        if leg == "x":
            return EXIT_REASONS[order.close_reason]
        if leg in ("w", "q"):
            return EXIT_REASONS[position.stop_reason]
        words = {"s": "stop", "p": "stop", "t": "take", "a": "take", "b": "take"}
        return words.get(leg, "foreign")

    def _begin(self, record: Began) -> None:
        self.began, self.began_ms = True, record.time
        self.account[0].wallet = record.wallet
        self.account[0].equity = record.wallet / 1e8
        for symbol, trade_id in record.last_trade.items():
            book = self.books[symbol]
            book.last_trade = book.settled = book.before = trade_id

    def _decide(self, record: Decided) -> None:
        account = self.account[0]
        self.decided = record.time
        account.wallet, account.equity = record.wallet, record.equity
        account.day, account.day_open = record.day, record.day_open
        account.blocked = int(record.blocked)
        for position, mark in zip(self.positions, record.marks, strict=True):
            position.mark = mark
        self.closed = list(record.closed) or self.closed
        for held in record.held:
            self._move(held, record.time)
        for symbol, reasons in record.refused.items():
            for reason, count in reasons.items():
                self.refused[symbol, reason] += count
        for one in record.orders:
            order = self.order(one.symbol)
            if one.close_reason:
                order.close_reason = one.close_reason
            if one.side:
                order.side, order.steps, order.price = one.side, one.steps, one.price
                order.stop_distance, order.take_distance = one.stop_distance, one.take_distance
                order.reversal, order.decided_at = int(one.reversal), record.time
            elif one.close_reason:
                # What an entry has not filled by now is given up with it.
                order.side, order.steps = 0, 0
                order.decided_at, order.price = record.time, one.price

    def _move(self, held: Held, time: int) -> None:
        position = self.position(held.symbol)
        position.lowest, position.highest = held.lowest, held.highest
        if held.stop != position.stop_level:
            position.stop_level, position.stop_reason = held.stop, held.stop_reason
            self.books[held.symbol].moved_at = time

    def _intend(self, record: Intent) -> None:
        sent = self.books[record.symbol].sent
        if record.leg == "e":  # a new position begins: what is over belongs to older ones
            for old in [i for i, one in sent.items() if not one.open]:
                if sent[old].intent.decided_at != record.decided_at:
                    del sent[old]
        sent[record.id] = Sent(record)

    def _answer(self, record: Answered) -> None:
        sent = self.books[record.symbol].sent.get(record.id)
        if sent is None or not (sent.open or (sent.is_lost and record.state in _FOUND)):
            return
        if sent.filled and record.state == "unknown":
            return
        if sent.intent.leg == "s" and record.state == "gone":
            self.books[record.symbol].naked_since = record.time
        sent.state, sent.again = record.state, record.again
        sent.code, sent.text = record.code, record.text
        sent.exchange_id = record.exchange_id or sent.exchange_id
        order = self.order(record.symbol)
        if sent.intent.leg == "e" and sent.state == "gone" and sent.filled:
            order.side, order.steps = 0, 0  # the rest of it expired

    def _drop(self, record: Dropped) -> None:
        order = self.order(record.symbol)
        if order.decided_at == record.decided_at:
            order.side, order.steps = 0, 0
        self.refused[record.symbol, record.reason] += 1

    def _fill(self, record: Filled) -> None:
        book, position = self.books[record.symbol], self.position(record.symbol)
        order = self.order(record.symbol)
        self._see(book, record.trade_id)
        if position.steps == 0 and record.held != 0:
            book.opened_at, book.naked_since = record.decided_at, record.time
            book.opened_ms = record.time
            self._open(position, record)
        position.lowest = min(position.lowest, record.price)
        position.highest = max(position.highest, record.price)
        position.steps, position.entry = record.held, record.entry
        position.stop_level, position.take_level = record.stop, record.take
        position.realized += record.pnl
        position.fees += record.fee
        self._fill_parts(position, record)
        if sent := book.sent.get(record.id):
            sent.filled += abs(record.steps)
            if sent.state in ("intent", "unknown"):
                sent.state = "accepted"
            if sent.intent.steps and sent.filled >= sent.intent.steps:
                sent.state = "gone"
            if record.leg == "e" and not sent.open:  # also when its end was reported first
                order.side, order.steps = 0, 0
        if record.held == 0:
            order.close_reason = 0
            position.part_level_1 = position.part_level_2 = 0.0
            running = self.closed[self.index[record.symbol]]
            over = Closed(
                first=book.opened_ms,
                last=record.time,
                net=int(position.realized - position.fees - position.funding),
                rests_until=running + int(self.risk.cooldown),
            )
            book.opened_at, book.moved_at, book.naked_since, book.opened_ms = 0, 0, 0, 0
            position.cooldown_until = book.close(over)
            if not book.legs(MARKET_LEGS):
                book.settled = book.last_trade
        elif self.flattened:  # an entry that was under way when it was asked for
            self._flatten(record.symbol)

    def _fund(self, record: Funded) -> None:
        self._payments[record.number] = None
        if len(self._payments) > _REMEMBERED_PAYMENTS:
            del self._payments[next(iter(self._payments))]
        self.paid_until = max(self.paid_until, record.time)
        book, position = self.books[record.symbol], self.position(record.symbol)
        if position.steps and record.opened == book.opened_ms:
            position.funding += record.payment
            return
        for one in book.closed:
            if one.first == record.opened:
                # Only now is it known whether that trade lost.
                one.net -= record.payment
                position.cooldown_until = book.rests_until()

    def _fill_parts(self, position: Any, record: Filled) -> None:
        steps = abs(record.steps)
        if record.leg == "e" and not position.parts:
            set_parts(position, self.grids[self.index[record.symbol]], self.risk)
        elif record.leg == "a":
            position.parts, position.part_steps_1 = 1, position.part_steps_1 - steps
            position.part_level_1 = position.part_level_1 if position.part_steps_1 > 0 else 0.0
        elif record.leg == "b":
            position.parts, position.part_steps_2 = 1, position.part_steps_2 - steps
            position.part_level_2 = position.part_level_2 if position.part_steps_2 > 0 else 0.0

    def _open(self, position: Any, record: Filled) -> None:
        at = self.index[record.symbol]
        position.stop_distance = self.orders[at].stop_distance
        position.first_stop, position.stop_reason = record.stop, BY_STOP
        position.entry_candle = self.closed[at]  # the one that runs now
        position.lowest = position.highest = record.price
        position.realized = position.fees = position.funding = position.parts = 0

    def _see(self, book: SymbolBook, trade_id: int) -> None:
        book.seen.add(trade_id)
        book.order_of_seen.append(trade_id)
        book.last_trade = max(book.last_trade, trade_id)
        if len(book.order_of_seen) > _REMEMBERED_TRADES:
            oldest = book.order_of_seen.popleft()
            book.seen.discard(oldest)
            book.before = max(book.before, oldest)

    def _ask(self, record: Asked) -> None:
        self.asked_entry = record.entry or self.asked_entry
        if record.late:
            return
        self.paused = record.command != "resume"
        if record.command == "resume":
            self.halted, self.flattened = "", 0
        if record.command == "flatten":
            self.flattened = record.time
            for symbol in self.symbols:
                self._flatten(symbol)

    def _flatten(self, symbol: str) -> None:
        order = self.order(symbol)
        if self.position(symbol).steps and not order.close_reason:
            order.close_reason, order.decided_at = BY_FLATTEN, self.flattened
            order.side, order.steps = 0, 0
