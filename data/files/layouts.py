"""How the text of a CSV lies: its separator, where its rows begin, and what each column means."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.kinds import AGG_TRADES, BOOK_DEPTH, FUNDING, KINDS, KLINES, MARK, METRICS, Kind
from strategy.errors import WickError

# Columns that are read and turned into others.
CLOCK, SYMBOL, TICKS = "clock", "symbol", "ticks"
READABLE = (
    "files of the exchange's archive (zip or CSV), CSV with a header such as"
    " open_time,open,high,low,close,volume, Parquet and Feather with these columns"
)
_OHLCV = (*"open high low close volume".split(),)
# Without a header columns are told by their number and what stands in the first row.
_BARE: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    *((kind, kind.layout) for kind in KINDS.values() if kind is not MARK),
    # Read only to see that there is none: a mark price has no volume.
    (MARK, (*MARK.layout[: len(_OHLCV)], "volume", *MARK.layout[len(_OHLCV) + 1 :])),
    (KLINES, ("open_time", *_OHLCV)),
    (KLINES, ("open_time", CLOCK, *_OHLCV)),
    # Spot's say last whether the price was the best one.
    (AGG_TRADES, (*AGG_TRADES.layout, "")),
    (FUNDING, ("time", "rate")),
)
# The archive's files of futures name their columns, those of spot never do.
_FUTURES_HEADERS = (
    (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore"
    ),
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
)
_SHOWN = 12
# Fewer bytes could be anything.
_LEAST_UTF_16 = 16
_SYMBOLS = ("symbol", "pair", "ticker", "instrument")
_QUOTES = ("usdt", "usdc", "fdusd", "busd", "tusd", "usd")
_TICKS = ("tickvol", "tick_volume")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?|\d{6}")
_DAY = re.compile(r"\d{4}([-./]?)\d{2}\1\d{2}")
_NUMBER = re.compile(r"\d{9,}|\d{9,}\.\d*|\d(\.\d+)?[eE]\+?\d+")
_MOMENT = re.compile(rf"(?:{_DAY.pattern})(?:[T ].*|[+-].*|Z)?|{_NUMBER.pattern}")
_NO_ROW = re.compile(r"\s*(#.*|sep=.|(https?://|www\.).*)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a CSV was understood to be.

    Attributes
    ----------
    kind : Kind
        What its rows are.
    columns : tuple of str
        Per column of the file the kind's one, or `CLOCK`, `SYMBOL`, `TICKS`; "" for one not kept.
    separator : str
        Between columns.
    first_line : int
        The line of the first row, counted from 1.
    row : tuple of str
        Cells of the first row; empty where there is none.
    has_header : bool
        The line before the first row names the columns.
    of_futures : bool
        They are named as only the archive's files of futures name them.
    has_blanks : bool
        Blank lines stand between its rows, so that messages count rows.
    """

    kind: Kind
    columns: tuple[str, ...]
    separator: str
    first_line: int
    row: tuple[str, ...]
    has_header: bool
    of_futures: bool = False
    has_blanks: bool = False

    @property
    def row_word(self) -> str:
        """What messages count."""
        return "row" if self.has_blanks else "line"

    @property
    def first_number(self) -> int:
        """Number of the first row as messages count it."""
        return 1 if self.has_blanks else self.first_line

    @property
    def words(self) -> str:
        """Name the layout."""
        what = f"Binance {self.kind.name}" if self.is_archive else "CSV"
        if self.has_header:
            return f"{what} with header"
        plain = "" if self.is_archive else f" ({', '.join(filter(None, self.columns))})"
        return f"{what} without header{plain}"

    @property
    def of_spot(self) -> bool:
        """Only trades of the spot market have an eighth column."""
        return self.kind is AGG_TRADES and len(self.columns) == len(self.kind.layout) + 1

    @property
    def is_archive(self) -> bool:
        """As many columns as the archive has."""
        return len(self.columns) == len(self.kind.layout) or self.of_spot


