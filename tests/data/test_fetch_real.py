"""Real files of the exchange go through a fetch, with the outage and the instants they have."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from data.dates import parse_time
from data.gaps import ARCHIVE_LOSS, OUTAGE
from data.manifest import Series
from data.store import load, load_arrays
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, ArchiveServer
from tests.data.fetches import FUNDING, publish_funding, run
from tests.data.served import HOUR_MS

MINUTES = Series("spot", "BTCUSDT", "1m")
MARCH, APRIL = parse_time("2023-03-01", ""), parse_time("2023-04-01", "")


def real_minutes(shared_data: Path, end_ms: int) -> Candles:
    table = pq.read_table(shared_data / "klines/BTCUSDT-spot-1m-20220101-20231231.parquet")
    arrays = {name: table[name].to_numpy() for name in table.column_names[:-1]}
    wanted = (arrays["open_time"] >= MARCH) & (arrays["open_time"] < end_ms)
    arrays = {name: values[wanted] for name, values in arrays.items()}
    arrays["taker_buy"] = arrays.pop("taker_buy_base")
    return Candles.from_arrays(symbol="BTCUSDT", market="spot", timeframe="1m", **arrays)


def test_a_real_month_with_a_day_missing_and_the_outage_of_march_2023(
    tmp_path: Path, shared_data: Path, archive_server: ArchiveServer
) -> None:
    archive_server.now_ms = APRIL + 6 * HOUR_MS
    truth = real_minutes(shared_data, archive_server.now_ms)
    archive_server.klines["spot", "BTCUSDT", "1m"] = truth
    for path in (shared_data / "raw/timealiver__BinanceDataGetter/data").glob("BTCUSDT-1m-*.zip"):
        if "2023-03-15" not in path.name:
            where = f"data/spot/daily/klines/BTCUSDT/1m/{path.name}"
            archive_server.put(where, path.read_bytes())
    done = run(archive_server, tmp_path, MINUTES, MARCH)
    assert (done.files, done.missing_days, done.refused) == (30, [], {})
    assert [(e.cause, e.count, e.filled) for e in done.filled] == [
        (ARCHIVE_LOSS, 1440, 1440),
        (OUTAGE, 80, 0),
    ]
    assert done.filled[1].first == parse_time("2023-03-24T12:40", "")
    got = load(tmp_path, "spot", "BTCUSDT", "1m")
    assert len(got) == 31 * 1440 - 80 + 360
    for name in ("open_time", "open", "high", "low", "close", "volume", "trades", "taker_buy"):
        assert np.array_equal(got.arrays[name], truth.arrays[name]), name
    again = run(archive_server, tmp_path, MINUTES, MARCH)
    assert (again.filled, again.merge.added) == ([], 0)


def test_a_real_day_of_trades(
    tmp_path: Path, shared_data: Path, archive_server: ArchiveServer
) -> None:
    folder = "raw/houssamboudiar__freqtrade/tests/testdata/binance/binance_public_data"
    raw = (shared_data / folder / "futures-APEUSDT-aggTrades-2024-10-18.zip").read_bytes()
    name = "APEUSDT-aggTrades-2024-10-18.zip"
    archive_server.put(f"data/futures/um/daily/aggTrades/APEUSDT/{name}", raw)
    start = parse_time("2024-10-18", "")
    archive_server.now_ms = start + DAY_MS + HOUR_MS
    archive_server.trades["um", "APEUSDT"] = []
    series = Series("um", "APEUSDT", "", "aggTrades")
    done = run(archive_server, tmp_path, series, start)
    assert (done.files, done.merge.added, done.refused) == (1, 45_342, {})
    arrays = load_arrays(tmp_path, series)
    assert arrays["time"][0] >= start
    assert arrays["time"][-1] < start + DAY_MS


def test_real_payments_dated_by_the_hour_and_to_the_ms_are_the_same_payments(
    tmp_path: Path, shared_data: Path, archive_server: ArchiveServer
) -> None:
    def rows(name: str) -> list[dict[str, object]]:
        table = pq.read_table(shared_data / "funding" / name).to_pylist()
        return [
            {"fundingTime": row["funding_time"], "fundingRate": f"{row['funding_rate']:.8f}"}
            for row in table
            if parse_time("2023-01-01", "") <= row["funding_time"] < parse_time("2025-12-01", "")
        ]

    exact = rows("BTCUSDT-um-funding-msjitter-2023-2025.parquet")
    archive_server.fundings["BTCUSDT"] = exact
    start = parse_time("2023-01-01", "")
    archive_server.now_ms = parse_time("2025-12-01", "")
    run(archive_server, tmp_path, FUNDING, start)
    floored = rows("BTCUSDT-um-funding.parquet")
    for month in np.arange("2023-01", "2025-12", dtype="datetime64[M]"):
        publish_funding(archive_server, floored, str(month))
    done = run(archive_server, tmp_path, FUNDING, start)
    assert done.files == 35
    assert (done.merge.added, done.merge.replaced) == (0, 0)
    times = load_arrays(tmp_path, FUNDING)["time"]
    assert times.tolist() == [row["fundingTime"] for row in exact]
    assert np.count_nonzero(times % HOUR_MS) > 900
