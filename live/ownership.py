"""One trader a symbol: of two on one account, each would take the other's position for its own.

The journal's lock keeps two from one session. Here two sessions are kept from one symbol of one
account: by a file each, in a folder of the user's, that a trader locks for as long as it lives. It
works between the sessions of one user on one machine; elsewhere a fill that is not ours halts.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from live.session import Session
from strategy.errors import WickError

_OWN_ACCOUNT = ("paper", "parity")  # made with the session, and gone with it
# Who only looks whether a symbol is free has its lock for an instant.
_PATIENCE_S = 1.0
_LOOK_S = 0.02
_HINT = "export XDG_STATE_HOME=… with a folder that can be written"


@contextlib.contextmanager
def sole_trader(session: Session, key: str) -> Iterator[None]:
    """Be the only trader of a session's symbols on its account, until the end of the block or of
    the process, however it ends.

    Parameters
    ----------
    key : str
        The API key; it goes into no file and no file's name.

    Raises
    ------
    WickError
        Another session trades one of them, or the folder for it cannot be written.
    """
    with contextlib.ExitStack() as held:
        for symbol in () if session.on in _OWN_ACCOUNT else session.symbols:
            file = _opened(_path(session, key, symbol))
            held.callback(os.close, file)
            _lock(file, symbol)
            with contextlib.suppress(OSError):  # it only says who it is
                os.ftruncate(file, 0)
                os.pwrite(file, session.id.encode(), 0)
        yield


def _path(session: Session, key: str, symbol: str) -> Path:
    said = msgspec.json.encode((urlsplit(session.addresses.rest).netloc.lower(), key, symbol))
    return _state_folder() / f"{hashlib.sha256(said).hexdigest()}.lock"


def _state_folder() -> Path:
    chosen = Path(os.environ.get("XDG_STATE_HOME", ""))
    if chosen.is_absolute():  # its specification has a relative one ignored
        return chosen / "candlewick"
    try:
        return Path.home() / ".local" / "state" / "candlewick"
    except RuntimeError as error:
        raise WickError(f"this user has no home folder: {error}", _HINT) from error


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _not_kept(path.parent, error) from error


def _lock(file: int, symbol: str) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until_s:
                raise _taken(file, symbol) from error
            time.sleep(_LOOK_S)
        except OSError as error:
            raise _not_kept(_state_folder(), error) from error
        else:
            return


def _taken(file: int, symbol: str) -> WickError:
    name = os.pread(file, 100, 0).decode(errors="replace")
    return WickError(
        f"{f'the session {name}' if name else 'another session'} trades {symbol} with this API key"
        " already",
        f"end it first{f' (wick session status {name} shows it)' if name else ''},"
        " or leave the symbol out with --symbols",
    )


def _not_kept(folder: Path, error: OSError) -> WickError:
    return WickError(
        f"{folder}, which keeps two sessions from one symbol, cannot be used: {error.strerror}",
        _HINT,
    )
