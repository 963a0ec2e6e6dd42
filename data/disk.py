"""Files that are there whole or not at all, and files that outlast a loss of power."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from strategy.errors import RunRefused


def write_page(path: Path, text: str, what: str) -> None:
    """Write a page for a reader; it is there whole or not at all.

    Raises
    ------
    RunRefused
        The file cannot be written; `what` names the page in the sentence.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise RunRefused(
            f"the {what} cannot be written to {path}: {error.strerror}",
            "name a file in a folder that exists and can be written with --output",
        ) from error
    finally:
        with suppress(OSError):  # the sentence above says more than what the clean-up met
            temporary.unlink()


def write_synced(path: Path, raw: bytes) -> None:
    """Write a file and wait until its content is on the disk.

    A file's content and its name each need a sync.
    """
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: what was made, renamed or removed there."""
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Wait until what a closed file, or a folder, holds is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
