"""A byte that changed in the store is found and named by file and row."""

import hashlib
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.checking.check import Checked, check_series
from data.checking.pages import BadPage, bad_pages
from data.checksums import CHECKSUM
from data.kinds import FUNDING
from data.manifest import MANIFEST, Manifest, Series, Source, read_manifest
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.candles import Candles
from tests.data.conftest import JAN_2023

MINUTES = Series("um", "BTCUSDT", "1m")
NAME = "2023-02.parquet"


@pytest.fixture(scope="module")
def minutely() -> Candles:
    """Give January and February 2023 in 1m candles."""
    return synthetic_market(11, 59 * 1440, JAN_2023, "1m", symbol="BTCUSDT")


@pytest.fixture
def path(tmp_path: Path, minutely: Candles) -> Path:
    """Store them and give the file of February."""
    save(tmp_path, minutely, "test")
    return MINUTES.folder(tmp_path) / NAME


def checked(path: Path) -> Checked:
    return check_series(path.parents[3], MINUTES)


def rewrite(path: Path, table: pa.Table) -> None:
    """Write a file as another program would: with its own encodings, unknown to the manifest."""
    pq.write_table(table, path)


def flip(table: pa.Table, name: str, row: int, bit: int) -> pa.Table:
    values: np.ndarray[Any, Any] = table[name].to_numpy().copy()
    values.view(np.uint64)[row] ^= np.uint64(1 << bit)
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(("name", "bit"), [("close", 0), ("volume", 3), ("trades", 1)])
def test_a_bit_of_one_candle_is_named_by_row_and_time(path: Path, name: str, bit: int) -> None:
    rewrite(path, flip(pq.read_table(path), name, 12_344, bit))
    errors = checked(path).errors
    assert errors[0] == f"{path} is not the file that was stored: its SHA-256 differs"
    assert errors[1] == f"{NAME} row 12,345 (2023-02-09 13:44): not the candle that was stored"
    assert [text for text in errors[2:] if "row 12345" not in text] == []


def test_a_changed_candle_is_named_even_where_the_manifest_was_made_to_agree(path: Path) -> None:
    rewrite(path, flip(pq.read_table(path), "close", 5, 0))
    agree(path)
    errors = checked(path).errors
    assert errors[0] == f"{NAME} row 6 (2023-02-01 00:05): not the candle that was stored"


def agree(path: Path) -> None:
    manifest = read_manifest(path.parent)
    raw = path.read_bytes()
    files = [
        msgspec.structs.replace(f, sha256=hashlib.sha256(raw).hexdigest(), size_bytes=len(raw))
        if f.name == path.name
        else f
        for f in manifest.files
    ]
    path.with_name(MANIFEST).write_bytes(msgspec.json.encode(Manifest(tuple(files))))


def test_a_file_of_before_checksums_is_named_and_it_is_said_why_no_row_is(path: Path) -> None:
    rewrite(path, pq.read_table(path).drop_columns([CHECKSUM]))
    (error,) = checked(path).errors
    assert error.startswith(f"{path} is not the file that was stored")
    assert error.endswith("it has no checksums of candles, so the row is not known")
    agree(path)
    assert checked(path).errors == ()


def test_a_file_written_again_with_the_same_candles_says_that_they_agree(path: Path) -> None:
    rewrite(path, pq.read_table(path))
    (error,) = checked(path).errors
    assert error.endswith("yet every candle agrees with its own checksum")


def test_each_byte_that_changes_on_the_disk_is_found(path: Path) -> None:
    """Of bytes in pages also the page is named, and the rows where it can still be decoded."""
    raw = path.read_bytes()
    meta = pq.ParquetFile(path).metadata
    end = max(
        meta.row_group(0).column(i).data_page_offset
        + meta.row_group(0).column(i).total_compressed_size
        for i in range(meta.num_columns)
    )
    chosen = random.Random(5)
    with_rows = 0
    for at in [
        *chosen.sample(range(4, end), 40),
        *range(4),
        *chosen.sample(range(end, len(raw)), 8),
    ]:
        changed = bytearray(raw)
        changed[at] ^= 1 << chosen.randrange(8)
        path.write_bytes(changed)
        errors = checked(path).errors
        assert any("SHA-256 differs" in text or "cannot be read" in text for text in errors), at
        if 4 <= at < end:
            assert any(
                "is damaged on the disk" in text or "cannot be read" in text for text in errors
            )
            with_rows += any("not the candle that was stored" in text for text in errors)
    assert with_rows > 20


def test_a_damaged_page_is_named_by_column_and_rows(path: Path) -> None:
    meta = pq.ParquetFile(path).metadata
    assert bad_pages(path.read_bytes(), meta) == []
    column = meta.row_group(0).column(4)
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size - 1] ^= 255
    path.write_bytes(raw)
    assert bad_pages(bytes(raw), meta) == [BadPage("close", 40_000, 40_320)]
    said = f"{NAME}: the page of close with rows 40,001 to 40,320 is damaged on the disk"
    assert said in checked(path).errors


def test_only_the_checksums_changed_and_no_candle_is_blamed(path: Path) -> None:
    meta = pq.ParquetFile(path).metadata.row_group(0)
    column = meta.column(meta.num_columns - 1)
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(raw)
    errors = checked(path).errors
    assert any(f"the page of {CHECKSUM} with rows" in text for text in errors)
    assert not any("not the candle" in text for text in errors)


def test_a_missing_a_torn_and_an_unnamed_file_are_named(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:1000])
    assert any(f"{path} cannot be read" in text for text in checked(path).errors)
    path.write_bytes(b"")
    assert any(f"{path} cannot be read" in text for text in checked(path).errors)
    path.unlink()
    assert checked(path).errors == (f"{path} is missing",)


def test_a_lost_or_damaged_manifest_is_an_error_of_its_series_alone(path: Path) -> None:
    manifest = path.with_name(MANIFEST)
    manifest.write_text("{")
    (error,) = checked(path).errors
    assert error.startswith(f"{manifest} is damaged")
    manifest.unlink()
    assert checked(path).errors == (f"{manifest} is missing, 2 files lie there",)


def test_rows_without_checksums_are_named_by_page(tmp_path: Path) -> None:
    its = Series("um", "BTCUSDT", "", "funding")
    table = pa.table(
        {"time": np.arange(30) * 28_800_000 + JAN_2023, "rate": np.linspace(-0.001, 0.001, 30)}
    )
    with writing(tmp_path, its) as writer:
        writer.add(table, Source("test", "0" * 64))
    path = its.folder(tmp_path) / "2023-01.parquet"
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size - 2] ^= 1
    path.write_bytes(raw)
    errors = check_series(tmp_path, its).errors
    assert "2023-01.parquet: the page of rate with rows 1 to 30 is damaged on the disk" in errors
    assert FUNDING.name == its.kind
