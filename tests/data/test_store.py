"""The store keeps exactly what it was given, whatever happens to its writers."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checking.check import check_series
from data.find import select
from data.manifest import Series, Source, read_manifest
from data.store import load, series
from data.synthetic import synthetic_market
from data.table import table_of
from data.writer import Merge, merged, save, writing
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from tests.data.conftest import DAY_MS, JAN_2023, same_candles

FEB_2023 = JAN_2023 + 31 * DAY_MS
BTC = Series("um", "BTCUSDT", "1h")
FOLDER = Path("um/BTCUSDT/1h")


def test_what_is_stored_is_loaded_bit_for_bit(tmp_path: Path, hourly: Candles) -> None:
    assert save(tmp_path, hourly, "test") == Merge(added=2160)
    again = load(tmp_path, "um", "BTCUSDT", "1h")
    assert same_candles(again, hourly)
    assert again.fingerprint == hourly.fingerprint
    names = sorted(p.name for p in (tmp_path / FOLDER).iterdir())
    months = ["2023-01.parquet", "2023-02.parquet", "2023-03.parquet"]
    assert names == [".lock", *months, "manifest.json"]


def test_a_range_includes_its_start_and_excludes_its_end(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    part = load(tmp_path, "um", "BTCUSDT", "1h", FEB_2023 - 1, FEB_2023 + DAY_MS)
    assert part.open_time[0] == FEB_2023
    assert part.open_time[-1] == FEB_2023 + DAY_MS - 3_600_000
    assert same_candles(part, hourly.slice(31 * 24, 32 * 24))


def test_an_unknown_symbol_names_the_stored_one_it_resembles(
    tmp_path: Path, hourly: Candles
) -> None:
    save(tmp_path, hourly, "test")
    with pytest.raises(WickError, match="BTCUST um 1h is not in the store") as refused:
        load(tmp_path, "um", "BTCUST", "1h")
    assert "did you mean BTCUSDT?" in refused.value.hint
    assert "wick data fetch BTCUST --market um --timeframe 1h" in refused.value.hint


def test_the_wrong_market_is_told_where_the_symbol_is(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    with pytest.raises(WickError, match="stored of this symbol: BTCUSDT um 1h"):
        load(tmp_path, "spot", "BTCUSDT", "1h")
    with pytest.raises(WickError, match="unknown market 'futures'"):
        load(tmp_path, "futures", "BTCUSDT", "1h")
    with pytest.raises(WickError, match="unknown timeframe '1hour'"):
        load(tmp_path, "um", "BTCUSDT", "1hour")


@pytest.mark.parametrize("start", [JAN_2023 + 200 * DAY_MS, FEB_2023 + 1])
def test_a_range_without_candles_says_which_range_is_there(
    tmp_path: Path, hourly: Candles, start: int
) -> None:
    save(tmp_path, hourly, "test")
    with pytest.raises(WickError, match="stored are 2023-01-01 00:00 to 2023-03-31 23:00"):
        load(tmp_path, "um", "BTCUSDT", "1h", start, start + 1000)


def test_an_empty_store_names_the_two_ways_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(WickError, match="holds no candles yet") as refused:
        load(tmp_path / "nothing", "um", "BTCUSDT", "1m")
    assert "wick data fetch" in refused.value.hint
    assert "wick data import" in refused.value.hint
    assert series(tmp_path / "nothing") == []


def test_the_list_of_series_counts_months_and_rows(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    (only,) = series(tmp_path)
    assert (only.series, only.files, only.rows) == (BTC, 3, 2160)
    assert (only.first_open_time, only.last_open_time) == (JAN_2023, hourly.open_time[-1])
    assert select(tmp_path, ["btcusdt"], None, "1h") == [only]
    with pytest.raises(WickError, match="holds nothing of um 5m"):
        select(tmp_path, None, "um", "5m")


def test_parts_stored_in_any_order_make_the_whole(tmp_path: Path, hourly: Candles) -> None:
    for low, high in ((1000, 1500), (0, 700), (600, 1100), (1500, 2160)):
        save(tmp_path, hourly.slice(low, high), f"part {low}")
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly)
    (_, february, _) = read_manifest(tmp_path / FOLDER).files
    assert [s.name for s in february.sources] == ["part 1000", "part 600"]


def test_storing_the_same_again_changes_no_file(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / FOLDER).glob("*.parquet")}
    assert save(tmp_path, hourly, "test") == Merge(identical=2160)
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / FOLDER).glob("*.parquet")}


def test_a_new_value_for_a_stored_candle_wins_and_is_counted(
    tmp_path: Path, hourly: Candles
) -> None:
    save(tmp_path, hourly, "test")
    arrays = {n: v[:50].copy() for n, v in hourly.arrays.items()}
    arrays["volume"][10] += 1.0
    changed = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1h", **arrays)
    assert save(tmp_path, changed, "second") == Merge(identical=49, replaced=1)
    volume = load(tmp_path, "um", "BTCUSDT", "1h").arrays["volume"]
    assert volume[10] == hourly.arrays["volume"][10] + 1.0
    assert np.count_nonzero(volume != hourly.arrays["volume"]) == 1


def test_optional_columns_are_kept_where_all_candles_have_them(
    tmp_path: Path, hourly: Candles
) -> None:
    bare = table_of(hourly).select(["open_time", "open", "high", "low", "close", "volume"])
    with writing(tmp_path, BTC) as writer:
        writer.add(bare, Source("bare", "0"))
        assert "trades" not in load(tmp_path, "um", "BTCUSDT", "1h").arrays
        assert writer.add(table_of(hourly).slice(0, 1000), Source("rich", "1")).replaced == 0
        assert "trades" not in load(tmp_path, "um", "BTCUSDT", "1h").arrays
        assert "trades" in load(tmp_path, "um", "BTCUSDT", "1h", None, FEB_2023).arrays
        writer.add(table_of(hourly), Source("rich", "2"))
        # Knowing less and agreeing in the rest takes nothing away.
        assert writer.add(bare, Source("bare", "0")) == Merge(identical=2160)
    assert same_candles(load(tmp_path, "um", "BTCUSDT", "1h"), hourly)


Rows = st.dictionaries(
    st.integers(0, 12), st.tuples(st.integers(1, 2), st.none() | st.integers(0, 2)), max_size=10
)


def small_table(rows: dict[int, tuple[int, int | None]]) -> pa.Table:
    times = sorted(rows)
    price = pa.array([float(rows[t][0]) for t in times], pa.float64())
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), price)
    trades = pa.array([rows[t][1] for t in times], pa.int64())
    return pa.table({"open_time": pa.array(times, pa.int64()), **columns, "trades": trades})


@settings(max_examples=300)
@given(Rows, Rows)
def test_merging_equals_going_through_the_candles_one_by_one(
    old: dict[int, tuple[int, int | None]], new: dict[int, tuple[int, int | None]]
) -> None:
    want, replaced, identical = dict(old), 0, 0
    for t, (price, trades) in new.items():
        if t not in old:
            want[t] = (price, trades)
            continue
        conflict = price != old[t][0] or (None not in (trades, old[t][1]) and trades != old[t][1])
        replaced += conflict
        identical += not conflict
        if conflict or old[t][1] is None:
            want[t] = (price, trades)
    table, merge = merged(small_table(old), small_table(new))
    assert merge == Merge(len(set(new) - set(old)), identical, replaced)
    if table is None:
        assert want == old
        return
    known = "trades" in table.column_names
    counts = table["trades"].to_pylist() if known else [None] * len(table)
    assert table["open_time"].to_pylist() == sorted(want)
    got = zip(table["open"].to_pylist(), counts, strict=True)
    assert list(got) == [want[t] for t in sorted(want)]


WRITER_THAT_DIES = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
import data.writer
from data.manifest import Series, Source
left = int(sys.argv[3])
def deadly(function):
    def call(*args):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return call
for name in ("write_synced", "sync_folder"):
    setattr(data.writer, name, deadly(getattr(data.writer, name)))
Path.replace = deadly(Path.replace)
with data.writer.writing(Path(sys.argv[1]), Series("um", "BTCUSDT", "1h")) as writer:
    writer.add(pyarrow.parquet.read_table(sys.argv[2]), Source("second", ""))
print("done")
"""


