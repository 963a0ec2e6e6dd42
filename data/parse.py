"""Bytes of a file to rows of a kind: Binance zips and CSV, common CSV, Parquet.

The only place where text becomes prices: by Arrow's parser, which gives the double nearest to the
decimal text, as `float()` does.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from data.kinds import KLINES, Kind
from data.quality import MICROSECONDS_ABOVE
from data.table import with_schema
from strategy.errors import WickError

# Before 1973 in milliseconds: such a time is in seconds.
_SECONDS_BELOW = 10**11
_FIRST_MS = 1_230_768_000_000
MEND = "nothing of this file was stored; mend or fetch the file again"
_READABLE = (
    "Binance klines (zip, CSV with or without header), CSV with a header such as"
    " open_time,open,high,low,close,volume, or Parquet with these columns"
)


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


def parse(name: str, raw: bytes, kind: Kind = KLINES) -> ParsedFile:
    """Read the rows of a file by its name's ending and its content.

    Raises
    ------
    WickError
        The content is not what the ending says, or holds no rows of this kind.
    """
    if not raw:
        raise _unreadable(name, "is empty")
    if raw.lstrip()[:1] == b"<":
        raise _unreadable(name, "is a web page, not data: the server answered with an error")
    if name.endswith(".zip"):
        return _parse_csv(name, _unzip(name, raw), kind)
    if name.endswith(".parquet"):
        return _parse_parquet(name, raw, kind)
    if name.endswith(".gz"):
        try:
            return _parse_csv(name, gzip.decompress(raw), kind)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _unreadable(name, f"is not a whole gzip file ({error})") from error
    return _parse_csv(name, raw, kind)


def _unreadable(name: str, why: str) -> WickError:
    return WickError(f"{name} {why}", f"readable are {_READABLE}")


def _unzip(name: str, raw: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [m for m in archive.namelist() if m.endswith(".csv")]
            if len(members) != 1:
                raise _unreadable(name, f"holds {len(members)} CSV files, expected one")
            return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _unreadable(name, f"is not a whole zip file ({error})") from error


def _parse_csv(name: str, text: bytes, kind: Kind) -> ParsedFile:
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise _unreadable(name, "is empty")
    first, _, rest = text.partition(b"\n")
    words = [w.strip().strip('"') for w in first.decode("utf-8", "replace").split(",")]
    # The archive's files have a header or none, by no rule but the file itself.
    has_header = not words[0][:1].isdigit()
    if has_header:
        names = [kind.column_of(word) for word in words]
        _require(name, names, words, kind)
        text = rest
        if not text.strip():
            raise _unreadable(name, "has a header but no rows")
    elif len(words) == len(kind.layout):
        names = list(kind.layout)
    else:
        found = f"has no header and {len(words)} columns"
        expected = f"without a header {len(kind.layout)} are expected"
        raise _unreadable(name, f"{found}; {expected}")
    first_line = 1 + has_header
    table = _read_columns(name, text, names, first_line, kind)
    table, microseconds = _with_times(name, "line", table, first_line, kind)
    layout = (
        (f"Binance {kind.name}" if len(words) == len(kind.layout) else "CSV")
        + (" with header" if has_header else " without header")
        + (", times in µs" if microseconds else "")
    )
    return ParsedFile(name, kind, table, layout, "line", first_line, microseconds, has_header, {})


def _read_columns(
    name: str, text: bytes, names: Sequence[str], first_line: int, kind: Kind
) -> pa.Table:
    columns = [n or f"_{i}" for i, n in enumerate(names)]
    wanted = [n for n in columns if n in kind.columns]
    # Some exports write counts with a decimal point.
    types = {n: pa.float64() if n in kind.optional else kind.columns[n] for n in wanted}
    first_time = text.partition(b"\n")[0].split(b",")[columns.index(kind.time)]
    if not first_time.strip().isdigit():
        types[kind.time] = pa.string()

    def read(types: dict[str, pa.DataType]) -> pa.Table:
        options = pa.csv.ConvertOptions(
            include_columns=wanted, column_types=types, strings_can_be_null=True
        )
        reading = pa.csv.ReadOptions(column_names=columns)
        return pa.csv.read_csv(pa.BufferReader(text), read_options=reading, convert_options=options)

    try:
        return read(types)
    except pa.ArrowInvalid as error:
        why = str(error).splitlines()[0]
    try:
        # Slow, and only for the message: everything as text, to find the cell that is no number.
        table = read(dict.fromkeys(wanted, pa.string()))
    except pa.ArrowInvalid as error:
        raise _unreadable(name, f"is not a table: {why}") from error
    raise _bad_cell(name, table, first_line, kind) or _unreadable(name, f"is not a table: {why}")


def _bad_cell(name: str, table: pa.Table, first_line: int, kind: Kind) -> WickError | None:
    for row, cells in enumerate(table.to_pylist()):
        for field, cell in cells.items():
            if kind.columns[field] == pa.bool_():
                continue
            try:
                float(cell or "nan")
            except ValueError:
                return WickError(
                    f"{name}, line {row + first_line}: {field} is {cell!r}, expected a number",
                    MEND,
                )
    return None


def _parse_parquet(name: str, raw: bytes, kind: Kind) -> ParsedFile:
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except pa.ArrowException as error:
        raise _unreadable(name, f"is not a whole Parquet file ({error})") from error
    names = [kind.column_of(word) for word in table.column_names]
    _require(name, names, table.column_names, kind)
    if not len(table):
        raise _unreadable(name, "holds no rows")
    labels = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if key in (b"symbol", b"market", b"timeframe")
    }
    table = table.select([names.index(n) for n in dict.fromkeys(names) if n])
    table = table.rename_columns([kind.column_of(word) for word in table.column_names])
    table, microseconds = _with_times(name, "row", table, 1, kind)
    return ParsedFile(name, kind, table, "Parquet", "row", 1, microseconds, False, labels)


def _require(name: str, names: list[str], words: list[str], kind: Kind) -> None:
    missing = [n for n in kind.required if n not in names]
    if missing:
        raise _unreadable(
            name, f"has no column {', '.join(missing)}; its columns are {', '.join(words)}"
        )


def _with_times(
    name: str, row_word: str, table: pa.Table, first_line: int, kind: Kind
) -> tuple[pa.Table, bool]:
    times, microseconds = _times(name, row_word, table[kind.time], first_line, kind.time)
    table = table.set_column(table.column_names.index(kind.time), kind.time, times)
    try:
        return with_schema(table, kind), microseconds
    except pa.ArrowException as error:
        raise _unreadable(name, f"has a column that is not numbers ({error})") from error


def _times(
    name: str, row_word: str, values: pa.ChunkedArray, first_line: int, field: str
) -> tuple[pa.Array, bool]:
    """Bring times to milliseconds; say whether some were in microseconds."""
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("ms")).cast(pa.int64()), False
    if pa.types.is_string(values.type):
        unit = pa.timestamp("ms", "UTC") if _has_zone(values) else pa.timestamp("ms")
        try:
            return values.cast(unit).cast(pa.int64()), False
        except pa.ArrowInvalid as error:
            why = f"has a time that is neither a number nor a date: {str(error).splitlines()[0]}"
            raise _unreadable(name, why) from error
    if not pa.types.is_integer(values.type) or values.null_count:
        raise _unreadable(name, "has times that are not whole numbers")
    given = values.to_numpy().astype(np.int64)
    in_us = given > MICROSECONDS_ABOVE
    times = np.where(in_us, given // 1000, np.where(given < _SECONDS_BELOW, given * 1000, given))
    odd = in_us & (given % 1000 != 0)
    early = times < _FIRST_MS
    if odd.any() or early.any():
        row = int(np.argmax(odd | early))
        why = "µs is not on a millisecond" if odd[row] else "is before 2009, when trading began"
        raise WickError(f"{name}, {row_word} {row + first_line}: {field} {given[row]} {why}", MEND)
    return pa.array(times), bool(in_us.any())


def _has_zone(values: pa.ChunkedArray) -> bool:
    text = str(values[0])
    return text.endswith("Z") or "+" in text
