"""The light facts of thousands of runs at once, read from an index where it is true.

``.index`` in the folder of runs remembers what was read of each run.json and tags.json, beside
inode, size and times of both. A run whose files are not exactly those is read again, so nothing
that is changed, added, deleted or tagged by whoever can make the index wrong; if it is lost,
damaged or cannot be written, all runs are read. Paths are text here: ten thousand Path objects take
longer than what is done with them.
"""

import os
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from data.run_folders import scratch, stamps
from data.run_tags import FILE, read_tags
from strategy.errors import WickError
from strategy.uncollected import uncollected

INDEX = ".index"
# The figures by which runs are told apart at a glance.
LISTED = (
    "total_return", "sharpe", "sortino", "calmar", "max_drawdown", "profit_factor", "win_rate",
    "trades",
)  # fmt: skip
_SCHEMA = 1  # of run.json; data.run_json has it too, and imports what takes half a second
_VERSION = 1
# A file that was changed this short ago may change again and keep the same times: clocks of disks
# are coarse, and not ours.
_RACY_NS = 10_000_000_000


class Summary(msgspec.Struct, frozen=True):
    """What a list says of a run.

    Attributes
    ----------
    run : str
        Name of its folder.
    symbols : list of str
        In configured order; market, timeframe and span are those of the first one and of all.
    first_ms, end_ms : int
        UTC ms of the first candle's open and the last one's close.
    figures : dict
        Those of `LISTED` by key; None where there is no value, and left out by runs of before.
    """

    run: str
    kind: str
    created_ms: int
    strategy: str
    source_hash: str
    symbols: list[str]
    market: str
    timeframe: str
    first_ms: int
    end_ms: int
    params: dict[str, int | float]
    figures: dict[str, float | None]
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Summaries:
    """What a folder of runs holds.

    Attributes
    ----------
    runs : list of Summary
        Oldest first.
    damaged : dict
        What is wrong, by the name of the run; one whose tags alone are damaged is in `runs` too.
    """

    runs: list[Summary]
    damaged: dict[str, str]


def summaries(runs: Path) -> Summaries:
    """Read the light facts of all runs; one that is damaged does not hide the others."""
    # Of ten thousand runs the collector looks at half a million objects that all live: 30 % of the
    # time.
    with uncollected():
        return _summaries(runs)


def _summaries(runs: Path) -> Summaries:
    before = _read_index(runs)
    now_ns, changed = time.time_ns(), False
    entries: dict[str, _Entry] = {}
    found = Summaries([], {})
    for name, its in stamps(runs).items():
        folder = f"{runs}/{name}"
        tagged = _stat(f"{folder}/{FILE}")
        stamp = (*_stamp(its), *_stamp(tagged))
        newest_ns = max(stamp[3], stamp[7])
        entry = before.get(name)
        if entry is None or entry.stamp != stamp:
            summary = _summary(folder, name, tagged is not None, found)
            if summary is None:
                continue
            entry = _Entry(stamp, summary)
            if name in found.damaged or newest_ns > now_ns - _RACY_NS:
                found.runs.append(summary)
                continue
            changed = True
        entries[name] = entry
        found.runs.append(entry.summary)
    if changed or len(entries) < len(before):
        _write_index(runs, entries)
    found.runs.sort(key=lambda one: (one.created_ms, one.run))
    return found


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    stamp: tuple[int, ...]
    summary: Summary


class _Index(msgspec.Struct, frozen=True, array_like=True):
    version: int
    listed: tuple[str, ...]
    entries: dict[str, _Entry]


class _Strategy(msgspec.Struct):
    name: str
    source_hash: str


class _Data(msgspec.Struct):
    symbol: str
    market: str
    timeframe: str
    first_ms: int
    end_ms: int


class _Figure(msgspec.Struct):
    key: str
    value: float | None


class _Light(msgspec.Struct):
    schema: int
    kind: str
    created_ms: int
    strategy: _Strategy
    params: dict[str, int | float]
    data: list[_Data]
    figures: list[_Figure]


_decoder = msgspec.json.Decoder(_Light)


def _summary(folder: str, name: str, tagged: bool, found: Summaries) -> Summary | None:
    try:
        with open(f"{folder}/run.json", "rb", buffering=0) as file:  # noqa: PTH123
            light = _decoder.decode(file.read())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        found.damaged[name] = f"run.json is damaged or of another version: {error}"
        return None
    except OSError as error:
        found.damaged[name] = f"run.json cannot be read: {error.strerror}"
        return None
    if not light.data:
        found.damaged[name] = "run.json is damaged: it names no symbol"
        return None
    if light.schema != _SCHEMA:
        found.damaged[name] = f"run.json is of another version: schema {light.schema}"
        return None
    tags = []
    try:
        tags = read_tags(Path(folder)) if tagged else []
    except WickError as error:
        found.damaged[name] = f"its tags cannot be read: {error.message}"
    first = light.data[0]
    return Summary(
        run=name,
        kind=light.kind,
        created_ms=light.created_ms,
        strategy=light.strategy.name,
        source_hash=light.strategy.source_hash,
        symbols=[one.symbol for one in light.data],
        market=first.market,
        timeframe=first.timeframe,
        first_ms=min(one.first_ms for one in light.data),
        end_ms=max(one.end_ms for one in light.data),
        params=light.params,
        figures={one.key: one.value for one in light.figures if one.key in LISTED},
        tags=tags,
    )


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError:
        return None


def _stamp(its: os.stat_result | None) -> tuple[int, ...]:
    return (its.st_ino, its.st_size, its.st_mtime_ns, its.st_ctime_ns) if its else (0, 0, 0, 0)


def _read_index(runs: Path) -> dict[str, _Entry]:
    try:
        raw = (runs / INDEX).read_bytes()
        if int.from_bytes(raw[:4], "little") != zlib.crc32(raw[4:]):
            return {}
        index = msgspec.msgpack.decode(raw[4:], type=_Index)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return index.entries if (index.version, index.listed) == (_VERSION, LISTED) else {}


def _write_index(runs: Path, entries: dict[str, _Entry]) -> None:
    raw = msgspec.msgpack.encode(_Index(_VERSION, LISTED, entries))
    # A folder that is read-only or full, or two at once: whoever comes next reads a little more.
    with suppress(OSError), scratch(runs) as hidden:
        path = hidden / INDEX
        path.write_bytes(zlib.crc32(raw).to_bytes(4, "little") + raw)
        path.replace(runs / INDEX)
