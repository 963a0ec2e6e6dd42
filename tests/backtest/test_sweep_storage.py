"""An unfinished sweep is hidden, holds whole parts only, and says what has changed."""

import errno
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from backtest.sweeps import storage
from backtest.sweeps.storage import Parts, SweepPlanned
from data import runs as run_folders
from data.run_folders import scratch
from strategy.errors import RunRefused, WickError

RESTS_ON = {"the strategy's source": "a", "the costs": "b"}


def planned(name: str, created_ms: int = 1) -> SweepPlanned:
    return SweepPlanned(
        schema=storage.SCHEMA, id=name, created_ms=created_ms, command=[], asked={}, axes=[],
        where=None, drawn=None, seed=0, part=4, rests_on=RESTS_ON,
    )  # fmt: skip


def table(first: int) -> pa.Table:
    return pa.table({"combination": list(range(first, first + 4)), "sharpe": [1.0, 2.0, 3.0, 4.0]})


def test_an_unfinished_sweep_is_in_no_list_of_runs(tmp_path: Path) -> None:
    folder = storage.begin(tmp_path, planned("mine"), b"source")
    Parts(folder).write(0, table(0))
    (folder / "run.json").write_text("{}")  # killed while it became a run
    assert run_folders.records(tmp_path).records == []
    assert run_folders.records(tmp_path).damaged == []
    with pytest.raises(WickError, match="there is no run"):
        run_folders.find(tmp_path, "last")
    assert storage.find_unfinished(tmp_path, "last") == (folder, planned("mine"))


def test_another_writer_leaves_an_unfinished_sweep_alone(tmp_path: Path) -> None:
    folder = storage.begin(tmp_path, planned("mine"), b"source")
    with scratch(tmp_path):
        pass
    assert (folder / "sweep.json").is_file()


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in (2, 3):
        storage.begin(tmp_path, planned("mine"), b"source")
        assert storage.find_unfinished(tmp_path, f"mine-{number}")[1].id == f"mine-{number}"


def test_parts_are_read_in_order_whatever_the_order_they_were_written_in(tmp_path: Path) -> None:
    parts = Parts(storage.begin(tmp_path, planned("mine"), b"source"))
    for at in (2, 0, 1):
        parts.write(at, table(at * 4))
    numbers = [row for part in parts.rows() for row in part["combination"].to_pylist()]
    assert numbers == list(range(12))
    assert parts.done() == {0, 1, 2}


def test_a_damaged_or_half_written_part_is_not_there(tmp_path: Path) -> None:
    parts = Parts(storage.begin(tmp_path, planned("mine"), b"source"))
    for at in range(3):
        parts.write(at, table(at))
    raw = bytearray(parts.path(1).read_bytes())
    raw[len(raw) // 3] ^= 0xFF
    parts.path(1).write_bytes(raw)
    parts.path(2).with_name(".part-000003.parquet").write_bytes(b"half")
    assert parts.done() == {0, 2}
    assert not parts.path(1).exists()


def test_a_full_disk_is_one_sentence_that_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(storage.begin(tmp_path, planned("mine"), b"source"))

    def full(path: Path, raw: bytes) -> None:
        path.write_bytes(raw[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(storage, "write_synced", full)
    with pytest.raises(RunRefused, match="No space left on device") as error:
        parts.write(0, table(0))
    assert "wick sweep --resume mine" in error.value.hint
    assert list((parts.folder / "results").iterdir()) == []


@pytest.mark.parametrize("name", list(RESTS_ON))
def test_what_has_changed_is_named(tmp_path: Path, name: str) -> None:
    folder = storage.begin(tmp_path, planned("mine"), b"source")
    storage.check_same(folder, planned("mine"), RESTS_ON)
    with pytest.raises(WickError, match=f"changed since it began: {name}"):
        storage.check_same(folder, planned("mine"), RESTS_ON | {name: "other"})


def test_two_processes_do_not_run_one_sweep(tmp_path: Path) -> None:
    folder = storage.begin(tmp_path, planned("mine"), b"source")
    with (
        storage.held(folder),
        pytest.raises(WickError, match="run by another process"),
        storage.held(folder),
    ):
        pass


def test_last_is_the_newest_with_a_part(tmp_path: Path) -> None:
    for at, name in enumerate(("first", "second", "third")):
        folder = storage.begin(tmp_path, planned(name, at), b"source")
        if name != "third":
            Parts(folder).write(0, table(0))
    assert storage.find_unfinished(tmp_path, "last")[1].id == "second"


def test_a_wrong_name_is_answered_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(WickError, match="no unfinished sweep") as none:
        storage.find_unfinished(tmp_path, "last")
    assert "wick sweep" in none.value.hint
    for name in ("first", "second"):
        storage.begin(tmp_path, planned(name), b"source")
    with pytest.raises(WickError) as wrong:
        storage.find_unfinished(tmp_path, "frist")
    assert "did you mean first?" in wrong.value.hint
    with pytest.raises(WickError, match="2 unfinished sweeps have 's'"):
        storage.find_unfinished(tmp_path, "s")
    folder, its = storage.find_unfinished(tmp_path, "sec")
    (folder / "sweep.json").write_bytes(msgspec.json.encode(its)[:-9])
    assert [one.id for one in storage.unfinished(tmp_path).values()] == ["first"]
