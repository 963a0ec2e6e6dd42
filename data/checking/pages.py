"""Pages of a Parquet file whose bytes are not those that were written.

Arrow says that a page is damaged, not which; so the headers of the pages are walked here. A header
is a Thrift struct in its compact protocol, after the definition in the Parquet format:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

_BYTE, _INTS = 3, (4, 5, 6)
_TRUE, _FALSE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 7, 8, 12
# Fields of PageHeader, and of the struct inside it that counts the values of a data page.
_COMPRESSED, _CRC, _DATA, _DATA_V2 = 3, 4, 5, 8


@dataclass(frozen=True, slots=True)
class BadPage:
    """A damaged page: its column, and its first row and the one after its last."""

    column: str
    start: int
    stop: int


def bad_pages(raw: bytes, meta: pq.FileMetaData) -> list[BadPage]:
    """Find the pages whose checksum does not fit, or from which on headers cannot be read.

    Parameters
    ----------
    raw : bytes
        The whole file.
    meta : pq.FileMetaData
        Its footer.
    """
    found: list[BadPage] = []
    first_row = 0
    for group in range(meta.num_row_groups):
        rows = meta.row_group(group)
        for index in range(rows.num_columns):
            found += _in_column(raw, rows.column(index), first_row, rows.num_rows)
        first_row += rows.num_rows
    return found


def _in_column(
    raw: bytes, chunk: pq.ColumnChunkMetaData, first_row: int, rows: int
) -> Iterator[BadPage]:
    at = chunk.data_page_offset
    end = at + chunk.total_compressed_size
    row, last = first_row, first_row + rows
    while at < end and row < last:
        try:
            header, body = _struct(raw, at)
            size = header[_COMPRESSED]
            count = header[_DATA if _DATA in header else _DATA_V2][1]
            if size < 0 or body + size > end or not 0 < count <= last - row:
                raise ValueError
        except (IndexError, KeyError, TypeError, ValueError):
            yield BadPage(chunk.path_in_schema, row, last)
            return
        if _CRC in header and header[_CRC] & 0xFFFFFFFF != zlib.crc32(raw[body : body + size]):
            yield BadPage(chunk.path_in_schema, row, row + count)
        row += count
        at = body + size


def _struct(raw: bytes, at: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    number = 0
    while raw[at]:
        kind, step = raw[at] & 15, raw[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _zigzag(raw, at)
        fields[number], at = _value(raw, at, kind)
    return fields, at + 1


def _value(raw: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _BYTE:
        return raw[at], at + 1
    if kind in _INTS:
        return _zigzag(raw, at)
    if kind == _DOUBLE:
        return 0, at + 8
    if kind == _BINARY:
        length, at = _varint(raw, at)
        return 0, at + length
    if kind == _STRUCT:
        return _struct(raw, at)
    raise ValueError(f"a page header holds no Thrift type {kind}")


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 127) << shift
        shift += 7
        at += 1
        if raw[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of a page header does not end")
