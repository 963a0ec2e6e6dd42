"""The runs that were kept: listed, shown, compared, tagged, exported; for notebooks as tables."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from research.runs.comparing import Comparison

__all__ = ["compare", "runs_table"]


def runs_table(runs: Path | str | None = None) -> "pd.DataFrame":
    """Lay out all runs of a folder, oldest first, by the name of the run.

    Parameters
    ----------
    runs : Path or str, optional
        Folder of runs; by default that of the settings.

    Returns
    -------
    DataFrame
        created, kind, strategy, symbols, market, timeframe, first and end of the span (UTC), tags,
        the main figures, and `params.NAME`. NaN stands where a figure has no value or a run has no
        such param; damaged runs are left out.
    """
    import pandas as pd

    from data.run_index import LISTED, summaries
    from data.settings import load_settings

    found = summaries(load_settings(runs=runs).runs).runs
    rows = [
        {
            "run": one.run,
            "created": one.created_ms,
            "kind": one.kind,
            "strategy": one.strategy,
            "symbols": ",".join(one.symbols),
            "market": one.market,
            "timeframe": one.timeframe,
            "first": one.first_ms,
            "end": one.end_ms,
            "tags": ",".join(one.tags),
            **{key: one.figures.get(key) for key in LISTED},
            **{f"params.{name}": value for name, value in one.params.items()},
        }
        for one in found
    ]
    columns = ["run", "created", "kind", "strategy", "symbols", "market", "timeframe", "first"]
    table = pd.DataFrame(rows, columns=None if rows else [*columns, "end", "tags", *LISTED])
    table = table.set_index("run").astype(dict.fromkeys(LISTED, float))
    for name in ("created", "first", "end"):
        table[name] = pd.to_datetime(table[name], unit="ms", utc=True)
    return table


def compare(
    *names: str | Path, force: bool = False, runs: Path | str | None = None
) -> "Comparison":
    """Compare runs by their id, any part of one, their path, or `last`.

    Raises
    ------
    WickError
        There is no such run, or fewer than two are named.
    RunRefused
        They rest on other data or costs, and `force` is not set.
    """
    from data.settings import load_settings
    from research.runs.comparing import check_comparable, comparison_of, read_all

    found = comparison_of(read_all(load_settings(runs=runs).runs, [str(one) for one in names]))
    if not force:
        check_comparable(found)
    return found
