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
from dataclasses import dataclass
from typing import IO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from data.kinds import Kind
from data.layouts import CLOCK, SYMBOL, TICKS, Layout, layout_of, named, unreadable
from data.table import with_schema
from data.times import MEND, Place, to_ms
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
# Arrow reads some thirty blocks ahead of whoever stores them.
_BLOCK_BYTES = 1 << 21
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
    microseconds, has_header : bool
        Marks by which spot and futures files of the archive differ.
    labels : dict of str
        Symbol, market and timeframe where the file itself names them.
    """

    name: str
    kind: Kind
    table: pa.Table
    layout: str
    row_word: str
    first_line: int
    microseconds: bool
    has_header: bool
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
            content = text.read()
        except BROKEN as error:
            raise broken(name, error) from error
    layout = layout_of(name, content[:HEAD_BYTES], kind)
    table, labels = read_csv(name, content, layout)
    return of_rows(name, table, layout, labels)


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


def _member(name: str, file: IO[bytes]) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    members = [m for m in archive.namelist() if m.endswith(".csv")]
    if len(members) != 1:
        raise unreadable(name, f"holds {len(members)} CSV files, expected one")
    return archive.open(members[0])


def csv_options(
    layout: Layout, as_text: bool = False
) -> tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions, pyarrow.csv.ConvertOptions]:
    """Return how Arrow reads the rows of a layout; as text for messages about a bad cell."""
    columns = [n or f"_{i}" for i, n in enumerate(layout.columns)]
    wanted = [n for n in layout.columns if n]
    kind = layout.kind
    # Some exports write counts with a decimal point.
    types = {
        n: pa.string()
        if as_text or n in (CLOCK, SYMBOL)
        else pa.float64()
        if n in kind.optional or n == TICKS
        else kind.columns[n]
        for n in wanted
    }
    at = layout.columns.index(kind.time)
    first = layout.row[at] if at < len(layout.row) else ""
    if not as_text and not re.fullmatch(r"\d{9,}", first):
        number = re.fullmatch(r"\d{9,}\.\d*|\d(\.\d+)?[eE]\+?\d+", first)
        types[kind.time] = pa.float64() if number else pa.string()
    return (
        pyarrow.csv.ReadOptions(
            column_names=columns, skip_rows=layout.first_line - 1, block_size=_BLOCK_BYTES
        ),
        pyarrow.csv.ParseOptions(delimiter=layout.separator),
        pyarrow.csv.ConvertOptions(
            include_columns=wanted, column_types=types, strings_can_be_null=True
        ),
    )


def read_csv(name: str, text: bytes, layout: Layout) -> tuple[pa.Table, dict[str, str]]:
    """Read the rows of a CSV, and what it says of its symbol."""
    if not layout.row:
        raise unreadable(name, "has a header but no rows")

    def read(as_text: bool) -> pa.Table:
        reading, parsing, converting = csv_options(layout, as_text)
        return pyarrow.csv.read_csv(pa.BufferReader(text), reading, parsing, converting)

    try:
        return _joined(name, read(as_text=False), layout)
    except pa.ArrowException as error:
        why = str(error).splitlines()[0]
    try:
        # Slow, and only for the message: everything as text, to find the cell that is no number.
        table = read(as_text=True)
    except pa.ArrowException as error:
        raise unreadable(name, f"is not a table: {why}") from error
    raise bad_cell(name, table, layout, layout.first_line) or unreadable(
        name, f"is not a table: {why}"
    )


def _joined(name: str, table: pa.Table, layout: Layout) -> tuple[pa.Table, dict[str, str]]:
    """Turn columns of clock times, symbols and ticks into what they mean."""
    labels = {}
    if CLOCK in layout.columns:
        time = layout.kind.time
        both = pc.binary_join_element_wise(table[time].cast(pa.string()), table[CLOCK], " ")
        table = table.set_column(table.column_names.index(time), time, both).drop([CLOCK])
    if SYMBOL in layout.columns:
        labels = symbol_labels(name, table[SYMBOL])
        table = table.drop([SYMBOL])
    if TICKS in layout.columns:
        # Where no volume is known MetaTrader writes zeros, and counts the changes of price.
        if (
            "volume" not in table.column_names
            or not pc.any(pc.not_equal(table["volume"], 0)).as_py()
        ):
            table = table.drop([n for n in ("volume",) if n in table.column_names])
            return table.rename_columns(
                ["volume" if n == TICKS else n for n in table.column_names]
            ), labels
        table = table.drop([TICKS])
    return table, labels


def symbol_labels(name: str, values: pa.ChunkedArray) -> dict[str, str]:
    """Tell the symbol, and for `BTC/USDT:USDT` the market, from a column of it."""
    names = pc.unique(values.cast(pa.string())).to_pylist()
    if len(names) != 1 or not names[0]:
        raise WickError(
            f"{name} holds rows of {len(names)} symbols: {', '.join(map(str, names[:3]))}",
            "import a file for each symbol",
        )
    pair, _, settled = str(names[0]).partition(":")
    labels = {"symbol": re.sub(r"[/\s-]", "", pair).upper()}
    return labels | ({"market": "um"} if settled in ("USDT", "USDC") else {})


def bad_cell(name: str, table: pa.Table, layout: Layout, first_line: int) -> WickError | None:
    """Return the error for the first cell that is no number; the table holds text."""
    kind = layout.kind
    for row, cells in enumerate(table.to_pylist()):
        for field, cell in cells.items():
            if field in (CLOCK, SYMBOL) or kind.columns.get(field) == pa.bool_():
                continue
            try:
                float(cell or "nan")
            except ValueError:
                comma = re.fullmatch(r"[+-]?[\d.]*,\d+", cell) is not None
                what = "has a decimal comma, expected a point" if comma else "expected a number"
                return WickError(
                    f"{name}, line {row + first_line}: {field} is {cell!r}, {what}", MEND
                )
    return None


def of_rows(
    name: str, table: pa.Table, layout: Layout, labels: dict[str, str], first_line: int = 0
) -> ParsedFile:
    """Return the rows of a CSV in the columns and types of their kind."""
    first_line = first_line or layout.first_line
    kind = layout.kind
    if layout.of_spot:
        labels = {"market": "spot"} | labels
    table, form = _with_times(Place(name, "line", first_line, kind.time), table, kind)
    return ParsedFile(
        name=name,
        kind=kind,
        table=table,
        layout=", ".join(filter(None, (layout.words, form))),
        row_word="line",
        first_line=first_line,
        microseconds="µs" in form,
        has_header=layout.has_header,
        labels=labels,
    )


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
        return table.rename_columns([str(n) for n in table.column_names])
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
    wanted = {n: table.column(names.index(n)) for n in kind.columns if n in names}
    table, form = _with_times(Place(name, "row", 1, kind.time), pa.table(wanted), kind)
    layout = ", ".join(filter(None, (what, form)))
    return ParsedFile(name, kind, table, layout, "row", 1, "µs" in form, False, labels)


def _with_times(place: Place, table: pa.Table, kind: Kind) -> tuple[pa.Table, str]:
    times, form = to_ms(table[kind.time], place, kind.has_candles)
    table = table.set_column(table.column_names.index(kind.time), kind.time, times)
    # The archive's own text is known to be UTC.
    form = "" if form.endswith("as UTC") and kind.name in ("metrics", "bookDepth") else form
    try:
        return with_schema(table, kind), form
    except (pa.ArrowException, ValueError) as error:
        why = f"has a column that is not numbers ({str(error).splitlines()[0]})"
        raise unreadable(place.name, why) from error
