"""Every kind of market data goes through files and the store and comes back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checksums import row_checksums
from data.files.clean import cleaned
from data.files.parse import parse
from data.kinds import AGG_TRADES, BOOK_DEPTH, FUNDING, KINDS, MARK, METRICS, Kind
from data.manifest import Series, Source, read_manifest, series_of
from data.store import every_series, load_arrays, series
from data.synthetic import synthetic_market
from data.table import table_of
from data.writer import Merge, writing
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023

MARKET = table_of(synthetic_market(7, 90 * 1440, JAN_2023, "1h"))
NOW = 1_800_000_000_000
SOURCE = Source("a file", "0" * 64)
# As the archive writes them.
TEXTS = {
    MARK: "1672531200000,16537.5,16540.1,16504.2,16531.3,0,1672534799999,0,3600,0,0,0\n",
    AGG_TRADES: (
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
        "26129,16537.50,0.120,27781,27783,1672531200123,true\n"
        "26130,16537.60,1.500,27784,27784,1672617599999,false\n"
    ),
    FUNDING: (
        "calc_time,funding_interval_hours,last_funding_rate\n"
        "1672531200003,8,0.00010000\n1672560000000,8,-0.00002113\n"
    ),
    METRICS: (
        "create_time,symbol,sum_open_interest,sum_open_interest_value,"
        "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,"
        "sum_taker_long_short_vol_ratio\n"
        "2023-01-01 00:05:00,BTCUSDT,111023.5,1836000000.1,1.2,1.1,1.3,0.9\n"
        "2023-01-01 00:10:00,BTCUSDT,111024.5,1836000001.1,,1.1,1.3,0.9\n"
    ),
    BOOK_DEPTH: (
        "timestamp,percentage,depth,notional\n"
        "2023-01-01 00:00:06,-5,7051.1,114000000.1\n2023-01-01 00:00:06,5,6051.1,104000000.1\n"
    ),
}


def series_for(kind: Kind) -> Series:
    return Series("um", "BTCUSDT", "1h" if kind.has_timeframe else "", kind.name)


def store_text(folder: Path, kind: Kind, text: str) -> Merge:
    table, _ = cleaned(parse("file.csv", text.encode(), kind), series_for(kind), NOW)
    with writing(folder, series_for(kind)) as writer:
        return writer.add(table, SOURCE)


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.name)
def test_rows_of_the_archive_come_back_as_written(tmp_path: Path, kind: Kind) -> None:
    count = TEXTS[kind].count("\n") - (not TEXTS[kind][0].isdigit())
    assert store_text(tmp_path, kind, TEXTS[kind]) == Merge(added=count)
    assert store_text(tmp_path, kind, TEXTS[kind]) == Merge(identical=count)
    arrays = load_arrays(tmp_path, series_for(kind))
    assert arrays[kind.time][0] // DAY_MS == JAN_2023 // DAY_MS
    assert {len(values) for values in arrays.values()} == {count}
    (stored,) = every_series(tmp_path)
    assert (stored.series, stored.rows) == (series_for(kind), count)
    assert series(tmp_path) == []


def test_trades_are_stored_by_day_and_candles_by_month(tmp_path: Path) -> None:
    later = TEXTS[AGG_TRADES] + "26131,16537.60,1.5,27785,27785,1672617600000,false\n"
    store_text(tmp_path, AGG_TRADES, later)
    store_text(tmp_path, MARK, TEXTS[MARK])
    trades = read_manifest(series_for(AGG_TRADES).folder(tmp_path))
    assert [stored.period for stored in trades.files] == ["2023-01-01", "2023-01-02"]
    assert trades.files[0].last_ms == 1_672_617_599_999
    assert read_manifest(series_for(MARK).folder(tmp_path)).files[0].period == "2023-01"


def test_a_value_that_is_not_known_is_nan_and_filled_in_by_who_knows_it(tmp_path: Path) -> None:
    store_text(tmp_path, FUNDING, TEXTS[FUNDING])
    text = "fundingTime,fundingRate,markPrice\n1672560000000,-0.00002113,16531.25\n"
    assert store_text(tmp_path, FUNDING, text) == Merge(identical=1)
    arrays = load_arrays(tmp_path, series_for(FUNDING))
    assert np.array_equal(arrays["mark_price"], [np.nan, 16531.25], equal_nan=True)
    assert np.array_equal(arrays["rate"], [0.0001, -0.00002113])


@pytest.mark.parametrize("archive_first", [True, False])
def test_a_payment_keeps_what_archive_and_rest_know_of_it(
    tmp_path: Path, archive_first: bool
) -> None:
    rest = "fundingTime,fundingRate,markPrice\n1672531200000,0.0001,16537.5\n"
    texts = [TEXTS[FUNDING], rest] if archive_first else [rest, TEXTS[FUNDING]]
    for text in texts:
        store_text(tmp_path, FUNDING, text)
    arrays = load_arrays(tmp_path, series_for(FUNDING))
    assert np.array_equal(arrays["mark_price"], [16537.5, np.nan], equal_nan=True)
    assert arrays["interval_hours"].tolist() == [8.0, 8.0]
    changed = "fundingTime,fundingRate,markPrice\n1672531200000,0.0002,16540.0\n"
    assert store_text(tmp_path, FUNDING, changed) == Merge(replaced=1)
    arrays = load_arrays(tmp_path, series_for(FUNDING))
    assert (arrays["rate"][0], arrays["mark_price"][0]) == (0.0002, 16540.0)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_folder_names_its_series(kind: Kind) -> None:
    its = series_for(kind)
    assert series_of(its.folder(Path("store"))) == its


def test_a_timeframe_is_asked_where_there_is_one_and_nowhere_else() -> None:
    with pytest.raises(WickError, match="mark price candles have a timeframe, given ''"):
        Series("um", "BTCUSDT", "", "mark")
    with pytest.raises(WickError, match="funding rates have no timeframe, given '1m'"):
        Series("um", "BTCUSDT", "1m", "funding")
    with pytest.raises(WickError, match="unknown kind 'aggtrade'") as refused:
        Series("um", "BTCUSDT", "", "aggtrade")
    assert "aggTrades" in refused.value.hint


@given(row=st.integers(0, 2159), name=st.integers(0, 8), bit=st.integers(0, 62))
def test_a_changed_bit_changes_the_checksum_of_its_row_alone(row: int, name: int, bit: int) -> None:
    table = MARKET
    before = row_checksums(table)
    values = table.column(name).to_numpy().copy()
    values.view(np.uint64)[row] ^= np.uint64(1 << bit)
    after = row_checksums(table.set_column(name, table.column_names[name], pa.array(values)))
    changed = np.flatnonzero(before != after)
    # One change in 65,536 goes unseen by its row's checksum; the file's own still sees it.
    assert changed.tolist() in ([row], [])


def test_hardly_a_change_goes_unseen() -> None:
    close = np.nextafter(MARKET["close"].to_numpy(), np.inf)
    seen = row_checksums(MARKET) != row_checksums(MARKET.set_column(4, "close", pa.array(close)))
    assert np.count_nonzero(~seen) <= 2
