"""Fetches of a quarter of hourly candles from the loopback server, and what it serves beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from data.fetching.download import Archive
from data.fetching.fetch import Sources, fetch, fetch_all
from data.fetching.fetched import Fetched
from data.manifest import Series
from data.rest.rows import Rest
from data.store import load
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer, zipped
from tests.data.served import HOUR_MS
from tests.data.test_archive import BTC, Watching, days
from tests.data.test_kinds import TEXTS

MARCH = JAN_2023 + 59 * DAY_MS
FUNDING = Series("um", "BTCUSDT", "", "funding")
TRADES = Series("um", "BTCUSDT", "", "aggTrades")
METRICS = Series("um", "BTCUSDT", "", "metrics")
DAYS_TO_YESTERDAY = days("2023-03", 1, 30)


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


def publish_metrics(server: ArchiveServer, day: str) -> None:
    lines = [
        TEXTS[METRICS.its_kind].splitlines()[0],
        f"{day} 00:05:00,BTCUSDT,111023.5,1836000000.1,1.2,1.1,1.3,0.9",
        f"{np.datetime64(day) + 1} 00:00:00,BTCUSDT,111024.5,1836000001.1,,1.1,1.3,0.9",
    ]
    name = f"BTCUSDT-metrics-{day}.zip"
    text = ("\n".join(lines) + "\n").encode()
    server.put(f"data/futures/um/daily/metrics/BTCUSDT/{name}", zipped(name, text))