def layout_of(name: str, head: bytes, kind: Kind | None) -> Layout:
    """Tell the layout of a CSV from its first lines.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    head : bytes
        Its beginning, some lines at least.
    kind : Kind, optional
        What the rows are said to be; by default told from the columns.

    Raises
    ------
    WickError
        The columns are those of no kind, or not of the one said.
    """
    head = head.removeprefix(b"\xef\xbb\xbf")
    if _is_utf_16(head):
        raise WickError(f"{name} is text in UTF-16, expected UTF-8", "save it as UTF-8")
    if b"\0" in head:
        raise unreadable(name, "is no text in UTF-8")
    lines = re.split("\r\n|\r|\n", head.decode("utf-8", "replace"))
    at = 0
    while at < len(lines) and _NO_ROW.fullmatch(lines[at]):
        at += 1
    if at == len(lines):
        raise unreadable(name, "is empty")
    separator = max(",;\t", key=lines[at].count)
    cells = [_cells(name, line, separator) for line in lines[at : at + 4]]
    words = cells[0]
    if words[0][:1].isdigit():
        names, kind = _bare(name, words, kind)
        return Layout(kind, names, separator, at + 1, tuple(words), has_header=False)
    header = 1
    if words[0] == "Price" and [line[0] for line in cells[1:3]] in (
        ["Ticker", "Date"],
        ["Ticker", "Datetime"],
    ):
        # As yfinance writes it: the names of the columns, of the symbol and of the index in turn.
        words, header = [cells[2][0], *words[1:]], 3
    start = at + header
    while start < len(lines) and not lines[start].strip():
        start += 1
    row = _cells(name, lines[start], separator) if start < len(lines) else []
    names, kind = named(name, words, row, kind)
    futures = ",".join(words).lower() in _FUTURES_HEADERS
    return Layout(kind, names, separator, start + 1, tuple(row), True, of_futures=futures)


def named(
    name: str, words: Sequence[str], row: Sequence[str], kind: Kind | None
) -> tuple[tuple[str, ...], Kind]:
    """Tell columns, and the kind where it is not said, from the words of a header."""
    # Mark prices are candles without a volume, so anything with prices would pass for them.
    candidates = [kind] if kind else [one for one in KINDS.values() if one is not MARK]
    for one in candidates:
        names = _named(words, row, one)
        if not _missing(names, one):
            return names, one
    wanted = candidates[0]
    names = _named(words, row, wanted)
    lacks = _missing(names, wanted)
    hint = f"readable are {READABLE}"
    if lacks == ["volume"] and "quote_volume" in names:
        lacks = ["volume of the base asset, only one of the quote asset"]
        hint = "add the column volume, which a candle has always"
    elif kind is None and lacks == ["volume"]:
        hint = "--kind mark if these are candles of the mark price"
    shown = ", ".join(words[:_SHOWN]) + (", …" if len(words) > _SHOWN else "")
    raise WickError(f"{name} has no column {', '.join(lacks)}; its columns are {shown}", hint)


def unreadable(name: str, why: str) -> WickError:
    """Return the error for a file that is nothing that can be read."""
    return WickError(f"{name} {why}", f"readable are {READABLE}")


def _is_utf_16(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    # Without a mark: of plain letters and digits every second byte is zero.
    if len(head) < _LEAST_UTF_16:
        return False
    zeros = [half.count(0) / max(len(half), 1) for half in (head[::2], head[1::2])]
    return min(zeros) == 0 and max(zeros) > 0.9


def _cells(name: str, line: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [""])]
    except csv.Error as error:
        raise unreadable(name, f"is not a table ({error})") from error


def _missing(names: Sequence[str], kind: Kind) -> list[str]:
    lacks = [n for n in kind.required if n not in names and not (n == "volume" and TICKS in names)]
    if not lacks and kind is METRICS and not any(n in names for n in kind.optional):
        return list(kind.optional)
    return lacks


