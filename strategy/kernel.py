"""The only decorators for compiled code, and where its compiled form is kept.

Numba does not notice an edited callee that stands in another file: it would hand out the old
machine code. So the compile cache lies in a folder named by a hash over every file of this package
and of `backtest.kernels` that can hold a kernel; editing one of them opens a new folder, and the
old ones are removed. No kernel stands anywhere else.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
import numpy as np

from strategy.kernel_cache import KernelCache
from strategy.kernel_dispatch import KernelDispatcher

log = logging.getLogger(__name__)


def _source_hash() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted([*root.rglob("*.py"), *root.parent.glob("backtest/kernels/**/*.py")]):
        text = path.read_bytes()
        # A strategy module holds no kernel; users edit it all day and must not wait for a
        # compilation each time.
        if b"(NamedTuple):" in text and b"\nTIMEFRAME" in text:
            continue
        digest.update(str(path.relative_to(root.parent)).encode() + b"\0" + text)
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen) / "candlewick"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "candlewick"


def _open_cache(key: str) -> Path | None:
    try:
        folder = _cache_root() / key
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.utime(folder)  # in use
            _drop_old(folder.parent, folder.stat().st_mtime)
        elif not any(folder.iterdir()):  # what somebody else has filled is read all the same
            raise PermissionError(f"{folder} is not writable")
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        hint = "every start compiles: set NUMBA_CACHE_DIR to a folder that can be written"
        log.warning("compile_cache=off reason=%s hint=%s", error, hint)
        return None
    return folder


def _drop_old(root: Path, now_s: float, keep: int = 4, unused_s: float = 7 * 86_400.0) -> None:
    # A few stay, so that two checkouts used in turn do not compile at every change of place, and
    # none goes that a long running process may still have in use.
    ages = []
    for path in root.iterdir():
        with suppress(OSError):  # another process has just removed it
            ages.append((now_s - path.stat().st_mtime, path))
    for age, path in sorted(ages)[keep:]:
        if age > unused_s:
            shutil.rmtree(path, ignore_errors=True)


# Its options are set when Numba is imported, where a type checker does not see them.
_config: Any = numba.config
SOURCE_HASH = _source_hash()
CACHE_DIR = _open_cache(SOURCE_HASH)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with the only options used in this project, cached where edits are
    noticed.

    No fastmath: results must not depend on how the compiler groups a sum. Division by zero gives
    inf or NaN, as NumPy does. The interpreter lock is released.
    """
    return _compiled(function)


def borrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel that makes no array and returns none, so that nobody needs to count who
    holds one.

    Numba counts with an atomic instruction wherever an array or a tuple of them goes from name to
    name: half of the time of a walk from signal to signal was spent there. What it calls makes no
    array either.
    """
    return _compiled(function, _nrt=False)


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a `borrowing` kernel into its callers: for a part of one loop to which a call would
    hand over so many arrays that it costs more than the work."""
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Callable[..., Any], **more: bool) -> Callable[..., Any]:
    if _config.DISABLE_JIT:
        # The same text in Python, where NumPy would warn of every division by zero.
        return np.errstate(all="ignore")(function)
    options: dict[str, Any] = {
        "nopython": True,
        "boundscheck": None,
        "nogil": True,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
        **more,
    }
    compiled: Any = KernelDispatcher(function, targetoptions=options)
    if CACHE_DIR is not None and Path(function.__code__.co_filename).is_file():
        compiled._cache = KernelCache(function, CACHE_DIR)
    result: Callable[..., Any] = compiled
    return result
