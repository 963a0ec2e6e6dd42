"""Exports of other programs are understood, and what is not is refused in one sentence."""

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from data.files.importer import Imported, Labels, import_file
from data.manifest import Series
from data.store import load, load_arrays
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023

NOW = JAN_2023 + 500 * DAY_MS
UM = Labels(market="um")
MINUTE_MS = 60_000
Unit = Literal["s", "ms", "us", "ns"]
OPEN = [16_500.25, 16_501.5, 16_502.0, 16_503.75]


def texts(style: str) -> list[str]:
    """Write the opens of four minutes of candles."""
    times = [JAN_2023 + i * MINUTE_MS for i in range(4)]
    if style in ("s", "ms", "us", "ns"):
        scale = {"s": 0.001, "ms": 1, "us": 1000, "ns": 1_000_000}[style]
        return [str(int(t * scale)) for t in times]
    if style == "float":
        return [f"{t / 1000:.1f}" for t in times]
    minute = [f"{i:02d}" for i in range(4)]
    return {
        "iso": [f"2023-01-01T00:{m}:00" for m in minute],
        "iso-z": [f"2023-01-01T00:{m}:00.000Z" for m in minute],
        "pandas": [f"2023-01-01 00:{m}:00+00:00" for m in minute],
        "berlin": [f"2023-01-01T01:{m}:00+01:00" for m in minute],
        "new york": [f"2022-12-31 19:{m}:00-0500" for m in minute],
        "utc": [f"2023-01-01 00:{m} UTC" for m in minute],
        "slashes": [f"2023/01/01 00:{m}" for m in minute],
        "joined": [f"20230101 00:{m}" for m in minute],
    }[style]


def rows(style: str, separator: str = ",") -> list[str]:
    return [
        separator.join([t, str(o), str(o + 2), str(o - 2), str(o + 1), "3.5"])
        for t, o in zip(texts(style), OPEN, strict=True)
    ]


