"""One HTML file from a run: tables, packed series, styles and scripts, and nothing from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from backtest.report import results, tables
from backtest.report.assets import inline, part, plotly_script, policy
from backtest.report.series import series_of
from data.disk import write_page
from data.run_json import RunRecord
from data.runs import Run
from strategy.candles import Candles
from strategy.metrics import ROLLING_DAYS

SCRIPTS = ("unpack.js", "charts.js", "studies.js", "trades.js")


@dataclass(frozen=True, slots=True)
class More:
    """What stands before the run's own parts in the report of a run that was searched for.

    Attributes
    ----------
    sections, style : str
        HTML and CSS.
    script : str
        With a function `drawMore(data)`, called once and whenever the colours change.
    data : object
        What it finds as `data.more`.
    """

    sections: str
    style: str
    script: str
    data: Any


def write_report(run: Run, candles: Sequence[Candles] | None, path: Path) -> Path:
    """Write a run as one HTML file that opens without a network.

    Parameters
    ----------
    run : Run
    candles : sequence of Candles or None
        One per symbol of the run, in its order; None where they are gone or have changed since,
        which the report then says in place of the chart.
    path : Path
        The file to write; it is there whole or not at all.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    RunRefused
        The file cannot be written.
    """
    write_page(path, page(run, candles), "report")
    return path


def page(run: Run, candles: Sequence[Candles] | None, more: More | None = None) -> str:
    """Return the HTML of a run's report."""
    record = run.record
    few_days = results.few_days(run)
    scripts = [*map(part, SCRIPTS), *([more.script] if more else []), part("page.js")]
    plotly, script = plotly_script(), "\n".join(scripts)
    series = series_of(run, candles, more.data if more else None)
    return Template(part("page.html")).substitute(
        policy=policy(plotly, script),
        title=escape(f"{record.strategy.name}: {', '.join(d.symbol for d in record.data)}"),
        style=part("page.css") + (more.style if more else ""),
        strategy=escape(record.strategy.name),
        kind=escape(record.kind),
        summary=tables.summary(record),
        tiles=tables.tiles(record),
        notes=tables.notes(record),
        more=more.sections if more else "",
        candles="" if candles is not None else _no_candles(record),
        without="" if candles is not None else "hidden",
        tradeless="" if run.trades.num_rows else "hidden",
        shortened="hidden" if few_days else "",
        window=str(ROLLING_DAYS),
        few_days=few_days,
        months=results.months(run),
        figures=tables.figures(record),
        costs=results.costs(run),
        breakdowns=results.breakdowns(run),
        doubts=results.doubts(run),
        interval=results.interval(run),
        what_ran=tables.what_ran(record),
        data=inline(msgspec.json.encode(series).decode()),
        plotly=plotly,
        script=script,
    )


def _no_candles(record: RunRecord) -> str:
    names = " ".join(data.symbol for data in record.data)
    prints = ", ".join(data.fingerprint[:12] for data in record.data)
    return (
        '<p class="gone">No chart: the candles of this run are no longer in the store, or have'
        f" changed since (fingerprint {escape(prints)}). Fetch or import them again and write the"
        f" report once more; <code>wick data check {escape(names)}</code> shows what is there.</p>"
    )
