"""One backtest from what was asked for to a run that can be kept; for wick and for Python."""

import contextlib
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.progress import SymbolsDone

if TYPE_CHECKING:
    from backtest.inputs import Asked, Inputs
    from data.runs import Run
    from strategy.candles import Candles


def run_asked(
    asked: "Asked",
    store: Path,
    runs: Path,
    *,
    name: str | None = None,
    command: Sequence[str] = (),
    notes: Sequence[str] = (),
    given: "Sequence[Candles]" = (),
    detail: "Sequence[Candles | None]" = (),
) -> "tuple[Run, Inputs]":
    """Gather the inputs and run; the run is not kept yet.

    Parameters
    ----------
    command : sequence of str
        The words after `wick`, none from Python.
    notes : sequence of str
        Of the caller, before those about the inputs.
    given : sequence of Candles
        Instead of the store's.
    detail : sequence of Candles
        Finer ones instead of the store's.
    """
    check_name(name)
    # What a strategy prints is no result.
    with compiling(), SymbolsDone() as done, contextlib.redirect_stdout(sys.stderr):
        from backtest.inputs import gather, run
        from backtest.interval import interval_of
        from backtest.record import record_with, run_with
        from backtest.refusals import refuse_cold, refuse_without_distance
        from data.dates import now_ms

        inputs = gather(asked, store, runs, given, detail, done)
        result = run(inputs, threads=asked.threads, done=done)
        if not len(result.trades) and not result.refused.any():
            refuse_cold(inputs.strategy, inputs.params, inputs.history or inputs.candles)
        refuse_without_distance(result)
        interval = interval_of(result, lambda costs: run(replace(inputs, costs=costs)))
        record = record_with(
            result,
            inputs,
            kind="backtest",
            created_ms=now_ms(),
            command=command,
            before=notes,
            name=name,
            interval=interval,
        )
        return run_with(runs, record, result), inputs


def check_name(name: str | None) -> None:
    """Refuse a name that cannot be a run's folder, before the work and not after it.

    Raises
    ------
    WickError
        It has other characters, is too long, or means something else.
    """
    from strategy.errors import WickError

    if name is None:
        return
    # `last` is the newest run, and --params takes what ends in .toml for a file.
    if not re.fullmatch(r"\w[\w.-]{0,49}", name) or name == "last" or name.endswith(".toml"):
        raise WickError(
            f"--name {name!r} cannot name a run",
            "up to 50 letters, digits, - _ and ., such as my-first; not last",
        )


class compiling:  # noqa: N801  used as a function
    """Say that kernels are being compiled when none are cached yet, and nothing otherwise."""

    def __enter__(self) -> None:
        from strategy.kernel import CACHE_DIR

        self._status: Any = None
        if CACHE_DIR is not None and any(CACHE_DIR.rglob("simulate*.nbi")):
            return
        from rich.console import Console

        words = "compiling the kernels, once after an install or an edit of strategy/ (about 15 s)"
        self._status = Console(stderr=True).status(words)
        self._status.start()

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
