"""Holes of trades, funding rates and mark prices are filled as those of candles are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.checking.check import check_series
from data.fetching.archive import Zip
from data.fetching.download import Archive
from data.gaps import ARCHIVE_LOSS, OUR_LOSS, OUTAGE, UNKNOWN, read_ledger
from data.manifest import Series, Source
from data.repairing.repair import repair_series
from data.repairing.repaired import Repaired
from data.repairing.supply import Supply
from data.rest.rows import Rest
from data.store import load_arrays
from data.writer import writing
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, NOW
from tests.data.mending import Silent
from tests.data.served import ArchiveServer, zipped

TRADES = Series("um", "BTCUSDT", "", "aggTrades")
RATES = Series("um", "BTCUSDT", "", "funding")
MARK = Series("um", "BTCUSDT", "1h", "mark")
METRICS = Series("um", "BTCUSDT", "", "metrics")
HOUR_MS = 3_600_000


def add(store: Path, series: Series, columns: Mapping[str, object], name: str) -> None:
    with writing(store, series) as writer:
        writer.add(pa.table(dict(columns)), Source(name, "0" * 64))


def mend(store: Path, series: Series, truth: ArchiveServer, rest: Rest) -> Repaired:
    archive = Archive(truth.url, retry_wait_s=0.01, attempts=2)
    return repair_series(store, Supply(archive, rest, series, NOW, Silent()))


def columns_of(ids: np.ndarray, start_ms: int) -> dict[str, np.ndarray]:
    return {
        "agg_id": ids,
        "price": 100.0 + ids % 7,
        "qty": 1.0 + ids % 3,
        "first_id": ids,
        "last_id": ids,
        "time": start_ms + ids * 1000,
        "buyer_maker": ids % 2 == 0,
    }


def rows_of(ids: np.ndarray, start_ms: int) -> list[list[object]]:
    columns = columns_of(ids, start_ms)
    return [list(row) for row in zip(*(v.tolist() for v in columns.values()), strict=True)]


def publish(truth: ArchiveServer, series: Series, period: str, lines: list[str]) -> str:
    its = Zip(series, period)
    truth.put(its.path, zipped(its.name, ("\n".join(lines) + "\n").encode()))
    return its.name


def test_missing_trades_come_from_the_archive_s_day(
    tmp_path: Path, truth: ArchiveServer, rest: Rest
) -> None:
    ids = np.arange(1000)
    lines = [
        ",".join(str(v).lower() for v in row) for row in rows_of(np.delete(ids, 700), JAN_2023)
    ]
    name = publish(truth, TRADES, "2023-01-01", lines)
    add(tmp_path, TRADES, columns_of(np.delete(ids, [5, 6, 700]), JAN_2023), name)
    done = mend(tmp_path, TRADES, truth, rest)
    assert (done.missing, done.filled, done.left) == (3, 2, 1)
    assert load_arrays(tmp_path, TRADES)["agg_id"].tolist() == np.delete(ids, 700).tolist()
    entries = read_ledger(TRADES.folder(tmp_path)).entries
    assert [(e.first, e.last, e.filled, e.cause) for e in entries] == [
        (5, 6, 2, OUR_LOSS),
        # REST has forgotten trades of so long ago: nobody can tell.
        (700, 700, 0, UNKNOWN),
    ]
    asked = truth.asked.total()
    assert mend(tmp_path, TRADES, truth, rest).left == 1
    assert truth.asked.total() == asked


def test_trades_of_today_come_from_rest(tmp_path: Path, truth: ArchiveServer, rest: Rest) -> None:
    start, ids = NOW - 20 * 60_000, np.arange(500)
    truth.trades["um", "BTCUSDT"] = [
        {"a": i, "p": str(price), "q": str(qty), "f": first, "l": last, "T": time, "m": maker}
        for i, price, qty, first, last, time, maker in rows_of(np.delete(ids, 300), start)
    ]
    add(tmp_path, TRADES, columns_of(np.delete(ids, [10, 11, 300]), start), "REST 2023-07-20")
    done = mend(tmp_path, TRADES, truth, rest)
    assert (done.filled, done.left, done.causes) == (2, 1, {OUTAGE: 1})
    assert check_series(tmp_path, TRADES).unexplained == 0


def test_a_missing_payment_is_filled_from_rest_where_the_archive_lacks_it(
    tmp_path: Path, truth: ArchiveServer, rest: Rest
) -> None:
    times = JAN_2023 + np.arange(90) * 8 * HOUR_MS
    rates = (np.arange(90) - 40) * 1e-6
    truth.fundings["BTCUSDT"] = [
        {"symbol": "BTCUSDT", "fundingTime": t, "fundingRate": f"{r:.8f}", "markPrice": "16500.1"}
        # REST dates each payment a little later than the archive does.
        for t, r in zip((times + 7).tolist(), rates.tolist(), strict=True)
    ]
    lines = [f"{t},8,{r:.8f}" for t, r in zip(times.tolist(), rates.tolist(), strict=True)]
    name = publish(truth, RATES, "2023-01", lines[:50] + lines[51:])
    kept = np.delete(np.arange(90), [30, 50])
    add(tmp_path, RATES, {"time": times[kept], "rate": rates[kept]}, name)
    done = mend(tmp_path, RATES, truth, rest)
    assert (done.missing, done.filled, done.left) == (2, 2, 0)
    arrays = load_arrays(tmp_path, RATES)
    assert arrays["time"].tolist() == (times + 7 * (np.arange(90) == 50)).tolist()
    assert np.allclose(arrays["rate"], rates, atol=5e-9)
    causes = [entry.cause for entry in read_ledger(RATES.folder(tmp_path)).entries]
    assert causes == [OUR_LOSS, ARCHIVE_LOSS]


def test_a_mark_price_is_repaired_too(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    truth.marks["BTCUSDT", "1h"] = hourly
    prices = {n: hourly.arrays[n] for n in ("open_time", "open", "high", "low", "close")}
    kept = np.delete(np.arange(len(hourly.open_time)), [5, 900, 901])
    add(tmp_path, MARK, {n: v[kept] for n, v in prices.items()}, "mine.csv")
    assert mend(tmp_path, MARK, truth, rest).filled == 3
    arrays = load_arrays(tmp_path, MARK)
    assert all(np.array_equal(arrays[n], v) for n, v in prices.items())


def test_metrics_have_the_archive_alone(tmp_path: Path, truth: ArchiveServer, rest: Rest) -> None:
    header = (
        "create_time,symbol,sum_open_interest,sum_open_interest_value,"
        "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,"
        "sum_taker_long_short_vol_ratio"
    )
    times = JAN_2023 + np.arange(1, 280) * 300_000
    words = [
        str(t.astype("datetime64[s]")).replace("T", " ") for t in times.astype("datetime64[ms]")
    ]
    lines = [f"{w},BTCUSDT,{i},1,1,1,1,1" for i, w in enumerate(words) if i not in (200, 201)]
    name = publish(truth, METRICS, "2023-01-01", [header, *lines])
    kept = np.delete(np.arange(279), [100, 200, 201])
    add(tmp_path, METRICS, {"time": times[kept], "open_interest": kept * 1.0}, name)
    done = mend(tmp_path, METRICS, truth, rest)
    assert (done.missing, done.filled, done.left) == (3, 1, 2)
    assert done.causes == {OUTAGE: 2}
    assert mend(tmp_path, METRICS, truth, rest).left == 2


@pytest.mark.parametrize("how", ["missing", "torn"])
def test_a_damaged_day_of_trades_is_fetched_again(
    how: str, tmp_path: Path, truth: ArchiveServer, rest: Rest
) -> None:
    ids = np.arange(1000)
    lines = [",".join(str(v).lower() for v in row) for row in rows_of(ids, JAN_2023 + DAY_MS)]
    name = publish(truth, TRADES, "2023-01-02", lines)
    add(tmp_path, TRADES, columns_of(ids, JAN_2023 + DAY_MS), name)
    path = TRADES.folder(tmp_path) / "2023-01-02.parquet"
    before = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(before[:3000])
    assert mend(tmp_path, TRADES, truth, rest).done
    assert path.read_bytes() == before
