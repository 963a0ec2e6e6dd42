"""How what was fetched joins what is stored."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.fetching.fetched import Fetched
from data.manifest import Series, Source, open_file
from data.table import column
from data.writer import Merge, SeriesWriter


class Additions:
    """The rows of one series on their way into the store.

    Parameters
    ----------
    store : Path
        Folder of the store.
    series : Series
        What is fetched.
    writer : SeriesWriter
        Holds the series.
    result : Fetched
        What was stored is added to it.
    """

    def __init__(self, store: Path, series: Series, writer: SeriesWriter, result: Fetched) -> None:
        self.series, self.result, self.folder = series, result, series.folder(store)
        self._writer = writer

    def add(self, table: pa.Table, source: Source) -> Merge:
        """Store rows, sorted and checked."""
        merge = self._writer.add(table, source)
        self.result.stored(merge, source)
        return merge

    def known(self) -> dict[str, str]:
        """Return the SHA-256 of all that was stored, by its name."""
        return {s.name: s.sha256 for f in self._writer.manifest.files for s in f.sources}

    def has_any(self, start_ms: int, end_ms: int) -> bool:
        """Say whether a stored file reaches into a range."""
        files = self._writer.manifest.files
        return any(f.first_ms < end_ms and f.last_ms >= start_ms for f in files)

    def times(self, start_ms: int, end_ms: int) -> NDArray[np.int64]:
        """Read the times of stored rows in a range."""
        name = self.series.its_kind.time
        parts = [np.empty(0, np.int64)]
        for stored in self._writer.manifest.files:
            if stored.first_ms < end_ms and stored.last_ms >= start_ms:
                file = open_file(self.folder, stored, pending=False)
                parts.append(column(file.read(columns=[name]), name))
        times = np.concatenate(parts)
        return times[(times >= start_ms) & (times < end_ms)]

    def last(self, start_ms: int, end_ms: int) -> int:
        """Return the time of the last stored row in a range, 0 for none."""
        files = self._writer.manifest.files
        there = [f for f in files if start_ms <= f.last_ms and f.first_ms < end_ms][-1:]
        if not there:
            return 0
        # Only the last file: of trades the whole range would be large.
        times = self.times(max(start_ms, there[0].first_ms), end_ms)
        return int(times[-1]) if len(times) else 0

    def periods(self, start_ms: int, end_ms: int, length: int) -> set[str]:
        """Return the days, or months, of a range with stored rows, as texts of this length."""
        if self.series.its_kind.by_day:
            return {f.period[:length] for f in self._writer.manifest.files}
        unit = "D" if length > len("2023-01") else "M"
        times = self.times(start_ms, end_ms).astype("datetime64[ms]")
        return set(np.unique(times.astype(f"datetime64[{unit}]")).astype(str).tolist())
