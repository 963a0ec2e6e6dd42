"""How far a run of many symbols is, on standard error."""

import itertools
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

WAIT_S = 1.0  # what is done by then needs no bar


class SymbolsDone:
    """A bar of symbols, shown once the work has taken a second; nothing where nobody watches."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bar: Any = None
        self._lock = threading.Lock()
        self._watched = sys.stderr.isatty()

    def __enter__(self) -> "SymbolsDone":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def stage(self, title: str, symbols: int) -> Callable[[], None]:
        """Return what to call, from any thread, whenever one of so many symbols is done."""
        counter = itertools.count(1)

        def done() -> None:
            with self._lock:
                self._show(title, next(counter), symbols)

        return done

    def _show(self, title: str, done: int, symbols: int) -> None:
        if not self._watched or time.monotonic() - self._began < WAIT_S:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(title, total=symbols)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=title, completed=done, total=symbols)
