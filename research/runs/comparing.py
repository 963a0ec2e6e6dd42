"""Runs side by side: what they rest on, what was set, and how their figures differ."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data.dates import show_time
from data.run_json import DataRecord, RunRecord
from data.runs import find, read_record
from data.symbols import DatedRules, MarginRules, SymbolRules
from data.terminal import counted
from strategy.errors import RunRefused, WickError

if TYPE_CHECKING:
    import pandas as pd

_BEFORE = "was not computed when the run was made"
_MOST = 4  # differences in a sentence
MOST = 26  # runs side by side, a letter each


class Difference(NamedTuple):
    """Something that is not the same in all runs, and what it is in each."""

    what: str
    values: tuple[str, ...]


class Line(NamedTuple):
    """One figure of all runs.

    `values` and `differences` (from the first run) are None where there is none, and `notes` says
    why.
    """

    key: str
    label: str
    unit: str
    values: tuple[float | None, ...]
    differences: tuple[float | None, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Runs side by side, in the order they were named.

    Attributes
    ----------
    folders : tuple of Path
    records : tuple of RunRecord
    rests_on : list of Difference
        What differs of data, funding, exchange rules and costs: where there is anything, figures
        cannot be told from each other fairly.
    settings : list of Difference
        Params, risk, balance, seed and the like that differ.
    lines : list of Line
        Every figure that a run has.
    """

    folders: tuple[Path, ...]
    records: tuple[RunRecord, ...]
    rests_on: list[Difference]
    settings: list[Difference]
    lines: list[Line]

    @property
    def figures(self) -> "pd.DataFrame":
        """Label, unit, the value of each run by its id, and the differences from the first one; NaN
        where there is none."""
        import pandas as pd

        names = [one.id for one in self.records]
        columns = ["label", "unit", *names, *(f"{name} - {names[0]}" for name in names[1:])]
        rows = [(one.label, one.unit, *one.values, *one.differences) for one in self.lines]
        table = pd.DataFrame(rows, [one.key for one in self.lines], columns)
        return table.astype(dict.fromkeys(columns[2:], float)).rename_axis("key")

    @property
    def changes(self) -> "pd.DataFrame":
        """What was set differently, and what differs of data and costs, by run."""
        import pandas as pd

        found = [*self.rests_on, *self.settings]
        names = [one.id for one in self.records]
        return pd.DataFrame(
            [one.values for one in found], [one.what for one in found], names, dtype=str
        ).rename_axis("what")

    def __repr__(self) -> str:
        names = " beside ".join(one.id for one in self.records)
        told = ", ".join(one.what for one in [*self.rests_on, *self.settings]) or "nothing"
        warning = "not comparable, data or costs differ\n" if self.rests_on else ""
        return f"{names}\n{warning}set differently: {told}"

    @property
    def same_source(self) -> bool:
        """Whether all ran the same bytes of a strategy."""
        return len({one.strategy.source_hash for one in self.records}) == 1

    @property
    def same_result(self) -> bool:
        """Whether all have the same trades and equity, to the last bit."""
        return len({one.result_hash for one in self.records}) == 1


def read_all(runs: Path, names: Sequence[str]) -> dict[Path, RunRecord]:
    """Read the records of runs by their names.

    Raises
    ------
    WickError
        There is no such run, one is damaged, one is named twice, or fewer than two or more than
        26 are named.
    """
    found: dict[Path, RunRecord] = {}
    for name in names:
        folder = find(runs, name)
        if folder in found:
            raise WickError(
                f"{name!r} is run {folder.name} once more", "name each run once, two or more"
            )
        found[folder] = read_record(folder)
    if len(found) < 2:
        raise WickError(
            f"only {counted(len(found), 'run')} to compare, expected two or more",
            "wick runs compare A B; wick runs list shows their names",
        )
    if len(found) > MOST:
        raise WickError(
            f"{len(found)} runs to compare, expected at most {MOST}",
            "wick runs list --json has the main figures of all",
        )
    return found


def comparison_of(found: dict[Path, RunRecord]) -> Comparison:
    """Lay runs side by side."""
    records = tuple(found.values())
    return Comparison(
        tuple(found),
        records,
        [*_data_differences(records), *_cost_differences(records)],
        list(_setting_differences(records)),
        list(_figure_lines(records)),
    )


def check_comparable(found: Comparison) -> None:
    """Refuse runs that rest on other data or costs.

    Raises
    ------
    RunRefused
        What differs is named.
    """
    if not found.rests_on:
        return
    told = [f"{one.what} ({' / '.join(one.values)})" for one in found.rests_on[:_MOST]]
    more = len(found.rests_on) - _MOST
    end = f" and {more} more" if more > 0 else ""
    raise RunRefused(
        f"runs {', '.join(one.id for one in found.records)} differ in {', '.join(told)}{end}",
        "their figures say nothing about which is better; --force shows them all the same",
    )


