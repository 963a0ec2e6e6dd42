"""The memory of indicators: fresh, carried from candle to candle, or shared between parameter sets.

A strategy's `indicators` function calls kernels that need state. It does not see where that state
lives:

no tape               every call starts fresh and gets whole columns (notebook, plot)
with tape.reading(…)  the n-th call finds the state that the n-th call left behind (backtest, live)
with MemoTape()       a call with the same inputs and numbers is computed once and shared (tune)
"""

import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError
from strategy.kernel import SOURCE_HASH
from strategy.shared_columns import Arrays as Arrays  # read from here by who knows tapes
from strategy.shared_columns import Key as Key
from strategy.shared_columns import SharedColumns

Scalar = int | float


class TapeError(WickError):
    """The chunks or the calls are not the ones that the tape's state goes on with."""


class Identity(NamedTuple):
    """What a tape belongs to: its state is worthless, and dangerous, for anything else."""

    source_hash: str
    params: str
    symbol: str
    first_open_time: int


class Call(NamedTuple):
    """One stateful call as the tape remembers it."""

    function: str
    timeframe: str
    scalars: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.scalars)}) on {self.timeframe}"


def exact(value: Scalar) -> str:
    """Write a number so that its type and every bit can be told apart (5 and 5.0, 0.0 and -0.0)."""
    if isinstance(value, float | np.floating):
        return float(value).hex()
    return repr(int(value))


class Tape:
    """Carry the state of every indicator from one chunk of candles to the next.

    Parameters
    ----------
    identity : Identity
        Strategy source, params, symbol and first candle that this state is for.

    Examples
    --------
    Feed chunks of any size, one candle or ten thousand; the values are the same to the last bit::

        tape = Tape(identity)
        with tape.reading(chunk.open_time):
            row = strategy.indicators(chunk, params)

    Attributes
    ----------
    last_open_time : int
        UTC ms at which the last candle it has read opened, -1 before the first.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.last_open_time = -1
        self._calls: list[Call] = []
        self._states: list[NDArray[np.float64]] = []
        self._next = 0
        self._complete = False
        self._unfinished = False

    def reading(self, open_time: NDArray[np.int64]) -> "_Pass":
        """Read one chunk of candles: inside the returned context, calls find their state.

        Parameters
        ----------
        open_time : int64 array
            Of the chunk's candles; all of them later than `last_open_time`. It may be empty.

        Raises
        ------
        TapeError
            On entering: a candle was read before (the tape stays as it is), or the pass before was
            not finished. On leaving: calls are missing.
        """
        return _Pass(self, open_time)

    def fork(self) -> "Tape":
        """Return a second tape that goes on from here; what it reads leaves this one as it is.

        Raises
        ------
        TapeError
            The last pass was not finished.
        """
        self._refuse_unfinished()
        other = Tape(self.identity)
        other.last_open_time = self.last_open_time
        other._calls = list(self._calls)
        other._states = [state.copy() for state in self._states]
        other._complete = self._complete
        return other

    def _begin(self, open_time: NDArray[np.int64]) -> None:
        self._refuse_unfinished()
        if len(open_time) and open_time[0] <= self.last_open_time:
            raise TapeError(
                f"the chunk begins with the candle of {_utc(open_time[0])}, but the tape has read"
                f" up to the one of {_utc(self.last_open_time)}",
                "feed every candle once, in the order of time: go on after tape.last_open_time",
            )
        self._unfinished = True
        self._next = 0

    def _finish(self, open_time: NDArray[np.int64]) -> None:
        if self._next != len(self._calls):
            raise TapeError(
                f"{self._next} indicator calls were made, the first pass made {len(self._calls)};"
                f" the next one was {self._calls[self._next]}",
                "branch on p only inside indicators(), never on candles or on time",
            )
        if len(open_time):
            self.last_open_time = int(open_time[-1])
        self._complete = True
        self._unfinished = False

    def _refuse_unfinished(self) -> None:
        # Some states went on by a chunk and others did not: all values from here on are wrong.
        if self._unfinished:
            raise TapeError(
                "the tape stopped in the middle of a pass and its states do not fit together",
                "rebuild it from the first candle of the run or from a snapshot",
            )

    def state(self, call: Call, size: int) -> NDArray[np.float64]:
        """Hand out the state of this call, zeros the first time."""
        at = self._next
        if at == len(self._calls) and not self._complete:
            self._calls.append(call)
            self._states.append(np.zeros(size))
        known = self._calls[at] if at < len(self._calls) else None
        if known != call:
            raise TapeError(
                f"indicator call {at + 1} is {call}, the first pass had {known or 'no such call'}",
                "branch on p only inside indicators(), never on candles or on time",
            )
        self._next += 1
        return self._states[at]

    def snapshot(self) -> bytes:
        """Write the whole state as bytes, with a checksum.

        Raises
        ------
        TapeError
            The last pass was not finished.
        """
        self._refuse_unfinished()
        head = json.dumps(
            {
                "identity": list(self.identity),
                "kernels": SOURCE_HASH,
                "last_open_time": self.last_open_time,
                "calls": [[c.function, c.timeframe, list(c.scalars)] for c in self._calls],
                "sizes": [len(state) for state in self._states],
            }
        ).encode()
        body = b"".join(state.tobytes() for state in self._states)
        packed = struct.pack("<I", len(head)) + head + body
        return packed + struct.pack("<I", zlib.crc32(packed))

    @classmethod
    def restore(cls, snapshot: bytes, identity: Identity) -> "Tape":
        """Read a snapshot back.

        Raises
        ------
        TapeError
            The bytes are damaged, were written by other kernels, or belong to another strategy,
            params, symbol or first candle.
        """
        packed, (crc,) = snapshot[:-4], struct.unpack("<I", snapshot[-4:].rjust(4, b"\0"))
        if len(packed) < 4 or zlib.crc32(packed) != crc:
            raise TapeError(
                "the tape snapshot is damaged", "rebuild it from the first candle of the run"
            )
        (size,) = struct.unpack("<I", packed[:4])
        head = json.loads(packed[4 : 4 + size])
        theirs = Identity(*head["identity"])
        if theirs != identity or head["kernels"] != SOURCE_HASH:
            raise TapeError(
                f"the tape snapshot belongs to {theirs} and kernels {head['kernels']},"
                f" expected {identity} and {SOURCE_HASH}",
                "rebuild it from the first candle of the run",
            )
        tape = cls(identity)
        tape.last_open_time = head["last_open_time"]
        tape._calls = [Call(name, frame, tuple(numbers)) for name, frame, numbers in head["calls"]]
        at = 4 + size
        for length in head["sizes"]:
            tape._states.append(np.frombuffer(packed, np.float64, length, at).copy())
            at += 8 * length
        tape._complete = bool(tape._calls)
        return tape


class _Pass:
    # One chunk's way through a tape. A class and not a generator: live it runs for every candle.
    __slots__ = ("_open_time", "_tape", "_token")

    def __init__(self, tape: Tape, open_time: NDArray[np.int64]) -> None:
        self._tape = tape
        self._open_time = open_time

    def __enter__(self) -> Tape:
        self._tape._begin(self._open_time)
        self._token = _ACTIVE.set(self._tape)
        return self._tape

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        _ACTIVE.reset(self._token)
        if kind is None:
            self._tape._finish(self._open_time)


def _utc(time_ms: int | np.int64) -> str:
    return f"{np.datetime64(int(time_ms), 'ms')} UTC"


class MemoTape(SharedColumns):
    """Share what calls with the same inputs and numbers give, while it is entered."""

    def __init__(self, budget_bytes: int = 1 << 30) -> None:
        super().__init__(budget_bytes)
        self._tokens = threading.local()  # several workers share one memo

    def __enter__(self) -> "MemoTape":
        mine = self._tokens.__dict__.setdefault("mine", [])
        mine.append(_ACTIVE.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _ACTIVE.reset(self._tokens.mine.pop())


_ACTIVE: ContextVar[Tape | MemoTape | None] = ContextVar("tape", default=None)
_INSIDE: ContextVar[bool] = ContextVar("inside_indicators", default=False)


@contextmanager
def inside_indicators() -> Iterator[None]:
    """Mark that a strategy's `indicators` runs, where columns refuse to be looked at by
    position."""
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def is_inside_indicators() -> bool:
    """Say whether a strategy's `indicators` runs in this context."""
    return _INSIDE.get()


