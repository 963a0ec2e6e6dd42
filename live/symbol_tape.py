"""One symbol's candles through the strategy: the compiled code of the backtest, on a tape."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from live.records import ClosedCandle, Signal
from live.session import Session
from strategy.candles import Candles
from strategy.load import Strategy
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.tape import Identity, Tape, exact

_FIELDS = ("open", "high", "low", "close", "volume")
_PRICES = ("high", "low", "close")
_NAN = float("nan")


class SymbolTape:
    """What the strategy says of one symbol, candle by candle.

    Parameters
    ----------
    strategy, params
        As `session.loaded` returns them.
    snapshot : bytes, optional
        Where an earlier one left off.

    Raises
    ------
    TapeError
        The snapshot is not one of this session's strategy, params, symbol and first candle.
    """

    def __init__(
        self,
        session: Session,
        strategy: Strategy,
        params: Any,
        symbol: str,
        snapshot: bytes | None = None,
    ) -> None:
        identity = Identity(
            strategy.source_hash,
            " ".join(f"{name}={exact(value)}" for name, value in params._asdict().items()),
            symbol,
            session.first_open_time,
        )
        self._tape = Tape(identity) if snapshot is None else Tape.restore(snapshot, identity)
        self._symbol = symbol
        self._market = session.market
        self._strategy = strategy
        self._params = params
        self._numbers = np.array([float(value) for value in params])
        self._fields = (*_FIELDS, *strategy.optional_fields)

    @property
    def last_open_time(self) -> int:
        """Of the newest candle that was read, -1 before the first."""
        return self._tape.last_open_time

    def snapshot(self) -> bytes:
        """Return everything that is remembered."""
        return self._tape.snapshot()

    def read(self, candles: Sequence[ClosedCandle], first: int) -> list[Signal]:
        """Read a chunk of new candles; return the signals of those that open at `first` or later.

        Any cutting into chunks gives the same signals, bit for bit.
        """
        chunk = self._candles(candles)
        with self._tape.reading(chunk.open_time):
            columns = self._strategy.columns(chunk, self._params)
        if candles[-1].open_time < first:
            return []
        rules = self._strategy.rules
        flags = rules.signals(*columns, self._numbers)
        at = np.flatnonzero(flags & (ENTER_LONG | ENTER_SHORT))
        stop, take = rules.distances(at, *columns, self._numbers)
        stops = dict(zip(at.tolist(), stop.tolist(), strict=True))
        takes = dict(zip(at.tolist(), take.tolist(), strict=bool(len(take))))
        trails, has_trail = rules.trails(*columns, self._numbers), self._strategy.has_trail
        prices = zip(*(chunk.arrays[name].tolist() for name in _PRICES), strict=True)
        rows = zip(*columns, strict=True)
        return [
            _signal(
                (self._symbol, candle.open_time, *its, tuple(map(float, row)), int(flags[i])),
                (stops.get(i, _NAN), takes.get(i, _NAN), float(trails[i]) if has_trail else _NAN),
            )
            for i, (candle, its, row) in enumerate(zip(candles, prices, rows, strict=True))
            if candle.open_time >= first
        ]

    def _candles(self, candles: Sequence[ClosedCandle]) -> Candles:
        columns = {
            name: np.array([float(getattr(one, name)) for one in candles]) for name in self._fields
        }
        return Candles.from_arrays(
            symbol=self._symbol,
            market=self._market,
            timeframe=self._strategy.timeframe,
            open_time=np.array([one.open_time for one in candles], np.int64),
            **columns,
        )


def decision_hash(
    symbol: str,
    open_time: int,
    high: float,
    low: float,
    close: float,
    row: Sequence[float],
    signals: int,
    stop_distance: float,
    take_distance: float,
    trail_distance: float,
) -> str:
    """Return 16 hex digits of SHA-256 over all bits of what a strategy said."""
    numbers = (high, low, close, *row, stop_distance, take_distance, trail_distance)
    packed = struct.pack(f"<qB{len(numbers)}d", open_time, signals, *numbers)
    return hashlib.sha256(symbol.encode() + b"\0" + packed).hexdigest()[:16]


def _signal(said: tuple[Any, ...], distances: tuple[float, float, float]) -> Signal:
    symbol, open_time, high, low, close, row, signals = said
    digits = decision_hash(symbol, open_time, high, low, close, row, signals, *distances)
    return Signal(symbol, open_time, high, low, close, row, signals, *distances, digits)