def test_a_writer_killed_anywhere_leaves_all_of_the_old_or_all_of_the_new(
    tmp_path: Path, hourly: Candles
) -> None:
    new = synthetic_market(8, 90 * 1440, JAN_2023, "1h", symbol="BTCUSDT")
    pq.write_table(table_of(new), tmp_path / "new.parquet")
    seen = set()
    for point in range(1, 40):
        store = tmp_path / str(point)
        save(store, hourly, "first")
        died = subprocess.run(
            [sys.executable, "-c", WRITER_THAT_DIES, store, tmp_path / "new.parquet", str(point)],
            capture_output=True,
            text=True,
            check=False,
        )
        candles = load(store, "um", "BTCUSDT", "1h")
        assert same_candles(candles, hourly) or same_candles(candles, new), point
        seen.add(candles.fingerprint)
        assert check_series(store, BTC).errors == ()
        save(store, new.slice(0, 1), "next")
        assert not list((store / FOLDER).glob("*.new"))
        assert check_series(store, BTC).errors == ()
        if "done" in died.stdout:
            break
    else:
        pytest.fail("the writer never came to its end")
    assert point > 10
    assert seen == {hourly.fingerprint, new.fingerprint}


def test_readers_see_whole_states_while_a_writer_works(tmp_path: Path, hourly: Candles) -> None:
    other = Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="1h",
        **{n: v + (n == "volume") for n, v in hourly.arrays.items()},
    )
    save(tmp_path, hourly, "first")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            save(tmp_path, other, "other")
            save(tmp_path, hourly, "first")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        prints = {load(tmp_path, "um", "BTCUSDT", "1h").fingerprint for _ in range(60)}
    finally:
        stop.set()
        thread.join()
    assert prints <= {hourly.fingerprint, other.fingerprint}


