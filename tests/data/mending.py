"""A damaged store of known candles, and the sources that have them all."""

from pathlib import Path

import numpy as np

from data.checking.check import check_series
from data.fetching.archive import Zip
from data.fetching.download import Archive
from data.manifest import Series, Source
from data.repairing.repair import repair_series
from data.repairing.repaired import Repaired
from data.repairing.supply import Supply
from data.rest.rows import Rest
from data.store import load
from data.table import table_of
from data.writer import writing
from strategy.candles import Candles
from tests.data.conftest import MONTHS, NOW, same_candles
from tests.data.served import ArchiveServer

HOURLY = Series("um", "BTCUSDT", "1h")


class Silent:
    """Nobody watches."""

    def expect(self, files: int) -> None:
        """Say nothing."""

    def receive(self, size_bytes: int) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


def mend(store: Path, truth: ArchiveServer, rest: Rest, again: bool = False) -> Repaired:
    archive = Archive(truth.url, retry_wait_s=0.01, attempts=2)
    return repair_series(store, Supply(archive, rest, HOURLY, NOW, Silent()), again)


def without(candles: Candles, *rows: int) -> Candles:
    kept = np.delete(np.arange(len(candles.open_time)), rows)
    return Candles("BTCUSDT", "um", "1h", {n: v[kept] for n, v in candles.arrays.items()})


def from_archive(store: Path, candles: Candles) -> Path:
    """Store candles as a fetch does: month by month, each with the name of its file."""
    for month in MONTHS:
        low, high = np.searchsorted(
            candles.open_time,
            [
                np.datetime64(m).astype("datetime64[ms]").astype(np.int64)
                for m in (np.datetime64(month), np.datetime64(month) + 1)
            ],
        )
        with writing(store, HOURLY) as writer:
            table = table_of(candles.slice(int(low), int(high)))
            writer.add(table, Source(Zip(HOURLY, month).name, "0" * 64))
    return HOURLY.folder(store)


def stored(store: Path) -> Candles:
    return load(store, "um", "BTCUSDT", "1h")


def sound(store: Path, hourly: Candles) -> bool:
    return not check_series(store, HOURLY).errors and same_candles(stored(store), hourly)


def flip(path: Path, at: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(at * len(raw))] ^= 4
    path.write_bytes(raw)
