"""What is stored: Parquet files per market, symbol, kind, timeframe and month, a manifest beside.

    STORE/um/BTCUSDT/1m/2023-01.parquet
    STORE/um/BTCUSDT/1m/manifest.json
    STORE/um/BTCUSDT/mark-1h/2023-01.parquet
    STORE/um/BTCUSDT/aggTrades/2023-01-31.parquet

The manifest is the truth. A writer first lays `.new` files down, then names them in the manifest
(that rename is the commit), then gives them their final names. A reader therefore needs no lock: it
opens the files of one manifest and looks whether that manifest is still the current one.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data.kinds import AGG_TRADES, KINDS, KLINES, Kind, known_kind
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import MONTH, longest_ms

MARKETS = ("um", "spot")
MANIFEST = "manifest.json"
NEW = ".new"
# The archive's word for 1M: on a disk that does not tell M from m it would be the folder of 1m.
_MONTH_FOLDER = "1mo"


@dataclass(frozen=True, slots=True)
class Series:
    """What a stretch of candles or other rows belongs to.

    Attributes
    ----------
    market, symbol : str
        Such as um, BTCUSDT.
    timeframe : str
        Of candles; "" for kinds that have none.
    kind : str
        One of `data.kinds.KINDS`.
    """

    market: str
    symbol: str
    timeframe: str
    kind: str = KLINES.name

    def __post_init__(self) -> None:
        kind = known_kind(self.kind)
        if bool(self.timeframe) != kind.has_timeframe:
            raise WickError(
                f"{kind.plural} have {'a' if kind.has_timeframe else 'no'} timeframe,"
                f" given {self.timeframe!r}",
                "--timeframe 1m" if kind.has_timeframe else "leave --timeframe out",
            )
        # It becomes a folder and part of an address: no dots, no slashes, no blanks.
        if not re.fullmatch(r"\w{1,40}", self.symbol):
            raise WickError(
                f"{self.symbol!r} is no symbol, expected letters, digits and _ only",
                "such as BTCUSDT",
            )

    def __str__(self) -> str:
        words = (self.symbol, self.market, *self._kind_words(), self.timeframe)
        return " ".join(word for word in words if word)

    def _kind_words(self) -> tuple[str, ...]:
        return () if self.kind == KLINES.name else (self.kind,)

    def folder(self, store: Path) -> Path:
        """Return the folder of this series in a store."""
        name = "-".join((*self._kind_words(), *filter(None, (self.file_timeframe,))))
        return store / self.market / self.symbol / name

    @property
    def its_kind(self) -> Kind:
        """What the rows are."""
        kind = KINDS[self.kind]
        # A month of 100ms would be 27 million candles.
        return _KLINES_BY_DAY if kind is KLINES and _below_a_second(self.timeframe) else kind

    @property
    def file_timeframe(self) -> str:
        """The timeframe as it stands in names of files and folders."""
        return _MONTH_FOLDER if self.timeframe == MONTH else self.timeframe


_KLINES_BY_DAY = replace(KLINES, by_day=True)


def _below_a_second(timeframe: str) -> bool:
    return timeframe.endswith("ms") and longest_ms(timeframe) < 1000


def series_of(folder: Path) -> Series | None:
    """Return the series that a folder of a store holds; None for a folder of something else."""
    market, symbol, name = folder.parts[-3:]
    kind, _, timeframe = name.rpartition("-") if "-" in name else (name, "", "")
    if kind not in KINDS:
        kind, timeframe = KLINES.name, name
    try:
        return Series(market, symbol, timeframe_of(timeframe), kind)
    except WickError:
        return None


def timeframe_of(file_timeframe: str) -> str:
    """Return the timeframe that a name of a file or folder means."""
    return MONTH if file_timeframe == _MONTH_FOLDER else file_timeframe


# What the name of a source begins with where the exchange's REST gave the rows; its day follows.
REST = "REST"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that rows came from: one imported or fetched, or one of stored trades."""

    name: str
    sha256: str

    @property
    def tumbled(self) -> bool:
        """The rows were made of stored trades."""
        return self.name.startswith(f"{AGG_TRADES.name}/")


_ON_DISK = {
    "period": "month",
    "first_ms": "first_open_time",
    "last_ms": "last_open_time",
    "files": "months",
}


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_ON_DISK):
    """What the manifest says about one stored file.

    Attributes
    ----------
    period : str
        UTC month, such as 2023-01; for kinds stored by day 2023-01-31.
    first_ms, last_ms : int
        Times of the first and last row.
    """

    period: str
    sha256: str
    size_bytes: int
    rows: int
    first_ms: int
    last_ms: int
    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """The file's name in the folder of its series."""
        return f"{self.period}.parquet"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_ON_DISK):
    """All stored files of a series, and periods of those that still carry their `.new` name."""

    files: tuple[StoredFile, ...] = ()
    pending: tuple[str, ...] = ()


def known_market(market: str) -> None:
    """Refuse a market that is not stored.

    Raises
    ------
    WickError
        It is neither um nor spot.
    """
    if market not in MARKETS:
        raise WickError(f"unknown market {market!r}", did_you_mean(market, MARKETS))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a series; an absent one is empty.

    Raises
    ------
    WickError
        The file is there but is not a manifest.
    """
    return parse_manifest(folder, manifest_bytes(folder))


def open_file(folder: Path, stored: StoredFile, pending: bool) -> pq.ParquetFile:
    """Open a stored file, also while its writer is between commit and final name.

    Raises
    ------
    WickError
        The file is missing or damaged.
    """
    path = folder / stored.name
    for name in ([path.name + NEW] if pending else []) + [path.name]:
        try:
            size = (folder / name).stat().st_size
            if size != stored.size_bytes:
                # Written anew by another program, whose checksums of pages agree with its bytes.
                found = f"{size:,} bytes, its manifest says {stored.size_bytes:,}"
                raise damaged(path, found)
            return pq.ParquetFile(folder / name, memory_map=True, page_checksum_verification=True)
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, str(error)) from error
    raise WickError(f"{path} is missing, but its manifest names it", _mend_hint(path))


def damaged(path: Path, why: str) -> WickError:
    """Return the error for a stored file that cannot be read as it was written."""
    return WickError(f"{path} is damaged: {why.splitlines()[0]}", _mend_hint(path))


def _mend_hint(path: Path) -> str:
    its = series_of(path.parent) if len(path.parts) > 3 else None
    return "wick data repair" if its is None else repair_hint(its)


def repair_hint(its: Series) -> str:
    """Return the command that mends a series."""
    kind = "" if its.kind == KLINES.name else f" --kind {its.kind}"
    timeframe = f" --timeframe {its.timeframe}" if its.timeframe else ""
    return f"wick data repair {its.symbol} --market {its.market}{kind}{timeframe}"


def manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return b"{}"


def parse_manifest(folder: Path, raw: bytes) -> Manifest:
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise damaged(folder / MANIFEST, str(error)) from error
