"""A file whose names, folders and rows contradict each other is refused, unless a flag decides."""

import io
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.files.importer import Labels, import_file
from data.kinds import AGG_TRADES, FUNDING
from data.manifest import Series
from data.table import table_of
from strategy.candles import Candles
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023, binance_csv
from tests.data.test_kinds import TEXTS

NOW = JAN_2023 + 500 * DAY_MS
TRADES = f"1,16500.1,0.5,7,8,{JAN_2023},true\n"


def put(folder: Path, place: str, raw: bytes) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def packed(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return sink.getvalue()


def refused(tmp_path: Path, path: Path, labels: Labels) -> WickError:
    with pytest.raises(WickError) as error:
        import_file(tmp_path / "store", path, labels, NOW)
    assert not (tmp_path / "store").exists()
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize(
    ("name", "member", "what"),
    [
        ("ETHUSDT-1h-2023-01-01.zip", "BTCUSDT-1h-2023-01-01.csv", "symbol"),
        ("renamed-ETHUSDT-1h.zip", "BTCUSDT-1h-2023-01-01.csv", "symbol"),
        ("USDTTRY-1h-2023-01-01.zip", "BTCTRY-1h-2023-01-01.csv", "symbol"),
        ("BTCUSDT-1h-2023-01-01.zip", "BTCUSDT-5m-2023-01-01.csv", "timeframe"),
        ("BTCUSDT-1h-2023-01-01.zip", "in/a/folder/BTCUSDT-1h-2023-01-02.csv", "period"),
        ("BTCUSDT-1h-2023-01-01.zip", "BTCUSDT-metrics-2023-01-01.csv", "kind"),
    ],
)
def test_a_zip_whose_csv_is_named_for_something_else_is_refused(
    tmp_path: Path, hourly: Candles, name: str, member: str, what: str
) -> None:
    day = binance_csv(hourly.slice(0, 24), header=True)
    path = put(tmp_path, name, packed({member: day}))
    error = refused(tmp_path, path, Labels())
    inner = member.rpartition("/")[2]
    assert error.message == f"{name} holds {inner}, which is named for another {what}"
    assert ("--" in error.hint) == (what != "period")


def test_a_zip_of_trades_named_for_another_symbol_is_refused(tmp_path: Path) -> None:
    name, member = "ETHUSDT-aggTrades-2023-01-01.zip", "BTCUSDT-aggTrades-2023-01-01.csv"
    path = put(tmp_path, name, packed({member: TRADES.encode()}))
    error = refused(tmp_path, path, Labels(market="um"))
    assert error.message == f"{name} holds {member}, which is named for another symbol"
    done = import_file(tmp_path / "store", path, Labels("ETHUSDT", "um"), NOW)
    assert done.series == Series("um", "ETHUSDT", "", "aggTrades")


def test_shadows_that_macos_packs_are_no_csv(tmp_path: Path, hourly: Candles) -> None:
    name = "BTCUSDT-1h-2023-01-01.csv"
    shadows = {f"__MACOSX/._{name}": b"Mac OS X", f"._{name}": b"Mac OS X", "__MACOSX/a.csv": b"a"}
    raw = packed({name: binance_csv(hourly.slice(0, 24))} | shadows)
    path = put(tmp_path, name.replace(".csv", ".zip"), raw)
    assert import_file(tmp_path / "store", path, Labels(market="um"), NOW).rows == 24


@pytest.mark.parametrize(
    ("place", "sentence", "labels"),
    [
        (
            "data/futures/um/daily/klines/ETHUSDT/1h/BTCUSDT-1h-2023-01-01.csv",
            "names the symbol BTCUSDT, but lies in the archive's folders of ETHUSDT",
            Labels(symbol="BTCUSDT"),
        ),
        (
            "data/futures/um/daily/klines/BTCUSDT/5m/BTCUSDT-1h-2023-01-01.csv",
            "names the timeframe 1h, but lies in the archive's folders of 5m",
            Labels(timeframe="1h"),
        ),
        (
            "data/spot/daily/klines/BTCUSDT/1h/futures-BTCUSDT-1h-2023-01-01.csv",
            "names the market um, but lies in the archive's folders of spot",
            Labels(market="um"),
        ),
    ],
)
def test_folders_that_contradict_the_name_are_refused_but_a_flag_wins(
    tmp_path: Path, hourly: Candles, place: str, sentence: str, labels: Labels
) -> None:
    path = put(tmp_path, place, binance_csv(hourly.slice(0, 24)))
    error = refused(tmp_path, path, Labels())
    assert error.message == f"{path.name} {sentence}"
    assert error.hint.startswith("add --")
    done = import_file(tmp_path / "store", path, labels, NOW)
    assert done.series == Series("um", "BTCUSDT", "1h")


def test_two_symbols_in_a_name_are_told_apart_by_the_flag(tmp_path: Path, hourly: Candles) -> None:
    day = binance_csv(hourly.slice(0, 24))
    for name in ("BTCUSDT_ETHUSDT-1h.csv", "ETHUSDT_230101-1h.csv"):
        path = put(tmp_path, name, day)
        done = import_file(tmp_path / "store", path, Labels("ETHUSDT", "um"), NOW)
        assert done.series == Series("um", "ETHUSDT", "1h")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("BTCUSDT-1h-2023-01-02.csv", "2023-01-01 00:00"),
        ("BTCUSDT-1h-2023-02.csv", "2023-01-01 00:00"),
        ("BTCUSDT-1h-2023-01-01.csv", "2023-01-02 00:00"),
    ],
)
def test_rows_of_another_day_or_month_than_the_name_says_are_refused(
    tmp_path: Path, hourly: Candles, name: str, first: str
) -> None:
    path = put(tmp_path, name, binance_csv(hourly.slice(0, 48)))
    error = refused(tmp_path, path, Labels(market="um"))
    assert error.message == f"{name} holds candles of {first} UTC, not of its own time"
    renamed = path.rename(tmp_path / "BTCUSDT-1h.csv")
    assert import_file(tmp_path / "store", renamed, Labels(market="um"), NOW).rows == 48


