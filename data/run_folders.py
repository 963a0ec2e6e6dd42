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

from data.disk import sync_folder
from strategy.errors import RunRefused

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
