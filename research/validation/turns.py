"""Several searches by turns: while one waits for its figures, another thinks."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from backtest.sweeps.figures import SweepTable
from research.tuning.scoring import Evaluate

_Found = TypeVar("_Found")


class _StoppedError(Exception):
    pass


def by_turns(
    searches: Sequence[Callable[[Evaluate], _Found]], evaluate: Evaluate, at_once: int
) -> list[_Found]:
    """Do searches, up to so many at once, and give what each gives, in their order.

    One of them runs at a time, but while they evaluate: so only `evaluate` has to stand threads.

    Parameters
    ----------
    searches : sequence of callable
        Each is called with what evaluates for it.
    at_once : int
        With 1, one after the other in this thread.
    """
    if at_once == 1:
        return [search(evaluate) for search in searches]
    turn, stopped = threading.Lock(), threading.Event()

    def waiting(*given: Any, **options: Any) -> SweepTable:
        turn.release()
        try:
            return evaluate(*given, **options)
        finally:
            turn.acquire()
            if stopped.is_set():
                raise _StoppedError

    def whole(search: Callable[[Evaluate], _Found]) -> _Found:
        with turn:
            if stopped.is_set():
                raise _StoppedError
            try:
                return search(waiting)
            except BaseException:
                stopped.set()
                raise

    with ThreadPoolExecutor(at_once) as threads:
        running = [threads.submit(whole, search) for search in searches]
        try:
            wait(running)
        finally:  # by Ctrl-C
            stopped.set()
    for error in [one.exception() for one in running]:
        if error is not None and not isinstance(error, _StoppedError):
            raise error
    return [one.result() for one in running]
