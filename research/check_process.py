"""Most bars of a check in a process of their own, beside the other checks: the bars take two thirds
of the time, and a second core has nothing else to do.

It starts with the command and imports while candles are gathered. Through a pipe it gets the text
of the strategy, a stretch and what was said of that, loads the text anew, and answers with checks.
"""

import contextlib
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from live import tied

if TYPE_CHECKING:
    from strategy.candles import Candles
    from strategy.contract.findings import Check
    from strategy.contract.future import Tick
    from strategy.contract.outcome import Outcome, Span
    from strategy.risk import Risk

_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from research.check_process import serve; serve()"
_SHARE = 0.75  # of the bars; beside them go the other checks, and the rest of the bars
_TOLD = 100  # bars from one word on how far it is to the next


class BarsProcess:
    """The process, as long as it is entered."""

    def __enter__(self) -> "BarsProcess":
        python = sys.executable
        self._process = subprocess.Popen(
            [python, "-I", "-S", tied.__file__, str(os.getpid()), python, "-c", _SERVE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone
        )
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def begin(self, span: "Span", bars: range, seed: int) -> "Callable[[Tick], list[Check]]":
        """Send most of the bars of a stretch there; gives what reads the rest and waits.

        Where the process ends too soon, all are read here: that takes longer, nothing else.
        """
        from strategy.contract.bars import FEWER, every_bar

        share = int(_SHARE * len(bars)) // FEWER * FEWER
        theirs, ours = bars[:share], bars[share:]
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None and answers is not None  # pipes, both
        with contextlib.suppress(OSError):
            pickle.dump(_Sent.of(span, theirs, seed), questions)
            questions.flush()

        def answered(tick: "Tick") -> "list[Check]":
            with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
                while True:
                    answer: int | list[Check] = pickle.load(answers)
                    if not isinstance(answer, int):
                        return answer
                    for _ in range(answer):
                        tick()
            return every_bar(span, theirs, seed, tick)

        def end(tick: "Tick") -> "list[Check]":
            rest = every_bar(span, ours, seed, tick)
            return answered(tick) + rest

        return end

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):  # what was not sent is of no use any more
            self._process.communicate()


class _Sent(NamedTuple):
    """A stretch, without what is made anew from the text of the strategy."""

    path: Path
    source: bytes
    params: tuple[float, ...]
    risk: "Risk"
    grid: Any
    candles: "Candles"
    whole: "Outcome"
    bars: range
    seed: int

    @classmethod
    def of(cls, span: "Span", bars: range, seed: int) -> "_Sent":
        subject = span.subject
        strategy, params = subject.strategy, tuple(subject.params)
        return cls(
            strategy.path, strategy.source, params, subject.risk, subject.grid,
            span.candles, span.whole, bars, seed,
        )  # fmt: skip

    def span(self) -> "Span":
        from strategy.contract.outcome import Span, Subject
        from strategy.load import load_source

        strategy = load_source(self.path, self.source)
        subject = Subject(strategy, strategy.params(*self.params), self.risk, self.grid)
        return Span(subject, self.candles, self.whole)


def serve() -> None:
    """Answer until there is no question any more; what fails here fails again where it was asked,
    and is told there."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a strategy prints is no answer, and what it reads no question.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    gc.disable()
    with contextlib.suppress(Exception):
        from strategy.contract.bars import every_bar

        while True:
            sent: _Sent = pickle.load(questions)
            span = sent.span()
            span.subject.rows(span.candles)  # as where it was asked: one copy has seen all of them
            checks = every_bar(span, sent.bars, sent.seed, _Told(answers))
            _tell(answers, checks)


class _Told:
    """Tell how many bars were read, not every single one."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers, self._bars = answers, 0

    def __call__(self) -> None:
        self._bars += 1
        if self._bars % _TOLD == 0:
            _tell(self._answers, _TOLD)


def _tell(answers: BinaryIO, answer: "int | list[Check]") -> None:
    pickle.dump(answer, answers)
    answers.flush()
