"""What a session looks like: the journal's records, folded into what the live page shows.

Nothing here reads a file, asks Redis or knows Streamlit: the same records give the same view, from
wherever they came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboard.trades import UNIT, Book, Fill, Trade, fill_of
from live.journal_records import Asked, Began, Decided, Filled, Funded, Halted, Record
from live.session import Session
from live.signs import Sign
from live.watch import late_text


@dataclass(frozen=True, slots=True)
class Position:
    """An open position; qty has no sign, levels are 0.0 where there is none."""

    symbol: str
    side: str
    qty: float
    entry: float
    mark: float
    unrealized: float
    stop: float
    take: float
    since: int


@dataclass(frozen=True, slots=True)
class Role:
    """A role as `live.signs` judges it; `age_ms` is real time since it last showed itself."""

    name: str
    state: str
    age_ms: int
    note: str


@dataclass(frozen=True, slots=True)
class View:
    """A session at one instant.

    Attributes
    ----------
    time : int
        Of the newest record, UTC ms, 0 before the first.
    state : str
        starting, running, paused, halted, blocked or ended.
    why : str
        One sentence for a state that is not running, and one for what was asked too late.
    start, wallet, equity : float
        The balance at the start, the balance now, and that with what is unrealized.
    today : float
        Change of equity since the UTC day began, as a share of what it began with.
    limit : float
        Loss of a day at which entries stop, as a share; 0 for none.
    equity_times, equities : tuple
        The account's value at every decision.
    marks : tuple of tuple of float
        Last closes at every decision, in configured order of the symbols.
    """

    time: int
    state: str
    why: str
    start: float
    wallet: float
    equity: float
    today: float
    limit: float
    positions: tuple[Position, ...]
    trades: tuple[Trade, ...]
    fills: tuple[Fill, ...]
    roles: tuple[Role, ...]
    equity_times: tuple[int, ...]
    equities: tuple[float, ...]
    marks: tuple[tuple[float, ...], ...]

    @property
    def unrealized(self) -> float:
        """Profit of all open positions at their marks."""
        return sum(position.unrealized for position in self.positions)

    @property
    def realized(self) -> float:
        """Profit of all closed trades, after fees and funding."""
        return sum(trade.net for trade in self.trades)

    def position_of(self, symbol: str) -> Position | None:
        """Return the open position on a symbol."""
        return next((one for one in self.positions if one.symbol == symbol), None)


def view(
    session: Session,
    records: Sequence[Record],
    signs: Sequence[Sign],
    *,
    running: bool = True,
) -> View:
    """Fold a session's records into what its page shows.

    Parameters
    ----------
    records : sequence of Record
        All of them, by number.
    signs : sequence of Sign
        Of every role; none when nobody could be asked.
    running : bool
        Somebody runs the session.
    """
    books, trades, fills = _booked(session, records)
    decided = [record for record in records if isinstance(record, Decided)]
    last = decided[-1] if decided else None
    positions = _positions(session, books, last)
    wallet = _wallet(records)
    equity = wallet + sum(position.unrealized for position in positions)
    over = not running or (bool(signs) and all(one.state == "ended" for one in signs))
    state, why = ("ended", "Nobody runs this session.") if over else _state(records, last)
    asked = [record for record in records if isinstance(record, Asked)]
    late = f"{late_text(asked[-1])}." if asked and asked[-1].late else ""
    return View(
        time=records[-1].time if records else 0,
        state=state,
        why=" ".join(filter(None, (why, late))),
        start=next((record.wallet / UNIT for record in records if isinstance(record, Began)), 0.0),
        wallet=wallet,
        equity=equity,
        today=equity / last.day_open - 1.0 if last and last.day_open > 0.0 else 0.0,
        limit=session.risk.get("daily_loss_limit", 0.0),
        positions=positions,
        trades=trades,
        fills=fills,
        roles=tuple(Role(one.role, one.state, one.age_ms, one.note) for one in signs),
        equity_times=tuple(record.time for record in decided),
        equities=tuple(record.equity for record in decided),
        marks=tuple(record.marks for record in decided),
    )


def _booked(
    session: Session, records: Sequence[Record]
) -> tuple[dict[str, Book], tuple[Trade, ...], tuple[Fill, ...]]:
    books = {
        symbol: Book(float(rules.step_size))
        for symbol, rules in zip(session.symbols, session.rules, strict=True)
    }
    trades: list[Trade] = []
    for record in records:
        if isinstance(record, Filled):
            if done := books[record.symbol].add(record):
                trades.append(done)
        elif isinstance(record, Funded):
            paid = record.payment / UNIT
            if record.opened == books[record.symbol].opened:
                books[record.symbol].funding += paid
            for at, one in enumerate(trades):
                if (one.symbol, one.entry_time) == (record.symbol, record.opened):
                    trades[at] = replace(one, funding=one.funding + paid)
    fills = [record for record in records if isinstance(record, Filled)]
    return books, tuple(trades), tuple(fill_of(one, books[one.symbol].step) for one in fills)


def _positions(
    session: Session, books: dict[str, Book], last: Decided | None
) -> tuple[Position, ...]:
    marks = dict(zip(session.symbols, last.marks, strict=True)) if last else {}
    # A stop may have moved since the fill; a fill after that decision opened another position.
    stops = {held.symbol: held.stop for held in last.held} if last else {}
    return tuple(
        _position(
            book,
            book.last,
            marks.get(symbol, 0.0),
            stops.get(symbol, 0.0) if last and book.opened < last.time else 0.0,
        )
        for symbol, book in books.items()
        if book.last is not None and book.last.held != 0
    )


def _position(book: Book, fill: Filled, mark: float, stop: float) -> Position:
    mark = mark or fill.price
    return Position(
        symbol=fill.symbol,
        side="long" if fill.held > 0 else "short",
        qty=abs(fill.held) * book.step,
        entry=fill.entry,
        mark=mark,
        unrealized=fill.held * book.step * (mark - fill.entry),
        stop=stop or fill.stop,
        take=fill.take,
        since=book.opened,
    )


def _wallet(records: Sequence[Record]) -> float:
    # A decision says the whole wallet, transfers included; fills and funding change it in between.
    wallet = seen_ms = 0
    for record in records:
        if isinstance(record, Began | Decided):
            wallet, seen_ms = record.wallet, record.time
        elif isinstance(record, Funded) and record.time >= seen_ms:
            wallet -= record.payment
        elif isinstance(record, Filled):
            wallet += record.pnl - record.fee
    return wallet / UNIT


def _state(records: Sequence[Record], last: Decided | None) -> tuple[str, str]:
    halted, asked = "", None
    for record in records:
        if isinstance(record, Halted):
            halted = record.reason
        elif isinstance(record, Asked) and not record.late:
            asked = record
            halted = "" if record.command == "resume" else halted
    if halted:
        return "halted", f"Entries stopped by themselves: {halted}. Exits and stops go on."
    if asked is not None and asked.command != "resume":
        wish = "close every position" if asked.command == "flatten" else "pause"
        return "paused", f"{asked.by} asked to {wish}: no entries, exits and stops go on."
    if last is not None and last.blocked:
        return "blocked", "The day's loss reached its limit: no entries until 00:00 UTC."
    if last is None:
        return "starting", "No decision has been taken yet."
    return "running", ""
