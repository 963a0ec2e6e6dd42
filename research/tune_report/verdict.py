"""The verdict of a tune report, condition by condition, and the tables of what it rests on."""

import math
from html import escape

from backtest.report.markup import Markup, nothing, row, sign_of, table
from backtest.sweeps.show import figure
from data.dates import show_day
from data.tune_json import ConditionRecord, OverfitRecord, PanelRecord
from strategy.metrics import DEFINITIONS

# What a condition means, by its name.
MEANS = {
    "deflated Sharpe": "The best of many tries looks good even without any skill. This is the"
    " probability that the winner is better than the best that so many tries find by luck.",
    "overfitting": "How often the params that were best on one half of the history, by their"
    " Sharpe ratio, were in the lower half on the rest. At one half the choice of params is worth"
    " nothing.",
    "plateau": "How many neighbours of the winner keep most of its value. A peak that stands alone"
    " is mostly noise.",
    "placebo": "The same search over candles in shuffled blocks. What it finds there is luck,"
    " but for what can be foreseen inside a block.",
}


def verdict(panel: PanelRecord) -> str:
    """Write the verdict in words, and every condition with what it asks for and what was found."""
    failed = [one for one in panel.conditions if not one.holds]
    if panel.edge:
        head = "Edge: every condition holds"
        words = (
            "What the search found is hard to explain by luck. It is no promise: costs, other"
            " traders and the market itself change. The hold-out is the last witness."
        )
    else:
        head = f"No edge shown: {len(failed)} of {len(panel.conditions)} conditions do not hold"
        words = (
            "What the search found can well be luck, or there is too little data to tell. Do not"
            " trade it because of its figures in sample."
        )
    rows = "".join(map(_condition, panel.conditions))
    kind = "edge" if panel.edge else "no-edge"
    return (
        f'<div id="verdict" class="verdict {kind}"><p class="said">{escape(head)}</p>'
        f"<p>{words}</p>{table('', ['', 'asks', 'found', ''], rows, 'conditions')}</div>"
    )


def _condition(its: ConditionRecord) -> str:
    mark = "✓" if its.holds else "✗"
    word = "holds" if its.holds else "does not hold"
    found = "not known" if its.value is None else f"{its.value:.3g}"
    return (
        f'<tr class="{"holds" if its.holds else "fails"}">'
        f"<th scope=row>{escape(its.name)}<small>{MEANS.get(its.name, '')}</small></th>"
        f'<td data-head="asks">{escape(its.asks)}</td><td data-head="found">{found}</td>'
        f'<td class="mark"><b aria-hidden=true>{mark}</b> {word}</td></tr>'
    )


def luck(panel: PanelRecord) -> str:
    """Write how the winner's Sharpe ratio compares with that of luck."""
    rows = (
        ("trials of the whole study", f"{panel.trials:,}"),
        ("days with a return", f"{panel.days:,}"),
        ("Sharpe ratio a day", known(panel.sharpe_day, ".4f")),
        ("the best of so many without skill", known(panel.luck_day, ".4f")),
        ("probability that it is above 0 (PSR)", known(panel.psr, ".1%")),
        ("probability that it is above luck (DSR)", known(panel.dsr, ".1%")),
        ("days that would show it is above 0", _days(panel.track_days)),
    )
    return table("", [], "".join(row(*one) for one in rows), "about")


def overfit(its: OverfitRecord) -> str:
    """Write the probability of overfitting."""
    rows = (
        ("probability of overfitting (PBO)", known(its.pbo, ".1%")),
        ("chosen in sample, a loss out of sample", known(its.loss, ".1%")),
        ("blocks, splits", f"{its.blocks:,}, {its.splits:,}"),
        ("different trials with returns", f"{its.trials:,}"),
    )
    return table("", [], "".join(row(*one) for one in rows), "about") + note(its.note)


