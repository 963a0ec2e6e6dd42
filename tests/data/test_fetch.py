"""A fetch takes the archive first and REST for the rest, and says what it could not have."""

from pathlib import Path

import numpy as np
import pytest

from data.gaps import ARCHIVE_LOSS, OUR_LOSS, OUTAGE, read_ledger
from data.manifest import Series, read_manifest
from data.writer import Merge
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, same_candles
from tests.data.fetches import (
    DAYS_TO_YESTERDAY,
    MARCH,
    METRICS,
    publish_metrics,
    run,
    run_all,
    stored,
)
from tests.data.served import HOUR_MS
from tests.data.test_archive import BTC, MONTHS, NOW, Watching, days


def test_the_tail_comes_from_rest_up_to_the_last_closed_candle(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *days("2023-03", 1, 29)])
    watcher = Watching()
    done = run(server, tmp_path, watcher=watcher)
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))
    assert (done.files, done.rest_rows, done.missing_days, done.filled) == (31, 36, [], [])
    assert watcher.expected == watcher.finished == 33
    assert watcher.foreseen == 33
    assert done.sources[-1].name == "REST 2023-03-31"
    assert len(done.sources[-1].sha256) == 64
    names = [s.name for s in read_manifest(BTC.folder(tmp_path)).files[-1].sources]
    assert names[-1] == "REST 2023-03-31"


def test_the_second_fetch_asks_rest_only_for_what_has_closed_since(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    run(server, tmp_path)
    server.now_ms += 3 * HOUR_MS
    server.queries.clear()
    done = run(server, tmp_path)
    assert (done.files, done.rest_rows, done.merge) == (0, 3, Merge(added=3))
    asked = [sent for path, sent in server.queries if path.endswith("klines")]
    assert [int(sent["startTime"]) for sent in asked] == [NOW]
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 15))


def test_unfinished_last_candle_is_never_stored(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, MONTHS)
    server.now_ms = NOW + HOUR_MS - 1
    run(server, tmp_path)
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


@pytest.mark.parametrize("ahead_ms", [5 * DAY_MS, -5 * DAY_MS])
def test_a_clock_in_the_future_or_past_is_said_and_the_exchange_s_is_followed(
    tmp_path: Path, server: ArchiveServer, hourly: Candles, ahead_ms: int
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    server.now_ms = NOW + HOUR_MS // 2
    done = run_all(server, tmp_path, server.now_ms + ahead_ms)[0]
    side = "ahead of" if ahead_ms > 0 else "behind"
    assert done.notes[0] == (
        f"this computer's clock is 5 days {side} the exchange's, 2023-03-31 12:30 UTC:"
        " the exchange's is followed"
    )
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))


def test_a_clock_that_is_right_is_no_note(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, MONTHS)
    done = run_all(server, tmp_path, NOW + 20_000)[0]
    assert not any("clock" in note for note in done.notes)


def test_missing_days_are_filled_from_rest_and_recorded_as_archive_loss(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 12, 30)])
    done = run(server, tmp_path)
    assert same_candles(stored(tmp_path), hourly.slice(0, 89 * 24 + 12))
    assert done.missing_days == []
    (entry,) = done.filled
    start = MARCH + 9 * DAY_MS
    assert (entry.first, entry.last, entry.count) == (start, start + 47 * HOUR_MS, 48)
    assert (entry.cause, entry.filled, entry.source) == (ARCHIVE_LOSS, 48, "REST 2023-03-31")
    assert entry.asked_ms == NOW
    assert read_ledger(BTC.folder(tmp_path)).entries == (entry,)


def test_what_rest_has_not_either_is_an_outage_and_asked_for_once(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    start = 70 * 24 + 5
    keep = np.ones(len(hourly), bool)
    keep[start : start + 4] = False
    holed = Candles("BTCUSDT", "um", "1h", {n: v[keep] for n, v in hourly.arrays.items()})
    # The archive lacks two more, at both sides.
    keep[start - 1] = keep[start + 4] = False
    less = Candles("BTCUSDT", "um", "1h", {n: v[keep] for n, v in hourly.arrays.items()})
    server.klines["um", "BTCUSDT", "1h"] = holed
    server.publish(less, [*MONTHS, *DAYS_TO_YESTERDAY])
    done = run(server, tmp_path)
    assert [(e.cause, e.count, e.filled) for e in done.filled] == [
        (ARCHIVE_LOSS, 1, 1),
        (OUTAGE, 4, 0),
        (ARCHIVE_LOSS, 1, 1),
    ]
    assert same_candles(stored(tmp_path), holed.slice(0, 89 * 24 + 12 - 4))
    server.queries.clear()
    assert run(server, tmp_path).filled == []
    assert [path for path, _ in server.queries if path.endswith("klines")] == []


def test_rows_lost_here_after_they_were_filled_are_our_loss(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 11, 30)])
    run(server, tmp_path / "a")
    # The same ledger beside a store that never got the day.
    folder = BTC.folder(tmp_path / "b")
    run(server, tmp_path / "b", rest_url="http://127.0.0.1:9")
    assert len(stored(tmp_path / "b")) == 88 * 24
    ledger = BTC.folder(tmp_path / "a") / "gaps.json"
    (folder / "gaps.json").write_bytes(ledger.read_bytes())
    done = run(server, tmp_path / "b")
    assert [(e.cause, e.count, e.filled) for e in done.filled] == [(OUR_LOSS, 24, 24)]
    assert same_candles(stored(tmp_path / "b"), hourly.slice(0, 89 * 24 + 12))


