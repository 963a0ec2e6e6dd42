"""What `wick data check` and `wick data show` print."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from data.checking.check import Checked
from data.checking.coverage import MonthShare, percent
from data.checking.look import Shown
from data.dates import show_day, show_time
from data.gaps import CAUSES, Explained
from data.manifest import Series, repair_hint
from data.store import StoredSeries
from data.terminal import MANY, counted, new_table, out, print_some

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

_ORIGINS = {
    "archive": "{} of the archive",
    "REST": "REST",
    "import": "{} imported",
    "trades": "{} of trades",
    "unknown": "{} of unknown origin",
}


def print_checked(results: Sequence[Checked]) -> None:
    """Print one line per series, then errors, holes with their causes, notes and coverage."""
    table = new_table("series", "from", "to", "rows>", "gaps>", "missing>", "errors>")
    for r in results:
        table.add_row(
            str(r.series),
            show_day(r.first_open_time) if r.rows else "?",
            show_day(r.last_open_time) if r.rows else "?",
            f"{r.rows:,}",
            f"{len(r.gaps):,}",
            f"{r.missing:,}",
            f"[red]{len(r.errors)}[/]" if r.errors else "0",
        )
    out.print(table)
    for r in results:
        print_some("error", [f"{r.series}: {text}" for text in r.errors])
        print_some("gap", [f"{r.series}: {hole_words(r.series, hole)}" for hole in r.holes])
        print_some("note", [f"{r.series}: {text}" for text in r.notes])
    for r in results:
        print_coverage(r.series, r.coverage)
    unsound = [r.series for r in results if r.errors or r.unexplained]
    mends = [repair_hint(series) for series in unsound]
    for mend in mends if len(mends) <= MANY else ["wick data repair"]:
        out.print(f"next: {mend}", style="dim", soft_wrap=True)


def hole_words(series: Series, hole: Explained) -> str:
    """Say what is missing, where, and why."""
    gap, kind = hole.gap, series.its_kind
    noun = "candle" if kind.has_candles else kind.plural.removesuffix("s")
    if kind.name == "aggTrades":
        where = f"ids {gap.first_missing} to {gap.last_missing}"
    else:
        where = f"{show_time(gap.first_missing)} to {show_time(gap.last_missing)} UTC"
    why = f"cause {hole.cause}" if hole.cause == "unknown" else hole.cause
    return f"{counted(gap.count, noun)} missing, {where}, {why}"


def print_coverage(series: Series, shares: Sequence[MonthShare], every_year: bool = False) -> None:
    """Print the share of candles by year and month, of years in which some are missing."""
    if not every_year and all(share.whole for share in shares):
        return
    by_year: dict[str, dict[int, MonthShare]] = {}
    for share in shares:
        year, month = share.month.split("-")
        by_year.setdefault(year, {})[int(month)] = share
    whole = MonthShare("", sum(s.present for s in shares), sum(s.expected for s in shares))
    out.print(f"coverage of {series}: {percent(whole)} % of candles; by month, · for a whole one")
    table = new_table("", *(f"{month}>" for month in _MONTHS))
    for year, months in by_year.items():
        if every_year or not all(share.whole for share in months.values()):
            cells = [_cell(months.get(number)) for number in range(1, 13)]
            table.add_row(year, *cells)
    out.print(table)


def _cell(share: MonthShare | None) -> str:
    if share is None:
        return ""
    return "·" if share.whole else percent(share)


def print_stored(store: Path, found: Sequence[StoredSeries]) -> None:
    """Print what a store holds."""
    table = new_table("series", "from", "to", "files>", "rows>", "MB>")
    for s in found:
        table.add_row(
            str(s.series),
            show_day(s.first_open_time),
            show_day(s.last_open_time),
            str(s.files),
            f"{s.rows:,}",
            f"{s.size_bytes / 1e6:.1f}",
        )
    out.print(table)
    out.print(f"in {store}")


def print_series(shown: Sequence[Shown]) -> None:
    """Print series with their first and last rows."""
    for s in shown:
        kind = s.series.its_kind
        noun = "candle" if kind.has_candles else kind.plural.removesuffix("s")
        out.print(
            f"[bold]{s.series}[/]: {counted(s.rows, noun)} in {counted(s.files, 'file')},"
            f" {s.size_bytes / 1e6:.1f} MB; {s.missing:,} missing in {counted(s.gaps, 'gap')}",
            soft_wrap=True,
        )
        span = f"{show_time(s.first_open_time)} to {show_time(s.last_open_time)} UTC"
        came = ", ".join(
            _ORIGINS[where].format(counted(n, "file")) for where, n in s.sources.items()
        )
        out.print(f"{span}; from {came}", soft_wrap=True)
        causes = causes_words(s.holes)
        if causes:
            out.print(f"missing by cause: {causes}", soft_wrap=True)
        out.print(f"columns {', '.join(s.columns)}", soft_wrap=True)
        out.print(f"fingerprint {s.fingerprint}")
        _print_rows(s)
        print_coverage(s.series, s.coverage)


def causes_words(holes: Sequence[Explained]) -> str:
    """Say how many rows are missing for each cause; empty for none."""
    counts: Counter[str] = Counter()
    for hole in holes:
        counts[hole.cause] += hole.gap.count
    return ", ".join(f"{cause} {counts[cause]:,}" for cause in CAUSES if counts[cause])


def _print_rows(shown: Shown) -> None:
    kind = shown.series.its_kind
    names = [n for n in shown.columns if n != kind.time]
    if kind.has_candles:
        # The rest would not fit beside them; they are named above.
        names = [n for n in names if n in ("open", "high", "low", "close", "volume")]
    elif kind.name == "metrics":
        names = names[:4]
    time = "open time (UTC)" if kind.has_candles else "time (UTC)"
    table = new_table(time, *(f"{name}>" for name in names))
    for part in (shown.head, shown.tail):
        for row in part:
            table.add_row(show_time(row[kind.time]), *(_shown(row[name], name) for name in names))
        if part is shown.head and shown.rows > len(part):
            table.add_row("…")
    out.print(table)


def _shown(value: object, name: str) -> str:
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("id"):
        return str(value)
    return escape(f"{value:,.10g}") if isinstance(value, int | float) else escape(str(value))
