"""Files are understood or refused in one sentence, and stored whole or not at all."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.files.importer import Imported, Labels, Refused, files_in, import_file, import_files
from data.files.parse import parse
from data.manifest import Series
from data.store import load
from data.table import table_of
from data.writer import save
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, HEADER, JAN_2023, binance_csv, same_candles, zipped

NOW = JAN_2023 + 500 * DAY_MS
UM = Labels(market="um")


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("header", [False, True])
def test_zips_with_and_without_header_give_the_same_candles(
    tmp_path: Path, hourly: Candles, header: bool
) -> None:
    name = "BTCUSDT-1h-2023.zip"
    path = put(tmp_path, name, zipped(name, binance_csv(hourly, header)))
    done = import_file(tmp_path / "store", path, UM, NOW)
    assert done.series == Series("um", "BTCUSDT", "1h")
    assert done.layout == f"Binance klines {'with' if header else 'without'} header"
    assert done.merge.added == 2160
    assert same_candles(load(tmp_path / "store", "um", "BTCUSDT", "1h"), hourly)


def test_microseconds_become_milliseconds_and_tell_spot(tmp_path: Path, hourly: Candles) -> None:
    name = "BTCUSDT-1h-2023.zip"
    path = put(tmp_path, name, zipped(name, binance_csv(hourly, microseconds=True)))
    done = import_file(tmp_path / "store", path, Labels(), NOW)
    assert done.series == Series("spot", "BTCUSDT", "1h")
    assert "times in µs" in done.layout
    spot = load(tmp_path / "store", "spot", "BTCUSDT", "1h")
    assert np.array_equal(spot.open_time, hourly.open_time)


def test_a_header_tells_futures_and_nothing_else_does(tmp_path: Path, hourly: Candles) -> None:
    with_header = put(tmp_path, "BTCUSDT-1h-2023.csv", binance_csv(hourly, header=True))
    assert import_file(tmp_path / "s", with_header, Labels(), NOW).series.market == "um"
    without = put(tmp_path, "BTCUSDT-1h-2024.csv", binance_csv(hourly))
    with pytest.raises(WickError, match="cannot tell the market of BTCUSDT-1h-2024") as refused:
        import_file(tmp_path / "s", without, Labels(), NOW)
    assert refused.value.hint == "add --market um or --market spot"


@pytest.mark.parametrize(
    ("place", "market"),
    [
        ("data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01.csv", "spot"),
        ("data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01-01.csv", "um"),
        ("BTCUSDT-spot-1h-20230101.csv", "spot"),
        ("futures-um-klines-BTCUSDT-1h-2023-01-01.csv", "um"),
    ],
)
def test_folders_and_names_tell_the_market(
    tmp_path: Path, hourly: Candles, place: str, market: str
) -> None:
    path = put(tmp_path, place, binance_csv(hourly.slice(0, 24)))
    assert import_file(tmp_path / "s", path, Labels(), NOW).series.market == market


@pytest.mark.parametrize(
    "header",
    [
        "timestamp,open,high,low,close,volume",
        "Date,Open,High,Low,Close,Volume",
        '"time","open","high","low","close","volume"',
    ],
)
@pytest.mark.parametrize("style", ["ms", "s", "iso", "zoned"])
def test_common_csv_layouts_are_understood(
    tmp_path: Path, hourly: Candles, header: str, style: str
) -> None:
    lines = [header]
    for i, t in enumerate(hourly.open_time.tolist()[:48]):
        moment = {
            "ms": str(t),
            "s": str(t // 1000),
            "iso": str(np.datetime64(t, "ms"))[:19].replace("T", " "),
            "zoned": str(np.datetime64(t, "ms"))[:19] + "+00:00",
        }[style]
        prices = [repr(hourly.arrays[n][i].item()) for n in ("open", "high", "low", "close")]
        lines.append(",".join([moment, *prices, repr(hourly.arrays["volume"][i].item())]))
    path = put(tmp_path, "BTCUSDT_1h.csv.gz", gzip.compress("\n".join(lines).encode()))
    import_file(tmp_path / "s", path, UM, NOW)
    candles = load(tmp_path / "s", "um", "BTCUSDT", "1h")
    for name in ("open_time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(candles.arrays[name], hourly.arrays[name][:48])


def test_parquet_names_its_series_itself(tmp_path: Path, hourly: Candles) -> None:
    table = table_of(hourly).rename_columns(
        [n if n != "taker_buy" else "taker_buy_base" for n in table_of(hourly).column_names]
    )
    labels = {"symbol": "ETHUSDT", "market": "spot", "timeframe": "1h"}
    pq.write_table(table.replace_schema_metadata(labels), tmp_path / "anything.parquet")
    done = import_file(tmp_path / "s", tmp_path / "anything.parquet", Labels(), NOW)
    assert done.series == Series("spot", "ETHUSDT", "1h")
    assert load(tmp_path / "s", "spot", "ETHUSDT", "1h").arrays.keys() == hourly.arrays.keys()


def test_flags_win_and_cut_the_range(tmp_path: Path, hourly: Candles) -> None:
    path = put(tmp_path, "BTCUSDT-1h.csv", binance_csv(hourly, header=True))
    labels = Labels("ETHUSDT", "spot", "1h", JAN_2023 + DAY_MS, JAN_2023 + 2 * DAY_MS)
    done = import_file(tmp_path / "s", path, labels, NOW)
    assert (done.series, done.rows) == (Series("spot", "ETHUSDT", "1h"), 24)
    assert done.first_open_time == JAN_2023 + DAY_MS


def test_disorder_and_repeats_are_mended_and_said(tmp_path: Path, hourly: Candles) -> None:
    lines = binance_csv(hourly.slice(0, 48)).decode().splitlines()
    changed = lines[7].replace(lines[7].split(",")[5], "123.5", 1)
    mixed = [*lines[20:], lines[3], lines[3], *lines[:20], changed]
    path = put(tmp_path, "BTCUSDT-1h.csv", "\n".join(mixed))
    done = import_file(tmp_path / "s", path, UM, NOW)
    assert done.rows == 48
    assert done.notes == (
        "rows were out of order and have been sorted",
        "3 repeated rows dropped, 1 of them differed: the later row was kept",
    )
    assert load(tmp_path / "s", "um", "BTCUSDT", "1h").arrays["volume"][7] == 123.5


def test_candles_that_have_not_closed_are_dropped(tmp_path: Path, hourly: Candles) -> None:
    path = put(tmp_path, "BTCUSDT-1h.csv", binance_csv(hourly.slice(0, 24)))
    done = import_file(tmp_path / "s", path, UM, JAN_2023 + 10 * 3_600_000 + 1)
    assert done.rows == 10
    assert done.notes == ("14 candles that have not closed yet dropped",)


def rows(*changed: str) -> str:
    good = [f"{JAN_2023 + i * 3_600_000},10,12,9,11,5,0,50,3,2,20,0" for i in range(5)]
    return "\n".join([*good, *(f"{JAN_2023 + 5 * 3_600_000},{c},0,50,3,2,20,0" for c in changed)])


BAD_FILES: list[tuple[str, bytes | str, str]] = [
    ("x.zip", b"PK\x03\x04nonsense", "BTCUSDT-1h-x.zip is not a whole zip file"),
    ("x.zip", "<html>404</html>", "is a web page, not data"),
    ("x.csv", "\n <!DOCTYPE html>", "is a web page, not data"),
    ("x.csv", "", "BTCUSDT-1h-x.csv is empty"),
    ("x.csv", "\n\n", "is empty"),
    ("x.csv", HEADER, "has a header but no rows"),
    ("x.csv", "1,2,3", "has no header and 3 columns; without a header 12 are expected"),
    ("x.csv", "time,open,close\n1,2,3", "has no column high, low, volume"),
    ("x.csv.gz", gzip.compress(b"a" * 1000, mtime=0)[:-5], "is not a whole gzip file"),
    ("x.parquet", b"PAR1nonsense", "is not a whole Parquet file"),
    ("x.csv", rows("10,12,9,11,nan"), "line 6: volume is missing or NaN"),
    ("x.csv", rows("10,inf,9,11,5"), "line 6: .*a value is no finite number"),
    ("x.csv", rows("10,12,9,,5"), "line 6: close is missing or NaN"),
    ("x.csv", rows("10,12,9,eleven,5"), "line 6: close is 'eleven', expected a number"),
    ("x.csv", rows("10,12,0,11,5"), "line 6: .*a price is not above zero"),
    ("x.csv", rows("10,12,-9,11,5"), "line 6: .*a price is not above zero"),
    ("x.csv", rows("10,9,12,11,5"), "line 6: high 9.0 is below low 12.0"),
    ("x.csv", rows("10,12,9,13,5"), "line 6: open 10.0 or close 13.0 lies outside"),
    ("x.csv", rows("10,12,9,11,-5"), "line 6: volume -5 is below zero"),
    ("x.csv", rows() + "\n1672531200001,10,12,9,11,5,0,50,3,2,20,0", "line 6: .*not on the grid"),
    ("x.csv", rows() + "\n1672531200000001,10,12,9,11,5,0,5,3,2,2,0", "line 6: .*millisecond"),
    ("x.csv", rows() + "\n0,10,12,9,11,5,0,5,3,2,2,0", "line 6: open_time 0 is before 2009"),
    ("x.csv", rows() + "\nhello,10,12,9,11,5,0,5,3,2,2,0", "line 6: open_time is 'hello'"),
    ("x.csv", rows() + "\n1,2", "is not a table"),
]


@pytest.mark.parametrize(("ending", "content", "sentence"), BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, ending: str, content: bytes | str, sentence: str
) -> None:
    path = put(tmp_path / "in", f"BTCUSDT-1h-{ending}", content)
    with pytest.raises(WickError, match=sentence) as refused:
        import_file(tmp_path / "store", path, UM, NOW)
    assert refused.value.hint
    assert "\n" not in refused.value.message
    assert not (tmp_path / "store").exists()


def test_a_zip_with_two_csv_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1h.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr("b.csv", "1")
    with pytest.raises(WickError, match="holds 2 CSV files, expected one"):
        import_file(tmp_path / "store", path, UM, NOW)


def test_a_checksum_beside_a_zip_is_verified(tmp_path: Path, hourly: Candles) -> None:
    name = "BTCUSDT-1h-2023.zip"
    path = put(tmp_path, name, zipped(name, binance_csv(hourly)))
    put(tmp_path, name + ".CHECKSUM", "0" * 64 + f"  {name}\n")
    with pytest.raises(WickError, match=r"does not match BTCUSDT-1h-2023\.zip\.CHECKSUM"):
        import_file(tmp_path / "store", path, UM, NOW)


def test_a_name_that_says_1m_over_5m_candles_is_refused(tmp_path: Path, hourly: Candles) -> None:
    path = put(tmp_path, "BTCUSDT-1m.csv", binance_csv(hourly))
    with pytest.raises(WickError, match="said to hold 1m candles, but no two are closer than 3600"):
        import_file(tmp_path / "store", path, UM, NOW)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("BTCUSDT-1mo-2023-01.csv", "not the beginning of a UTC month"),
        ("BTCUSDT-aggTrades-2023-01.csv", "has no column agg_id, price, qty"),
        ("BTCUSDT-indexPriceKlines-1h-2023.csv", "holds indexPriceKlines, which is not stored"),
        ("prices-1h.csv", "cannot tell the symbol"),
        ("BTCUSDT_ETHUSDT-1h.csv", "names the symbols BTCUSDT, ETHUSDT"),
        ("BTCUSDT_230331-1h.csv", "may hold a delivery contract or candles of that date"),
        ("BTC_USD_BTC-1h-futures.feather", "margined in BTC, which are not stored"),
        ("data/futures/cm/daily/klines/BTCUSD_PERP/1h/x-1h.csv", "belongs to the market 'cm'"),
    ],
)
def test_what_cannot_be_placed_is_refused(
    tmp_path: Path, hourly: Candles, name: str, sentence: str
) -> None:
    path = put(tmp_path, name, binance_csv(hourly, header=True))
    with pytest.raises(WickError, match=sentence):
        import_file(tmp_path / "store", path, Labels(), NOW)


def test_a_bad_file_in_a_folder_does_not_stop_the_others(tmp_path: Path, hourly: Candles) -> None:
    for i, (low, high) in enumerate(((0, 24), (24, 48), (48, 72))):
        name = f"BTCUSDT-1h-2023-01-0{i + 1}.zip"
        put(tmp_path / "in", name, zipped(name, binance_csv(hourly.slice(low, high))))
    put(tmp_path / "in", "BTCUSDT-1h-2023-01-02.zip", b"PK torn")
    put(tmp_path / "in", "readme.txt", b"not looked at")
    files = files_in([tmp_path / "in"])
    results = list(import_files(tmp_path / "store", files, UM, NOW))
    assert [type(r) for r in results] == [Imported, Refused, Imported]
    assert len(load(tmp_path / "store", "um", "BTCUSDT", "1h")) == 48


def test_paths_without_candle_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WickError, match="does not exist"):
        files_in([tmp_path / "nowhere"])
    with pytest.raises(WickError, match="no candle files in"):
        files_in([tmp_path])


@given(st.floats(min_value=1e-8, max_value=1e9), st.integers(0, 8))
def test_price_text_becomes_the_double_that_float_gives(price: float, digits: int) -> None:
    text = f"{price:.{digits}f}"
    line = f"{JAN_2023},{text},{text},{text},{text},{text},0,1,1,1,1,0"
    table: pa.Table = parse("x.csv", line.encode()).table
    assert table["close"][0].as_py() == float(text)


def test_real_zips_equal_the_real_parquet(tmp_path: Path, shared_data: Path) -> None:
    """Thirty-one official daily zips of March 2023, against the two years they are part of."""
    march = JAN_2023 + 59 * DAY_MS
    parquet = shared_data / "klines" / "BTCUSDT-spot-1m-20220101-20231231.parquet"
    want = Labels(start_ms=march, end_ms=march + 31 * DAY_MS)
    import_file(tmp_path / "a", parquet, want, NOW)
    folder = shared_data / "raw" / "timealiver__BinanceDataGetter" / "data"
    zips = sorted(folder.glob("BTCUSDT-1m-2023-03-*.zip"))
    results = list(import_files(tmp_path / "b", zips, Labels(market="spot"), NOW))
    assert len(results) == 31
    assert all(isinstance(r, Imported) for r in results)
    a, b = (load(tmp_path / s, "spot", "BTCUSDT", "1m") for s in "ab")
    assert len(a) == 31 * 1440 - 80
    assert a.fingerprint == b.fingerprint


@pytest.mark.parametrize("symbol", ["../../EVIL", "A B", "A/B", ".."])
def test_a_symbol_cannot_lead_out_of_the_store(
    tmp_path: Path, hourly: Candles, symbol: str
) -> None:
    path = put(tmp_path, "x.csv", binance_csv(hourly))
    with pytest.raises(WickError, match="is no symbol"):
        import_file(tmp_path / "store", path, Labels(symbol, "um", "1h"), NOW)
    assert {one.name for one in tmp_path.iterdir()} == {"x.csv"}


def test_a_folder_with_a_store_in_it_is_read_without_the_store(
    tmp_path: Path, hourly: Candles
) -> None:
    save(tmp_path / "var" / "store", hourly, "test")
    with pytest.raises(WickError, match="no candle files in"):
        files_in([tmp_path])
    path = tmp_path / "BTCUSDT-1h-2023-01.csv"
    path.write_bytes(b"1")
    assert files_in([tmp_path]) == [path]
