"""What wick needs to work, looked at one by one: every look is a sentence."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

from data.settings import Settings, load_settings
from strategy.errors import WickError

State = Literal["ok", "warning", "failed"]
_OPTIONAL = {
    "vectorbt": "Run.to_vectorbt needs it: pip install 'candlewick[vectorbt]'",
    "talib": "only tests and benchmarks need it",
}
_KEYS = ("WICK_API_KEY", "WICK_API_SECRET")
_GIB = 1 << 30


class Finding(NamedTuple):
    """What one look found.

    Attributes
    ----------
    check : str
        What was looked at.
    state : str
        ok, warning (works, but not all of it) or failed.
    said : str
        The finding.
    hint : str
        What mends it; empty where nothing is wrong.
    """

    check: str
    state: State
    said: str
    hint: str = ""


Note = Callable[[str], None]


def examine(*, warm: bool, note: Note = lambda _: None) -> Iterator[Finding]:
    """Look at everything, one finding after the other.

    Parameters
    ----------
    warm : bool
        Compile all kernels.
    note : callable
        Is told what is being compiled.
    """
    yield from installation()
    yield compile_cache()
    if warm:
        yield warmed(note)
    try:
        settings = load_settings()
    except WickError as error:
        yield Finding("settings", "failed", error.message, error.hint or "")
        return
    yield from folders(settings)
    yield redis(settings)
    yield from clock(settings)
    yield keys()
    yield data(settings)


def installation() -> Iterator[Finding]:
    """Look at Python, the packages and the command on the PATH."""
    python = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    hint = "" if fits else "make setup with Python 3.11, 3.12 or 3.13"
    yield Finding("python", "ok" if fits else "failed", python, hint)
    yield packages()
    found, here = shutil.which("wick"), Path(sys.executable).parent / "wick"
    if found is None:
        hint = f"source {here.parent}/activate, or call {here}"
        yield Finding("wick", "warning", "not on the PATH", hint)
    elif Path(found).resolve() != here.resolve() and here.exists():
        hint = f"source {here.parent}/activate"
        yield Finding("wick", "warning", f"{found}, another than that of this Python", hint)
    else:
        yield Finding("wick", "ok", found)
    missing = [name for name in _OPTIONAL if not _found(name)]
    said = f"{', '.join(missing)} not installed" if missing else "all installed"
    yield Finding("optional", "ok", said, "; ".join(f"{n}: {_OPTIONAL[n]}" for n in missing))


def packages() -> Finding:
    """Compare what is installed with what the package asks for."""
    try:
        needed = requires("candlewick") or []
    except PackageNotFoundError:
        said = "run from its source without being installed: versions are not compared"
        return Finding("packages", "warning", said, "make setup")
    wrong = []
    for line in needed:
        asked = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line)
        if asked is None:  # for other Pythons, or an extra
            continue
        name, least = asked.groups()
        try:
            has = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if _numbers(has) < _numbers(least):
            wrong.append(f"{name} is {has}, expected {least} or newer")
    if wrong:
        return Finding("packages", "failed", "; ".join(wrong), "make setup")
    return Finding("packages", "ok", f"{len(needed)} asked for, none missing or too old")


def compile_cache() -> Finding:
    """Look at the folder of compiled kernels."""
    from strategy.kernel import CACHE_DIR

    if CACHE_DIR is None:
        hint = "export NUMBA_CACHE_DIR=… to a folder that can be written"
        return Finding("compile cache", "warning", "off: every start compiles", hint)
    warm = any(CACHE_DIR.rglob("simulate*.nbi"))
    said = f"{CACHE_DIR}, {'warm' if warm else 'cold'}"
    if os.access(CACHE_DIR, os.W_OK):
        return Finding("compile cache", "ok", said)
    hint = "export NUMBA_CACHE_DIR=… where strategies of your own shall be kept compiled"
    return Finding("compile cache", "ok", f"{said}, read only", hint)


def warmed(note: Note) -> Finding:
    """Compile every kernel of backtests and indicators."""
    from numba.core import event

    from research.warm import steps

    began = time.monotonic()
    with event.install_recorder("numba:compile") as recorder:
        for name, step in steps():
            note(name)
            step()
    count = sum(1 for _, one in recorder.buffer if one.is_start)
    done = f"{count} kernels compiled" if count else "all kernels were compiled before"
    return Finding("kernels", "ok", f"{done}, {time.monotonic() - began:.1f} s")


def folders(settings: Settings) -> Iterator[Finding]:
    """Look whether store, runs and sessions can be written, and at the room on their disks."""
    from data.runs import check_writable

    for name in ("store", "runs", "sessions"):
        folder: Path = getattr(settings, name)
        try:
            check_writable(folder, name)
        except WickError as error:
            yield Finding(name, "failed", error.message, error.hint or "")
            continue
        nearest = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(nearest).free
        state: State = "ok" if free >= _GIB else "warning"
        hint = "" if free >= _GIB else "a year of 1m candles takes 20 MiB, make room"
        yield Finding(name, state, f"{folder}, {free / _GIB:.1f} GiB free", hint)


def redis(settings: Settings) -> Finding:
    """Ask the session's Redis, or start one as a session would."""
    from live.connect import shown
    from live.redis_server import remove_socket, start_embedded, url_of

    if settings.redis:
        return _asked(settings.redis, f"it is set as redis = {shown(settings.redis)!r}")
    with tempfile.TemporaryDirectory(prefix="wick-doctor-") as scratch:
        folder = Path(scratch)
        try:
            server = start_embedded(folder)
        except WickError as error:
            return Finding("redis", "failed", error.message, error.hint or "")
        try:
            return _asked(url_of(folder), "")
        finally:
            server.terminate()
            try:
                server.wait(10.0)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            remove_socket(folder)


