"""The run folder: what a backtest or a tuning was, on what data, and what came out.

A run is a folder with run.json, trades.parquet, equity.parquet, parts.parquet where trades were
closed in parts, and trials.parquet of a tuning.
It is written under a temporary name and renamed, so a run is there whole or not at all; what a
killed process leaves is hidden, and removed by the next one that writes.
"""

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.disk import sync_file
from data.run_folders import find as find
from data.run_folders import scratch, stamps
from data.run_json import SCHEMA, RunRecord
from data.run_tables import TIME
from data.table import arrow, numbers
from strategy.errors import RunRefused, WickError


@dataclass(frozen=True, slots=True)
class Run:
    """A run: one read back, or a new one with the folder it will have.

    Attributes
    ----------
    folder : Path
    record : RunRecord
    trades : Table
        One row a trade: symbol, side, times, prices, qty, pnl, fees, funding, net, stop, take, mae,
        mfe, r, mae_r, mfe_r, bars, reason. Runs of before a column was added lack it.
    time, equity : array (n,)
        UTC ms of each candle's open, and the account value at its close.
    parts : Table or None
        Every exit of the trades that were closed in parts: trade (its row), symbol, time, bars
        since the entry, qty, price, pnl, fee. None where there are none, and in runs of before
        parts were kept.
    """

    folder: Path
    record: RunRecord
    trades: pa.Table
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    parts: pa.Table | None = None


def keep(
    runs: Path, run: Run, source: bytes | None = None, extra: dict[str, pa.Table] | None = None
) -> Run:
    """Save a new run with all that belongs to it, and return it with the folder it got."""
    tables = (extra or {}) | ({} if run.parts is None else {"parts": run.parts})
    return save(runs, run.record, run.trades, run.time, run.equity, source, tables)


def save(
    runs: Path,
    record: RunRecord,
    trades: pa.Table,
    time: NDArray[np.int64],
    equity: NDArray[np.float64],
    source: bytes | None = None,
    extra: dict[str, pa.Table] | None = None,
) -> Run:
    """Write a run folder, whole or not at all; a taken id gets a number behind it.

    Raises
    ------
    OSError
        The folder cannot be written; nothing is left of it.
    """
    with scratch(runs) as hidden:
        return publish(
            runs, hidden, Run(runs / record.id, record, trades, time, equity), source, extra
        )


def publish(
    runs: Path,
    folder: Path,
    run: Run,
    source: bytes | None = None,
    extra: dict[str, pa.Table] | None = None,
) -> Run:
    """Write a run into a hidden folder among the runs, and give that its name.

    Raises
    ------
    OSError
        The folder cannot be written; it stays hidden.
    """
    write_table(run.trades, folder / "trades.parquet")
    curve = pa.table({"time": arrow(run.time, TIME), "equity": arrow(run.equity)})
    write_table(curve, folder / "equity.parquet")
    if source is not None:  # of the strategy, which its user will go on editing
        (folder / "strategy.py").write_bytes(source)
    for name, table in (extra or {}).items():
        write_table(table, folder / f"{name}.parquet")
    for number in range(1, 10_000):
        name = run.record.id if number == 1 else f"{run.record.id}-{number}"
        named = msgspec.structs.replace(run.record, id=name)
        text = msgspec.json.format(msgspec.json.encode(named), indent=2)
        (folder / "run.json").write_bytes(text + b"\n")
        _sync_files(folder)
        try:
            folder.rename(runs / name)
        except OSError:
            if (runs / name).exists():  # taken, perhaps by a run of this very second
                continue
            raise
        parts = (extra or {}).get("parts", run.parts)
        return Run(runs / name, named, run.trades, run.time, run.equity, parts)
    raise FileExistsError(17, "too many runs of one name", str(runs / run.record.id))


def _sync_files(folder: Path) -> None:
    # A name that outlives a loss of power must not outlive what it names. All files are written by
    # now: the first sync takes the others along, one by one they took three times as long.
    for path in folder.iterdir():
        if path.is_file():
            sync_file(path)


