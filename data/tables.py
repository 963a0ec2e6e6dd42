"""What `wick data` prints: tables, JSON, progress."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec
from rich import progress as rich_progress
from rich.console import Console
from rich.table import Table

from data.archive import Fetched
from data.check import Checked
from data.dates import show_day, show_time
from data.importer import Imported, Refused
from data.manifest import Series
from data.quality import holes
from data.store import StoredSeries, load

_MANY = 5
_out = Console(highlight=False)


class Progress:
    """A bar of files on standard error, with speed and time left."""

    def __init__(self, title: str) -> None:
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TextColumn("{task.fields[speed]}"),
            rich_progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(title, total=0, speed="")
        self._files = 0
        self._bytes = 0

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def expect(self, files: int) -> None:
        """More files are going to be worked on."""
        self._files += files
        self._bar.update(self._task, total=self._files)

    def receive(self, size_bytes: int) -> None:
        """A piece has arrived from the network."""
        self._bytes += size_bytes
        elapsed_s = self._bar.tasks[0].elapsed or 0.0
        if elapsed_s > 0:
            self._bar.update(self._task, speed=f"{self._bytes / elapsed_s / 1e6:.1f} MB/s")

    def finish(self) -> None:
        """One file is done."""
        self._bar.advance(self._task)


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle, for printing."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What `wick data show SYMBOL` tells about one series."""

    series: Series
    files: int
    rows: int
    first_open_time: int
    last_open_time: int
    size_bytes: int
    gaps: int
    missing: int
    columns: tuple[str, ...]
    fingerprint: str
    head: tuple[Candle, ...]
    tail: tuple[Candle, ...]


def look_at(store: Path, stored: StoredSeries, count: int = 3) -> Shown:
    """Load a series and gather what is worth seeing."""
    its = stored.series
    candles = load(store, its.market, its.symbol, its.timeframe)
    # What a run over all of it would name, unless its strategy reads more than prices and volume.
    plain = load(store, its.market, its.symbol, its.timeframe, optional=())
    gaps = holes(candles.open_time, its.timeframe)
    fields = ("open_time", "open", "high", "low", "close", "volume")
    rows = [
        Candle(*(candles.arrays[name][i].item() for name in fields))
        for i in (*range(min(count, stored.rows)), *range(-min(count, stored.rows), 0))
    ]
    return Shown(
        series=its,
        files=stored.files,
        rows=stored.rows,
        first_open_time=stored.first_open_time,
        last_open_time=stored.last_open_time,
        size_bytes=stored.size_bytes,
        gaps=len(gaps),
        missing=sum(gap.count for gap in gaps),
        columns=tuple(candles.arrays),
        fingerprint=plain.fingerprint,
        head=tuple(rows[: len(rows) // 2]),
        tail=tuple(rows[len(rows) // 2 :]),
    )


def print_json(records: object) -> None:
    """Print records as JSON."""
    raw = msgspec.json.format(msgspec.json.encode(records, enc_hook=str), indent=1)
    _out.out(raw.decode())


def print_fetched(fetched: Fetched) -> None:
    """Print what a fetch did, in a few lines."""
    merge = fetched.merge
    _out.print(
        f"[bold]{fetched.series}[/]: {counted(fetched.files, 'file')} fetched,"
        f" {fetched.known} stored before; {merge.added:,} candles added,"
        f" {merge.replaced:,} replaced",
        soft_wrap=True,
    )
    _print_some("note", fetched.notes)
    days = fetched.missing_days
    if days:
        listed = ", ".join(days[:_MANY]) + (", …" if len(days) > _MANY else "")
        _out.print(
            f"not in the archive (yet): {counted(len(days), 'day')}: {listed}", soft_wrap=True
        )


def print_imported(imported: Sequence[Imported], refused: Sequence[Refused]) -> None:
    """Print what the files were understood to be, a line per series and layout, then refusals."""
    groups: dict[tuple[str, str], list[Imported]] = {}
    for item in imported:
        groups.setdefault((str(item.series), item.layout), []).append(item)
    for (series, layout), items in groups.items():
        filled = [i for i in items if i.rows]
        span = "nothing in the range wanted"
        if filled:
            first = min(i.first_open_time for i in filled)
            last = max(i.last_open_time for i in filled)
            span = f"{show_time(first)} to {show_time(last)} UTC"
        files = items[0].path.name if len(items) == 1 else f"{len(items)} files"
        _out.print(
            f"{series}: {files}, understood as {layout}; {span},"
            f" {sum(i.rows for i in items):,} {items[0].series.its_kind.plural},"
            f" {sum(i.merge.added for i in items):,} new",
            soft_wrap=True,
        )
    _print_some("note", [f"{i.path.name}: {note}" for i in imported for note in i.notes])
    _print_some("refused", [f"{r.message}; {r.hint}" for r in refused])


def print_checked(results: Sequence[Checked]) -> None:
    """Print one line per series, then errors, gaps and notes."""
    table = _table("series", "from", "to", "rows>", "gaps>", "missing>", "errors>")
    for r in results:
        table.add_row(
            str(r.series),
            show_day(r.first_open_time),
            show_day(r.last_open_time),
            f"{r.rows:,}",
            str(len(r.gaps)),
            f"{r.missing:,}",
            f"[red]{len(r.errors)}[/]" if r.errors else "0",
        )
    _out.print(table)
    for r in results:
        _print_some("error", [f"{r.series}: {text}" for text in r.errors])
        _print_some(
            "gap",
            [
                f"{r.series}: {counted(g.count, 'candle')} missing,"
                f" {show_time(g.first_missing)} to {show_time(g.last_missing)} UTC"
                for g in r.gaps
            ],
        )
        _print_some("note", [f"{r.series}: {text}" for text in r.notes])


def print_stored(store: Path, found: Sequence[StoredSeries]) -> None:
    """Print what a store holds."""
    table = _table("series", "from", "to", "files>", "rows>", "MB>")
    for s in found:
        table.add_row(
            str(s.series),
            show_day(s.first_open_time),
            show_day(s.last_open_time),
            str(s.files),
            f"{s.rows:,}",
            f"{s.size_bytes / 1e6:.1f}",
        )
    _out.print(table)
    _out.print(f"in {store}")


def print_series(shown: Sequence[Shown]) -> None:
    """Print series with their first and last candles."""
    for s in shown:
        _out.print(
            f"[bold]{s.series}[/]: {counted(s.rows, 'candle')} in {counted(s.files, 'file')},"
            f" {s.size_bytes / 1e6:.1f} MB; {s.missing:,} missing in {counted(s.gaps, 'gap')}"
        )
        _out.print(f"columns {', '.join(s.columns)}", soft_wrap=True)
        _out.print(f"fingerprint {s.fingerprint}")
        table = _table("open time (UTC)", "open>", "high>", "low>", "close>", "volume>")
        for part in (s.head, s.tail):
            for c in part:
                values = (c.open, c.high, c.low, c.close, c.volume)
                table.add_row(show_time(c.open_time), *(f"{v:,.10g}" for v in values))
            table.add_section()
        _out.print(table)


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: 1 gap, 2 gaps."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left")
    return table


def _print_some(word: str, lines: Sequence[str]) -> None:
    for line in lines[:_MANY]:
        _out.print(f"{word}: {line}", markup=False, soft_wrap=True)
    if len(lines) > _MANY:
        _out.print(f"{word}: … and {len(lines) - _MANY} more")
