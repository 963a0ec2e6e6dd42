"""The index of runs: quick where it is true, and never wrong."""

import os
import random
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data import run_index
from data.run_folders import remove
from data.run_index import INDEX, Summaries, summaries
from data.run_tags import FILE, change_tags
from tests.data.run_folders import NOON, record, saved

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass, so that what was just written is old enough for the index."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + HOUR_NS)


def plainly(runs: Path) -> Summaries:
    """Read all runs without the index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_index, "_read_index", lambda _: {})
        patch.setattr(run_index, "_write_index", lambda *_: None)
        return summaries(runs)


def some(runs: Path, count: int = 3) -> list[Path]:
    return [saved(runs, record(NOON + 1000 * at)).folder for at in range(count)]


def test_a_summary_says_what_the_record_says(tmp_path: Path) -> None:
    folder = some(tmp_path, 1)[0]
    change_tags(folder, lambda _: ["b", "a"])
    (found,) = summaries(tmp_path).runs
    its = record()
    assert (found.run, found.kind, found.created_ms) == (folder.name, its.kind, NOON)
    assert (found.strategy, found.source_hash) == (its.strategy.name, its.strategy.source_hash)
    assert found.symbols == [one.symbol for one in its.data]
    assert (found.first_ms, found.end_ms) == (NOON, NOON + 60_000)
    assert found.params == its.params
    assert found.figures == {"sharpe": 0.1 + 0.2}
    assert found.tags == ["a", "b"]


@pytest.mark.usefixtures("later")
def test_runs_that_have_not_changed_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(tmp_path)
    before = summaries(tmp_path)
    monkeypatch.setattr(run_index, "_summary", lambda *_: pytest.fail("a run was read"))
    assert summaries(tmp_path) == before
    assert len(before.runs) == 3


def _with(tag: str, tags: list[str]) -> list[str]:
    return [*tags, tag]


def _longer(folder: Path) -> None:
    text = (folder / "run.json").read_bytes()
    content = msgspec.json.decode(text)
    content["strategy"]["name"] += "x"
    (folder / "run.json").write_bytes(msgspec.json.encode(content))


def _swap(folder: Path, other: Path) -> None:
    folder.rename(folder.with_name("aside"))
    other.rename(folder)
    folder.with_name("aside").rename(other)


def _change(draw: random.Random, runs: Path, number: int) -> None:
    folders = sorted(path for path in runs.iterdir() if path.is_dir())
    one, other = draw.choice(folders), draw.choice(folders)
    match draw.randrange(9):
        case 0 | 1:
            saved(runs, record(NOON + number, id=f"run-{number}"))
        case 2 if len(folders) > 3:
            remove(one)
        case 3 if (one / "run.json").is_file() and (one / "run.json").stat().st_size > 9:
            _longer(one)
        case 4:
            (one / "run.json").write_text("{")
        case 5:
            change_tags(one, lambda tags: [*tags, f"tag-{number}"])
        case 6 if one != other:
            _swap(one, other)
        case 7 if one != other:
            shutil.rmtree(one)
            shutil.copytree(other, one)
        case 8:
            raw = (runs / INDEX).read_bytes() if (runs / INDEX).exists() else b""
            (runs / INDEX).write_bytes(draw.choice([raw[: len(raw) // 2], b"", raw[::-1], raw]))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_runs_the_index_says_what_they_say(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    some(tmp_path)
    for number in range(25):
        _change(draw, tmp_path, number)
        assert summaries(tmp_path) == plainly(tmp_path), number


def test_a_run_that_changes_right_after_it_was_listed_is_read_again(tmp_path: Path) -> None:
    # Same size, same inode, and perhaps the same times: the clocks of disks are coarse.
    path = some(tmp_path, 1)[0] / "run.json"
    for name in ("rsi_macd_atr", "rsi_macd_btr", "rsi_macd_ctr"):
        text = msgspec.json.decode(path.read_bytes())
        text["strategy"]["name"] = name
        path.write_bytes(msgspec.json.encode(text))
        assert [one.strategy for one in summaries(tmp_path).runs] == [name]


def test_a_folder_that_cannot_be_written_is_listed_without_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    some(tmp_path)
    names = sorted(os.listdir(tmp_path))  # noqa: PTH208
    monkeypatch.setattr(time, "time_ns", lambda: 2**62)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert len(summaries(tmp_path).runs) == 3
    assert sorted(os.listdir(tmp_path)) == names  # noqa: PTH208


@pytest.mark.usefixtures("later")
def test_several_that_list_tag_and_delete_at_once_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    folders, faults = some(tmp_path, 12), []

    def work(at: int) -> None:
        try:
            for number in range(12):
                summaries(tmp_path)
                tag = f"t{at}-{number}"
                change_tags(folders[number % 4], partial(_with, tag))
            remove(folders[4 + at])
        except Exception as error:  # noqa: BLE001  a thread's error would be lost
            faults.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []
    found = summaries(tmp_path)
    assert found == plainly(tmp_path)
    assert len(found.runs) == 8
    # No tag was lost to another one that tagged the same run.
    assert sorted(tag for one in found.runs for tag in one.tags) == sorted(
        f"t{at}-{n}" for at in range(4) for n in range(12)
    )


@pytest.mark.usefixtures("later")
def test_damaged_runs_are_told_and_hide_no_other(tmp_path: Path) -> None:
    good, cut, newer, gone, tags = some(tmp_path, 5)
    (cut / "run.json").write_text("{")
    (newer / "run.json").write_bytes(msgspec.json.encode(record(schema=99)))
    (gone / "run.json").unlink()
    (tags / FILE).write_text("[]")
    for _ in range(2):
        found = summaries(tmp_path)
        assert [one.run for one in found.runs] == [good.name, tags.name]
        told = found.damaged
        assert list(told) == [cut.name, newer.name, gone.name, tags.name]
        assert "run.json is damaged" in told[cut.name]
        assert "schema 99" in told[newer.name]
        assert "No such file" in told[gone.name]
        assert "tags cannot be read" in told[tags.name]
