"""Kinds besides candles, each from where it can be had, and what comes along with candles."""

from pathlib import Path

import numpy as np

from data.gaps import ARCHIVE_LOSS
from data.manifest import Series
from data.store import load_arrays
from data.symbols import RuleBook
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, zipped
from tests.data.exchange_server import symbol
from tests.data.fetches import (
    DAYS_TO_YESTERDAY,
    FUNDING,
    METRICS,
    TRADES,
    agg_trades,
    funding_rows,
    publish_funding,
    publish_metrics,
    publish_trades,
    run,
    run_all,
    stored,
)
from tests.data.test_archive import BTC, MONTHS, NOW, days
from tests.data.test_kinds import TEXTS


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


def test_metrics_that_name_another_symbol_inside_are_refused(
    tmp_path: Path, server: ArchiveServer
) -> None:
    publish_metrics(server, "2023-03-20")
    path = "data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2023-03-21.zip"
    lines = [
        TEXTS[METRICS.its_kind].splitlines()[0],
        "2023-03-21 00:05:00,ETHUSDT,111023.5,1836000000.1,1.2,1.1,1.3,0.9",
    ]
    name = path.rpartition("/")[2]
    server.put(path, zipped(name, "\n".join(lines).encode()))
    done = run(server, tmp_path, METRICS, JAN_2023 + 78 * DAY_MS, JAN_2023 + 80 * DAY_MS)
    assert done.refused == {"2023-03-21": f"{name} says inside that it holds ETHUSDT"}
    times = load_arrays(tmp_path, METRICS)["time"]
    assert int(times[-1]) == JAN_2023 + 79 * DAY_MS
