"""A sweep on disk: a hidden folder among the runs that grows part by part, until it is a run.

``.sweep-ID/sweep.json`` says what was asked for and on what it rests, the files of ``results`` hold
the rows. A part is there whole or not at all, so a killed sweep loses at most the
parts that were being computed. What is hidden is in no list of runs.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from data.disk import sync_folder, write_synced
from data.run_json import AxisRecord
from data.runs import read_table, write_table
from data.settings import load_settings
from data.terminal import counted
from strategy.errors import RunRefused, WickError, did_you_mean

_HIDDEN, SCHEMA = ".sweep-", 1


class SweepPlanned(msgspec.Struct, frozen=True):
    """The content of sweep.json.

    Attributes
    ----------
    schema : int
    id : str
        The run's, once it is finished.
    created_ms : int
    command : list of str
    asked : dict
        The fields of `backtest.inputs.Asked`.
    axes : list of AxisRecord
    where : str or None
    drawn : int or None
        How many combinations are drawn of the grid.
    seed : int
        Of the draw.
    part : int
        Places of the grid in one part.
    rests_on : dict
        What the results depend on, each as a text or a hash by its name.
    objective : str
        The figure to rank by.
    heat : tuple of str or None
        Two axes to draw.
    """

    schema: int
    id: str
    created_ms: int
    command: list[str]
    asked: dict[str, Any]
    axes: list[AxisRecord]
    where: str | None
    drawn: int | None
    seed: int
    part: int
    rests_on: dict[str, str]
    objective: str = "sharpe"
    heat: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a sweep in its folder."""

    folder: Path

    def path(self, at: int) -> Path:
        """Return the file of a part."""
        return self.folder / "results" / f"part-{at:06d}.parquet"

    def write(self, at: int, table: pa.Table) -> None:
        """Write a part; it is there whole, and on the disk, or not at all.

        Raises
        ------
        RunRefused
            There is no room for it, or the folder cannot be written.
        """
        sink = pa.BufferOutputStream()
        write_table(table, sink)
        path = self.path(at)
        scratch = path.with_name(f".{path.name}")
        try:
            write_synced(scratch, sink.getvalue().to_pybytes())
            scratch.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                scratch.unlink()
            raise RunRefused(
                f"{path} cannot be written: {error.strerror}",
                f"make room, then {resume_command(self.folder)} goes on where it stopped",
            ) from error

    def done(self) -> set[int]:
        """Return which parts are there; one that cannot be read is removed."""
        found = set()
        for path in sorted((self.folder / "results").glob("part-*.parquet")):
            try:
                read_table(path)
            except WickError:
                path.unlink()
            else:
                found.add(int(path.stem.removeprefix("part-")))
        return found

    def rows(self) -> Iterator[pa.Table]:
        """Read the parts in order, one at a time."""
        for path in sorted((self.folder / "results").glob("part-*.parquet")):
            yield read_table(path)


def begin(runs: Path, planned: SweepPlanned, source: bytes) -> Path:
    """Make the folder of a new sweep, and return it.

    Raises
    ------
    OSError
        It cannot be written.
    """
    runs.mkdir(parents=True, exist_ok=True)
    folder = runs / f"{_HIDDEN}{planned.id}"
    number = 1
    while folder.exists() or (runs / folder.name.removeprefix(_HIDDEN)).exists():
        number += 1
        folder = runs / f"{_HIDDEN}{planned.id}-{number}"
    named = msgspec.structs.replace(planned, id=folder.name.removeprefix(_HIDDEN))
    scratch = folder.with_name(f".new{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "results").mkdir(parents=True)
    (scratch / "strategy.py").write_bytes(source)
    text = msgspec.json.format(msgspec.json.encode(named), indent=2)
    write_synced(scratch / "sweep.json", text + b"\n")
    scratch.rename(folder)
    sync_folder(runs)
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder for this process.

    Raises
    ------
    WickError
        Another process is at it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WickError(
                f"sweep {_id(folder)} is being run by another process",
                "wait for it, or stop it and give the command again",
            ) from None
        except OSError:
            pass  # a disk without locks
        yield
    finally:
        os.close(handle)


def unfinished(runs: Path) -> dict[Path, SweepPlanned]:
    """Read the unfinished sweeps by their folders, oldest first; a damaged one is left out."""
    found = {}
    for path in sorted(runs.glob(f"{_HIDDEN}*/sweep.json")) if runs.is_dir() else []:
        with suppress(WickError):
            found[path.parent] = _read(path)
    return found


def find_unfinished(runs: Path, name: str) -> tuple[Path, SweepPlanned]:
    """Find an unfinished sweep by its id, any part of one, or `last`: of those with a part done.

    Raises
    ------
    WickError
        None or more than one is meant.
    """
    found = unfinished(runs)
    names = {folder: _id(folder) for folder in found}
    begun = [one for one in found if any((one / "results").glob("part-*.parquet"))]
    if name == "last" and begun:
        newest = max(begun, key=lambda folder: found[folder].created_ms)
        return newest, found[newest]
    if name == "last" and found:
        raise WickError(
            f"none of {counted(len(found), 'unfinished sweep')} in {runs} has a part done",
            "the whole command begins anew; by its name one goes on nevertheless: "
            + ", ".join(resume_command(one) for one in list(found)[-3:]),
        )
    matches = [one for one in found if names[one] == name] or [
        one for one in found if name in names[one]
    ]
    if len(matches) > 1:
        raise WickError(
            f"{len(matches)} unfinished sweeps have {name!r} in their name",
            f"write more of it: {', '.join(names[one] for one in matches[-8:])}",
        )
    if not matches:
        finished = runs.is_dir() and any(name in path.name for path in runs.glob("*/results"))
        raise WickError(
            f"there is no unfinished sweep {name!r} in {runs}",
            f"it is finished: wick report {name}"
            if finished
            else did_you_mean(name, names.values())
            if names
            else "wick sweep STRATEGY --grid rsi=5:40:1 begins one",
        )
    return matches[0], found[matches[0]]


def check_same(folder: Path, planned: SweepPlanned, now: Mapping[str, str]) -> None:
    """Refuse to go on with a sweep that would mix two kinds of results.

    Raises
    ------
    WickError
        What it rests on has changed; it is named.
    """
    if changed := changed_since(planned, now):
        raise WickError(
            f"sweep {_id(folder)} cannot go on: changed since it began: {', '.join(changed)}",
            f"put it back as it was, or give the whole command again, and delete {folder}",
        )


def changed_since(planned: SweepPlanned, now: Mapping[str, str]) -> list[str]:
    """Name what a sweep rests on and what is something else now."""
    return [name for name, value in planned.rests_on.items() if now.get(name) != value]


def remove(folder: Path) -> None:
    """Delete an unfinished sweep as far as that is possible."""
    shutil.rmtree(folder, ignore_errors=True)


def resume_command(folder: Path) -> str:
    """Return the command that goes on with an unfinished sweep."""
    elsewhere = folder.parent.resolve() != Path(load_settings().runs).resolve()
    return f"wick sweep --resume {_id(folder)}" + (f" --runs {folder.parent}" if elsewhere else "")


def _id(folder: Path) -> str:
    return folder.name.removeprefix(_HIDDEN)


def _read(path: Path) -> SweepPlanned:
    try:
        planned = msgspec.json.decode(path.read_bytes(), type=SweepPlanned)
    except (msgspec.MsgspecError, OSError) as error:
        raise WickError(f"{path} is damaged: {error}", f"delete {path.parent}") from error
    if planned.schema != SCHEMA:
        raise WickError(f"{path} is of another version", f"delete {path.parent}")
    return planned
