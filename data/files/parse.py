"""Bytes of a file to rows of a kind: the archive's zips and CSV, common CSV, Parquet, Feather.

The only place where text becomes prices: by Arrow's parser, which gives the double nearest to the
decimal text, as `float()` does.
"""

import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq

from data.archive_names import archive_name
from data.files.csv_rows import read_csv, stream_csv, symbol_labels
from data.files.layouts import SYMBOL, Layout, layout_of, named, unreadable
from data.files.quotes import minutes_of
from data.files.times import Place, to_ms
from data.kinds import MARK, QUOTES, Kind
from data.table import with_schema
from strategy.errors import WickError

TABLES = (".parquet", ".feather", ".arrow")
ENDINGS = (".zip", ".csv", ".csv.gz", *TABLES)
# What reading any bytes as a compressed file or a table can meet.
BROKEN = (
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
    OverflowError,
)
# Enough for the lines above a header, its own and some rows.
HEAD_BYTES = 1 << 16
_PANDAS_INDEX = "__index_level_0__"


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """Rows of one file as found: not yet sorted or checked, times in milliseconds.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    kind : Kind
        What the rows are.
    layout : str
        What the file was understood to be.
    first_line : int
        The line or row number of the first row.
    labels : dict of str
        Symbol, market and timeframe where the file itself names them; `TICKS` where the count of
        ticks stands for the volume.
    """

    name: str
    kind: Kind
    table: pa.Table
    layout: str
    row_word: str
    first_line: int
    labels: dict[str, str]

    def line(self, row: int) -> str:
        """Name a row of the table as the file counts it."""
        return f"{self.row_word} {row + self.first_line}"


def parse(name: str, raw: bytes, kind: Kind | None = None) -> ParsedFile:
    """Read the rows of a file by its name's ending and its content.

    Parameters
    ----------
    name : str
        Of the file.
    raw : bytes
        Its content.
    kind : Kind, optional
        What its rows are; by default told from its columns.

    Raises
    ------
    WickError
        The content is not what the ending says, or holds no rows of this kind.
    """
    if name.endswith(TABLES):
        return _of_table(name, _read_table(name, raw), kind)
    with opened(name, io.BytesIO(raw)) as text:
        try:
            head = text.read(HEAD_BYTES)
            layout = layout_of(name, head, kind)
            if layout.kind is QUOTES and "half" not in layout.columns:
                return _of_quotes(name, raw, layout)
            content = head + text.read()
        except BROKEN as error:
            raise broken(name, error) from error
    inside = content.rstrip()
    if b"\n\n" in inside or b"\n\r\n" in inside:
        layout = replace(layout, has_blanks=True)
    table, labels = read_csv(name, content, layout)
    return of_rows(name, table, layout, labels)


def _of_quotes(name: str, raw: bytes, layout: Layout) -> ParsedFile:
    if not layout.row:
        raise unreadable(name, "has a header but no rows")

    # A day of them in text would not fit into memory.
    def batches() -> Iterator[pa.Table]:
        line = layout.first_number
        with opened(name, io.BytesIO(raw)) as text:
            for batch in stream_csv(text, layout):
                yield of_rows(name, batch, layout, {}, line).table
                line += len(batch)

    try:
        table = minutes_of(batches(), archive_name(name))
    except pa.ArrowInvalid as error:
        raise unreadable(name, f"is not a table: {str(error).splitlines()[0]}") from error
    except BROKEN as error:
        raise broken(name, error) from error
    if not len(table):
        raise unreadable(name, "holds no quote with a bid and an ask above it")
    words = f"{layout.words}, reduced to minutes"
    return ParsedFile(name, QUOTES, table, words, layout.row_word, layout.first_number, {})


def opened(name: str, file: IO[bytes]) -> IO[bytes]:
    """Open the text inside a file: the one CSV of a zip, what is in a gzip, or the file itself.

    Raises
    ------
    WickError
        It is empty, a web page, or not what its ending says.
    """
    head = file.read(HEAD_BYTES).lstrip()
    file.seek(0)
    if not head:
        raise unreadable(name, "is empty")
    # <DATE> <TIME> <OPEN> is a header of MetaTrader.
    if head[:1] == b"<" and not re.match(rb"<\w+>[\t,;]<", head):
        raise unreadable(name, "is a web page, not data: the server answered with an error")
    try:
        if name.endswith(".zip"):
            return _member(name, file)
        return cast(IO[bytes], gzip.open(file)) if name.endswith(".gz") else file
    except BROKEN as error:
        raise broken(name, error) from error


def broken(name: str, error: BaseException) -> WickError:
    """Return the error for a file that is cut off or damaged."""
    what = {".zip": "zip", ".gz": "gzip", ".parquet": "Parquet"}
    ending = next((e for e in what if name.endswith(e)), "")
    lines = str(error).splitlines() or [type(error).__name__]
    return unreadable(name, f"is not a whole {what.get(ending, 'Feather')} file ({lines[0]})")


