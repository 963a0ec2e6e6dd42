"""wick data show: what is stored of every kind, and its plot."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checking.bars import MOST, bars_of, length_for, points_of
from data.checking.look import look_at, origin
from data.gaps import OUTAGE, Entry, record
from data.manifest import Series, Source
from data.settings import load_settings
from data.writer import save, writing
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023, run
from tests.data.mending import from_archive, without

HOURLY = Series("um", "BTCUSDT", "1h")
FUNDING = Series("um", "BTCUSDT", "", "funding")
MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the default store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WICK_STORE", raising=False)
    return tmp_path


def store_funding(store: Path) -> None:
    table = pa.table({"time": JAN_2023 + np.arange(9) * 28_800_000, "rate": np.arange(9) * 1e-5})
    with writing(store, FUNDING) as writer:
        writer.add(table, Source("REST 2023-02-01", "0" * 64))


def test_columns_that_only_one_end_of_a_series_has_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The archive knows the interval of a payment, REST its mark price."""
    store = load_settings().store
    times = JAN_2023 + np.arange(9) * 28_800_000
    rates = np.arange(9) * 1e-5
    with writing(store, FUNDING) as writer:
        early = {"time": times, "rate": rates, "interval_hours": np.full(9, 8)}
        writer.add(pa.table(early), Source("BTCUSDT-fundingRate-2023-01.zip", "0" * 64))
        late = {"time": times + 40 * DAY_MS, "rate": rates, "mark_price": np.full(9, 16_500.25)}
        writer.add(pa.table(late), Source("REST 2023-02-20", "0" * 64))
    assert run("data", "show", "BTCUSDT") == 0
    said = capsys.readouterr().out
    assert "interval_hours" in said
    assert "16,500.25" in said
    assert "?" in said
    assert run("data", "show", "BTCUSDT", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["head"][0]["mark_price"] is None
    assert shown["tail"][-1]["interval_hours"] is None


def test_all_kinds_are_listed(hourly: Candles, capsys: pytest.CaptureFixture[str]) -> None:
    store = load_settings().store
    save(store, hourly, "test")
    store_funding(store)
    assert run("data", "show") == 0
    said = capsys.readouterr().out
    assert "BTCUSDT um 1h" in said
    assert "BTCUSDT um funding" in said
    assert run("data", "show", "--kind", "funding", "--json") == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert only["rows"] == 9


def test_a_kind_shows_its_own_columns_and_where_it_came_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_funding(load_settings().store)
    assert run("data", "show", "BTCUSDT") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("BTCUSDT um funding: 9 funding rates in 1 file")
    assert lines[1] == "2023-01-01 00:00 to 2023-01-03 16:00 UTC; from REST"
    assert lines[4].split() == ["time", "(UTC)", "rate"]
    assert lines[8].split() == ["…"]
    assert lines[-1].split() == ["2023-01-03", "16:00", "8e-05"]


def test_holes_are_shown_by_cause_and_coverage_by_month(
    hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    store = load_settings().store
    folder = from_archive(store, without(hourly, 10, 11, 12, 900))
    at = [int(hourly.open_time[row]) for row in (10, 12)]
    record(folder, HOURLY, [Entry(at[0], at[1], 3, OUTAGE, asked_ms=1)])
    assert run("data", "show", "BTCUSDT") == 0
    said = capsys.readouterr().out
    assert "missing by cause: exchange outage 3, unknown 1" in said
    assert "from 3 files of the archive" in said
    assert "2023  99.5  99.8    ·" in said
    assert max(map(len, said.splitlines())) <= 110
    shown = look_at(store, HOURLY)
    assert shown.sources == {"archive": 3}
    assert [share.present for share in shown.coverage] == [741, 671, 744]


def test_a_source_is_told_by_its_name() -> None:
    assert origin(HOURLY, "BTCUSDT-1h-2023-01.zip") == "archive"
    assert origin(HOURLY, "BTCUSDT-1h-2023-01-31.zip") == "archive"
    assert origin(HOURLY, "BTCUSDT-15m-2023-01.zip") == "import"
    assert origin(HOURLY, "REST 2023-01-31") == "REST"
    assert origin(HOURLY, "aggTrades/2023-01-31.parquet") == "trades"
    assert origin(FUNDING, "BTCUSDT-fundingRate-2023-01.zip") == "archive"


def test_a_plot_is_written_where_it_is_said(
    folder: Path, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    save(load_settings().store, hourly, "test")
    assert run("data", "show", "BTCUSDT", "--plot") == 0
    assert capsys.readouterr().out == "BTCUSDT um 1h: BTCUSDT-um-1h.html\n"
    assert run("data", "show", "BTCUSDT", "--plot", "--output", "mine.html") == 0
    pages = [(folder / name).read_text() for name in ("BTCUSDT-um-1h.html", "mine.html")]
    assert "2,160 rows, in bars of 2h" in pages[0]
    assert "http" not in pages[1].split("<body>")[0].replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--plot"], "--plot draws one symbol, none is named"),
        (["BTCUSDT", "--output", "a.html"], "--output is for --plot"),
        (["BTCUSDT", "--plot", "--output", "a.html"], "the plot of one series, here are 2"),
        (["BTCUSDT", "--kind", "fundin"], "unknown kind 'fundin'"),
        (["BTCUSDT", "--kind", "mark"], "BTCUSDT um mark 1m is not in the store"),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str], sentence: str, hourly: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    save(load_settings().store, hourly, "test")
    store_funding(load_settings().store)
    assert run("data", "show", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert sentence in lines[0]


@given(
    st.integers(1, 3000),
    st.sampled_from([1, 3, 7, 60, 1440]),
    st.integers(2, 300),
    st.integers(0, 2**31),
)
def test_bars_keep_what_their_candles_say(count: int, minutes: int, longer: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    price = chance.uniform(1, 2, (4, count))
    opens = np.sort(chance.choice(4 * count, count, replace=False)) * minutes * MINUTE_MS
    names = ("open", "high", "low", "close")
    candles = {"open_time": opens, **dict(zip(names, price, strict=True)), "volume": price[0]}
    length = longer * minutes * MINUTE_MS
    bars = bars_of(candles, length)
    assert np.all(np.diff(bars["open_time"]) >= length)
    assert np.all(bars["open_time"] % length == 0)
    assert np.isclose(bars["volume"].sum(), candles["volume"].sum())
    assert (bars["high"].max(), bars["low"].min()) == (price[1].max(), price[2].min())
    assert (bars["open"][0], bars["close"][-1]) == (price[0][0], price[3][-1])


@given(st.integers(1, 20 * 365 * DAY_MS), st.sampled_from([1, 3, 7, 60, 240, 1440, 10080]))
def test_a_bar_is_long_enough_and_made_of_whole_candles(span_ms: int, minutes: int) -> None:
    base = minutes * MINUTE_MS
    length = length_for(span_ms, base)
    assert length % base == 0
    assert span_ms / length <= MOST


def test_points_are_few_and_end_with_the_last() -> None:
    times = np.arange(100_000) * 300_000
    x, y = points_of(times, times)
    assert len(x) <= MOST + 1
    assert (x[-1], y[-1]) == (times[-1], times[-1])
