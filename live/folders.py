"""The folders of sessions: written, held by one supervisor, found again."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

import msgspec

from data.disk import sync_folder, write_synced
from live.session import FILE, Session, read_session
from live.start import Draft
from strategy.errors import WickError, did_you_mean

LOCK, TROUBLES = "lock", "troubles"
_OTHER = {
    "on": "another --on",
    "source_hash": "another version of the strategy",
    "symbols": "other symbols",
    "params": "other params",
    "risk": "other risk settings",
}


def keep(drafted: Draft, session: Session, folder: Path) -> None:
    """Write the session's folder: the strategy's copy, then session.json, whole or not at all.

    It is on the disk when this returns: a journal without it could not go on.
    """
    copies = folder / "strategy"
    copies.mkdir(exist_ok=True)
    write_synced(copies / session.strategy, drafted.source)
    sync_folder(copies)
    new = folder / f".{FILE}"
    write_synced(new, msgspec.json.format(msgspec.json.encode(session), indent=2) + b"\n")
    new.rename(folder / FILE)
    sync_folder(folder)


class Hold:
    """A session's folder, held by one supervisor at a time.

    Parameters
    ----------
    folder : Path
        Made where it is not there.

    Attributes
    ----------
    is_new : bool
        There was no session in it before.

    Raises
    ------
    WickError
        Another supervisor holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.is_new = not (folder / FILE).exists()
        self._made = [path for path in folder.parents if not path.exists()]
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for path in (folder, *self._made):
            sync_folder(path.parent)
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise WickError(
                f"the session {folder.name} is running already",
                f"wick session status {folder.name} shows it; or take another --name",
            ) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def undo(self) -> None:
        """Take the folder away again, if it is new."""
        if self.is_new:
            shutil.rmtree(self._folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another session may have come meanwhile
                for path in self._made:
                    path.rmdir()

    def close(self) -> None:
        """Let go of the folder."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def supervisor_of(folder: Path) -> int:
    """Return the process that runs a session, 0 where none does."""
    try:
        file = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return int(os.read(file, 20) or b"0")
    else:
        return 0
    finally:
        os.close(file)


def tell_troubles(folder: Path, words: str) -> None:
    """Leave word of what is amiss with a session's processes, where a full disk allows it."""
    new = folder / f".{TROUBLES}"
    with contextlib.suppress(OSError):
        if words:
            new.write_text(words)
            new.replace(folder / TROUBLES)
        else:
            (folder / TROUBLES).unlink(missing_ok=True)


def troubles_of(folder: Path) -> str:
    """Return what is amiss with the processes of a running session, empty where nothing is."""
    try:
        return (folder / TROUBLES).read_text() if supervisor_of(folder) else ""
    except OSError:
        return ""


def earlier(drafted: Draft, folder: Path) -> Session | None:
    """Return the session of this name that is to go on, None where there is none.

    Raises
    ------
    WickError
        It cannot go on: it was on paper, or something else was asked for.
    """
    if not (folder / FILE).exists():
        return None
    old, new = read_session(folder), drafted.session
    if new.on == "paper":
        raise WickError(
            f"there is a session {folder.name} already, and one on paper cannot go on: its"
            " exchange ended with it",
            "take another --name, or leave it out",
        )
    for name in ("on", "strategy", "source_hash", "symbols", "params", "risk", "tag"):
        if getattr(old, name) != getattr(new, name):
            raise WickError(
                f"the session {folder.name} was started with {_OTHER.get(name, 'another ' + name)}",
                "take another --name; this one goes on only with what it was started with",
            )
    return old


def find(sessions: Path, name: str) -> Path:
    """Return a session's folder from its id, any part of one, its path, or `last`.

    Raises
    ------
    WickError
        No session or more than one is meant.
    """
    if (Path(name) / FILE).is_file():
        return Path(name)
    known = listed(sessions)
    if not known:
        raise WickError(
            f"there is no session in {sessions}", "wick live rsi_macd_atr --on paper starts one"
        )
    if name == "last":  # neither damaged nor, if there is another, one that only compared
        return max(known, key=lambda one: (rank(one), _changed(one), one.name))
    names = [one.name for one in known]
    matches = [one for one in names if one == name] or [one for one in names if name in one]
    if len(matches) == 1:
        return sessions / matches[0]
    if not matches:
        raise WickError(
            f"there is no session {name!r} in {sessions}", did_you_mean(name, names[-8:])
        )
    raise WickError(
        f"{len(matches)} sessions in {sessions} have {name!r} in their name",
        f"write more of it: {', '.join(matches[-8:])}",
    )


class _On(msgspec.Struct):
    on: str = ""


def rank(folder: Path) -> int:
    """Tell how likely a session is meant: 2 one that traded, 1 one that compared, 0 a damaged one.

    The file's version does not matter.
    """
    try:
        on = msgspec.json.decode((folder / FILE).read_bytes(), type=_On).on
    except (msgspec.MsgspecError, OSError):
        return 0
    return 1 if on == "parity" else 2


def _changed(folder: Path) -> int:
    return (folder / FILE).stat().st_mtime_ns


def listed(sessions: Path) -> list[Path]:
    """List the folders of sessions, by name."""
    return sorted(path.parent for path in sessions.glob(f"*/{FILE}"))