def take(tmp_path: Path, text: str | bytes, name: str, labels: Labels = UM) -> Imported:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    done = import_file(tmp_path / "store", path, labels, NOW)
    its = done.series
    candles = load(tmp_path / "store", its.market, its.symbol, its.timeframe)
    assert candles.open_time.tolist() == [JAN_2023 + i * MINUTE_MS for i in range(4)]
    assert candles.arrays["open"].tolist() == OPEN
    assert candles.arrays["volume"].tolist() == [3.5] * 4
    return done


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("s", "times in s"),
        ("ms", ""),
        ("us", "times in µs"),
        ("ns", "times in ns"),
        ("float", "times in s"),
        ("iso", "times without a zone taken as UTC"),
        ("iso-z", ""),
        ("pandas", ""),
        ("berlin", "times of the zone +01:00 brought to UTC"),
        ("new york", "times of the zone -0500 brought to UTC"),
        ("utc", ""),
        ("slashes", "times without a zone taken as UTC"),
        ("joined", "times without a zone taken as UTC"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_times_in_any_form_become_milliseconds_of_utc(
    tmp_path: Path, style: str, said: str, header: bool
) -> None:
    lines = ["timestamp,open,high,low,close,volume"] * header + rows(style)
    done = take(tmp_path, "\n".join(lines), "BTCUSDT-1m.csv")
    what = "with header" if header else "without header (open_time, open, high, low, close, volume)"
    assert done.layout == f"CSV {what}" + (f", {said}" if said else "")


@pytest.mark.parametrize(
    ("header", "prefix", "suffix"),
    [
        ("timestamp,open,high,low,close,volume", "", ""),
        ("Unix,Open,High,Low,Close,Volume", "", ""),
        (",datetime,open,high,low,close,volume", "{i},", ""),
        ("Unnamed: 0,date,open,high,low,close,volume", "{i},", ""),
        ("time,open,high,low,close,Volume,Volume MA", "", ",9.5"),
        ("Open time,Open,High,Low,Close,Volume,Close time", "", ",1672531259999"),
        ("symbol,timestamp,open,high,low,close,volume", "BTC/USDT,", ""),
        ("Date,Open,High,Low,Close,Volume,Dividends", "", ",0.0"),
    ],
)
def test_headers_of_common_exports_are_understood(
    tmp_path: Path, header: str, prefix: str, suffix: str
) -> None:
    lines = [prefix.format(i=i) + row + suffix for i, row in enumerate(rows("ms"))]
    take(tmp_path, "\n".join([header, *lines]), "BTCUSDT_1m.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_separators_quotes_line_ends_and_byte_order_marks(
    tmp_path: Path, separator: str, end: str, mark: bytes, quote: str
) -> None:
    head = "timestamp open high low close volume".split()
    lines = [head, *(row.split(",") for row in rows("iso"))]
    text = end.join(separator.join(f"{quote}{c}{quote}" for c in line) for line in lines)
    take(tmp_path, mark + text.encode(), "BTCUSDT_1m.csv")
    take(tmp_path, gzip.compress(mark + text.encode()), "BTCUSDT_1m.csv.gz")


CDD = "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount"


@pytest.mark.parametrize("unix", ["ms", "s"])
def test_newest_first_under_a_web_address(tmp_path: Path, unix: str) -> None:
    """As CryptoDataDownload publishes it."""
    lines = [
        f"{t},2023-01-01 00:0{i}:00,BTC/USDT,{o},{o + 2},{o - 2},{o + 1},3.5,57000.5,{i}"
        for i, (t, o) in enumerate(zip(texts(unix), OPEN, strict=True))
    ]
    text = "\n".join(["https://www.CryptoDataDownload.com", CDD, *reversed(lines)])
    done = take(tmp_path, text, "Binance_BTCUSDT_2023_minute.csv")
    assert done.series == Series("um", "BTCUSDT", "1m")
    assert done.notes == (
        "timeframe 1m taken from the spacing of the rows",
        "rows were out of order and have been sorted",
    )
    candles = load(tmp_path / "store", "um", "BTCUSDT", "1m")
    assert candles.arrays["quote_volume"].tolist() == [57000.5] * 4
    assert candles.arrays["trades"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("header", "separator", "dots", "tail"),
    [
        (
            "<DATE> <TIME> <OPEN> <HIGH> <LOW> <CLOSE> <TICKVOL> <VOL> <SPREAD>",
            "\t",
            ".",
            "7 3.5 1",
        ),
        (
            "<DATE> <TIME> <OPEN> <HIGH> <LOW> <CLOSE> <TICKVOL> <VOL> <SPREAD>",
            "\t",
            ".",
            "3.5 0 1",
        ),
        ("Date Time Open High Low Close Volume", ",", "-", "3.5"),
        ("date time open high low close volume openinterest", ",", "", "3.5 0"),
        ("", ",", ".", "3.5"),
    ],
)
def test_days_and_clock_times_in_columns_of_their_own(
    tmp_path: Path, header: str, separator: str, dots: str, tail: str
) -> None:
    """As MetaTrader and backtrader have them; without a real volume its ticks stand for it."""
    day = dots.join(["2023", "01", "01"])
    lines = [f"{day} 00:0{i}:00 {o} {o + 2} {o - 2} {o + 1} {tail}" for i, o in enumerate(OPEN)]
    text = "\n".join(filter(None, [header, *lines])).replace(" ", separator)
    take(tmp_path, text, "BTCUSDT_M1.csv", UM)


def test_three_lines_of_header_as_yfinance_writes_them(tmp_path: Path) -> None:
    lines = ["Price,Close,High,Low,Open,Volume", f"Ticker{',BTC-USD' * 5}", f"Datetime{',' * 5}"]
    lines += [
        f"{t},{o + 1},{o + 2},{o - 2},{o},3.5" for t, o in zip(texts("pandas"), OPEN, strict=True)
    ]
    with pytest.raises(WickError, match=r"cannot tell the symbol of btc\.csv"):
        take(tmp_path, "\n".join(lines), "btc.csv")
    take(tmp_path, "\n".join(lines), "btc.csv", Labels("BTCUSDT", "um"))


def frame(unit: Unit, zone: str | None) -> pd.DataFrame:
    times = pd.to_datetime([JAN_2023 + i * MINUTE_MS for i in range(4)], unit="ms", utc=True)
    opens = np.array(OPEN)
    columns = {"open": opens, "high": opens + 2, "low": opens - 2, "close": opens + 1}
    table = pd.DataFrame(columns | {"volume": [3.5] * 4})
    table.insert(0, "date", times.as_unit(unit).tz_convert(zone))
    return table


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", None])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("ending", ["feather", "parquet", "arrow"])
def test_tables_of_pandas_are_understood(
    tmp_path: Path, unit: Unit, zone: str | None, index: bool, ending: str
) -> None:
    table = frame(unit, zone)
    if index:
        table = table.set_index("date")
        table.index.name = None if ending == "parquet" else "date"
    path = tmp_path / f"BTC_USDT_USDT-1m-futures.{ending}"
    arrow = pa.Table.from_pandas(table)
    if ending == "parquet":
        pq.write_table(arrow, path)
    elif ending == "feather":
        pyarrow.feather.write_feather(arrow, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, arrow.schema) as writer:
            writer.write_table(arrow)
    done = take(tmp_path, path.read_bytes(), path.name, Labels())
    assert done.series == Series("um", "BTCUSDT", "1m")
    assert ("taken as UTC" in done.layout) == (zone is None)


def feather(folder: Path, name: str, table: pd.DataFrame) -> Path:
    pyarrow.feather.write_feather(pa.Table.from_pandas(table), folder / name, "lz4")
    return folder / name


def test_freqtrade_names_tell_market_and_kind(tmp_path: Path) -> None:
    table, store = frame("ms", "UTC"), tmp_path / "store"
    for name, series in (
        ("ETH_USDT-1m.feather", Series("spot", "ETHUSDT", "1m")),
        ("ETH_USDC_USDC-1m-futures.feather", Series("um", "ETHUSDC", "1m")),
        ("ETH_USDT_USDT-1m-mark.feather", Series("um", "ETHUSDT", "1m", "mark")),
    ):
        its = table.assign(volume=0.0) if series.kind == "mark" else table
        assert import_file(store, feather(tmp_path, name, its), Labels(), NOW).series == series
    rates = frame("ms", "UTC").assign(open=[0.0001, -0.0002, 0.0003, 0.0], high=0.0, low=0.0)
    path = feather(tmp_path, "ETH_USDT_USDT-8h-funding_rate.feather", rates)
    done = import_file(store, path, Labels(), NOW)
    assert done.series == Series("um", "ETHUSDT", "", "funding")
    assert "the funding rate in its column open" in done.layout
    assert load_arrays(store, done.series)["rate"].tolist() == [0.0001, -0.0002, 0.0003, 0.0]


def test_stamps_of_one_payment_do_not_become_two(tmp_path: Path) -> None:
    """The archive stamps funding some ms after the hour, freqtrade on it."""
    for name, stamp in (("a", JAN_2023 + 7), ("b", JAN_2023)):
        path = tmp_path / f"funding-BTCUSDT-{name}.csv"
        path.write_text(f"calc_time,last_funding_rate\n{stamp},0.0001\n")
        done = import_file(tmp_path / "store", path, Labels(), NOW)
    assert (done.merge.added, done.merge.identical) == (0, 1)
    assert load_arrays(tmp_path / "store", done.series)["time"].tolist() == [JAN_2023 + 7]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time;open;high;low;close;volume\n1672531200;1,5;2,5;1,0;2,0;3", "'1,5', has a decimal"),
        ("time,open,high,low,close,volume\n01.02.2023,1,1,1,1,1", "'01.02.2023' is no time"),
        ("time,open,high,low,close,volume\n2023-02-30,1,1,1,1,1", "'2023-02-30' is no time"),
        ("time,open,high,low,close,volume\n2023-01-01 25:00,1,1,1,1,1", "25:00' is no time"),
        ("time,open,high,low,close,volume\n1e99,1,1,1,1,1", "is no time"),
        ("time,open,high,low,close\n1672531200,1,1,1,1", "has no column volume"),
        ("time,open,high,low,close,Volume USDT\n1672531200,1,1,1,1,1",
         "has no column volume of the base asset, only one of the quote asset; its columns"),
        ("time,open,high,low,close,volume\n\n1672531200,1,2,1,1,1\n\n1672531260,1,2,1,x,1",
         "row 2: close is 'x', expected a number"),
        ("time,open,high,low,close,volume\n\n \n", "has a header but no rows"),
        ("time,open,high,low,close,volume" + "".join(f"\n{1672531200 + 60 * i},1,2,1,1,0"
         for i in range(3)), "not a single volume"),
        ("symbol,time,open,high,low,close,volume\nA,1672531200,1,1,1,1,1\nB,1672531260,1,1,1,1,1",
         "holds rows of 2 symbols"),
        ("symbol,time,open,high,low,close,volume\nETHUSDT,1672531200,1,1,1,1,1",
         "named for BTCUSDT and says inside that it holds ETHUSDT"),
        ("id,price,qty,quote_qty,time,is_buyer_maker\n1,1,1,1,1672531200000,true", "no column op"),
        ("1,0.5,10,5.0,1672531200000,true",
         "has no header and 6 columns, which would be .*, but open_time of its first row is '1'"),
        ("2023-01-01,noon,1,2,1,1,5", "but clock of its first row is 'noon', expected a clock"),
        ("1672531200000,1,2,1,x,5", "but close of its first row is 'x', expected a number"),
        ("1672531200000,0.0001", "has no header and 2 columns"),
        ("\ufeff\x00\x01", "is no text in UTF-8"),
        ("time,open,high,low,close,volume\n1672531200,1,1,1,1,1\n1672531260,1,1,1,1,1",
         "cannot tell the timeframe"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(WickError, match=sentence) as refused:
        take(tmp_path, text, "BTCUSDT.csv")
    assert "\n" not in refused.value.message
    assert not (tmp_path / "store").exists()


def test_blank_lines_between_rows_are_skipped(tmp_path: Path) -> None:
    for end in ("\n", "\r\n"):
        text = (end * 3).join(["timestamp,open,high,low,close,volume", *rows("ms")]) + end * 2
        take(tmp_path, text, "BTCUSDT_1m.csv")
        take(tmp_path, (end * 2).join(rows("ms")), "BTCUSDT_1m.csv")
    text = "\n\n".join([*rows("ms"), f"{JAN_2023 + 4 * MINUTE_MS},1,2,3,1,1"])
    with pytest.raises(WickError, match=r"BTCUSDT_1m\.csv, row 5: high 2\.0 is below low 3\.0"):
        take(tmp_path, text, "BTCUSDT_1m.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_named_as_such(tmp_path: Path, encoding: str) -> None:
    text = "\n".join(["timestamp,open,high,low,close,volume", *rows("ms")]).encode(encoding)
    with pytest.raises(WickError, match="is text in UTF-16, expected UTF-8") as refused:
        take(tmp_path, text, "BTCUSDT_1m.csv")
    assert refused.value.hint == "save it as UTF-8"


def test_a_quote_volume_alone_is_not_taken_for_a_mark_price(tmp_path: Path) -> None:
    text = "time,open,high,low,close,quote_volume\n1672531200,1,1,1,1,1"
    with pytest.raises(WickError, match="only one of the quote asset") as refused:
        take(tmp_path, text, "BTCUSDT_1m.csv")
    assert "mark" not in refused.value.hint


@pytest.mark.parametrize("volume", ["3.5", "0"])
def test_counts_of_ticks_taken_for_a_volume_are_noted(tmp_path: Path, volume: str) -> None:
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    lines += [
        f"2023.01.01\t00:0{i}:00\t{o}\t{o + 2}\t{o - 2}\t{o + 1}\t3.5\t{volume}\t1"
        for i, o in enumerate(OPEN)
    ]
    done = take(tmp_path, "\n".join(lines), "BTCUSDT_M1.csv", Labels("BTCUSDT", "um", "1m"))
    note = "the file knows no volume: its counts of ticks are taken for it"
    assert done.notes == ((note,) if volume == "0" else ())
