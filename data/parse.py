"""Bytes of a file to candles: Binance zips and CSV, common CSV, Parquet.

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

from data.quality import MICROSECONDS_ABOVE
from data.table import REQUIRED, with_schema
from strategy.errors import WickError

BINANCE = (
    "open_time open high low close volume close_time quote_volume trades taker_buy"
    " taker_buy_quote ignore"
).split()
# Header words of archives, exchange libraries and common exports, and the column each one means.
_NAMES = {
    name: name for name in ("open_time", *REQUIRED[1:], "quote_volume", "trades", "taker_buy")
} | {
    "timestamp": "open_time",
    "time": "open_time",
    "date": "open_time",
    "datetime": "open_time",
    "quote_asset_volume": "quote_volume",
    "count": "trades",
    "number_of_trades": "trades",
    "taker_buy_volume": "taker_buy",
    "taker_buy_base": "taker_buy",
    "taker_buy_base_volume": "taker_buy",
    "taker_buy_base_asset_volume": "taker_buy",
}
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
    """Candles of one file as found: not yet sorted or checked, times in milliseconds.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    layout : str
        What the file was understood to be.
    first_line : int
        The line or row number of the first candle.
    microseconds, has_header : bool
        Marks by which spot and futures files of the archive differ.
    labels : dict of str
        Symbol, market and timeframe where the file itself names them.
    """

    name: str
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


def parse(name: str, raw: bytes) -> ParsedFile:
    """Read the candles of a file by its name's ending and its content.

    Raises
    ------
    WickError
        The content is not what the ending says, or holds no candles.
    """
    if not raw:
        raise _unreadable(name, "is empty")
    if raw.lstrip()[:1] == b"<":
        raise _unreadable(name, "is a web page, not data: the server answered with an error")
    if name.endswith(".zip"):
        return _parse_csv(name, _unzip(name, raw))
    if name.endswith(".parquet"):
        return _parse_parquet(name, raw)
    if name.endswith(".gz"):
        try:
            return _parse_csv(name, gzip.decompress(raw))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _unreadable(name, f"is not a whole gzip file ({error})") from error
    return _parse_csv(name, raw)


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


def _parse_csv(name: str, text: bytes) -> ParsedFile:
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise _unreadable(name, "is empty")
    first, _, rest = text.partition(b"\n")
    words = [w.strip().strip('"') for w in first.decode("utf-8", "replace").split(",")]
    # The archive's files have a header or none, by no rule but the file itself.
    has_header = not words[0][:1].isdigit()
    if has_header:
        names = [_canonical(word) for word in words]
        _require(name, names, words)
        text = rest
        if not text.strip():
            raise _unreadable(name, "has a header but no rows")
    elif len(words) == len(BINANCE):
        names = BINANCE
    else:
        found = f"has no header and {len(words)} columns"
        raise _unreadable(name, f"{found}; without a header 12 are expected")
    first_line = 1 + has_header
    table = _read_columns(name, text, names, first_line)
    times, microseconds = _times(name, "line", table["open_time"], first_line)
    table = with_schema(table.set_column(table.column_names.index("open_time"), "open_time", times))
    layout = (
        ("Binance klines" if len(words) == len(BINANCE) else "CSV")
        + (" with header" if has_header else " without header")
        + (", times in µs" if microseconds else "")
    )
    return ParsedFile(name, table, layout, "line", first_line, microseconds, has_header, {})


def _read_columns(name: str, text: bytes, names: Sequence[str], first_line: int) -> pa.Table:
    columns = [n if n in _NAMES.values() else f"_{i}" for i, n in enumerate(names)]
    wanted = [n for n in columns if not n.startswith("_")]
    types = dict.fromkeys(wanted, pa.float64()) | {"open_time": pa.string()}
    first_time = text.partition(b"\n")[0].split(b",")[columns.index("open_time")]
    if first_time.strip().isdigit():
        types["open_time"] = pa.int64()

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
    raise _bad_cell(name, table, first_line) or _unreadable(name, f"is not a table: {why}")


def _bad_cell(name: str, table: pa.Table, first_line: int) -> WickError | None:
    for row, cells in enumerate(table.to_pylist()):
        for field, cell in cells.items():
            try:
                float(cell or "nan")
            except ValueError:
                return WickError(
                    f"{name}, line {row + first_line}: {field} is {cell!r}, expected a number",
                    MEND,
                )
    return None


def _parse_parquet(name: str, raw: bytes) -> ParsedFile:
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except pa.ArrowException as error:
        raise _unreadable(name, f"is not a whole Parquet file ({error})") from error
    names = [_canonical(word) for word in table.column_names]
    _require(name, names, table.column_names)
    if not len(table):
        raise _unreadable(name, "holds no rows")
    labels = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if key in (b"symbol", b"market", b"timeframe")
    }
    table = table.select([names.index(n) for n in dict.fromkeys(names) if n in _NAMES.values()])
    table = table.rename_columns([_canonical(word) for word in table.column_names])
    times, microseconds = _times(name, "row", table["open_time"], 1)
    table = table.set_column(table.column_names.index("open_time"), "open_time", times)
    try:
        table = with_schema(table)
    except pa.ArrowException as error:
        raise _unreadable(name, f"has a column that is not numbers ({error})") from error
    return ParsedFile(name, table, "Parquet", "row", 1, microseconds, False, labels)


def _canonical(word: str) -> str:
    return _NAMES.get(word.strip().strip('"').lower().replace(" ", "_"), "")


def _require(name: str, names: list[str], words: list[str]) -> None:
    missing = [n for n in REQUIRED if n not in names]
    if missing:
        raise _unreadable(
            name, f"has no column {', '.join(missing)}; its columns are {', '.join(words)}"
        )


def _times(
    name: str, row_word: str, values: pa.ChunkedArray, first_line: int
) -> tuple[pa.Array, bool]:
    """Bring open times to milliseconds; say whether some were in microseconds."""
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
        raise _unreadable(name, "has open times that are not whole numbers")
    given = values.to_numpy().astype(np.int64)
    in_us = given > MICROSECONDS_ABOVE
    times = np.where(in_us, given // 1000, np.where(given < _SECONDS_BELOW, given * 1000, given))
    odd = in_us & (given % 1000 != 0)
    early = times < _FIRST_MS
    if odd.any() or early.any():
        row = int(np.argmax(odd | early))
        why = "µs is not on a millisecond" if odd[row] else "is before 2009, when trading began"
        raise WickError(
            f"{name}, {row_word} {row + first_line}: open_time {given[row]} {why}", MEND
        )
    return pa.array(times), bool(in_us.any())


def _has_zone(values: pa.ChunkedArray) -> bool:
    text = str(values[0])
    return text.endswith("Z") or "+" in text
