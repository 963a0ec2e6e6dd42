"""How a sweep is computed and shown: what does not change a row."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from backtest.sweeps.figures import FIGURES
from strategy.errors import WickError, did_you_mean

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
LEAST_MEMORY, MOST_TOP, MOST_THREADS = 16 << 20, 10_000, 1_024


@dataclass(frozen=True, slots=True)
class Options:
    """The figure to rank by, how many rows to show, bytes, threads, and two axes to draw."""

    objective: str
    top: int
    memory: int
    threads: int
    heat: tuple[str, str] | None


def options_of(
    objective: str, top: int, memory: str, threads: int | None, heat: str | None
) -> Options:
    """Read the options of the command line.

    Raises
    ------
    WickError
        One of them is unknown or out of range.
    """
    if not 1 <= top <= MOST_TOP:
        raise WickError(f"--top is {top}, expected 1 to {MOST_TOP}", "--top 20")
    cores = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise WickError(
            f"--threads is {threads}, expected 1 to {MOST_THREADS}", f"--threads {cores}"
        )
    pair = None
    if heat is not None:
        first, comma, second = (word.strip() for word in heat.partition(","))
        if not (comma and first and second) or first == second:
            raise WickError(f"--heat {heat!r} is not two axes", "--heat rsi,oversold")
        pair = (first, second)
    return Options(known_objective(objective), top, bytes_of(memory), threads or cores, pair)


def known_objective(objective: str) -> str:
    """Return the key of a figure that sweeps have.

    Raises
    ------
    WickError
        There is none of this name.
    """
    if objective not in FIGURES:
        raise WickError(f"unknown --objective {objective!r}", did_you_mean(objective, FIGURES))
    return objective


def known_pair(pair: tuple[str, str], axes: Sequence[str]) -> tuple[str, str]:
    """Return the names of two axes to draw.

    Raises
    ------
    WickError
        One is no axis.
    """
    for name in pair:
        if name not in axes:
            raise WickError(f"a map of {name!r}, which is no axis", did_you_mean(name, axes))
    return pair


def bytes_of(memory: str) -> int:
    """Read an amount of memory such as 500MiB.

    Raises
    ------
    WickError
        It has no number or no known unit, or is under 16 MiB.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?) ?([KMG]i?B)", memory.strip())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < LEAST_MEMORY:
        raise WickError(
            f"--memory is {memory!r}, expected at least 16MiB, in MiB or GiB", "--memory 1GiB"
        )
    return size