def test_a_part_of_a_misnamed_file_is_taken_with_a_range(tmp_path: Path, hourly: Candles) -> None:
    path = put(tmp_path, "BTCUSDT-1h-2023-01-01.csv", binance_csv(hourly.slice(0, 48)))
    labels = Labels(market="um", start_ms=JAN_2023, end_ms=JAN_2023 + DAY_MS)
    assert import_file(tmp_path / "store", path, labels, NOW).rows == 24


def test_trades_and_funding_of_another_time_than_the_name_says_are_refused(tmp_path: Path) -> None:
    day = put(tmp_path, "BTCUSDT-aggTrades-2023-01-02.csv", TRADES.encode())
    error = refused(tmp_path, day, Labels(market="um"))
    assert "holds aggregate trades of 2023-01-01 00:00 UTC, not of its own time" in error.message
    month = put(tmp_path, "BTCUSDT-fundingRate-2023-02.csv", TEXTS[FUNDING].encode())
    assert "holds funding rates of 2023-01-01" in refused(tmp_path, month, Labels()).message


def test_a_name_that_is_no_date_says_nothing_of_the_time(tmp_path: Path, hourly: Candles) -> None:
    path = put(tmp_path, "BTCUSDT-1h-2023-02-30.csv", binance_csv(hourly.slice(0, 48)))
    assert import_file(tmp_path / "store", path, Labels(market="um"), NOW).rows == 48


@pytest.mark.parametrize("name", ["BTCUSDT-spot-futures-1h.csv", "um_spot_BTCUSDT_1h.csv"])
def test_two_markets_in_a_name_are_refused_but_a_flag_wins(
    tmp_path: Path, hourly: Candles, name: str
) -> None:
    path = put(tmp_path, name, binance_csv(hourly))
    error = refused(tmp_path, path, Labels())
    assert error.message == f"{name} names the markets spot, um"
    assert error.hint == "add --market with the right one"
    done = import_file(tmp_path / "store", path, Labels(market="spot"), NOW)
    assert done.series.market == "spot"


