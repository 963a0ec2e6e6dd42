"""Two accounts of the same stretch of time, the backtester's and the live stack's, fact by fact.

Each side is turned into facts: at a time, on a symbol, of a kind, with exact values. Facts of the
same kind, time and symbol are compared bit for bit; a fact that only one side has is a difference.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.engine import Result
from live.journal_records import Answered, Decided, Dropped, Filled, Funded, Intent, Record
from live.order_ids import PART_LEGS
from live.plan import EXPIRED
from live.records import Batch
from live.session import Session
from research.funding_facts import payments_of
from research.resting_orders import Part, resting_orders
from strategy.account import fee_of
from strategy.records import EXIT_REASONS
from strategy.risk import MARGIN, REFUSALS
from strategy.rules import ENTER_LONG, ENTER_SHORT

# In the order in which one thing leads to the next: of several differences at one instant, the
# first of these is the cause.
KINDS = ("rows", "decisions", "refusals", "orders", "fills", "fees", "funding", "equity")
# A held market order of the simulator expires for want of margin and nothing else.
_MARGIN = {EXPIRED: REFUSALS[MARGIN]}


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """One thing that one side says."""

    time: int
    kind: str
    symbol: str
    what: str
    values: tuple[float | int | str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """The same place on both sides with different values; None where a side has nothing."""

    time: int
    kind: str
    symbol: str
    what: str
    backtest: tuple[float | int | str, ...] | None
    live: tuple[float | int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much was compared, how much differs, and where it began.

    Attributes
    ----------
    compared, different : dict
        Counts by kind, in the order of `KINDS`.
    first : Difference or None
    """

    compared: dict[str, int]
    different: dict[str, int]
    first: Difference | None

    @property
    def total(self) -> int:
        """All differences."""
        return sum(self.different.values())


def compare(backtest: Iterable[Fact], live: Iterable[Fact]) -> Comparison:
    """Compare two lists of facts.

    Facts at one place (time, kind, symbol, what) are paired in the order they come.
    """
    ours, theirs = _by_place(backtest), _by_place(live)
    compared, different = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    found = []
    for place in ours.keys() | theirs.keys():
        left, right = ours.get(place, []), theirs.get(place, [])
        time, kind, symbol, what = place
        for i in range(max(len(left), len(right))):
            compared[kind] += 1
            a = left[i] if i < len(left) else None
            b = right[i] if i < len(right) else None
            if a is None or b is None or _bits(a) != _bits(b):
                different[kind] += 1
                found.append(Difference(time, kind, symbol, what, a, b))
    first = min(found, key=lambda d: (d.time, KINDS.index(d.kind), d.symbol, d.what), default=None)
    return Comparison(compared, different, first)


def _by_place(facts: Iterable[Fact]) -> dict[tuple[int, str, str, str], list[tuple[Any, ...]]]:
    places = defaultdict(list)
    for fact in facts:
        places[fact.time, fact.kind, fact.symbol, fact.what].append(fact.values)
    return places


