"""One HTML file from a run that was searched for: the search first, then the run itself."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from backtest.report.assets import part
from backtest.report.page import More, page
from data.disk import write_page
from data.run_json import RunRecord
from data.runs import Run
from research.tune_report import verdict, walk, winner
from research.tune_report.drawn import panel_data, plateau_data, search_data, walk_data
from research.tune_report.trials import Trials, neighbours_of, trials_of
from strategy.candles import Candles

ROOM = "research.tune_report"


def has_more(record: RunRecord) -> bool:
    """Say whether a run has more to tell than a backtest: a search, a panel or windows."""
    tune = record.tune
    return record.walk is not None or (tune is not None and tune.search is not None)


def write_tune_report(run: Run, path: Path, candles: Sequence[Candles] | None = None) -> Path:
    """Write a tuning or a walk-forward as one HTML file that opens without a network.

    Parameters
    ----------
    run : Run
        Kept: its trials and neighbours are read from its folder.
    path : Path
        The file to write; it is there whole or not at all.
    candles : sequence of Candles, optional
        One per symbol of the run, for the chart of its trades.

    Raises
    ------
    WickError
        A table of the run is damaged.
    RunRefused
        The file cannot be written.
    """
    write_page(path, page(run, candles, more_of(run)), "report")
    return path


def more_of(run: Run) -> More:
    """Return what the report of a run has beside the parts of every run."""
    sections: list[tuple[str, str, str]] = []
    data: dict[str, Any] = {}
    if run.record.tune is not None and run.record.tune.search is not None:
        sections += _search(run, data)
    if run.record.walk is not None:
        sections += _walk(run.record, data)
    sections.append(("the-run", _run_title(run.record), ""))
    links = " ".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in sections)
    body = "".join(
        f'<section id="{key}"><h2>{escape(title)}</h2>\n{inside}</section>\n'
        for key, title, inside in sections
    )
    script = "\n".join(part(name, ROOM) for name in ("search.js", "panel.js", "more.js"))
    return More(f'<nav class="links">{links}</nav>\n{body}', part("more.css", ROOM), script, data)


def _search(run: Run, data: dict[str, Any]) -> list[tuple[str, str, str]]:
    record, tune = run.record, run.record.tune
    assert tune is not None
    assert tune.search is not None
    trials = trials_of(run.folder, tune.search)
    out = [("winner", "The winner at a glance", winner.glance(record, trials, winner.seen_of(run)))]
    if tune.panel is not None:
        out.insert(0, ("verdict-box", "Verdict", verdict.verdict(tune.panel)))
    if trials is not None:
        data["search"] = search_data(tune.search, trials)
        out += _trials(data["search"], trials)
    if tune.panel is not None:
        data["panel"] = panel_data(tune.panel)
        out += _panel(run, data)
    return out


def _trials(drawn: dict[str, Any], trials: Trials) -> list[tuple[str, str, str]]:
    many = drawn["history"]["all"]
    counted = f"{len(trials.number):,} trials" + ("" if many else ", some of them drawn")
    out = [
        (
            "history",
            "How the search went",
            figure("history-chart", f"Every trial by its number: {counted}", "tall")
            + _hint(
                "The line is the best so far. Trials that were pruned, failed or break a"
                " constraint have marks of their own; those without a value stand at the foot."
            ),
        )
    ]
    if drawn["front"] is not None:
        out.append(("front", "Pareto front", _grid(_fronts(drawn))))
    if drawn["importance"]:
        words = "Share of each param in the variance of the objective"
        out.append(("importance", "Which params matter", figure("importance-chart", words)))
    if drawn["slices"]:
        plots = [(f"slice-{at}", one["name"]) for at, one in enumerate(drawn["slices"])]
        hint = _hint(
            "A point is a trial; the stronger its colour, the later. The star is the winner."
        )
        out.append(("slices", "Each param alone", _grid(plots, "small") + hint))
    if drawn["pairs"]:
        plots = [(f"pair-{at}", f"{one['y']}, {one['x']}") for at, one in enumerate(drawn["pairs"])]
        hint = _hint(
            "Mean of the trials near each place, by the params that matter most; empty where no"
            " trial is near. Points are trials, the star is the winner."
        )
        out.append(("pairs", "Two params together", _grid(plots) + hint))
    if len(drawn["lines"]["names"]) > 1:
        words = "A line is a trial, from the low to the high end of each range; the best are blue"
        out.append(("lines", "All params of a trial", figure("lines-chart", words, "tall")))
    return out


def _fronts(drawn: dict[str, Any]) -> list[tuple[str, str]]:
    first, *others = drawn["objectives"]
    return [
        (f"front-{at}", f"{other['label']} against {first['label']}")
        for at, other in enumerate(others)
    ]


def _panel(run: Run, data: dict[str, Any]) -> list[tuple[str, str, str]]:
    tune = run.record.tune
    assert tune is not None
    assert tune.search is not None
    assert tune.panel is not None
    panel, objective = tune.panel, tune.search.objectives[0]
    near = neighbours_of(run.folder, tune.search)
    if near is not None:
        data["plateau"] = plateau_data(panel, near[1], tune.best_value)
    return [
        ("luck", "How much of it is luck", _blocks(
            ("Sharpe ratio against luck", "", verdict.luck(panel)),
            ("Overfitting, by halves of the history",
             _chart("logits", "Rank out of sample of the best in sample, as logit",
                    panel.overfit.logits), verdict.overfit(panel.overfit)),
            ("Placebo: the same search over shuffled candles",
             _chart("placebo", "Best of each search", panel.placebo.best),
             verdict.placebo(panel, objective)),
        )),
        ("plateau", "Do its neighbours hold?", _blocks(
            ("", _chart("plateau", "Neighbours from the best to the worst", near is not None), ""),
            ("Neighbours of the winner", "", verdict.plateau(panel, objective)),
        )),
        ("stability", "Does it hold over time and at higher costs?", _blocks(
            ("Equal parts of the span", _chart("folds", "Sharpe", panel.folds),
             verdict.folds(panel)),
            ("Fees and slippage doubled", "", verdict.costs(panel, objective, tune.best_value)),
        )),
        ("chance", "What else could have happened", _blocks(
            ("Trades shuffled, and drawn anew in blocks",
             _chart("montecarlo", "Max drawdown by quantile", panel.montecarlo.shuffled),
             verdict.montecarlo(panel)),
            ("The same exits, entries at random",
             _chart("entries", "Total return by quantile", panel.entries.random),
             verdict.entries(panel)),
        )),
    ]  # fmt: skip


def _walk(record: RunRecord, data: dict[str, Any]) -> list[tuple[str, str, str]]:
    its = record.walk
    assert its is not None
    data["walk"] = walk_data(record)
    plots = [(f"over-{at}", name) for at, name in enumerate(data["walk"]["params"])]
    out = [
        ("windows", "Out of sample, window by window",
         walk.about(its)
         + figure("windows-chart", "The stitched account, with its windows", "tall")
         + walk.windows(its)),
    ]  # fmt: skip
    if plots:
        out.append(("params", "Params over the windows", _grid(plots, "small")))
    return out


def _run_title(record: RunRecord) -> str:
    if record.walk is not None:
        return "The stitched run"
    return "The winner's run" + (" in the hold-out" if record.kind == "holdout" else ", in sample")


def figure(key: str, words: str, kind: str = "") -> str:
    """Write the place of a chart with its caption, which is HTML."""
    return (
        f'<figure class="{kind}"><figcaption>{words}</figcaption>'
        f'<div id="{key}" class="chart more"></div></figure>'
    )


def _grid(plots: list[tuple[str, str]], kind: str = "") -> str:
    return f'<div class="plots {kind}">{"".join(figure(*one) for one in plots)}</div>'


def _chart(key: str, words: str, there: Any) -> str:
    return figure(f"{key}-chart", words) if there else ""


def _blocks(*parts: tuple[str, str, str]) -> str:
    made = (
        f'<div class="block">{f"<h3>{escape(title)}</h3>" if title else ""}{chart}{rows}</div>'
        for title, chart, rows in parts
        if chart or rows
    )
    return f'<div class="plots">{"".join(made)}</div>'


def _hint(words: str) -> str:
    return f'<p class="hint">{words}</p>'
