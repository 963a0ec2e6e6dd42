"""What the archive's files may hold besides what they should."""

from pathlib import Path
from typing import Any

import pytest

from data.gaps import ARCHIVE_LOSS
from data.manifest import Series
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, ArchiveServer, binance_csv, same_candles, zipped
from tests.data.fetches import DAYS_TO_YESTERDAY, MARCH, run, stored
from tests.data.test_archive import MONTHS, days


def test_header_or_none_differs_from_file_to_file(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    for index, period in enumerate([*MONTHS, *DAYS_TO_YESTERDAY]):
        server.publish(hourly, [period], header=index % 2 == 0)
    run(server, tmp_path, end=MARCH + 30 * DAY_MS)
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24))


def test_microseconds_and_milliseconds_may_follow_each_other(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    spot = Candles("BTCUSDT", "spot", "1h", hourly.arrays)
    server.klines["spot", "BTCUSDT", "1h"] = spot
    for index, period in enumerate([*MONTHS, *DAYS_TO_YESTERDAY]):
        server.publish(spot, [period], microseconds=index % 2 == 1)
    series = Series("spot", "BTCUSDT", "1h")
    run(server, tmp_path, series)
    assert same_candles(stored(tmp_path, series), hourly.slice(0, 89 * 24 + 12))


def two_csv_zip(name: str, text: bytes) -> bytes:
    import io
    import zipfile

    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda name, text: zipped(name, text)[:-40], "is not a whole zip file"),
        (lambda name, text: b"<html>Forbidden</html>", "is a web page, not data"),
        (two_csv_zip, "holds 2 CSV files, expected one"),
        (lambda name, text: zipped(name, b""), "is empty"),
    ],
    ids=["truncated zip", "HTML instead of zip", "two CSVs in a zip", "empty CSV"],
)
def test_a_file_whose_content_is_no_candles_is_refused_and_filled_from_rest(
    tmp_path: Path, server: ArchiveServer, hourly: Candles, content: Any, sentence: str
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    name = "BTCUSDT-1h-2023-03-10.zip"
    day = hourly.slice(68 * 24, 69 * 24)
    path = f"data/futures/um/daily/klines/BTCUSDT/1h/{name}"
    server.put(path, content(name, binance_csv(day)))
    done = run(server, tmp_path)
    assert list(done.refused) == ["2023-03-10"]
    assert sentence in done.refused["2023-03-10"]
    assert (done.missing_days, done.lacking) == ([], [])
    assert [(e.cause, e.filled) for e in done.filled] == [(ARCHIVE_LOSS, 24)]
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))
    alone = run(server, tmp_path / "alone", rest_url="http://127.0.0.1:9")
    assert alone.missing_days == alone.lacking == ["2023-03-10"]


def test_a_month_that_cannot_be_read_comes_from_its_days(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *days("2023-01", 1, 31), *DAYS_TO_YESTERDAY])
    path = "data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01.zip"
    server.put(path, b"nonsense")
    done = run(server, tmp_path)
    assert list(done.refused) == ["2023-01"]
    assert (done.missing_days, done.lacking, done.filled) == ([], [], [])
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


def test_a_file_named_for_one_day_that_holds_another_is_refused(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    name = "BTCUSDT-1h-2023-03-10.zip"
    other = hourly.slice(69 * 24, 70 * 24)
    path = f"data/futures/um/daily/klines/BTCUSDT/1h/{name}"
    server.put(path, zipped(name, binance_csv(other)))
    done = run(server, tmp_path)
    assert done.refused["2023-03-10"] == (
        f"{name} holds candles of 2023-03-11 00:00 UTC, not of its own time"
    )
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


def test_duplicate_and_disordered_rows_are_put_right_and_said(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    name = "BTCUSDT-1h-2023-03-10.zip"
    lines = binance_csv(hourly.slice(68 * 24, 69 * 24)).splitlines(keepends=True)
    text = b"".join([*lines[12:], *lines[:12], lines[3], lines[20]])
    server.put(f"data/futures/um/daily/klines/BTCUSDT/1h/{name}", zipped(name, text))
    done = run(server, tmp_path)
    assert done.notes == [
        f"{name}: rows were out of order and have been sorted",
        f"{name}: 2 repeated rows dropped",
    ]
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


def test_a_hole_inside_a_daily_file_is_tried_at_rest(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    name = "BTCUSDT-1h-2023-03-10.zip"
    lines = binance_csv(hourly.slice(68 * 24, 69 * 24)).splitlines(keepends=True)
    text = b"".join([*lines[:5], *lines[7:]])
    server.put(f"data/futures/um/daily/klines/BTCUSDT/1h/{name}", zipped(name, text))
    done = run(server, tmp_path)
    assert [(e.cause, e.count, e.filled) for e in done.filled] == [(ARCHIVE_LOSS, 2, 2)]
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


def test_a_symbol_of_other_letters_is_asked_for_percent_encoded(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    its = Candles("币安人生USDT", "um", "1h", hourly.arrays)
    server.klines["um", "币安人生USDT", "1h"] = its
    server.publish(its, [*MONTHS, *DAYS_TO_YESTERDAY])
    series = Series("um", "币安人生USDT", "1h")
    done = run(server, tmp_path, series)
    assert (done.files, done.rest_rows) == (32, 12)
    assert same_candles(stored(tmp_path, series), hourly.slice(0, 89 * 24 + 12))
