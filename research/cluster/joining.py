"""Joining a cluster that runs, or starting one on this machine."""

import contextlib
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from backtest.sweeps.plan import cores
from strategy.errors import WickError

if TYPE_CHECKING:
    from research.cluster.pool import Pool

AUTO = "auto"
_TIMEOUT_S = 5.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# The preface of HTTP/2 and an empty frame of settings, which a gRPC server answers with its own.
_HELLO, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), 4
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray warns of what a later version will do
}


@contextlib.contextmanager
def joined(address: str, workers: int | None = None) -> "Iterator[Pool]":
    """Join a cluster, or start one here and end it behind the block, of which nothing is printed
    to stdout.

    Parameters
    ----------
    address : str
        auto, HOST:PORT or ray://HOST:PORT. With auto that of RAY_ADDRESS, or else a cluster is
        started on the loopback of this machine.
    workers : int, optional
        How many to start, or the most blocks at a time on a cluster that runs; by default as many
        as there are processors.

    Raises
    ------
    WickError
        Ray is not installed, or nothing that can be joined answers at the address.
    """
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS", AUTO)
    host = None if address == AUTO else _host_of(address)
    os.environ.update(_ENVIRONMENT)
    if host is None or host in _LOOPBACK:
        # Else Ray takes the address of a network for that of the loopback, and listens there.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if host is None and "RAY_AUTH_MODE" not in os.environ:
        # Other users of this machine stay out. Ray would leave a token in the home.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex())
    ray = _imported()
    folder = (
        tempfile.mkdtemp(prefix=f"wick-ray-{os.getpid()}-", dir="/tmp") if host is None else None
    )
    with contextlib.redirect_stdout(sys.stderr):  # Ray tells there of machines that are lost
        try:
            _connect(ray, address, workers or cores(), folder)
            from research.cluster.pool import Pool

            yield Pool(ray, None if folder is not None else workers)
        finally:
            ray.shutdown()
            if folder is not None:
                _end_helpers(folder)
                shutil.rmtree(folder, ignore_errors=True)


def _end_helpers(folder: str) -> None:
    # In its first seconds Ray forgets those of its processes that have not reported yet. They would
    # end a minute later; their logs lie in the folder.
    for _ in range(3):  # one may be starting another
        for path in Path("/proc").glob("[0-9]*"):
            if int(path.name) != os.getpid() and _has_open(path / "fd", folder):
                with contextlib.suppress(OSError):
                    os.kill(int(path.name), signal.SIGKILL)
        time.sleep(0.1)


def _has_open(numbers: Path, folder: str) -> bool:
    with contextlib.suppress(OSError):  # it has ended, or is somebody else's
        for one in numbers.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                if str(one.readlink()).startswith(folder):
                    return True
    return False


def _imported() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise WickError(
            "--cluster needs Ray, which is not installed", "pip install 'candlewick[cluster]'"
        ) from error
    return ray


def _connect(ray: Any, address: str, workers: int, folder: str | None) -> None:
    how: dict[str, Any] = {"address": address}
    if folder is not None:
        how = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        # A short path: those of sockets may have 107 bytes.
        how |= {"_node_ip_address": "127.0.0.1", "_temp_dir": folder}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **how)
    except ImportError as error:  # of gRPC
        raise WickError(
            f"--cluster {address} needs Ray's client, which is not installed",
            "pip install 'candlewick[cluster]' has it",
        ) from error
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        first, *_ = [*str(error).splitlines(), ""]
        raise WickError(
            f"--cluster {address} cannot be joined: {first.rstrip('.')}",
            "where a token is asked for, set RAY_AUTH_MODE=token; where the head was started"
            " without GRPC_ENABLE_FORK_SUPPORT=0, give it again; docs/scaling.md tells more",
        ) from error


def _host_of(address: str) -> str:
    match = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[^\s/:]+):(\d{1,5})", address)
    if match is None or not 0 < int(match[2]) < 65_536:
        raise WickError(
            f"--cluster {address!r} is neither auto nor an address",
            "--cluster auto, --cluster 10.0.0.1:6379 or --cluster ray://10.0.0.1:10001",
        )
    host = match[1].strip("[]")
    # Ray itself waits for a minute, and then ends the process.
    try:
        with socket.create_connection((host, int(match[2])), _TIMEOUT_S) as line:
            line.sendall(_HELLO)
            answer = line.recv(9)
        said = None if len(answer) > 3 and answer[3] == _SETTINGS else "what answers is not Ray"
    except OSError as error:
        said = error.strerror or str(error)
    if said is not None:
        raise WickError(
            f"no cluster answers at --cluster {address}: {said}",
            "ray start --head starts one, see docs/scaling.md; --cluster auto takes this machine",
        )
    return host