def member_of(file: IO[bytes]) -> str:
    """Return the file's name of the one CSV inside a zip that could be read."""
    return PurePosixPath(_members(zipfile.ZipFile(file))[0]).name


def _members(archive: zipfile.ZipFile) -> list[str]:
    # A zip made by macOS holds a shadow of each file, under the same ending.
    return [
        m
        for m in archive.namelist()
        if m.endswith(".csv")
        and not m.startswith("__MACOSX/")
        and not PurePosixPath(m).name.startswith("._")
    ]


def _member(name: str, file: IO[bytes]) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    members = _members(archive)
    if len(members) != 1:
        raise unreadable(name, f"holds {len(members)} CSV files, expected one")
    return archive.open(members[0])


def of_rows(
    name: str, table: pa.Table, layout: Layout, labels: dict[str, str], first_line: int = 0
) -> ParsedFile:
    """Return the rows of a CSV in the columns and types of their kind."""
    first_line = first_line or layout.first_number
    kind = layout.kind
    table, form = _with_times(Place(name, layout.row_word, first_line, kind.time), table, kind)
    market = _market_of(layout, "µs" in form)
    if market:
        labels = {"market": market} | labels
    return ParsedFile(
        name=name,
        kind=kind,
        table=table,
        layout=", ".join(filter(None, (layout.words, form))),
        row_word=layout.row_word,
        first_line=first_line,
        labels=labels,
    )


def _market_of(layout: Layout, microseconds: bool) -> str:
    # Since 2025 the archive's files of spot have microseconds, those of futures milliseconds.
    if layout.of_futures:
        return "" if microseconds else "um"
    bare = layout.is_archive and not layout.has_header and "spot" in layout.kind.markets
    return "spot" if layout.of_spot or (bare and microseconds) else ""


def _read_table(name: str, raw: bytes) -> pa.Table:
    if not raw:
        raise unreadable(name, "is empty")
    if raw.lstrip()[:1] == b"<":
        raise unreadable(name, "is a web page, not data: the server answered with an error")
    try:
        if name.endswith(".parquet"):
            table = pq.read_table(pa.BufferReader(raw))
        elif name.endswith(".arrow") and raw[:6] != b"ARROW1":
            table = pa.ipc.open_stream(raw).read_all()
        else:
            table = pyarrow.feather.read_table(pa.BufferReader(raw))
        # Damaged lengths, offsets or names would only be met later, or crash.
        table.validate(full=True)
        if not table.column_names:
            raise unreadable(name, "has no columns")
        return table
    except BROKEN as error:
        raise broken(name, error) from error


def _of_table(name: str, table: pa.Table, kind: Kind | None) -> ParsedFile:
    metadata = table.schema.metadata or {}
    labels = {
        word: metadata[word.encode()].decode("utf-8", "replace")
        for word in ("symbol", "market", "timeframe")
        if word.encode() in metadata
    }
    words = ["timestamp" if n == _PANDAS_INDEX else n for n in table.column_names]
    row = [str(column[0]) if len(column) else "" for column in table.columns]
    what = "Parquet" if name.endswith(".parquet") else "Feather"
    if kind is not None and kind.name == "funding" and {"date", "open"} < set(words):
        # freqtrade keeps the rate where candles have their open.
        words = ["rate" if word == "open" else word for word in words]
        what = f"{what}, the funding rate in its column open"
    names, kind = named(name, words, row, kind)
    if not len(table):
        raise unreadable(name, "holds no rows")
    if SYMBOL in names:
        labels = symbol_labels(name, table.column(names.index(SYMBOL))) | labels
    wanted = {n: table.column(names.index(n)) for n in (*kind.columns, "volume") if n in names}
    table, form = _with_times(Place(name, "row", 1, kind.time), pa.table(wanted), kind)
    if kind is QUOTES and "half" not in names:
        table = minutes_of([table], None)
    layout = ", ".join(filter(None, (what, form)))
    return ParsedFile(name, kind, table, layout, "row", 1, labels)


def _with_times(place: Place, table: pa.Table, kind: Kind) -> tuple[pa.Table, str]:
    times, form = to_ms(table[kind.time], place, kind.has_candles)
    table = table.set_column(table.column_names.index(kind.time), kind.time, times)
    # The archive's own text is known to be UTC.
    form = "" if form.endswith("as UTC") and kind.name in ("metrics", "bookDepth") else form
    try:
        if kind is MARK and "volume" in table.column_names:
            _refuse_volume(place.name, table["volume"])
        return with_schema(table, kind), form
    except (pa.ArrowException, ValueError) as error:
        why = f"has a column that is not numbers ({str(error).splitlines()[0]})"
        raise unreadable(place.name, why) from error


def _refuse_volume(name: str, values: pa.ChunkedArray) -> None:
    if pc.any(pc.greater(values.cast(pa.float64()), 0)).as_py():
        raise WickError(
            f"{name} holds volumes above 0, and mark prices have none",
            "--kind klines if these are candles of what was traded",
        )
