"""A small market, and a server on loopback that lays it out as the public archive does."""

from collections.abc import Iterator

import numpy as np
import pytest

import wick
from data.rest.rows import Rest
from data.synthetic import synthetic_market
from strategy.candles import Candles
from tests.data.served import HEADER, ArchiveServer, binance_csv, zipped

__all__ = ["DAY_MS", "HEADER", "JAN_2023", "ArchiveServer", "binance_csv", "same_candles", "zipped"]

JAN_2023 = 1_672_531_200_000
DAY_MS = 86_400_000
DAYS = [str(np.datetime64("2023-01-01") + i) for i in range(90)]
MONTHS = ["2023-01", "2023-02", "2023-03"]
NOW = JAN_2023 + 200 * DAY_MS


def run(*arguments: str) -> int:
    """Type a command; return its exit code."""
    with pytest.raises(SystemExit) as stopped:
        wick.main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def same_candles(a: Candles, b: Candles) -> bool:
    """Compare every value bit for bit."""
    return a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[n], b.arrays[n]) for n in a.arrays
    )


@pytest.fixture
def archive_server() -> Iterator[ArchiveServer]:
    """Serve an empty archive on loopback."""
    server = ArchiveServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def hourly() -> Candles:
    """Give January to March 2023 of a seeded market in 1h candles."""
    return synthetic_market(7, 90 * 1440, JAN_2023, "1h", symbol="BTCUSDT")


@pytest.fixture
def truth(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve all candles, by month, by day and from REST."""
    archive_server.publish(hourly, [*MONTHS, *DAYS])
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.now_ms = NOW
    return archive_server


@pytest.fixture
def rest(truth: ArchiveServer) -> Iterator[Rest]:
    """Give a client that does not wait long."""
    with Rest(truth.url, truth.url, retry_wait_s=0.01, attempts=2) as client:
        yield client


@pytest.fixture
def server(archive_server: ArchiveServer, hourly: Candles) -> ArchiveServer:
    """Serve January to March 2023 of BTCUSDT by REST, up to noon of the 90th day."""
    archive_server.now_ms = JAN_2023 + 89 * DAY_MS + DAY_MS // 2
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    return archive_server
