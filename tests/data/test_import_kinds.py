"""Files of every kind find their series, from the archive's folders and from real collections."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.dates import now_ms
from data.files import importer
from data.files.importer import Imported, Labels, Refused, files_in, import_file, import_files
from data.kinds import AGG_TRADES, BOOK_DEPTH, FUNDING, MARK, METRICS, Kind
from data.manifest import Series, read_manifest
from data.store import every_series, load_arrays
from data.writer import SeriesWriter
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023, binance_csv, zipped
from tests.data.test_kinds import TEXTS

NOW = JAN_2023 + 500 * DAY_MS
LEFT_OUT = "the exchange leaves out those of its insurance fund and of ADL"
TRADES = "BTCUSDT-aggTrades-2023-01.csv"


def put(folder: Path, place: str, text: str | bytes) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(zipped(path.name, raw) if path.suffix == ".zip" else raw)
    return path


def trade(agg_id: int, after_ms: int, price: str = "16500.1", first: int | None = None) -> str:
    first = agg_id * 10 if first is None else first
    return f"{agg_id},{price},0.5,{first},{first + 1},{JAN_2023 + after_ms},true"


def test_a_tree_of_the_archive_goes_into_its_series(tmp_path: Path, hourly: Candles) -> None:
    um, spot = "data/futures/um", "data/spot"
    january, february = hourly.slice(0, 31 * 24), hourly.slice(31 * 24, 32 * 24)
    spot_trade = f"1,16500.1,0.5,7,8,{JAN_2023}123456,True,True\n"
    files: dict[str, str | bytes] = {
        f"{um}/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01.zip": binance_csv(january),
        f"{um}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-02-01.zip": binance_csv(february, True),
        f"{um}/daily/klines/BTCUSDT_230331/1h/BTCUSDT_230331-1h-2023-02-01.zip": binance_csv(
            february
        ),
        f"{um}/monthly/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2023-01.zip": TEXTS[MARK],
        f"{um}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2023-01.zip": TEXTS[FUNDING],
        f"{um}/daily/metrics/BTCUSDT/BTCUSDT-metrics-2023-01-01.zip": TEXTS[METRICS],
        f"{um}/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2023-01-01.zip": TEXTS[BOOK_DEPTH],
        f"{um}/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-01-01.zip": TEXTS[AGG_TRADES],
        f"{spot}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-02-01.zip": binance_csv(
            february, microseconds=True
        ),
        f"{spot}/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-01-01.zip": spot_trade,
    }
    for place, text in files.items():
        path = put(tmp_path, place, text)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    put(tmp_path, f"{um}/daily/indexPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2023-01-01.zip", "1")
    put(tmp_path, "data/futures/cm/daily/klines/BTCUSD_PERP/1h/x-1h.zip", binance_csv(february))
    results = list(import_files(tmp_path / "store", files_in([tmp_path]), Labels(), NOW))
    refused = [r.message for r in results if isinstance(r, Refused)]
    assert len(refused) == 2
    assert "belongs to the market 'cm'" in refused[0]
    assert "holds indexPriceKlines, which is not stored" in refused[1]
    stored = {str(s.series): s.rows for s in every_series(tmp_path / "store")}
    assert stored == {
        "BTCUSDT spot 1h": 24,
        "BTCUSDT spot aggTrades": 1,
        "BTCUSDT um 1h": 32 * 24,
        "BTCUSDT um mark 1h": 1,
        "BTCUSDT um aggTrades": 2,
        "BTCUSDT um funding": 2,
        "BTCUSDT um metrics": 2,
        "BTCUSDT um bookDepth": 2,
        "BTCUSDT_230331 um 1h": 24,
    }


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.name)
def test_the_name_tells_the_kind_without_folders(tmp_path: Path, kind: Kind) -> None:
    name = {MARK: "BTCUSDT-um-1h-mark.csv"}.get(kind, f"BTCUSDT-{kind.archive}-2023-01.csv")
    done = import_file(tmp_path / "s", put(tmp_path, name, TEXTS[kind]), Labels(), NOW)
    timeframe = "1h" if kind is MARK else ""
    assert done.series == Series("um", "BTCUSDT", timeframe, kind.name)


def test_many_small_files_of_a_month_are_committed_together(
    tmp_path: Path, hourly: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(60):
        part = hourly.slice(24 * i, 24 * (i + 1))
        day = str(np.datetime64("2023-01-01") + i)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            put(tmp_path / "in", f"{symbol}-1h-{day}.zip", binance_csv(part, header=True))
    commits = []
    commit = SeriesWriter._commit

    def counted(self: SeriesWriter, *files: Any) -> None:
        commits.append(files)
        commit(self, *files)

    monkeypatch.setattr(SeriesWriter, "_commit", counted)
    results = list(import_files(tmp_path / "s", files_in([tmp_path / "in"]), Labels(), NOW))
    assert [isinstance(r, Imported) and r.merge.added for r in results] == [24] * 120
    assert len(commits) == 2
    files = read_manifest(Series("um", "ETHUSDT", "1h").folder(tmp_path / "s")).files
    assert [len(f.sources) for f in files] == [31, 28, 1]


def test_a_file_refused_by_the_store_refuses_those_stored_with_it(
    tmp_path: Path, hourly: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2):
        part = hourly.slice(24 * day - 24, 24 * day)
        put(tmp_path / "in", f"BTCUSDT-1h-2023-01-0{day}.zip", binance_csv(part, header=True))

    def held(*_: object) -> None:
        raise WickError("process 1 is writing", "wait")

    monkeypatch.setattr(importer, "writing", held)
    results = list(import_files(tmp_path / "s", files_in([tmp_path / "in"]), Labels(), NOW))
    assert [r.message for r in results if isinstance(r, Refused)] == ["process 1 is writing"] * 2


def test_repeated_disordered_and_missing_trades_are_mended_and_counted(tmp_path: Path) -> None:
    lines = [
        trade(1, 100),
        trade(2, 200),
        trade(7, DAY_MS + 5),
        trade(3, 150),
        trade(2, 200),
        trade(9, DAY_MS + 7, "16500.2"),
        trade(9, DAY_MS + 7, "16500.3"),
    ]
    path = put(tmp_path, TRADES, "\n".join(lines))
    done = import_file(tmp_path / "s", path, Labels(market="um"), NOW)
    assert done.notes == (
        "rows were out of order and have been sorted",
        "2 repeated rows dropped, 1 of them differed: the later row was kept",
        f"4 ids of aggregate trades are missing, in 2 places; {LEFT_OUT}",
    )
    arrays = load_arrays(tmp_path / "s", done.series)
    assert arrays["agg_id"].tolist() == [1, 3, 2, 7, 9]
    assert arrays["price"][-1] == 16500.3


@pytest.mark.parametrize(
    ("stamps", "rates", "kept", "note"),
    [
        ((0, 7), "12", (7, 0.0002), "1 repeated row dropped, 1 of them differed"),
        ((7, 0), "12", (0, 0.0002), "1 repeated row dropped, 1 of them differed"),
        ((3, 59_000), "11", (59_000, 0.0001), "1 repeated row dropped"),
    ],
)
def test_funding_rates_of_one_minute_are_one_payment(
    tmp_path: Path, stamps: tuple[int, int], rates: str, kept: tuple[int, float], note: str
) -> None:
    lines = [f"{JAN_2023 + t},8,0.000{r}" for t, r in zip(stamps, rates, strict=True)]
    text = "\n".join(["calc_time,funding_interval_hours,last_funding_rate", *lines])
    path = put(tmp_path, "BTCUSDT-fundingRate-2023-01.csv", f"{text}\n{JAN_2023 + DAY_MS},8,0.3")
    done = import_file(tmp_path / "s", path, Labels(), NOW)
    assert (done.rows, done.merge.added) == (2, 2)
    assert done.notes[0].removesuffix(": the later row was kept") == note
    arrays = load_arrays(tmp_path / "s", done.series)
    assert (arrays["time"][0] - JAN_2023, arrays["rate"][0]) == kept


def test_trades_split_over_pieces_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [trade(i, i * 40_000) for i in range(5_000)]
    # One of the first day comes last, when that day is laid down already.
    text = "\n".join([*lines[:7], *lines[8:], lines[7]])
    import_file(tmp_path / "a", put(tmp_path, TRADES, text), Labels(market="um"), NOW)
    monkeypatch.setattr("data.files.csv_rows._BLOCK_BYTES", 1 << 12)
    import_file(tmp_path / "b", put(tmp_path, TRADES, text), Labels(market="um"), NOW)
    its = Series("um", "BTCUSDT", "", "aggTrades")
    a, b = (load_arrays(tmp_path / store, its) for store in "ab")
    assert a["agg_id"].tolist() == list(range(5_000))
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (trade(5_000, 0, "-1"), "line 5001: price -1.0 is below zero"),
        (trade(5_000, 0, "nan"), "line 5001: price is missing or NaN"),
        (trade(5_000, 0, "abc"), "line 5001: price is 'abc', expected a number"),
        ("5000,1,1,9,8,1672531200000,true", "line 5001: last_id 8 is before the first one"),
        ("5000,1,1,9", "is not a table"),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".zip", ".csv.gz"])
def test_a_bad_trade_behind_good_days_leaves_nothing(
    tmp_path: Path, line: str, sentence: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.files.csv_rows._BLOCK_BYTES", 1 << 12)
    text = "\n".join([*(trade(i, i * 40_000) for i in range(5_000)), line]).encode()
    raw = gzip.compress(text) if ending == ".csv.gz" else text
    path = put(tmp_path, TRADES.replace(".csv", ending), raw)
    with pytest.raises(WickError, match=sentence):
        import_file(tmp_path / "s", path, Labels(market="um"), NOW)
    assert not (tmp_path / "s").exists()


def test_a_zip_of_trades_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    text = "\n".join(trade(i, i * 40_000) for i in range(5_000))
    path = put(tmp_path, TRADES.replace(".csv", ".zip"), text)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x55
    path.write_bytes(raw)
    with pytest.raises(WickError, match=r"is not a whole zip file|is not a table|is no time|line"):
        import_file(tmp_path / "s", path, Labels(market="um"), NOW)
    assert not (tmp_path / "s").exists()


def test_a_coin_margined_symbol_is_not_taken_for_one_in_dollars(tmp_path: Path) -> None:
    path = put(tmp_path, "BTCUSD-fundingRate-2023-01.csv", TEXTS[FUNDING])
    with pytest.raises(WickError, match="cannot tell the market of BTCUSD-funding"):
        import_file(tmp_path / "s", path, Labels(), NOW)


def test_an_unreadable_file_is_refused_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(WickError, match=r"loop\.csv cannot be read: Too many levels"):
        import_file(tmp_path / "s", tmp_path / "loop.csv", Labels(), NOW)


REAL: dict[str, tuple[Labels, int, int]] = {
    "klines": (Labels(), 24, 0),
    "funding": (Labels(), 8, 0),
    "raw/houssamboudiar__freqtrade": (Labels(), 3, 0),
    "raw/timealiver__BinanceDataGetter": (Labels(market="spot"), 157, 0),
    "raw/owlacar-dotcom__isda": (Labels(), 2, 0),
    "raw/typhonun__DcaTpStrategy": (Labels(), 1, 0),
    "raw/nkululeko96__trading-showcase": (Labels(), 2, 0),
    # Streams of another program's own form, and prices of another exchange's.
    "raw/DanielLasota__Binance-Data-Processor": (Labels(), 0, 4),
    "raw/QuantConnect__Lean": (Labels(), 0, 10),
}


@pytest.mark.parametrize("folder", REAL)
def test_real_collections_are_understood_or_refused(
    tmp_path: Path, shared_data: Path, folder: str
) -> None:
    labels, understood, refused = REAL[folder]
    files = files_in([shared_data / folder])
    results = list(import_files(tmp_path, files, labels, now_ms()))
    bad = [r for r in results if isinstance(r, Refused)]
    assert (len(results) - len(bad), len(bad)) == (understood, refused), bad
    assert all("\n" not in r.message for r in bad)
    good = [r for r in results if isinstance(r, Imported)]
    assert sum(s.rows for s in every_series(tmp_path)) == sum(r.merge.added for r in good)


def test_a_real_feather_of_freqtrade_equals_what_was_made_of_it(
    tmp_path: Path, shared_data: Path
) -> None:
    (feather,) = (shared_data / "raw/typhonun__DcaTpStrategy").rglob("*.feather")
    parquet = shared_data / "klines/BTCUSDT-um-1m-202505-202506-ohlcv.parquet"
    import_file(tmp_path, feather, Labels(), now_ms())
    done = import_file(tmp_path, parquet, Labels(), now_ms())
    assert (done.merge.identical, done.merge.replaced) == (43_199, 0)


def test_funding_of_two_real_sources_is_one_history(tmp_path: Path, shared_data: Path) -> None:
    """One cuts the milliseconds of the stamps off, the other keeps them."""
    names = ("BTCUSDT-um-funding", "BTCUSDT-um-funding-msjitter-2023-2025")
    for name in names:
        path = shared_data / "funding" / f"{name}.parquet"
        done = import_file(tmp_path, path, Labels(), now_ms())
    assert (done.merge.added, done.merge.identical, done.merge.replaced) == (0, 3_212, 0)
    assert len(load_arrays(tmp_path, done.series)["time"]) == 7_323
