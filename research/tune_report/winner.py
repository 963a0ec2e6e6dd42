"""The winner of a search at a glance: its params, its figures with intervals, what was held out."""

from dataclasses import dataclass
from html import escape

from backtest.report.markup import Markup, row, table
from data.dates import show_day
from data.run_json import RunRecord, TuneRecord
from data.runs import Run, read_record
from data.show import shown
from data.terminal import counted
from data.tune_json import IntervalOfRecord, SearchRecord, SpaceRecord
from research.tune_report.trials import Trials
from research.tune_report.verdict import label_of, note, score_of
from research.validation.holdout import openings


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been seen of a hold-out.

    Attributes
    ----------
    opened : RunRecord or None
        The run of the winner on it.
    openings : int
        How often the strategy was shown candles of it.
    """

    opened: RunRecord | None
    openings: int


def glance(record: RunRecord, trials: Trials | None, seen: Seen) -> str:
    """Write the hold-out, params, figures with intervals, and what the search was."""
    tune = record.tune
    assert tune is not None and tune.search is not None
    both = _params(record, tune.search) + _searched(tune, tune.search)
    parts = [f'<div class="block">{both}</div>']
    if tune.panel is not None and tune.panel.intervals:
        parts.append(_intervals(tune.panel.intervals, seen.opened))
    kept = trials is not None or record.kind == "holdout"
    missing = "" if kept else note("The run's folder keeps no trials.")
    words = holdout(record, seen)
    return f'{words}<div class="plots glance">{"".join(parts)}</div>{missing}'


def _params(record: RunRecord, search: SearchRecord) -> str:
    rows = []
    for one in search.spaces:
        value = record.params.get(one.name)
        edge = value is not None and one.low < one.high and value in (one.low, one.high)
        said = f"<b>{value:g}</b>" if value is not None else "N/A"
        warn = ' <span class="warn">at the edge</span>' if edge and not one.choices else ""
        rows.append(row(one.name, Markup(f"<td>{said}{warn}</td>"), _range(one)))
    return table("The winner's params", ["", "value", "searched"], "".join(rows), "params")


def _range(its: SpaceRecord) -> str:
    if its.choices:
        return " | ".join(f"{value:g}" for value in its.choices)
    step = f", step {its.step:g}" if its.step else ", log" if its.log else ""
    return f"{its.low:g} to {its.high:g}{step}"


def _intervals(intervals: dict[str, IntervalOfRecord], opened: RunRecord | None) -> str:
    there = {one.key: one for one in opened.figures} if opened else {}
    rows = []
    for key, its in intervals.items():
        value, low, high = (score_of(key, end) for end in (its.value, its.low, its.high))
        between = "N/A"
        if its.low is not None:
            between = f"{low} to {high}" if its.high is not None else f"above {low}"
        words = f"<small>{escape(its.note)}</small>" if its.note else ""
        cells = [value, Markup(f"<td>{escape(between)}{words}</td>"), f"{its.n:,}"]
        if opened:
            cells.append(shown(there[key]) if key in there else "N/A")
        rows.append(row(label_of(key), *cells))
    levels = {f"{its.level:.0%}" for its in intervals.values()}
    heads = ["", "in sample", f"{' or '.join(sorted(levels))} of histories drawn anew", "n"]
    if opened:
        heads.append("hold-out")
    return table("Figures and how far they may be off", heads, "".join(rows), "intervals")


def _searched(tune: TuneRecord, search: SearchRecord) -> str:
    counted = (
        ("complete", search.complete),
        ("pruned", search.pruned),
        ("infeasible", search.infeasible),
        ("failed", search.failed),
    )
    objectives = ", ".join(label_of(name) for name in search.objectives)
    rows = [
        ("objective", objectives),
        ("best", score_of(search.objectives[0], tune.best_value)),
        ("winner", f"trial {search.winner:,}"),
        ("trials", f"{sum(n for _, n in counted):,}"),
        *((f"{name}", f"{n:,}") for name, n in counted if n),
        ("sampler", tune.sampler),
        ("study", f"{search.study} in {search.storage}"),
        ("searched", f"{show_day(tune.train_from_ms)} to {show_day(tune.split_ms)}"),
    ]
    if search.folds > 1:
        rows.append(("value of a trial", f"mean of {search.folds} parts of the span"))
    if search.constraints:
        rows.append(("constraints", ", ".join(search.constraints)))
    return table("The search", [], "".join(row(*one) for one in rows), "about")


def seen_of(run: Run) -> Seen:
    """Look in the folder of runs for what has been seen of a tuning's hold-out.

    Raises
    ------
    WickError
        What is written there about hold-outs is damaged.
    """
    record, runs = run.record, run.folder.parent
    if record.kind == "holdout":
        return Seen(record, 0)
    if record.tune is None or record.tune.holdout is None or record.kind != "tune":
        return Seen(None, 0)
    count = len(openings(runs, record))
    if count:
        for folder in sorted(path.parent for path in runs.glob("*-holdout-*/run.json")):
            its = read_record(folder)
            if its.tune and its.tune.holdout and its.tune.holdout.opened_by == record.id:
                return Seen(its, count)
    return Seen(None, count)


def holdout(record: RunRecord, seen: Seen) -> str:
    """Say whether the candles that the search never saw have been looked at since."""
    assert record.tune is not None
    its = record.tune.holdout
    if its is None:
        return _box("Nothing was held out of the search.", "")
    span = f"{show_day(its.from_ms)} to {show_day(its.to_ms)}"
    opened = seen.opened.tune.holdout if seen.opened and seen.opened.tune else None
    if opened is not None:
        whose = f"of {opened.opened_by}" if record.kind == "holdout" else "of this tuning"
        looks = f" It was look {opened.times:,} at these candles: no fresh witness."
        return _box(
            "The hold-out was opened",
            f"on {show_day(opened.opened_ms)}: the winner {whose} was run on {span}, which the"
            f" search had not seen.{looks if opened.times > 1 else ''}",
        )
    if seen.openings:
        return _box(
            "The hold-out has been looked at",
            f"{counted(seen.openings, 'time')}, whole or in part, through other tunings of this"
            f" strategy: what is found in {span} is no longer out of sample.",
        )
    return _box(
        "The hold-out is closed.",
        f"The search has never seen {span}; wick holdout opens it, once, when all else is decided.",
    )


def _box(head: str, words: str) -> str:
    return f'<p id="holdout" class="holdout"><b>{head}</b> {escape(words)}</p>'
