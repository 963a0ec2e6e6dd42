"""What a check found, and how it counts what it compared."""

from collections.abc import Callable
from dataclasses import dataclass, field

from strategy.contract.outcome import Rows, Span
from strategy.errors import WickError

# Kind of finding: what it means when a value differs, and what to do about it.
BEGINNING, FUTURE, CHUNKS, REPEAT = "beginning", "future", "chunks", "repeat"
WRITTEN, OUTSIDE, PRIVATE, REFUSED = "written", "outside", "private", "refused"
UNUSED, EDGE, QUIET = "unused", "edge", "quiet"
STOPS = "indicators"  # the place of a finding that the strategy stops with an error
_WAYS = "use indicators, previous(x, n) and resample().align() of the columns"
HINTS = {
    BEGINNING: f"it reads candles after its own; {_WAYS}",
    FUTURE: f"it reads candles after its own; {_WAYS}",
    CHUNKS: "memory belongs into indicators: no globals, no random numbers, no positions",
    REPEAT: "leave out random numbers, the clock, files and globals that a call changes",
    WRITTEN: "make new columns; the candles belong to everybody",
    OUTSIDE: "a strategy knows its candles and its params, and nothing else",
    PRIVATE: "what begins with _ shows candles by position; use columns and indicators",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a strategy does and must not, or may but hardly means to.

    Attributes
    ----------
    kind : str
        The check that found it.
    where : str
        Row.field, rule name, size, a parameter, or a line.
    said : str
        One sentence without its candle.
    hint : str
    time : int
        UTC ms at which the first such candle opens, -1 where it belongs to none.
    seen, expected : float
        NaN where nothing was compared.
    """

    kind: str
    where: str
    said: str
    hint: str
    time: int = -1
    seen: float = float("nan")
    expected: float = float("nan")


@dataclass(slots=True)
class Check:
    """One check under way: what it compared, and the first finding at each place.

    Attributes
    ----------
    kind : str
    title : str
        What was compared, in words.
    runs : int
        How often the strategy was run.
    values : int
        Values compared, over all runs.
    found : dict
        Finding by its place.
    """

    kind: str
    title: str
    runs: int = 0
    values: int = 0
    found: dict[str, Finding] = field(default_factory=dict)

    def compare(self, run: Callable[[], Rows], span: Span, at: slice, how: str) -> None:
        """Run the strategy once more; what it says of the candles `at` must be what the span says.

        An error on the way is a finding too: on the whole history there was none.
        """
        self.runs += 1
        try:
            rows = run()
        except WickError as error:
            self.stops(error, int(span.times[at][-1]), how)
        else:
            self.hold(rows, span, at, how)

    def stops(self, error: WickError, time: int, how: str) -> None:
        """Note that the strategy stops with an error."""
        said = f"the strategy stops {how}: {error.message}"
        self.found.setdefault(STOPS, Finding(self.kind, STOPS, said, error.hint, time))

    def hold(self, rows: Rows, span: Span, at: slice, how: str) -> None:
        """Hold rows of the candles `at` against the span's."""
        self.values += len(rows[0]) * len(span.whole.arrays)
        for one in span.differences(rows, at):
            if one.where not in self.found:
                said = f"{one.where} is {one.seen:.10g} {how}, and {one.expected:.10g} otherwise"
                self.found[one.where] = Finding(
                    self.kind, one.where, said, HINTS[self.kind],
                    int(span.times[at][one.at]), one.seen, one.expected,
                )  # fmt: skip

    @property
    def findings(self) -> list[Finding]:
        """In the order in which they were found."""
        return list(self.found.values())

    def join(self, other: "Check") -> None:
        """Take in what another check of the same kind compared and found."""
        self.runs += other.runs
        self.values += other.values
        self.found = other.found | self.found
