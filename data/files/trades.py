"""Trades of a file read in pieces: a month of them would not fit into memory."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from data.files.clean import Mended, clean, sorted_once
from data.files.csv_rows import bad_cell, csv_options, read_csv
from data.files.layouts import Layout, layout_of, unreadable
from data.files.parse import BROKEN, HEAD_BYTES, TABLES, ParsedFile, broken, of_rows, opened
from data.kinds import AGG_TRADES, Kind
from data.manifest import Series
from data.table import by_period


class Pieces:
    """Aggregate trades of one text file, by UTC day; made by `Pieces.of`.

    Attributes
    ----------
    first : ParsedFile
        Its first rows, by which its series is told.
    """

    def __init__(self, path: Path, layout: Layout, first: ParsedFile) -> None:
        self.first = first
        self._path = path
        self._layout = layout
        self._limits: tuple[Series, int, int | None, int | None] | None = None
        self._mended = Mended()

    @classmethod
    def of(cls, path: Path, kind: Kind | None) -> "Pieces | None":
        """Look into a file; None where it holds something else.

        Raises
        ------
        WickError
            It cannot be read or holds nothing that is known.
        """
        if path.name.endswith(TABLES) or kind not in (None, AGG_TRADES):
            return None
        with path.open("rb") as file, opened(path.name, file) as text:
            try:
                head = text.read(HEAD_BYTES)
            except BROKEN as error:
                raise broken(path.name, error) from error
        layout = layout_of(path.name, head, kind)
        if layout.kind is not AGG_TRADES:
            return None
        lines = head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1]
        table, labels = read_csv(path.name, lines, layout)
        return cls(path, layout, of_rows(path.name, table, layout, labels))

    def want(self, series: Series, now_ms: int, start_ms: int | None, end_ms: int | None) -> None:
        """Say what is wanted of the file before its rows are taken."""
        self._limits = (series, now_ms, start_ms, end_ms)

    def notes(self) -> list[str]:
        """Say what was mended in the rows taken so far."""
        return self._mended.notes(AGG_TRADES)

    def __iter__(self) -> Iterator[pa.Table]:
        """Give the rows of one day after the other, sorted, each id once."""
        assert self._limits is not None
        held: dict[str, list[pa.Table]] = {}
        line = self._layout.first_line
        for batch in self._batches():
            parsed = of_rows(self._path.name, batch, self._layout, {}, line)
            line += len(batch)
            for day, part in by_period(clean(parsed, *self._limits, self._mended), AGG_TRADES):
                held.setdefault(day, []).append(part)
            for day in sorted(held)[:-1]:
                yield self._day(held.pop(day))
        for day in sorted(held):
            yield self._day(held.pop(day))

    def _day(self, parts: list[pa.Table]) -> pa.Table:
        return sorted_once(pa.concat_tables(parts), AGG_TRADES, self._mended)

    def _batches(self, as_text: bool = False) -> Iterator[pa.Table]:
        name = self._path.name
        with self._path.open("rb") as file, opened(name, file) as text:
            options = csv_options(self._layout, as_text)
            try:
                reader = pyarrow.csv.open_csv(text, *options)
                batch = next(reader, None)
            except BROKEN as error:
                raise self._error(error, as_text) from error
            while batch is not None:
                yield pa.Table.from_batches([batch])
                try:
                    batch = next(reader, None)
                except BROKEN as error:
                    raise self._error(error, as_text) from error

    def _error(self, error: BaseException, as_text: bool) -> Exception:
        name = self._path.name
        if not isinstance(error, pa.ArrowInvalid):
            return broken(name, error)
        table_error = unreadable(name, f"is not a table: {str(error).splitlines()[0]}")
        if as_text:
            return table_error
        line = self._layout.first_line
        for batch in self._batches(as_text=True):
            found = bad_cell(name, batch, self._layout, line)
            if found is not None:
                return found
            line += len(batch)
        return table_error
