"""Taking times: alternating calls, processes with their peak memory, medians."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of the same work on both sides, and of theirs by ours in runs next to each other."""

    ours: float
    theirs: float
    ratio: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> "Pair":
        """Take the medians of (ours, theirs)."""
        return cls(
            statistics.median(ours for ours, _ in pairs),
            statistics.median(theirs for _, theirs in pairs),
            statistics.median(theirs / ours for ours, theirs in pairs),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """What one process took."""

    seconds: float
    peak_mib: float
    out: str = ""


def alternate(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Pair:
    """Take times of both sides in turn; each function returns seconds."""
    return Pair.of([(ours(), theirs()) for _ in range(rounds)])


def seconds_of(work: Callable[[], Any], calls: int = 3) -> float:
    """Return the middle one of a few calls in a row: the other side has emptied the caches."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def process(command: Sequence[str], compile_cache: Path, folder: Path) -> Finished:
    """Run a command to its end in a folder, with its compile cache in another.

    Raises
    ------
    RuntimeError
        It failed; what it wrote is in the message.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(compile_cache)}
    # Without byte code every import would be compiled again, on both sides.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # A child starts with the peak of its parent, so a small process stands between.
    done = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCHER, sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    seconds, peak_kib = done.stderr.splitlines()[-1].split()
    return Finished(float(seconds), int(peak_kib) / 1024, done.stdout)


_LAUNCHER = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
