"""The journal: what was decided, meant, answered and filled, in one file that only grows.

One record a line: eight hex digits of CRC-32, a blank, JSON. The journal and the exchange say what
was sent, never Redis. A line that a crash tore off is cut away at the next start; a damaged line
before the last is no such thing and refuses the session.
"""

import errno
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from data.disk import sync_folder
from live.journal_records import Record
from strategy.errors import RunRefused, WickError

FILE = "journal"
# What a loss of power may take with it, and what is kept in memory to be written again.
_UNSYNCED_MAX = 1 << 18


class Journal:
    """The open journal of one session; one process may write it at a time.

    Parameters
    ----------
    folder : Path
        The session's folder.

    Raises
    ------
    WickError
        Another process holds it, or a line in the middle is damaged.
    """

    def __init__(self, folder: Path) -> None:
        import fcntl

        path = folder / FILE
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise WickError(
                f"another trader writes {path}",
                "wick session status shows it; two must never trade one account",
            ) from error
        kept, end = _whole_lines(path)
        if end < path.stat().st_size:
            os.ftruncate(self._file, end)
        if not end:
            sync_folder(folder)  # a file without a name is lost with all its records
        self._path = path
        self._last, self._size = kept, end
        self._broken = ""
        # The process before may have ended because of a disk that failed.
        self._unsynced = bytearray(_last_bytes(path, end))
        self._doubted = end > 0

    @property
    def last(self) -> int:
        """Number of the newest record, 0 for none."""
        return self._last

    @property
    def broken(self) -> str:
        """Why the journal can no longer be written, empty while it can."""
        return self._broken

    def append(self, record: Record, *, durable: bool = False) -> Record:
        """Number and write a record; `durable` waits until it is on the disk.

        Raises
        ------
        RunRefused
            It cannot be written: no entry may leave.
        """
        numbered = msgspec.structs.replace(record, n=self._last + 1)
        line = _line(numbered)
        synced = durable or self._doubted or len(self._unsynced) + len(line) > _UNSYNCED_MAX
        try:
            if self._broken:  # what is left of a line that failed
                os.ftruncate(self._file, self._size)
            if self._doubted:
                self._write_again()
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, "no room")
            if synced:
                self._sync()
        except OSError as error:
            with suppress(OSError):  # half a line in the middle would damage all that follows
                os.ftruncate(self._file, self._size)
            self._broken = error.strerror or str(error)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise RunRefused(
                f"the journal cannot be written: {self._broken}",
                f"{'make room on the disk' if full else 'look whether the disk fails'};"
                " stops stay on the exchange, entries stay out until then",
            ) from error
        if synced:
            self._unsynced.clear()
        else:
            self._unsynced += line
        self._last, self._size, self._broken = numbered.n, self._size + len(line), ""
        return numbered

    def _sync(self) -> None:
        # After a sync that failed, the system takes what it could not write for written, and the
        # next sync succeeds without it: all since the last good one has to be written again.
        self._doubted = True
        os.fdatasync(self._file)
        self._doubted = False

    def _write_again(self) -> None:
        # Over itself: whatever ends this half way, the file reads as before.
        file = os.open(self._path, os.O_WRONLY)
        try:
            begin = self._size - len(self._unsynced)
            if begin + os.pwrite(file, self._unsynced, begin) != self._size:
                raise OSError(errno.ENOSPC, "no room")
        finally:
            os.close(file)

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._file)


def has_begun(folder: Path) -> bool:
    """Whether a session's trader has taken up its account: from then on a position may be there."""
    path = folder / FILE
    return path.exists() and path.stat().st_size > 0


def read(folder: Path) -> list[Record]:
    """Read all whole records of a session's journal.

    Raises
    ------
    WickError
        A line before the last is damaged.
    """
    return read_from(folder, 0)[0]


def read_from(folder: Path, offset: int) -> tuple[list[Record], int]:
    """Read the whole records behind a byte offset, and return where the next ones will begin.

    Raises
    ------
    WickError
        A line before the last is damaged.
    """
    path = folder / FILE
    found = list(_records(path, offset)) if path.exists() else []
    return [record for record, _ in found], found[-1][1] if found else offset


def _line(record: Record) -> bytes:
    text = msgspec.json.encode(record)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _records(path: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read()
    at, number = 0, 0
    decoder = msgspec.json.Decoder(Record)
    while (end := content.find(b"\n", at)) >= 0:
        line = content[at:end]
        number += 1
        try:
            if int(line[:8], 16) != zlib.crc32(line[9:]):
                raise ValueError("checksum")
            record = decoder.decode(line[9:])
        except (ValueError, msgspec.MsgspecError) as error:
            if content.find(b"\n", end + 1) < 0 and end + 1 == len(content):
                return  # the last line, torn
            raise WickError(
                f"{path} is damaged in line {number}: {error}",
                "keep the file, start a new session, and compare it with the exchange's history",
            ) from error
        yield record, offset + end + 1
        at = end + 1


def _last_bytes(path: Path, end: int) -> bytes:
    with path.open("rb") as file:
        begin = max(end - _UNSYNCED_MAX, 0)
        file.seek(begin)
        return file.read(end - begin)


def _whole_lines(path: Path) -> tuple[int, int]:
    number, end = 0, 0
    for record, end in _records(path):  # noqa: B007
        number = record.n
    return number, end
