"""The folders of runs as they lie on the disk: which there are, and how one comes and goes whole.

Nothing heavy is imported here, so that thousands of runs are listed at once.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from data.disk import sync_folder
from strategy.errors import RunRefused, WickError, did_you_mean

UNFINISHED = ".unfinished-"
_TABLES = ("trades.parquet", "equity.parquet")


def stamps(runs: Path) -> dict[str, os.stat_result | None]:
    """Return the state of each run's run.json by the folder's name, in the order of names.

    None stands where it cannot be looked at: another hand took it away and left the tables, or the
    folder may not be entered. What is hidden, or has a name that nobody can type, is no run.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(runs) as entries:
            names = sorted(one.name for one in entries if one.name.isprintable())
        names = [name for name in names if not name.startswith(".")]
        looked = ((name, _look(f"{runs}/{name}")) for name in names)
        return {name: found[0] for name, found in looked if found}
    return {}


def _look(folder: str) -> tuple[os.stat_result | None] | None:
    try:
        return (os.stat(f"{folder}/run.json"),)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return (None,) if any(Path(folder, name).exists() for name in _TABLES) else None
    except OSError:
        return (None,)


def find(runs: Path, name: str) -> Path:
    """Return a run's folder from its id, any part of one, its path, or `last`.

    Raises
    ------
    WickError
        No run or more than one is meant.
    """
    path = Path(name)
    if (path / "run.json").is_file():
        return path
    plain = name == path.name and not name.startswith(".")
    if plain and (runs / name / "run.json").is_file():  # a whole id needs no look at all the others
        return runs / name
    known = list(stamps(runs))
    if not known:
        raise WickError(
            f"there is no run in {runs}", "wick backtest rsi_macd_atr makes one; or name --runs"
        )
    if name == "last":
        return max((runs / one for one in known), key=lambda p: (_created(p), p.name))
    matches = [one for one in known if one == name] or [one for one in known if name in one]
    if not matches:
        raise WickError(f"there is no run {name!r} in {runs}", did_you_mean(name, known[-8:]))
    if len(matches) > 1:
        raise WickError(
            f"{len(matches)} runs in {runs} have {name!r} in their name",
            f"write more of it: {', '.join(matches[-8:])}",
        )
    return runs / matches[0]


class _Created(msgspec.Struct):
    created_ms: int


def _created(folder: Path) -> int:
    # One damaged run, or one of another version, must not stand in the way of the last one.
    try:
        path = folder / "run.json"
        return msgspec.json.decode(path.read_bytes(), type=_Created).created_ms
    except (msgspec.MsgspecError, OSError):
        return path.stat().st_mtime_ns // 1_000_000


@contextmanager
def scratch(runs: Path) -> Iterator[Path]:
    """Give a hidden folder among the runs, and remove it and what is left of killed writers."""
    runs.mkdir(parents=True, exist_ok=True)
    path = runs / f"{UNFINISHED}{secrets.token_hex(8)}"
    lock = os.open(runs, os.O_RDONLY)
    try:
        # Every writer holds the folder together with the others, and the system lets go for one
        # that was killed: who has it alone may clear up. Without locks nobody does.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in runs.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)
        path.mkdir()
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove(folder: Path) -> None:
    """Delete a run: it is hidden at once, then its files go; a killed process leaves no half run.

    Raises
    ------
    RunRefused
        It cannot be deleted; it is there as before.
    """
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with scratch(folder.parent) as hidden:
            folder.rename(hidden / folder.name)
            sync_folder(folder.parent)
    except OSError as error:
        raise RunRefused(
            f"run {folder} cannot be deleted: {error.strerror}",
            "look at who may write there: ls -ld " + str(folder.parent),
        ) from error
