"""The journal: nothing that was written is lost, nothing torn is read."""

import os
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live import journal
from live.journal import Asked, Began, Decided, Filled, Halted, Intent, Journal, Order
from strategy.errors import RunRefused, WickError

RECORDS: list[journal.Record] = [
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


def write(folder: Path, count: int = len(RECORDS)) -> list[journal.Record]:
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
