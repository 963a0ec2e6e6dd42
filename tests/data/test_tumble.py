"""Stored trades become candles, and are set beside the exchange's own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data import tables
from data.checking.check import check_series
from data.dates import now_ms
from data.files.importer import Labels, import_file
from data.manifest import Series, Source, read_manifest
from data.store import load, load_arrays
from data.tumble import Tumbled, compare, tumble_trades
from data.writer import writing
from strategy.errors import RunRefused, WickError
from tests.data.conftest import DAY_MS, JAN_2023, run

ROOT = Path(__file__).resolve().parents[2]
TRADES = Series("um", "BTCUSDT", "", "aggTrades")
SECOND = Series("um", "BTCUSDT", "1s")
MINUTE = Series("um", "BTCUSDT", "1m")
NOW = JAN_2023 + 500 * DAY_MS
ZIP = (
    "raw/houssamboudiar__freqtrade/tests/testdata/binance/binance_public_data/"
    "futures-APEUSDT-aggTrades-2024-10-18.zip"
)


def store_trades(
    store: Path,
    times: list[int],
    price: float = 100.0,
    qty: float = 0.1,
    source: str = "BTCUSDT-aggTrades-2023-01.zip",
    first_id: int | None = None,
) -> None:
    """Store a trade at each of these times after 2023, in ms; every other one of a seller."""
    n = len(times)
    first_id = times[0] if first_id is None else first_id
    ids = np.arange(first_id, first_id + n)
    table = pa.table(
        {
            "agg_id": ids,
            "price": np.full(n, price),
            "qty": np.full(n, qty),
            "first_id": ids * 2,
            "last_id": ids * 2 + 1,
            "time": JAN_2023 + np.array(times, np.int64),
            "buyer_maker": np.arange(n) % 2 == 1,
        }
    )
    with writing(store, TRADES) as writer:
        writer.add(table, Source(source, "0" * 64))


def made(
    store: Path, series: Series = SECOND, start: int | None = None, end: int | None = None
) -> Tumbled:
    return tumble_trades(store, series, start, end, NOW, lambda: None)


def test_a_day_becomes_candles_with_its_file_as_source(tmp_path: Path) -> None:
    store_trades(tmp_path, [1_500, 1_600, 4_000])
    result = made(tmp_path)
    assert (result.days, result.trades, result.candles) == (1, 3, 86_399)
    assert result.silent == 86_397
    candles = load(tmp_path, "um", "BTCUSDT", "1s")
    assert candles.open_time[0] == JAN_2023 + 1_000
    assert candles.open_time[-1] == JAN_2023 + DAY_MS - 1_000
    assert candles.arrays["volume"][:4].tolist() == [0.2, 0, 0, 0.1]
    assert candles.arrays["trades"][:4].tolist() == [4, 0, 0, 2]
    assert candles.arrays["taker_buy"][:4].tolist() == [0.1, 0, 0, 0.1]
    (trades,) = read_manifest(TRADES.folder(tmp_path)).files
    (stored,) = read_manifest(SECOND.folder(tmp_path)).files
    assert stored.sources == (Source("aggTrades/2023-01-01.parquet", trades.sha256),)
    again = made(tmp_path)
    assert (again.merge.added, again.merge.replaced) == (0, 0)


def test_a_day_without_trades_is_a_gap_and_nothing_is_carried_over_it(tmp_path: Path) -> None:
    store_trades(tmp_path, [1_500, DAY_MS + 3_500, 3 * DAY_MS + 2_500])
    result = made(tmp_path)
    assert result.missing_days == ["2023-01-03"]
    times = load(tmp_path, "um", "BTCUSDT", "1s").open_time - JAN_2023
    assert times[0] == 1_000
    assert np.count_nonzero(times // DAY_MS == 1) == 86_400
    assert np.count_nonzero(times // DAY_MS == 2) == 0
    assert times[times >= 3 * DAY_MS][0] == 3 * DAY_MS + 2_000


def test_a_range_gives_the_same_candles_as_the_whole(tmp_path: Path) -> None:
    store_trades(tmp_path / "a", [1_500, 2 * DAY_MS - 500, 2 * DAY_MS + 7_200_000], 101.5)
    store_trades(tmp_path / "b", [1_500, 2 * DAY_MS - 500, 2 * DAY_MS + 7_200_000], 101.5)
    for timeframe in ("1m", "7h", "250ms"):
        its = Series("um", "BTCUSDT", timeframe)
        made(tmp_path / "a", its)
        low, high = JAN_2023 + 2 * DAY_MS - 60_000, JAN_2023 + 2 * DAY_MS + 10 * 3_600_000
        made(tmp_path / "b", its, low, high)
        whole = load_arrays(tmp_path / "a", its)
        part = load_arrays(tmp_path / "b", its)
        inside = (whole["open_time"] >= low) & (whole["open_time"] < high)
        assert part["open_time"].tolist() == whole["open_time"][inside].tolist()
        assert all(np.array_equal(part[n], whole[n][inside]) for n in whole)


def test_a_candle_is_made_of_whole_days_only(tmp_path: Path) -> None:
    store_trades(tmp_path, [day * DAY_MS + 500 for day in range(9)])
    week = Series("um", "BTCUSDT", "1w")
    assert made(tmp_path, week).candles == 1
    arrays = load_arrays(tmp_path, week)
    assert (arrays["open_time"].tolist(), arrays["trades"].tolist()) == ([JAN_2023 + DAY_MS], [14])
    (stored,) = read_manifest(week.folder(tmp_path)).files
    assert len(stored.sources) == 8
    # The first day ran into another week; the ninth begins one that has not ended.
    assert stored.sources[-1].name == "aggTrades/2023-01-08.parquet"


def test_candles_that_have_not_closed_are_left_out(tmp_path: Path) -> None:
    store_trades(tmp_path, [1_500, 4_000])
    result = tumble_trades(tmp_path, SECOND, None, None, JAN_2023 + 4_500, lambda: None)
    assert result.last_open_time == JAN_2023 + 3_000


def test_trades_of_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    store_trades(tmp_path, [500, 1_500])
    store_trades(tmp_path, [2_500], 0.0, 0.0)
    assert made(tmp_path).left_out == 1
    assert load_arrays(tmp_path, SECOND)["trades"].sum() == 4


def test_candles_below_a_second_are_stored_by_day(tmp_path: Path) -> None:
    store_trades(tmp_path, [0, DAY_MS])
    its = Series("um", "BTCUSDT", "100ms")
    made(tmp_path, its)
    files = read_manifest(its.folder(tmp_path)).files
    assert [f.period for f in files] == ["2023-01-01", "2023-01-02"]
    assert len(load(tmp_path, "um", "BTCUSDT", "100ms")) == 2 * 864_000


def exchange_candles(store: Path, change: str = "", lose: int = -1) -> None:
    """Store the exchange's minutes of the same trades, one of them changed or lost."""
    made(store / "own", MINUTE)
    arrays = {n: v.copy() for n, v in load_arrays(store / "own", MINUTE).items()}
    if change:
        arrays[change][5] += 1
    keep = np.arange(len(arrays["open_time"])) != lose
    with writing(store, MINUTE) as writer:
        table = pa.table({n: pa.array(v[keep]) for n, v in arrays.items()})
        table = table.set_column(7, "trades", table["trades"].cast(pa.int64()))
        writer.add(table, Source("BTCUSDT-1m-2023-01-01.zip", "1" * 64))


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Give a store of trades in which `own` holds the same ones."""
    for store in (tmp_path, tmp_path / "own"):
        store_trades(store, list(range(0, DAY_MS, 45_000)), 0.7, 0.1)
    return tmp_path


def test_equal_candles_are_counted_and_each_difference_is_named(two: Path) -> None:
    exchange_candles(two)
    result = compare(two, MINUTE, None, None, NOW, lambda: None)
    assert (result.compared, result.equal, result.differences) == (1440, 1440, {})
    exchange_candles(two, change="volume", lose=1439)
    result = compare(two, MINUTE, None, None, NOW, lambda: None)
    (volume,) = result.differences.values()
    assert (result.compared, result.equal) == (1440, 1439)
    assert (volume.what, volume.count) == ("volume differs", 1)
    assert (volume.open_time, volume.exchange - volume.ours) == (JAN_2023 + 300_000, 1.0)


def test_a_candle_that_one_side_lacks_is_named(two: Path) -> None:
    exchange_candles(two, lose=7)
    result = compare(two, MINUTE, None, None, NOW, lambda: None)
    (lacking,) = result.differences.values()
    assert (lacking.what, lacking.count) == ("not among the exchange's", 1)
    assert lacking.open_time == JAN_2023 + 420_000


def test_own_candles_and_those_of_the_exchange_never_mix(two: Path) -> None:
    exchange_candles(two)
    with pytest.raises(RunRefused, match=r"holds candles of BTCUSDT-1m-2023-01-01\.zip") as refused:
        made(two, MINUTE)
    assert "--timeframe 1m --compare" in refused.value.hint
    made(two, SECOND)
    path = two / "BTCUSDT-1s.csv"
    path.write_text(f"{JAN_2023},1,1,1,1,1")
    with pytest.raises(RunRefused, match="candles made of trades are not mixed with the exch"):
        import_file(two, path, Labels(market="um"), NOW)
    with pytest.raises(WickError, match="are made of trades themselves"):
        compare(two, SECOND, None, None, NOW, lambda: None)


def test_without_trades_or_candles_the_command_to_fetch_them_is_named(two: Path) -> None:
    with pytest.raises(WickError, match="BTCUSDT spot aggTrades is not in the store") as refused:
        made(two, Series("spot", "BTCUSDT", "1s"))
    assert "--kind aggTrades" in refused.value.hint
    with pytest.raises(WickError, match="not in the store"):
        compare(two, MINUTE, None, None, NOW, lambda: None)


def test_the_command_tumbles_and_compares(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchange_candles(two, change="close")
    where = ("--store", str(two))
    assert run("data", "tumble", "btcusdt", "--timeframe", "5s", *where) == 0
    said = capsys.readouterr().out
    assert "BTCUSDT um 5s: 1,920 aggregate trades of 1 day made 17,280 candles" in said
    compared = ("data", "tumble", "BTCUSDT", "--timeframe", "1m", "--compare", *where)
    assert run(*compared) == 1
    said = capsys.readouterr().out
    assert "1,439 of 1,440 candles made of trades equal the exchange's" in said
    assert "differs: close differs: 1 candle, first 2023-01-01 00:05 UTC, 0.7 of" in said
    assert run(*compared, "--json") == 1
    assert json.loads(capsys.readouterr().out)["differences"]["close differs"]["count"] == 1


def test_a_real_day_goes_from_the_archive_to_candles(tmp_path: Path, shared_data: Path) -> None:
    its = Series("um", "APEUSDT", "100ms")
    done = import_file(tmp_path, shared_data / ZIP, Labels(), now_ms())
    assert (done.rows, done.notes) == (45_342, ())
    (stored,) = read_manifest(done.series.folder(tmp_path)).files
    assert stored.size_bytes / stored.rows < 5.6
    result = tumble_trades(tmp_path, its, None, None, now_ms(), lambda: None)
    assert (result.trades, result.left_out) == (45_342, 0)
    candles, trades = load_arrays(tmp_path, its), load_arrays(tmp_path, done.series)
    # APE trades in whole coins, whose doubles add up exactly.
    assert candles["volume"].sum() == trades["qty"].sum()
    assert candles["trades"].sum() == (trades["last_id"] - trades["first_id"] + 1).sum()
    assert (candles["high"].max(), candles["low"].min()) == (
        trades["price"].max(),
        trades["price"].min(),
    )


def test_an_import_killed_anywhere_leaves_whole_files(tmp_path: Path) -> None:
    """Days of trades, stored one after the other, appear together or not at all."""
    store, path = tmp_path / "store", tmp_path / "BTCUSDT-aggTrades-2023-01.csv"
    lines = (f"{i},1.5,2,{i},{i},{JAN_2023 + i * 20_000},true" for i in range(130_000))
    path.write_text("\n".join(lines))
    command = [sys.executable, str(ROOT / "wick.py"), "data", "import", str(path), "--market", "um"]
    environment = os.environ | {"WICK_STORE": str(store)}
    for _ in range(4):
        process = subprocess.Popen(command, env=environment)
        folder = TRADES.folder(store)
        while process.poll() is None and not list(folder.glob("*.new")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(read_manifest(folder).files) in (0, 31)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert len(read_manifest(folder).files) == 31
    assert sorted(p.suffix for p in folder.iterdir()).count(".new") == 0
    assert len(load_arrays(store, TRADES)["time"]) == 130_000


def test_nothing_is_made_beyond_what_rest_has_told_of_a_day(tmp_path: Path) -> None:
    """REST was asked at noon and begins in the middle of a candle: neither end is known."""
    hour = 3_600_000
    store_trades(
        tmp_path, [10 * hour + 500, 10 * hour + 2_500, 12 * hour], source="REST 2023-01-01"
    )
    result = made(tmp_path)
    opens = load(tmp_path, "um", "BTCUSDT", "1s").open_time
    assert (int(opens[0]), int(opens[-1])) == (
        JAN_2023 + 10 * hour + 1_000,
        JAN_2023 + 12 * hour - 1_000,
    )
    assert result.candles == 2 * 3_600 - 1


@pytest.mark.parametrize(("next_id", "candles"), [(3, 2 * 3_600), (4, 0)])
def test_days_of_rest_join_where_their_ids_do(tmp_path: Path, next_id: int, candles: int) -> None:
    hour = 3_600_000
    store_trades(tmp_path, [23 * hour, 23 * hour + 1], source="REST 2023-01-02", first_id=1)
    later = DAY_MS + hour
    store_trades(tmp_path, [later, later + 1_000], source="REST 2023-01-02", first_id=next_id)
    assert made(tmp_path).candles == candles


def test_the_archives_file_makes_a_day_whole(tmp_path: Path) -> None:
    store_trades(tmp_path, [0, 5_000], source="REST 2023-01-01")
    assert made(tmp_path).candles == 4
    store_trades(tmp_path, [0, 5_000, 90_000], source="BTCUSDT-aggTrades-2023-01-01.zip")
    assert made(tmp_path).candles == 86_400


def test_nothing_is_made_where_trades_are_missing_inside_a_day(tmp_path: Path) -> None:
    """A silent stretch behind lost ids may be silent or lost; the candles at its ends are cut."""
    store_trades(tmp_path, [0, 1_500, 5_000], first_id=1)
    store_trades(tmp_path, [5_200, 60_000, 62_500], first_id=14)
    result = made(tmp_path)
    times = (load(tmp_path, "um", "BTCUSDT", "1s").open_time - JAN_2023) // 1_000
    # The jump from 3 to 14 lies inside one second: nothing is silent there, nothing can be told.
    assert result.breaks == 0
    assert times[:63].tolist() == list(range(63))
    store_trades(tmp_path, [90_000, 90_100], first_id=20)
    result = made(tmp_path)
    assert (result.breaks, result.first_break) == (1, JAN_2023 + 62_500)
    left = [t for t in range(86_400) if not 62 <= t <= 90]
    whole = tmp_path / "whole"
    store_trades(whole, [0, 1_500, 5_000], first_id=1)
    store_trades(whole, [5_200, 60_000, 62_500], first_id=14)
    store_trades(whole, [90_000, 90_100], first_id=20)
    made(whole)
    found = (load(whole, "um", "BTCUSDT", "1s").open_time - JAN_2023) // 1_000
    assert found.tolist() == left


def test_a_file_that_is_not_the_archives_makes_no_whole_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_trades(tmp_path, [500, 2_500, 30_000], source="half.csv")
    result = made(tmp_path)
    assert result.candles == 29
    assert result.unfinished_days == ["2023-01-01"]
    tables.print_tumbled(result)
    assert "gap: candles end with the last trade known of 1 day: 2023-01-01" in (
        capsys.readouterr().out
    )


def test_candles_of_trades_that_have_changed_are_told(tmp_path: Path) -> None:
    store_trades(tmp_path, [0, 5_000, 86_399_999], first_id=1)
    made(tmp_path)
    assert check_series(tmp_path, SECOND).notes == ()
    store_trades(tmp_path, [5_000], price=101.0, first_id=2)
    again = "wick data tumble BTCUSDT --market um --timeframe 1s"
    assert check_series(tmp_path, SECOND).notes == (
        f"made of trades that have changed since, first in 2023-01: {again}",
    )
    made(tmp_path)
    assert check_series(tmp_path, SECOND).notes == ()
