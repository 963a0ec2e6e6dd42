"""Keeping the processes of a session alive: start, restart with back-off, stop, and their logs."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from live import tied
from strategy.errors import RunRefused, WickError

_Result = TypeVar("_Result")

_LAST_BYTES = 1 << 16
_LOG_BYTES = 10_000_000
_WRONG_USE = 2  # the exit code of a WickError


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep.

    Attributes
    ----------
    name : str
    argv : tuple of str
    env : mapping
        Its whole environment.
    log : Path
        What it prints; with ten million bytes it is put aside at the next start, as NAME.log.1.
    ends : bool
        An exit with code 0 means that its work is done; that of a server, and of a role outside a
        replay, never is.
    again : bool
        It may die and be started again; what is lost with it otherwise ends the session.
    needed : callable
        Whether it is to be started again however often it dies.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    ends: bool = True
    again: bool = True
    needed: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a dead process is started again, and when one that is not needed is given up."""

    first_s: float = 0.2
    most_s: float = 10.0
    deaths: int = 5
    within_s: float = 30.0


@dataclass(slots=True)
class Kept:
    """A program and how it fares.

    Attributes
    ----------
    proven : bool
        It has been at work once, as whoever uses it has to say; what it refuses after that, such as
        a Redis that is away while it starts again, may pass.
    death : str
        What it last died of, empty while it never has.
    """

    program: Program
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    done: bool = False
    proven: bool = False
    death: str = ""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    died_s: list[float] = field(default_factory=list)
    said_from: int = 0  # where the log of the present process begins

    @property
    def pid(self) -> int | None:
        """Its process, None while there is none."""
        here = self.process is not None and self.process.returncode is None
        return self.process.pid if here and self.process else None


class Supervisor:
    """Starts programs as children, restarts those that die, and ends them all.

    Parameters
    ----------
    pace : Pace, optional
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.kept: dict[str, Kept] = {}

    def start(self, *programs: Program) -> None:
        """Start programs; each is looked after from here on."""
        for program in programs:
            kept = self.kept[program.name] = Kept(program)
            self._tasks[program.name] = asyncio.create_task(self._keep(kept))

    async def until(self, awaited: Awaitable[_Result]) -> _Result:
        """Wait for something while the programs run.

        Raises
        ------
        WickError
            A program that was not at work before refused it (exit code 2): its own sentence and
            hint.
        RunRefused
            A program died too often.
        """
        waiting = asyncio.ensure_future(awaited)
        both: set[asyncio.Future[Any]] = {waiting, self._failed}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            return await waiting
        finally:
            waiting.cancel()

    async def done(self, names: Iterable[str]) -> None:
        """Wait until these programs have ended their work."""
        await asyncio.wait({self._tasks[name] for name in names})

    async def stop(self, names: Iterable[str] | None = None, grace_s: float = 10.0) -> None:
        """Ask programs to end, all at once, and kill those that do not in time."""
        chosen = self.kept if names is None else names
        wanted = [self.kept[name] for name in chosen if name in self.kept]
        if not wanted:
            return
        for kept in wanted:
            kept.stopping.set()
            _signal(kept, signal.SIGTERM)
        tasks = {self._tasks[kept.program.name] for kept in wanted}
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        if late:
            for kept in wanted:
                _signal(kept, signal.SIGKILL)
            await asyncio.wait(late)

    def said(self, name: str) -> list[str]:
        """Return the last lines that a program's present process has printed."""
        kept = self.kept[name]
        return _said(kept) if kept.process is not None else []

    async def _keep(self, kept: Kept) -> None:
        try:
            while not kept.stopping.is_set():
                try:
                    code = await self._run(kept)
                except OSError as error:  # no room for another process
                    if not kept.program.needed():
                        raise
                    kept.death = f"it cannot be started: {error.strerror}"
                    await self._back_off(kept)
                    continue
                if kept.stopping.is_set() or (code == 0 and kept.program.ends):
                    kept.done = code == 0
                    return
                if code == _WRONG_USE and not kept.proven:
                    raise _refusal_of(kept)
                if not kept.program.again:
                    raise _loss_of(kept, code)
                kept.death = _death_of(kept, code)
                if self._is_loop(kept):
                    raise _crash_loop(kept, code, self._pace)
                await self._back_off(kept)
        except (WickError, OSError) as error:
            if not self._failed.done():
                self._failed.set_exception(error)
                self._failed.exception()  # seen: nobody may be waiting yet

    async def _run(self, kept: Kept) -> int:
        program = kept.program
        _put_aside(program.log)
        # Straight into the file: through a pipe, a supervisor that is held up (Ctrl-Z, Ctrl-S on
        # its terminal) would in the end hold up the trader.
        with program.log.open("ab") as log:
            kept.said_from = log.tell()
            kept.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), *program.argv),
                env=dict(program.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
            )
        if kept.stopping.is_set():
            _signal(kept, signal.SIGTERM)
        return await kept.process.wait()

    def _is_loop(self, kept: Kept) -> bool:
        since_s = time.monotonic() - self._pace.within_s
        recent = 1 + sum(then >= since_s for then in kept.died_s)
        return recent >= self._pace.deaths and not kept.program.needed()

    async def _back_off(self, kept: Kept) -> None:
        now = time.monotonic()
        pace = self._pace
        kept.died_s = [*(then for then in kept.died_s if now - then < 2 * pace.within_s), now]
        wait_s = min(pace.first_s * 2 ** (len(kept.died_s) - 1), pace.most_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kept.stopping.wait(), wait_s)
            return
        kept.restarts += 1


def _put_aside(log: Path) -> None:
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))


def _signal(kept: Kept, number: signal.Signals) -> None:
    if kept.process is not None and kept.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            kept.process.send_signal(number)


def _said(kept: Kept) -> list[str]:
    with kept.program.log.open("rb") as log:
        log.seek(max(kept.said_from, log.seek(0, os.SEEK_END) - _LAST_BYTES))
        return log.read().decode(errors="replace").splitlines()


def _last(lines: Sequence[str], mark: str) -> str:
    found = (line[len(mark) :] for line in reversed(lines) if line.startswith(mark))
    return next(found, "")


def _refusal_of(kept: Kept) -> WickError:
    name, log, lines = kept.program.name, kept.program.log, _said(kept)
    message = _last(lines, "wick: ") or f"{name} refused to start without saying why"
    return WickError(message, _last(lines, "hint: ") or f"its log is {log}")


def _loss_of(kept: Kept, code: int) -> RunRefused:
    program = kept.program
    return RunRefused(
        f"{program.name} died with {_how(kept, code)}, and what it knew died with it",
        f"its log is {program.log}; start a new session",
    )


def _crash_loop(kept: Kept, code: int, pace: Pace) -> RunRefused:
    program = kept.program
    return RunRefused(
        f"{program.name} died {pace.deaths} times in {pace.within_s:g} s, last with"
        f" {_how(kept, code)}",
        f"its log is {program.log}; stops stay on the exchange",
    )


def _death_of(kept: Kept, code: int) -> str:
    # Its own sentence, where it had the time for one.
    return (_last(_said(kept), "wick: ") if code > 0 else "") or _code(code)


def _code(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _how(kept: Kept, code: int) -> str:
    lines = _said(kept)
    how = _code(code)
    # A line of JSON is for programs: where the exchange is, not why it died.
    words = (line for line in reversed(lines) if line.strip() and not line.startswith("{"))
    said = _last(lines, "wick: ") or next(words, "")
    return f"{how}: {said}" if said else how
