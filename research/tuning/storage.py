"""Storages of studies: a journal file, a database, Redis."""

import contextlib
import fcntl
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import optuna
from optuna.storages.journal import JournalFileBackend

from strategy.errors import WickError

_LONGEST = 1 << 16
_REDIS = ("redis", "rediss", "unix")
_KINDS = ("sqlite", "postgresql", "mysql", *_REDIS)


class JournalFile(JournalFileBackend):
    """A journal whose lines are whole or not there, and that is brought to the disk once for many
    trials, by who adds them.

    The system lets go of its lock when a process is killed; of Optuna's own it would be waited for.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in logs)
        # Never made anew; and without a buffer, which would try again when the file is closed.
        with open(self._file_path, "rb+", buffering=0) as file:  # noqa: PTH123
            fcntl.flock(file, fcntl.LOCK_EX)
            size = _whole(file)
            try:
                file.seek(size)
                while lines:
                    lines = lines[file.write(lines) :]
            except OSError:  # no room: not half a line
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise


def _whole(file: Any) -> int:
    # Where the last whole line ends; what a killed process left behind it is cut off.
    size = int(file.seek(0, os.SEEK_END))
    file.seek(max(size - _LONGEST, 0))
    tail = file.read()
    whole = size - len(tail) + tail.rfind(b"\n") + 1
    if whole < size:
        file.truncate(whole)
    return whole


def opened(url: str | None, path: Path | None) -> Any:
    """Open a storage: the one of a URL, or a journal file."""
    if url is None:
        assert path is not None
        return optuna.storages.JournalStorage(JournalFile(str(path)))
    kind = urlsplit(url).scheme.partition("+")[0]
    if kind in _REDIS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            backend = optuna.storages.journal.JournalRedisBackend(url)
        return optuna.storages.JournalStorage(backend)
    # SQLite otherwise waits for another process no longer than five seconds.
    waiting = {"connect_args": {"timeout": 60}} if kind == "sqlite" else None
    return optuna.storages.RDBStorage(url, engine_kwargs=waiting)


def check_storage(url: str | None) -> None:
    """Refuse a storage of an unknown kind.

    Raises
    ------
    WickError
        It is.
    """
    if url is None:
        return
    hint = (
        f"a URL of one of {', '.join(_KINDS)}, such as sqlite:///tune.db or"
        " redis://HOST:6379/0; / # [ and @ of a password are written %2F %23 %5B %40"
    )
    kind = url.partition(":")[0].partition("+")[0]
    try:
        parts = urlsplit(url)
        _ = parts.port
        whole = "@" not in f"{parts.path}{parts.query}{parts.fragment}" and bool(
            parts.hostname or parts.path.strip("/")
        )
    except ValueError:
        whole = False
    # Whatever cannot be read is not shown: it may be half a password.
    if kind not in _KINDS:
        raise WickError(
            f"--storage {kind} is of no known kind" if "://" in url else "--storage is no URL", hint
        )
    if not whole:
        raise WickError(f"--storage {kind}://… is no URL that can be read", hint)


def shown(url: str) -> str:
    """Return a storage's URL without user, password and folders."""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname or Path(parts.path).name}{port}"


def redacted(command: Sequence[str], url: str | None) -> list[str]:
    """Return a command line without what a storage's URL may have of a password."""
    if url is None:
        return list(command)
    return [word.replace(url, shown(url)) for word in command]