def _bare(name: str, row: Sequence[str], kind: Kind | None) -> tuple[tuple[str, ...], Kind]:
    known = [(one, names) for one, names in _BARE if kind in (None, one)]
    counted = [(names, one) for one, names in known if len(names) == len(row)]
    if kind is None:
        # Two columns may be anything that has a time.
        counted = [found for found in counted if len(found[0]) > 2]
    fitting = [found for found in counted if _misfit(found[0], row, found[1]) is None]
    # The volumes of a mark price are 0, its columns those of a kline: only its place tells.
    if fitting or (kind and counted):
        return (fitting or counted)[0]
    has, wanted = f"has no header and {len(row)} columns", kind or KLINES
    meant = next((found for found in counted if found[1] is wanted), None)
    if meant:
        names, one = meant
        column, cell, expected = _misfit(names, row, one) or ("", "", "")
        columns = ", ".join(filter(None, names))
        raise unreadable(
            name,
            f"{has}, which would be {columns}, but {column} of its first row is {cell!r}, expected"
            f" {expected}",
        )
    plain = f", or 6: open_time,{','.join(_OHLCV)}" if wanted is KLINES else ""
    raise unreadable(
        name,
        f"{has}; without a header {len(wanted.layout)} are expected, as the archive has them"
        + plain,
    )


def _misfit(names: Sequence[str], row: Sequence[str], kind: Kind) -> tuple[str, str, str] | None:
    """Return the first column whose cell it cannot be, that cell, and what it should be."""
    truths = ("true", "false", "0", "1")
    for column, cell in zip(names, row, strict=True):
        if column == kind.time:
            good, expected = _MOMENT.fullmatch(cell) is not None, "a time"
        elif column == CLOCK:
            good, expected = _CLOCK.fullmatch(cell) is not None, "a clock time"
        elif column == "buyer_maker":
            good, expected = cell.lower() in truths, "true or false"
        else:
            good, expected = not column or not cell[:1].isalpha(), "a number"
        if not good:
            return column, cell, expected
    if kind is BOOK_DEPTH and not _DAY.match(row[0]):
        return kind.time, row[0], "a time as text"
    return None


def _named(words: Sequence[str], row: Sequence[str], kind: Kind) -> tuple[str, ...]:
    plain = [w.strip().strip('"<>').strip().lower().replace(" ", "_") for w in words]
    names = [kind.column_of(word) for word in plain]
    at = _time_columns(plain, row, [i for i, n in enumerate(names) if n == kind.time], kind.time)
    for i, word in enumerate(plain):
        if i in at:
            names[i] = kind.time if i == at[0] else CLOCK
        elif names[i] == kind.time:
            names[i] = ""
        elif not names[i] and word in _SYMBOLS:
            names[i] = SYMBOL
        elif not names[i] and word in _TICKS and kind is KLINES:
            names[i] = TICKS
        elif word == "volume" and kind is MARK:
            names[i] = "volume"
    if kind is KLINES:
        _name_volumes(plain, names)
    # Of two columns of one meaning the first counts, but the kind's own word before others.
    for name in {n for n in names if n}:
        same = [i for i, n in enumerate(names) if n == name]
        keep = next((i for i in same if plain[i] == name), same[0])
        for i in same:
            names[i] = name if i == keep else ""
    return tuple(names)


def _name_volumes(plain: Sequence[str], names: list[str]) -> None:
    """Tell `Volume BTC, Volume USDT`: the base comes first, a known quote is one anywhere."""
    parts = [(i, w.removeprefix("volume_")) for i, w in enumerate(plain) if w[:7] == "volume_"]
    if "volume" in plain or not all(unit.isalnum() and len(unit) < 12 for _, unit in parts):
        return
    for number, (i, unit) in enumerate(parts[:2]):
        names[i] = "quote_volume" if number or unit in _QUOTES else "volume"


def _time_columns(
    plain: Sequence[str], row: Sequence[str], found: Sequence[int], own: str
) -> list[int]:
    """Choose among columns that all tell a time: one, or one of days and one of clock times."""
    cells = {i: row[i] for i in found if i < len(row)}
    if len(cells) < 2:
        return list(found[:1])
    numbers = [i for i, cell in cells.items() if _NUMBER.fullmatch(cell)]
    if numbers:
        return [next((i for i in numbers if plain[i] == own), numbers[0])]
    days = [i for i, cell in cells.items() if _DAY.fullmatch(cell)]
    clocks = [i for i, cell in cells.items() if _CLOCK.fullmatch(cell)]
    if days and clocks and "time" in plain[clocks[0]]:
        return [days[0], clocks[0]]
    return [next((i for i in cells if plain[i] == own), min(cells))]
