"""What must hold in every world, whatever goes wrong in it.

1. A decision to enter is executed by one order at most, of its side and not above its size.
2. An entry leaves only when its decision and its intent are in the journal, nothing of an earlier
   attempt can be alive, and it is neither paused nor halted nor too old.
3. All other orders only reduce; conditional ones too, or they close the position.
4. A position has a stop of ours within five seconds, or one attempt follows the other to place one
   or to close it: as fast as the exchange can answer, outages and the trader's deaths left out.
5. Quiet and connected: position and wallet are the exchange's, flat means no order of ours, and a
   stop that has moved stands where it belongs, alone beside the base stop.
6. Every fill and every funding payment is booked exactly once, the payment to the trade that held
   the symbol, and the wallet is what the start and all of these add up to.
7. What was flattened and not resumed holds nothing in the end.
8. The journal read back is the ledger, field by field; Redis has it all.
"""

import asyncio
import copy
from collections.abc import Iterable
from typing import Any

import msgspec

from live.decimals import units
from live.journal_records import Asked, Decided, Filled, Funded, Intent, Record
from live.ledger import Ledger
from live.order_ids import CONDITIONAL_LEGS, parse
from live.plan import NAKED_MS
from live.session import Session
from live.symbol_book import SymbolBook
from live.trade_log import TradeLog
from live.writer import stream_of
from tests.live.sessions import START
from tests.simulation.account import Account, Order
from tests.simulation.faults import Faults

# Between two attempts lie at most: an answer that does not come, the proof that the order does not
# exist, and a wait for an exchange that is overloaded.
ATTEMPT_MS = 5_000 + 4_000 + 6_400 + 1_000


_FIELDS = (
    "began",
    "decided",
    "paused",
    "halted",
    "flattened",
    "asked_entry",
    "refused",
)


def differences(ours: Ledger, theirs: Ledger) -> list[str]:
    """Name the fields in which two ledgers differ."""
    found = [name for name in _FIELDS if getattr(ours, name) != getattr(theirs, name)]
    if _unnumbered(ours) != _unnumbered(theirs):
        found.append("books")
    for name in ("account", "positions", "orders"):
        for i, (one, other) in enumerate(
            zip(getattr(ours, name), getattr(theirs, name), strict=True)
        ):
            found += [
                f"{name}[{i}].{field}: {one[field]} and {other[field]}"
                for field in one.dtype.names
                if one[field].tobytes() != other[field].tobytes()
            ]
    return found


def _unnumbered(ledger: Ledger) -> dict[str, SymbolBook]:
    # What is sent while the disk is full gets its number later.
    books = copy.deepcopy(ledger.books)
    for book in books.values():
        for sent in book.sent.values():
            sent.intent = msgspec.structs.replace(sent.intent, n=0)
    return books


def replayed(session: Session, records: Iterable[Record]) -> Ledger:
    """Return the ledger that records add up to."""
    ledger = Ledger(session)
    for record in records:
        ledger.apply(record)
    return ledger


