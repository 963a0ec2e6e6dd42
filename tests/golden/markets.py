"""The markets that fingerprints are taken on: drawn ones, which the project carries, and real ones.

Real candles are read from their files and not through a store, and every grid stands here, so that
neither an import nor what the exchange changes can move a fingerprint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from backtest.engine import Grids
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.funding import Funding
from strategy.grid import grid

YEAR_2023_MS, YEAR_2024_MS = 1_672_531_200_000, 1_704_067_200_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Market:
    """Candles of one or more symbols with their grids and funding, None for none."""

    candles: tuple[Candles, ...]
    grids: Grids
    funding: tuple[Funding | None, ...]


def seeded_days(_: Path) -> Market:
    """Four days of minutes: small enough for plain Python."""
    return _market([synthetic_market(31, 5_760, YEAR_2023_MS)])


def seeded_months(_: Path) -> Market:
    """Two months of minutes on the exchange's grid, with funding every eight hours."""
    candles = synthetic_market(11, 86_400, YEAR_2023_MS)
    time = np.arange(YEAR_2023_MS, YEAR_2023_MS + 60 * DAY_MS, DAY_MS // 3)
    raw = np.random.PCG64(12).random_raw(len(time)) >> np.uint64(48)
    rate = (raw.astype(np.float64) - 30_000.0) / 1e8
    funding = Funding(time, rate, np.full(len(time), np.nan))
    return Market((candles,), _grids(["0.1 0.001 0.001 120 5"]), (funding,))


def seeded_portfolio(_: Path) -> Market:
    """Three symbols that begin and end at different times, one of them with a hole."""
    first = synthetic_market(21, 30_000, YEAR_2023_MS, symbol="AUSDT")
    second = synthetic_market(22, 40_000, YEAR_2023_MS + DAY_MS, symbol="BUSDT")
    third = synthetic_market(23, 36_000, YEAR_2023_MS - DAY_MS, symbol="CUSDT")
    kept = np.ones(len(third.arrays["open_time"]), bool)
    kept[9_000:9_400] = False
    holed = {name: array[kept] for name, array in third.arrays.items()}
    third = Candles.from_arrays(symbol="CUSDT", market="um", timeframe="1m", **holed)
    return _market([first, second, third])


def bitcoin_2023(folder: Path) -> Market:
    """BTCUSDT spot, the year 2023, with the exchange's outage of 24 March."""
    one = _read(folder, "BTCUSDT-spot-1m-20220101-20231231", YEAR_2023_MS, YEAR_2024_MS)
    return Market((one,), _grids(["0.1 0.001 0.001 120 5"]), (None,))


def filecoin_and_near(folder: Path) -> Market:
    """FILUSDT and NEARUSDT futures, three months together and then FIL alone."""
    names = ("FILUSDT-um-1m-20230801-20231130", "NEARUSDT-um-1m-20230801-20231031")
    rows = ["0.001 0.1 0.1 60000 5", "0.001 1 1 80000 5"]
    return Market(tuple(_read(folder, name) for name in names), _grids(rows), (None, None))


def seven_symbols(folder: Path) -> Market:
    """Seven futures in May and June 2025; ADA begins five days later."""
    rows = {
        "BTC": "0.1 0.001 0.001 120 100",
        "ETH": "0.01 0.001 0.001 2000 20",
        "SOL": "0.01 0.01 0.01 80000 5",
        "XRP": "0.0001 0.1 0.1 2000000 5",
        "BNB": "0.01 0.01 0.01 2000 5",
        "ADA": "0.0001 1 1 2000000 5",
        "LTC": "0.01 0.001 0.001 5000 20",
    }
    names = [f"{name}USDT-um-1m-202505-202506-ohlcv" for name in rows]
    candles = tuple(_read(folder, name) for name in names)
    return Market(candles, _grids(list(rows.values())), (None,) * len(rows))


def bitcoin_hours(folder: Path) -> Market:
    """BTCUSDT futures by the hour, from 2020 to May 2026, with its funding and mark prices."""
    candles = _read(folder, "BTCUSDT-um-1h-2019-202605-ohlcv", 1_577_836_800_000)
    paid = pq.read_table(folder / "funding" / "BTCUSDT-um-funding.parquet")
    time = np.round(paid["funding_time"].to_numpy() / 60_000).astype(np.int64) * 60_000
    marks = pq.read_table(folder / "klines" / "BTCUSDT-um-1h-mark-2019-202605-ohlcv.parquet")
    known = dict(
        zip(*(marks[name].to_numpy().tolist() for name in ("open_time", "open")), strict=True)
    )
    price = np.array([known.get(one, np.nan) for one in time.tolist()])
    funding = Funding(time, paid["funding_rate"].to_numpy(), price)
    return Market((candles,), _grids(["0.1 0.001 0.001 120 5"]), (funding,))


def ether_quarters(folder: Path) -> Market:
    """ETHUSDT futures by the quarter of an hour, three years."""
    candles = _read(folder, "ETHUSDT-um-15m-202201-202501-ohlcv")
    return Market((candles,), _grids(["0.01 0.001 0.001 2000 20"]), (None,))


DRAWN: dict[str, Callable[[Path], Market]] = {
    "four seeded days": seeded_days,
    "two seeded months": seeded_months,
    "three seeded symbols": seeded_portfolio,
}
REAL: dict[str, Callable[[Path], Market]] = {
    "BTCUSDT spot 2023": bitcoin_2023,
    "FIL and NEAR 2023": filecoin_and_near,
    "seven symbols 2025": seven_symbols,
    "BTCUSDT 1h with funding": bitcoin_hours,
    "ETHUSDT 15m": ether_quarters,
}
MARKETS = DRAWN | REAL


@cache
def market(name: str, folder: Path) -> Market:
    """Return a market by its name, kept for the next who asks."""
    return MARKETS[name](folder)


def _market(candles: list[Candles]) -> Market:
    count = len(candles)
    return Market(tuple(candles), _grids(["0.1 0.001 0.001 0 0"] * count), (None,) * count)


def _grids(rows: list[str]) -> Grids:
    return np.concatenate([grid(*row.split()) for row in rows]).view(np.recarray)


def _read(folder: Path, name: str, first_ms: int = 0, end_ms: int = 2**62) -> Candles:
    symbol, kind, timeframe = name.split("-")[:3]
    columns = ("open_time", "open", "high", "low", "close", "volume")
    table = pq.read_table(folder / "klines" / f"{name}.parquet", columns=list(columns))
    arrays = {column: table[column].to_numpy() for column in columns}
    low, high = np.searchsorted(arrays["open_time"], (first_ms, end_ms)).tolist()
    arrays = {column: array[low:high] for column, array in arrays.items()}
    return Candles.from_arrays(symbol=symbol, market=kind, timeframe=timeframe, **arrays)
