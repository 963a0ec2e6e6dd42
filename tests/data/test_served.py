"""The loopback server answers as other people's clients expect it of the exchange."""

import ccxt  # type: ignore[import-untyped]
import numpy as np
import pytest
from binance.client import Client  # type: ignore[import-untyped]

from data.manifest import Series
from data.rest.rows import Rest
from data.table import column
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer

NAMES = "open_time open high low close volume".split()
END = JAN_2023 + 10 * DAY_MS


@pytest.fixture
def server(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve three months of BTCUSDT."""
    archive_server.now_ms = JAN_2023 + 80 * DAY_MS
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.klines["spot", "BTCUSDT", "1h"] = hourly
    return archive_server


def ours(server: ArchiveServer, market: str) -> np.ndarray:
    with Rest(server.url, server.url) as rest:
        table = rest.rows(Series(market, "BTCUSDT", "1h"), JAN_2023, END)
    return np.stack([column(table, name).astype(float) for name in NAMES], axis=1)


def test_ccxt_reads_the_same_candles(server: ArchiveServer) -> None:
    exchange = ccxt.binanceusdm()
    exchange.urls["api"]["fapiPublic"] = f"{server.url}/fapi/v1"
    asked = {"symbol": "BTCUSDT", "interval": "1h", "startTime": JAN_2023, "endTime": END - 1}
    rows = exchange.parse_ohlcvs(exchange.fapiPublicGetKlines({**asked, "limit": 1000}))
    exchange.session.close()
    assert np.array_equal(np.array(rows, float), ours(server, "um"))


@pytest.mark.parametrize("market", ["um", "spot"])
def test_python_binance_reads_the_same_candles(server: ArchiveServer, market: str) -> None:
    client = Client(ping=False)
    client.FUTURES_URL, client.API_URL = f"{server.url}/fapi", f"{server.url}/api"
    ask = client.futures_klines if market == "um" else client.get_klines
    rows = ask(symbol="BTCUSDT", interval="1h", startTime=JAN_2023, endTime=END - 1, limit=1000)
    client.close_connection()
    client.loop.close()
    assert np.array_equal(np.array([row[:6] for row in rows], float), ours(server, market))


def test_endings_and_limits_are_those_of_the_exchange(server: ArchiveServer) -> None:
    client = Client(ping=False)
    client.FUTURES_URL = f"{server.url}/fapi"
    whole = client.futures_klines(symbol="BTCUSDT", interval="1h", startTime=JAN_2023, limit=1500)
    assert len(whole) == 1500
    assert len(client.futures_klines(symbol="BTCUSDT", interval="1h", startTime=JAN_2023)) == 500
    last = client.futures_klines(symbol="BTCUSDT", interval="1h", startTime=server.now_ms - 1)
    assert last[-1][0] == server.now_ms < last[-1][6]
    client.close_connection()
    client.loop.close()