class Watch:
    """Sees everything, and says what is broken.

    Attributes
    ----------
    records : list
        The journal as it stands.
    broken : list of str
        What was found.
    """

    def __init__(self, session: Session, faults: Faults) -> None:
        self._session = session
        self._outages = faults.outages
        # Who asks in vain whose a fill is learns of a position later.
        self._first_ms = NAKED_MS + (ATTEMPT_MS if faults.silent_reads else 0)
        self.records: list[Record] = []
        self.broken: list[str] = []
        self.foreign: set[str] = set()
        self.longest_naked_ms = 0
        self._naked: dict[str, int] = {}
        self._attempted: dict[str, int] = {}
        self._absent: list[tuple[int, int]] = []
        self._dead_since = 0

    def check(self, holds: bool, text: str) -> None:
        """Note what does not hold."""
        if not holds:
            time = asyncio.get_running_loop().time()
            self.broken.append(f"{time:9.3f} s: {text}")

    # 1, 2, 3

    def see_request(self, name: str, content: tuple[Any, ...]) -> None:
        """Look at an instruction that arrives at the exchange."""
        if name == "cancel":
            return
        client_id, symbol, side, steps = content[:4]
        known = parse(client_id)
        self.check(known is not None, f"{client_id} is no id of ours")
        if known is None:
            return
        if name == "algo":
            self.check(known.leg in CONDITIONAL_LEGS, f"{client_id} is a conditional order")
            self.check((steps == 0) == (known.leg == "s"), f"{client_id} has {steps} steps")
        elif known.leg == "e":
            self._see_entry(client_id, known.decided_at, symbol, side, steps)
        else:
            self.check(known.leg in "xq" and content[4], f"{client_id} is not reduce-only")

    def _see_entry(self, client_id: str, decided_at: int, symbol: str, side: int, n: int) -> None:
        places = [
            i
            for i, one in enumerate(self.records)
            if isinstance(one, Intent) and one.id == client_id
        ]
        self.check(len(places) == 1, f"{client_id} has {len(places)} intents in the journal")
        if not places:
            return
        intent = self.records[places[0]]
        assert isinstance(intent, Intent)
        asked = [
            order
            for one in self.records[: places[0]]
            if isinstance(one, Decided) and one.time == decided_at
            for order in one.orders
            if order.symbol == symbol and (order.side, order.steps) == (side, n)
        ]
        self.check(len(asked) == 1, f"{client_id} was decided {len(asked)} times")
        ledger = replayed(self._session, self.records[: places[0]])
        self.check(not ledger.paused and not ledger.halted, f"{client_id} left while stopped")
        age = intent.time - decided_at
        self.check(age <= self._session.max_decision_age_ms, f"{client_id} is {age} ms old")
        held = int(ledger.position(symbol).steps)
        self.check(held == 0, f"{client_id} left while {held} were held")
        for one in ledger.books[symbol].sent.values():
            dead = one.again and one.state in ("rejected", "absent")
            same = one.intent.leg == "e" and one.intent.decided_at == decided_at
            self.check(not same or dead, f"{client_id} left after {one.intent.id}: {one.state}")

    def see_executions(self, account: Account) -> None:
        """Look at the account's orders at the end."""
        done: dict[tuple[str, int], list[Order]] = {}
        for symbol, orders in account.orders.items():
            for order in orders:
                known = parse(order.client_id)
                if known and known.leg == "e" and order.filled:
                    done.setdefault((symbol, known.decided_at), []).append(order)
        for key, found in done.items():
            ids = [one.client_id for one in found]
            self.check(len(found) == 1, f"the decision {key} was executed by {ids}")

    # 4

    def see_change(self, account: Account, symbol: str, now: int) -> None:
        """Look at a position whose protection may have changed."""
        if account.positions[symbol].steps and not account.has_stop(symbol):
            self._naked.setdefault(symbol, now)
            return
        self.check_naked(symbol, now)
        self._naked.pop(symbol, None)
        self._attempted.pop(symbol, None)

    def see_attempt(self, symbol: str, now: int) -> None:
        """Note that the trader tries to protect or to close a position."""
        if symbol in self._naked:
            self.check_naked(symbol, now)
            self._attempted[symbol] = now

    def see_death(self, now: int) -> None:
        """Note that there is no trader any more that could do anything."""
        if not self._dead_since:
            self._dead_since = now

    def see_life(self, now: int) -> None:
        """Note that the trader is connected."""
        if self._dead_since:
            self._absent.append((self._dead_since, now))
            self._dead_since = 0

    def check_naked(self, symbol: str, now: int) -> None:
        """Say how long a position has been naked with nobody doing anything about it."""
        begins = self._naked.get(symbol)
        if begins is None or symbol in self.foreign:
            return
        self.longest_naked_ms = max(self.longest_naked_ms, self._counted(begins, now))
        tried = self._attempted.get(symbol)
        if tried is None:
            alone = self._counted(begins, now)
            self.check(alone <= self._first_ms, f"{symbol} was naked and left alone for {alone} ms")
        else:
            alone = self._counted(tried, now)
            self.check(alone <= ATTEMPT_MS, f"{symbol} was naked, last attempt {alone} ms ago")

    def _counted(self, begins: int, ends: int) -> int:
        # Time during which somebody could have acted; overlaps of what is left out are rare.
        out = [(START + one.begins, START + one.ends) for one in self._outages] + self._absent
        if self._dead_since:
            out.append((self._dead_since, ends))
        for first, last in sorted(out):
            if first < ends and last > begins:
                begins = max(begins, min(last, ends))
        return ends - begins

    # 5, 6

    def see_quiet(self, account: Account, ledger: Ledger, wallet: int) -> None:
        """Compare the ledger with the exchange when nothing is under way."""
        self.check(wallet == account.wallet, f"wallet {wallet}, on the exchange {account.wallet}")
        for symbol in account.symbols:
            ours = int(ledger.position(symbol).steps)
            theirs = account.positions[symbol]
            self.check(ours == theirs.steps, f"{symbol}: {ours}, exchange {theirs.steps}")
            entry, exact = float(ledger.position(symbol).entry), float(theirs.entry / 10)
            self.check(abs(entry - exact) < 1e-6, f"{symbol}: entry {entry}, exchange {exact}")
            left = [one.client_id for one in account.algos[symbol] if one.status == "NEW"]
            if not theirs.steps:
                self.check(not left, f"{symbol} is flat and {left} are open")
            elif ledger.books[symbol].moved_at and not ledger.order(symbol).close_reason:
                self._see_moved_stop(account, ledger, symbol)
            booked = [
                one.trade_id
                for one in self.records
                if isinstance(one, Filled) and one.symbol == symbol
            ]
            there = [one.trade.trade_id for one in account.trades[symbol]]
            self.check(sorted(booked) == there, f"{symbol}: booked {booked}, there {there}")
        log: Any = TradeLog(self._session)
        for one in self.records:
            log.apply(one)
        for symbol in account.symbols:
            self._see_payments(account, ledger, log, symbol)
        self.check(
            log.began + log.booked == account.wallet,
            f"wallet {account.wallet}, the start and what was booked: {log.began + log.booked}",
        )

    def _see_payments(self, account: Account, ledger: Ledger, log: Any, symbol: str) -> None:
        ours = [one for one in self.records if isinstance(one, Funded) and one.symbol == symbol]
        theirs = [one.fee for one in account.fees if one.fee.symbol == symbol]
        booked = sorted((one.number, one.payment, one.time) for one in ours)
        there = [(one.number, -units(one.income), one.time) for one in theirs]
        self.check(booked == there, f"{symbol}: payments {booked}, on the exchange {there}")
        if symbol in self.foreign:  # a stranger's fill may have turned our position round
            return
        held, exact = int(ledger.position(symbol).funding), account.positions[symbol].funding
        if account.positions[symbol].steps:
            self.check(held == exact, f"{symbol}: has paid {held}, on the exchange {exact}")
        at = ledger.index[symbol]
        ended = [trip.funding for trip in log._done if trip.symbol == at]
        self.check(
            ended == account.ended[symbol],
            f"{symbol}: trades have paid {ended}, on the exchange {account.ended[symbol]}",
        )

    def _see_moved_stop(self, account: Account, ledger: Ledger, symbol: str) -> None:
        level = float(ledger.position(symbol).stop_level)
        last = ledger.last(symbol, "w", ledger.books[symbol].moved_at)
        if last is not None and last.state == "rejected" and not last.again:
            return  # the exchange will not have it; the one before it protects
        there = [
            float(one.trigger / 10)
            for one in account.algos[symbol]
            if one.status == "NEW" and (known := parse(one.client_id)) and known.leg == "w"
        ]
        self.check(there == [level], f"{symbol}: stop at {level}, on the exchange {there}")

    # 7

    def see_wishes(self, account: Account) -> None:
        """Look whether what was asked for was done."""
        flattened = False
        for one in self.records:
            if isinstance(one, Asked) and one.command != "pause":
                flattened = one.command == "flatten"
        for symbol in account.symbols:
            held = account.positions[symbol].steps
            self.check(not (flattened and held), f"{symbol} was flattened and holds {held}")

    # 8

    def see_journal(self, ledger: Ledger) -> None:
        """Compare the ledger with the journal read back."""
        found = differences(ledger, replayed(self._session, self.records))
        self.check(not found, f"read back, the journal differs: {found}")

    def see_streams(self, entries: dict[str, list[tuple[tuple[int, int], Any]]]) -> None:
        """Compare what Redis holds with the journal."""
        for stream in ("orders", "fills", "account"):
            ours = [one for one in self.records if stream_of(one) == stream]
            theirs = [record for _, record in entries.get(stream, ())]
            self.check(ours == theirs, f"{stream}: {len(ours)} records, Redis has {len(theirs)}")