def test_a_second_writer_is_told_who_holds_the_series(tmp_path: Path, hourly: Candles) -> None:
    with (
        writing(tmp_path, BTC),
        pytest.raises(RunRefused, match=rf"process {os.getpid()} is writing BTCUSDT um 1h"),
    ):
        save(tmp_path, hourly, "second")
    save(tmp_path, hourly, "now it is free")


def test_writing_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with writing(tmp_path / "store", BTC):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, hourly: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, hourly.slice(0, 100), "first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path, hourly, "second")
    assert len(load(tmp_path, "um", "BTCUSDT", "1h")) == 100
    assert not list((tmp_path / FOLDER).glob("*.new"))


def test_one_flipped_byte_is_found_and_named(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    path = tmp_path / FOLDER / "2023-02.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 1
    path.write_bytes(raw)
    errors = check_series(tmp_path, BTC).errors
    assert any("2023-02.parquet is not the file that was stored" in e for e in errors)
    assert not any("2023-01" in e for e in errors)


def test_a_file_that_another_program_wrote_anew_is_not_read(
    tmp_path: Path, hourly: Candles
) -> None:
    """Its pages' checksums agree with its bytes, and a backtest would run on other candles."""
    save(tmp_path, hourly, "test")
    path = tmp_path / FOLDER / "2023-02.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("close")
    pq.write_table(table.set_column(at, "close", table["open"]), path)
    with pytest.raises(WickError, match=r"2023-02.parquet is damaged: .* bytes, its manifest says"):
        load(tmp_path, "um", "BTCUSDT", "1h")


def test_a_missing_or_torn_file_is_named_with_a_way_out(tmp_path: Path, hourly: Candles) -> None:
    save(tmp_path, hourly, "test")
    path = tmp_path / FOLDER / "2023-02.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WickError, match=r"2023-02.parquet is damaged"):
        load(tmp_path, "um", "BTCUSDT", "1h")
    path.unlink()
    with pytest.raises(WickError, match=r"2023-02.parquet is missing") as refused:
        load(tmp_path, "um", "BTCUSDT", "1h")
    assert "wick data repair BTCUSDT" in refused.value.hint
    (tmp_path / FOLDER / "manifest.json").write_text("{")
    with pytest.raises(WickError, match=r"manifest.json is damaged"):
        load(tmp_path, "um", "BTCUSDT", "1h")