def test_without_rest_the_archive_part_stays_good_and_is_said(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *days("2023-03", 1, 9), *days("2023-03", 12, 30)])
    server.faults["fapi/v1/time"] = [451] * 99
    results = run_all(server, tmp_path, NOW)
    assert "is closed to this address (status 451)" in results[0].notes[0]
    assert "the archive alone is asked" in results[0].notes[0]
    assert results[0].missing_days == ["2023-03-10", "2023-03-11"]
    assert len(stored(tmp_path)) == 87 * 24
    server.faults.clear()
    assert run(server, tmp_path).merge.added == 48 + 12


def test_rest_that_fails_in_between_is_a_note(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    server.faults["fapi/v1/klines"] = [503] * 99
    done = run(server, tmp_path)
    assert "answered 503" in done.notes[0]
    assert "what the archive has is stored" in done.notes[0]
    assert len(stored(tmp_path)) == 89 * 24


def test_a_zip_that_comes_out_later_is_compared_with_what_rest_said(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, MONTHS)
    run(server, tmp_path)
    server.now_ms += DAY_MS
    changed = {n: v.copy() for n, v in hourly.arrays.items()}
    changed["volume"][60 * 24 + 3] += 1.0
    other = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1h", **changed)
    server.publish(other, days("2023-03", 1, 31))
    done = run(server, tmp_path)
    assert done.merge == Merge(added=12, identical=30 * 24 + 11, replaced=1)
    assert done.notes == [
        "BTCUSDT-1h-2023-03-02.zip: rows that differ from those stored before, and replace them: 1",
        "12 candles from 2023-04-01 00:00 UTC on could not be had yet",
    ]
    assert same_candles(stored(tmp_path), other)


def test_holes_that_nobody_could_be_asked_for_are_told(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    holed = {n: np.delete(v, slice(100, 106)) for n, v in hourly.arrays.items()}
    broken = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1h", **holed)
    server.publish(broken, [*MONTHS, *DAYS_TO_YESTERDAY])
    server.faults["fapi/v1/klines"] = [451] * 99
    done = run(server, tmp_path)
    assert done.notes[-2:] == [
        "missing in between: 6 candles, first 2023-01-05 04:00 UTC: wick data repair BTCUSDT",
        "12 candles from 2023-03-31 00:00 UTC on could not be had yet",
    ]
    server.faults.clear()
    assert run(server, tmp_path).notes == []


def test_rows_that_a_replaced_file_no_longer_has_are_counted(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    run(server, tmp_path)
    fewer = {n: np.delete(v, slice(100, 106)) for n, v in hourly.arrays.items()}
    server.publish(
        Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1h", **fewer), MONTHS[:1]
    )
    done = run(server, tmp_path)
    assert done.notes == [
        "BTCUSDT-1h-2023-01.zip was replaced in the archive; fetched again",
        "BTCUSDT-1h-2023-01.zip: 6 candles stored before are not in the new file; they are kept",
    ]


def test_a_delisted_symbol_ends_with_its_archive_and_misses_nothing_after(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, ["2023-01", *days("2023-02", 1, 10)])
    del server.klines["um", "BTCUSDT", "1h"]
    done = run(server, tmp_path)
    assert done.missing_days == []
    assert done.notes == ["BTCUSDT is not listed any more: its candles end at 2023-02-10 23:00 UTC"]
    assert len(stored(tmp_path)) == 41 * 24


def test_a_symbol_that_no_longer_trades_but_is_still_known_misses_nothing_after(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, ["2023-01", *days("2023-02", 1, 10)])
    server.klines["um", "BTCUSDT", "1h"] = hourly.slice(0, 41 * 24)
    done = run(server, tmp_path)
    assert done.missing_days == []
    assert done.notes == [
        "neither the archive nor REST has candles of BTCUSDT after 2023-02-10 23:00 UTC"
    ]


def test_a_symbol_listed_today_comes_from_rest_alone(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.klines["um", "BTCUSDT", "1h"] = hourly.slice(89 * 24 + 2, len(hourly))
    done = run(server, tmp_path)
    assert (done.files, done.rest_rows, done.missing_days) == (0, 10, [])
    assert same_candles(stored(tmp_path), hourly.slice(89 * 24 + 2, 89 * 24 + 12))
    assert run(server, tmp_path).merge == Merge()


def test_a_symbol_that_nobody_knows_leaves_nothing(tmp_path: Path, server: ArchiveServer) -> None:
    with pytest.raises(WickError, match="has no BTCSUDT um 1h candles from 2023-01-01") as refused:
        run(server, tmp_path / "store", Series("um", "BTCSUDT", "1h"))
    assert "did you mean BTCUSDT?" in refused.value.hint
    assert not (tmp_path / "store").exists()


def test_a_long_range_of_daily_files_is_probed_month_by_month(
    tmp_path: Path, server: ArchiveServer
) -> None:
    for day in [*days("2023-02", 20, 28), *days("2023-03", 1, 30)]:
        publish_metrics(server, day)
    done = run(server, tmp_path, METRICS, start=JAN_2023 - 1000 * DAY_MS)
    assert (done.files, done.missing_days) == (39, [])
    assert sum(server.asked.values()) < 36 + 2 * 62


def test_a_kind_that_a_market_has_not_is_refused(tmp_path: Path, server: ArchiveServer) -> None:
    with pytest.raises(WickError, match="the market spot has no funding rates") as refused:
        run(server, tmp_path, Series("spot", "BTCUSDT", "", "funding"))
    assert refused.value.hint == "--market um"


def test_the_range_must_hold_time_that_has_passed(tmp_path: Path, server: ArchiveServer) -> None:
    with pytest.raises(WickError, match="holds no whole day"):
        run(server, tmp_path, start=NOW)
    with pytest.raises(WickError, match=r"REST at http://127\.0\.0\.1:9 did not answer"):
        run(server, tmp_path, start=NOW - 1, rest_url="http://127.0.0.1:9")