def write_table(table: pa.Table, path: Any) -> None:
    """Write a table of a run to a path or an Arrow stream, each page with its checksum."""
    # A dictionary only where words repeat: of half a million marks it would be built in vain.
    words = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        write_page_checksum=True,
        write_statistics=False,  # the checksum does not cover them
        use_dictionary=words,
    )


def check_writable(runs: Path, what: str = "runs") -> None:
    """Refuse a folder that cannot take runs or sessions, before the work and not after it.

    Raises
    ------
    RunRefused
        It, or the folder it would be made in, cannot be written.
    """
    nearest = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise RunRefused(
            f"{what} cannot be kept in {runs}: {nearest}: {error.strerror}",
            f"choose a folder that can be written with --{what}, WICK_{what.upper()} or wick.toml",
        ) from error


def run_id(created_ms: int, kind: str, strategy: str, symbols: tuple[str, ...]) -> str:
    """Name a run so that a list sorts by time and a person can tell what it was.

    >>> run_id(0, "backtest", "my idea", ("BTCUSDT", "ETHUSDT"))
    '19700101-000000-backtest-my_idea-BTCUSDT+1'
    """
    moment = datetime.fromtimestamp(created_ms / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    more = f"+{len(symbols) - 1}" if len(symbols) > 1 else ""
    plain = re.sub(r"[^\w.-]", "_", strategy)[:40]  # a folder's name has at most 255 bytes
    return f"{moment}-{kind}-{plain}-{symbols[0]}{more}"


def _folders(runs: Path) -> list[Path]:
    return [runs / name for name in stamps(runs)]


def read_record(folder: Path) -> RunRecord:
    """Read run.json.

    Raises
    ------
    WickError
        It is damaged, cannot be read, or is of another version.
    """
    path = folder / "run.json"
    hint = f"make the run again and delete {folder}; wick report NAME takes another one"
    try:
        text = path.read_bytes()
        written = msgspec.json.decode(text, type=_Written)
        if written.schema != SCHEMA:
            raise WickError(
                f"{path} is damaged or of another version: schema {written.schema}, expected"
                f" {SCHEMA}",
                hint,
            )
        return msgspec.json.decode(text, type=RunRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WickError(f"{path} is damaged or of another version: {error}", hint) from error
    except OSError as error:
        raise WickError(f"{path} cannot be read: {error.strerror}", hint) from error


def load(runs: Path, name: str) -> Run:
    """Read a run back by id, path or `last`.

    Raises
    ------
    WickError
        There is no such run, or a file of it is damaged.
    """
    folder = find(runs, name)
    record = read_record(folder)
    trades, curve = read_table(folder / "trades.parquet"), read_table(folder / "equity.parquet")
    path = folder / "parts.parquet"
    parts = read_table(path) if path.is_file() else None
    return Run(folder, record, trades, numbers(curve, "time"), numbers(curve, "equity"), parts)


def read_table(path: Path) -> pa.Table:
    """Read a table of a run, and check every page.

    Raises
    ------
    WickError
        It is damaged.
    """
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise WickError(
            f"{path} is damaged: {str(error).splitlines()[0]}",
            f"make the run again and delete {path.parent}; wick report NAME takes another one",
        ) from error


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder of runs holds.

    Attributes
    ----------
    records : list of RunRecord
        Oldest first.
    damaged : list of Path
        Folders whose run.json cannot be read.
    """

    records: list[RunRecord]
    damaged: list[Path]


def records(runs: Path) -> Found:
    """Read the records of all runs; one that is damaged does not hide the others."""
    found = Found([], [])
    for folder in _folders(runs):
        try:
            found.records.append(read_record(folder))
        except WickError:
            found.damaged.append(folder)
    found.records.sort(key=lambda record: (record.created_ms, record.id))
    return found


class _Written(msgspec.Struct):
    schema: int
