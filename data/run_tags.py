"""Tags of a run, in a file of their own: run.json is never written again."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from data.disk import sync_folder, write_synced
from strategy.errors import RunRefused, WickError

FILE = "tags.json"


class Tags(msgspec.Struct, frozen=True):
    """The content of tags.json."""

    tags: list[str]


def read_tags(folder: Path) -> list[str]:
    """Return the tags of a run in alphabetical order; none where there is no file.

    Raises
    ------
    WickError
        The file is damaged or cannot be read.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tags).tags
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WickError(f"{path} is damaged: {why}", f"delete {path}, and tag again") from error


def change_tags(folder: Path, change: Callable[[list[str]], Sequence[str]]) -> list[str]:
    """Give a run the tags that a function makes of those it has, and return them.

    Raises
    ------
    WickError
        The file is damaged, or the function refuses.
    RunRefused
        It cannot be written; the tags are as before.
    """
    path = folder / FILE
    hidden = path.with_name(f".{FILE}")  # one name: whoever holds the folder overwrites a rest
    try:
        with _held(folder):
            tags = sorted(set(change(read_tags(folder))))
            write_synced(hidden, msgspec.json.encode(Tags(tags)) + b"\n")
            hidden.replace(path)
            sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            hidden.unlink()
        raise RunRefused(
            f"the tags of {folder.name} cannot be written: {error.strerror}",
            f"make room, or look at who may write there: ls -ld {folder}",
        ) from error
    return tags


def check_tag(tag: str) -> str:
    """Refuse what cannot be a tag.

    Raises
    ------
    WickError
        It is empty, too long, or has other characters.
    """
    if not re.fullmatch(r"\w[\w.-]{0,39}", tag):
        raise WickError(
            f"{tag!r} cannot be a tag",
            "up to 40 letters, digits, - _ and ., such as for-review",
        )
    return tag


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    # Two that tag one run at once must not lose a tag.
    lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
