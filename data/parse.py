"""Bytes of a file to candles: Binance zips and CSV, common CSV, Parquet.

The only place where text becomes prices: by Arrow's parser, which gives the double nearest to the
decimal text, as `float()` does.
"""

import gzip
import io
import zipfile
import zlib
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
    text = text.removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        raise _unreadable(name, "is empty")
    first = text[: text.find(b"\n") + 1 or len(text)].decode("utf-8", "replace").strip()
    words = [w.strip().strip('"') for w in first.split(",")]
    has_header = not words[0][:1].isdigit()
    if has_header:
        names = [_canonical(word) for word in words]
        _require(name, names, words)
    elif len(words) == len(BINANCE):
        names = list(BINANCE)
    else:
        raise _unreadable(
            name, f"has no header and {len(words)} columns; without a header 12 are expected"
        )
    table = _read_columns(name, text, names, has_header)
    if not len(table):
        raise _unreadable(name, "has a header but no rows")
    times, microseconds = _times(name, table["open_time"], 1 + has_header)
    table = with_schema(table.set_column(table.column_names.index("open_time"), "open_time", times))
    binance = len(words) == len(BINANCE)
    layout = (
        ("Binance klines" if binance else "CSV")
        + (" with header" if has_header else " without header")
        + (", times in µs" if microseconds else "")
    )
    return ParsedFile(name, table, layout, "line", 1 + has_header, microseconds, has_header, {})


def _read_columns(name: str, text: bytes, names: list[str], has_header: bool) -> pa.Table:
    unique = [n if n in _NAMES.values() else f"_{i}" for i, n in enumerate(names)]
    wanted = [n for n in unique if not n.startswith("_")]
    digits = text[text.find(b"\n") + 1 if has_header else 0 :][:1].isdigit()
    types = {n: pa.float64() for n in wanted} | {"open_time": pa.string(), "trades": pa.int64()}
    line = text.split(b"\n", 2)[int(has_header) :][:1]
    first_time = line[0].split(b",")[unique.index("open_time")].strip() if line and digits else b""
    if first_time.isdigit():
        types["open_time"] = pa.int64()
    read = pa.csv.ReadOptions(column_names=unique, skip_rows=int(has_header))
    convert = {"include_columns": wanted, "strings_can_be_null": True}
    try:
        return pa.csv.read_csv(
            io.BytesIO(text),
            read_options=read,
            convert_options=pa.csv.ConvertOptions(column_types=types, **convert),
        )
    except pa.ArrowInvalid as error:
        raise _bad_cell(name, text, read, convert, wanted, has_header, error) from error


def _bad_cell(
    name: str,
    text: bytes,
    read: "pa.csv.ReadOptions",
    convert: dict[str, object],
    wanted: list[str],
    has_header: bool,
    error: pa.ArrowInvalid,
) -> WickError:
    # Slow and only for the message: everything as text, then the first cell that is no number.
    as_text = pa.csv.ConvertOptions(column_types={n: pa.string() for n in wanted}, **convert)
    try:
        table = pa.csv.read_csv(io.BytesIO(text), read_options=read, convert_options=as_text)
    except pa.ArrowInvalid:
        return _unreadable(name, f"is not a table: {str(error).splitlines()[0]}")
    for row, cells in enumerate(zip(*(table[n].to_pylist() for n in wanted), strict=True)):
        for n, cell in zip(wanted, cells, strict=True):
            try:
                float(cell or "nan")
            except ValueError:
                return WickError(
                    f"{name}, line {row + 1 + has_header}: {n} is {cell!r}, expected a number",
                    "nothing of this file was stored; mend or fetch the file again",
                )
    return _unreadable(name, f"is not a table: {str(error).splitlines()[0]}")


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
    times, microseconds = _times(name, table["open_time"], 1)
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


def _times(name: str, values: pa.ChunkedArray, first_line: int) -> tuple[pa.Array, bool]:
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("ms")).cast(pa.int64()), False
    if pa.types.is_string(values.type):
        zoned = pa.timestamp("ms", "UTC") if _has_zone(values) else pa.timestamp("ms")
        try:
            return values.cast(zoned).cast(pa.int64()), False
        except pa.ArrowInvalid as error:
            why = str(error).splitlines()[0]
            raise _unreadable(
                name, f"has a time that is neither a number nor a date: {why}"
            ) from error
    if not pa.types.is_integer(values.type) or values.null_count:
        raise _unreadable(name, "has open times that are not whole numbers")
    times = values.to_numpy().astype(np.int64)
    in_us = times > MICROSECONDS_ABOVE
    odd = in_us & (times % 1000 != 0)
    if odd.any():
        row = int(np.argmax(odd))
        raise WickError(
            f"{name}, line {row + first_line}: open_time {times[row]} µs is not on a millisecond",
            "nothing of this file was stored; mend or fetch the file again",
        )
    times = np.where(in_us, times // 1000, np.where(times < _SECONDS_BELOW, times * 1000, times))
    return pa.array(times), bool(in_us.any())


def _has_zone(values: pa.ChunkedArray) -> bool:
    text = str(values[0])
    return text.endswith("Z") or "+" in text