def facts(records: Iterable[Record], account: Account) -> dict[str, list[Any]]:
    """Return what must be equal between a disturbed world and the same one undisturbed: decisions
    and, by symbol, fills and the orders that were taken, without times, numbers and attempts."""
    found: dict[str, list[Any]] = {"decided": []}
    for one in records:
        if isinstance(one, Decided):
            content = (one.time, one.wallet, one.equity, one.day_open, one.blocked)
            more = (one.marks, one.orders, one.refused, one.missed, one.held, one.closed)
            found["decided"].append((*content, *more))
        elif isinstance(one, Filled):
            booked = (one.leg, one.steps, one.price, one.fee, one.pnl, one.held, one.entry)
            levels = (one.reason, one.stop, one.take, one.decided_at, one.reversal)
            found.setdefault(f"{one.symbol} fills", []).append(booked + levels)
        elif isinstance(one, Funded):
            found.setdefault(f"{one.symbol} funding", []).append((one.time, one.payment))
    for symbol in account.symbols:
        orders = [(one.client_id, one.side, one.steps, 0) for one in account.orders[symbol]]
        algos = [(one.client_id, one.side, one.steps, one.trigger) for one in account.algos[symbol]]
        for name, taken in (("orders", orders), ("algos", algos)):
            found[f"{symbol} {name}"] = [
                (known.decided_at, known.leg, *content)
                for client_id, *content in taken
                # p is for an entry that nobody knew of for a while.
                if (known := parse(client_id)) and known.leg != "p"
            ]
    return found