def _bits(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # NaN is NaN whatever its payload; 0.0 and -0.0 are not the same.
    return tuple(
        ("nan" if value != value else struct.pack("<d", value))
        if isinstance(value, float)
        else value
        for value in values
    )


def backtest_facts(result: Result, first_decision: int, last_decision: int) -> list[Fact]:
    """Turn a backtest into facts: those of decisions from one instant to another, both included.

    Parameters
    ----------
    result : Result
        Over at least the candles that close in that span.
    """
    facts = [*_signal_facts(result, first_decision, last_decision)]
    length = result.candles[0].timeframe_ms
    for at, (trade, resting) in enumerate(zip(result.trades, resting_orders(result), strict=True)):
        fee = int(fee_of(result.costs.fee_rate, trade.qty, trade.entry_price))
        symbol, times = result.symbols[trade.symbol], result.candles[trade.symbol].open_time
        parts = result.parts[result.parts.trade == at]
        facts += _trade_facts(symbol, trade, parts, resting.parts, fee, last_decision)
        facts += _funding_facts(symbol, trade, payments_of(result, at), last_decision)
        closes = ((int(times[move.candle]) + length, move.level) for move in resting.moves)
        facts += [
            Fact(time, "orders", symbol, "moved stop", (level,))
            for time, level in closes
            if first_decision <= time < last_decision
        ]
    for open_time, equity in zip(result.time.tolist(), result.equity.tolist(), strict=True):
        if first_decision <= open_time + length <= last_decision:
            facts.append(Fact(open_time + length, "equity", "", "equity", (equity,)))
    return facts


def refusal_facts(result: Result, last_decision: int) -> list[Fact]:
    """Turn a backtest's counts of refused entries into facts at the end of the span."""
    return [
        Fact(last_decision, "refusals", symbol, REFUSALS[reason], (int(count),))
        for symbol, counts in zip(result.symbols, result.refused, strict=True)
        for reason, count in enumerate(counts)
        if count
    ]


def _signal_facts(result: Result, first: int, last: int) -> Iterable[Fact]:
    strategy, params = result.strategy, result.params
    numbers = np.array([float(value) for value in params])
    for candles in result.candles:
        columns = strategy.columns(candles, params)
        flags = strategy.rules.signals(*columns, numbers)
        at = np.flatnonzero(flags & (ENTER_LONG | ENTER_SHORT))
        stop, take = strategy.rules.distances(at, *columns, numbers)
        if not strategy.has_take:
            take = np.full(len(at), np.nan)
        trail = strategy.rules.trails(*columns, numbers)
        if not strategy.has_trail:
            trail = np.full(len(flags), np.nan)
        distances = {int(i): (s, t) for i, s, t in zip(at, stop, take, strict=True)}
        times = (candles.arrays["open_time"] + candles.timeframe_ms).tolist()
        for i, time in enumerate(times):
            if first <= time <= last:
                row = tuple(float(column[i]) for column in columns)
                yield Fact(time, "rows", candles.symbol, "row", row)
                wants = distances.get(i, (np.nan, np.nan))
                said = (int(flags[i]), float(wants[0]), float(wants[1]), float(trail[i]))
                yield Fact(time, "decisions", candles.symbol, "signals", said)


def _trade_facts(
    symbol: str, trade: Any, exits: Any, parts: Sequence[Part], entry_fee: int, last: int
) -> Iterable[Fact]:
    # `exits` are those of a trade that was closed in parts, the last one closing the rest.
    entered = int(trade["entry_time"])
    if entered >= last:  # an order of the last decision, or later ones: nothing live fills them
        return
    side, steps = int(trade["side"]), int(trade["steps"])
    reason, left = EXIT_REASONS[trade["exit_reason"]], int(trade["exit_time"])
    yield Fact(entered, "orders", symbol, "entry", (side, steps, bool(trade["reversal"])))
    yield Fact(entered, "orders", symbol, "stop", (float(trade["stop"]), 0))
    yield Fact(entered, "fills", symbol, "open", (side * steps, float(trade["entry_price"])))
    at_open = bool(trade["ordered"])
    taken, rest, price = 0, steps, float(trade["exit_price"])
    for part in exits[:-1]:
        if part.time <= last:
            fill = (-side * int(part.steps), float(part.price), "take")
            yield Fact(int(part.time), "fills", symbol, "close", fill)
            rest -= int(part.steps)
            # The take is placed anew for what is left, if anything is left at the candle's close.
            taken = steps - rest if part.candle < trade["exit_candle"] or left > last else taken
    if len(exits):
        price = float(exits[-1].price)
    if not (reason == "stop" and left == entered):
        # Where the fill is beyond its own stop, the position is closed before a take is placed.
        take = float(trade["take"])
        yield Fact(entered, "orders", symbol, "take", (take, steps - taken if take > 0.0 else 0))
        for one in parts:
            yield Fact(entered, "orders", symbol, f"part {one.which}", (one.level, one.steps))
    if _is_open(trade, last):
        before = [part for part in exits[:-1] if part.time <= last]
        paid, made = sum(int(one.fee) for one in before), sum(int(one.pnl) for one in before)
        yield Fact(last, "fees", symbol, "open trade", (entry_fee + paid, made))
        return
    if at_open:
        yield Fact(left, "orders", symbol, "exit", (rest, reason))
    yield Fact(left, "fills", symbol, "close", (-side * rest, price, reason))
    yield Fact(left, "fees", symbol, "trade", (int(trade["fees"]), int(trade["pnl"])))


def _funding_facts(
    symbol: str, trade: Any, payments: Sequence[tuple[int, int]], last: int
) -> Iterable[Fact]:
    if int(trade["entry_time"]) >= last:
        return
    paid = [(time, units) for time, units in payments if time < last]
    for time, units in paid:
        yield Fact(time, "funding", symbol, "payment", (units,))
    if _is_open(trade, last):
        total, what, time = sum(units for _, units in paid), "open trade", last
    else:
        total, what, time = int(trade["funding"]), "trade", int(trade["exit_time"])
    if total:
        yield Fact(time, "funding", symbol, what, (total,))


def _is_open(trade: Any, last: int) -> bool:
    # Whether a live session that ends then has not closed it.
    left = int(trade["exit_time"])
    is_end = EXIT_REASONS[trade["exit_reason"]] == "end"
    return is_end or left > last or (bool(trade["ordered"]) and left >= last)


def live_facts(
    session: Session, batches: Sequence[Batch], records: Sequence[Record], last_decision: int
) -> list[Fact]:
    """Turn what a session said, did and got into facts of the same form."""
    facts: list[Fact] = []
    for batch in batches:
        for one in batch.signals:
            facts.append(Fact(batch.time, "rows", one.symbol, "row", one.row))
            said = (one.signals, one.stop_distance, one.take_distance, one.trail_distance)
            facts.append(Fact(batch.time, "decisions", one.symbol, "signals", said))
    length = _length(session)
    facts += _order_facts(records, length, last_decision)
    facts += _fill_facts(records, length, last_decision)
    refused: dict[tuple[str, str], int] = defaultdict(int)
    for record in records:
        if isinstance(record, Decided):
            facts.append(Fact(record.time, "equity", "", "equity", (record.equity,)))
            for symbol, reasons in record.refused.items():
                for reason, count in reasons.items():
                    refused[symbol, reason] += count
            facts += [Fact(record.time, "decisions", s, "missed", ()) for s in record.missed]
        elif isinstance(record, Dropped):
            refused[record.symbol, _MARGIN.get(record.reason, record.reason)] += 1
    facts += [
        Fact(last_decision, "refusals", symbol, reason, (count,))
        for (symbol, reason), count in refused.items()
    ]
    return facts


def _length(session: Session) -> int:
    from strategy.timeframes import timeframe_ms

    return timeframe_ms(session.timeframe)


def _when(time: int, length: int) -> int:
    # The exchange stamps a fill inside a candle with its last millisecond. Every other one is at
    # the candle's open, also when the order's work let some seconds of the candle pass.
    return time + 1 if (time + 1) % length == 0 else time - time % length


def _order_facts(records: Sequence[Record], length: int, last: int) -> Iterable[Fact]:
    fills: dict[str, list[Filled]] = defaultdict(list)
    opened: dict[tuple[str, int], int] = {}
    done = set()
    for record in records:
        if isinstance(record, Filled):
            fills[record.id].append(record)
            done.add((record.symbol, record.decided_at, record.leg))
            if record.leg == "e":
                opened.setdefault((record.symbol, record.decided_at), _when(record.time, length))
    refused = _refused(records)
    attempts: dict[tuple[str, int, str], list[Intent]] = defaultdict(list)
    for record in records:
        if isinstance(record, Intent):
            order = (record.symbol, record.decided_at, record.leg)
            attempts[order].append(record)
            # Of one order there may be several attempts; one of them fills.
            if record.leg in "ex" and order not in done and record.decided_at < last:
                what = "entry without a fill" if record.leg == "e" else "exit without a fill"
                yield Fact(record.decided_at, "orders", record.symbol, what, (record.id,))
    for (symbol, decided_at), time in opened.items():
        for leg, what in (("s", "stop"), ("t", "take"), ("a", "part 1"), ("b", "part 2")):
            sent = attempts[symbol, decided_at, leg]
            at_once = (symbol, decided_at, "q") in done
            if not sent and (leg in PART_LEGS or (leg == "t" and at_once)):
                continue
            # A position that is closed at once may have had no order that was taken.
            placed = [one for one in sent if one.id not in refused] or (sent if at_once else [])
            for level, steps in (_placed(placed) or {0.0: 0}).items():
                yield Fact(time, "orders", symbol, what, (level, steps))
    for (symbol, decided_at, leg), sent in attempts.items():
        if leg == "w" and decided_at < last:
            for level in _placed([one for one in sent if one.id not in refused]):
                yield Fact(decided_at, "orders", symbol, "moved stop", (level,))
    for its in fills.values():
        one, steps = its[0], abs(sum(fill.steps for fill in its))
        time = _when(one.time, length)
        if one.leg == "e":
            side = 1 if one.steps > 0 else -1
            yield Fact(time, "orders", one.symbol, "entry", (side, steps, one.reversal))
        elif one.leg == "x":
            yield Fact(time, "orders", one.symbol, "exit", (steps, one.reason))


def _refused(records: Sequence[Record]) -> set[str]:
    fate: dict[str, str] = {}
    for record in records:
        if isinstance(record, Answered):
            fate[record.id] = record.state
    return {id for id, state in fate.items() if state in ("rejected", "absent")}


def _placed(intents: Sequence[Intent]) -> dict[float, int]:
    # Attempts may be repeated, and a take grows with its entry's fills: of each level the last one.
    return {one.level: one.steps for one in intents}


def _fill_facts(records: Sequence[Record], length: int, last: int) -> Iterable[Fact]:
    fees: dict[str, int] = defaultdict(int)
    gains: dict[str, int] = defaultdict(int)
    paid: dict[tuple[str, int], int] = defaultdict(int)
    opened: dict[str, int] = {}
    for record in records:
        if isinstance(record, Funded):
            yield Fact(record.time, "funding", record.symbol, "payment", (record.payment,))
            paid[record.symbol, record.opened] += record.payment
    for record in records:
        if not isinstance(record, Filled):
            continue
        time, symbol = _when(record.time, length), record.symbol
        opened.setdefault(symbol, record.time)
        fees[symbol] += record.fee
        gains[symbol] += record.pnl
        if record.reason:
            values = (record.steps, record.price, record.reason)
            yield Fact(time, "fills", symbol, "close", values)
        else:
            yield Fact(time, "fills", symbol, "open", (record.steps, record.price))
        if record.held == 0:
            yield Fact(time, "fees", symbol, "trade", (fees.pop(symbol), gains.pop(symbol)))
            if total := paid.pop((symbol, opened.pop(symbol)), 0):
                yield Fact(time, "funding", symbol, "trade", (total,))
    for symbol, fee in fees.items():
        yield Fact(last, "fees", symbol, "open trade", (fee, gains[symbol]))
    # What is left here belongs to trades that are open, or to none.
    for (symbol, _), total in paid.items():
        if total:
            yield Fact(last, "funding", symbol, "open trade", (total,))
