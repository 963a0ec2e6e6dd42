"""The longest checks in a process of their own, beside all others: a second core has nothing else
to do.

It starts with the command and imports while candles are gathered. Through a pipe it gets the
text of the strategy, the candles and what was said of them, loads it anew, and answers with checks.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from live import tied
from strategy.uncollected import uncollected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from research.check import Longest, Plan
    from strategy.candles import Candles
    from strategy.contract.findings import Check
    from strategy.contract.future import Tick
    from strategy.contract.outcome import Outcome
    from strategy.risk import Risk

_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from research.check_process import serve; serve()"
_SHARE = 0.5  # of the bars: with the cuts about half of the work
_Answer = tuple[list["Check"], list["Check"]]
_TOLD = 100  # bars from one word on how far it is to the next


class CheckProcess:
    """The process, as long as it is entered."""

    def __enter__(self) -> "CheckProcess":
        python = sys.executable
        self._process = subprocess.Popen(
            [python, "-I", "-S", tied.__file__, str(os.getpid()), python, "-c", _SERVE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone
        )
        self._asked = 0
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def begin(self, plan: "Plan") -> "Longest":
        """Send a plan there; gives what reads the rest of its bars and waits for all others.

        Where the process ends too soon, all is done here: that takes longer, nothing else.
        """
        from strategy.contract.bars import FEWER, every_bar

        share = int(_SHARE * len(plan.bars)) // FEWER * FEWER
        theirs, ours = plan.bars[:share], plan.bars[share:]
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None and answers is not None  # pipes, both
        self._asked += 1
        number = self._asked
        with contextlib.suppress(OSError):
            pickle.dump(_Sent.of(number, plan, theirs), questions, pickle.HIGHEST_PROTOCOL)
            questions.flush()

        def answered(tick: "Tick") -> "_Answer":
            with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
                while True:
                    its, answer = pickle.load(answers)
                    if its != number:  # of a plan that nobody waited for
                        continue
                    if not isinstance(answer, int):
                        return cast("_Answer", answer)
                    for _ in range(answer):
                        tick()
            return plan.longest(theirs, tick)

        def end(tick: "Tick") -> "_Answer":
            rest = every_bar(plan.window, ours, plan.seed, tick)
            bars, cuts = answered(tick)
            return bars + rest, cuts

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
    """A plan, without what is made anew from the text of the strategy."""

    number: int
    path: Path
    source: bytes
    params: tuple[float, ...]
    risk: "Risk"
    grid: Any
    candles: "Candles"
    whole: "Outcome"
    places: "NDArray[np.int64]"
    window: "Outcome"
    start: int
    front: int
    seed: int
    bars: range

    @classmethod
    def of(cls, number: int, plan: "Plan", bars: range) -> "_Sent":
        history, subject = plan.history, plan.history.subject
        return cls(
            number,
            subject.strategy.path,
            subject.strategy.source,
            tuple(subject.params),
            subject.risk,
            subject.grid,
            history.candles,
            history.whole,
            plan.places,
            plan.window.whole,
            plan.start,
            plan.front,
            plan.seed,
            bars,
        )

    def plan(self) -> "Plan":
        from research.check import Plan
        from strategy.contract.outcome import Span, Subject
        from strategy.load import load_source

        strategy = load_source(self.path, self.source)
        subject = Subject(strategy, strategy.params(*self.params), self.risk, self.grid)
        subject.rows(self.candles)  # as where it was asked: one copy has seen all of them
        stop = self.start + len(self.window.arrays[0])
        window = Span(subject, self.candles.slice(self.start, stop), self.window)
        history = Span(subject, self.candles, self.whole)
        return Plan(history, self.places, window, self.start, self.front, self.seed)


def serve() -> None:
    """Answer until there is no question any more; what fails here fails again where it was asked,
    and is told there."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a strategy prints is no answer, and what it reads no question.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    with contextlib.suppress(Exception), uncollected():
        import research.check  # noqa: F401, before there is a question

        while True:
            sent: _Sent = pickle.load(questions)
            told = _Told(answers, sent.number)
            told.tell(sent.plan().longest(sent.bars, told))


class _Told:
    """Tell how many bars were read, not every single one, and what came of them."""

    def __init__(self, answers: BinaryIO, number: int) -> None:
        self._answers, self._number, self._bars = answers, number, 0

    def __call__(self) -> None:
        self._bars += 1
        if self._bars % _TOLD == 0:
            self.tell(_TOLD)

    def tell(self, answer: "int | _Answer") -> None:
        pickle.dump((self._number, answer), self._answers)
        self._answers.flush()
