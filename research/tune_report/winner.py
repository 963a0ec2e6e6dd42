"""The winner of a search at a glance: its params, its figures with intervals, what was held out."""

from html import escape

from backtest.report.markup import Markup, row, table
from data.dates import show_day
from data.run_json import RunRecord, TuneRecord
from data.show import shown
from data.tune_json import HoldoutRecord, IntervalOfRecord, SearchRecord, SpaceRecord
from research.tune_report.trials import Trials
from research.tune_report.verdict import label_of, note, score_of


def glance(record: RunRecord, search: SearchRecord, trials: Trials | None) -> str:
    """Write params, figures with intervals, what the search was, and the hold-out."""
    tune = record.tune
    assert tune is not None
    parts = [_params(record, search), _searched(tune, search, trials)]
    if tune.panel is not None and tune.panel.intervals:
        parts.insert(1, _intervals(record, tune.panel.intervals))
    return f'{holdout(tune.holdout)}<div class="plots glance">{"".join(parts)}</div>'


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


def _intervals(record: RunRecord, intervals: dict[str, IntervalOfRecord]) -> str:
    names = {one.key: one for one in record.figures}
    rows = []
    for key, its in intervals.items():
        figure = names.get(key)
        label = figure.label if figure else key
        value, low, high = (
            "N/A" if end is None else score_of(key, end) for end in (its.value, its.low, its.high)
        )
        between = "N/A" if "N/A" in (low, high) else f"{low} to {high}"
        words = escape(its.note) or f"with {its.level:.0%}"
        cell = Markup(f"<td>{escape(between)}<small>{words}</small></td>")
        rows.append(row(label, value, cell, f"{its.n:,}"))
    heads = ["in sample", "value", "between", "n"]
    return table("Figures and how far they may be off", heads, "".join(rows), "intervals")


def _searched(tune: TuneRecord, search: SearchRecord, trials: Trials | None) -> str:
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
    missing = "" if trials is not None else note("The run's folder keeps no trials.")
    return table("The search", [], "".join(row(*one) for one in rows)) + missing


def holdout(its: HoldoutRecord | None, figures: RunRecord | None = None) -> str:
    """Write whether the hold-out has been opened, and what it gave.

    Parameters
    ----------
    figures : RunRecord, optional
        Of the run that opened it.
    """
    if its is None:
        return '<p id="holdout" class="holdout">Nothing was held out of the search.</p>'
    span = f"{show_day(its.from_ms)} to {show_day(its.to_ms)}"
    if not its.opened_ms:
        return (
            f'<p id="holdout" class="holdout"><b>The hold-out is closed.</b> The search has never'
            f" seen {span}; it can be opened once, when everything else is decided.</p>"
        )
    times = "once" if its.times <= 1 else f"{its.times:,} times, so it is no fresh witness"
    told = "" if figures is None else _told(figures)
    return (
        f'<div id="holdout" class="holdout"><p><b>The hold-out was opened</b> on'
        f" {show_day(its.opened_ms)} by run {escape(its.opened_by)}: {span}, for this strategy"
        f" {times}.</p>{told}</div>"
    )


def _told(record: RunRecord) -> str:
    keys = ("total_return", "sharpe", "max_drawdown", "profit_factor", "trades")
    found = [figure for figure in record.figures if figure.key in keys]
    rows = "".join(row(one.label, shown(one), f"{one.n:,}") for one in found)
    return table("In the hold-out", ["", "value", "n"], rows, "about")
