"""Best bids and asks of the archive become minutes with their mean half spread."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.archive_names import archive_name
from data.files.importer import Labels, import_file
from data.files.parse import parse
from data.files.quotes import minutes_of
from data.kinds import QUOTES, known_kind
from data.manifest import Series, read_manifest
from data.store import load_arrays
from strategy.errors import WickError
from tests.data.conftest import JAN_2023

HEADER = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
)
SERIES = Series("um", "BTCUSDT", "", "quotes")
NOW = 1_800_000_000_000
RECORDED = "raw/nkaz001__hftbacktest/examples/usdm/btcusdt_20240808.gz"


def line(time: int, bid: str, ask: str) -> str:
    """Write a row as the archive does, with the time in ms after the first of 2023."""
    return f"1,{bid},2.5,{ask},0.7,{JAN_2023 + time},{JAN_2023 + time + 5}"


def text(*lines: str, header: bool = True) -> bytes:
    return "\n".join([*([HEADER] if header else []), *lines, ""]).encode()


def table(*quotes: tuple[int, float, float]) -> pa.Table:
    times, bid, ask = zip(*quotes, strict=True)
    return pa.table({"time": pa.array(times), "bid": pa.array(bid), "ask": pa.array(ask)})


def test_a_minute_has_its_last_quote_and_the_half_spread_weighted_by_time() -> None:
    # 99 / 101 stands 30 s: half of 2 by 200 is 0.01. Then 99.5 / 100.5: 0.005. The second minute
    # begins with that one, 15 s, and ends with 98 / 102, 0.02, known until 45 s.
    made = minutes_of(
        [
            table(
                (0, 99.0, 101.0),
                (30_000, 99.5, 100.5),
                (75_000, 98.0, 102.0),
                (105_000, 98.0, 102.0),
            )
        ],
        None,
    )
    assert made["time"].to_pylist() == [0, 60_000]
    assert made["bid"].to_pylist() == [99.5, 98.0]
    assert made["ask"].to_pylist() == [100.5, 102.0]
    first = (30 * 0.01 + 30 * 0.005) / 60
    second = (15 * 0.005 + 30 * 0.02) / 45
    assert made["half"].to_pylist() == pytest.approx([first, second], rel=1e-12)


def test_a_minute_without_a_quote_has_no_row() -> None:
    made = minutes_of([table((10, 99.0, 101.0), (180_010, 99.0, 101.0))], None)
    assert made["time"].to_pylist() == [0, 180_000]
    assert made["half"].to_pylist() == [0.01, 0.01]


def test_quotes_without_two_sides_or_of_another_day_are_left_out() -> None:
    its = archive_name("BTCUSDT-bookTicker-2023-01-01.zip")
    made = minutes_of(
        [
            table(
                (JAN_2023 - 5, 1.0, 2.0),
                (JAN_2023, 99.0, 101.0),
                (JAN_2023 + 1, 0.0, 101.0),
                (JAN_2023 + 2, 102.0, 101.0),
            )
        ],
        its,
    )
    assert made.to_pylist() == [{"time": JAN_2023, "bid": 99.0, "ask": 101.0, "half": 0.01}]


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 50), st.integers(0, 9)), min_size=1),
    st.integers(1, 7),
)
def test_any_cutting_of_the_rows_gives_the_same_minutes(
    moves: list[tuple[int, int, int]], size: int
) -> None:
    time, quotes = 0, []
    for step, bid, wide in moves:
        time += step
        quotes.append((time, float(bid), float(bid + wide)))
    whole = minutes_of([table(*quotes)], None)
    pieces = [table(*quotes[at : at + size]) for at in range(0, len(quotes), size)]
    cut = minutes_of(pieces, None)
    for name in ("time", "bid", "ask"):
        assert cut[name].to_pylist() == whole[name].to_pylist()
    assert cut["half"].to_pylist() == pytest.approx(whole["half"].to_pylist(), rel=1e-12)
    low = min((ask - bid) / (ask + bid) for _, bid, ask in quotes)
    high = max((ask - bid) / (ask + bid) for _, bid, ask in quotes)
    assert all(low - 1e-12 <= half <= high + 1e-12 for half in whole["half"].to_pylist())


@pytest.mark.parametrize("header", [True, False])
def test_a_zip_of_the_archive_is_imported_as_minutes(tmp_path: Path, header: bool) -> None:
    rows = text(line(0, "99", "101"), line(70_000, "99.5", "100.5"), header=header)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("BTCUSDT-bookTicker-2023-01-01.csv", rows)
    path = tmp_path / "BTCUSDT-bookTicker-2023-01-01.zip"
    path.write_bytes(zipped.getvalue())
    done = import_file(tmp_path / "store", path, Labels(), NOW)
    assert (done.series, done.rows) == (SERIES, 2)
    assert "reduced to minutes" in done.layout
    arrays = load_arrays(tmp_path / "store", SERIES)
    assert arrays["time"].tolist() == [JAN_2023, JAN_2023 + 60_000]
    # The first one stood 60 s in its minute, and 10 s in the next.
    assert arrays["half"].tolist() == [0.01, 0.01]
    # Minutes that were written out come back as they are.
    back = pa.table({name: pa.array(values) for name, values in arrays.items()})
    again = tmp_path / "quotes.csv"
    pa.csv.write_csv(back, again)
    import_file(tmp_path / "again", again, Labels("BTCUSDT", "um", kind="quotes"), NOW)
    for name, values in load_arrays(tmp_path / "again", SERIES).items():
        assert values.tobytes() == arrays[name].tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (text(), "has a header but no rows"),
        (text(line(0, "0", "0")), "no quote with a bid and an ask above it"),
        (text(line(0, "1", "2"), line(0, "x", "2")), "is not a table"),
        (b"PK\x03\x04", "has no column time, bid, ask"),
    ],
)
def test_a_file_that_holds_no_quotes_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(WickError) as refusal:
        parse("BTCUSDT-bookTicker-2023-01-01.csv", content, QUOTES)
    assert words in refusal.value.message


@pytest.mark.parametrize(
    ("halves", "words"),
    [
        # 99.99 and 100.01 are 0.0001 from their mean: as percent, as basis points, as a price.
        ((0.01, 0.012, 0.011), "half 0.01 does not go with bid and ask"),
        ((1.0, 1.2, 1.1), "half 1.0 does not go with bid and ask"),
        ((0.0001, -0.0001, 0.0001), "half -0.0001 is no share such as 0.0001"),
        ((0.0, 0.0, 0.0001), "half 0.0 does not go with bid and ask"),
    ],
)
def test_half_spreads_that_contradict_their_quotes_are_refused(
    tmp_path: Path, halves: tuple[float, ...], words: str
) -> None:
    path = tmp_path / "quotes.csv"
    rows = [f"{JAN_2023 + at * 60_000},99.99,100.01,{half!r}" for at, half in enumerate(halves)]
    path.write_text("\n".join(["time,bid,ask,half", *rows]))
    labels = Labels("BTCUSDT", "um", kind="quotes")
    with pytest.raises(WickError) as refusal:
        import_file(tmp_path / "store", path, labels, NOW)
    assert words in refusal.value.message
    assert "quotes.csv" in refusal.value.message


def test_the_half_spread_of_one_minute_may_be_far_from_the_quote_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    halves = enumerate((0.0001, 0.05, 0.0001))
    rows = [f"{JAN_2023 + 60_000 * at},99.99,100.01,{half}" for at, half in halves]
    path.write_text("\n".join(["time,bid,ask,half", *rows]))
    labels = Labels("BTCUSDT", "um", kind="quotes")
    assert import_file(tmp_path / "store", path, labels, NOW).rows == 3


def test_the_kind_has_two_names() -> None:
    assert known_kind("bookTicker") is known_kind("quotes") is QUOTES


def test_recorded_quotes_of_btcusdt_are_a_tick_wide(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-bookTicker-2024-08-08.csv"
    with gzip.open(shared_data / RECORDED, "rt") as recorded, path.open("w") as out:
        out.write(HEADER + "\n")
        count = 0
        for one in recorded:
            if '"e":"bookTicker"' in one:
                its = json.loads(one.split(" ", 1)[1])["data"]
                cells = [its[key] for key in ("u", "b", "B", "a", "A", "T", "E")]
                out.write(",".join(map(str, cells)) + "\n")
                count += 1
    assert count == 66_089
    done = import_file(tmp_path / "store", path, Labels(), NOW)
    assert done.rows == 6  # 23:54:15 to 23:59:59
    arrays = load_arrays(tmp_path / "store", SERIES)
    ticks = (arrays["ask"] - arrays["bid"]) / 0.1
    assert np.all(np.round(ticks) == 1)
    half = arrays["half"] * (arrays["ask"] + arrays["bid"]) / 0.1  # in ticks of the whole spread
    assert np.all((half >= 0.99) & (half < 2.0))
    assert read_manifest(SERIES.folder(tmp_path / "store")).files[0].period == "2024-08"
