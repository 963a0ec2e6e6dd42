"""Stored candles: a Parquet file per market, symbol, timeframe and month, and a manifest beside.

    STORE/um/BTCUSDT/1m/2023-01.parquet
    STORE/um/BTCUSDT/1m/manifest.json

The manifest is the truth. A writer first lays `.new` files down, then names them in the manifest
(that rename is the commit), then gives them their final names. A reader therefore needs no lock: it
opens the files of one manifest and looks whether that manifest is still the current one.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from strategy.errors import WickError, did_you_mean
from strategy.timeframes import MONTH

MARKETS = ("um", "spot")
MANIFEST = "manifest.json"
NEW = ".new"
# The archive's word for 1M: on a disk that does not tell M from m it would be the folder of 1m.
_MONTH_FOLDER = "1mo"


@dataclass(frozen=True, slots=True)
class Series:
    """What a stretch of candles belongs to."""

    market: str
    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        # It becomes a folder and part of an address: no dots, no slashes, no blanks.
        if not re.fullmatch(r"\w{1,40}", self.symbol):
            raise WickError(
                f"{self.symbol!r} is no symbol, expected letters, digits and _ only",
                "--symbol BTCUSDT",
            )

    def __str__(self) -> str:
        return f"{self.symbol} {self.market} {self.timeframe}"

    def folder(self, store: Path) -> Path:
        """Return the folder of this series in a store."""
        return store / self.market / self.symbol / self.file_timeframe

    @property
    def file_timeframe(self) -> str:
        """The timeframe as it stands in names of files and folders."""
        return _MONTH_FOLDER if self.timeframe == MONTH else self.timeframe


def timeframe_of(file_timeframe: str) -> str:
    """Return the timeframe that a name of a file or folder means."""
    return MONTH if file_timeframe == _MONTH_FOLDER else file_timeframe


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that candles came from."""

    name: str
    sha256: str


class Month(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says about one stored file."""

    month: str
    sha256: str
    size_bytes: int
    rows: int
    first_open_time: int
    last_open_time: int
    sources: tuple[Source, ...]

    @property
    def file_name(self) -> str:
        """The name of the month's file in the folder of its series."""
        return f"{self.month}.parquet"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All stored months of a series, and those whose files still carry their `.new` name."""

    months: tuple[Month, ...] = ()
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


def open_month(folder: Path, month: Month, pending: bool) -> pq.ParquetFile:
    """Open the file of one month, also while its writer is between commit and final name.

    Raises
    ------
    WickError
        The file is missing or damaged.
    """
    path = folder / month.file_name
    for name in ([path.name + NEW] if pending else []) + [path.name]:
        try:
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
    symbol = path.parts[-3] if len(path.parts) > 2 else ""
    return f"wick data check {symbol}; delete {path.parent} and fetch or import it again".strip()


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
