"""Run folders: whole or absent, found by name, read back to the last bit."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.run_json import SCHEMA
from data.run_tables import result_hash, trade_table
from data.runs import Found, find, load, read_record, records, run_id, save
from strategy.errors import WickError
from strategy.records import EXIT_REASONS, TRADE
from tests.data.run_folders import (
    NOON,
    SYMBOLS,
    drawn_curve,
    drawn_trades,
    record,
    saved,
)

ROOT = Path(__file__).parents[2]
FIELDS = TRADE.names or ()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def writer(folder: Path, count: int, stage: str = "") -> subprocess.Popen[str]:
    """Start a process that saves runs of one name and stops for ever at a stage."""
    command = [sys.executable, "-m", "tests.data.run_folders", str(folder), str(count), stage]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_run_reads_back_equal_to_the_last_bit(tmp_path: Path) -> None:
    wrote = saved(tmp_path, record(), trades=50)
    read = load(tmp_path, wrote.record.id)
    assert read.record == wrote.record == record()
    assert read.folder == tmp_path / record().id
    assert read.trades.schema == wrote.trades.schema
    for ours, theirs in zip(read.trades.columns, wrote.trades.columns, strict=True):
        if ours.type == pa.float64():
            assert ours.to_numpy().tobytes() == theirs.to_numpy().tobytes()
        assert ours.type == pa.float64() or ours.equals(theirs)
    assert read.time.tobytes() == wrote.time.tobytes()
    assert read.equity.tobytes() == wrote.equity.tobytes()
    assert names_in(read.folder) == [
        "equity.parquet", "run.json", "trades.parquet", "trials.parquet"
    ]  # fmt: skip
    assert read.record.figure("payoff").value is None


def test_a_run_without_a_trade_reads_back_with_the_same_columns(tmp_path: Path) -> None:
    empty, some = saved(tmp_path, record(), trades=0), saved(tmp_path, record(), trades=3)
    assert load(tmp_path, empty.folder.name).trades.num_rows == 0
    assert load(tmp_path, empty.folder.name).trades.schema == some.trades.schema


def test_ids_sort_by_time_and_say_what_ran() -> None:
    moments = [0, 999_999_999_000, NOON - 1000, NOON, NOON + 1000, NOON + 40 * 86_400_000]
    ids = [run_id(moment, "backtest", "x", SYMBOLS) for moment in moments]
    assert ids == sorted(ids)
    assert ids[3] == "20240301-120000-backtest-x-BTCUSDT+1"
    assert "/" not in run_id(NOON, "tune", "../../a b", ("BTCUSDT",))
    assert len(run_id(NOON, "tune", "x" * 250, ("BTCUSDT",))) < 100


def test_records_come_oldest_first(tmp_path: Path) -> None:
    for moment, name in ((NOON + 5000, "a"), (NOON, "b"), (NOON + 9000, "0")):
        saved(tmp_path, record(moment, id=name))
    assert [one.created_ms for one in records(tmp_path).records] == [NOON, NOON + 5000, NOON + 9000]
    assert records(tmp_path / "nowhere") == Found([], [])


def test_a_run_is_found_by_id_part_path_and_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saved(tmp_path, record(NOON)).folder
    second = saved(tmp_path, record(NOON + 1000)).folder
    named = saved(tmp_path, record(NOON + 500, id="my-idea")).folder
    assert find(tmp_path, first.name) == first
    assert find(tmp_path, "20240301-120001") == second
    assert find(tmp_path, "my-i") == find(tmp_path, "idea") == named
    assert find(tmp_path, str(second)) == find(tmp_path / "nowhere", str(second)) == second
    assert find(tmp_path, "last") == second
    monkeypatch.chdir(tmp_path)
    assert find(Path(), "last").name == second.name


def test_a_whole_id_wins_over_ids_that_begin_with_it(tmp_path: Path) -> None:
    folders = [saved(tmp_path, record()).folder for _ in range(3)]
    assert [folder.name for folder in folders] == [record().id + end for end in ("", "-2", "-3")]
    assert find(tmp_path, record().id) == folders[0]
    assert [read_record(folder).id for folder in folders] == [folder.name for folder in folders]


def test_a_name_that_means_no_run_or_several_is_told_with_the_choice(tmp_path: Path) -> None:
    with pytest.raises(WickError, match="there is no run in") as none:
        find(tmp_path, "last")
    assert "wick backtest" in none.value.hint
    for moment in (NOON, NOON + 1000):
        saved(tmp_path, record(moment))
    with pytest.raises(WickError, match=r"2 runs in .* have '20240301' in their name") as two:
        find(tmp_path, "20240301")
    assert record().id in two.value.hint
    with pytest.raises(WickError, match="there is no run 'x' in") as unknown:
        find(tmp_path, "x")
    assert record().id in unknown.value.hint


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", '{"id": 1}', "\x00" * 100, '{"created_ms": "x"}'],
    ids=["empty", "cut", "null", "wrong", "zeros", "text"],
)
def test_a_damaged_record_is_named_and_does_not_hide_the_last_run(
    tmp_path: Path, text: str
) -> None:
    good = saved(tmp_path, record(NOON + 10**9))
    bad = saved(tmp_path, record(NOON))
    (bad.folder / "run.json").write_text(text)
    os.utime(bad.folder / "run.json", (0, 0))
    assert find(tmp_path, "last") == good.folder
    with pytest.raises(WickError, match=r"run\.json is damaged or of another version") as error:
        load(tmp_path, bad.folder.name)
    assert f"delete {bad.folder}" in error.value.hint


def test_fields_of_a_newer_version_are_ignored_wherever_they_stand(tmp_path: Path) -> None:
    folder = saved(tmp_path, record()).folder
    content = msgspec.json.decode((folder / "run.json").read_bytes())
    data, tune = content["data"][0], content["tune"]
    places = (content, content["strategy"], data, data["rules"], content["figures"][0], tune)
    for place in places:
        place["surprise"] = {"not": ["known", 1]}
    (folder / "run.json").write_bytes(msgspec.json.encode(content))
    assert read_record(folder) == record()


def test_a_record_from_before_a_field_was_added_takes_its_default(tmp_path: Path) -> None:
    folder = saved(tmp_path, record()).folder
    content = msgspec.json.decode((folder / "run.json").read_bytes())
    for name in ("tune", "breakdowns", "months"):
        del content[name]
    for its in content["data"]:
        del its["funding"]
    (folder / "run.json").write_bytes(msgspec.json.encode(content))
    data = [msgspec.structs.replace(its, funding=None) for its in record().data]
    assert read_record(folder) == record(tune=None, breakdowns={}, months={}, data=data)


def test_a_record_of_another_schema_is_refused_even_if_it_looks_alike(tmp_path: Path) -> None:
    folder = saved(tmp_path, record(schema=SCHEMA + 1)).folder
    with pytest.raises(WickError, match=f"schema {SCHEMA + 1}, expected {SCHEMA}") as error:
        read_record(folder)
    assert "make the run again" in error.value.hint


def test_damaged_runs_are_named_beside_the_records_of_the_others(tmp_path: Path) -> None:
    good = [saved(tmp_path, record(NOON + at)).record for at in (1000, 2000)]
    cut, newer, gone = (saved(tmp_path, record(NOON, id=name)).folder for name in "abc")
    (cut / "run.json").write_text("{")
    (newer / "run.json").write_bytes(msgspec.json.encode(record(schema=SCHEMA + 1)))
    (gone / "run.json").unlink()
    (gone / "run.json").mkdir()
    found = records(tmp_path)
    assert found.records == good
    assert found.damaged == [cut, newer, gone]


@pytest.mark.parametrize("name", ["trades.parquet", "equity.parquet"])
def test_a_damaged_table_is_named(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path, record()).folder
    whole = (folder / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:40] + b"\xff" + whole[41:]):
        (folder / name).write_bytes(damaged)
        with pytest.raises(WickError, match=f"{name} is damaged"):
            load(tmp_path, folder.name)
    (folder / name).unlink()
    with pytest.raises(WickError, match=f"{name} is damaged"):
        load(tmp_path, folder.name)


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    table = trade_table(drawn_trades(1, 3), SYMBOLS)
    time, equity = drawn_curve(1, 9)
    with pytest.raises(pa.ArrowInvalid):
        save(tmp_path, record(), table, time, equity[:-1])
    with pytest.raises(OSError, match="File name too long"):
        save(tmp_path, record(id="x" * 300), table, time, equity)
    assert names_in(tmp_path) == []


def test_a_run_killed_while_it_is_written_leaves_no_run(tmp_path: Path) -> None:
    stages = ("trades.parquet", "trials.parquet", "rename")
    writers = [writer(tmp_path, 1, stage) for stage in stages]
    for one, stage in zip(writers, stages, strict=True):
        assert one.stdout is not None
        assert one.stdout.readline() == f"at {stage}\n"
    assert records(tmp_path) == Found([], [])
    # One that is alive keeps its folder while another run is saved and listed.
    saved(tmp_path, record(id="beside"))
    assert len(names_in(tmp_path)) == 4
    for one in writers:
        one.send_signal(signal.SIGKILL)
        one.communicate()
    assert find(tmp_path, "last").name == "beside"
    assert [run.id for run in records(tmp_path).records] == ["beside"]
    saved(tmp_path, record(id="after"))
    assert names_in(tmp_path) == ["after", "beside"]


def test_every_file_of_a_run_is_on_the_disk_before_the_run_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    rename = Path.rename

    def named(path: Path, target: Path) -> Path:
        assert sorted(synced) == names_in(path)
        return rename(path, target)

    monkeypatch.setattr("data.runs.sync_file", lambda path: synced.append(path.name))
    monkeypatch.setattr(Path, "rename", named)
    assert names_in(saved(tmp_path, record()).folder) == sorted(synced)


def test_no_moment_of_a_kill_leaves_half_a_run_half_its_tags_or_a_wrong_list(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.data.run_kills", str(tmp_path), "7", "25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    halves, left = done.stdout.split(maxsplit=1)
    assert int(halves) > 3
    assert left == "[]\n"


def test_processes_that_save_one_name_at_once_get_a_number_each(tmp_path: Path) -> None:
    writers = [writer(tmp_path, 15) for _ in range(2)]
    assert [one.wait(60) for one in writers] == [0, 0]
    for one in writers:
        one.communicate()
    ends = ["", *(f"-{number}" for number in range(2, 31))]
    assert names_in(tmp_path) == sorted(record().id + end for end in ends)
    for name in names_in(tmp_path):
        assert load(tmp_path, name).record.id == name


def test_pandas_reads_the_trades_of_several_runs_at_once(tmp_path: Path) -> None:
    folders = [saved(tmp_path, record(NOON + i), seed=i, trades=5 * i).folder for i in range(4)]
    paths: Any = [folder / "trades.parquet" for folder in folders]
    together = pd.read_parquet(paths)
    assert len(together) == 30
    by_run = pd.concat(
        {path.parent.name: pd.read_parquet(path) for path in tmp_path.glob("*/trades.parquet")}
    )
    assert by_run.loc[folders[3].name].net.tolist() == together.net.tolist()[15:]
    assert str(together.entry_time.dtype) == "datetime64[ms, UTC]"
    curve = pd.read_parquet(folders[1] / "equity.parquet")
    assert curve.equity.tolist() == drawn_curve(1, 9)[1].tolist()
    assert curve.time.iloc[0] == pd.Timestamp("2024-03-01 12:00", tz="UTC")


def test_a_result_hash_ignores_where_and_when(tmp_path: Path) -> None:
    trades, (_, equity) = drawn_trades(1, 5), drawn_curve(1, 9)
    assert result_hash(trades, equity) == result_hash(trades.copy(), equity.copy())
    wide = np.zeros((9, 2))
    wide[:, 0] = equity
    assert result_hash(trades, np.ascontiguousarray(wide[:, 0])) == result_hash(trades, equity)
    one = saved(tmp_path / "a", record(NOON))
    other = saved(tmp_path / "b", record(NOON + 5000))
    assert one.record.result_hash == other.record.result_hash


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 4), st.sampled_from([*FIELDS, "equity"]), st.integers(0, 63))
def test_a_result_hash_sees_every_bit(at: int, name: str, bit: int) -> None:
    trades, (_, equity) = drawn_trades(1, 5), drawn_curve(1, 9)
    before = result_hash(trades, equity)
    values: Any = equity if name == "equity" else trades[name]
    word = values[at : at + 1].copy().view(np.uint64)
    word ^= np.uint64(1) << np.uint64(bit)
    values[at] = word.view(values.dtype)[0]
    assert result_hash(trades, equity) != before


def test_a_result_hash_tells_a_trade_from_equity() -> None:
    trades, (_, equity) = drawn_trades(1, 1), drawn_curve(1, 9)
    words = np.concatenate([trades[name].view(np.float64) for name in FIELDS])
    as_equity = np.concatenate([words, equity])
    assert result_hash(trades, equity) != result_hash(trades[:0], as_equity)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 20))
def test_a_trade_table_says_what_the_records_say(seed: int, count: int) -> None:
    trades = drawn_trades(seed, count)
    rows = trade_table(trades, SYMBOLS).to_pylist()
    assert len(rows) == count
    for row, trade in zip(rows, trades, strict=True):
        for name in (
            "qty", "entry_price", "exit_price", "stop", "slippage", "mae", "mfe", "risked"
        ):  # fmt: skip
            assert row[name] == trade[name], name
        # The double nearest to the exact amount, as reading its decimal text gives.
        pnl, fees, funding = (Decimal(int(trade[name])) for name in ("pnl", "fees", "funding"))
        assert row["pnl"] == float(pnl.scaleb(-8))
        assert row["fees"] == float(fees.scaleb(-8))
        assert row["funding"] == float(funding.scaleb(-8))
        assert row["net"] == float((pnl - fees - funding).scaleb(-8))
        assert row["r"] == row["net"] / trade.risked
        in_r = trade.qty * trade.entry_price / trade.risked
        assert (row["mae_r"], row["mfe_r"]) == (trade.mae * in_r, trade.mfe * in_r)
        take = trade["take"]
        assert (row["take"] == take) if take > 0.0 else np.isnan(row["take"])
        assert row["symbol"] == SYMBOLS[trade.symbol]
        assert row["side"] == ("long" if trade.side == 1 else "short")
        assert row["exit_reason"] == EXIT_REASONS[trade.exit_reason]
        assert row["bars"] == trade.exit_candle - trade.entry_candle
        assert row["reversal"] is bool(trade.reversal)
        assert row["ambiguous"] is bool(trade.ambiguous)
        for name in ("entry_time", "exit_time"):
            assert round(row[name].timestamp() * 1000) == trade[name]


def test_tables_keep_times_as_utc_milliseconds(tmp_path: Path) -> None:
    folder = saved(tmp_path, record()).folder
    for name, column in (("trades", "entry_time"), ("trades", "exit_time"), ("equity", "time")):
        kind = pq.read_schema(folder / f"{name}.parquet").field(column).type
        assert kind == pa.timestamp("ms", "UTC")