def folds(panel: PanelRecord) -> str:
    """Write the winner on equal parts of its span."""
    rows = "".join(
        row(
            f"{show_day(one.from_ms)} to {show_day(one.to_ms)}",
            known(one.sharpe, ".2f"),
            signed(one.total_return),
            f"{one.trades:,}",
        )
        for one in panel.folds
    )
    return table("", ["", "Sharpe", "total return", "trades"], rows or nothing(4, "none"))


def plateau(panel: PanelRecord, objective: str) -> str:
    """Write how much of the neighbourhood holds."""
    its = panel.plateau
    rows = (
        ("neighbours tried", f"{its.points:,}"),
        ("with a value", f"{its.scored:,}"),
        (f"that keep at least {score_of(objective, its.least)}", f"{its.holding:,}"),
        ("share", f"{its.share:.1%}"),
    )
    return table("", [], "".join(row(*one) for one in rows), "about")


def placebo(panel: PanelRecord, objective: str) -> str:
    """Write what the same search found in shuffled candles."""
    its = panel.placebo
    rows = (
        ("the real search", score_of(objective, its.score)),
        ("searches over shuffled candles", f"{len(its.best):,}"),
        ("that found as much", f"{its.beaten:,}"),
        ("candles a block", f"{its.block:,}"),
    )
    return table("", [], "".join(row(*one) for one in rows), "about") + note(its.note)


def montecarlo(panel: PanelRecord) -> str:
    """Write the quantiles of drawdown and return over resampled trades."""
    its = panel.montecarlo
    rows = "".join(
        row(f"{level:.0%}", f"{shuffled:.1%}", f"{drawn:.1%}", signed(ending))
        for level, shuffled, drawn, ending in zip(
            its.levels, its.shuffled, its.drawn, its.ending, strict=False
        )
    )
    heads = ["quantile", "max drawdown, shuffled", "max drawdown, drawn", "total return, drawn"]
    return table("", heads, rows or nothing(4, "none")) + note(its.note)


def entries(panel: PanelRecord) -> str:
    """Write the winner beside entries at random candles."""
    its = panel.entries
    rows = [("the winner", f"{its.total_return:+.1%}"), ("random draws", f"{its.draws:,}")]
    rows += [
        (f"random, {level:.0%}", f"{value:+.1%}")
        for level, value in zip(its.levels, its.random, strict=False)
    ]
    rows.append(("share of random ones as good (p)", known(its.p, ".3f")))
    return table("", [], "".join(row(*one) for one in rows), "about") + note(its.note)


def costs(panel: PanelRecord, objective: str, score: float) -> str:
    """Write the winner with fees and slippage doubled."""
    its = panel.costs
    rows = [
        (f"{label_of(objective)}, costs as they are", score_of(objective, score)),
        (f"{label_of(objective)}, costs doubled", score_of(objective, its.score)),
    ]
    if objective != "sharpe":
        rows.append(("Sharpe, costs doubled", known(its.sharpe, ".2f")))
    if objective != "total_return":
        rows.append(("total return, costs doubled", known(its.total_return, "+.1%")))
    return table("", [], "".join(row(*one) for one in rows), "about") + note(its.note)


def score_of(objective: str, value: float | None) -> str:
    """Write a value of an objective with its unit."""
    if objective in DEFINITIONS:
        return figure(objective, math.nan if value is None else value)
    return known(value, ".3g")


def label_of(objective: str) -> str:
    """Return what an objective is called."""
    return DEFINITIONS[objective].label if objective in DEFINITIONS else objective


def known(value: float | None, how: str) -> str:
    """Write a value, or that there is none."""
    return "N/A" if value is None else format(value, how)


def signed(value: float) -> Markup:
    """Write a cell with a return, coloured by its sign."""
    return Markup(f'<td class="{sign_of(value)}">{value:+.1%}</td>')


def note(words: str) -> str:
    """Write a note; nothing where there is none."""
    return f'<p class="said-note">{escape(words)}</p>' if words else ""


def _days(value: float | None) -> str:
    return "N/A" if value is None else f"{value:,.0f}"
