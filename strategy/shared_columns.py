"""Columns that are computed once and shared, within a budget of bytes."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]
Key = tuple[Any, ...]


class SharedColumns:
    """Compute each distinct column once and share it, read-only, between threads.

    Parameters
    ----------
    budget_bytes : int
        What the kept columns may weigh together; the longest unused go first. One that somebody
        else still holds is found all the same.
    """

    def __init__(self, budget_bytes: int = 1 << 30) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self.computed = 0
        self.asked: list[int] | None = None  # hashes of keys, where somebody takes them down
        self._due: Counter[int] = Counter()
        self._kept: OrderedDict[Key, Arrays] = OrderedDict()
        self._lent: WeakValueDictionary[Key, NDArray[Any]] = WeakValueDictionary()
        self._busy: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def expect(self, asked: Iterable[int]) -> None:
        """Say what will be asked for, as `asked` has taken it down: behind the last time, a column
        is dropped."""
        with self._lock:
            self._due.update(asked)

    def remember(self, key: Key, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays for a key, computed by whoever asks first."""
        with self._lock:
            if self.asked is not None:
                self.asked.append(hash(key))
            if (found := self._find(key)) is not None:
                self._used(key)
                return found
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._lock:
                if (found := self._find(key)) is not None:
                    self._used(key)
                    return found
            arrays = compute()
            for array in arrays:
                array.flags.writeable = False
            with self._lock:
                self._keep(key, arrays)
                self._used(key)
            return arrays

    def _find(self, key: Key) -> Arrays | None:
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return found
        lent = self._lent.get(key)
        return None if lent is None else (lent,)

    def _keep(self, key: Key, arrays: Arrays) -> None:
        self._busy.pop(key, None)
        if key in self._kept:  # evicted and computed again by two at once
            return
        self._kept[key] = arrays
        self.computed += 1
        self.used_bytes += sum(array.nbytes for array in arrays)
        while self.used_bytes > self.budget_bytes and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def _used(self, key: Key) -> None:
        if not self._due:
            return
        due = self._due.pop(number := hash(key), 0)
        if due > 1:
            self._due[number] = due - 1
        elif due == 1 and key in self._kept:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        dropped = self._kept.pop(key)
        self.used_bytes -= sum(array.nbytes for array in dropped)
        if len(dropped) == 1:
            self._lent[key] = dropped[0]
