"""A run as files that anybody can read, without a trace of the machine it was made on."""

import os
import re
import secrets
import shutil
import zipfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from pyarrow import csv

from data.run_json import RunRecord
from data.run_tags import read_tags
from data.runs import read_record, read_table
from strategy.errors import RunRefused, WickError

# A path from the root, from home or climbing up, wherever a word begins; an address; what is in it.
_PATH = re.compile(r"(?<![\w.~/:])(?:~|\.\.)?/(?:[^\s/'\"]+/)*([^\s/'\"]+)")
_ADDRESS = re.compile(r"\b(\w[\w+.-]*)://\S*")
_HTTP = re.compile(r"\b(https?://)(?:[^/@\s]*@)?([^\s?]*)(?:\?\S*)?")


def export(folder: Path, to: Path) -> Path:
    """Write a run as run.json, strategy.py and a CSV of each table, into a new folder or a .zip.

    The file or folder is there whole or not at all.

    Raises
    ------
    WickError
        The run is damaged, or `to` exists.
    RunRefused
        It cannot be written.
    """
    if os.path.lexists(to):
        raise WickError(f"{to} exists already", "name another folder or .zip with --to")
    record = read_record(folder)
    hidden = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    try:
        hidden.mkdir()
        _write_files(folder, record, hidden)
        whole = _zipped(hidden, record) if to.suffix.lower() == ".zip" else hidden
        whole.rename(to)
    except OSError as error:
        raise RunRefused(
            f"run {folder.name} cannot be exported to {to}: {error.strerror}",
            "make room, or name a place that can be written with --to",
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        with suppress(OSError):
            hidden.with_suffix(".part").unlink()
    return to


def _write_files(folder: Path, record: RunRecord, into: Path) -> None:
    for path in sorted(folder.rglob("*.parquet")):
        table, name = read_table(path), path.relative_to(folder).with_suffix(".csv")
        (into / name).parent.mkdir(exist_ok=True)
        csv.write_csv(table, into / name)
    if (folder / "strategy.py").is_file():
        shutil.copyfile(folder / "strategy.py", into / "strategy.py")
    plain: dict[str, Any] = impersonal(msgspec.to_builtins(record))
    plain["tags"] = read_tags(folder)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    (into / "run.json").write_bytes(text + b"\n")


def _zipped(folder: Path, record: RunRecord) -> Path:
    made = datetime.fromtimestamp(max(record.created_ms / 1000, 315_532_800), UTC)  # from 1980 on
    path = folder.with_suffix(".part")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for one in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = f"{record.id}/{one.relative_to(folder)}"
            entry = zipfile.ZipInfo(name, made.timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with one.open("rb") as source, file.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return path


def impersonal(value: Any) -> Any:
    """Take folders of the machine, and addresses with what is in them, out of every text.

    >>> impersonal(["--store", "/home/me/candles", "--storage=redis://me:secret@host/0", "a/b"])
    ['--store', 'candles', '--storage=redis://…', 'a/b']
    """
    if isinstance(value, dict):
        return {name: impersonal(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [impersonal(one) for one in value]
    return _impersonal_text(value) if isinstance(value, str) else value


def _impersonal_text(text: str) -> str:
    if "/" not in text:
        return text
    if text.startswith(("/", "~", "../")):  # all of it is a path, spaces too
        return Path(text).name
    text = _HTTP.sub(r"\1\2", text)
    text = _ADDRESS.sub(lambda m: m[0] if m[1].startswith("http") else f"{m[1]}://…", text)
    return _PATH.sub(r"\1", text)
