"""A fetch takes the archive first and REST for the rest, and says what it could not have."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.fetching.download import Archive
from data.fetching.fetch import Sources, fetch, fetch_all
from data.fetching.fetched import Fetched
from data.fetching.rest import Rest
from data.gaps import ARCHIVE_LOSS, OUR_LOSS, OUTAGE, read_ledger
from data.manifest import Series, read_manifest
from data.store import load, load_arrays
from data.symbols import RuleBook
from data.writer import Merge
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, binance_csv, same_candles, zipped
from tests.data.exchange_server import symbol
from tests.data.served import HOUR_MS
from tests.data.test_archive import BTC, MONTHS, NOW, Watching, days
from tests.data.test_kinds import TEXTS

MARCH = JAN_2023 + 59 * DAY_MS
FUNDING = Series("um", "BTCUSDT", "", "funding")
TRADES = Series("um", "BTCUSDT", "", "aggTrades")
METRICS = Series("um", "BTCUSDT", "", "metrics")
DAYS_TO_YESTERDAY = days("2023-03", 1, 30)


@pytest.fixture
def server(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve January to March 2023 of BTCUSDT by REST, up to noon of the 90th day."""
    archive_server.now_ms = NOW
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    return archive_server


@contextmanager
def asking(server: ArchiveServer, rest_url: str = "") -> Iterator[Sources]:
    url = rest_url or server.url
    with Rest(url, url, sleep=lambda wait_s: None, timeout_s=5.0) as rest:
        yield Sources(Archive(server.url, retry_wait_s=0.01, timeout_s=5.0), rest)


def run(
    server: ArchiveServer,
    store: Path,
    series: Series = BTC,
    start: int = JAN_2023,
    end: int | None = None,
    watcher: Watching | None = None,
    rest_url: str = "",
) -> Fetched:
    with asking(server, rest_url) as its:
        now = server.now_ms
        return fetch(
            store, its.archive, its.rest, series, start, end or now, now, watcher or Watching()
        )


def run_all(
    server: ArchiveServer, store: Path, local_ms: int, rest_url: str = "", **given: Any
) -> list[Fetched]:
    @contextmanager
    def watching(title: str) -> Iterator[Watching]:
        yield Watching()

    wanted = given.get("wanted", [BTC])
    with asking(server, rest_url) as its:
        return list(fetch_all(store, its, wanted, JAN_2023, None, local_ms, watching))


def stored(store: Path, series: Series = BTC) -> Candles:
    return load(store, series.market, series.symbol, series.timeframe)


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
        "BTCUSDT-1h-2023-03-02.zip: rows that differ from those stored before, and replace them: 1"
    ]
    assert same_candles(stored(tmp_path), other)


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


def test_mark_prices_have_a_series_of_their_own(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.marks["BTCUSDT", "1h"] = hourly
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY], mark=True)
    series = Series("um", "BTCUSDT", "1h", "mark")
    done = run(server, tmp_path, series)
    assert (done.files, done.rest_rows) == (32, 12)
    arrays = load_arrays(tmp_path, series)
    assert set(arrays) == {"open_time", "open", "high", "low", "close"}
    assert np.array_equal(arrays["close"], hourly.arrays["close"][: 89 * 24 + 12])


def funding_rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "symbol": "BTCUSDT",
            "fundingRate": f"{(i % 9 - 4) * 1e-5:.8f}",
            "fundingTime": JAN_2023 + i * 8 * HOUR_MS + i % 3,
            "markPrice": f"{16_000 + i}.5",
            "rateType": "Regular",
        }
        for i in range(count)
    ]