def _data_differences(records: Sequence[RunRecord]) -> Iterator[Difference]:
    symbols = [tuple(one.symbol for one in record.data) for record in records]
    yield from _differing("symbols", symbols, ",".join)
    for symbol in symbols[0]:
        if all(symbol in its for its in symbols):
            each = [next(d for d in record.data if d.symbol == symbol) for record in records]
            yield from _symbol_differences(symbol, each)


def _symbol_differences(symbol: str, each: Sequence[DataRecord]) -> Iterator[Difference]:
    series = [(one.market, one.timeframe) for one in each]
    spans = [(one.first_ms, one.end_ms) for one in each]
    kinds = list(_differing(f"{symbol} candles", series, " ".join))
    kinds += _differing(f"{symbol} span", spans, _span)
    yield from kinds
    # Of another span or timeframe everything is another; what says more is whether it was there.
    same = not kinds
    # A fingerprint is over the columns that the strategy reads; prices have one of their own.
    alike = len({tuple(one.columns) for one in each}) == 1
    prints = [one.fingerprint if alike else one.prices or one.fingerprint for one in each]
    yield from _differing(f"{symbol} prices", prints if same else (), _short)
    yield from _differing(f"{symbol} warm-up from", [one.warm_ms for one in each], show_time)
    warm = [one.warm_fingerprint for one in each] if same and alike else ()
    yield from _differing(f"{symbol} warm-up", warm, _short)
    rules = [_rules(one.rules) for one in each]
    yield from _differing(f"{symbol} exchange rules", rules, " ".join)
    margins = [_margin(one.margin) for one in each]
    yield from _differing(f"{symbol} leverage brackets", margins, _bracket_words)
    changed = [tuple(map(_dated, one.changes)) for one in each] if same else ()
    yield from _differing(f"{symbol} rules during the run", changed, _times)
    for name in ("funding", "marks", "detail"):
        known = [getattr(one, name) for one in each]
        ids = [None if one is None else one.fingerprint if same else "there" for one in known]
        yield from _differing(f"{symbol} {_NAMES[name]}", ids, _short)


_NAMES = {"funding": "funding", "marks": "mark prices", "detail": "finer candles"}


def _cost_differences(records: Sequence[RunRecord]) -> Iterator[Difference]:
    costs = [record.all_costs._asdict() for record in records]
    for name in costs[0]:
        yield from _differing(f"costs.{name}", [one[name] for one in costs], _number)


def _setting_differences(records: Sequence[RunRecord]) -> Iterator[Difference]:
    yield from _differing("strategy", [one.strategy.name for one in records], str)
    for part, dot in (("params", ""), ("risk", "risk.")):
        each = [getattr(one, part) for one in records]
        for name in dict.fromkeys(name for its in each for name in its):
            yield from _differing(f"{dot}{name}", [its.get(name) for its in each], _number)
    yield from _differing("balance", [one.balance for one in records], _number)
    yield from _differing("kind", [one.kind for one in records], str)
    yield from _differing("kernels", [one.kernels for one in records], str)


def _figure_lines(records: Sequence[RunRecord]) -> Iterator[Line]:
    each = [{one.key: one for one in record.figures} for record in records]
    for key in dict.fromkeys(key for its in each for key in its):
        found = [its.get(key) for its in each]
        values = tuple(None if one is None else one.value for one in found)
        notes = tuple(
            _BEFORE if one is None else one.note if one.value is None else "" for one in found
        )
        first = next(one for one in found if one is not None)
        differences = tuple(
            None if value is None or values[0] is None or first.unit == "time"
            else value - values[0]
            for value in values[1:]
        )  # fmt: skip
        yield Line(key, first.label, first.unit, values, differences, notes)


def _differing(
    what: str, values: Sequence[Any], write: Callable[[Any], str]
) -> Iterator[Difference]:
    if len(set(values)) > 1:
        yield Difference(what, tuple("none" if one is None else write(one) for one in values))


def _rules(its: SymbolRules) -> tuple[str, ...]:
    # Not the day they were seen: the same rules are the same.
    return (its.tick_size, its.step_size, its.min_qty, its.max_qty, its.min_notional)


def _margin(its: MarginRules | None) -> Any:
    return None if its is None else (its.brackets, its.liquidation_fee)


def _dated(its: DatedRules) -> Any:
    return its.at_ms, _rules(its.rules), _margin(its.margin)


def _bracket_words(margin: Any) -> str:
    return f"{counted(len(margin[0]), 'bracket')}, liquidation fee {margin[1] or 'unknown'}"


def _times(changes: Any) -> str:
    return "; ".join(show_time(one[0]) for one in changes) or "none"


def _span(span: tuple[int, int]) -> str:
    return f"{show_time(span[0])} to {show_time(span[1])}"


def _short(fingerprint: str) -> str:
    return fingerprint[:8]


def _number(value: float) -> str:
    return f"{value:.12g}"