SPOT, FUTURES = "data/spot/daily", "data/futures/um/daily"
OF_BOTH = "BTCUSDT-1h-2023-01-01.csv is of the market {} by its name or folders, and of {} by what"


@pytest.mark.parametrize(
    ("folder", "header", "microseconds", "told", "inside"),
    [(SPOT, True, False, "spot", "um"), (FUTURES, False, True, "um", "spot")],
)
def test_candles_that_are_those_of_another_market_than_their_folders_are_refused(
    tmp_path: Path,
    hourly: Candles,
    folder: str,
    header: bool,
    microseconds: bool,
    told: str,
    inside: str,
) -> None:
    """Only futures have the archive's header, only spot has microseconds."""
    text = binance_csv(hourly.slice(0, 24), header, microseconds)
    path = put(tmp_path, f"{folder}/klines/BTCUSDT/1h/BTCUSDT-1h-2023-01-01.csv", text)
    error = refused(tmp_path, path, Labels())
    assert error.message == OF_BOTH.format(told, inside) + " is inside"
    done = import_file(tmp_path / "store", path, Labels(market=inside), NOW)
    assert done.series.market == inside


@pytest.mark.parametrize(
    ("folder", "text"),
    [(SPOT, TEXTS[AGG_TRADES]), (FUTURES, TRADES.replace("true\n", "true,true\n"))],
)
def test_trades_that_are_those_of_another_market_are_refused(
    tmp_path: Path, folder: str, text: str
) -> None:
    place = f"{folder}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-01-01.csv"
    error = refused(tmp_path, put(tmp_path, place, text.encode()), Labels())
    assert "by its name or folders, and of" in error.message


def test_a_header_of_futures_over_times_of_spot_tells_no_market(
    tmp_path: Path, hourly: Candles
) -> None:
    text = binance_csv(hourly, header=True, microseconds=True)
    error = refused(tmp_path, put(tmp_path, "BTCUSDT-1h.csv", text), Labels())
    assert error.message.startswith("cannot tell the market of BTCUSDT-1h.csv")


def test_a_header_of_twelve_other_words_tells_no_market(tmp_path: Path, hourly: Candles) -> None:
    """As exports of spot and futures alike name them."""
    words = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades"
    text = f"{words},Taker buy base asset volume,Taker buy quote asset volume,Ignore\n"
    path = put(tmp_path, "BTCUSDT-1h.csv", text.encode() + binance_csv(hourly))
    assert refused(tmp_path, path, Labels()).hint == "add --market um or --market spot"


@pytest.mark.parametrize("header", [False, True])
def test_volumes_of_a_mark_price_are_refused_but_a_flag_wins(
    tmp_path: Path, hourly: Candles, header: bool
) -> None:
    traded = binance_csv(hourly.slice(0, 24), header)
    place = f"{FUTURES}/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2023-01-01.csv"
    path = put(tmp_path, place, traded)
    error = refused(tmp_path, path, Labels())
    assert error.message == f"{path.name} holds volumes above 0, and mark prices have none"
    assert error.hint == "--kind klines if these are candles of what was traded"
    done = import_file(tmp_path / "store", path, Labels(kind="klines"), NOW)
    assert done.series == Series("um", "BTCUSDT", "1h")
    plain = put(tmp_path, "BTCUSDT-1h.csv", traded)
    with pytest.raises(WickError, match="holds volumes above 0, and mark prices have none"):
        import_file(tmp_path / "store", plain, Labels(kind="mark"), NOW)
    marks = binance_csv(hourly.slice(0, 24), header, mark=True)
    done = import_file(tmp_path / "store", put(tmp_path, place, marks), Labels(), NOW)
    assert (done.series, done.rows) == (Series("um", "BTCUSDT", "1h", "mark"), 24)


def test_volumes_of_a_mark_price_in_a_table_are_refused(tmp_path: Path, hourly: Candles) -> None:
    pq.write_table(table_of(hourly), tmp_path / "BTCUSDT-1h-mark.parquet")
    error = refused(tmp_path, tmp_path / "BTCUSDT-1h-mark.parquet", Labels())
    assert "holds volumes above 0" in error.message