def memo() -> MemoTape | None:
    """Return the active memo tape, if there is one: only it needs to know how a column came
    about."""
    active = _ACTIVE.get()
    return active if isinstance(active, MemoTape) else None


@lru_cache(4096, typed=True)
def _signature(function: str, timeframe: str, *scalars: Scalar) -> Call:
    # The same few at every candle, and to write numbers exactly takes time.
    return Call(function, timeframe, tuple([exact(value) for value in scalars]))


def call(
    function: str,
    timeframe: str,
    kernel: Callable[..., Any],
    arrays: Sequence[NDArray[Any]],
    keys: Sequence[Key | None],
    scalars: tuple[Scalar, ...],
    state_size: int,
) -> tuple[Arrays, Key | None]:
    """Run a kernel with the state that belongs to this place in the sequence of calls.

    The kernel is called as ``kernel(*arrays, *scalars, state)``; it reads and writes ``state``
    (float64, zeros at first) and returns one array or a tuple of arrays.
    """
    active = _ACTIVE.get()
    if active is None:
        return _run(kernel, arrays, scalars, np.zeros(state_size)), None
    # Zeros of either sign would be one key of the cache; whole numbers have but one.
    alike = 0 in scalars and any(type(value) is not int for value in scalars if value == 0)
    signed = _signature.__wrapped__ if alike else _signature
    signature = signed(function, timeframe, *scalars)
    if isinstance(active, Tape):
        return _run(kernel, arrays, scalars, active.state(signature, state_size)), None
    if None in keys:  # an input that came about outside the memo tape
        return _run(kernel, arrays, scalars, np.zeros(state_size)), None
    # A kernel of the strategy's own may hold what nothing else names, such as a param in its
    # closure, so it is a part of the key itself.
    owner = SOURCE_HASH if _is_ours(kernel) else kernel
    key: Key = (function, timeframe, signature.scalars, owner, *keys)
    return active.remember(key, lambda: _run(kernel, arrays, scalars, np.zeros(state_size))), key


def _is_ours(kernel: Callable[..., Any]) -> bool:
    function: Any = getattr(kernel, "py_func", kernel)
    return str(function.__module__).startswith("strategy.") and function.__closure__ is None


def _run(
    kernel: Callable[..., Any],
    arrays: Sequence[NDArray[Any]],
    scalars: tuple[Scalar, ...],
    state: NDArray[np.float64],
) -> Arrays:
    out = kernel(*arrays, *scalars, state)
    return out if isinstance(out, tuple) else (out,)