def _asked(url: str, hint: str) -> Finding:
    from redis import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(url, socket_timeout=3.0, socket_connect_timeout=3.0)
    try:
        has = str(client.info("server")["redis_version"])
    except (RedisError, OSError) as error:
        return Finding("redis", "failed", f"no answer: {error}", hint)
    finally:
        client.close()
    if _numbers(has) < (6,):
        return Finding("redis", "failed", f"version {has}, expected 6 or newer", hint)
    return Finding("redis", "ok", f"version {has}, {'answers' if hint else 'starts and answers'}")


def clock(settings: Settings) -> Iterator[Finding]:
    """Compare the clocks of this machine, and with the exchange's where it can be reached."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.1)
    drift_ms = (time.time() - wall - (time.monotonic() - steady)) * 1e3
    hint = "let the system keep its time: timedatectl set-ntp true"
    if abs(drift_ms) > 20.0 or wall < 1_700_000_000:
        said = f"it is {time.strftime('%Y-%m-%d', time.gmtime(wall))}, and jumps {drift_ms:.0f} ms"
        yield Finding("clock", "failed", said, hint)
    else:
        yield Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(wall)))
    away_ms = _away_ms(settings.rest_url)
    if away_ms is None:
        yield Finding("exchange's time", "ok", f"not asked: {settings.rest_url} is not reachable")
    elif abs(away_ms) > 1_000:  # what the exchange takes an order's time for wrong by
        yield Finding("exchange's time", "failed", f"{away_ms:+.0f} ms from it", hint)
    else:
        yield Finding("exchange's time", "ok", f"{away_ms:+.0f} ms from it")


def _away_ms(url: str) -> float | None:
    import requests

    from data.fetching.download import archive_reachable

    if not archive_reachable(f"{url}/fapi/v1/time", 2.0):
        return None
    try:
        began = time.time()
        theirs = requests.get(f"{url}/fapi/v1/time", timeout=2.0).json()["serverTime"]
        return (began + time.time()) / 2 * 1e3 - float(theirs)
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def keys() -> Finding:
    """Say whether keys are in the environment; they are never shown."""
    there = [name for name in _KEYS if os.environ.get(name)]
    if len(there) == 1:
        (other,) = set(_KEYS) - set(there)
        said = f"{there[0]} without {other}"
        return Finding("keys", "warning", said, f"export {other}=…, orders need both")
    if there:
        return Finding("keys", "ok", "in the environment, not verified")
    return Finding("keys", "ok", "none: backtests and paper need none")


def data(settings: Settings) -> Finding:
    """Count what is stored."""
    from data.store import every_series

    try:
        stored = every_series(settings.store)
    except WickError as error:
        return Finding("data", "failed", error.message, error.hint or "")
    if not stored:
        hint = "wick data fetch BTCUSDT --from 2023-01-01, or wick data import PATH"
        return Finding("data", "warning", f"nothing is stored in {settings.store}", hint)
    symbols = {one.series.symbol for one in stored}
    rows = sum(one.rows for one in stored)
    return Finding("data", "ok", f"{len(stored)} series of {len(symbols)} symbols, {rows:,} rows")


def _found(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:4])
