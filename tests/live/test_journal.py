"""The journal: nothing that was written is lost, nothing torn is read."""

import errno
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live import journal
from live.journal import Journal
from live.journal_records import Asked, Began, Decided, Filled, Halted, Intent, Order
from live.journal_records import Record as JournalRecord
from strategy.errors import RunRefused, WickError

RECORDS: list[JournalRecord] = [
    Began(n=0, time=1, wallet=10**12, last_trade={"BTCUSDT": -1}),
    Decided(
        n=0,
        time=60_000,
        wallet=10**12,
        equity=0.1 + 0.2,
        day=0,
        day_open=1e4,
        blocked=False,
        marks=(1e-17, 111_960.1),
        orders=(Order("BTCUSDT", 0, 1, 12, 3.3, 6.6, False, 100.0),),
        refused={"BTCUSDT": {"position limit": 1}},
    ),
    Intent(0, "cw000000-0-1-e1", "BTCUSDT", "e", "BUY", 12, 0.0, 60_000, 60_000),
    Halted(n=0, reason="a position of someone else", time=60_001),
    Asked(n=0, command="pause", by="someone", time=60_002),
]


def write(folder: Path, count: int = len(RECORDS)) -> list[JournalRecord]:
    one = Journal(folder)
    written = [one.append(record) for record in RECORDS[:count]]
    one.close()
    return written


def test_what_was_written_is_read_back_with_every_bit(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert journal.read(tmp_path) == written
    assert [record.n for record in written] == [1, 2, 3, 4, 5]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    write(tmp_path, 2)
    again = Journal(tmp_path)
    assert again.last == 2
    assert again.append(RECORDS[2], durable=True).n == 3
    again.close()
    assert [record.n for record in journal.read(tmp_path)] == [1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_torn_end_is_cut_away_and_the_rest_is_kept(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    written = write(folder)
    path = folder / journal.FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: max(len(whole) - cut, 0)])
    kept = journal.read(folder)
    assert kept == written[: len(kept)]
    one = Journal(folder)
    one.append(RECORDS[3])
    one.close()
    assert journal.read(folder)[:-1] == kept


def test_a_damaged_line_in_the_middle_refuses_the_session(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / journal.FILE
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"60000", b"60001")
    path.write_bytes(b"".join(lines))
    with pytest.raises(WickError, match="damaged in line 2: checksum"):
        journal.read(tmp_path)


def test_two_traders_never_write_one_journal(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(WickError, match="another trader writes"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal(tmp_path)
    one.append(RECORDS[0])
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:10]))
    with pytest.raises(RunRefused, match="the journal cannot be written"):
        one.append(RECORDS[1])
    assert one.broken
    monkeypatch.undo()
    assert one.append(RECORDS[1]).n == 2
    assert not one.broken
    one.close()
    assert len(journal.read(tmp_path)) == 2


class Disk:
    """What of the journal is on the disk, as against what the system shows of it.

    A sync that fails says so once: what it was to write is taken for written from then on.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.fails = False
        self.image = bytearray()
        self._dirty: list[tuple[int, bytes]] = []
        self._real = {
            name: getattr(os, name) for name in ("write", "pwrite", "ftruncate", "fdatasync")
        }
        for name in self._real:
            patch.setattr(os, name, getattr(self, f"_{name}"))

    def _write(self, file: int, data: bytes) -> int:
        return self._written(file, data, os.fstat(file).st_size, self._real["write"](file, data))

    def _pwrite(self, file: int, data: bytes, at: int) -> int:
        return self._written(file, data, at, self._real["pwrite"](file, data, at))

    def _written(self, file: int, data: bytes, at: int, count: int) -> int:
        self._dirty.append((at, bytes(data[:count])))
        return count

    def _ftruncate(self, file: int, size: int) -> None:
        self._real["ftruncate"](file, size)
        del self.image[size:]
        self._dirty = [(at, data[: size - at]) for at, data in self._dirty if at < size]

    def _fdatasync(self, file: int) -> None:
        dirty, self._dirty = self._dirty, []
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        self._real["fdatasync"](file)
        for at, data in dirty:
            self.image.extend(bytes(max(at + len(data) - len(self.image), 0)))
            self.image[at : at + len(data)] = data

    def read(self, folder: Path) -> list[JournalRecord]:
        """Read what a machine that lost its power now would find."""
        (folder / journal.FILE).write_bytes(self.image)
        return journal.read(folder)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Give the disk under a journal."""
    with monkeypatch.context() as patch:
        yield Disk(patch)


