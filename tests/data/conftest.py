"""A small market, and a server on loopback that lays it out as the public archive does."""

from collections.abc import Iterator

import numpy as np
import pytest

from data.synthetic import synthetic_market
from strategy.candles import Candles
from tests.data.served import HEADER, ArchiveServer, binance_csv, zipped

__all__ = ["DAY_MS", "HEADER", "JAN_2023", "ArchiveServer", "binance_csv", "same_candles", "zipped"]

JAN_2023 = 1_672_531_200_000
DAY_MS = 86_400_000


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