def publish_funding(server: ArchiveServer, rows: list[dict[str, Any]], month: str) -> None:
    start = np.datetime64(month).astype("datetime64[ms]").astype(int)
    end = (np.datetime64(month) + 1).astype("datetime64[ms]").astype(int)
    lines = ["calc_time,funding_interval_hours,last_funding_rate"] + [
        f"{row['fundingTime']},8,{row['fundingRate']}"
        for row in rows
        if start <= row["fundingTime"] < end
    ]
    name = f"BTCUSDT-fundingRate-{month}.zip"
    text = ("\n".join(lines) + "\n").encode()
    server.put(f"data/futures/um/monthly/fundingRate/BTCUSDT/{name}", zipped(name, text))


def test_candles_of_futures_bring_funding_rates_of_the_archive_and_rest_along(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    rows = funding_rows(400)
    server.fundings["BTCUSDT"] = rows
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    publish_funding(server, rows, "2023-01")
    candles, funding = run_all(server, tmp_path, NOW)
    assert (candles.series, funding.series) == (BTC, FUNDING)
    passed = [row for row in rows if row["fundingTime"] <= NOW]
    arrays = load_arrays(tmp_path, FUNDING)
    assert arrays["time"].tolist() == [row["fundingTime"] for row in passed]
    assert arrays["rate"].tolist() == [float(row["fundingRate"]) for row in passed]
    assert (funding.files, funding.missing_days) == (1, [])
    again = run_all(server, tmp_path, NOW)[1]
    assert again.merge.added == again.merge.replaced == 0


def test_a_month_of_funding_missing_in_the_middle_comes_from_rest_once(
    tmp_path: Path, server: ArchiveServer
) -> None:
    rows = funding_rows(400)
    server.fundings["BTCUSDT"] = rows
    server.now_ms = JAN_2023 + 120 * DAY_MS
    for month in ("2023-01", "2023-03"):
        publish_funding(server, rows, month)
    done = run(server, tmp_path, FUNDING)
    assert [(e.cause, e.filled) for e in done.filled] == [(ARCHIVE_LOSS, 28 * 3)]
    passed = [row["fundingTime"] for row in rows if row["fundingTime"] < server.now_ms]
    assert load_arrays(tmp_path, FUNDING)["time"].tolist() == passed
    assert done.missing_days == []
    assert run(server, tmp_path, FUNDING).filled == []


def test_a_payment_that_archive_and_rest_date_some_ms_apart_is_one(
    tmp_path: Path, server: ArchiveServer
) -> None:
    rows = funding_rows(100)
    server.fundings["BTCUSDT"] = rows
    server.now_ms = JAN_2023 + 20 * DAY_MS
    run(server, tmp_path, FUNDING)
    server.now_ms = JAN_2023 + 33 * DAY_MS
    publish_funding(
        server,
        [dict(r, fundingTime=r["fundingTime"] + i % 5) for i, r in enumerate(rows)],
        "2023-01",
    )
    done = run(server, tmp_path, FUNDING)
    assert done.merge.replaced == 0
    times = load_arrays(tmp_path, FUNDING)["time"]
    assert len(times) == 33 * 3
    assert times[: 20 * 3].tolist() == [row["fundingTime"] for row in rows[: 20 * 3]]


def test_what_fails_with_a_companion_is_a_note(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    (candles,) = run_all(server, tmp_path, NOW)
    assert candles.notes[0].startswith("no funding rates: ")
    assert candles.notes[1].startswith("the exchange rules of 2023-03-31 could not be had: ")
    assert len(stored(tmp_path)) == 89 * 24 + 12


def test_candles_bring_the_exchange_rules_of_the_day_along(
    tmp_path: Path, server: ArchiveServer, hourly: Candles
) -> None:
    server.publish(hourly, [*MONTHS, *DAYS_TO_YESTERDAY])
    server.infos["um"] = [symbol("BTCUSDT")]
    (candles,) = run_all(server, tmp_path, NOW)
    assert not any("exchange rules" in note for note in candles.notes)
    rules = RuleBook(tmp_path, "um").rules("BTCUSDT", NOW)
    assert rules is not None
    assert rules.seen == "2023-03-31"


def agg_trades(start_ms: int, end_ms: int, step_ms: int = 60_000) -> list[dict[str, Any]]:
    return [
        {"a": t // step_ms, "p": f"{16_000 + t // step_ms % 7}.10", "q": "0.010", "f": t, "l": t}
        | {"T": t, "m": t // step_ms % 2 == 0}
        for t in range(start_ms, end_ms, step_ms)
    ]


def publish_trades(server: ArchiveServer, day: str) -> None:
    start = int(np.datetime64(day).astype("datetime64[ms]").astype(int))
    lines = [
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    ]
    lines += [
        f"{r['a']},{r['p']},{r['q']},{r['f']},{r['l']},{r['T']},{str(r['m']).lower()}"
        for r in agg_trades(start, start + DAY_MS)
    ]
    name = f"BTCUSDT-aggTrades-{day}.zip"
    text = ("\n".join(lines) + "\n").encode()
    server.put(f"data/futures/um/daily/aggTrades/BTCUSDT/{name}", zipped(name, text))


def test_trades_come_day_by_day_and_the_last_hours_from_rest(
    tmp_path: Path, server: ArchiveServer
) -> None:
    today = NOW - NOW % DAY_MS
    server.trades["um", "BTCUSDT"] = agg_trades(today - 3 * DAY_MS, today + 2 * DAY_MS)
    for day in days("2023-03", 28, 29):
        publish_trades(server, day)
    done = run(server, tmp_path, TRADES, start=today - 3 * DAY_MS)
    assert not any("monthly" in path for path in server.asked)
    times = load_arrays(tmp_path, TRADES)["time"]
    assert np.array_equal(times, np.arange(today - 3 * DAY_MS, NOW + 1, 60_000)[:-1])
    assert (done.files, done.missing_days, done.notes) == (2, [], [])
    publish_trades(server, "2023-03-30")
    assert run(server, tmp_path, TRADES, start=today - 3 * DAY_MS).merge.replaced == 0


def test_trades_that_neither_the_archive_nor_rest_has_are_named(
    tmp_path: Path, server: ArchiveServer
) -> None:
    today = NOW - NOW % DAY_MS
    server.trades["um", "BTCUSDT"] = agg_trades(today - 5 * DAY_MS, today + DAY_MS)
    publish_trades(server, "2023-03-27")
    done = run(server, tmp_path, TRADES, start=today - 4 * DAY_MS)
    assert "are not in the archive (yet) and not at REST any more" in done.notes[0]
    assert "from 2023-03-27 23:59 to 2023-03-29 12:05 UTC" in done.notes[0]
    assert done.missing_days == ["2023-03-28"]


def publish_metrics(server: ArchiveServer, day: str) -> None:
    lines = [
        TEXTS[METRICS.its_kind].splitlines()[0],
        f"{day} 00:05:00,BTCUSDT,111023.5,1836000000.1,1.2,1.1,1.3,0.9",
        f"{np.datetime64(day) + 1} 00:00:00,BTCUSDT,111024.5,1836000001.1,,1.1,1.3,0.9",
    ]
    name = f"BTCUSDT-metrics-{day}.zip"
    text = ("\n".join(lines) + "\n").encode()
    server.put(f"data/futures/um/daily/metrics/BTCUSDT/{name}", zipped(name, text))


def test_metrics_have_no_rest_and_say_which_days_are_missing(
    tmp_path: Path, server: ArchiveServer
) -> None:
    for day in [*days("2023-03", 25, 27), *days("2023-03", 29, 30)]:
        publish_metrics(server, day)
    done = run(server, tmp_path, METRICS, start=JAN_2023 + 83 * DAY_MS)
    assert (done.files, done.missing_days) == (5, ["2023-03-28"])
    assert done.notes == ["REST has no metrics: they end with the archive, a day behind"]
    # The row of midnight belongs to the day before.
    assert len(load_arrays(tmp_path, METRICS)["time"]) == 10
    assert [path for path, _ in server.queries] == []


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
