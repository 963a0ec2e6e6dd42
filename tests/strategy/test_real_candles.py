"""Higher candles of real markets: the exchange's own, thin markets, flat hours, an outage."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from strategy.candles import FIELDS, OPTIONAL_FIELDS, Candles
from strategy.tape import Tape
from strategy.timeframes import timeframe_ms
from tests.strategy import naive
from tests.strategy.market import IDENTITY, same_bits

_NAMES = {"taker_buy_base": "taker_buy"}
PRICES = ("open", "high", "low", "close")


@cache
def read(folder: Path, name: str) -> Candles:
    """Read a file of klines, all of it."""
    symbol, market, timeframe = name.split("-")[:3]
    table = pq.read_table(folder / "klines" / f"{name}.parquet")
    columns = {
        _NAMES.get(column, column): table[column].to_numpy() for column in table.schema.names
    }
    arrays = {
        field: columns[field]
        for field in ("open_time", *FIELDS, *OPTIONAL_FIELDS)
        if field in columns
    }
    return Candles.from_arrays(symbol=symbol, market=market, timeframe=timeframe, **arrays)


def at(*texts: str) -> list[int]:
    return [int(np.datetime64(text, "ms").astype(np.int64)) for text in texts]


def windows(candles: Candles, timeframe: str) -> dict[str, np.ndarray]:
    higher = candles.resample(timeframe)
    names = [name for name in (*FIELDS, *OPTIONAL_FIELDS) if name in candles.arrays]
    return {"open_time": higher.open_time} | {name: getattr(higher, name).values for name in names}


@pytest.mark.parametrize(("timeframe", "count"), [("15m", 70_075), ("1h", 17_519)])
def test_two_years_of_minutes_give_every_candle_of_the_exchange(
    shared_data: Path, timeframe: str, count: int
) -> None:
    theirs = read(shared_data, f"BTCUSDT-spot-{timeframe}-20220101-20231231").arrays
    minutes = read(shared_data, "BTCUSDT-spot-1m-20220101-20231231")
    ours = windows(minutes, timeframe)
    assert len(theirs["open_time"]) == count
    for name in ("open_time", *PRICES):
        assert same_bits(ours[name], theirs[name]), name
    for name in ("volume", "quote_volume", "trades", "taker_buy"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)


def test_two_months_of_minutes_give_the_days_of_the_exchange(shared_data: Path) -> None:
    days = windows(read(shared_data, "BTCUSDT-spot-1m-20220101-20231231"), "1d")
    folder = shared_data / "raw" / "timealiver__BinanceDataGetter" / "data"
    found = 0
    for path in sorted(folder.glob("BTCUSDT-1d-*.zip")):
        (theirs,) = zipped_rows(path)
        row = np.searchsorted(days["open_time"], theirs[0])
        assert days["open_time"][row] == theirs[0]
        assert [days[name][row] for name in PRICES] == theirs[1:5]
        assert days["volume"][row] == pytest.approx(theirs[5], rel=1e-9)
        found += 1
    assert found == 61


def zipped_rows(path: Path) -> list[list[float]]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return [[float(value) for value in line.split(",")] for line in text.splitlines()]


# Where the higher file holds other values than the lower one: both are the exchange's, fetched at
# different times, and all columns of such a window are of another fetch. Two windows begin with a
# candle without trades (ETH 2022-05-28 17:00 of 15m, 2023-09-12 08:45 of 5m); there the first price
# traded was the carried one, and both agree.
LATER = ["2023-11-10T15:00"]
FLAT = ["2024-10-28T20:00", "2024-10-28T21:00"]  # a flat file against one that shows trading
BUSY = ["2024-03-27T12:00", "2024-03-28T11:00", "2024-03-28T12:00"]
FUTURES = [
    ("BTCUSDT-um-5m-202301-202405", "BTCUSDT-um-1h-2019-202605", 11_991, [], LATER),
    ("ETHUSDT-um-5m-202301-202405", "ETHUSDT-um-1h-2019-202605", 11_991, [], LATER),
    ("ETHUSDT-um-15m-202201-202501", "ETHUSDT-um-1h-2019-202605", 26_628, FLAT, [*BUSY, *FLAT]),
    (
        "ETHUSDT-um-5m-202301-202405",
        "ETHUSDT-um-15m-202201-202501",
        47_967,
        ["2024-03-27T12:15", "2024-03-27T12:30", "2024-03-28T11:45"],
        [
            "2023-11-10T15:00",
            "2024-03-27T12:15",
            "2024-03-27T12:30",
            "2024-03-28T11:00",
            "2024-03-28T11:45",
            "2024-03-28T12:30",
        ],
    ),
    *(
        (f"{symbol}USDT-um-1m-202505-202506", f"{symbol}USDT-um-1h-2019-202605", count, [], [])
        for symbol, count in (("BTC", 1218), ("ETH", 1218), ("XRP", 1218), ("ADA", 1095))
    ),
]


@pytest.mark.parametrize(("lower", "higher", "count", "prices", "volumes"), FUTURES)
def test_futures_differ_from_the_exchanges_own_only_where_two_fetches_do(
    shared_data: Path, lower: str, higher: str, count: int, prices: list[str], volumes: list[str]
) -> None:
    theirs = read(shared_data, f"{higher}-ohlcv")
    ours = windows(read(shared_data, f"{lower}-ohlcv"), theirs.timeframe)
    common, i, j = np.intersect1d(ours["open_time"], theirs.open_time, return_indices=True)
    assert len(common) == count
    other = np.zeros(count, bool)
    for name in PRICES:
        other |= ours[name][i] != theirs.arrays[name][j]
    assert common[other].tolist() == at(*prices)
    close = np.isclose(ours["volume"][i], theirs.arrays["volume"][j], rtol=1e-9, atol=0.0)
    assert common[~close].tolist() == at(*volumes)


# Minutes without a trade carry the price over; of the windows that begin with one and are traded
# later: how many there are, in how many the first price traded is another than our open, and in how
# many the carried price is the highest or lowest.
SILENT = [
    ("ALGOUSDT-um-1m-202409-illiquid", 446, "5m", (35, 12, 3)),
    ("ALGOUSDT-um-1m-202409-illiquid", 446, "15m", (2, 0, 0)),
    ("ALGOUSDT-um-1m-202409-illiquid", 446, "1h", (0, 0, 0)),
    ("NEARUSDT-um-1m-20230801-20231031", 271, "5m", (4, 3, 1)),
    ("FILUSDT-um-1m-20230801-20231130", 79, "15m", (1, 1, 0)),
    ("FILUSDT-um-1m-202410-flat-hours", 89, "15m", (2, 2, 1)),
    ("FILUSDT-um-1m-202410-flat-hours", 89, "1h", (1, 1, 1)),
    ("BTCUSDT-spot-1m-20220101-20231231", 72, "15m", (0, 0, 0)),
    ("BTCUSDT-spot-1m-20220101-20231231", 72, "4h", (1, 1, 0)),
]


@pytest.mark.parametrize(("name", "silent", "timeframe", "expected"), SILENT)
def test_a_window_that_begins_in_silence_opens_at_the_carried_price(
    shared_data: Path, name: str, silent: int, timeframe: str, expected: tuple[int, int, int]
) -> None:
    candles = read(shared_data, name)
    a = candles.arrays
    assert np.count_nonzero(a["volume"] == 0) == silent
    higher = candles.resample(timeframe)
    length = timeframe_ms(timeframe)
    found = [0, 0, 0]
    quiet = np.unique(a["open_time"][a["volume"] == 0] // length * length)
    for opened in quiet.tolist():
        row = int(np.searchsorted(higher.open_time, opened))
        inside = slice(*np.searchsorted(a["open_time"], [opened, opened + length]))
        prices = [getattr(higher, field).values[row] for field in PRICES]
        assert prices == [
            a["open"][inside][0],
            a["high"][inside].max(),
            a["low"][inside].min(),
            a["close"][inside][-1],
        ]
        traded = np.flatnonzero(a["volume"][inside] > 0)
        if len(traded) and traded[0] > 0:
            highest, lowest = (a[field][inside][traded] for field in ("high", "low"))
            found[0] += 1
            found[1] += a["open"][inside][traded[0]] != prices[0]
            found[2] += highest.max() != prices[1] or lowest.min() != prices[2]
    assert tuple(found) == expected


def test_flat_hours_become_flat_candles(shared_data: Path) -> None:
    hours = windows(read(shared_data, "FILUSDT-um-1m-202410-flat-hours"), "1h")
    row = int(np.searchsorted(hours["open_time"], at("2024-10-28T20:00")[0]))
    assert len({hours[name][row] for name in PRICES}) == 1
    assert [hours[name][row] for name in ("volume", "quote_volume", "trades")] == [0.0, 0.0, 0.0]
    assert hours["open"][row] == hours["close"][row - 1]


def test_windows_around_an_outage_are_known_when_trading_goes_on(shared_data: Path) -> None:
    minutes = read(shared_data, "BTCUSDT-spot-1m-20220101-20231231")
    first, again = (int(np.searchsorted(minutes.open_time, t)) for t in at("2023-03-24T12:00",
        "2023-03-24T14:00"))  # fmt: skip
    assert minutes.open_time[again - 1] == at("2023-03-24T12:39")[0]
    chunk = minutes.slice(first, again + 60)
    quarters, hours = chunk.resample("15m"), chunk.resample("1h")
    # 12:30 lost its last five minutes and 12:45 to 13:45 are missing as a whole.
    assert quarters.open_time.tolist() == at(
        "2023-03-24T12:00", "2023-03-24T12:15", "2023-03-24T12:30",
        "2023-03-24T14:00", "2023-03-24T14:15", "2023-03-24T14:30", "2023-03-24T14:45",
    )  # fmt: skip
    back = again - first
    assert quarters._windows[3].tolist() == [
        14,
        29,
        back,
        back + 14,
        back + 29,
        back + 44,
        back + 59,
    ]
    assert quarters.volume.values[:3].tolist() == [0.0, 0.0, 0.0]
    assert hours.open_time.tolist() == at("2023-03-24T12:00", "2023-03-24T14:00")
    assert hours._windows[3].tolist() == [back, back + 59]


@pytest.mark.parametrize("timeframe", ["15m", "1h", "1w", "1M"])
def test_minute_by_minute_through_the_outage_gives_the_same_candles(
    shared_data: Path, timeframe: str
) -> None:
    minutes = read(shared_data, "BTCUSDT-spot-1m-20220101-20231231")
    first, last = np.searchsorted(minutes.open_time, at("2023-01-30", "2023-05-02"))
    outage = int(np.searchsorted(minutes.open_time, at("2023-03-24T11:00")[0]))
    whole = windows(minutes.slice(first, last), timeframe)
    tape, parts = Tape(IDENTITY), []
    edges = [first, *range(outage, outage + 400), last]
    for start, stop in pairwise(edges):
        chunk = minutes.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(windows(chunk, timeframe))
    for name, values in whole.items():
        assert same_bits(np.concatenate([part[name] for part in parts]), values)


def test_months_of_real_minutes_and_of_their_days_are_the_same(shared_data: Path) -> None:
    minutes = read(shared_data, "BTCUSDT-spot-1m-20220101-20231231")
    months, days = windows(minutes, "1M"), windows(minutes, "1d")
    assert len(months["open_time"]) == 24
    of_days = windows(Candles("BTCUSDT", "spot", "1d", days), "1M")
    for name in ("open_time", *PRICES):
        assert same_bits(months[name], of_days[name])
    np.testing.assert_allclose(months["volume"], of_days["volume"], rtol=1e-12)
    twin = [naive.month_window(int(t))[0] for t in days["open_time"][::10]]
    assert sorted(set(twin)) == months["open_time"].tolist()
