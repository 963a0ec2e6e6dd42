"""Rows of a CSV whose layout is known."""

import re
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from data.files.layouts import CLOCK, SYMBOL, TICKS, Layout, unreadable
from data.files.times import MEND
from strategy.errors import WickError

# Arrow reads some thirty blocks ahead of whoever stores them.
_BLOCK_BYTES = 1 << 21


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
        if n in kind.optional or n not in kind.columns
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


def stream_csv(text: IO[bytes], layout: Layout) -> Iterator[pa.Table]:
    """Read the rows of a CSV in pieces, without looking at its symbol."""
    for batch in pyarrow.csv.open_csv(text, *csv_options(layout)):
        yield pa.Table.from_batches([batch])


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
    raise bad_cell(name, table, layout, layout.first_number) or unreadable(
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
            labels[TICKS] = "volume"
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
                    f"{name}, {layout.row_word} {row + first_line}: {field} is {cell!r}, {what}",
                    MEND,
                )
    return None
