"""Whatever bytes a file holds, it is understood or refused in one sentence, and never half."""

import gzip
import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.files.importer import Labels, import_file
from data.files.parse import ENDINGS
from data.kinds import KINDS
from data.store import every_series
from data.synthetic import synthetic_market
from data.table import table_of
from strategy.errors import WickError
from tests.data.conftest import DAY_MS, JAN_2023, binance_csv, zipped

HOURLY = synthetic_market(7, 1440, JAN_2023, "1h", symbol="BTCUSDT")
LABELS = st.builds(
    Labels,
    st.just("BTCUSDT"),
    st.just("um"),
    st.none() | st.just("1h"),
    kind=st.none() | st.sampled_from(list(KINDS)),
)
TRADES = (
    b"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    b"26129,16537.50,0.120,27781,27783,1672531200123,true\n"
    b"26130,16537.60,1.500,27784,27784,1672617599999,false\n"
)


def whole(ending: str) -> bytes:
    """Write a good file of an ending."""
    text, sink = binance_csv(HOURLY, header=True), io.BytesIO()
    if ending == ".zip":
        return zipped("x.zip", text)
    if ending == ".csv.gz":
        return gzip.compress(text, mtime=0)
    if ending == ".parquet":
        pq.write_table(table_of(HOURLY), sink)
    elif ending == ".feather":
        pyarrow.feather.write_feather(table_of(HOURLY), sink)
    elif ending == ".arrow":
        with pa.ipc.new_stream(sink, table_of(HOURLY).schema) as writer:
            writer.write_table(table_of(HOURLY))
    return sink.getvalue() or text


def understood_or_refused(name: str, raw: bytes, labels: Labels) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder) / name, Path(folder) / "store"
        path.write_bytes(raw)
        try:
            done = import_file(store, path, labels, JAN_2023 + 500 * DAY_MS)
        except WickError as error:
            assert "\n" not in error.message
            assert error.hint
            assert not store.exists()
            return False
        assert sum(s.rows for s in every_series(store)) == done.rows
        return True


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(ENDINGS), LABELS)
def test_any_bytes(raw: bytes, ending: str, labels: Labels) -> None:
    understood_or_refused(f"x{ending}", raw, labels)


CELLS = st.sampled_from(
    "0 1 1.5 -1 1672531200000 1672531200 1e13 nan inf true x 2023-01-01 00:00:00 , ; \t ".split(" ")
) | st.text(max_size=4)
HEADERS = st.sampled_from(
    "open_time open high low close volume time date symbol tickvol price qty rate calc_time".split()
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(HEADERS | CELLS, max_size=9),
    st.lists(st.lists(CELLS, max_size=9), max_size=4),
    st.sampled_from(",;\t"),
    LABELS,
)
def test_any_table_of_text(
    header: list[str], rows: list[list[str]], separator: str, labels: Labels
) -> None:
    text = "\n".join(separator.join(row) for row in [header, *rows])
    understood_or_refused("x.csv", text.encode("utf-8", "surrogatepass"), labels)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_good_file_with_bytes_changed_or_cut_off(ending: str, data: st.DataObject) -> None:
    raw = bytearray(whole(ending))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))]
    understood_or_refused(f"x{ending}", bytes(raw), Labels("BTCUSDT", "um", "1h"))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_trades_with_bytes_changed_or_cut_off(data: st.DataObject) -> None:
    raw = bytearray(TRADES)
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    understood_or_refused("BTCUSDT-aggTrades-x.csv", cut, Labels("BTCUSDT", "um"))
    understood_or_refused("BTCUSDT-aggTrades-x.zip", zipped("x.zip", cut), Labels("BTCUSDT", "um"))


def test_the_good_files_are_understood() -> None:
    for ending in ENDINGS:
        assert understood_or_refused(f"x{ending}", whole(ending), Labels("BTCUSDT", "um", "1h"))
    assert understood_or_refused("BTCUSDT-aggTrades-x.csv", TRADES, Labels())
