"""What `wick data fetch` and `import` print, JSON, and the progress of all."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec
from rich import progress as rich_progress
from rich.console import Console

from data.dates import show_time
from data.fetching.fetched import Fetched
from data.files.importer import Imported, Refused
from data.gaps import OUTAGE
from data.terminal import MANY, counted, out, print_some

if TYPE_CHECKING:
    from data.tumble import Compared, Tumbled  # Numba: whoever prints something else need not wait

# Words that differ between files refused for one reason: what is quoted, numbers, names.
_OF_ONE_FILE = re.compile(r"'[^']*'|\S*(?:\d|[A-Z]{2})\S*")


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
        self._foreseen = 0
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

    def foresee(self, files: int) -> None:
        """About so many files there may be in all."""
        self._foreseen = files
        self.expect(0)

    def expect(self, files: int) -> None:
        """More files are going to be worked on."""
        self._files += files
        self._bar.update(self._task, total=max(self._files, self._foreseen))

    def receive(self, size_bytes: int) -> None:
        """A piece has arrived from the network."""
        self._bytes += size_bytes
        elapsed_s = self._bar.tasks[0].elapsed or 0.0
        if elapsed_s > 0:
            self._bar.update(self._task, speed=f"{self._bytes / elapsed_s / 1e6:.1f} MB/s")

    def finish(self) -> None:
        """One file is done."""
        self._bar.advance(self._task)


def print_json(records: object) -> None:
    """Print records as JSON."""
    raw = msgspec.json.format(msgspec.json.encode(records, enc_hook=str), indent=1)
    out.out(raw.decode())


def print_fetched(fetched: Fetched) -> None:
    """Print what a fetch did, in a few lines."""
    merge = fetched.merge
    out.print(
        f"[bold]{fetched.series}[/]: {counted(fetched.files, 'file')} fetched,"
        f" {fetched.known} stored before"
        + (f"; {counted(fetched.rest_rows, 'row')} from REST" if fetched.rest_rows else "")
        + f"; {fetched.series.its_kind.counted(merge.added)} added, {merge.replaced:,} replaced",
        soft_wrap=True,
    )
    print_some("note", fetched.notes)
    print_some("refused", list(fetched.refused.values()))
    for word, outage in (("filled from REST", False), ("REST has none either", True)):
        print_some(
            word,
            [
                f"{counted(e.count, 'row')}, {show_time(e.first)} to {show_time(e.last)} UTC"
                f" ({e.cause})"
                for e in fetched.filled
                if (e.cause == OUTAGE) == outage
            ],
        )
    days = fetched.missing_days
    if days:
        listed = ", ".join(days[:MANY]) + (", …" if len(days) > MANY else "")
        out.print(
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
        out.print(
            f"{series}: {files}, understood as {layout}; {span},"
            f" {items[0].series.its_kind.counted(sum(i.rows for i in items))},"
            f" {sum(i.merge.added for i in items):,} new",
            soft_wrap=True,
        )
    _print_alike("note", [(f"{i.path.name}: {n}", i.path) for i in imported for n in i.notes])
    _print_alike("refused", [(f"{r.message}; {r.hint}", r.path) for r in refused])


def _print_alike(word: str, lines: Sequence[tuple[str, Path]]) -> None:
    """Print a line for each reason: how many files have it, and the first of them."""
    alike: dict[str, list[str]] = {}
    for line, path in lines:
        reason = _OF_ONE_FILE.sub("…", line.replace(path.name, "…"))
        alike.setdefault(reason, []).append(line)
    for first, *others in alike.values():
        more = f"{len(others) + 1:,} files, the first: " if others else ""
        out.print(f"{word}: {more}{first}", markup=False, soft_wrap=True)


def print_tumbled(result: "Tumbled") -> None:
    """Print what became of trades."""
    span = "none whole in the range"
    if result.candles:
        first, last = show_time(result.first_open_time), show_time(result.last_open_time)
        span = f"{first} to {last} UTC, {result.silent:,} of them without a trade"
    out.print(
        f"[bold]{result.series}[/]: {result.trades:,} aggregate trades of"
        f" {counted(result.days, 'day')} made {counted(result.candles, 'candle')}, {span};"
        f" {result.merge.added:,} new, {result.merge.replaced:,} replaced",
        soft_wrap=True,
    )
    if result.left_out:
        out.print(f"note: {counted(result.left_out, 'trade')} of price or quantity 0 left out")
    if result.breaks:
        out.print(
            f"gap: trades are missing in {counted(result.breaks, 'place')} inside days, first after"
            f" {show_time(result.first_break)} UTC; no candle is made there",
            soft_wrap=True,
        )
    _print_days("gap: no trades are stored of", result.missing_days)
    _print_days("gap: candles end with the last trade known of", result.unfinished_days)


def _print_days(what: str, days: Sequence[str]) -> None:
    if days:
        listed = ", ".join(days[:MANY]) + (", …" if len(days) > MANY else "")
        out.print(f"{what} {counted(len(days), 'day')}: {listed}", soft_wrap=True)


def print_compared(result: "Compared") -> None:
    """Print how candles made of trades differ from the exchange's own."""
    out.print(
        f"[bold]{result.series}[/]: {result.equal:,} of {counted(result.compared, 'candle')} made"
        " of trades equal the exchange's in every value",
        soft_wrap=True,
    )
    for d in result.differences.values():
        first = f"first {show_time(d.open_time)} UTC"
        if d.ours == d.ours:
            first += f", {d.ours!r} of the trades and {d.exchange!r} of the exchange"
        out.print(f"differs: {d.what}: {counted(d.count, 'candle')}, {first}", soft_wrap=True)
