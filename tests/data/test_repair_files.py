"""Damaged, torn and lost files are mended from a loopback archive and REST."""

import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.checking.check import check_series
from data.gaps import LEDGER, OUR_LOSS, read_ledger
from data.manifest import MANIFEST, Source, read_manifest
from data.rest.rows import Rest
from data.table import table_of
from data.writer import save, writing
from strategy.candles import Candles
from tests.data.conftest import MONTHS, same_candles
from tests.data.mending import HOURLY, flip, from_archive, mend, sound, stored, without
from tests.data.served import ArchiveServer


@pytest.mark.parametrize("how", ["flip", "footer", "torn", "empty", "missing", "other month"])
def test_a_damaged_file_is_whole_again_bit_for_bit(
    how: str, tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    path = folder / "2023-02.parquet"
    before = path.read_bytes()
    if how in ("flip", "footer"):
        flip(path, 0.5 if how == "flip" else 0.99)
    elif how in ("torn", "empty"):
        path.write_bytes(before[: len(before) // 2 * (how == "torn")])
    elif how == "missing":
        path.unlink()
    else:
        shutil.copyfile(folder / "2023-01.parquet", path)
    done = mend(tmp_path, truth, rest)
    assert done.done
    assert done.mended[0].startswith("2023-02.parquet: ")
    assert path.read_bytes() == before
    assert sound(tmp_path, hourly)
    assert sorted(p.name for p in folder.glob("*.parquet*")) == [f"{m}.parquet" for m in MONTHS]
    assert mend(tmp_path, truth, rest).mended == []


def test_rows_whose_checksums_hold_are_kept_and_only_the_others_are_fetched(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    """Of a series from REST: the question asked there is for the damaged row alone."""
    with writing(tmp_path, HOURLY) as writer:
        writer.add(table_of(hourly), Source("REST 2023-07-01", "0" * 64))
    path = HOURLY.folder(tmp_path) / "2023-02.parquet"
    table = pq.read_table(path)
    close = table["close"].to_numpy().copy()
    close[100] = np.nextafter(close[100], 1e9)
    pq.write_table(table.set_column(4, "close", pa.array(close)), path)
    done = mend(tmp_path, truth, rest)
    assert (done.missing, done.filled, done.left) == (1, 1, 0)
    assert done.mended == ["2023-02.parquet: 671 rows kept, 1 fetched again (REST 2023-07-20)"]
    assert sound(tmp_path, hourly)
    times = [int(q["startTime"]) for path, q in truth.queries if "klines" in path]
    assert times == [int(hourly.open_time[31 * 24 + 100])]
    (entry,) = read_ledger(path.parent).entries
    assert (entry.cause, entry.count, entry.filled) == (OUR_LOSS, 1, 1)


def test_of_a_local_file_the_name_is_said_and_the_damaged_file_is_kept(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    save(tmp_path, hourly, "mine.csv")
    folder = HOURLY.folder(tmp_path)
    path = folder / "2023-02.parquet"
    path.write_bytes(path.read_bytes()[:5000])
    torn = path.read_bytes()
    done = mend(tmp_path, truth, rest)
    assert done.import_again == ["mine.csv"]
    assert not done.done
    assert (folder / "2023-02.parquet.damaged").read_bytes() == torn
    assert (done.left, done.causes) == (28 * 24, {OUR_LOSS: 28 * 24})
    assert truth.asked.total() == 0
    assert check_series(tmp_path, HOURLY).errors == ()
    assert mend(tmp_path, truth, rest).filled == 0
    save(tmp_path, hourly, "mine.csv")
    assert mend(tmp_path, truth, rest).left == 0
    assert read_ledger(folder).entries[0].filled == 28 * 24
    assert sound(tmp_path, hourly)


def test_out_of_reach_nothing_is_touched_and_it_is_one_sentence(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, without(hourly, 5))
    path = folder / "2023-02.parquet"
    flip(path)
    damaged = path.read_bytes()
    truth.close()
    done = mend(tmp_path, truth, rest)
    assert not done.done
    assert done.filled == 0
    assert path.read_bytes() == damaged
    assert "did not answer" in " ".join(done.failed)
    assert not (folder / LEDGER).exists()


@pytest.mark.parametrize("how", ["missing", "empty", "damaged", "pending"])
def test_a_manifest_is_made_anew_from_the_files(
    how: str, tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    manifest = folder / MANIFEST
    if how in ("missing", "pending"):
        manifest.unlink()
    else:
        manifest.write_text("" if how == "empty" else manifest.read_text()[:300])
    if how == "pending":
        (folder / "2023-03.parquet").rename(folder / "2023-03.parquet.new")
    done = mend(tmp_path, truth, rest)
    assert done.done
    assert "made anew from 3 files" in done.mended[0]
    assert sound(tmp_path, hourly)
    assert [f.sources for f in read_manifest(folder).files] == [(), (), ()]
    assert truth.asked.total() == 0


def test_a_lost_manifest_and_a_torn_file_are_mended_together(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    (folder / "2023-01.parquet").write_bytes(b"PAR1")
    assert mend(tmp_path, truth, rest).done
    assert sound(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    flip(folder / "2023-02.parquet")
    assert mend(tmp_path, truth, rest).done
    assert sound(tmp_path, hourly)


def test_strange_files_are_taken_in_or_set_aside(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    shutil.copyfile(folder / "2023-01.parquet", folder / "2024-01.parquet")
    (folder / "2023-02.parquet.new").write_bytes(b"left over")
    done = mend(tmp_path, truth, rest)
    (folder / "notes.parquet").write_bytes(b"mine")
    kept = "0 rows of it kept, the damaged file as 2024-01.parquet.damaged"
    assert done.mended == [f"2024-01.parquet: not in the manifest, {kept}"]
    assert mend(tmp_path, truth, rest).mended == [
        "notes.parquet is no month or day: kept as notes.parquet.damaged"
    ]
    assert not (folder / "2023-02.parquet.new").exists()
    with writing(tmp_path, HOURLY) as writer:
        writer.drop("2023-03")
    assert mend(tmp_path, truth, rest).mended == [
        "2023-03.parquet was not in the manifest: taken in"
    ]
    assert sound(tmp_path, hourly)


def test_a_damaged_ledger_is_begun_anew(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / LEDGER).write_text("{")
    done = mend(tmp_path, truth, rest)
    assert done.mended == [
        "gaps.json was damaged: begun anew, the old one is kept as gaps.json.damaged"
    ]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_breaks_the_truth_comes_back_or_stays_a_hole(
    seed: int, tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    """Damage by chance, an archive and REST with faults by chance; repeated until all is done."""
    dice = random.Random(seed)
    lost = sorted(dice.sample(range(1, 2159), 30))
    folder = from_archive(tmp_path, without(hourly, *lost))
    without_manifest = dice.random() < 0.5
    for month in dice.sample(MONTHS, 2):
        path = folder / f"{month}.parquet"
        # Nobody can know of a first or last month that neither a file nor the manifest names.
        choice = dice.randrange(without_manifest, 3)
        if choice == 0:
            path.unlink()
        elif choice == 1:
            path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])
        else:
            flip(path, dice.random())
    if without_manifest:
        manifest = folder / MANIFEST
        manifest.write_bytes(manifest.read_bytes()[: dice.randrange(500)])
    truth.dice = random.Random(seed)
    for _ in range(40):
        if mend(tmp_path, truth, rest).done:
            break
    truth.dice = None
    done = mend(tmp_path, truth, rest)
    found = check_series(tmp_path, HOURLY)
    assert found.errors == ()
    candles = stored(tmp_path)
    at = np.searchsorted(hourly.open_time, candles.open_time)
    assert all(np.array_equal(candles.arrays[n], v[at]) for n, v in hourly.arrays.items())
    assert done.left == len(hourly.open_time) - len(candles.open_time)


def test_a_file_without_a_manifest_keeps_its_good_rows_when_nobody_has_the_others(
    tmp_path: Path, truth: ArchiveServer, rest: Rest, hourly: Candles
) -> None:
    folder = from_archive(tmp_path, hourly)
    (folder / MANIFEST).unlink()
    path = folder / "2023-03.parquet"
    table = pq.read_table(path)
    close = table["close"].to_numpy().copy()
    close[[5, 700]] += 1
    pq.write_table(table.set_column(4, "close", pa.array(close)), path)
    truth.files.clear()
    truth.klines["um", "BTCUSDT", "1h"] = hourly.slice(0, 1000)
    done = mend(tmp_path, truth, rest)
    assert (done.left, done.causes) == (2, {OUR_LOSS: 2})
    assert done.mended[1].startswith("2023-03.parquet: 742 of 744 rows kept")
    lost = [59 * 24 + 5, 59 * 24 + 700]
    assert same_candles(stored(tmp_path), without(hourly, *lost))
    assert (folder / "2023-03.parquet.damaged").exists()