def test_after_a_sync_that_failed_all_since_the_last_good_one_is_written_again(
    tmp_path: Path, disk: Disk
) -> None:
    (tmp_path / "lost").mkdir()
    one = Journal(tmp_path)
    written = [one.append(RECORDS[0], durable=True), one.append(RECORDS[1])]
    disk.fails = True
    for durable in (True, False, True):
        with pytest.raises(RunRefused, match="cannot be written: Input/output error") as caught:
            one.append(RECORDS[2], durable=durable)
        assert "look whether the disk fails; stops stay" in caught.value.hint
        assert one.broken == "Input/output error"
        assert disk.read(tmp_path / "lost") == written[:1]
    disk.fails = False
    written.append(one.append(RECORDS[3]))
    assert not one.broken
    assert disk.read(tmp_path / "lost") == written
    assert journal.read(tmp_path) == written
    written.append(one.append(RECORDS[4], durable=True))
    one.close()
    assert disk.read(tmp_path / "lost") == written


def test_the_next_process_writes_again_what_a_failed_sync_lost(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "lost").mkdir()
    one = Journal(tmp_path)
    written = [one.append(RECORDS[0], durable=True), one.append(RECORDS[1])]
    disk.fails = True
    with pytest.raises(RunRefused):
        one.append(RECORDS[2], durable=True)
    one.close()
    again = Journal(tmp_path)
    assert not again.broken
    with pytest.raises(RunRefused):
        again.append(RECORDS[2])
    assert again.broken
    disk.fails = False
    written.append(again.append(RECORDS[2]))
    again.close()
    assert disk.read(tmp_path / "lost") == written


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["plain", "durable", "fails", "full", "restart"]), max_size=40))
def test_what_was_said_to_be_on_the_disk_is_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / "lost").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_UNSYNCED_MAX", 1_000)
        disk, written, safe = Disk(patch), [], 0
        one = Journal(folder)
        for step in steps:
            if step == "restart":
                one.close()
                one = Journal(folder)
                continue
            with pytest.MonkeyPatch.context() as full:
                disk.fails = step == "fails"
                if step == "full":
                    writes = os.write
                    full.setattr(os, "write", lambda fd, data, writes=writes: writes(fd, data[:9]))
                try:
                    written.append(one.append(RECORDS[1], durable=step in ("durable", "fails")))
                except RunRefused:
                    assert step in ("fails", "full")
                    assert one.broken
                    continue
            assert not one.broken
            safe = len(written) if step == "durable" else safe
            found = disk.read(folder / "lost")
            assert found == written[: len(found)]
            assert len(found) >= safe
            assert len(b"".join(map(journal._line, written[len(found) :]))) <= 1_000
        one.close()
    assert journal.read(folder) == written


def test_half_a_line_that_could_not_be_cut_away_is_cut_away_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Journal(tmp_path)
    one.append(RECORDS[0])
    real = os.write

    def fail(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:10]))
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(RunRefused):
            one.append(RECORDS[1])
    one.append(RECORDS[2])
    one.close()
    assert [type(record) for record in journal.read(tmp_path)] == [Began, Intent]


def test_a_new_journals_name_is_on_the_disk_before_its_first_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[str]] = []
    sync = os.fsync

    def seen(file: int) -> None:
        sync(file)
        assert os.path.samestat(os.fstat(file), tmp_path.stat())
        synced.append([path.name for path in tmp_path.iterdir()])

    monkeypatch.setattr(os, "fsync", seen)
    write(tmp_path)
    assert synced == [["journal"]]
    Journal(tmp_path).close()
    assert len(synced) == 1  # a start beside a disk that fails must not need it


def test_a_line_is_its_checksum_and_json(tmp_path: Path) -> None:
    write(tmp_path, 1)
    line = (tmp_path / journal.FILE).read_bytes().rstrip(b"\n")
    assert int(line[:8], 16) == zlib.crc32(line[9:])
    assert msgspec.json.decode(line[9:])["is"] == "began"


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, 1)
    assert (tmp_path / journal.FILE).stat().st_mode & 0o077 == 0


def test_a_fill_keeps_the_signs_of_its_money(tmp_path: Path) -> None:
    one = Journal(tmp_path)
    fill = Filled(
        n=0, symbol="A", trade_id=1, id="x", leg="s", steps=-3, price=1.5, fee=7, pnl=-9, time=5,
        held=0, entry=0.0, reason="stop", stop=0.0, take=0.0, decided_at=1, reversal=False,
    )  # fmt: skip
    one.append(fill)
    one.close()
    assert journal.read(tmp_path) == [msgspec.structs.replace(fill, n=1)]
