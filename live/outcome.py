"""What a session came to, from its journal's records and its candles, and the run that keeps it."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import runs
from data.dates import show_time
from data.run_json import RunRecord
from data.run_record import run_record
from data.run_tables import part_table, trade_table
from live.journal_records import Decided, Dropped, Halted, Record
from live.records import CANDLES, ClosedCandle
from live.session import Session
from live.trade_log import TradeLog
from strategy.candles import FIELDS, OPTIONAL_FIELDS, Candles
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.load import Strategy
from strategy.records import UNIT
from strategy.risk import Risk

MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A session as `data.run_record` describes it; see there."""

    strategy: Strategy
    params: Any
    risk: Risk
    costs: Costs
    balance: float
    candles: tuple[Candles, ...]
    trades: Any
    parts: Any
    time: NDArray[np.int64]
    equity: NDArray[np.float64]


class History:
    """All that a session did, taken in as it comes; records in their order, candles in theirs.

    Parameters
    ----------
    session : Session
    folder : Path
        With the strategy's copy.

    Attributes
    ----------
    log : TradeLog
    last : int
        Number of the newest record taken in; all before it are.
    refused : Counter
        Entries that were refused, dropped or missed, by reason.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.log = TradeLog(session)
        self.last = 0
        self.refused: Counter[str] = Counter()
        self._strategy, self._params, self._risk = session.loaded(folder)
        self._halts: list[Halted] = []
        self._ahead: dict[int, Record] = {}
        wanted = [name for name in OPTIONAL_FIELDS if name in self._strategy.optional_fields]
        self._columns = {
            CANDLES.format(symbol=symbol, timeframe=session.timeframe): _Columns((*FIELDS, *wanted))
            for symbol in session.symbols
        }

    @property
    def candle_streams(self) -> tuple[str, ...]:
        """Streams that its candles come from."""
        return tuple(self._columns)

    @property
    def has_gap(self) -> bool:
        """Whether a record is missing before others that have come."""
        return bool(self._ahead)

    def take(self, record: Record) -> None:
        """Take in a record of the journal, whether or not it is new or the next one."""
        if record.n > self.last:
            self._ahead[record.n] = record
        while one := self._ahead.pop(self.last + 1, None):
            self.last = one.n
            self._apply(one)

    def take_candle(self, stream: str, candle: ClosedCandle) -> None:
        """Take in a closed candle; of one time only the first, which was decided on."""
        columns = self._columns[stream]
        if candle.open_time > max(columns.last, self.session.first_open_time - 1):
            columns.take(candle)

    def outcome(self) -> Outcome:
        """Return trades, equity and candles up to the last decision."""
        session = self.session
        end = self.log.time[-1] if self.log.time else 0
        candles = tuple(
            Candles(symbol, session.market, session.timeframe, columns.before(end))
            for symbol, columns in zip(session.symbols, self._columns.values(), strict=True)
        )
        booked = self.log.result(candles)
        return Outcome(
            self._strategy,
            self._params,
            self._risk,
            Costs(session.fee_rate, session.slippage),
            self.log.began / UNIT,
            candles,
            booked.trades,
            booked.parts,
            booked.time,
            booked.equity,
        )

    def notes(self, candles: Sequence[Candles]) -> list[str]:
        """Say what a reader of the run must know."""
        session, log = self.session, self.log
        count = sum(len(one.open_time) for one in candles)
        first, last = (show_time(log.time[at]) for at in (0, -1))
        live = f"a live session on {session.on}, not a backtest: {len(log.time):,} decisions"
        notes = [f"{live} from {first} to {last} UTC; the {count:,} candles include the warm-up"]
        if log.held:
            notes.append(
                f"{log.held} position{'' if log.held == 1 else 's'} still open: counted as closed"
                " at the last close, reason end"
            )
        if log.besides:
            notes.append(
                f"the wallet changed by {log.besides / UNIT:+,.8f} besides the trades: transfers,"
                " fees in another coin, or funding that no trade of the session owes"
            )
        notes += [
            f"entries halted at {show_time(one.time // 1_000 * 1_000)} UTC: {one.reason}"
            for one in self._halts
        ]
        return notes

    def _apply(self, record: Record) -> None:
        self.log.apply(record)
        match record:
            case Decided():
                for reasons in record.refused.values():
                    self.refused.update(reasons)
                if record.missed:
                    self.refused[MISSED] += len(record.missed)
            case Dropped():
                self.refused[record.reason] += 1
            case Halted():
                self._halts.append(record)


class _Columns:
    # A symbol's candles as they come; eight bytes a value, for a session may last for months.
    def __init__(self, names: Sequence[str]) -> None:
        self._times = array("q")
        self._values: Mapping[str, array[float]] = {name: array("d") for name in names}

    @property
    def last(self) -> int:
        return self._times[-1] if self._times else 0

    def take(self, candle: ClosedCandle) -> None:
        self._times.append(candle.open_time)
        for name, values in self._values.items():
            values.append(float(getattr(candle, name)))

    def before(self, end_ms: int) -> dict[str, NDArray[Any]]:
        stop = bisect_left(self._times, end_ms)
        prices = {name: np.array(values[:stop]) for name, values in self._values.items()}
        return {"open_time": np.array(self._times[:stop], np.int64)} | prices


def keep(history: History, folder: Path) -> Path | None:
    """Write a session as a run, unless it is there already; None where nothing was decided.

    Parameters
    ----------
    history : History
    folder : Path
        Of runs.

    Raises
    ------
    RunRefused
        The folder cannot be written.
    """
    session = history.session
    if not history.log.time:
        return None
    outcome = history.outcome()
    record = run_record(
        outcome,
        kind=session.on,
        name=session.id,
        created_ms=session.created_ms,
        command=session.command,
        rules=session.rules,
        refused=history.refused,
        notes=history.notes(outcome.candles),
    )
    if kept := _kept(record, folder):
        return kept
    table = trade_table(outcome.trades, session.symbols)
    parts = part_table(outcome.parts, outcome.trades, session.symbols)
    extra = {} if parts is None else {"parts": parts}
    source = outcome.strategy.source
    try:
        run = runs.save(folder, record, table, outcome.time, outcome.equity, source, extra)
    except OSError as error:
        raise RunRefused(
            f"the run of session {session.id} cannot be kept in {folder}: {error.strerror}",
            "make room or choose another folder with WICK_RUNS; the journal still has everything",
        ) from error
    return run.folder


def _kept(record: RunRecord, folder: Path) -> Path | None:
    # A tracker that was started again at the very end has nothing new to tell.
    for path in folder.glob(f"{record.id}*/run.json"):
        try:
            if runs.read_record(path.parent).result_hash == record.result_hash:
                return path.parent
        except WickError:
            continue
    return None
